"""The starts of the fits of a search; what several of them have in common is made once.

::

    rows of a fold --checked once--> rows, labels --+
    backbone --loaded, copied once----------------> +--> StackedFit: a head that begins, or is solved, where it would
    frozen blocks --run once a depth--------------> +    begin, or be solved, alone
                          |
    scored rows ----------+--run once a depth--> outputs of every fit on these rows
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.base import clone

from sktransfer.adaptation.guard import Guarded
from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.by_tag import block_of_source_head, resolve_block
from sktransfer.backbones.check_input import input_key
from sktransfer.backbones.from_scratch import open_backbone
from sktransfer.estimators.domain_adaptation import CONSTRAINTS
from sktransfer.inference.predictor import Predictor
from sktransfer.model_selection.last_step import JOINT, OURS, Note
from sktransfer.networks.transfer_module import TransferModule
from sktransfer.training import frozen_features
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.joint import Joint
from sktransfer.training.stacked_fits import StackedFit
from sktransfer.training.start import only_head_learns, own_blocks, solve_head, start_fit, strategy_and_head
from sktransfer.utils.chunks import in_chunks
from sktransfer.utils.device import resolve_device
from sktransfer.utils.random import draw_seed
from sktransfer.utils.threads import capped_threads

_N_SCORED = 8  # tables of a fold whose features are kept: those of a scorer that asks about the same rows again


def why_not_ours(estimator: Any, params: dict[str, Any] | None) -> str | None:
    """Why a last step has to be fitted by its own ``fit``; None if a search may train it.

    `params` are those of ``fit``; None: they are not known yet.
    """
    kind = type(estimator)
    if kind not in OURS:
        return f"the last step is a {kind.__name__}, not one of {', '.join(one.__name__ for one in OURS)}"
    if unknown := sorted(set(params or {}) - {"sample_weight", *(["sample_domain"] if kind in JOINT else [])}):
        return f"fit is passed {', '.join(unknown)}"
    if kind in JOINT and isinstance(estimator.alignment, Guarded):
        return "a guard compares two fits"
    if kind in JOINT and params is not None and params.get("sample_domain") is None:
        return "fit is passed no sample_domain"
    if estimator.callbacks or getattr(estimator, "_skl_callbacks", None):
        return "callbacks watch its epochs"
    return None


class SharedStarts:
    """Starts of fits, and what several of them use.

    A context manager: the thread count changes to that of the estimators and is given back at the end of the block.
    """

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}
        self._used: list[Any] = []  # keys hold ids, so that their objects must stay alive
        self._features: list[FrozenFeatures] = []
        self._threads = ExitStack()
        self._n_jobs: Any = self  # none yet

    def __enter__(self) -> SharedStarts:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.close()
        self._n_jobs = self

    def start(self, note: Note) -> StackedFit:
        """Check the rows, build the network and begin the head of one fit; solve the head where that is asked for.

        Raises what ``fit`` would raise for these rows and parameters.
        """
        began = time.perf_counter()
        # drawing a seed changes a generator, which is a parameter; else nothing but what is fitted is the copy's own
        plain = isinstance(note.estimator.random_state, int | None)
        estimator = _same_parameters(note.estimator) if plain else clone(note.estimator)
        estimator._check_parameters()
        if isinstance(estimator.backbone, str | os.PathLike):
            path = str(estimator.backbone)
            estimator.backbone = self._once(("file", path), lambda: open_backbone(path), path)
        seed, given = draw_seed(estimator.random_state), estimator.backbone
        key = _network_key(estimator, seed)
        rows, task, learned, shape, joint = self._checked(estimator, note, seed, key)
        vars(estimator).update(learned)
        self._use_threads(estimator.n_jobs)
        resolved = self._resolved(key, estimator, open_backbone(given), shape, seed)
        network = key, shape
        blocks = self._blocks(estimator, network, resolved, rows)
        frozen = self._once(("frozen", id(rows.X), network), lambda: self._rows(rows.X), rows.X)
        scored = self._once(("scored", note.fold, network), ScoredRows, given)
        if joint is not None:
            joint = copy.copy(joint)  # candidates with other networks share its rows
            others = joint.unlabelled
            joint.frozen = self._once(("others", id(rows.X), network), lambda: self._rows(others), rows.X)
        fit = StackedFit(
            estimator, start_fit(estimator, rows, task, resolved, seed, frozen, blocks), rows, task, scored, joint
        )
        fit.check_plans()
        todo = fit.schedule
        if todo.head_solver is not None and (todo.strategies or fit.fits_memory(len(fit.start.module.blocks))):
            fit.history.append(solve_head(fit.start, rows, task, todo.head_solver, bool(todo.strategies)))
        fit.start.features = None  # a copy of the rows' features for each fit
        fit.seconds = note.seconds + time.perf_counter() - began
        return fit

    def _blocks(self, estimator: Any, network: Hashable, resolved: tuple[Backbone, bool], rows: Any) -> Any:
        """The backbone's own blocks where nothing trains them, else copies for all fits that train some of them."""
        backbone, untrained = resolved
        strategy, n_epochs = strategy_and_head(estimator, untrained)[0], estimator._n_epochs(len(rows.X))
        frozen = only_head_learns(strategy, n_epochs, len(backbone.blocks)) and rows.X.dtype == np.float32
        device = resolve_device(estimator.device)
        make = (lambda: backbone.modules_on(device)) if frozen else lambda: own_blocks(estimator, resolved, rows)
        return self._once(("blocks", network, frozen), make, estimator.backbone)

    def limit_memory(self) -> None:
        """Keep no more outputs of frozen blocks than the budget allows."""
        if sum(frozen.nbytes for frozen in self._features) > frozen_features.BUDGET:
            for frozen in self._features:
                frozen.forget()

    def _resolved(self, key: Hashable, estimator: Any, opened: Any, shape: tuple[int, ...], seed: int) -> Any:
        """The network of a fit and whether it is untrained; made once for all fits that begin with it."""
        key = "network", key, shape
        return self._once(key, lambda: resolve_block(estimator, opened, shape, seed), estimator.backbone)

    def _checked(
        self, estimator: Any, note: Note, seed: int, key: Hashable
    ) -> tuple[Any, Any, dict[str, Any], Any, Joint | None]:
        """Rows and task of a fold, what the check stores in the estimator, and the shape of a sample as it came.

        Last what is known of rows of several machines. Once for equal class weights, and ways to weigh machines.
        """
        weight = note.params.get("sample_weight")
        shapes: list[tuple[int, ...]] = []

        def resolver(estimator: Any, opened: Any, shape: tuple[int, ...], seed: int) -> Any:
            shapes.append(shape)
            return self._resolved(key, estimator, opened, shape, seed)

        def check() -> tuple[Any, Any, dict[str, Any], Any, Joint | None]:
            joint = None
            if type(estimator) in JOINT:
                rows, task, _, joint = estimator._check_domains(note.X, note.y, machines, weight, seed, resolver)
            else:
                rows, task, _ = estimator._check(note.X, note.y, weight, seed, resolver)
            learned = {k: v for k, v in vars(estimator).items() if k.endswith("_") and not k.startswith("_")}
            # class weights change no row: candidates that differ in them share features and batches
            X = self._once(("X", *fold), lambda: rows.X, note)
            return (rows._replace(X=X) if np.array_equal(X, rows.X) else rows), task, learned, shapes[0], joint

        machines = note.params.get("sample_domain")
        weights, of_machines = (None if one is None else np.asarray(one).tobytes() for one in (weight, machines))
        fold = type(estimator), note.fold, weights, of_machines, input_key(estimator.backbone)
        # the check says whether the rows look to these features like those of the source
        asked = (getattr(estimator, name, None) for name in ("class_weight", *CONSTRAINTS))
        same_rows = "rows", *fold, _features_asked(estimator), *map(repr, asked), _blocks_learn(estimator)
        return self._once(same_rows, check, note)

    def _use_threads(self, n_jobs: int | None) -> None:
        """Change the thread count if it differs from that of the last fit: changing it takes longer than a fit."""
        if n_jobs is self._n_jobs or n_jobs == self._n_jobs:
            return
        self._threads.close()
        self._threads.enter_context(capped_threads(n_jobs))
        self._n_jobs = n_jobs

    def _rows(self, X: np.ndarray) -> FrozenFeatures:
        self._features.append(FrozenFeatures(X))
        return self._features[-1]

    def _once(self, key: Hashable, make: Callable[[], Any], of: Any) -> Any:
        if key not in self._made:
            self._made[key] = make()
            self._used.append(of)
        return self._made[key]


