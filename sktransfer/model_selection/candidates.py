"""The fits of a search: noted in scikit-learn's loop, trained together, handed to scikit-learn's loop again.

::

    notes --start--> StackedFit --same key-----> stacks: trained together
                        |       --linear head--> solved
                        +-------otherwise------> alone: by the last step's own `fit`, in worker processes if asked
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Event, Lock
from types import SimpleNamespace
from typing import Any

from joblib import cpu_count, effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from sktransfer.model_selection.last_step import (
    FittedSteps,
    FoldMemory,
    LastStep,
    Note,
    has_last_step,
    last_step,
    open_pipeline,
    values_before,
)
from sktransfer.model_selection.shared_starts import ScoringPredictor, SharedStarts, why_not_ours
from sktransfer.training import frozen_features
from sktransfer.training.fit import warn_if_worse
from sktransfer.training.stacked_fits import StackedFit, make_stacks, stack_key, train_stack
from sktransfer.utils.threads import capped_threads

_NOT_REACHED = "its last step was not reached, or a pipeline of another class fits it"

Key = tuple[int, int]
Stack = list[list[StackedFit]]


@dataclass
class Result:
    """One finished fit of a last step.

    Parameters
    ----------
    fitted : object or None
        Holds the attributes of the fitted estimator that the step takes. From a worker process it is the estimator
        itself, because an estimator knows how it is pickled. None after an error.
    seconds : float
        Time of the fit with the steps before it; of a stack, its share.
    """

    fitted: Any
    seconds: float
    error: Exception | None = None


class CandidateFits:
    """Notes the fits of a search, trains them, and hands each to scikit-learn's loop.

    Fits are known by candidate and split; scikit-learn's loop goes through them in this order.

    Parameters
    ----------
    estimator : estimator
        As given to the search.
    candidates : list of dict
        Parameters of each.
    n_splits : int
    n_jobs, pre_dispatch
        As given to the search.

    Attributes
    ----------
    watched : bool
        Whether scikit-learn's callbacks watch the search. What trains alone is then fitted in scikit-learn's loop,
        which tells the callbacks.
    workers : dict
        joblib's settings for what trains alone, see :func:`in_this_process`.
    """

    def __init__(self, estimator: Any, candidates: list[dict[str, Any]], n_splits: int, n_jobs: Any, pre_dispatch: Any):
        self.candidates, self.n_splits, self.n_jobs, self.pre_dispatch = candidates, n_splits, n_jobs, pre_dispatch
        self.n_workers = count_workers(n_jobs)
        # an unknown parameter is an error here, before anything is trained
        self.estimator = estimator
        self.pipelines = [self._configured(parameters) for parameters in candidates]
        self.groups = self._alike()
        self.seconds: dict[Key, float] = {}
        self.how: dict[Key, str] = {}
        self.why_alone: dict[int, str] = {}
        self.on_progress: Callable[[float], None] = lambda share: None
        self.watched = False
        self.workers: dict[str, Any] = {}
        self.n_opened = 0
        self._notes: dict[Key, Note] = {}
        self._fits: dict[Key, StackedFit] = {}
        self._errors: dict[Key, Result] = {}
        self._alone: Iterator[Result] = iter(())
        self._alone_keys: list[Key] = []
        self._starts = SharedStarts()
        self._memory = FittedSteps()

    def _configured(self, parameters: dict[str, Any]) -> Any:
        return clone(self.estimator).set_params(**clone(parameters, safe=False))

    def _alike(self) -> list[list[int]]:
        """Candidates whose last steps are fitted to the same rows, labels and metadata."""
        name = self.estimator.steps[-1][0] if isinstance(self.estimator, Pipeline) else ""
        found: dict[Any, list[int]] = {}
        for number, (parameters, pipeline) in enumerate(zip(self.candidates, self.pipelines, strict=True)):
            others = {k: v for k, v in parameters.items() if name and not k.startswith(f"{name}__")}
            if has_last_step(pipeline):
                found.setdefault(values_before(others, []), []).append(number)
        return list(found.values())

    def any_ours(self) -> bool:
        """Whether a search may train the last step of any candidate."""
        reasons = {number: why_not_ours(last_step(pipeline), None) for number, pipeline in enumerate(self.pipelines)}
        ours = {number for group in self.groups for number in group if reasons[number] is None}
        if not ours:
            self.why_alone.update({number: reason or _NOT_REACHED for number, reason in reasons.items()})
        return bool(ours)

    # ---- first pass

    def representatives(self) -> list[dict[str, Any]]:
        """Parameters of one candidate of each group, in the order of :meth:`note`."""
        return [self.candidates[group[0]] for group in self.groups]

    def note(self, parameters: dict[str, Any]) -> Any:
        """The next pipeline of the first pass, whose last step notes what it is fitted to."""
        group, split = self.groups[self.n_opened // self.n_splits], self.n_opened % self.n_splits
        self.n_opened += 1
        pipeline = open_pipeline(self.pipelines[group[0]])
        memory = FoldMemory(pipeline, split, self.candidates[group[0]], self._memory, lend=True)

        def fit(step: Any, X: Any, y: Any, params: dict[str, Any]) -> None:
            for number in group:
                last = last_step(self.pipelines[number])
                self._notes[number, split] = Note(last, X, y, params, memory.fold, memory.seconds)

        LastStep(pipeline, fit, memory)
        return pipeline

    def all_failed(self) -> bool:
        """Whether the first pass went through all fits and none reached its last step."""
        return self.n_opened == len(self.groups) * self.n_splits and not self._notes

    def begin_second_pass(self) -> None:
        """The next pipeline that is opened is that of the first candidate and split; transformed rows are forgotten."""
        self._memory.forget_rows()
        self.n_opened, self._notes = 0, dict(sorted(self._notes.items()))

    # ---- second pass

    def open(self, parameters: dict[str, Any]) -> Any:
        """The next pipeline of the second pass, whose last step takes what was trained.

        A fit that is not trained yet is trained here, outside of what scikit-learn takes for the errors of a candidate.
        """
        key = divmod(self.n_opened, self.n_splits)
        self.n_opened += 1
        if key[0] >= len(self.candidates):
            return self._configured(parameters)  # the best candidate is fitted to all rows
        result = self._result(key)
        if result is None:
            self.on_progress(1.0)
            return clone(self.pipelines[key[0]])

        def take(step: Any, X: Any, y: Any, params: dict[str, Any]) -> None:
            if result.error is not None:
                raise result.error
            vars(step).update(vars(result.fitted))

        self.seconds[key] = result.seconds
        pipeline = open_pipeline(self.pipelines[key[0]])
        memory = FoldMemory(pipeline, key[1], self.candidates[key[0]], self._memory, lend=False)
        LastStep(pipeline, take, memory)
        return pipeline

    def ways(self) -> list[str]:
        """Of each candidate ``"stacked"``, ``"solved"`` or ``"alone"``; ``"alone"`` if its folds differ."""
        found = [{self.how.get((c, s), "alone") for s in range(self.n_splits)} for c in range(len(self.candidates))]
        return [kinds.pop() if len(kinds) == 1 else "alone" for kinds in found]

    def _result(self, key: Key) -> Result | None:
        """The result of a fit; None: its pipeline is to be fitted as usual."""
        if key in self._notes:
            self._train()
        if key in self._errors:
            return self._errors.pop(key)
        if key in self._fits:
            return self._finished(self._fits.pop(key))
        if key not in self._alone_keys:
            self.why_alone.setdefault(key[0], _NOT_REACHED)
            return None
        self._alone_keys.remove(key)
        result = next(self._alone)
        if not self._alone_keys:
            next(self._alone, None)  # joblib wants to be asked once more
        self.on_progress(1.0)
        return result

    def _finished(self, fit: StackedFit) -> Result:
        if fit.error is not None:
            return Result(None, fit.seconds, fit.error)
        estimator = fit.estimator._set_fitted(fit.finish())
        estimator._predictor = ScoringPredictor(estimator._predictor, fit.start.module, fit.scored, fit.n_frozen)
        # parameters are shared with the other folds; the step that takes these attributes has its own
        fitted = {key: value for key, value in vars(estimator).items() if key.endswith("_") or key.startswith("_")}
        return Result(SimpleNamespace(**fitted), fit.seconds)

    # ---- training

    def _train(self) -> None:
        """Train the next fits, as many as memory allows at once."""
        n_bytes, by_key, alone = 0, dict[Any, list[StackedFit]](), dict[Key, Note]()
        with self._starts:
            while self._notes and n_bytes <= frozen_features.BUDGET:
                key = next(iter(self._notes))
                note = self._notes.pop(key)
                together = self._begin(key, note)
                if isinstance(together, str):
                    self.why_alone.setdefault(key[0], together)
                    alone[key] = note
                elif together is not None:
                    by_key.setdefault(together, []).append(self._fits[key])
                    n_bytes += self._fits[key].nbytes
            stacks = [stack for group in by_key.values() for stack in make_stacks(group, self.n_workers)]
            train_stacks(stacks, self.n_workers, self.on_progress, self._check_stack)
        if alone and not self.watched:
            self._alone_keys = list(alone)
            self._alone = self._fit_in_workers(list(alone.values()))

    def _fit_in_workers(self, notes: list[Note]) -> Iterator[Result]:
        """Fit each by its own ``fit``, in joblib's workers."""
        with ExitStack() as stack:
            if self.workers:
                stack.enter_context(parallel_config(**self.workers))
            # results one by one where the backend can do that, for the progress bar
            one_by_one = get_active_backend()[0].supports_return_generator
            options = {"return_as": "generator"} if one_by_one else {}
            parallel = Parallel(n_jobs=self.n_jobs, pre_dispatch=self.pre_dispatch, **options)
            return iter(parallel(delayed(_fit_alone)(note) for note in notes))

    def _begin(self, key: Key, note: Note) -> Any:
        """Start one fit. The key of its stack, a sentence that says why it trains alone, or None if it is done."""
        if (reason := why_not_ours(note.estimator, note.params)) is not None:
            return reason
        try:
            fit = self._starts.start(note)
        except Exception as error:  # as in scikit-learn's loop: what a fit raises is the result of this fit
            self._errors[key] = Result(None, note.seconds, error)
            self.why_alone.setdefault(key[0], f"its fit raises {type(error).__name__}")
            self.on_progress(1.0)
            return None
        together: Any = stack_key(fit)
        if isinstance(together, str):
            return together
        self._fits[key], self.how[key] = fit, "stacked" if fit.plans else "solved"
        if fit.plans:
            return together
        self.on_progress(1.0)
        return None

    def _check_stack(self, stack: Stack) -> None:
        """Warn of fits that became worse; called when a stack is trained."""
        for fit in (fit for batch in stack for fit in batch if fit.error is None):
            warn_if_worse(type(fit.estimator).__name__, fit.history, fit.estimator.lr, fit.task.chance_loss)
        self._starts.limit_memory()


