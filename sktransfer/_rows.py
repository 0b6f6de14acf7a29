"""Training rows in canonical form, so that a fit depends on the weighted set of rows and on nothing else.

Exact copies of a row (same columns, same label) become one row with the sum of their weights, rows of weight zero
are dropped, and the rest is put in an order that does not depend on the order in which it came. Therefore a weight
of three equals the row three times, to the last bit, and shuffling the rows changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class TrainingRows(NamedTuple):
    """Rows, labels and weights of one fit; ``y`` is codes of shape (n,) or values of shape (n, n_outputs)."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray


def canonical(X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> TrainingRows:
    """Merge exact copies, drop weightless rows, sort.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...), float32
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    weight : ndarray of shape (n_samples,), float64, at least 0

    Returns
    -------
    TrainingRows
    """
    keep = weight > 0
    if not keep.all():
        X, y, weight = X[keep], y[keep], weight[keep]
    flat = X.reshape(len(X), -1)
    key = _row_hash(flat) ^ (_row_hash(y.reshape(len(y), -1).astype(np.float64)) << np.uint64(1))
    # first by a number that rounding hardly moves, so that a float32 copy of the rows is put in the same order
    order = np.lexsort((key, _place(flat)))
    X, y, weight, key = X[order], y[order], weight[order], key[order]
    same = np.zeros(len(X), dtype=bool)
    candidates = np.flatnonzero(key[1:] == key[:-1]) + 1
    if len(candidates) == 0:
        return TrainingRows(X, y, weight)
    # equal hashes are only candidates: the cells decide
    flat = X.reshape(len(X), -1)
    equal = (flat[candidates] == flat[candidates - 1]).all(axis=1)
    equal &= (y[candidates] == y[candidates - 1]).reshape(len(candidates), -1).all(axis=1)
    same[candidates[equal]] = True
    starts = np.flatnonzero(~same)
    return TrainingRows(X[starts], y[starts], np.add.reduceat(weight, starts))


def count_batches(n_rows: int, batch_size: int) -> int:
    """How many batches of about `batch_size` rows, none of which is a single row (BatchNorm could not use it)."""
    return max(1, min(-(-n_rows // batch_size), n_rows // 2))


def _place(rows: np.ndarray) -> np.ndarray:
    """A fixed random projection of each row, float64, summed a column at a time: the same wherever the row stands."""
    directions = np.asarray(np.random.default_rng(1).normal(size=rows.shape[1]))
    place = np.zeros(len(rows))
    for j in range(rows.shape[1]):
        place += rows[:, j] * directions[j]
    return place


def _row_hash(rows: np.ndarray) -> np.ndarray:
    """A 64-bit hash of each row's bits; -0.0 and 0.0 are one value."""
    bits = (rows + 0.0).view(np.uint32 if rows.dtype.itemsize == 4 else np.uint64).astype(np.uint64, copy=False)
    multipliers = np.asarray(np.random.default_rng(0).integers(1, 2**63, size=bits.shape[1]), dtype=np.uint64)
    multipliers |= np.uint64(1)
    # a column at a time: no temporary as large as the rows
    key = np.zeros(len(rows), dtype=np.uint64)
    for j in range(bits.shape[1]):
        mixed = bits[:, j] * multipliers[j]
        key += mixed ^ (mixed >> np.uint64(29))
    return key
