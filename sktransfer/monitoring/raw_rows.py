"""Rows of a plant's table: which cells can be used, and which are doubtful.

::

    frame --> missing, beyond its measuring range, stuck --> reason of each row, "" if it can be used
                                                         --> flag of each row: used, but looked at with doubt
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

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


def stuck_cells(values: np.ndarray, begins: np.ndarray, longest: np.ndarray) -> np.ndarray:
    """Whether a sensor has shown one value for longer than it may, at each row.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_sensors)
        Rows of each machine in the order of time.
    begins : ndarray of bool of shape (n_rows,)
        Rows that begin anew: the first of a machine, and those behind a gap, so that a row is judged by the rows of a
        known span before it.
    longest : ndarray of shape (n_sensors,)
        Rows without a change that are usual.

    Returns
    -------
    ndarray of bool of shape (n_rows, n_sensors)
    """
    at = np.arange(1, len(values) + 1)[:, None]
    changed = np.ones(values.shape, dtype=bool)
    # NaN differs from NaN: a missing cell is missing, not stuck
    changed[1:] = (values[1:] != values[:-1]) | begins[1:, None]
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
