"""Samples: what an estimator is asked about, with machine and time of each, and the rows that gave none.

::

    frame of all machines --> each machine: unusable rows out --> rows ------------------------> Samples
                                                              --> stretches --> windows ------->
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.monitoring.raw_rows import aligned_stretches, seconds_of, stuck_cells, stuck_flags, unusable_rows
from sktransfer.windows.sliding_windows import SlidingWindows

_GAP = 3  # usual distances of rows beyond which rows are missing


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
    def step(self) -> float:
        """From one sample to the next, in s."""
        if self.windows is None:
            return self.period
        n = self.windows.length if self.windows.step is None else self.windows.step
        return n / self.windows.sampling_rate if self.windows.sampling_rate else n * self.period

    @property
    def max_gap(self) -> float:
        """Longest distance of two rows of one window, in s."""
        given = None if self.windows is None else self.windows.max_gap
        return 1.5 * self.period if given is None else float(given)


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


def samples_of(frame: pd.DataFrame, rules: RowRules, labels: str | None = None) -> Samples:
    """Samples of all machines.

    Parameters
    ----------
    frame : DataFrame
        Rows of each machine in the order of time.
    rules : RowRules
    labels : str, optional
        Column with the label of each row.
    """
    of = np.full(len(frame), "", dtype=object) if rules.machine is None else frame[rules.machine].to_numpy(dtype=object)
    parts = [_of_machine(name, frame.iloc[np.flatnonzero(of == name)], rules, labels) for name in sorted(set(of))]
    parts = parts or [_of_machine("", frame, rules, labels)]
    full = [one for one in parts if len(one)]
    joined = {name: np.concatenate([getattr(one, name) for one in parts]) for name in ("machine", "time", "flag")}
    y = None if labels is None else np.concatenate([one.labels for one in parts])
    unusable = pd.concat([one.unusable for one in parts], ignore_index=True)
    return Samples(_joined([one.X for one in full]), **joined, labels=y, unusable=unusable)


def _joined(parts: list[Any]) -> Any:
    if not parts:
        return None
    if isinstance(parts[0], pd.DataFrame):
        return pd.concat(parts, ignore_index=True)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)  # windows keep rate, times and channels


def _of_machine(name: str, frame: pd.DataFrame, rules: RowRules, labels: str | None) -> Samples:
    values = frame[rules.sensors].to_numpy(np.float64)
    reason = unusable_rows(values, rules.sensors, rules.limits)
    seconds = seconds_of(frame[rules.time])
    flag = stuck_flags(stuck_cells(values, seconds, rules.longest_run, _GAP * rules.period), rules.sensors)
    good = reason == ""
    time = frame[rules.time].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ns]")
    if rules.windows is None:
        kept = frame.loc[good, rules.sensors].astype(np.float64)
        y = None if labels is None else frame[labels].to_numpy()[good]
        unusable = pd.concat([_table(name, time[~good], reason[~good]), _gaps(name, time, rules)], ignore_index=True)
        unusable = unusable.sort_values("time", kind="stable", ignore_index=True)
        return Samples(kept, _all(name, good.sum()), time[good], flag[good], y, unusable)
    return _windows_of(name, frame.iloc[np.flatnonzero(good)], (time, reason, flag), rules, labels)


def _windows_of(
    name: str, good: pd.DataFrame, rows: tuple[np.ndarray, ...], rules: RowRules, labels: str | None
) -> Any:
    """Windows of one machine, and where it has none."""
    time, reason, flag = rows
    cutter: Any = rules.windows
    seconds = seconds_of(good[rules.time])
    stretches = aligned_stretches(seconds, rules.step, rules.period, rules.max_gap)
    long = [good.iloc[one] for one in stretches if one.stop - one.start >= cutter.length * _rate_ratio(cutter, rules)]
    if not long:
        X, ends, y = None, time[:0], np.empty(0, dtype=object)
    else:
        X, y, _ = cutter.cut(long, labels=labels, time=rules.time, channels=rules.sensors)
        ends = np.asarray(X.time).astype("datetime64[ns]")
    found = np.full(len(ends), "", dtype=object)
    if flag.any():
        last = np.searchsorted(time, ends, side="right") - 1
        found = flag[np.maximum(last, 0)]
    unusable = _without_window(name, time, reason, ends, rules)
    return Samples(X, _all(name, len(ends)), ends, found, y if labels is not None else None, unusable)


def _rate_ratio(cutter: SlidingWindows, rules: RowRules) -> float:
    """Rows of the table to a sample of a window."""
    return 1.0 if cutter.sampling_rate is None else 1.0 / (rules.period * cutter.sampling_rate)


def _without_window(name: str, time: np.ndarray, reason: np.ndarray, ends: np.ndarray, rules: RowRules) -> pd.DataFrame:
    """Steps of time in which no window ends; each stretch of them once, at its begin."""
    slot, got = _slots(time, rules), _slots(ends, rules)
    possible = _slots(_possible_ends(time, rules), rules)
    missing = possible[~np.isin(possible, got)]
    begins = missing[np.r_[True, np.diff(missing) > 1]] if len(missing) else missing
    texts = np.empty(len(begins), dtype=object)
    for k, one in enumerate(begins):
        rows = np.flatnonzero(slot == one)
        said = next((text for text in reason[rows] if text), "too few rows in a row for a window")
        texts[k] = said if len(rows) else "no rows"
    return _table(name, _times((begins + 1) * rules.step), texts)


def _possible_ends(time: np.ndarray, rules: RowRules) -> np.ndarray:
    """Ends of the windows that there would be without a gap or an unusable row."""
    cutter: Any = rules.windows
    if len(time) == 0:
        return time
    first, last = time[[0, -1]].astype(np.int64) / 1e9
    begin = np.ceil((first - rules.period / 2) / rules.step) * rules.step
    last_sample = (cutter.length - 1) * (1 / cutter.sampling_rate if cutter.sampling_rate else rules.period)
    n = int(np.floor((last + rules.period / 2 - begin - last_sample) / rules.step)) + 1
    return _times(begin + last_sample + rules.step * np.arange(max(n, 0)))


def _gaps(name: str, time: np.ndarray, rules: RowRules) -> pd.DataFrame:
    """Where rows should be and none are, at the time of the first that is not there."""
    steps = np.diff(time).astype(np.int64) / 1e9
    at = np.flatnonzero(steps > _GAP * rules.period)
    texts = np.array([f"no rows for {_span(steps[k])}" for k in at], dtype=object)
    return _table(name, _times(time[at].astype(np.int64) / 1e9 + rules.period), texts)


def _slots(time: np.ndarray, rules: RowRules) -> np.ndarray:
    """Number of the step of time that each moment lies in."""
    return np.floor((time.astype(np.int64) / 1e9 + rules.period / 2) / rules.step).astype(np.int64)


def _times(seconds: np.ndarray) -> np.ndarray:
    return np.round(np.asarray(seconds, dtype=np.float64) * 1e9).astype(np.int64).astype("datetime64[ns]")


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def _table(name: str, time: np.ndarray, reason: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"machine": _all(name, len(time)), "time": time, "reason": reason})


def _all(name: str, n: int) -> np.ndarray:
    return np.full(n, name, dtype=object)
