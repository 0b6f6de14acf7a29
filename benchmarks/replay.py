"""Thirty days of a plant, replayed hour by hour: are the planted faults found, and does a killed job lose anything?

    python -m benchmarks.replay [--machines 20] [--days 30] [--kills 100] [--seed 0]

The plant is simulated here: eight sensors a machine, a row in five minutes, a load that changes over the day and the
week, noise that remembers. It is healthy for sixty days, of which the monitor is fitted, then thirty days are replayed:
the job runs once an hour on an export of the last four hours. Planted are faults (steps, drifts, a loss of a
correlation), failures of sensors (stuck, missing, beyond the measuring range), restarts (two hours without rows), rows
that come up to forty minutes late, and rows that come twice. All settings are defaults but for the budget of alarms.

found in time    a fault is found if an alarm begins within its stated delay
false alarms     alarms that begin while the machine is healthy and its sensors work, a machine day
kills            as many runs are killed by SIGKILL at a random moment and run again; the state must be the same
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.names import markdown
from sktransfer import (
    Alarms,
    BaselineScaler,
    ConditionMonitor,
    TableFormat,
    TimeColumn,
    TransferDetector,
    make_pipeline,
)
from sktransfer.monitoring.job import run_job
from sktransfer.monitoring.job_state import FILE, JobState

SENSORS = ("flow", "p_in", "p_out", "power", "T_oil", "T_bearing", "vibration", "valve")
STEP = pd.Timedelta(minutes=5)
BEGIN = pd.Timestamp("2026-03-01", tz="UTC")  # the clocks of Europe change on the 29th
A_DAY = 288
BUDGET = 0.05
DELAYS = {"step": 1.0, "correlation": 2.0, "drift": 24.0}  # hours


def machine(rng: np.random.Generator, n: int) -> np.ndarray:
    """Sensors of one healthy machine, shape (n, 8): all follow the load, each in its own way."""
    at = np.arange(n)
    load = 0.7 + 0.2 * np.sin(2 * np.pi * at / A_DAY) + 0.1 * (at // A_DAY % 7 < 5) + _noise(rng, n, 0.99, 0.05)
    gains, levels = rng.uniform(0.5, 2.0, len(SENSORS)), rng.uniform(5, 50, len(SENSORS))
    own = np.stack([_noise(rng, n, 0.8, 0.08) for _ in SENSORS], axis=1)
    return levels + gains * (load[:, None] + own)


def _noise(rng: np.random.Generator, n: int, memory: float, size: float) -> np.ndarray:
    from scipy.signal import lfilter

    return lfilter([np.sqrt(1 - memory**2)], [1, -memory], rng.normal(size=n)) * size


def planted(values: np.ndarray, rng: np.random.Generator, k: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Put faults into the days of one machine; what was planted, and which rows are not healthy."""
    n, sick, found = len(values), np.zeros(len(values), dtype=bool), []
    kinds = ["step", "drift", "correlation", "stuck", "missing", "beyond"]
    begins = np.sort(rng.choice(np.arange(2, n // A_DAY - 3, 4), 2, replace=False))
    for day, kind in zip(begins, rng.permutation(kinds)[:2], strict=True):
        start = int(day * A_DAY + rng.integers(0, A_DAY))
        stop = start + A_DAY  # a day
        sensor, rows = int(rng.integers(len(SENSORS))), slice(start, stop)
        size = values[:, sensor].std()
        if kind == "step":
            values[rows, sensor] += rng.choice([-1, 1]) * 2 * size
        elif kind == "drift":
            values[rows, sensor] += rng.choice([-1, 1]) * np.linspace(0, 3, stop - start) * size
        elif kind == "correlation":
            values[rows, sensor] = 2 * values[:, sensor].mean() - values[rows, sensor]
        elif kind == "stuck":
            values[rows, sensor] = values[start, sensor]
        else:
            values[rows, sensor] = np.nan if kind == "missing" else -999.0
        sick[start : stop + A_DAY // 4] = True
        found.append(
            {"machine": f"m{k:02d}", "kind": str(kind), "start": start, "stop": stop, "sensor": SENSORS[sensor]}
        )
    return found, sick


def fleet(n_machines: int, days: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Healthy rows, rows of the replay with the time at which each is exported, what was planted, and healthy flags."""
    before, after, faults, flags = [], [], [], []
    for k in range(n_machines):
        rng = np.random.default_rng([seed, k])
        values = machine(rng, (60 + days) * A_DAY)
        healthy, later = values[: 60 * A_DAY], values[60 * A_DAY :].copy()
        found, sick = planted(later, rng, k)
        faults += found
        time = BEGIN + STEP * np.arange(len(later))
        table = pd.DataFrame(later, columns=list(SENSORS)).assign(machine=f"m{k:02d}", time=time)
        late = np.where(rng.random(len(later)) < 0.02, rng.integers(1, 9, len(later)), 0)
        table["shown"] = time + pd.to_timedelta(5 * (1 + late), "min")
        restart = int(rng.integers(A_DAY, len(later) - A_DAY))
        kept = np.ones(len(later), dtype=bool)
        kept[restart : restart + 24] = False
        after.append(table[kept])
        flags.append(pd.DataFrame({"machine": f"m{k:02d}", "time": time, "sick": sick}))
        stamps = BEGIN - STEP * np.arange(len(healthy), 0, -1)
        before.append(pd.DataFrame(healthy, columns=list(SENSORS)).assign(machine=f"m{k:02d}", time=stamps))
    return pd.concat(before), pd.concat(after), pd.DataFrame(faults), pd.concat(flags)


def replay(model: ConditionMonitor, table: pd.DataFrame, days: int, folder: Path, kills: int, seed: int) -> float:
    """Run the job every hour; some runs in a child that is killed first. Seconds of a run, median."""
    rng, seconds = np.random.default_rng(seed), []
    hours = days * 24 + 1
    killed = set(rng.choice(np.arange(1, hours), min(kills, hours - 1), replace=False).tolist())
    shown = table["shown"].to_numpy()
    order = np.argsort(shown, kind="stable")
    shown, table = shown[order], table.iloc[order]
    for hour in range(1, hours + 1):
        now = BEGIN + pd.Timedelta(hours=hour)
        first, last = np.searchsorted(shown, [now - pd.Timedelta(hours=4), now])
        rows = table.iloc[first:last].drop(columns="shown")
        if len(rows) == 0:
            continue
        if hour in killed:
            _killed(model, rows, folder, now, rng.uniform(0, 0.4), days + 1)
        began = time.perf_counter()
        run_job(model, rows, folder, model_id="replay", now=now, keep_days=days + 1)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def _killed(
    model: ConditionMonitor, rows: pd.DataFrame, folder: Path, now: Any, after: float, keep_days: float
) -> None:
    child = os.fork()
    if child == 0:
        try:
            run_job(model, rows, folder, model_id="replay", now=now, keep_days=keep_days)
        finally:
            os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def dump(folder: Path) -> str:
    with sqlite3.connect(folder / FILE) as connection:
        return "\n".join(connection.iterdump())


def scored(samples: pd.DataFrame, faults: pd.DataFrame, flags: pd.DataFrame, days: int) -> tuple[pd.DataFrame, float]:
    """How each kind was found, and false alarms a machine day."""
    samples = samples.merge(flags, on=["machine", "time"], how="left")
    on = samples.groupby("machine")["alarm"].transform(lambda alarm: alarm & ~alarm.shift(fill_value=False))
    begins = samples[on & samples["alarm"]]
    rows = []
    for fault in faults.itertuples():
        start, stop = BEGIN + STEP * fault.start, BEGIN + STEP * fault.stop
        own = samples[(samples["machine"] == fault.machine) & (samples["time"] >= start) & (samples["time"] < stop)]
        if fault.kind in DELAYS:
            alarm = own.loc[own["alarm"], "time"]
            delay = (alarm.iloc[0] - start).total_seconds() / 3600 if len(alarm) else np.nan
            named = own.loc[own["alarm"], "sensors"].str.startswith(fault.sensor).mean() if len(alarm) else 0.0
        else:
            said = own["quality"].str.contains(fault.sensor)
            delay = (own.loc[said, "time"].iloc[0] - start).total_seconds() / 3600 if said.any() else np.nan
            named = said.mean()
        limit = DELAYS.get(fault.kind, 10.0)
        rows.append(
            {"kind": fault.kind, "in time": delay <= limit, "delay, h": delay, "limit, h": limit, "sensor first": named}
        )
    found = (
        pd.DataFrame(rows)
        .groupby("kind")
        .agg(
            n=("in time", "size"),
            **{name: (name, "mean") for name in ("in time", "delay, h", "limit, h", "sensor first")},
        )
    )
    healthy_days = (~flags["sick"]).sum() / A_DAY
    return found, float((~begins["sick"].fillna(True).astype(bool)).sum() / healthy_days)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--machines", type=int, default=20)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    healthy, table, faults, flags = fleet(options.machines, options.days, options.seed)
    form = TableFormat(list(SENSORS), time=TimeColumn("time"), machine="machine")
    detector = make_pipeline(BaselineScaler(), TransferDetector(false_alarm_rate=0.001))
    limits = dict.fromkeys(SENSORS, (-100, None))
    model = ConditionMonitor(detector, form, alarms=Alarms(alarms_per_day=BUDGET), limits=limits).fit(healthy)
    # a row that is exported again a run later
    table = pd.concat(
        [table, table.sample(frac=0.01, random_state=0).assign(shown=lambda one: one["shown"] + 12 * STEP)]
    )
    with TemporaryDirectory() as folder:
        whole, cut = Path(folder, "whole"), Path(folder, "cut")
        seconds = replay(model, table, options.days, whole, 0, options.seed)
        last = BEGIN + pd.Timedelta(days=options.days, hours=1)
        report = run_job(model, table.iloc[-1:].drop(columns="shown"), whole, model_id="replay", now=last)
        state = JobState(whole, "replay")
        found, rate = scored(state.samples(), faults, flags, options.days)
        state.close()
        print(markdown(found))
        held = model.alarms_.false_alarms_per_day_
        print(f"\nfalse alarms a machine day: {rate:.4f}, budget {BUDGET}; on healthy days held out {held:.4f}")
        print(f"a run: {seconds:.2f} s; rows too late: {report.n_too_late}")
        if options.kills:
            replay(model, table, options.days, cut, options.kills, options.seed)
            run_job(model, table.iloc[-1:].drop(columns="shown"), cut, model_id="replay", now=last)
            print(f"{options.kills} runs killed at a random moment: state equal: {dump(whole) == dump(cut)}")


if __name__ == "__main__":
    main()
