"""Warnings about data that can be used but looks wrong: sentinels, stuck sensors, lost digits, single outliers."""

from __future__ import annotations

import warnings

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.counted_warnings import CountedWarning, warn_of

# Numbers that historians, loggers and integer registers write where there is no measurement.
_SENTINELS = [-999.0, -999.25, -9999.0, 9999.0, -99999.0, 99999.0, -32768.0, 32767.0, 65535.0]
STUCK_ROWS = 20  # a run this long is stuck in a column that changed with every healthy row


def warn_of_quality(who: str, array: np.ndarray, names: list[str]) -> None:
    """Warn of columns that look wrong although every cell is a number.

    A sentinel is the smallest or largest value of a column, repeated in 2 to 50 % of the rows (at least 3 rows)
    and further from all other values than five times their whole range; for the usual codes such as -9999 a tenth
    of the range is enough. NaN are left out.
    """
    if array.ndim != 2 or len(array) < 3:
        return
    low, high = np.fmin.reduce(array, axis=0), np.fmax.reduce(array, axis=0)
    if (low == high).all():
        warnings.warn(f"{who}: every column of X is constant, so there is no information in it.", DataQualityWarning, 3)
        return
    warn_of_sentinels(who, array, low, high, names, "column")


def warn_of_sentinels(
    who: str, array: np.ndarray, low: np.ndarray, high: np.ndarray, names: list[str], what: str
) -> None:
    """Warn of sentinels among the smallest (`low`) and largest (`high`) values of columns, called `what`."""
    shares = np.stack([_count_equal(array, low), _count_equal(array, high)]) / len(array)
    repeated = (low < high) & (shares * len(array) >= 3) & (shares >= 0.02) & (shares <= 0.5)
    for j in np.flatnonzero(repeated.any(axis=0)):
        for extreme, share, often in zip((low[j], high[j]), shares[:, j], repeated[:, j], strict=True):
            if often and is_sentinel(array[:, j], extreme):
                those = "rows" if what == "column" else "samples"
                warnings.warn(
                    f"{who}: {what} {names[j]!r} holds the value {extreme:g} in {share:.0%} of the {those}, far from "
                    "all others. If it marks missing data, read the file with na_values.",
                    DataQualityWarning,
                    4,
                )


