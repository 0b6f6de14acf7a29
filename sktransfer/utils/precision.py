"""What the digits of a type can tell: differences that get lost in it, and spreads that are its rounding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sktransfer.utils.chunks import in_parts

_COARSE = 1e-3  # a step of the type this large, relative to the range of the values, is felt
_NOISE = 1e-12  # a range this small, relative to the values, is rounding of one constant
_FEW = 0.01
_LOOKED_AT = 4096  # rows that show whether all must be looked at


def least_spread(level: np.ndarray, dtype: Any) -> np.ndarray:
    """The spread that rounding alone gives numbers of such a level, which came as `dtype`: less is no spread."""
    own = float(np.finfo(dtype).eps) if np.dtype(dtype).kind == "f" else 0.0
    return np.abs(level) * max(10 * np.finfo(np.float64).eps, own)


def merged_columns(parts: Iterable[np.ndarray], dtype: Any) -> np.ndarray:
    """Indices of columns in which `dtype` makes neighbouring values equal that were not, in many rows.

    Parameters
    ----------
    parts : iterable of ndarray of shape (n_rows, n_columns)
        Parts of one table, each with its rows in order; may hold NaN.
    dtype : float32 or float64

    Returns
    -------
    ndarray of shape (n_merged,)
        Columns whose range is less than a thousand steps of `dtype` at their offset, and in which at least 1 % of the
        changes from one row to the next get lost. A constant with rounding errors is none.
    """
    parts = [part for part in parts if len(part) and not _is_exact(part.dtype, np.finfo(dtype))]
    if not parts:
        return np.zeros(0, dtype=np.intp)
    # a column whose range is small shows a smaller one in some of its rows
    some = [part[:: max(1, len(part) * len(parts) // _LOOKED_AT)] for part in parts]
    columns = np.flatnonzero(_is_coarse(some, dtype, noise=0.0))
    parts = [part[:, columns] for part in parts] if len(columns) else []
    if parts:
        coarse = _is_coarse(parts, dtype, noise=_NOISE)
        columns, parts = columns[coarse], [part[:, coarse] for part in parts]
    changes, kept = np.zeros(len(columns), dtype=np.int64), np.zeros(len(columns), dtype=np.int64)
    for part in parts:
        for rows in in_parts(part):
            changes += (np.diff(part[rows], axis=0) != 0).sum(axis=0)
            kept += (np.diff(part[rows].astype(dtype), axis=0) != 0).sum(axis=0)
    return columns[changes - kept > _FEW * changes]


def _is_exact(kind: np.dtype, of: np.finfo) -> bool:
    """Whether the type `of` holds every number of the type `kind`."""
    return kind.kind == "b" or 8 * kind.itemsize <= (of.bits if kind.kind == "f" else of.nmant + 1)


def _is_coarse(parts: list[np.ndarray], dtype: Any, *, noise: float) -> np.ndarray:
    """Whether a step of `dtype` at the size of a column is large for its range, shape (n_columns,).

    With `noise`, columns whose range is at most this share of their size are left out.
    """
    low = np.fmin.reduce([np.fmin.reduce(part, axis=0) for part in parts])
    high = np.fmax.reduce([np.fmax.reduce(part, axis=0) for part in parts])
    exact = np.uint64 if low.dtype.kind in "iu" else np.float64  # in which integers wrap round, and back
    span = (high.astype(exact) - low.astype(exact)).astype(np.float64)
    size = np.maximum(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))
    with np.errstate(invalid="ignore"):
        coarse = size * np.finfo(dtype).eps > _COARSE * span
        return coarse & ((span > (noise * size if low.dtype.kind == "f" else 0)) | (noise == 0))
