"""machine_status: one line a machine, worst first, in the words of NAMUR NE 107.

::

    alarm of a known fault    --> Maintenance required    a sensor that is stuck        --> Check function
    alarm, the fault unknown  --> Out of specification    no good sample for too long   --> NO DATA
    either, and no data since --> the same word, until samples that are back in range end the alarm
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sktransfer.io.score_rows import NO_DATA
from sktransfer.monitoring.condition_monitor import ConditionMonitor
from sktransfer.monitoring.job_state import MachineState

# worst first
MAINTENANCE, OUT_OF_SPEC, MISSING, CHECK, NORMAL = (
    "Maintenance required",
    "Out of specification",
    "NO DATA",
    "Check function",
    "Normal",
)
ORDER = (MAINTENANCE, OUT_OF_SPEC, MISSING, CHECK, NORMAL)
STOPPED = "alarm before data stopped"
_RECENT = 100  # samples that data health is about


def machine_status(
    model: ConditionMonitor,
    samples: pd.DataFrame,
    machines: dict[str, MachineState],
    now: pd.Timestamp,
    max_age: float,
    older: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """What an operator sees of each machine.

    An alarm that was on when the data stopped stays: the machine has not been seen healthy since.

    Parameters
    ----------
    model : ConditionMonitor
    samples : DataFrame
        Recent ones of all machines, by machine and time.
    machines : dict of str to MachineState
        After the last sample of each.
    now : Timestamp
    max_age : float
        Seconds after which a machine has no data.
    older : DataFrame, optional
        The last sample that could be judged of machines that have no recent one.

    Returns
    -------
    DataFrame, worst first
        ``machine``, ``status`` (the words above), ``since`` (of the alarm, or of the last good sample), ``alarm``,
        ``state`` (class or "unusual" of the last good sample), ``probability``, ``score``, ``sensors``, ``quality``,
        ``last`` (time of the last good sample), ``age`` (of it, in s), ``good`` (share of the last hundred samples
        that could be judged; NaN without a recent one), ``no_data`` (whether nothing can be said of now).

    References
    ----------
    NAMUR NE 107 (2017). Self-monitoring and diagnosis of field devices.
    """
    names = sorted({*machines, *model.machines_})
    of = pd.Index(names, dtype=object).get_indexer(samples["machine"].to_numpy(dtype=object))
    judged = (samples["state"] != NO_DATA).to_numpy(dtype=bool)
    newest, last = np.full(len(names), -1), np.full(len(names), -1)
    newest[of], last[of[judged]] = np.arange(len(of)), np.flatnonzero(judged)  # the last one of each stays
    recent = newest[of] - np.arange(len(of)) < _RECENT
    n, n_good = (np.bincount(of[rows], minlength=len(names)) for rows in (recent, recent & judged))
    good = np.where(n > 0, n_good / np.maximum(n, 1), np.nan)
    lasts = ({} if older is None else _by_machine(older)) | _by_machine(samples.iloc[last[last >= 0]])
    newests = _by_machine(samples.iloc[newest[newest >= 0]])
    rows = [_one(name, lasts.get(name), newests.get(name), machines.get(name), now, max_age, model) for name in names]
    found = pd.DataFrame(rows).assign(good=good)
    for column in ("since", "last"):
        found[column] = pd.to_datetime(found[column], utc=True).astype("datetime64[ns, UTC]")
    rank = found["status"].map({word: k for k, word in enumerate(ORDER)})
    since = found["since"].fillna(pd.Timestamp(0, tz="UTC"))
    order = np.lexsort((found["machine"], since, rank))
    return found.iloc[order].reset_index(drop=True)


def _by_machine(samples: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["machine"]: row for row in samples.to_dict("records")}


def _one(
    name: str, last: Any, newest: Any, machine: MachineState | None, now: pd.Timestamp, max_age: float, model: Any
) -> dict[str, Any]:
    """A machine of which `last` is the last sample that could be judged, and `newest` the last one of all."""
    if last is None:
        return _without_good_sample(name, newest, machine)
    newest = last if newest is None else newest
    age = (now - last["time"]).total_seconds()
    alarm = bool(last["alarm"])
    stale = not -max_age <= age <= max_age  # far in the future: the clock was set back
    no_data = stale or newest["state"] == NO_DATA
    quality = newest["quality"] or last["quality"]
    if alarm:
        known = model.classes_ is not None and last["state"] in set(map(str, model.classes_))  # kept as text
        status = MAINTENANCE if known else OUT_OF_SPEC
        since = last["time"] if machine is None or machine.since is None else pd.Timestamp(machine.since, tz="UTC")
        quality = "; ".join(text for text in (STOPPED if no_data else "", quality) if text)
    elif no_data:
        status, since = MISSING, last["time"] if stale else newest["time"]
    else:
        status, since = CHECK if last["quality"] else NORMAL, pd.NaT
    return {
        "machine": name,
        "status": status,
        "since": since,
        "alarm": alarm,
        **{column: last[column] for column in ("state", "probability", "score", "sensors")},
        "quality": quality,
        "last": last["time"],
        "age": age,
        "no_data": no_data,
    }


def _without_good_sample(name: str, newest: Any, machine: MachineState | None) -> dict[str, Any]:
    """A machine of which no sample could be judged."""
    quality = "no rows yet" if machine is None else "no rows for long"
    return {
        "machine": name,
        "status": MISSING,
        "since": pd.NaT if machine is None else pd.Timestamp(machine.watermark, tz="UTC"),
        "alarm": False,
        "state": NO_DATA,
        "probability": np.nan,
        "score": np.nan,
        "sensors": "",
        "quality": quality if newest is None else newest["quality"],
        "last": pd.NaT,
        "age": np.nan,
        "no_data": True,
    }
