"""Windows stay windows where frames are asked for: ``set_output(transform="pandas")`` is for rows of a table.

::

    transform(X), frames asked for:   rows    --> scikit-learn makes a frame of them
                                      windows --> as they are: three axes make no frame
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from sklearn.base import TransformerMixin

from sktransfer.validation.windows import count_dimensions


class WindowsOut(TransformerMixin):
    """scikit-learn's mixin of transformers, whose outputs of three axes are never put into a frame."""

    def fit_transform(self, X, y=None, **fit_params):
        """Fit, then transform the same rows or windows. Parameters and errors are those of ``fit``."""
        return self.fit(X, y, **fit_params).transform(X)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("transform", "fit_transform"):
            in_frames: Any = getattr(cls, name, None)
            plain = getattr(in_frames, "__wrapped__", None)
            if plain is not None and not hasattr(in_frames, "keeps_windows"):
                setattr(cls, name, _chosen(in_frames, plain))


def _chosen(in_frames: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """`plain` for windows, `in_frames` for rows."""

    @wraps(plain)
    def method(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        return (plain if count_dimensions(X) == 3 else in_frames)(self, X, *args, **kwargs)

    method.keeps_windows = True  # type: ignore[attr-defined]
    return method
