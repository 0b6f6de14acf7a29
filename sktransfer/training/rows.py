"""Training rows in canonical form, so that a fit depends on the weighted set of rows and on nothing else.

Exact copies of a row (same columns, same label) become one row with the sum of their weights, rows of weight zero
are dropped, and the rest is put in an order that does not depend on the order in which it came. Therefore a weight
of three equals the row three times, to the last bit, and shuffling the rows changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sktransfer.utils.chunks import in_parts


class TrainingRows(NamedTuple):
    """Rows, labels and weights of one fit; ``y`` is codes of shape (n,) or values of shape (n, n_outputs)."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray


def merge_copies(X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> TrainingRows:
    """Merge exact copies, drop weightless rows, sort.

    Rows are sorted by their projection on a fixed random direction and then by their label. Copies are neighbours
    then, and neighbours are compared cell by cell.

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
    flat, labels = X.reshape(len(X), -1), y.reshape(len(y), -1)
    position = _project(flat)
    order = np.lexsort((*labels.T, position))
    tied = _equal_neighbours(order, position[:, None], labels)
    equal = _equal_neighbours(order, flat, labels, among=tied)
    if len(equal) < len(tied):
        # rows that differ have one projection, which hardly ever happens: all cells decide about their order
        order = np.lexsort((*labels.T, *flat.T, position))
        equal = _equal_neighbours(order, flat, labels)
    X, y, weight = X[order], y[order], weight[order]
    if len(equal) == 0:
        return TrainingRows(X, y, weight)
    starts = np.delete(np.arange(len(X)), equal)
    return TrainingRows(X[starts], y[starts], np.add.reduceat(weight, starts))


def as_ratios(rows: TrainingRows, given: np.ndarray) -> TrainingRows:
    """Rows whose weights count by their ratios alone, where they say nothing of counts.

    Whole numbers count rows: a weight of three is the row three times. All others, such as those of boosting, are
    relative, and are brought to a mean of one: a half for every row is one for every row.

    Parameters
    ----------
    rows : TrainingRows
        Merged, with weights of classes.
    given : ndarray of shape (n_samples,)
        Weights of the rows as they came.
    """
    if _are_whole(given) and _are_whole(rows.weight):
        return rows
    total = given.sum() if _are_whole(given) else np.count_nonzero(given)
    return rows._replace(weight=rows.weight * (total / rows.weight.sum()))


def _are_whole(weight: np.ndarray) -> bool:
    return bool((weight == np.floor(weight)).all())


def class_distances(rows: TrainingRows, n_classes: int, center: np.ndarray) -> np.ndarray:
    """Of each class the weighted mean distance of its rows from `center`, shape (n_classes,); infinite without weight.

    The distance of a row is its largest over columns; of a window it is the largest over channels and samples.

    Parameters
    ----------
    rows : TrainingRows
        Of a classification.
    n_classes : int
    center : ndarray of shape (n_columns,) or (n_channels,)
    """
    distances = np.empty(len(rows.X))
    for part in in_parts(rows.X):
        away = np.abs(rows.X[part] - center.reshape(-1, *(1,) * (rows.X.ndim - 2)))
        distances[part] = away.max(axis=tuple(range(1, rows.X.ndim)))
    weight = np.bincount(rows.y, weights=rows.weight, minlength=n_classes)
    total = np.bincount(rows.y, weights=rows.weight * distances, minlength=n_classes)
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.inf)


def count_batches(n_rows: int, batch_size: int) -> int:
    """How many batches of about `batch_size` rows, none of which is a single row (BatchNorm could not use it)."""
    return max(1, min(-(-n_rows // batch_size), n_rows // 2))


def _equal_neighbours(order: np.ndarray, *tables: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Numbers of the rows that equal the one before in all `tables`, in this order; `among`: of these rows alone."""
    rows = np.arange(1, len(order)) if among is None else among
    for table in tables:
        rows = rows[(table[order[rows]] == table[order[rows - 1]]).all(axis=1)]
    return rows


def _project(rows: np.ndarray) -> np.ndarray:
    """Of each row its position along a fixed random direction, float64.

    Rounding hardly moves it, so that a float32 copy of the rows is put in the same order. It is summed a column at a
    time, so it is the same wherever the row stands. Many columns are turned at once, or memory would be read once for
    each.
    """
    directions = np.asarray(np.random.default_rng(1).normal(size=rows.shape[1]))
    position = np.zeros(len(rows))
    for start in range(0, rows.shape[1], 32):
        for j, column in enumerate(np.ascontiguousarray(rows[:, start : start + 32].T), start):
            position += column * directions[j]
    return position
