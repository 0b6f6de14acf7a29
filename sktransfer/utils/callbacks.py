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


__all__ = ["CallbackSupport", "FitTask", "with_callbacks"]


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
    """

    def __init__(self, estimator: Any, X: Any, y: Any, n_epochs: int):
        self._of = {"estimator": estimator, "X": X, "y": y}
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

    def __exit__(self, *error: object) -> None:
        """The fit is over, well or not."""
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._of)
