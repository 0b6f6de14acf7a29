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
from sktransfer.backbones.columns import compare_shapes
from sktransfer.backbones.from_scratch import FromScratch
from sktransfer.backbones.persistence import load_backbone
from sktransfer.strategies.base import Strategy
from sktransfer.utils.chunks import chunk_of, in_chunks
from sktransfer.utils.precision import number_format
from sktransfer.utils.random import build_seeded
from sktransfer.validation import rows as _validation
from sktransfer.validation import windows as _window_checks
from sktransfer.windows.windows import same_fields

_WINDOWS = "windows (n_windows, n_channels, length)"


def given_backbone(backbone: Any, X: Any) -> Backbone | None:
    """What checks and prepares `X`: the pretrained backbone that a parameter stands for, or one of other weights.

    None if what the network takes is read off `X`.
    """
    if isinstance(backbone, str | os.PathLike):
        return load_backbone(backbone)
    if isinstance(backbone, FromScratch):
        if backbone.inputs is None:
            return None
        n_channels = backbone.inputs.n or (*getattr(X, "shape", ()), 1, 1)[1]
        return build_seeded(lambda: backbone.build(n_channels), 0)
    return backbone


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


def check_input(estimator: Any, X: Any, backbone: Backbone | None, *, reset: bool) -> np.ndarray:
    """`X` checked for what the estimator's backbone takes.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and its kin if `reset`, ``sampling_rate_`` among them.
    X : array-like of shape (n_samples, n_features), (n_windows, n_channels, window_length) or (n_images, n_channels, \
height, width)
    backbone : Backbone or None
        None: a network is yet to be built, for windows or rows as ``estimator.backbone`` says.
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
    taken = dimensions_taken(estimator.backbone) if backbone is None else backbone.n_dimensions
    found = 2 if issparse(X) else _window_checks.count_dimensions(X)
    if issparse(X) or (found <= 2 and taken in (None, 2)):
        X = _validation.check_rows(estimator, X, reset=reset)
        if reset:
            estimator.sampling_rate_ = None
        return X
    if taken not in (None, found):
        raise _other_dimensions(estimator, X, backbone, found, taken)
    X = _window_checks.check_windows(estimator, X, reset=reset)
    if backbone is not None:
        compare_shapes(type(estimator).__name__, backbone, X.shape)
    takes, name = (None, "") if backbone is None else (backbone.inputs.sampling_rate, backbone.name)
    _window_checks.check_rate(estimator, X, takes, name, reset=reset)
    return X


def _other_dimensions(estimator: Any, X: Any, backbone: Backbone | None, found: int, taken: int) -> ValueError:
    who = type(estimator).__name__
    named = f"its network {'mlp' if taken == 2 else 'cnn'!r}" if backbone is None else f"its backbone {backbone.name!r}"
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


def _sizes(backbone: Backbone | None) -> str:
    shape = () if backbone is None else backbone.inputs.shape or ()
    return ", ".join("any" if size is None else str(size) for size in shape)


def warn_of_quality(who: str, X: np.ndarray, names: list[str]) -> None:
    """Warn of columns or channels that look wrong although every cell is a number."""
    if X.ndim == 2:
        _validation.warn_of_quality(who, X, names)
    else:
        _window_checks.warn_of_window_quality(who, X)


def prepared(who: str, X: np.ndarray, backbone: Backbone | None, names: list[str]) -> np.ndarray:
    """Checked `X` as the first block takes it, C-contiguous and in the number format of networks.

    Raises
    ------
    ValueError
        If a value of a row is too large, or the front end returns what is no number.
    """
    if X.ndim == 2:
        return _validation.to_float32(who, X, names)
    if backbone is None:
        return np.ascontiguousarray(X, dtype=number_format())
    out: np.ndarray | None = None
    for part in in_chunks(len(X), chunk_of(X)):
        found = backbone.prepare(X[part])
        if out is None:  # filled chunk by chunk: a front end may need many times what it returns
            out = np.empty((len(X), *found.shape[1:]), dtype=number_format())
        out[part] = found
    if out is None or not np.isfinite(out).all():
        raise ValueError(f"{who}: the front end of the backbone returned values that are not finite for these windows.")
    return out


def raw_windows(X: np.ndarray, backbone: Backbone | None, strategy: Strategy | None) -> np.ndarray | None:
    """`X` in the number format of networks if it may be augmented ahead of a front end; else None: nothing is kept."""
    if backbone is None or backbone.inputs.front_end is None or strategy is None:
        return None
    n_blocks = len(backbone.blocks)
    if all(strategy.augment(n_frozen, n_blocks) is None for n_frozen in range(n_blocks + 1)):
        return None
    return same_fields(X, np.ascontiguousarray(X, dtype=number_format()))
