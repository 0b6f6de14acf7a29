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

import numpy as np
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from sktransfer.inference.out_of_range import confidence_weights
from sktransfer.model_selection.folds import Fold, last_step
from sktransfer.model_selection.lanes import Lanes, hash_of
from sktransfer.model_selection.workers import count_workers, train_stacks
from sktransfer.training import frozen_features as _features
from sktransfer.training.fit import fitted_inputs, warn_if_worse
from sktransfer.training.stacked_fits import Lane, make_stacks, stack_key

Key = tuple[int, int]


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
        self.steps = [last_step(self.configured(parameters)) for parameters in candidates]
        self.results: dict[Key, Result] = {}
        self.folds: dict[Key, Fold | None] = {}
        self.seconds: dict[Key, float] = {}
        self.order: deque[Key] = deque()
        self.on_alone: Callable[[float], None] = lambda share: None
        self.broken: BaseException | None = None
        self._alone: Iterator[Result] = iter(())
        self._alone_keys: set[Key] = set()

    def __sklearn_clone__(self) -> Bench:
        return self

    def configured(self, parameters: dict[str, Any]) -> Any:
        """A clone of the estimator with these parameters."""
        return clone(self.estimator).set_params(**clone(parameters, safe=False))

    def preprocessings(self) -> list[list[int]]:
        """Candidates whose steps before the last one are the same."""
        name = last_step(self.estimator)[0]
        groups: dict[Any, list[int]] = {}
        for number, parameters in enumerate(self.candidates):
            before = {k: v for k, v in parameters.items() if name and k != name and not k.startswith(f"{name}__")}
            groups.setdefault(tuple((k, hash_of(before[k])) for k in sorted(before)), []).append(number)
        return list(groups.values())

    def train(self, on_progress: Callable[[float], None], n_jobs: int | None = None) -> None:
        """Train what trains together, and solve what is solved; told of the share of one fit that was done."""
        n_workers = count_workers(n_jobs)
        waiting: dict[Key, Lane] = {}
        n_bytes = 0
        with Lanes() as lanes:
            for key in self.order:
                fold = self.folds[key]
                lane = None if fold is None else lanes.make(self.steps[key[0]][1], fold)
                if lane is None:
                    continue
                if not lane.schedule.strategies:
                    self._keep(key, "solved", lane)
                    on_progress(1.0)
                    continue
                waiting[key] = lane
                n_bytes += lane.nbytes
                if n_bytes > _features.BUDGET:
                    self._train_together(waiting, lanes, on_progress, n_workers)
                    waiting, n_bytes = {}, 0
            self._train_together(waiting, lanes, on_progress, n_workers)

    def _train_together(
        self, lanes: dict[Key, Lane], maker: Lanes, on_progress: Callable[[float], None], n_workers: int
    ) -> None:
        where = {id(lane): key for key, lane in lanes.items()}
        by_key: dict[Any, list[Lane]] = {}
        for lane in lanes.values():
            if (together := stack_key(lane)) is not None:
                by_key.setdefault(together, []).append(lane)

        def keep(stack: list[list[Lane]]) -> None:
            for lane in (lane for stream in stack for lane in stream):
                self._keep(where[id(lane)], "stacked", lane)
            maker.tidy()

        stacks = [stack for group in by_key.values() for stack in make_stacks(group, n_workers)]
        train_stacks(stacks, n_workers, on_progress, keep)

    def how(self) -> list[str]:
        """Of each candidate, how its fits run; "alone" if any of them does."""
        found: list[set[str]] = [set() for _ in self.candidates]
        for candidate, split in self.order:
            result = self.results.get((candidate, split))
            found[candidate].add("alone" if result is None else result.how)
        return [kinds.pop() if len(kinds) == 1 else "alone" for kinds in found]

    def start_alone(self, n_jobs: int | None, pre_dispatch: Any) -> None:
        """Begin the fits that train alone, in worker processes if there are several jobs."""
        keys = [key for key in self.order if key not in self.results and self._can_fit_alone(key)]
        parallel = Parallel(n_jobs=n_jobs, pre_dispatch=pre_dispatch, return_as="generator")
        fits = ((clone(self.steps[key[0]][1]), self.folds[key]) for key in keys)
        if keys:
            self._alone = parallel(
                delayed(_fit_alone)(last, fold.X, fold.y, fold.params) for last, fold in fits if fold
            )
        self._alone_keys = set(keys)

    def next_result(self) -> tuple[Key, Result | None]:
        """The result of the next fit in scikit-learn's order; None: to be fitted as usual."""
        key = self.order.popleft()
        if key in self.results:
            return key, self.results.pop(key)
        self.on_alone(1.0)
        if key not in self._alone_keys:
            return key, None
        self._alone_keys.remove(key)
        try:
            result = next(self._alone)
            if not self._alone_keys:
                next(self._alone, None)  # joblib wants to be asked once more
            return key, result
        except Exception as error:  # a worker died; scikit-learn would take it for a candidate that fails
            self.broken = self.broken or error
            raise

    def _can_fit_alone(self, key: Key) -> bool:
        return self.folds[key] is not None and hasattr(self.steps[key[0]][1], "fit")

    def _keep(self, key: Key, how: str, lane: Lane) -> None:
        estimator, fold = lane.estimator, self.folds[key]
        if lane.error is None and not all(np.isfinite(outputs).all() for outputs in lane.outputs):
            return  # fitted alone, it says what is wrong
        records = [{"train_loss": loss} for loss in lane.losses]
        if lane.error is None:
            warn_if_worse(type(estimator).__name__, records, estimator.lr, lane.task.chance_loss)
        seconds = lane.seconds + (fold.seconds if fold else 0.0)
        inputs = fitted_inputs(estimator, lane.assembly.backbone.inputs, lane.rows.X)
        trusts = [confidence_weights(test.X, inputs) for test in lane.tests]
        self.results[key] = Result(how, estimator, seconds, lane.error, lane.outputs, trusts)


def _fit_alone(last: Any, X: Any, y: Any, params: dict[str, Any]) -> Result:
    began = time.perf_counter()
    try:
        fitted, error = last.fit(X, y, **params), None
    except Exception as found:
        fitted, error = None, found
    return Result("alone", fitted, time.perf_counter() - began, error)
