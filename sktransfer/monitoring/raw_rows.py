"""Rows of a plant's table: which cells can be used, and where a machine has a stretch of them.

::

    frame --> missing, beyond its measuring range, stuck --> reason of each row, "" if it can be used
                                                         --> flag of each row: used, but looked at with doubt
    usable rows of a machine --> stretches without a gap, each begun at a whole step of time
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.utils.parameters import is_number

_NAMED = 3  # sensors that a reason names


def unusable_rows(values: np.ndarray, sensors: list[str], limits: np.ndarray) -> np.ndarray:
    """Why each row cannot be used; empty text where it can.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_sensors)
        NaN where a cell holds no number.
    sensors : list of str
    limits : ndarray of shape (n_sensors, 2)
        Measuring ranges; minus and plus infinity where none is known.

    Returns
    -------
    ndarray of str of shape (n_rows,)
    """
    missing = ~np.isfinite(values)
    beyond = ~missing & ((values < limits[:, 0]) | (values > limits[:, 1]))
    found = np.full(len(values), "", dtype=object)
    for row in np.flatnonzero(missing.any(axis=1) | beyond.any(axis=1)):
        parts = [("missing", missing[row]), ("beyond its measuring range", beyond[row])]
        found[row] = "; ".join(f"{word}: {_listed(sensors, which)}" for word, which in parts if which.any())
    return found


def _listed(sensors: list[str], which: np.ndarray) -> str:
    names = [sensors[j] for j in np.flatnonzero(which)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def stuck_cells(values: np.ndarray, seconds: np.ndarray, longest: np.ndarray, max_gap: float) -> np.ndarray:
    """Whether a sensor has shown one value for longer than it may, at each row of one machine.

    A run ends at a gap, so that a row is judged by the rows of a known span before it.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_sensors)
        Rows of one machine in the order of time.
    seconds : ndarray of shape (n_rows,)
    longest : ndarray of shape (n_sensors,)
        Rows without a change that are usual.
    max_gap : float
        Longest distance of rows that is no gap, in s.

    Returns
    -------
    ndarray of bool of shape (n_rows, n_sensors)
    """
    at = np.arange(1, len(values) + 1)[:, None]
    changed = np.ones(values.shape, dtype=bool)
    # NaN differs from NaN: a missing cell is missing, not stuck
    changed[1:] = (values[1:] != values[:-1]) | (np.diff(seconds) > max_gap)[:, None]
    runs = at - np.maximum.accumulate(np.where(changed, at, 0), axis=0) + 1
    return np.asarray(runs > longest)


def stuck_flags(stuck: np.ndarray, sensors: list[str]) -> np.ndarray:
    """Text that names the stuck sensors of each row; empty where there are none."""
    found = np.full(len(stuck), "", dtype=object)
    for row in np.flatnonzero(stuck.any(axis=1)):
        found[row] = f"stuck: {_listed(sensors, stuck[row])}"
    return found


def measuring_ranges(name: str, limits: Mapping[str, Any] | None, sensors: list[str]) -> np.ndarray:
    """Lower and upper end of each sensor's measuring range, shape (n_sensors, 2); infinite where none is given.

    Raises
    ------
    ValueError
        For a sensor that is not there, and for what is no range.
    """
    found = np.tile([-np.inf, np.inf], (len(sensors), 1))
    for sensor, ends in (limits or {}).items():
        if sensor not in sensors:
            raise ValueError(f"{name}: limits names {sensor!r}, which is no sensor. Sensors are {sensors}.")
        low, high = (np.nan, np.nan) if not hasattr(ends, "__len__") or len(ends) != 2 else ends
        if not all(end is None or is_number(end) for end in (low, high)):
            low, high = np.nan, np.nan
        low, high = -np.inf if low is None else float(low), np.inf if high is None else float(high)
        if not low < high:
            raise ValueError(f"{name}: limits[{sensor!r}] must be (low, high) with low < high. Got {ends!r}.")
        found[sensors.index(sensor)] = low, high
    return found


def aligned_stretches(seconds: np.ndarray, step: float, period: float, max_gap: float) -> list[slice]:
    """Rows of one machine without a gap, each stretch begun at a whole multiple of `step` since 1970.

    So the same windows are cut from a file whatever row it begins with.

    Parameters
    ----------
    seconds : ndarray of shape (n_rows,)
        In the order of time.
    step : float
        From one window to the next, in s.
    period : float
        Between two rows, in s.
    max_gap : float
        Longest distance of two rows of a stretch, in s.
    """
    cuts = np.flatnonzero(np.diff(seconds) > max_gap) + 1
    found = []
    for start, stop in zip(np.r_[0, cuts], np.r_[cuts, len(seconds)], strict=True):
        first = np.ceil((seconds[start] - period / 2) / step) * step
        begin = start + int(np.searchsorted(seconds[start:stop], first - period / 2))
        if begin < stop:
            found.append(slice(int(begin), int(stop)))
    return found


def seconds_of(time: pd.Series) -> np.ndarray:
    """Seconds since 1970 of a column of times in UTC."""
    return np.asarray(time.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[ns]").astype(np.int64) / 1e9)
