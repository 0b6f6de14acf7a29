"""Masked arrays of numpy: what is masked is missing, and the number behind a mask, which numpy hands on, is none."""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.utils.counted_nouns import counted


def without_mask(X: Any) -> Any:
    """A masked array, or a list of such, as plain ones, NaN where they are masked; anything else as it is."""
    if isinstance(X, np.ma.MaskedArray):
        if not np.ma.is_masked(X) or X.dtype.kind not in "biuf":
            return X.data
        return np.where(np.ma.getmaskarray(X), np.nan, X.data.astype(np.promote_types(X.dtype, np.float32)))
    if isinstance(X, list | tuple) and any(isinstance(one, np.ma.MaskedArray) for one in X):
        return [without_mask(one) for one in X]
    return X


def refuse_mask(name: str, what: str, values: Any) -> None:
    """Raise a ValueError for masked entries of labels, weights or domains."""
    if np.ma.is_masked(values):
        rows = np.flatnonzero(np.ma.getmaskarray(values).reshape(len(values), -1).any(axis=1))
        raise ValueError(
            f"{name}: {what} is masked in {counted(len(rows), 'row')}, the first are {rows[:5].tolist()}. Drop these "
            "rows."
        )
