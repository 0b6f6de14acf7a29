"""What a run of a job refuses, and what it warns of, before it judges anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sktransfer.exceptions import DataQualityWarning
from sktransfer.monitoring.condition_monitor import ConditionMonitor
from sktransfer.monitoring.plant_frame import nanoseconds
from sktransfer.monitoring.resampled_windows import resamples
from sktransfer.utils.counted_warnings import warn_caller

_SECOND = 1_000_000_000
_LONGEST = 1e9  # of a span, in s: 30 years, whose ns fit in 64 bits
_TOLERANCE = pd.Timedelta(seconds=60)  # by which clocks may differ, as in files


def moment_of(now: Any) -> pd.Timestamp:
    """A time in UTC; None is the time of the clock, and times without a zone are in UTC.

    Raises
    ------
    ValueError
        For what is no time.
    """
    try:
        found = pd.Timestamp.now("UTC") if now is None else pd.Timestamp(now)
    except (TypeError, ValueError) as error:
        raise ValueError(f"now must be a time such as '2026-01-31T08:00Z'. Got {now!r}.") from error
    if found is pd.NaT:
        raise ValueError(f"now must be a time such as '2026-01-31T08:00Z'. Got {now!r}.")
    return found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")


def check_spans(**spans: float) -> None:
    """Refuse spans of time that mean nothing.

    Raises
    ------
    ValueError
        For what is negative, none, or longer than thirty years.
    """
    for name, value in spans.items():
        if not 0 <= value < _LONGEST:  # no age is above NaN: a machine would never be without data
            raise ValueError(f"{name} must be a number from 0 to {_LONGEST:g}. Got {value!r}.")


def refuse_resampling(model: ConditionMonitor) -> None:
    """Samples between rows depend on all rows around them, so that pieces of a table would give other windows."""
    if resamples(model.windows, model.period_):
        raise ValueError(
            f"run_job: the windows are resampled from rows that are {model.period_:g} s apart, and would depend on "
            "where a table begins. Export the table at the rate of the windows, at equal distances."
        )


def refuse_future(time: pd.Series, now: pd.Timestamp) -> None:
    """Rows of frames, as files refuse theirs: one in the future would make all that come before it too late."""
    later = time > now + _TOLERANCE
    if later.any():
        raise ValueError(
            f"monitor: {int(later.sum())} of {len(time)} rows lie after the time of the run, {now}; the last one at "
            f"{time.max()}. Check the clocks and zones, or pass now= for a replay."
        )


def warn_of_clock(newest: int, now: pd.Timestamp) -> None:
    """Warn where rows were seen, in ns, that are later than the time of the run: its clock was set back."""
    seen = pd.Timestamp(newest, tz="UTC")
    if seen > now + _TOLERANCE:
        warn_caller(
            f"The clock is behind the newest row that was seen: it says {now}, and the row is of {seen}. What was "
            "remembered stays; until the clock is there no machine counts as seen healthy. Check the clock.",
            DataQualityWarning,
        )


def warn_of_rate(model: ConditionMonitor, given: pd.DataFrame, of: np.ndarray) -> None:
    """Warn of rows that come at another rate than those of ``fit``."""
    time = nanoseconds(given[model.table_format.time.name])
    same = of[1:] == of[:-1]
    steps = np.diff(time)[same] / _SECOND
    usual = float(np.median(steps)) if len(steps) else model.period_
    if not 0.5 * model.period_ <= usual <= 2 * model.period_:
        warn_caller(
            f"The rows of the table are {usual:g} s apart, those of the fit {model.period_:g} s. Delays of alarms "
            "count samples, and windows need the same rate: export the table at the rate of the fit.",
            DataQualityWarning,
        )
