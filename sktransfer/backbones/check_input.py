r"""`X` as a backbone takes it: rows of a table, windows or images, checked and prepared.

::

    X --as many dimensions as the backbone takes?--> rows:            `_validation.py`
                                                 \-> windows, images: `_window_checks.py`, rate, shape
    checked X --front end of the backbone--> what its first block takes, float32
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

import numpy as np
from scipy.sparse import issparse

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.columns import compare_columns, compare_shapes
from sktransfer.backbones.from_scratch import FromScratch
from sktransfer.utils.chunks import chunk_of, in_chunks
from sktransfer.validation import rows as _validation
from sktransfer.validation import windows as _window_checks

_WINDOWS = "windows (n_windows, n_channels, length)"


def dimensions_taken(backbone: Any) -> int | None:
    """Dimensions of the `X` that the parameter ``backbone`` allows; None: those of rows and of windows."""
    return backbone.n_dimensions if isinstance(backbone, Backbone | FromScratch) else None


def tag_dimensions(tags: Any, backbone: Any) -> Any:
    """scikit-learn's `tags` with the kinds of `X` that the parameter ``backbone`` allows; a file is not read for it."""
    taken = dimensions_taken(backbone)
    tags.input_tags.two_d_array, tags.input_tags.three_d_array = taken in (None, 2), taken in (None, 3)
    return tags


def input_key(backbone: Any) -> Hashable:
    """Equal for backbones that check and prepare `X` alike."""
    inputs = backbone.inputs if isinstance(backbone, Backbone | FromScratch) else None
    if inputs is not None:
        return inputs.shape, inputs.sampling_rate, inputs.front_end
    return str(backbone) if isinstance(backbone, str | os.PathLike) else dimensions_taken(backbone)


def check_input(estimator: Any, X: Any, backbone: Backbone | FromScratch, *, reset: bool) -> np.ndarray:
    """`X` checked for what the estimator's backbone takes.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and its kin if `reset`, ``sampling_rate_`` among them.
    X : array-like of shape (n_samples, n_features), (n_windows, n_channels, window_length) or (n_images, n_channels, \
height, width)
    backbone : Backbone or FromScratch
        What it does not say of its inputs is read off `X`.
    reset : bool
        Whether this is ``fit``.

    Returns
    -------
    ndarray
        Float32 or float64; a :class:`Windows` if `X` was one.

    Raises
    ------
    ValueError
        If `X` has other dimensions, channels, samples or a sampling rate than the backbone takes, and for all that
        the checks of rows or windows refuse.
    """
    taken = backbone.n_dimensions
    found = 2 if issparse(X) else _window_checks.count_dimensions(X)
    if issparse(X) or (found <= 2 and taken in (None, 2)):
        X = _validation.check_rows(estimator, X, reset=reset)
        if reset:
            estimator.sampling_rate_ = None
            if backbone.inputs is not None:
                names = getattr(estimator, "feature_names_in_", None)
                compare_columns(type(estimator).__name__, backbone, X.shape[1], names)
        return X
    if taken not in (None, found):
        raise _other_dimensions(estimator, X, backbone, found, taken)
    X = _window_checks.check_windows(estimator, X, reset=reset)
    rates = None
    if backbone.inputs is not None:
        compare_shapes(type(estimator).__name__, backbone, X.shape)
        rates = backbone.inputs.sampling_rate
    _window_checks.check_rate(estimator, X, rates, backbone.name, reset=reset)
    return X


def _other_dimensions(estimator: Any, X: Any, backbone: Backbone | FromScratch, found: int, taken: int) -> ValueError:
    who, named = type(estimator).__name__, f"its backbone {backbone.name!r}"
    if backbone.inputs is None:
        named = f"its network {'mlp' if taken == 2 else 'cnn'!r}"
    shape = f"shape {np.shape(X)}" if hasattr(X, "shape") else f"{found} dimensions"
    if taken == 2:
        what = "windows of" if found == 3 else "an array of"
        return ValueError(
            f"Found array with dim {found}. {who} got {what} {shape}, but {named} takes rows of a table, (n_samples, "
            "n_features): use LaggedWindows, flatten each window into one row, or pass a backbone of windows."
        )
    if found <= 2 and taken == 3:
        return ValueError(
            f"{who} got X of {shape}, but {named} takes {_WINDOWS}: cut the recordings with SlidingWindows."
        )
    takes = _WINDOWS if taken == 3 else f"{taken} dimensions, (n_samples, {_sizes(backbone)})"
    return ValueError(f"{who} got X of {shape}, but {named} takes {takes}.")


def _sizes(backbone: Backbone | FromScratch) -> str:
    shape = () if backbone.inputs is None else backbone.inputs.shape or ()
    return ", ".join("any" if size is None else str(size) for size in shape)


def warn_of_quality(who: str, X: np.ndarray, names: list[str]) -> None:
    """Warn of columns or channels that look wrong although every cell is a number."""
    if X.ndim == 2:
        _validation.warn_of_quality(who, X, names)
    else:
        _window_checks.warn_of_window_quality(who, X)


def prepared(who: str, X: np.ndarray, backbone: Backbone, names: list[str], dtype: Any = np.float32) -> np.ndarray:
    """Checked `X` as the first block takes it, C-contiguous, of type `dtype`.

    Raises
    ------
    ValueError
        If a value of a row is too large, or the front end returns what is no number.
    """
    if X.ndim == 2:
        return _validation.to_float32(who, X, names, dtype)
    out: np.ndarray | None = None
    for part in in_chunks(len(X), chunk_of(X)):
        found = backbone.prepare(X[part])
        if out is None:  # filled chunk by chunk: a front end may need many times what it returns
            out = np.empty((len(X), *found.shape[1:]), dtype=dtype)
        out[part] = found
    if out is None or not np.isfinite(out).all():
        raise ValueError(f"{who}: the front end of the backbone returned values that are not finite for these windows.")
    return out
