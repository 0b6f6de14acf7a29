"""Alarms of a run, of all machines at once, and what is remembered of each.

::

    samples that are final now  --from what was remembered--> alarms --> remembered for the next run
    samples that are still open --from there ---------------> alarms --> how each machine stands now
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from sktransfer.io.score_rows import NO_DATA
from sktransfer.monitoring.alarms import Alarms
from sktransfer.monitoring.job_state import BEGIN, MachineState
from sktransfer.monitoring.plant_frame import nanoseconds


def alarms_of(
    alarms: Alarms, found: pd.DataFrame, known: dict[str, MachineState], newest: dict[str, int], late: int
) -> tuple[np.ndarray, dict[str, MachineState], dict[str, MachineState]]:
    """Whether an alarm is on at each sample that is not final yet.

    Parameters
    ----------
    alarms : Alarms
    found : DataFrame
        Samples by machine and time.
    known : dict of str to MachineState
        What the run before has left.
    newest : dict of str to int
        Time of the newest row of each machine, in ns.
    late : int
        Rows may come this much later than newer ones, in ns.

    Returns
    -------
    on : ndarray of bool of shape (n_samples,)
    after : dict of str to MachineState
        What is remembered: the alarm after the last sample that is final now.
    live : dict of str to MachineState
        The same after the last sample of all.
    """
    machine, time = found["machine"].to_numpy(dtype=object), nanoseconds(found["time"])
    after = {}
    for name, row_time in newest.items():
        before = known.get(name, MachineState(BEGIN, BEGIN))
        watermark = max(before.watermark, row_time)
        after[name] = replace(before, watermark=watermark, boundary=max(before.boundary, watermark - late))
    codes, each = pd.factorize(machine)
    boundary = np.array([after[name].boundary if name in after else BEGIN for name in each], dtype=np.int64)
    final = time <= boundary[codes] if len(codes) else np.zeros(0, dtype=bool)
    judged = (found["state"] != NO_DATA).to_numpy(dtype=bool)
    on = np.zeros(len(found), dtype=bool)
    _go_on(alarms, found, np.flatnonzero(judged & final), on, after)
    live = dict(after)
    _go_on(alarms, found, np.flatnonzero(judged & ~final), on, live)
    return on, after, live


def _go_on(
    alarms: Alarms, found: pd.DataFrame, rows: np.ndarray, on: np.ndarray, states: dict[str, MachineState]
) -> None:
    """Set the alarms of some samples, and what is remembered after them."""
    if len(rows) == 0:
        return
    machine, time = found["machine"].to_numpy(dtype=object)[rows], nanoseconds(found["time"])[rows]
    before = {name: one.alarm for name, one in states.items() if one.alarm is not None}
    on[rows], remembered = alarms.update(
        found["score"].to_numpy()[rows], time=time.astype("datetime64[ns]"), machine=machine, states=before
    )
    starts = np.append(True, machine[1:] != machine[:-1])
    for own in np.split(np.arange(len(rows)), np.flatnonzero(starts)[1:]):
        name = machine[own[0]]
        since = _since(on[rows[own]], time[own], states[name].since)
        states[name] = replace(states[name], alarm=remembered[name], since=since)


def _since(on: np.ndarray, time: np.ndarray, before: int | None) -> int | None:
    """When the alarm began that is on after the last sample; None if it is off."""
    if not on[-1]:
        return None
    off = np.flatnonzero(~on)
    if len(off) == 0 and before is not None:
        return before
    return int(time[off[-1] + 1 if len(off) else 0])
