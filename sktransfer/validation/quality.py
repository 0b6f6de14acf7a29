"""Warnings about data that can be used but looks wrong: sentinels, stuck sensors, lost digits, single outliers.

::

    rows    (n_samples, n_columns)                  --> columns of rows
    windows (n_windows, n_channels, window_length)  --> channels of windows

Where only values matter, a row is a window of one sample. Where their course matters, all rows are one window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.chunks import in_parts
from sktransfer.utils.counted_warnings import CountedWarning, warn_caller, warn_of

# Numbers that historians, loggers and integer registers write where there is no measurement.
_SENTINELS = [-999.0, -999.25, -9999.0, 9999.0, -99999.0, 99999.0, -32768.0, 32767.0, 65535.0]
_MARK_MISSING = {
    "column": ("rows", "read the file with na_values"),
    "channel": ("samples", "make it NaN before the recordings are cut"),
}
_STUCK = 20  # a run this many times as long as usual is stuck, in a column that changed with every healthy row


def words_of(X: Any) -> tuple[str, str]:
    """What messages call the second and the first axis of `X`: columns of rows, or channels of windows."""
    return ("column", "row") if X.ndim == 2 else ("channel", "window")


def warn_of_quality(name: str, X: np.ndarray, names: list[Any]) -> None:
    """Warn of columns or channels that look wrong although every value is a number; NaN are left out.

    A channel of windows is dead if no window of it changes. It is stuck in some windows if these are at most a fifth,
    and their samples are one number. A sentinel is the smallest or largest value of a column or channel, repeated in 2
    to 50 % of its values (at least 3) and further from all others than five times their whole range; for the usual
    codes such as -9999 a tenth of the range is enough.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)
        Images are not examined.
    names : list
        Of columns; channels are called by their number.
    """
    if X.ndim > 3 or X.size < 3 * X.shape[1]:
        return
    column, _ = words_of(X)
    names = names if X.ndim == 2 else list(range(X.shape[1]))
    windows = X.reshape(*X.shape[:2], -1)
    low, high = (X, X) if X.ndim == 2 else (np.fmin.reduce(windows, axis=2), np.fmax.reduce(windows, axis=2))
    lowest, highest = np.fmin.reduce(low, axis=0), np.fmax.reduce(high, axis=0)
    if (lowest == highest).all():
        warn_caller(f"{name}: every {column} of X is constant, so there is no information in it.")
        return
    if windows.shape[2] > 1:
        _warn_of_flat_windows(name, low, high)
    for values in (lowest, highest):
        counts = sum((windows[part] == values[:, None]).sum(axis=(0, 2)) for part in in_parts(windows))
        shares = counts * X.shape[1] / X.size
        often = (lowest < highest) & (counts >= 3) & (shares >= 0.02) & (shares <= 0.5)
        for j in np.flatnonzero(often):
            if _is_sentinel(windows[:, j].ravel(), values[j]):
                one, remedy = _MARK_MISSING[column]
                warn_caller(
                    f"{name}: {column} {names[j]!r} holds the value {values[j]:g} in {shares[j]:.0%} of the {one}, far "
                    f"from all others. If it marks missing data, {remedy}."
                )


def _warn_of_flat_windows(name: str, low: np.ndarray, high: np.ndarray) -> None:
    """Warn of channels that do not change in any window, or in a few; smallest and largest value of each are given."""
    flat = low == high
    for j, n_flat in enumerate(flat.sum(axis=0)):
        if n_flat == len(flat):
            what = f"{low[0, j]:g} in every sample" if (low[:, j] == low[0, j]).all() else "constant in every window"
            warn_caller(f"{name}: channel {j} is {what}, so its course says nothing.")
        elif 0 < n_flat <= len(flat) / 5:
            warn_caller(
                f"{name}: channel {j} does not change within {n_flat} of {len(flat)} windows, although it does "
                "in the others. The sensor may be stuck or saturated there."
            )


def _is_sentinel(values: np.ndarray, extreme: float) -> bool:
    """Whether `extreme` lies so far from all other values that it marks something."""
    rest = values[(values != extreme) & ~np.isnan(values)].astype(np.float64)
    with np.errstate(over="ignore"):
        span, gap = np.ptp(rest), np.abs(rest - extreme).min()
        far = gap > (0.1 if extreme in _SENTINELS else 5.0) * span
    return bool(span > 0 and far and len(np.unique(rest)) > 2)


def warn_of_dominant_values(name: str, values: np.ndarray, squares: np.ndarray, names: list[Any], column: str) -> None:
    """Warn of columns whose spread is one single healthy value, so that all others look the same after scaling.

    Parameters
    ----------
    values : ndarray of shape (n_values, n_columns)
        Healthy values, may hold NaN.
    squares : ndarray of shape (n_values, n_columns)
        Their squared distances from the mean.
    column : {"column", "channel"}
    """
    n_values = (~np.isnan(values)).sum(axis=0)
    largest, total = np.fmax.reduce(squares, axis=0), np.nansum(squares, axis=0)
    for j in np.flatnonzero((n_values >= 10) & (largest > 0.99 * total * (1 - 1 / np.maximum(n_values, 1)))):
        row = int(np.nanargmax(squares[:, j]))
        others = np.delete(values[:, j], row)
        if np.nanmax(others) > np.nanmin(others):
            warn_caller(
                f"{name}: a single healthy value of {values[row, j]:.3g} makes up 99 % of the spread of "
                f"{column} {names[j]!r}, so all others will look alike. Drop that row, or use method='robust'."
            )


def _as_windows(X: np.ndarray) -> np.ndarray:
    """Windows as they are; rows, which follow each other in time, as one window of shape (1, n_columns, n_samples)."""
    return X.T[None] if X.ndim == 2 else X


def typical_runs(X: np.ndarray) -> np.ndarray:
    """Mean number of healthy rows, or samples in healthy windows, without change.

    Returns
    -------
    ndarray of shape (n_columns,) or (n_channels,)
        Infinite where nothing ever changed. Capped at ``window_length / 20`` where no healthy window was constant, so
        that a constant window counts as stuck.
    """
    windows = _as_windows(X)
    n_changes, flat = np.zeros(X.shape[1]), np.full(X.shape[1], X.ndim == 2)
    for part in in_parts(windows):
        changed = np.abs(np.diff(windows[part], axis=2)) > 0  # from or to NaN is no change
        n_changes += changed.sum(axis=(0, 2))
        flat |= (~changed.any(axis=2)).any(axis=0)
    runs = windows.shape[0] * windows.shape[2] / (n_changes + len(windows))
    runs = np.where(flat, runs, np.minimum(runs, windows.shape[2] / _STUCK))
    return np.where(n_changes > 0, runs, np.inf)


def warn_of_stuck(name: str, X: np.ndarray, typical: np.ndarray, names: list[Any]) -> None:
    """Warn of runs of equal values that are twenty times as long as usual in healthy data, or a whole window long.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)
        Rows in the order of time, where the caller has them so.
    typical : ndarray of shape (n_columns,) or (n_channels,)
        From :func:`typical_runs` of healthy data.
    """
    windows, limits = _as_windows(X), np.maximum(_STUCK * typical, 2)
    if windows.shape[2] < np.min(limits, initial=np.inf):
        return
    longest = _longest_runs(windows, limits)
    stuck = longest >= limits
    if X.ndim == 3:
        text = (
            f"{name}: the channels {{names}} are stuck in {{count}} of {{total}} windows: they do not change although "
            "they varied while healthy. The sensors may be stuck or saturated."
        )
        count_windows(text, stuck, names)
        return
    text = (
        f"{name}: the columns {{names}} do not change over {{count}} rows although they varied while healthy. The "
        "sensors may be stuck or saturated."
    )
    columns = [names[j] for j in np.flatnonzero(stuck[0])]
    count = int(longest[stuck].max(initial=0))
    warn_of(CountedWarning(text, DataQualityWarning, count, names=columns, merge=max))


def _longest_runs(windows: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Longest run of equal values, shape (n_windows, n_channels); 0 where it is shorter than the limit of the channel.

    A run of twenty covers two samples whose numbers are multiples of ten, and a run over a whole shorter window its
    first sample and the one looked at. Only where these are equal is the run measured.
    """
    length = windows.shape[2]
    step = min(_STUCK // 2, length - 1)
    maybe = (windows[..., step::step] == windows[..., :-step:step]).any(axis=2) & (limits <= length)
    longest = np.zeros(maybe.shape, dtype=np.intp)
    for i, j in np.argwhere(maybe):
        changes = np.flatnonzero(windows[i, j, 1:] != windows[i, j, :-1]) + 1
        longest[i, j] = np.diff(np.r_[0, changes, length]).max()
    return longest


def warn_of_empty_channels(name: str, windows: np.ndarray, names: list[Any]) -> None:
    """Warn of windows with a channel that holds no number."""
    text = (
        f"{name}: the channels {{names}} hold no number in {{count}} of {{total}} windows, which say nothing of them."
    )
    count_windows(text, np.concatenate([np.isnan(windows[part]).all(axis=2) for part in in_parts(windows)]), names)


def warn_of_empty_rows(name: str, X: np.ndarray) -> None:
    """Warn of rows whose columns hold mostly no number, where what is missing is taken for healthy."""
    text = (
        f"{name}: {{count}} of {{total}} rows hold no number in more than half of their columns. What is missing counts"
        " as healthy, so that these rows look healthier than is known. Leave them out, and report them as not known."
    )
    count = int((2 * np.isnan(X).sum(axis=1) > X.shape[1]).sum())
    warn_of(CountedWarning(text, DataQualityWarning, count, len(X)))


def warn_of_flat_channels(name: str, flat: np.ndarray, names: list[Any]) -> None:
    """Warn of windows with channels that do not change in them; `flat` of shape (n_windows, n_channels)."""
    text = (
        f"{name}: the channels {{names}} do not change within {{count}} of {{total}} windows and are zeros there. The "
        "sensors may be stuck or saturated."
    )
    count_windows(text, flat, names)


def warn_of_far(name: str, beyond: np.ndarray, names: list[Any], words: tuple[str, str]) -> None:
    """Warn of rows or windows with values `beyond` all that is credible; shape (n, n_columns or n_channels)."""
    column, row = words
    text = (
        f"{name}: {{count}} of {{total}} {row}s lie further from the healthy baseline than anything credible, in the "
        f"{column}s {{names}}. Check units and sensors."
    )
    count_windows(text, beyond, names)


def count_windows(text: str, found: np.ndarray, names: list[Any]) -> None:
    """Warn with the number of rows or windows in which something was `found`; shape (n, n_columns or n_channels)."""
    count = int(np.count_nonzero(found.any(axis=1)))
    columns = [names[j] for j in np.flatnonzero(found.any(axis=0))] if count else []
    warn_of(CountedWarning(text, DataQualityWarning, count, len(found), columns))


def warn_of_lost_digits(name: str, center: np.ndarray, scale: np.ndarray, names: list[Any], column: str) -> None:
    """Warn of float32 columns whose offset leaves none of the seven digits for their spread.

    Parameters
    ----------
    center, scale : ndarray of shape (n_domains, n_columns)
        Healthy centre and scale; an infinite scale is left out.
    column : {"column", "channel"}
    """
    lost = (np.abs(center) * np.finfo(np.float32).eps > 1e-3 * scale).any(axis=0)
    if lost.any():
        warn_caller(
            f"{name}: the {column}s {[names[j] for j in np.flatnonzero(lost)][:5]} came as float32, whose digits do "
            "not resolve their spread. Read the data as float64."
        )


def warn_of_single_rows(name: str, classes: np.ndarray, counts: np.ndarray) -> None:
    """Warn of classes with one row where others have many: a split may lose them, and their score says little.

    One label for every class is how few-label work looks, and is no cause for a warning.
    """
    if counts.max() >= 5 and (counts == 1).any():
        warn_caller(
            f"{name}: the classes {classes[counts == 1].tolist()} have a single row each. They are learned from it "
            "alone, and stratified splits cannot keep them on both sides."
        )