def _blocks_learn(estimator: Any) -> Hashable:
    """What the usual alignment of a joint fit depends on beside its rows."""
    return (repr(estimator.strategy), estimator.max_epochs) if type(estimator) in JOINT else None


def _same_parameters(estimator: Any) -> Any:
    """Another estimator with the same objects as parameters."""
    other = object.__new__(type(estimator))
    vars(other).update(vars(estimator))
    return other


def _network_key(estimator: Any, seed: int) -> Hashable:
    """What the outputs of frozen blocks depend on, besides the rows."""
    network, device = estimator.backbone, str(estimator.device)
    block = _features_asked(estimator)
    if isinstance(network, Backbone):
        return id(network), block, device
    return joblib.hash(network), block, seed, device  # an untrained network is another one for each seed


def _features_asked(estimator: Any) -> Hashable:
    """What of an estimator says which features of a network its head gets."""
    return estimator.block, block_of_source_head(estimator)


class ScoredRows:
    """Rows that the fits of one fold are asked about, and the outputs of their frozen blocks.

    Each pipeline of a search transforms the rows anew, so that they are recognised by their cells.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[np.ndarray, Any, FrozenFeatures]] = []

    def find(self, X: np.ndarray, prepare: Callable[[], tuple[np.ndarray, Any]]) -> tuple[FrozenFeatures, Any]:
        """Prepared rows and their confidence weights; both are made where `X` is new."""
        for known, weights, frozen in self._kept:
            if _are_same(known, X):
                return frozen, weights
        rows, weights = prepare()
        if len(self._kept) >= _N_SCORED or sum(frozen.nbytes for _, _, frozen in self._kept) > frozen_features.BUDGET:
            self._kept.clear()
        self._kept.append((X.copy(), weights, FrozenFeatures(rows)))
        return self._kept[-1][2], weights


def _are_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two tables hold the same cells, and windows the same fields."""
    fields, others = (getattr(one, "__dict__", {}) for one in (a, b))
    if a.shape != b.shape or fields.keys() != others.keys() or not np.array_equal(a, b):
        return False
    return all(np.array_equal(fields[name], others[name]) for name in fields)


