"""machine_status: one line a machine, worst first, in the words of NAMUR NE 107.

::

    alarm of a known fault    --> Maintenance required    a sensor that is stuck        --> Check function
    alarm, the fault unknown  --> Out of specification    no good sample for too long   --> NO DATA
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sktransfer.monitoring.condition_monitor import NO_DATA, ConditionMonitor
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
_RECENT = 100  # samples that data health is about


def machine_status(
    model: ConditionMonitor,
    samples: pd.DataFrame,
    machines: dict[str, MachineState],
    now: pd.Timestamp,
    max_age: float,
) -> pd.DataFrame:
    """What an operator sees of each machine.

    Parameters
    ----------
    model : ConditionMonitor
    samples : DataFrame
        Recent ones of all machines, by machine and time.
    machines : dict of str to MachineState
    now : Timestamp
    max_age : float
        Seconds after which a machine has no data.

    Returns
    -------
    DataFrame, worst first
        ``machine``, ``status`` (the words above), ``since`` (of the alarm, or of the last good sample), ``alarm``,
        ``state`` (class or "unusual" of the last good sample), ``probability``, ``score``, ``sensors``, ``quality``,
        ``last`` (time of the last good sample), ``age`` (of it, in s), ``good`` (share of the last hundred samples
        that could be judged), ``model``.

    References
    ----------
    NAMUR NE 107 (2017). Self-monitoring and diagnosis of field devices.
    """
    names = sorted({*machines, *model.machines_})
    rows = [_one(name, samples[samples["machine"] == name], machines.get(name), now, max_age, model) for name in names]
    found = pd.DataFrame(rows)
    for column in ("since", "last"):
        found[column] = pd.to_datetime(found[column], utc=True).astype("datetime64[ns, UTC]")
    rank = found["status"].map({word: k for k, word in enumerate(ORDER)})
    since = found["since"].fillna(pd.Timestamp(0, tz="UTC"))
    order = np.lexsort((found["machine"], since, rank))
    return found.iloc[order].reset_index(drop=True)


def _one(
    name: str, own: pd.DataFrame, machine: MachineState | None, now: pd.Timestamp, max_age: float, model: Any
) -> dict[str, Any]:
    good = own[own["state"] != NO_DATA]
    if len(good) == 0:
        return _without_good_sample(name, own, machine)
    last, newest = good.iloc[-1], own.iloc[-1]
    age = (now - last["time"]).total_seconds()
    alarm = bool(last["alarm"])
    on = good["alarm"].to_numpy()
    begin = 0 if on.all() else int(np.flatnonzero(~on)[-1]) + 1
    since = good["time"].iloc[begin] if alarm else pd.NaT
    if alarm and begin == 0 and machine is not None and machine.since is not None:
        since = min(since, pd.Timestamp(machine.since, tz="UTC"))  # its begin is no longer kept
    stale = not -max_age <= age <= max_age  # far in the future: the clock was set back
    if stale:
        status, since = MISSING, last["time"]
    elif alarm:
        known = model.classes_ is not None and last["state"] in set(map(str, model.classes_))  # kept as text
        status = MAINTENANCE if known else OUT_OF_SPEC
    elif newest["state"] == NO_DATA:
        status, since = MISSING, newest["time"]
    else:
        status = CHECK if last["quality"] else NORMAL
    recent = own.tail(_RECENT)
    return {
        "machine": name,
        "status": status,
        "since": since,
        "alarm": alarm and not stale,
        **{column: last[column] for column in ("state", "probability", "score", "sensors")},
        "quality": newest["quality"] or last["quality"],
        "last": last["time"],
        "age": age,
        "good": float((recent["state"] != NO_DATA).mean()),
    }


def _without_good_sample(name: str, own: pd.DataFrame, machine: MachineState | None) -> dict[str, Any]:
    """A machine of which no recent sample could be judged."""
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
        "quality": own["quality"].iloc[-1] if len(own) else quality,
        "last": pd.NaT,
        "age": np.nan,
        "good": 0.0,
    }
