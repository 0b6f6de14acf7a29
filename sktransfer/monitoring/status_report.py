"""What a run has found, as text for people, JSON and CSV for programs, and metrics for Prometheus.

::

    JobReport --> one line a machine, worst first --> text | JSON | CSV
              --> counts, ages, last success      --> text file of the node exporter
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.monitoring.job import JobReport
from sktransfer.utils.counted_nouns import counted

_COLUMNS = ["machine", "status", "since", "state", "probability", "score", "sensors", "quality", "last", "good"]
_WIDEST = 40  # characters of the column of names; a longer one moves its own line alone


def status_text(report: JobReport, *, model_name: str, zone: str = "UTC", max_lines: int = 50) -> str:
    """The report as plain text, one line a machine.

    Parameters
    ----------
    report : JobReport
    model_name : str
        Name and hash of the model, for the first line.
    zone : str, default="UTC"
        Zone in which times are told.
    max_lines : int, default=50
        Machines that are listed; of the others their number is told. None that is in alarm is normal, so that what is
        left out is never the worst.
    """
    status = report.status
    counts = ", ".join(f"{n} {word}" for word, n in status["status"].value_counts(sort=False).items())
    lines = [
        f"{_moment(report.now, zone)}  {counted(len(status), 'machine')}: {counts}",
        f"model {model_name}; {counted(report.n_rows, 'row')} read, {counted(report.n_samples, 'sample')} judged, "
        f"{report.n_no_data} without data, {report.n_too_late} too late",
    ]
    if report.drift:
        worst = sorted(report.drift.items(), key=lambda one: -one[1])[:3]
        lines.append("outside the range of training: " + ", ".join(f"{name} {share:.1%}" for name, share in worst))
    n_alarms = report.n_alarms
    if n_alarms > 1 and n_alarms >= 0.5 * len(status):
        lines.append(f"{n_alarms} of {len(status)} machines are in alarm at once: look for what they share first.")
    width = min(max((len(str(name)) for name in status["machine"]), default=0), _WIDEST)
    lines += [_line(row, zone, width) for row in status.head(max_lines).itertuples()]
    if len(status) > max_lines:
        rest = status.iloc[max_lines:]["status"].value_counts(sort=False)
        lines.append("and " + ", ".join(f"{n} more {word}" for word, n in rest.items()))
    return "\n".join(lines) + "\n"


def status_json(report: JobReport, *, model_name: str) -> str:
    """The report as JSON: times in UTC as in ISO 8601, NaN as null."""
    machines = [
        {name: _json_value(value) for name, value in row.items() if name in _COLUMNS}
        for row in report.status.to_dict("records")
    ]
    whole = {
        "time": _json_value(report.now),
        "model": model_name,
        "rows": report.n_rows,
        "samples": report.n_samples,
        "no_data": report.n_no_data,
        "too_late": report.n_too_late,
        "drift": report.drift,
        "machines": machines,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def status_table(report: JobReport) -> pd.DataFrame:
    """The report as a table with a row for each machine."""
    return report.status[_COLUMNS]


def metrics_text(report: JobReport, *, duration: float, model_age: float) -> str:
    """Metrics in the text format of Prometheus, for the folder that its node exporter reads.

    Parameters
    ----------
    report : JobReport
        Of a run that succeeded: alert when ``sktransfer_last_success_timestamp_seconds`` is two periods old.
    duration : float
        Of the run, in s.
    model_age : float
        Since the model file was written, in s.

    References
    ----------
    Prometheus. Exposition formats, text-based format, version 0.0.4.
    """
    status = report.status
    ages = status["age"].to_numpy(np.float64)
    known = ages[np.isfinite(ages)]
    values = [
        ("last_success_timestamp_seconds", "Time of the last run that succeeded.", report.now.timestamp()),
        ("duration_seconds", "Duration of that run.", duration),
        ("rows_read", "Rows of its table.", report.n_rows),
        ("rows_scored", "Samples that it judged.", report.n_samples - report.n_no_data),
        ("rows_abstained", "Samples without a judgement.", report.n_no_data),
        ("rows_too_late", "Samples that came too late.", report.n_too_late),
        ("alarms_active", "Machines in alarm.", report.n_alarms),
        ("machines_without_data", "Machines without data.", int(status["no_data"].sum())),
        ("input_lag_seconds", "Age of the newest good sample of all machines.", known.min() if len(known) else np.nan),
        ("drift_score", "Largest share of rows outside the range of training.", max(report.drift.values(), default=0)),
        ("model_age_seconds", "Time since the model file was written.", model_age),
    ]
    lines = []
    for name, text, value in values:
        full = f"sktransfer_{name}"
        lines += [f"# HELP {full} {text}", f"# TYPE {full} gauge", f"{full} {_number(value)}"]
    return "\n".join(lines) + "\n"


def _line(row: Any, zone: str, width: int) -> str:
    parts = [f"{row.machine:<{width}}" if width else "plant", f"{row.status:<20}"]
    if pd.notna(row.since):
        parts.append(f"since {_moment(row.since, zone)}")
    if row.alarm:
        parts.append(f"{row.state}, {row.probability:.0%} sure" if pd.notna(row.probability) else str(row.state))
    parts += [text for text in (row.sensors if row.alarm else "", row.quality) if text]
    parts.append(data_health(row, zone))
    return "  ".join(parts)


def data_health(row: Any, zone: str) -> str:
    """What is known of a machine's data: how much of it is good, or since when there is none."""
    last = "" if pd.isna(row.last) else _moment(row.last, zone)
    if row.no_data:
        return f"no good data since {last}" if last else "no good data so far"
    return f"{row.good:.0%} of the data good, last {last}"


def _moment(time: pd.Timestamp, zone: str) -> str:
    return time.tz_convert(zone).strftime("%Y-%m-%d %H:%M %Z")


def _json_value(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.tz_convert("UTC").isoformat().replace("+00:00", "Z")
    if value is None or value is pd.NaT or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _number(value: float) -> str:
    return "NaN" if not np.isfinite(value) else repr(float(value)) if value != int(value) else str(int(value))
