"""Reports of a run: the same facts as text, JSON, CSV and metrics."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from sktransfer.monitoring.job import JobReport
from sktransfer.monitoring.status_report import metrics_text, status_json, status_table, status_text

NOW = pd.Timestamp("2026-03-29 02:10", tz="UTC")


def report(n=3, n_alarms=1):
    alarm = np.arange(n) < n_alarms
    last = [NOW - pd.Timedelta(minutes=5)] * (n - 1) + [pd.NaT]
    last_one = np.arange(n) == n - 1
    status = pd.DataFrame(
        {
            "machine": [f"pump {k}" for k in range(n)],
            "status": np.where(alarm, "Maintenance required", "Normal"),
            "since": [NOW - pd.Timedelta(hours=2) if one else pd.NaT for one in alarm],
            "alarm": alarm,
            "state": np.where(alarm, "leak", "ok"),
            "probability": np.where(alarm, 0.97, np.nan),
            "score": -1.5,
            "sensors": np.where(alarm, "p high (12 bar, usual 9 to 11)", ""),
            "quality": "",
            "last": pd.to_datetime(last, utc=True),
            "age": [300.0] * (n - 1) + [np.nan],
            "good": 1.0,
            "no_data": last_one,
        }
    )
    status.loc[n - 1, ["status", "quality"]] = ["NO DATA", "no rows yet"]
    return JobReport(status, n_rows=100, n_samples=40, n_no_data=4, n_too_late=1, drift={"p": 0.25}, now=NOW)


def test_a_line_says_what_the_operator_asks():
    text = status_text(report(), model_name="pumps.skops 1a2b", zone="Europe/Berlin").splitlines()
    assert text[0] == "2026-03-29 04:10 CEST  3 machines: 1 Maintenance required, 1 Normal, 1 NO DATA"
    assert "pumps.skops 1a2b" in text[1]
    assert text[2] == "outside the range of training: p 25.0%"
    assert text[3].startswith(
        "pump 0  Maintenance required  since 2026-03-29 01:10 CET  leak, 97% sure  p high (12 bar"
    )
    assert "no rows yet" in text[5]


def test_a_flood_is_said_to_be_one_and_lines_are_bounded():
    text = status_text(report(200, 150), model_name="m", max_lines=20)
    assert "150 of 200 machines are in alarm at once" in text
    assert text.splitlines()[-1] == "and 130 more Maintenance required, 49 more Normal, 1 more NO DATA"
    assert len(text.splitlines()) < 30


def test_json_and_table_hold_the_same():
    found = json.loads(status_json(report(), model_name="m"))
    assert found["time"] == "2026-03-29T02:10:00Z"
    assert found["samples"] == 40
    table = status_table(report())
    assert [one["machine"] for one in found["machines"]] == table["machine"].tolist()
    assert found["machines"][0]["probability"] == 0.97
    assert found["machines"][1]["probability"] is None
    assert found["machines"][0]["since"] == "2026-03-29T00:10:00Z"
    assert found["machines"][2]["last"] is None


def test_metrics_are_lines_that_prometheus_reads():
    lines = metrics_text(report(), duration=1.5, model_age=86400.0).splitlines()
    pattern = re.compile(r"# (HELP|TYPE) sktransfer_[a-z_]+ .+|sktransfer_[a-z_]+ (NaN|-?[0-9.e+]+)")
    assert all(pattern.fullmatch(line) for line in lines)
    values = {name: float(value) for name, value in (line.split() for line in lines if not line.startswith("#"))}
    assert values["sktransfer_last_success_timestamp_seconds"] == NOW.timestamp()
    assert values["sktransfer_rows_scored"] == 36
    assert values["sktransfer_alarms_active"] == 1
    assert values["sktransfer_input_lag_seconds"] == 300
    assert values["sktransfer_machines_without_data"] == 1
    assert values["sktransfer_drift_score"] == pytest.approx(0.25)