def _fit_alone(note: Note) -> Result:
    began, error = time.perf_counter(), None
    estimator = clone(note.estimator)
    try:
        estimator.fit(note.X, note.y, **note.params)
    except Exception as found:  # as in scikit-learn's loop: what a fit raises is the result of this fit
        error = found
    return Result(estimator, note.seconds + time.perf_counter() - began, error)


@contextmanager
def in_this_process() -> Iterator[dict[str, Any]]:
    """Make joblib run in this process what has ``n_jobs=1``.

    Some backends take ``n_jobs=1`` for all workers of their cluster, dask's among them. Fits that scikit-learn's loop
    sent there would not be those that were trained here.

    Yields
    ------
    dict
        Arguments of :func:`joblib.parallel_config` that give the workers back; empty if nothing was changed.
    """
    backend, n_jobs = get_active_backend()
    if backend.effective_n_jobs(1) == 1:
        yield {}
        return
    with parallel_config(backend="sequential"):
        yield {"backend": backend, "n_jobs": n_jobs}


def count_workers(n_jobs: int | None) -> int:
    """Threads for `n_jobs` as joblib understands it, no more than there are cores."""
    return max(1, min(effective_n_jobs(n_jobs), cpu_count()))


class _Stopped(BaseException):
    """Another thread failed, or the caller was interrupted."""