class ScoringPredictor(Predictor):
    """The predictor of a fit of a search: outputs of frozen blocks are shared with the other fits of its fold.

    Parameters
    ----------
    predictor : Predictor
        Of the fitted estimator.
    module : TransferModule
        The fitted network.
    scored : ScoredRows
    n_frozen : int
        Blocks that the fit has not changed.
    """

    def __init__(self, predictor: Predictor, module: TransferModule, scored: ScoredRows, n_frozen: int):
        vars(self).update(vars(predictor))
        self._fitted, self._scored, self._n_frozen = module, scored, n_frozen

    def outputs(self, name: str, X: np.ndarray, device: Any, n_jobs: int | None, *, refuse: Any, use: Any) -> str:
        """As of the predictor, computed in torch."""
        module, n_frozen = self._fitted, self._n_frozen
        used = str(resolve_device(device))
        with capped_threads(n_jobs), np.errstate(all="ignore"), torch.inference_mode():
            frozen, weights = self._scored.find(X, lambda: self.prepared(X, refuse))
            if str(module.device) != used or not frozen.fits(module, n_frozen):
                return super().outputs(name, X, device, n_jobs, refuse=refuse, use=use)
            features = frozen.after(module, n_frozen, module.device)
            for part in in_chunks(len(X)):
                outputs = self.finite(name, module(features[part], n_frozen).double().cpu().numpy())
                use(part, outputs, None if weights is None else weights[part])
        return used
