"""Stuck sensors: a column that stays at one value for much longer than it does while the machine is healthy.

::

    healthy data --> typical run: samples without change   --\
                 --> resting value: where it stops by itself --> later data: a run of 20 typical ones,
                 --> few levels: a setting, never stuck    --/                 not at rest --> warning

Rows follow each other in time and are one window of all samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.chunks import in_parts
from sktransfer.utils.counted_warnings import CountedWarning, count_windows, warn_of

_STUCK = 20  # a run this many times as long as usual is stuck, in a column that changed with every healthy row
_MORE = 1.5  # times the longest run of healthy data: what is longer is unusual
_REST = 5  # equal samples one after the other that are a rest
_LEVELS = 10  # a column of so few different values is a setting or a state


def _as_windows(X: np.ndarray) -> np.ndarray:
    """Windows as they are; rows, which follow each other in time, as one window of shape (1, n_columns, n_samples)."""
    return X.T[None] if X.ndim == 2 else X


def typical_runs(X: np.ndarray) -> np.ndarray:
    """Mean number of healthy rows, or samples in healthy windows, without change.

    Returns
    -------
    ndarray of shape (n_columns,) or (n_channels,)
        Infinite where nothing ever changed, and where a column has few levels. Larger where healthy data hold long
        runs in two places, so that these are as usual. Capped at ``window_length / 20`` where
        no healthy window was constant, so that a constant window counts as stuck.
    """
    windows = _as_windows(X)
    n_changes, flat = np.zeros(X.shape[1]), np.full(X.shape[1], X.ndim == 2)
    for part in in_parts(windows):
        changed = np.abs(np.diff(windows[part], axis=2)) > 0  # from or to NaN is no change
        n_changes += changed.sum(axis=(0, 2))
        flat |= (~changed.any(axis=2)).any(axis=0)
    runs = windows.shape[0] * windows.shape[2] / (n_changes + len(windows))
    runs = np.where(flat, runs, np.minimum(runs, windows.shape[2] / _STUCK))
    steady = np.array([has_few_levels(windows[:, j]) for j in range(X.shape[1])], dtype=bool)
    runs = np.where((n_changes > 0) & ~steady, runs, np.inf)
    return np.maximum(runs, _MORE * _repeated_runs(windows, np.maximum(_STUCK * runs, 2)) / _STUCK)


def longest_usual_runs(X: np.ndarray) -> np.ndarray:
    """Rows without a change beyond which a column of healthy rows of one machine is stuck, shape (n_columns,)."""
    return np.asarray(np.maximum(_STUCK * typical_runs(X), 2))


def _repeated_runs(windows: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """The longest run that healthy data hold in two places at least, of those beyond the limit; 0 where none is.

    Windows that follow each other are one place, so that a sensor that is stuck once while healthy counts once.
    """
    found = np.zeros(windows.shape[1])
    for j, suspects in enumerate(_suspects(windows, limits).T):
        runs, place = [], []
        for i in np.flatnonzero(suspects):
            starts, lengths = _runs(windows[i, j])
            long = lengths >= limits[j]
            runs += lengths[long].tolist()
            place += (starts[long] if len(windows) == 1 else np.full(long.sum(), i)).tolist()
        if runs:
            new = np.r_[True, np.diff(place) > 1]
            longest = np.maximum.reduceat(runs, np.flatnonzero(new))
            found[j] = np.sort(longest)[-2] if len(longest) > 1 else 0
    return found


def has_few_levels(values: np.ndarray) -> bool:
    """Whether a channel takes ten different values at most, each of them four times on average: a setting or a state.

    Parameters
    ----------
    values : ndarray of shape (n_windows, window_length)
        About 10,000 samples of it are looked at.
    """
    some = values[:: max(1, len(values) // 100)]
    some = some[:, :: max(1, some.size // 10_000)]
    return len(np.unique(some)) <= min(_LEVELS, some.size // 4)


def resting_value(values: np.ndarray) -> float:
    """The value at which a channel stays several times, as an idle pump does; NaN if there is none.

    It is held by five samples one after the other in two places at least, or it is the smallest value of all. Windows
    that follow each other are one place. Of several values it is the one of most samples.

    Parameters
    ----------
    values : ndarray of shape (n_windows, window_length)
    """
    span = min(_REST, values.shape[1]) - 1
    if span < 1:
        return np.nan
    same = values[:, 1:] == values[:, :-1]
    rests = same[:, : same.shape[1] - span + 1].copy()
    for lag in range(1, span):
        rests &= same[:, lag : same.shape[1] - span + 1 + lag]
    window, position = np.nonzero(rests)
    if len(window) == 0:
        return np.nan
    place = window if len(values) > 1 else position
    levels, code = np.unique(values[window, position], return_inverse=True)
    order = np.lexsort((place, code))
    code, place = code[order], place[order]
    begins = np.r_[True, (np.diff(code) != 0) | (np.diff(place) > 1)]
    n_places, n_samples = np.bincount(code[begins], minlength=len(levels)), np.bincount(code)
    rest = (n_places >= 2) | (levels == np.fmin.reduce(values, axis=None))
    return float(levels[np.argmax(np.where(rest, n_samples, 0))]) if rest.any() else np.nan


def resting_values(X: np.ndarray) -> np.ndarray:
    """:func:`resting_value` of each column or channel of healthy rows or windows, float64."""
    windows = _as_windows(X)
    return np.array([resting_value(windows[:, j]) for j in range(X.shape[1])], dtype=np.float64)


def warn_of_stuck(name: str, X: np.ndarray, typical: np.ndarray, resting: np.ndarray, names: list[Any]) -> None:
    """Warn of runs of equal values that are twenty times as long as usual in healthy data, or a whole window long.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)
        Rows in the order of time, where the caller has them so.
    typical : ndarray of shape (n_columns,) or (n_channels,)
        From :func:`typical_runs` of healthy data.
    resting : ndarray of shape (n_domains, n_columns) or (n_domains, n_channels)
        From :func:`resting_values` of healthy data; runs at these are no warning.
    """
    windows, limits = _as_windows(X), np.maximum(_STUCK * typical, 2)
    if windows.shape[2] < np.min(limits, initial=np.inf):
        return
    longest = _longest_runs(windows, limits, resting)
    stuck = longest >= limits
    if X.ndim == 3:
        text = (
            f"{name}: the channels {{names}} are stuck in {{count}} of {{total}} windows: they do not change although "
            "they varied while healthy. The sensors may be stuck or saturated, or the machine stands."
        )
        count_windows(text, stuck, names)
        return
    text = (
        f"{name}: the columns {{names}} do not change over {{count}} rows although they varied while healthy. The "
        "sensors may be stuck or saturated, or the machine stands."
    )
    columns = [names[j] for j in np.flatnonzero(stuck[0])]
    count = int(longest[stuck].max(initial=0))
    warn_of(CountedWarning(text, DataQualityWarning, count, names=columns, merge=max))


def _longest_runs(windows: np.ndarray, limits: np.ndarray, resting: np.ndarray) -> np.ndarray:
    """Longest run of equal values but for those at rest, shape (n_windows, n_channels); 0 where it is short."""
    maybe = _suspects(windows, limits)
    longest = np.zeros(maybe.shape, dtype=np.intp)
    for i, j in np.argwhere(maybe):
        starts, lengths = _runs(windows[i, j])
        longest[i, j] = np.where(np.isin(windows[i, j, starts], resting[:, j]), 0, lengths).max()
    return longest


def _suspects(windows: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Whether a channel may hold a run as long as its limit, shape (n_windows, n_channels).

    A run of twenty covers two samples whose numbers are multiples of ten, and a run over a whole shorter window its
    first sample and the one looked at.
    """
    length = windows.shape[2]
    step = min(_STUCK // 2, length - 1)
    if step < 1:
        return np.zeros(windows.shape[:2], dtype=bool)
    return (windows[..., step::step] == windows[..., :-step:step]).any(axis=2) & (limits <= length)


def _runs(course: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First samples and lengths of the runs of equal values."""
    starts = np.r_[0, np.flatnonzero(course[1:] != course[:-1]) + 1]
    return starts, np.diff(np.r_[starts, len(course)])
