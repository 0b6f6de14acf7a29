"""Samples: what an estimator is asked about, with machine and time of each, and the rows that gave none.

::

    rows of all machines --> unusable rows out --> rows -----------------------------------> Samples
                                               --> places in the grid of time --> windows -->
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.monitoring.plant_frame import nanoseconds
from sktransfer.monitoring.raw_rows import stuck_cells, stuck_flags, unusable_rows
from sktransfer.monitoring.resampled_windows import resampled_windows, resamples
from sktransfer.monitoring.window_grid import WindowGrid, cut_windows
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.windows.sliding_windows import SlidingWindows, windows_at

_GAP = 3  # usual distances of rows beyond which rows are missing
_SECOND = 1_000_000_000
_TOO_FEW = "too few rows in a row for a window"


@dataclass
class RowRules:
    """What is known of the columns, and what may be used of them.

    Parameters
    ----------
    sensors : list of str
    time : str
        Column of times in UTC.
    machine : str or None
        Column of machines; None: all rows are of one.
    limits : ndarray of shape (n_sensors, 2)
        Measuring ranges.
    longest_run : ndarray of shape (n_sensors,)
        Rows without a change beyond which a sensor is stuck.
    period : float
        Usual distance of two rows of a machine, in s.
    windows : SlidingWindows or None
        None: a sample is a row.
    """

    sensors: list[str]
    time: str
    machine: str | None
    limits: np.ndarray
    longest_run: np.ndarray
    period: float
    windows: SlidingWindows | None

    @property
    def rate(self) -> float:
        """Of the samples of windows, in Hz."""
        stated = None if self.windows is None else self.windows.sampling_rate
        return float(stated or 1 / self.period)

    def grid(self) -> WindowGrid:
        """Where windows begin."""
        cutter: Any = self.windows
        step = cutter.length if cutter.step is None else cutter.step
        gap = 1.5 * self.period if cutter.max_gap is None else float(cutter.max_gap)
        period = max(1, round(self.period * _SECOND))
        step = max(1, round(step * _SECOND / self.rate))
        return WindowGrid(cutter.length, step, period, round(gap * _SECOND), cutter.jitter)


@dataclass
class Samples:
    """Rows or windows in the order of machine and time.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_sensors) or Windows of shape (n_samples, n_sensors, length)
        None without a sample.
    machine, time, flag : ndarray of shape (n_samples,)
        Time of the last row, datetime64[ns] in UTC; flag is text on a doubt, empty without one.
    labels : ndarray of shape (n_samples,) or None
    unusable : DataFrame with ``machine``, ``time``, ``reason``
        Rows that no sample uses; of windows, the first of each stretch without one.
    """

    X: Any
    machine: np.ndarray
    time: np.ndarray
    flag: np.ndarray
    labels: np.ndarray | None
    unusable: pd.DataFrame

    def __len__(self) -> int:
        return len(self.time)

    def at(self, index: np.ndarray) -> Samples:
        """Some of them."""
        X = None if self.X is None else self.X.iloc[index] if hasattr(self.X, "iloc") else self.X[index]
        labels = None if self.labels is None else self.labels[index]
        return Samples(X, self.machine[index], self.time[index], self.flag[index], labels, self.unusable.iloc[:0])


@dataclass
class _Rows:
    """Rows of all machines, those of a machine together and in the order of time; arrays of shape (n_rows, ...)."""

    machine: np.ndarray
    begins: np.ndarray  # the first of its machine
    time: np.ndarray  # ns
    values: np.ndarray
    reason: np.ndarray
    flag: np.ndarray
    labels: np.ndarray | None


def samples_of(frame: pd.DataFrame, rules: RowRules, labels: str | None = None) -> Samples:
    """Samples of all machines.

    Parameters
    ----------
    frame : DataFrame
        Rows by machine and time.
    rules : RowRules
    labels : str, optional
        Column with the label of each row.

    Warns
    -----
    DataQualityWarning
        If rows come at other distances than those of the fit, so that no window is cut across them.
    """
    rows = _rows(frame, rules, labels)
    if rules.windows is not None:
        resampled = resamples(rules.windows, rules.period)
        return (_resampled if resampled else _windows)(frame, rows, rules)
    good = rows.reason == ""
    step = np.diff(rows.time, prepend=rows.time[:1])
    gap = np.flatnonzero(~rows.begins & (step > _GAP * rules.period * _SECOND))
    period = round(rules.period * _SECOND)
    at = np.concatenate([np.flatnonzero(~good), gap])
    time = np.concatenate([rows.time[~good], rows.time[gap - 1] + period])
    texts = np.concatenate([rows.reason[~good], _texts(f"no rows for {_span(step[k] / _SECOND)}" for k in gap)])
    order = np.lexsort((time, np.cumsum(rows.begins)[at]))
    y = None if rows.labels is None else rows.labels[good]
    kept = frame.loc[good, rules.sensors].astype(np.float64).reset_index(drop=True)
    return Samples(
        kept if len(kept) else None, rows.machine[good], rows.time[good].astype("datetime64[ns]"), rows.flag[good], y,
        _table(rows.machine[at][order], time[order], texts[order]),
    )  # fmt: skip


def _rows(frame: pd.DataFrame, rules: RowRules, labels: str | None) -> _Rows:
    n = len(frame)
    machine = np.full(n, "", dtype=object) if rules.machine is None else frame[rules.machine].to_numpy(dtype=object)
    begins = np.append(True, machine[1:] != machine[:-1])[:n]
    time = nanoseconds(frame[rules.time])
    values = frame[rules.sensors].to_numpy(np.float64)
    gap = np.diff(time, prepend=time[:1]) > _GAP * rules.period * _SECOND
    flag = stuck_flags(stuck_cells(values, begins | gap, rules.longest_run), rules.sensors)
    reason = unusable_rows(values, rules.sensors, rules.limits)
    return _Rows(machine, begins, time, values, reason, flag, None if labels is None else frame[labels].to_numpy())


def _windows(frame: pd.DataFrame, rows: _Rows, rules: RowRules) -> Samples:
    """Windows of rows at the rate of the fit."""
    cutter: Any = rules.windows
    cut = cut_windows(rows.time, rows.begins, rows.reason == "", rules.grid())
    _warn_of_uneven(cut.uneven, cut.joined, rules)
    step = np.diff(rows.time, prepend=rows.time[:1]) / _SECOND
    texts = _texts(
        rows.reason[k] or (
            f"rows {step[k]:.4g} s apart, not {rules.period:.4g} s" if cut.uneven[k]
            else _TOO_FEW if cut.joined[k] or rows.begins[k] else "no rows"
        )
        for k in cut.row
    )  # fmt: skip
    X, y = None, None if rows.labels is None else np.empty(0, dtype=object)
    if len(cut.ends):
        X, y = windows_at(
            cutter, rows.values, cut.ends, rate=rules.rate, time=rows.time.astype("datetime64[ns]"),
            channels=tuple(rules.sensors), labels=rows.labels,
        )  # fmt: skip
    unusable = _table(rows.machine[cut.row], cut.time, texts)
    time = rows.time[cut.ends].astype("datetime64[ns]")
    return Samples(X, rows.machine[cut.ends], time, rows.flag[cut.ends], y, unusable)


def _warn_of_uneven(uneven: np.ndarray, joined: np.ndarray, rules: RowRules) -> None:
    cutter: Any = rules.windows
    if uneven.any():
        n, n_uneven = int((uneven | joined).sum()), int(uneven.sum())
        warn_caller(
            f"ConditionMonitor: {n_uneven} of {n} distances between rows differ by more than {cutter.jitter:.0%} from "
            f"the usual {rules.period:g} s: no window is cut across them. Export the table at "
            "one rate, or set on_irregular='resample' or a larger jitter."
        )


def _resampled(frame: pd.DataFrame, rows: _Rows, rules: RowRules) -> Samples:
    """Windows of rows at another rate, or at unequal distances."""
    good = rows.reason == ""
    own = np.split(np.arange(len(frame)), np.flatnonzero(rows.begins)[1:])
    parts = [
        resampled_windows(rows.time[k], rows.values[k], good[k], rules, None if rows.labels is None else rows.labels[k])
        for k in own
    ]
    machine = [rows.machine[k[0]] if len(k) else "" for k in own]
    X = [one.X for one in parts if one.X is not None]
    n, n_without = [len(one.ends) for one in parts], [len(one.without) for one in parts]
    flags, texts = [], []
    for k, one in zip(own, parts, strict=True):
        last = np.searchsorted(rows.time[k], one.ends, side="right") - 1
        flags.append(rows.flag[k][np.maximum(last, 0)])
        first, behind = (np.searchsorted(rows.time[k], one.without - span) for span in (rules.grid().step, 0))
        texts += [
            next((text for text in rows.reason[k][i:j] if text), _TOO_FEW if j > i else "no rows")
            for i, j in zip(first, behind, strict=True)
        ]  # fmt: skip
    return Samples(
        np.concatenate(X) if len(X) > 1 else X[0] if X else None,  # windows keep rate, times and channels
        np.repeat(np.array(machine, dtype=object), n),
        np.concatenate([one.ends for one in parts]).astype("datetime64[ns]"),
        np.concatenate(flags),
        None if rows.labels is None else np.concatenate([one.y for one in parts]),
        _table(np.repeat(np.array(machine, dtype=object), n_without), np.concatenate([one.without for one in parts]),
               _texts(texts)),
    )  # fmt: skip


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def _texts(texts: Any) -> np.ndarray:
    given = list(texts)
    found = np.empty(len(given), dtype=object)
    found[:] = given
    return found


def _table(machine: np.ndarray, time: np.ndarray, reason: np.ndarray) -> pd.DataFrame:
    """Rows without a sample; `time` is in ns."""
    return pd.DataFrame({"machine": machine, "time": time.astype("datetime64[ns]"), "reason": reason})
