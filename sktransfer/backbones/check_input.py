r"""`X` as a backbone takes it: rows of a table, windows or images, checked and prepared.

::

    X --as many dimensions as the backbone takes?--> rows            --same columns?
                                                 \-> windows, images --same channels, length, rate?
    checked X --front end of the backbone--> what its first block takes, float32
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.from_scratch import FromScratch
from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.chunks import chunk_of, in_chunks
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import CountedWarning, warn_caller, warn_of
from sktransfer.utils.precision import merged_columns
from sktransfer.validation.rows import check_rows, names_seen, to_float32
from sktransfer.validation.unusable import words_of
from sktransfer.validation.windows import (
    channel_names,
    check_fields,
    check_rate,
    check_windows,
    compare_channels,
    count_dimensions,
)

_SOME = 64  # windows that show whether float32 holds their values

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
    if isinstance(backbone, Backbone):
        return id(backbone)  # each finds other rows foreign
    inputs = backbone.inputs if isinstance(backbone, FromScratch) else None
    if inputs is not None:
        return inputs.shape, inputs.n, inputs.names, inputs.sampling_rate, inputs.front_end
    return str(backbone) if isinstance(backbone, str | os.PathLike) else dimensions_taken(backbone)


def check_input(estimator: Any, X: Any, backbone: Backbone | FromScratch, *, reset: bool) -> np.ndarray:
    """`X` checked for what the estimator's backbone takes.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and its kin if `reset`, ``sampling_rate_`` and ``window_fields_`` among them.
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
    name, taken = type(estimator).__name__, backbone.n_dimensions
    found = 2 if issparse(X) else count_dimensions(X)
    if issparse(X) or (found <= 2 and taken in (None, 2)):
        X = check_rows(estimator, X, reset=reset)
        if reset:
            estimator.sampling_rate_ = None
            if backbone.inputs is not None:
                compare_columns(name, backbone, X.shape[1], names_seen(estimator))
        return X
    if taken not in (None, found):
        raise _other_dimensions(name, X, backbone, found, taken)
    X, rates = check_windows(estimator, X, reset=reset), None
    if backbone.inputs is not None:
        compare_shapes(name, backbone, X.shape)
        if reset:  # later they are compared with those of `fit`
            channels = [str(one) for one in getattr(X, "channels", None) or ()] or None
            whose = f"its backbone {backbone.name!r} was pretrained on"
            compare_channels(name, channels, backbone.inputs.names, whose, "backbone.inputs.names")
        rates = backbone.inputs.sampling_rate
    check_rate(estimator, X, rates, backbone.name, reset=reset)
    if backbone.inputs is not None and backbone.inputs.front_end is not None:
        check_fields(estimator, X, reset=reset)
    return X


def _other_dimensions(name: str, X: Any, backbone: Backbone | FromScratch, found: int, taken: int) -> ValueError:
    named = f"its backbone {backbone.name!r}"
    if backbone.inputs is None:
        named = f"its network {'mlp' if taken == 2 else 'cnn'!r}"
    shape = f"shape {np.shape(X)}" if hasattr(X, "shape") else f"{found} dimensions"
    if taken == 2:
        what = "windows of" if found == 3 else "an array of"
        return ValueError(
            f"Found array with dim {found}. {name} got {what} {shape}, but {named} takes rows of a table, (n_samples, "
            "n_features): use LaggedWindows, flatten each window into one row, or pass a backbone of windows."
        )
    if found <= 2 and taken == 3:
        return ValueError(
            f"{name} got X of {shape}, but {named} takes {_WINDOWS}: cut the recordings with SlidingWindows."
        )
    takes = _WINDOWS if taken == 3 else f"{taken} dimensions, (n_samples, {_sizes(backbone)})"
    return ValueError(f"{name} got X of {shape}, but {named} takes {takes}.")


def _sizes(backbone: Backbone | FromScratch) -> str:
    shape = () if backbone.inputs is None else backbone.inputs.shape or ()
    return ", ".join("any" if size is None else str(size) for size in shape)