def _count_equal(array: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of each column, how many cells hold its value; rows by rows, as they lie in memory."""
    step = max(1024, 2**16 // max(1, array.shape[1]))
    return np.sum([(array[i : i + step] == values).sum(axis=0) for i in range(0, len(array), step)], axis=0)


def is_sentinel(column: np.ndarray, extreme: float) -> bool:
    """Whether `extreme` lies so far from all other values of a column that it marks something."""
    rest = column[(column != extreme) & ~np.isnan(column)].astype(np.float64)
    with np.errstate(over="ignore"):
        span, gap = np.ptp(rest), np.abs(rest - extreme).min()
        far = gap > (0.1 if extreme in _SENTINELS else 5.0) * span
    return bool(span > 0 and far and len(np.unique(rest)) > 2)


def warn_of_dominant_rows(who: str, rows: np.ndarray, squares: np.ndarray, names: list[str], what: str) -> None:
    """Warn of columns whose spread is one single healthy row, so that all other rows look the same after scaling.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Healthy rows, may hold NaN.
    squares : ndarray of shape (n_samples, n_features)
        Their squared distances from the mean.
    what : {"column", "channel"}
    """
    if len(rows) < 10:
        return
    n_rows = (~np.isnan(rows)).sum(axis=0)
    largest, total = np.fmax.reduce(squares, axis=0), np.nansum(squares, axis=0)
    for j in np.flatnonzero((n_rows >= 10) & (largest > 0.99 * total * (1 - 1 / np.maximum(n_rows, 1))) & (total > 0)):
        row = int(np.nanargmax(squares[:, j]))
        others = np.delete(rows[:, j], row)
        if np.nanmax(others) > np.nanmin(others):
            warnings.warn(
                f"{who}: a single healthy value of {rows[row, j]:.3g} makes up 99 % of the spread of "
                f"{what} {names[j]!r}, so all others will look alike. Drop that row, or use method='robust'.",
                DataQualityWarning,
                4,
            )


def typical_runs(rows: np.ndarray) -> np.ndarray:
    """Mean number of consecutive rows without change, shape (n_features,); infinite where nothing ever changed."""
    n_changes = (np.abs(rows[1:] - rows[:-1]) > 0).sum(axis=0)  # from or to NaN is no change
    return np.where(n_changes > 0, len(rows) / (n_changes + 1.0), np.inf)


def warn_of_stuck_columns(who: str, X: np.ndarray, typical: np.ndarray, names: list[str]) -> None:
    """Warn of columns with a run of equal values twenty times as long as usual in healthy rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows in the order of time, where the caller has them so.
    typical : ndarray of shape (n_features,)
        What :func:`typical_runs` said of the healthy rows.
    """
    limit = STUCK_ROWS * typical
    if len(X) < np.min(limit, initial=np.inf):
        return
    # a run of twenty covers two rows whose numbers are multiples of ten: looking at those leaves few columns
    step = STUCK_ROWS // 2
    repeats = (X[step::step] == X[:-step:step]).any(axis=0)
    stuck = {}
    for j in np.flatnonzero(repeats & (limit <= len(X))):
        changes = np.flatnonzero(X[1:, j] != X[:-1, j]) + 1
        longest = int(np.diff(np.r_[0, changes, len(X)]).max())
        if longest >= limit[j]:
            stuck[names[j]] = longest
    if stuck:
        text = (
            f"{who}: the columns {{names}} do not change over {{count}} rows although they varied while healthy. The "
            "sensors may be stuck or saturated."
        )
        warn_of(
            CountedWarning(text, DataQualityWarning, max(stuck.values()), names=list(stuck)), stacklevel=4, merge=max
        )


def warn_of_far_rows(who: str, z: np.ndarray, limit: float, names: list[str]) -> None:
    """Warn of rows with a scaled value beyond `limit`."""
    beyond = np.abs(z) > limit
    text = (
        f"{who}: {{count}} of {{total}} rows lie further from the healthy baseline than anything credible, in the "
        "columns {names}. Check units and sensors."
    )
    columns = [names[j] for j in np.flatnonzero(beyond.any(axis=0))]
    warn_of(CountedWarning(text, DataQualityWarning, int(beyond.any(axis=1).sum()), len(z), columns), stacklevel=4)


def warn_of_lost_digits(who: str, center: np.ndarray, scale: np.ndarray, names: list[str], stacklevel: int) -> None:
    """Warn of columns whose offset would leave float32, with its seven digits, none for their spread.

    Parameters
    ----------
    center, scale : ndarray of shape (n_domains, n_features)
        Healthy centre and scale; an infinite scale is left out.
    """
    lost = (np.abs(center) * np.finfo(np.float32).eps > 1e-3 * scale).any(axis=0)
    if lost.any():
        warnings.warn(
            f"{who}: the columns {[names[j] for j in np.flatnonzero(lost)][:5]} came as float32, whose digits do not "
            "resolve their spread. Read the data as float64.",
            DataQualityWarning,
            stacklevel,
        )


def warn_of_single_rows(who: str, classes: np.ndarray, counts: np.ndarray) -> None:
    """Warn of classes with one row where others have many: a split may lose them, and their score says little.

    One label for every class is how few-label work looks, and is no cause for a warning.
    """
    if counts.max() >= 5 and (counts == 1).any():
        warnings.warn(
            f"{who}: the classes {classes[counts == 1].tolist()} have a single row each. They are learned from it "
            "alone, and stratified splits cannot keep them on both sides.",
            DataQualityWarning,
            stacklevel=5,
        )
