"""Smallest and largest value of each column, in one pass over wide rows."""

from __future__ import annotations

import numpy as np

_WIDTH = 512  # numbers side by side: a row of a table is too short for the vector units of a core


def column_extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each column or channel; NaN is left out where there is a number.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)

    Returns
    -------
    lowest, highest : ndarray of shape (n_columns,) or (n_channels,)
        Of the dtype of `values`.
    """
    if values.ndim == 3 and values.shape[-1] > 1:
        return np.fmin.reduce(values, axis=(0, 2)), np.fmax.reduce(values, axis=(0, 2))
    table = values.reshape(len(values), -1)
    n_columns = table.shape[1]
    n_together = _WIDTH // n_columns
    is_wide = n_together > 1 and len(table) >= 2 * n_together and table.flags.c_contiguous
    n_wide = len(table) // n_together * n_together if is_wide else 0
    if not is_wide:
        return np.fmin.reduce(table, axis=0), np.fmax.reduce(table, axis=0)
    wide = table[:n_wide].reshape(-1, n_together * n_columns)

    def of(reduce: np.ufunc) -> np.ndarray:
        narrow = reduce.reduce(wide, axis=0).reshape(n_together, n_columns)
        return reduce.reduce(np.concatenate([narrow, table[n_wide:]]), axis=0)

    return of(np.fmin), of(np.fmax)
