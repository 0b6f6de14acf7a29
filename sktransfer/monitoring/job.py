"""run_job: one run of a monitoring job, which may be killed at any moment and run again.

::

    table, raw rows kept --> samples later than what is final --> alarms from what is remembered --+
                                                                                                   |
    one transaction: samples, alarm states, watermark, raw rows <----------------------------------+
    status of each machine, worst first --> text, JSON, CSV, page, metrics: made of the state, so always of one run
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.exceptions import DataQualityWarning, EmptyTableError
from sktransfer.io.score_rows import NO_DATA
from sktransfer.monitoring.condition_monitor import ConditionMonitor
from sktransfer.monitoring.job_alarms import alarms_of
from sktransfer.monitoring.job_checks import (
    check_spans,
    moment_of,
    refuse_future,
    refuse_resampling,
    warn_of_clock,
    warn_of_rate,
)
from sktransfer.monitoring.job_state import BEGIN, JobState, MachineState, last_good_samples
from sktransfer.monitoring.machine_status import machine_status
from sktransfer.monitoring.plant_frame import nanoseconds, no_rows, plant_frame
from sktransfer.utils.counted_warnings import warn_caller

LOCK = "lock"
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_RECENT = pd.Timedelta(hours=48)


class JobLockedError(RuntimeError):
    """Another run of the job is under way."""


@dataclass(frozen=True)
class JobReport:
    """What a run has found.

    Parameters
    ----------
    status : DataFrame
        One row a machine, worst first; see :func:`machine_status`.
    n_rows : int
        Rows of the table.
    n_samples : int
        Samples that are new, or were judged again.
    n_no_data : int
        Of these, those without a judgement.
    n_too_late : int
        Samples of rows that came when these were final; they are left out. Counted as far back as a run looks.
    drift : dict of str to float
        Share of the rows in which a sensor was outside its range of training; those above zero.
    now : Timestamp
    samples : DataFrame
        Samples of the last 48 hours, by machine and time.
    days : dict of str to DataFrame
        All samples of each day, in UTC, of which this run has judged some, or one that ended before its report.
    threshold : float
        Of the alarms; NaN where they look at filtered scores.
    """

    status: pd.DataFrame
    n_rows: int
    n_samples: int
    n_no_data: int
    n_too_late: int
    drift: dict[str, float] = field(default_factory=dict)
    now: pd.Timestamp = pd.NaT
    samples: pd.DataFrame = field(default_factory=pd.DataFrame)
    days: dict[str, pd.DataFrame] = field(default_factory=dict)
    threshold: float = float("nan")

    @property
    def n_alarms(self) -> int:
        """Machines in alarm."""
        return int(self.status["alarm"].sum())


def run_job(
    model: ConditionMonitor,
    table: Any,
    folder: Any,
    *,
    model_id: str,
    late: float = 3600.0,
    max_age: float = 3600.0,
    keep_days: float = 30.0,
    now: Any = None,
    write: Callable[[JobReport], None] | None = None,
) -> JobReport:
    """Judge what is new in a table, and remember it.

    A run with the same table changes nothing. A run that was killed left the state as it was before, and the next one
    catches up, as long as the table still holds the rows.

    Parameters
    ----------
    model : ConditionMonitor
        Fitted.
    table : DataFrame, Table, path, or list of these
        It may begin anywhere: rows that were seen before are known again by machine and time, and the rows that the
        next window needs are kept.
    folder : path
        Of the state; made if it is not there. One job a folder.
    model_id : str
        Hash of the model file: with another one the job begins anew.
    late : float, default=3600.0
        Rows may come this many seconds after newer ones of their machine; until then alarms are worked out again.
    max_age : float, default=3600.0
        A machine whose last good sample is older, in seconds, has no data.
    keep_days : float, default=30.0
        Samples are kept this long, before the newest.
    now : datetime-like, optional
        Time of the run, for replays; default: that of the clock.
    write : callable, optional
        Gets the report while the job still has its folder. A run that ends before it returns has told nothing: the
        next one tells of the same days again.

    Returns
    -------
    JobReport

    Raises
    ------
    JobLockedError
        If another run has the folder.
    TableError, ValueError
        If the table cannot be read or has rows later than `now`, or an argument means nothing; the state is as it was.
    """
    from filelock import FileLock, Timeout

    now = moment_of(now)
    refuse_resampling(model)
    check_spans(late=late, max_age=max_age, keep_days=keep_days)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):  # the system frees the lock of a process that died
            state = JobState(folder, model_id)
            try:
                report = _run(model, table, state, late, max_age, keep_days, now)
                if write is not None:
                    write(report)
                state.reported()
                return report
            finally:
                state.close()
    except Timeout:
        raise JobLockedError(f"Another run of the job in {folder} is under way.") from None


def _run(
    model: ConditionMonitor, table: Any, state: JobState, late: float, max_age: float, keep_days: float, now: Any
) -> JobReport:
    form = model.known_format()
    given = _given(model, table, now)
    refuse_future(given[form.time.name], now)
    known = state.machines()
    warn_of_clock(max((one.watermark for one in known.values()), default=0), now)
    of = np.full(len(given), "", dtype=object) if form.machine is None else given[form.machine].to_numpy(dtype=object)
    warn_of_rate(model, given, of)
    rows = _with_tail(model, given, of, state, known)
    samples, found = model.judge(rows, may_be_empty=True)
    time = nanoseconds(found["time"])
    open_ = time > _boundaries(found["machine"], known)
    old = found[~open_]
    n_too_late = _n_unknown(state, old[nanoseconds(old["time"]) >= _forgotten(known, keep_days * _DAY)])
    found = found[open_].reset_index(drop=True)
    found["alarm"], after, live = alarms_of(model.alarms_, found, known, _newest(form, rows), int(late * _SECOND))
    found["sensors"] = _reasons(model, samples, found)
    with state.transaction():
        state.write_machines(after)
        state.write_samples(found, {name: known[name].boundary if name in known else BEGIN for name in after})
        state.write_unreported(np.unique(time[open_] // _DAY * _DAY))
        state.write_tail(*_tail_of(model, rows, {**known, **after}))
        state.forget(_forgotten({**known, **after}, max(keep_days * _DAY, late * _SECOND)))
    kept = state.samples(after=int((now - _RECENT).value))
    machines = {**state.machines(), **live}
    status = machine_status(
        model, kept, machines, now, max_age, last_good_samples(state, set(machines) - _judged(kept))
    )
    threshold = model.alarms_.threshold_ if model.alarms_.filter == "none" else float("nan")
    n_no_data, drift = int((found["state"] == NO_DATA).sum()), _drift(model, given)
    return JobReport(status, len(given), len(found), n_no_data, n_too_late, drift, now, kept, _days(state), threshold)


def _given(model: ConditionMonitor, table: Any, now: Any) -> pd.DataFrame:
    """Rows of the table. A file without news is no error: machines get older, or have told nothing yet."""
    form = model.known_format()
    try:
        return plant_frame("monitor", table, form, now=now)
    except EmptyTableError as error:
        warn_caller(f"{error} Nothing new was judged.", DataQualityWarning)
    return no_rows(model.sensors_, form)


def _n_unknown(state: JobState, old: pd.DataFrame) -> int:
    """Samples that are judged now, belong to what is final, and were never judged before."""
    if len(old) == 0:
        return 0
    time = nanoseconds(old["time"])
    before = state.samples(after=int(time.min()) - 1, until=int(time.max()))
    return int((~_keys(old).isin(_keys(before))).sum())


def _days(state: JobState) -> dict[str, pd.DataFrame]:
    """All samples of each day of which no report has told."""
    return {
        pd.Timestamp(day, tz="UTC").strftime("%Y-%m-%d"): state.samples(after=day - 1, until=day + _DAY - 1)
        for day in state.unreported()
    }


def _with_tail(
    model: ConditionMonitor, given: pd.DataFrame, of: np.ndarray, state: JobState, known: dict[str, MachineState]
) -> pd.DataFrame:
    """Rows of the table and those kept before, of which a judgement may still change."""
    form = model.known_format()
    kept_of, kept_time, kept = state.tail(model.sensors_)
    kept[form.time.name] = pd.to_datetime(kept_time, utc=True).astype("datetime64[ns, UTC]")
    if form.machine is not None:
        kept[form.machine] = kept_of.astype(str) if len(kept) else kept_of
    time, look = nanoseconds(given[form.time.name]), lookback(model)
    near = time > np.maximum(_boundaries(of, known), BEGIN + look) - look
    recent = given[near]
    new = pd.MultiIndex.from_arrays([of[near], time[near]])
    seen = pd.MultiIndex.from_arrays([kept_of, kept_time])
    found = pd.concat([kept[~seen.isin(new)], recent], ignore_index=True)
    keys = [form.time.name] if form.machine is None else [form.machine, form.time.name]
    return found.sort_values(keys, kind="stable", ignore_index=True)


def lookback(model: ConditionMonitor) -> int:
    """How far back rows say something of a sample, in ns: the length of a window, the longest usual run of a sensor."""
    span = _longest_run(model) * model.period_
    if model.windows is not None:
        rate = model.windows.sampling_rate or 1 / model.period_
        step = model.windows.length if model.windows.step is None else model.windows.step
        # rows may be as far apart as jitter lets them; the steps before say whether a stretch without windows goes on
        span = max(span, (model.windows.length * (1 + model.windows.jitter) + 3 * step) / rate)
    return int(np.ceil((span + 3 * model.period_) * _SECOND))


def _longest_run(model: ConditionMonitor) -> int:
    """Rows behind which a sensor that does not change is stuck."""
    return int(model.longest_run_[np.isfinite(model.longest_run_)].max(initial=1.0))


def _newest(form: Any, rows: pd.DataFrame) -> dict[str, int]:
    """Time of the newest row of each machine, in ns."""
    of = np.full(len(rows), "", dtype=object) if form.machine is None else rows[form.machine].to_numpy(dtype=object)
    time, last = nanoseconds(rows[form.time.name]), np.append(of[1:] != of[:-1], True)[: len(of)]  # in order
    return dict(zip(of[last].tolist(), time[last].tolist(), strict=True))


def _reasons(model: ConditionMonitor, samples: Any, found: pd.DataFrame) -> np.ndarray:
    """Names of the sensors of samples in alarm, and of those that are not normal."""
    texts = np.full(len(found), "", dtype=object)
    if not model.explains_ or len(samples) == 0:
        return texts
    asked = np.flatnonzero(found["alarm"].to_numpy() | model.not_normal(found["state"]))
    keys = pd.MultiIndex.from_arrays([samples.machine, samples.time.astype("int64")])
    index = keys.get_indexer(_keys(found.iloc[asked]))
    if (index >= 0).any():
        texts[asked[index >= 0]] = model.reasons(samples.at(index[index >= 0]))
    return texts


def _judged(samples: pd.DataFrame) -> set[str]:
    """Machines with a sample that could be judged."""
    return set(samples.loc[samples["state"] != NO_DATA, "machine"])


def _tail_of(
    model: ConditionMonitor, rows: pd.DataFrame, machines: dict[str, MachineState]
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Machine, time in ns and cells of the rows that the next run may need."""
    form, look = model.known_format(), lookback(model)
    of = np.full(len(rows), "", dtype=object) if form.machine is None else rows[form.machine].to_numpy(dtype=object)
    time, boundary = nanoseconds(rows[form.time.name]), _boundaries(of, machines)
    kept = time > np.maximum(boundary, BEGIN + look) - look
    n_run = _longest_run(model) + 2  # rows that say whether a sensor is stuck, however far apart they are
    begins = np.flatnonzero(np.append(True, of[1:] != of[:-1])[: len(of)])
    for start, stop in pairwise([*begins, len(of)]):
        n_final = int(np.searchsorted(time[start:stop], boundary[start], side="right"))
        kept[start + max(n_final - n_run, 0) : start + n_final] = True
    return of[kept], time[kept], rows.loc[kept, model.sensors_]


def _forgotten(machines: dict[str, MachineState], keep: float) -> int:
    """The begin of the first day that is kept, in ns: days are kept whole."""
    newest = max((one.watermark for one in machines.values()), default=0)
    return (newest - int(keep)) // _DAY * _DAY


def _drift(model: ConditionMonitor, given: pd.DataFrame) -> dict[str, float]:
    values = given[model.sensors_].to_numpy(np.float64)
    there = np.isfinite(values)
    outside = there & ((values < model.ranges_[:, 0]) | (values > model.ranges_[:, 1]))
    shares = outside.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return {name: float(share) for name, share in zip(model.sensors_, shares, strict=True) if share > 0}


def _boundaries(names: Any, machines: dict[str, MachineState]) -> np.ndarray:
    """Time up to which the samples of each row's machine are final, in ns."""
    codes, each = pd.factorize(np.asarray(names, dtype=object))
    of = np.array([machines[name].boundary if name in machines else BEGIN for name in each], dtype=np.int64)
    return of[codes] if len(codes) else np.zeros(0, dtype=np.int64)


def _keys(samples: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([samples["machine"].to_numpy(dtype=object), nanoseconds(samples["time"])])
