"""Windows of one machine whose rows come at another rate than that of the windows, or at unequal distances.

::

    usable rows --> stretches without a gap, each begun at a whole step of time --> resampled --> windows
                                                                --> steps of time in which none ends

Samples between rows depend on rows around them, so that a job, which sees a table in pieces, refuses such windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from sktransfer.windows.sliding_windows import SlidingWindows

_SAME_RATE = 1e-3  # share by which rates may differ
_SECOND = 1_000_000_000


@dataclass
class ResampledWindows:
    """Windows of one machine; times are in ns.

    Parameters
    ----------
    X : Windows or None
    ends : ndarray of int of shape (n_windows,)
    y : ndarray of shape (n_windows,) or None
    without : ndarray of int of shape (n_stretches,)
        End of the first step of each stretch of steps without a window.
    """

    X: Any
    ends: np.ndarray
    y: np.ndarray | None
    without: np.ndarray


def resamples(windows: SlidingWindows | None, period: float) -> bool:
    """Whether samples of windows are other ones than the rows, which are `period` s apart."""
    if windows is None:
        return False
    other_rate = windows.sampling_rate is not None and abs(windows.sampling_rate * period - 1) > _SAME_RATE
    return bool(other_rate or windows.on_irregular == "resample")


def resampled_windows(
    time: np.ndarray, values: np.ndarray, good: np.ndarray, rules: Any, labels: np.ndarray | None
) -> ResampledWindows:
    """Cut the windows of one machine.

    Parameters
    ----------
    time : ndarray of int of shape (n_rows,)
        In ns, in order.
    values : ndarray of shape (n_rows, n_sensors)
    good : ndarray of bool of shape (n_rows,)
    rules : RowRules
    labels : ndarray of shape (n_rows,) or None
    """
    grid, cutter = rules.grid(), clone(rules.windows).set_params(sampling_rate=rules.rate)
    kept = np.flatnonzero(good)
    long = [
        kept[one] for one in _stretches(time[kept], grid)
        if one.stop - one.start >= cutter.length / (rules.period * rules.rate)
    ]  # fmt: skip
    ends, X, y = np.zeros(0, dtype=np.int64), None, np.empty(0, dtype=object)
    if long:
        frames = [pd.DataFrame(values[rows], columns=rules.sensors) for rows in long]
        stamps = [time[rows].astype("datetime64[ns]") for rows in long]
        if labels is not None:
            name = next(name for name in map(str, range(len(rules.sensors) + 1)) if name not in rules.sensors)
            frames = [one.assign(**{name: labels[rows]}) for one, rows in zip(frames, long, strict=True)]
        found = cutter.cut(frames, None if labels is None else name, time=stamps, channels=rules.sensors)
        X, y = found[0], found[1]
        ends = np.asarray(X.time).astype("datetime64[ns]").astype(np.int64)
    return ResampledWindows(X, ends, None if labels is None else y, _without(time, ends, rules))


def _stretches(time: np.ndarray, grid: Any) -> list[slice]:
    """Rows without a gap, each stretch begun at a whole step of time."""
    cuts = np.flatnonzero(np.diff(time) > grid.max_gap) + 1
    found = []
    for start, stop in zip(np.r_[0, cuts], np.r_[cuts, len(time)], strict=True):
        if start < stop:
            first = -((grid.period // 2 - time[start]) // grid.step) * grid.step
            begin = start + int(np.searchsorted(time[start:stop], first - grid.period // 2))
            found.append(slice(int(begin), int(stop)))
    return [one for one in found if one.start < one.stop]


def _without(time: np.ndarray, ends: np.ndarray, rules: Any) -> np.ndarray:
    """Steps of time in which no window ends, though there might be one; each stretch of them once, at its begin."""
    if len(time) == 0:
        return np.zeros(0, dtype=np.int64)
    grid = rules.grid()
    half, span = grid.period // 2, round((grid.length - 1) * _SECOND / rules.rate)
    begin = -((half - time[0]) // grid.step) * grid.step
    n = (time[-1] + half - begin - span) // grid.step + 1
    possible = (begin + span + grid.step * np.arange(max(n, 0)) + half) // grid.step
    missing = possible[~np.isin(possible, (ends + half) // grid.step)]
    begins = missing[np.diff(missing, prepend=-2) > 1]
    return np.asarray((begins + 1) * grid.step)
