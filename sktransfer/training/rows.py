"""Training rows in canonical form, so that a fit depends on the weighted set of rows and on nothing else.

Exact copies of a row (same columns, same label) become one row with the sum of their weights, rows of weight zero
are dropped, and the rest is put in an order that does not depend on the order in which it came. Therefore a weight
of three equals the row three times, to the last bit, and shuffling the rows changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class TrainingRows(NamedTuple):
    """Rows, labels and weights of one fit; ``y`` is codes of shape (n,) or values of shape (n, n_outputs).

    ``raw`` is what a front end made `X` of, where batches of it are augmented; else None.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    raw: np.ndarray | None = None


def merge_copies(X: np.ndarray, y: np.ndarray, weight: np.ndarray, raw: np.ndarray | None = None) -> TrainingRows:
    """Merge exact copies, drop weightless rows, sort.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...), float32
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    weight : ndarray of shape (n_samples,), float64, at least 0
    raw : ndarray of shape (n_samples, ...), optional
        Follows `X`, which decides alone what is a copy; of several copies one of `raw` is kept.

    Returns
    -------
    TrainingRows
    """
    keep = weight > 0
    if not keep.all():
        X, y, weight, raw = X[keep], y[keep], weight[keep], None if raw is None else raw[keep]
    flat = X.reshape(len(X), -1)
    key, place = _fingerprint(flat)
    key ^= _fingerprint(y.reshape(len(y), -1).astype(np.float64))[0] << np.uint64(1)
    # first by a number that rounding hardly moves, so that a float32 copy of the rows is put in the same order
    last = () if raw is None else (_fingerprint(np.asarray(raw).reshape(len(raw), -1))[0],)  # decides between copies
    order = np.lexsort((*last, key, place))
    X, y, weight, key, raw = X[order], y[order], weight[order], key[order], None if raw is None else raw[order]
    same = np.zeros(len(X), dtype=bool)
    candidates = np.flatnonzero(key[1:] == key[:-1]) + 1
    if len(candidates) == 0:
        return TrainingRows(X, y, weight, raw)
    # equal hashes are only candidates: the cells decide
    flat = X.reshape(len(X), -1)
    equal = (flat[candidates] == flat[candidates - 1]).all(axis=1)
    equal &= (y[candidates] == y[candidates - 1]).reshape(len(candidates), -1).all(axis=1)
    same[candidates[equal]] = True
    starts = np.flatnonzero(~same)
    weight = np.add.reduceat(weight, starts)
    return TrainingRows(X[starts], y[starts], weight, None if raw is None else raw[starts])


def count_batches(n_rows: int, batch_size: int) -> int:
    """How many batches of about `batch_size` rows, none of which is a single row (BatchNorm could not use it)."""
    return max(1, min(-(-n_rows // batch_size), n_rows // 2))


def _fingerprint(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each row a 64-bit hash of its bits, and its place along a fixed random direction.

    Both are summed a column at a time, so they are the same wherever the row stands. -0.0 and 0.0 are one value. Many
    columns are turned at once, or memory would be read once for each.
    """
    kind = np.uint32 if rows.dtype.itemsize == 4 else np.uint64
    multipliers = np.asarray(np.random.default_rng(0).integers(1, 2**63, size=rows.shape[1]), dtype=np.uint64)
    multipliers |= np.uint64(1)
    directions = np.asarray(np.random.default_rng(1).normal(size=rows.shape[1]))
    key, place = np.zeros(len(rows), dtype=np.uint64), np.zeros(len(rows))
    for start in range(0, rows.shape[1], 32):
        for j, column in enumerate(np.ascontiguousarray(rows[:, start : start + 32].T), start):
            place += column * directions[j]
            mixed = (column + column.dtype.type(0)).view(kind) * multipliers[j]
            key += mixed ^ (mixed >> np.uint64(29))
    return key, place
