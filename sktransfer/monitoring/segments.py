"""Stretches of samples of one machine without a gap: what an alarm may look back over.

::

    time, machine --> same machine, in order, no gap --> number of the stretch of each sample
"""

from __future__ import annotations

from typing import Any

import numpy as np

_DAY = 86_400.0
GAP_STEPS = 3  # usual steps of time beyond which a step is a gap


def check_times(name: str, time: Any, n: int) -> np.ndarray:
    """Times in seconds (of datetimes, since 1970 in UTC), shape (n,).

    Parameters
    ----------
    name : str
        Of the caller, for errors.
    time : array-like of shape (n,)
        Datetimes, or seconds.
    n : int

    Raises
    ------
    ValueError
        For another length, and for missing times.
    """
    given = np.asarray(time)
    if given.shape != (n,):
        raise ValueError(f"{name} got time of shape {given.shape}; expected ({n},), one a score.")
    if given.dtype.kind == "O" or given.dtype.kind in "US":
        import pandas as pd

        # of times with a zone this is UTC
        given = pd.to_datetime(given, utc=True).tz_localize(None).to_numpy()
    if given.dtype.kind == "M":
        if np.isnat(given).any():
            raise ValueError(f"{name}: {int(np.isnat(given).sum())} of {n} times are missing. Leave such samples out.")
        return np.asarray(given.astype("datetime64[ns]").astype(np.int64) / 1e9)
    seconds = given.astype(np.float64)
    if not np.isfinite(seconds).all():
        raise ValueError(f"{name}: {int((~np.isfinite(seconds)).sum())} of {n} times are missing. Leave such out.")
    return seconds


def segments(name: str, seconds: np.ndarray, machine: np.ndarray | None, max_gap: float | None) -> np.ndarray:
    """Number of the stretch that each sample belongs to, shape (n,).

    Parameters
    ----------
    seconds : ndarray of shape (n,)
    machine : ndarray of shape (n,) or None
        Samples of one machine must stand in order of time; machines may take turns.
    max_gap : float or None
        Largest step in seconds within a stretch; None: three times the median step of all machines.

    Raises
    ------
    ValueError
        If time runs backwards on a machine.
    """
    found, largest = np.zeros(len(seconds), dtype=np.int64), 0
    of = np.zeros(len(seconds), dtype=np.int64) if machine is None else np.unique(machine, return_inverse=True)[1]
    own = [np.flatnonzero(of == number) for number in range(int(of.max(initial=-1)) + 1)]
    steps = [np.diff(seconds[rows]) for rows in own]
    for rows, step in zip(own, steps, strict=True):
        if (step < 0).any():
            at = int(rows[1:][step < 0][0])
            raise ValueError(
                f"{name}: time runs backwards at sample {at}"
                f"{'' if machine is None else f' of machine {machine[at]!r}'}. Sort each machine's samples by time, or "
                "pass machine= where several are mixed."
            )
    limit = GAP_STEPS * _median_step(steps) if max_gap is None else max_gap
    for rows, step in zip(own, steps, strict=True):
        found[rows] = largest + np.concatenate([[0], np.cumsum(step > limit)]) if len(rows) else 0
        largest = int(found[rows].max(initial=largest - 1)) + 1
    return found


def usual_gap(seconds: np.ndarray, machine: Any) -> float:
    """Three times the median step in time of all machines, in seconds."""
    of = np.zeros(len(seconds), dtype=np.int64) if machine is None else np.unique(machine, return_inverse=True)[1]
    return GAP_STEPS * _median_step([np.diff(seconds[of == number]) for number in range(int(of.max(initial=-1)) + 1)])


def _median_step(steps: list[np.ndarray]) -> float:
    every = np.concatenate(steps) if steps else np.zeros(0)
    return float(np.median(every[every > 0])) if (every > 0).any() else 0.0


def days_watched(seconds: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Days that each sample stands for, shape (n,): to the next one of its stretch, the last the median step."""
    order = np.lexsort((seconds, segment))
    step, same = np.diff(seconds[order]), np.diff(segment[order]) == 0
    usual = float(np.median(step[same])) if same.any() else 0.0
    found = np.full(len(seconds), usual)
    found[order[:-1][same]] = step[same]
    return found / _DAY