def train_stacks(
    stacks: Sequence[Stack], n_workers: int, on_progress: Callable[[float], None], done: Callable[[Stack], None]
) -> None:
    """Train stacks one after the other, or side by side in threads; `done` gets each in the caller's thread.

    BLAS and torch let other threads run while they compute, so threads share the rows, the frozen features and the
    backbone without copies. What any of them or `done` raises, and Ctrl-C, ends all of them at their next epoch.

    Parameters
    ----------
    stacks : sequence of list of list of StackedFit
    n_workers : int
        Threads; 1: the caller's own.
    on_progress : callable
        Told of the share of one fit that was done, by one thread at a time.
    done : callable
    """
    stop, one_at_a_time = Event(), Lock()

    def on_epoch(n_fits: int, share: float) -> None:
        if stop.is_set():
            raise _Stopped
        with one_at_a_time:
            on_progress(n_fits * share)

    def train(stack: Stack) -> Stack:
        n_jobs = stack[0][0].estimator.n_jobs
        with capped_threads(n_jobs):
            train_stack(stack, on_epoch)
        return stack

    if min(n_workers, len(stacks)) <= 1:
        for stack in stacks:
            done(train(stack))
        return
    with ThreadPoolExecutor(n_workers) as pool:
        try:
            for future in as_completed([pool.submit(train, stack) for stack in stacks]):
                done(future.result())
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
