"""scikit-learn's own callbacks (1.9 and later): progress bars in Pipeline and GridSearchCV, one task an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9 has no callbacks; skorch's PrintLog shows progress there

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return `method` as it is."""
        return method


__all__ = ["CallbackSupport", "FitTask", "SearchTask", "with_callbacks"]


class CallbackSupport(CallbackSupportMixin):
    """scikit-learn's mixin, whose callbacks are left out of pickles: a progress bar does not belong into a file."""

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_skl_callbacks"}


class FitTask:
    """The task tree of one fit: a root and one subtask an epoch. Does nothing where there are no callbacks.

    Parameters
    ----------
    estimator : estimator
        The one being fitted.
    X, y : ndarray
        Passed on to the callbacks.
    n_epochs : int
        How many subtasks there will be; 0 where nothing trains by epochs.
    fits_it : bool, default=False
        Whether the estimator is fitted at the end of the block. Callbacks may then transform and score with it.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, n_epochs: int, *, fits_it: bool = False):
        self._of, self._fits_it = {"estimator": estimator, "X": X, "y": y}, fits_it
        self._root = None
        if hasattr(estimator, "_init_callback_context"):
            self._root = estimator._init_callback_context(max_subtasks=n_epochs)
            self._root.call_on_fit_task_begin(**self._of)

    def epoch(self, number: int, loss: float) -> bool:
        """One epoch is over; True if a callback asks to stop."""
        if self._root is None:
            return False
        task = self._root.subcontext(task_name="epoch")
        task.call_on_fit_task_begin(**self._of)
        return bool(task.call_on_fit_task_end(**self._of, metadata=None))

    def __enter__(self) -> FitTask:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """The fit is over, well or not."""
        if self._root is not None:
            fitted: dict[str, Any] = {"reconstruction_attributes": {}} if self._fits_it and kind is None else {}
            self._root.call_on_fit_task_end(**self._of, **fitted)


class SearchTask:
    """The task tree of a search, below its root. Does nothing where scikit-learn has no callbacks.

    ::

        search --> training: one task a fit, as the fits that train together go on
               --> evaluation: one task a fit, as scikit-learn's search has them

    A search whose fits do not train together has the second part alone, directly below ``search``, as in scikit-learn.

    Parameters
    ----------
    search : estimator
        The search, for callbacks.
    context : object or None
        What scikit-learn passes to ``_run_search``; None before 1.9.
    n_fits : int
        Candidates times splits.
    fits : object or None
        Its ``on_progress`` is called with shares of fits that were trained together. None: no fits train together.
    """

    def __init__(self, search: Any, context: Any, n_fits: int, fits: Any):
        self._search, self._context, self._n_fits, self._fits = search, context, n_fits, fits
        self._n_begun, self._trained = 0, 0.0

    def __enter__(self) -> dict[str, Any]:
        """What scikit-learn's ``evaluate_candidates`` takes besides the candidates."""
        if self._context is None:
            return {}
        many = {"max_subtasks": self._n_fits, "sequential_subtasks": False}
        if self._fits is None:
            self._task = self._begin(self._context, task_name="search", **many)
            return {"callback_ctx": self._task}
        self._task = self._begin(self._context, task_name="search", max_subtasks=2)
        self._training = self._begin(self._task, task_name="training", max_subtasks=self._n_fits)
        self._evaluation = self._begin(self._task, task_name="evaluation", **many)
        self._show, self._fits.on_progress = self._fits.on_progress, self._advance
        return {"callback_ctx": self._evaluation}

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """The search is over; after an error scikit-learn ends no task of it, either."""
        if self._context is None or kind is not None:
            return
        if self._fits is not None:
            self._fits.on_progress = self._show
            self._end_fits(self._n_fits)  # what stopped early is done, too
            self._end(self._training)
            self._end(self._evaluation)
        self._end(self._task)

    def _advance(self, share: float) -> None:
        self._show(share)
        self._trained += share
        self._end_fits(int(self._trained + 1e-6))

    def _end_fits(self, n_done: int) -> None:
        for _ in range(min(n_done, self._n_fits) - self._n_begun):
            self._n_begun += 1
            self._end(self._begin(self._training, task_name="fit"))

    def _begin(self, parent: Any, **options: Any) -> Any:
        task = parent.subcontext(**options)
        task.call_on_fit_task_begin(estimator=self._search)
        return task

    def _end(self, task: Any) -> None:
        task.call_on_fit_task_end(estimator=self._search)
