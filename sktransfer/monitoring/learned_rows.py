"""What is usual for the rows of a table: their distance, the range of each sensor, how long it rests."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sktransfer.io.table_format import TableFormat
from sktransfer.monitoring.plant_frame import nanoseconds
from sktransfer.utils.counted_nouns import counted
from sktransfer.validation.stuck import longest_usual_runs

_LONGEST_RUN = 10_000  # rows: a sensor that may rest for longer is never called stuck


def learn_rows(
    name: str, frame: pd.DataFrame, form: TableFormat, sensors: list[str], limits: np.ndarray, healthy: pd.Series | None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Usual distance of two rows in s, ranges (n_sensors, 2), and rows without a change of each sensor, (n_sensors,).

    Parameters
    ----------
    name : str
        Of the caller, for errors.
    frame : DataFrame
        Rows by machine and time.
    form : TableFormat
    sensors : list of str
    limits : ndarray of shape (n_sensors, 2)
        Measuring ranges.
    healthy : Series of bool or None
        Rows that tell how long a sensor rests; None: all.

    Raises
    ------
    ValueError
        If no machine has two rows, or no row a usable value of every sensor.
    """
    of = np.zeros(len(frame), dtype=object) if form.machine is None else frame[form.machine].to_numpy(dtype=object)
    begins = np.flatnonzero(of[1:] != of[:-1]) + 1
    steps = np.delete(np.diff(nanoseconds(frame[form.time.name])), begins - 1)
    if not len(steps):
        raise ValueError(f"{name} needs at least two rows of a machine; got {len(frame)} in all.")
    period = float(np.median(steps)) / 1e9  # of whole ns: as floats, seconds since 1970 end at a quarter of a us
    values = frame[sensors].to_numpy(np.float64)
    good = np.isfinite(values) & (values >= limits[:, 0]) & (values <= limits[:, 1])
    if not good.all(axis=1).any():
        least = int(good.sum(axis=0).argmin())
        raise ValueError(
            f"{name}: no row has a usable value in every sensor; {sensors[least]!r} has one in "
            f"{good[:, least].sum()} of {counted(len(good), 'row')}, the others are missing or beyond its limits "
            f"{tuple(limits[least].tolist())}. Leave the sensor out, or mend its limits."
        )
    kept = np.where(good, values, np.nan)
    ranges = np.c_[np.nanmin(kept, axis=0), np.nanmax(kept, axis=0)]
    told = np.ones(len(frame), dtype=bool) if healthy is None else healthy.to_numpy(dtype=bool)
    own = np.split(np.arange(len(frame)), begins)
    runs = [longest_usual_runs(kept[rows][told[rows]]) for rows in own if told[rows].sum() > 1]
    longest = np.max(runs, axis=0) if runs else np.full(len(sensors), np.inf)
    return period, ranges, np.where(longest > _LONGEST_RUN, np.inf, longest)