def compare_columns(name: str, backbone: Backbone | FromScratch, n_columns: int, names: Sequence[str] | None) -> None:
    """Compare the columns of the rows with those that the backbone was pretrained on.

    Another number or order of columns is a ValueError; other names are a warning, because plants name the same sensor
    differently.
    """
    found, known = ([] if n is None else list(n) for n in (names, backbone.inputs and backbone.inputs.names))
    if backbone.n_features_in not in (None, n_columns):
        detail = ""
        if found and known:
            missing, extra = [n for n in known if n not in found], [n for n in found if n not in known]
            detail = f" Missing: {missing[:8]}; unknown: {extra[:8]}."
        raise ValueError(
            f"{name} got X with {counted(n_columns, 'feature')}, but its backbone {backbone.name!r} was pretrained on "
            f"{backbone.n_features_in}.{detail} Select the same columns, or pass a backbone trained on these."
        )
    if not found or not known or found == known:
        return
    if sorted(found) == sorted(known):
        raise ValueError(
            f"{name} got the columns of backbone {backbone.name!r} in another order. "
            "Select them by name: X[list(backbone.inputs.names)]."
        )
    first = next((n, k) for n, k in zip(found, known, strict=False) if n != k)
    warn_caller(
        f"{name} got other column names than backbone {backbone.name!r} was pretrained on (first: {first[0]!r} "
        f"where it had {first[1]!r}). Make sure that they are the same sensors in the same order."
    )


def compare_shapes(name: str, backbone: Backbone | FromScratch, shape: Sequence[int]) -> None:
    """Raise a ValueError unless windows or images of this shape are what the backbone takes.

    Parameters
    ----------
    shape : sequence of int
        Of `X`.
    """
    takes = (backbone.inputs and backbone.inputs.shape) or (None,) * (len(shape) - 1)
    if takes[0] not in (None, shape[1]):
        raise ValueError(
            f"{name} got windows of {shape[1]} channels, but its backbone {backbone.name!r} takes {takes[0]}. Select "
            "the same channels, or pass a backbone that takes any number."
        )
    if any(size not in (None, found) for size, found in zip(takes[1:], shape[2:], strict=True)):
        known = " x ".join("any" if size is None else str(size) for size in takes[1:])
        raise ValueError(
            f"{name} got samples of {' x '.join(map(str, shape[2:]))} values a channel, but its backbone "
            f"{backbone.name!r} takes {known}. Cut windows, or scale images, to that size."
        )


def prepared(name: str, X: np.ndarray, backbone: Backbone, names: list[str], dtype: Any = np.float32) -> np.ndarray:
    """Checked `X` as the first block takes it, C-contiguous, of type `dtype`.

    Raises
    ------
    ValueError
        If a value of a row is too large, or the front end returns what is no number.
    """
    if backbone.inputs.front_end is None and np.dtype(dtype) == np.float32:
        _warn_of_merged(name, X, names if X.ndim == 2 else channel_names(X))
    if X.ndim == 2:
        return to_float32(name, X, names, dtype)
    out: np.ndarray | None = None
    for part in in_chunks(len(X), chunk_of(X)):
        found = backbone.prepare(X[part])
        if out is None:  # filled chunk by chunk: a front end may need many times what it returns
            out = np.empty((len(X), *found.shape[1:]), dtype=dtype)
        out[part] = found
    if out is None or not np.isfinite(out).all():
        raise ValueError(
            f"{name}: the front end of the backbone returned values that are not finite for these windows."
        )
    return out


def _warn_of_merged(name: str, X: np.ndarray, names: list[str]) -> None:
    """Warn of columns or channels whose different values become one in float32, in which networks compute."""
    if X.dtype != np.float64 or X.ndim > 3:
        return
    parts = [X] if X.ndim == 2 else [window.T for window in np.asarray(X[:_SOME])]
    merged = [names[j] for j in merged_columns(parts, np.float32)]
    column = words_of(X)[0]
    text = (
        f"{name}: the {column}s {{names}} lie so far from zero, compared with how much they vary, that different "
        "values become one in float32, in which networks compute. Put a scaler before it, such as BaselineScaler(), or "
        "count from a start, such as the time since the last overhaul."
    )
    warn_of(CountedWarning(text, DataQualityWarning, len(merged), names=merged, merge=max))
