"""Fits of a search made ready to train together; what they have in common is made once.

::

    fold --check once--> rows, labels --+
    backbone --load, copy once--------> +--assemble--> Lane: a head that begins, or is solved, where it would alone
    frozen blocks --run once a depth--> +
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.check_input import check_input, input_key, prepared
from sktransfer.backbones.from_scratch import resolve
from sktransfer.estimators.transfer_classifier import TransferClassifier
from sktransfer.estimators.transfer_regressor import TransferRegressor
from sktransfer.model_selection.folds import Fold
from sktransfer.training import frozen_features as _features
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.stacked_fits import Lane, rank
from sktransfer.training.start import solve_head, start_fit
from sktransfer.utils.random import draw_seed
from sktransfer.utils.threads import capped_threads
from sktransfer.validation import rows as _validation


def hash_of(value: Any) -> Any:
    """Equal for equal parameters; for what cannot be hashed, equal for one object."""
    try:
        return joblib.hash(value)
    except Exception:  # whatever pickling raises: a lambda, a lock, a class made in a function
        return id(value)


def goes_with_others(last: Any, params: dict[str, Any]) -> bool:
    """Whether a last step is one that this module knows, with nothing that watches single epochs."""
    if type(last) not in (TransferClassifier, TransferRegressor) or set(params) - {"sample_weight"}:
        return False
    return not (last.callbacks or last.verbose or getattr(last, "_skl_callbacks", None))


class Lanes:
    """Makes lanes and keeps what several of them use; the thread count is given back at the end of the block."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}
        self._used: list[Any] = []  # keys hold ids, so what they belong to must stay alive
        self._features: list[FrozenFeatures] = []
        self._threads = ExitStack()
        self._n_jobs: Any = self  # none yet

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.close()

    def make(self, last: Any, fold: Fold) -> Lane | None:
        """The fit of `last` on a fold, ready to train, with outputs if nothing is left to train; None: fit it alone."""
        if not goes_with_others(last, fold.params):
            return None
        began = time.perf_counter()
        try:
            lane = self._prepared(clone(last), fold)
            if not self._begin(lane):
                return None
        except Exception:
            return None  # fitted alone, it says what is wrong
        lane.assembly.features = None  # a copy of the rows' features for each lane
        lane.seconds = time.perf_counter() - began
        return lane

    def tidy(self) -> None:
        """Keep no more outputs of frozen blocks than the budget allows."""
        if sum(frozen.nbytes for frozen in self._features) > _features.BUDGET:
            for frozen in self._features:
                frozen.forget()

    def _begin(self, lane: Lane) -> bool:
        """Solve the head if that is asked for; whether the lane can go on with others."""
        assembly, todo = lane.assembly, lane.schedule
        rank(lane)
        for plan in lane.plans:
            plan.strategy.penalty({}, plan.source)  # a strategy with a wrong parameter raises here
        depth = len(assembly.module.blocks)
        if todo.head_solver is not None:
            if not todo.strategies and not all(rows.fits(assembly.module, depth) for rows in lane.all_rows):
                return False
            solve_head(assembly, lane.rows, lane.task, todo.head_solver)
            if not todo.strategies:
                lane.outputs = [assembly.outputs(rows) for rows in lane.tests]
        return True

    def _prepared(self, estimator: Any, fold: Fold) -> Lane:
        estimator._check_parameters()
        seed, given = draw_seed(estimator.random_state), estimator.backbone
        rows, task, fitted = self._checked(estimator, fold, seed)
        vars(estimator).update(fitted)
        self._use_threads(estimator.n_jobs)
        source, width = self._source(estimator, seed), rows.X.shape[1:]
        resolved = self._once(("network", source, width), lambda: resolve(given, width, seed), given)
        blocks = self._once(("blocks", source, width), resolved[0].copy_blocks, given)
        frozen = self._once(("frozen", id(rows.X), source), lambda: self._rows(rows.X), rows.X)
        tests = self._once(
            ("tests", id(fold), source),
            lambda: [self._rows(_as_rows(estimator, Xt, resolved[0])) for _, Xt in fold.seen],
            fold,
        )
        assembly = start_fit(estimator, rows, task, resolved, seed, frozen, blocks)
        return Lane(estimator, assembly, rows, task, tests)

    def _checked(self, estimator: Any, fold: Fold, seed: int) -> tuple[Any, Any, dict[str, Any]]:
        """Rows and task of a fold, checked once for all candidates with the same class weights."""

        def check() -> tuple[Any, Any, dict[str, Any]]:
            rows, task, _ = estimator._check(fold.X, fold.y, fold.params.get("sample_weight"), seed)
            learned = {k: v for k, v in vars(estimator).items() if k.endswith("_") and not k.startswith("_")}
            # class weights change no row: candidates that differ in them share features and batches
            X = self._once(("X", type(estimator), id(fold)), lambda: rows.X, fold)
            return (rows._replace(X=X) if np.array_equal(X, rows.X) else rows), task, learned

        weights = repr(getattr(estimator, "class_weight", None))
        takes = input_key(estimator.backbone)
        return self._once(("rows", type(estimator), id(fold), weights, takes), check, fold)

    def _source(self, estimator: Any, seed: int) -> Any:
        """What the outputs of frozen blocks depend on, besides the rows."""
        network, device = estimator.backbone, str(estimator.device)
        if isinstance(network, Backbone):
            return id(network), device
        if isinstance(network, str | os.PathLike):
            return str(network), device
        return hash_of(network), seed, device  # an untrained network is another one for each seed

    def _use_threads(self, n_jobs: int | None) -> None:
        """Change the thread count if it differs from the last lane's: looking BLAS up takes longer than a lane."""
        if n_jobs is self._n_jobs or n_jobs == self._n_jobs:
            return
        self._threads.close()
        self._threads.enter_context(capped_threads(n_jobs))
        self._n_jobs = n_jobs

    def _rows(self, X: np.ndarray) -> FrozenFeatures:
        self._features.append(FrozenFeatures(X))
        return self._features[-1]

    def _once(self, key: Any, make: Callable[[], Any], of: Any) -> Any:
        if key not in self._made:
            self._made[key] = make()
            self._used.append(of)
        return self._made[key]


def _as_rows(estimator: Any, X: Any, backbone: Backbone) -> np.ndarray:
    who, X = type(estimator).__name__, check_input(estimator, X, backbone, reset=False)
    return prepared(who, X, backbone, _validation.column_names(estimator, X.shape[1]), estimator._dtype)
