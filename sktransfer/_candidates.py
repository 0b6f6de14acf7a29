"""The fits of a search: which of them train together, which are solved, which train alone.

::

    candidates x folds --> lanes --stackable--> stacks: trained together, outputs for the rows that are scored
                             |     --solved---> solved on features that are computed once
                             +-----otherwise--> alone: the last step fitted as usual, in worker processes if asked
                                       |
    scikit-learn's own loop --fit, score--> StandIn: answers from these results (`_stand_in.py`)
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone

from sktransfer import _validation
from sktransfer._assembly import solve_head
from sktransfer._features import FrozenFeatures
from sktransfer._folds import Fold, last_step
from sktransfer._range import confidence_weights
from sktransfer._threads import blas_threads, torch_threads
from sktransfer._together import Lane, make_stacks, stack_key, train_stack
from sktransfer._training import assemble, fitted_inputs, warn_if_worse
from sktransfer.backbone import Backbone
from sktransfer.classifier import TransferClassifier
from sktransfer.regressor import TransferRegressor


@dataclass
class Result:
    """One finished fit: an error, or a fitted last step, or its outputs for the rows that are scored.

    Parameters
    ----------
    how : {"stacked", "solved", "alone"}
    estimator : estimator
        The last step; fitted if there are no outputs.
    seconds : float
        Time of the fit; of a stack, its share.
    """

    how: str
    estimator: Any
    seconds: float
    error: Exception | None = None
    outputs: Sequence[np.ndarray] = ()
    trusts: Sequence[np.ndarray] = ()


class Bench:
    """Trains the fits of a search and keeps their results by (candidate, split).

    Parameters
    ----------
    estimator : estimator
        As given to the search.
    candidates : list of dict
        Parameters of each.
    """

    def __init__(self, estimator: Any, candidates: list[dict[str, Any]]):
        self.estimator, self.candidates = estimator, candidates
        # an unknown parameter is an error here, before anything is trained
        self.lasts = [last_step(self.configured(parameters))[1] for parameters in candidates]
        self.results: dict[tuple[int, int], Result] = {}
        self.folds: dict[tuple[int, int], Fold | None] = {}
        self.seconds: dict[tuple[int, int], float] = {}
        self.order: deque[tuple[int, int]] = deque()
        self.on_alone: Callable[[float], None] = lambda share: None
        self._alone: Iterator[Result] = iter(())
        self._shared: dict[Any, Any] = {}

    def __sklearn_clone__(self) -> Bench:
        return self

    def configured(self, parameters: dict[str, Any]) -> Any:
        """A clone of the estimator with these parameters."""
        return clone(self.estimator).set_params(**clone(parameters, safe=False))

    def preprocessings(self) -> list[list[int]]:
        """Candidates whose steps before the last one are the same."""
        name = last_step(self.estimator)[0]
        groups: dict[str, list[int]] = {}
        for number, parameters in enumerate(self.candidates):
            before = {k: v for k, v in parameters.items() if name and k != name and not k.startswith(f"{name}__")}
            groups.setdefault(joblib.hash(before), []).append(number)
        return list(groups.values())

    def train(self, on_progress: Callable[[float], None]) -> None:
        """Train what trains together, and solve what is solved; told of the share of one fit that was done."""
        lanes: dict[tuple[int, int], Lane] = {}
        for key in self.order:
            lane = self._lane(*key)
            if lane is not None:
                lanes[key] = lane
        where = {id(lane): key for key, lane in lanes.items()}
        by_key: dict[Any, list[Lane]] = {}
        for key, lane in lanes.items():
            if not lane.schedule.strategies:
                self._keep(key, "solved", lane)
                on_progress(1.0)
            elif (together := stack_key(lane)) is not None:
                by_key.setdefault(together, []).append(lane)
        for group in by_key.values():
            for stack in make_stacks(group):
                n_jobs = stack[0][0].estimator.n_jobs
                with torch_threads(n_jobs), blas_threads(n_jobs):
                    train_stack(stack, lambda n_lanes, share: on_progress(n_lanes * share))
                for lane in (lane for stream in stack for lane in stream):
                    self._keep(where[id(lane)], "stacked", lane)
        self._shared.clear()

    def how(self) -> list[str]:
        """Of each candidate, how its fits run; "alone" if any of them does."""
        found: list[set[str]] = [set() for _ in self.candidates]
        for candidate, split in self.order:
            result = self.results.get((candidate, split))
            found[candidate].add("alone" if result is None else result.how)
        return [kinds.pop() if len(kinds) == 1 else "alone" for kinds in found]

    def start_alone(self, n_jobs: int | None, pre_dispatch: Any) -> None:
        """Begin the fits that train alone, in worker processes if there are several jobs."""
        keys = [key for key in self.order if key not in self.results and self.folds[key] is not None]
        parallel = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch, return_as="generator")
        self._alone = parallel(delayed(_fit_alone)(clone(self.lasts[key[0]]), self.folds[key]) for key in keys)

    def next_result(self) -> tuple[tuple[int, int], Result | None]:
        """The result of the next fit in scikit-learn's order; None: to be fitted as usual."""
        key = self.order.popleft()
        if key in self.results:
            return key, self.results.pop(key)
        self.on_alone(1.0)
        return key, next(self._alone) if self.folds[key] is not None else None

    def _keep(self, key: tuple[int, int], how: str, lane: Lane) -> None:
        estimator, fold = lane.estimator, self.folds[key]
        if lane.error is None and not all(np.isfinite(outputs).all() for outputs in lane.outputs):
            return  # fitted alone, it says what is wrong
        records = [{"train_loss": loss} for loss in lane.losses]
        warn_if_worse(type(estimator).__name__, records, estimator.lr, lane.task.chance_loss)
        seconds = lane.seconds + (fold.seconds if fold else 0.0)
        inputs = fitted_inputs(estimator, lane.assembly.backbone.inputs, lane.rows.X)
        trusts = [confidence_weights(test.X, inputs) for test in lane.tests]
        self.results[key] = Result(how, estimator, seconds, lane.error, lane.outputs, trusts)

    def _lane(self, candidate: int, split: int) -> Lane | None:
        """The fit of one candidate on one fold, ready to train; None if it has to be fitted alone."""
        fold, last = self.folds[candidate, split], self.lasts[candidate]
        if fold is None or type(last) not in (TransferClassifier, TransferRegressor) or last.callbacks or last.verbose:
            return None
        estimator = clone(last)
        began = time.perf_counter()
        try:
            lane = self._prepared(estimator, fold)
            if lane.schedule.probe is not None:
                with torch_threads(estimator.n_jobs), blas_threads(estimator.n_jobs):
                    solve_head(lane.assembly, lane.rows, lane.task, lane.schedule.probe)
                    if not lane.schedule.strategies:
                        lane.outputs = [lane.assembly.outputs(test) for test in lane.tests]
        except Exception:
            return None
        lane.seconds = time.perf_counter() - began
        return lane

    def _prepared(self, estimator: Any, fold: Fold) -> Lane:
        rows, task, fitted = self._checked(estimator, fold)
        vars(estimator).update(fitted)
        frozen, tests = self._features(estimator, fold, rows)
        blocks = None
        if isinstance(estimator.backbone, Backbone):
            blocks = self._once(("blocks", id(estimator.backbone), estimator.device), estimator.backbone.copy_blocks)
        assembly = assemble(estimator, rows, task, frozen, blocks=blocks)
        return Lane(estimator, assembly, rows, task, tests)

    def _checked(self, estimator: Any, fold: Fold) -> tuple[Any, Any, dict[str, Any]]:
        """Rows and task of a fold, checked once for all candidates with the same class weights."""
        estimator._check_parameters()

        def check() -> tuple[Any, Any, dict[str, Any]]:
            sample_weight = fold.params.get("sample_weight")
            rows, task = estimator._check(fold.X, fold.y, sample_weight)
            learned = {k: v for k, v in vars(estimator).items() if k.endswith("_") and not k.startswith("_")}
            return rows, task, learned

        weights = repr(getattr(estimator, "class_weight", None))
        return self._once(("rows", type(estimator), id(fold), weights), check)

    def _features(self, estimator: Any, fold: Fold, rows: Any) -> tuple[FrozenFeatures, list[FrozenFeatures]]:
        """Outputs of frozen blocks, for the rows of a fold and for those that are scored."""
        source = id(estimator.backbone)
        if not isinstance(estimator.backbone, Backbone):
            # an untrained network is another one for each seed
            source = joblib.hash((estimator.backbone, estimator.random_state))
        frozen = self._once(("frozen", id(fold), source, id(rows.X)), lambda: FrozenFeatures(rows.X))
        tests = self._once(("tests", id(fold), source), lambda: [_as_rows(estimator, Xt) for _, Xt in fold.seen])
        return frozen, tests

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]


def _as_rows(estimator: Any, X: Any) -> FrozenFeatures:
    who, X = type(estimator).__name__, _validation.check_rows(estimator, X, reset=False)
    return FrozenFeatures(_validation.to_float32(who, X, _validation.column_names(estimator, X.shape[1])))


def _fit_alone(last: Any, fold: Fold) -> Result:
    began = time.perf_counter()
    try:
        fitted, error = last.fit(fold.X, fold.y, **fold.params), None
    except Exception as found:
        fitted, error = None, found
    return Result("alone", fitted, time.perf_counter() - began, error)
