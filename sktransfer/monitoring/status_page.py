"""The report as one HTML page that needs nothing else: no network, no script, no file beside it.

::

    status --> a list of machines, worst first, each with what an operator asks
    samples --> the trend of each machine's score: alarms shaded, stretches without data hatched
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.io.score_rows import NO_DATA
from sktransfer.monitoring.job import JobReport
from sktransfer.monitoring.machine_status import CHECK, MAINTENANCE, MISSING, NORMAL, OUT_OF_SPEC
from sktransfer.monitoring.status_report import data_health
from sktransfer.utils.counted_nouns import counted

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 720, 96, 8, 18
_POINTS = 360  # of a trend: of each part of the width the least and the largest score are drawn
_CLASS = {MAINTENANCE: "maintenance", OUT_OF_SPEC: "outofspec", MISSING: "missing", CHECK: "check", NORMAL: "normal"}
# NE 107's colours: blue for maintenance, yellow for out of specification, orange for check, grey without data
_STYLE = """
:root { --ink: #1b1f24; --soft: #5c6670; --line: #d7dce1; --page: #ffffff; --alarm: #c8371b33; --none: #9aa3ad55; }
@media (prefers-color-scheme: dark) {
 :root { --ink: #e8ebee; --soft: #9aa5b0; --line: #39424b; --page: #14181c; --alarm: #ff6b4a44; --none: #7a838d55; } }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto;
 max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; } p { margin: .25rem 0; } .soft { color: var(--soft); }
article { border-top: 1px solid var(--line); padding: .75rem 0; }
h2 { font-size: 1.05rem; margin: 0; display: flex; gap: .6rem; align-items: center; flex-wrap: wrap; }
.badge { font-size: .8rem; font-weight: 600; padding: .1rem .5rem; border-radius: .25rem; color: #10151a; }
.maintenance { background: #6fb1ff; } .outofspec { background: #ffd84a; } .check { background: #ff9f43; }
.missing { background: #b8c0c8; } .normal { background: #7fd18b; }
ul { margin: .25rem 0; padding-left: 1.1rem; }
svg { width: 100%; height: auto; display: block; margin-top: .4rem; }
svg text { font-size: 11px; fill: var(--soft); }
.trend { fill: none; stroke: var(--ink); stroke-width: 1.2; } .limit { stroke: #d0451b; stroke-dasharray: 5 4; }
.axis { stroke: var(--line); } .alarm { fill: var(--alarm); } .none { fill: var(--none); }
"""


def status_page(report: JobReport, *, model_name: str, zone: str = "UTC", hours: float = 48.0) -> str:
    """The page of a run.

    Parameters
    ----------
    report : JobReport
    model_name : str
    zone : str, default="UTC"
        Zone in which times are told.
    hours : float, default=48.0
        Of the trends, up to the time of the run.
    """
    status = report.status
    counts = ", ".join(f"{n} {escape(word)}" for word, n in status["status"].value_counts(sort=False).items())
    begin = report.now - pd.Timedelta(hours=hours)
    shown = _by_machine(report, begin)
    machines = "\n".join(_machine(row, shown.get(row.machine), report, begin, zone) for row in status.itertuples())
    drift = ", ".join(
        f"{escape(name)} {share:.1%}" for name, share in sorted(report.drift.items(), key=lambda one: -one[1])
    )
    outside = f'<p class="soft">Outside the range of training: {drift}</p>' if drift else ""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{report.n_alarms} in alarm, {counted(len(status), "machine")}</title><style>{_STYLE}</style></head>
<body><h1>{report.n_alarms} of {counted(len(status), "machine")} in alarm</h1>
<p>{counts}</p>
<p class="soft">Run of {_moment(report.now, zone)}, model {escape(model_name)},
{counted(report.n_samples, "sample")} judged, {report.n_no_data} without data. Trends of the last {hours:g} hours.</p>
{outside}
<main>
{machines}
</main></body></html>
"""


def _by_machine(report: JobReport, begin: pd.Timestamp) -> dict[Any, tuple[np.ndarray, ...]]:
    """Place in the width, score, alarm and lack of data of each machine's samples."""
    samples = report.samples[report.samples["time"] >= begin] if len(report.samples) else report.samples
    if len(samples) == 0:
        return {}
    part = ((samples["time"] - begin).dt.total_seconds() / (report.now - begin).total_seconds()).to_numpy()
    columns = (
        np.clip(part, 0, 1) * _WIDTH,
        samples["score"].to_numpy(np.float64),
        samples["alarm"].to_numpy(dtype=bool),
        (samples["state"] == NO_DATA).to_numpy(dtype=bool),
    )
    rows = samples.groupby("machine").indices
    return {name: tuple(column[index] for column in columns) for name, index in rows.items()}


def _machine(row: Any, own: tuple[np.ndarray, ...] | None, report: JobReport, begin: pd.Timestamp, zone: str) -> str:
    name = escape(str(row.machine)) or "plant"
    facts = []
    if pd.notna(row.since):
        facts.append(f"Since {_moment(row.since, zone)}")
    if row.alarm:
        sure = f", {row.probability:.0%} sure" if pd.notna(row.probability) else ""
        facts.append(f"{escape(str(row.state))}{sure}")
    facts += [escape(text) for text in (row.sensors.split("; ") if row.alarm else []) if text]
    if row.quality:
        facts.append(escape(row.quality))
    facts.append(escape(data_health(row, zone)))
    items = "".join(f"<li>{fact}</li>" for fact in facts)
    return (
        f'<article><h2>{name} <span class="badge {_CLASS[row.status]}">{escape(row.status)}</span></h2>'
        f"<ul>{items}</ul>{_trend(own, begin, report, zone, name)}</article>"
    )


def _trend(own: tuple[np.ndarray, ...] | None, begin: pd.Timestamp, report: JobReport, zone: str, name: str) -> str:
    """Score over time as a line, with what the alarms make of it."""
    if own is None or np.isnan(own[1]).all():
        return '<p class="soft">No sample in this time.</p>'
    x, score, alarm, none = own
    ends = np.nanquantile(score, [0.002, 0.998]) if np.isfinite(score).sum() > 500 else np.nanquantile(score, [0, 1])
    levels = [*ends, report.threshold] if np.isfinite(report.threshold) else list(ends)
    low, high = min(levels), max(levels)
    span = high - low if high > low else 1.0
    low, high = low - 0.08 * span, high + 0.08 * span

    def y(value: Any) -> Any:
        inside = np.clip(value, low, high)
        return _TOP + (high - inside) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    bands = _bands(x, alarm, "alarm") + _bands(x, none, "none")
    limit = ""
    if np.isfinite(report.threshold):
        at = y(report.threshold)
        limit = f'<line class="limit" x1="0" x2="{_WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>'
    base, end = _HEIGHT - _BOTTOM, f"{_moment(report.now, zone)}, lower is less usual"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Score of {name}">{bands}'
        f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{base}" y2="{base}"/>{limit}{_lines(x, y(score))}'
        f'<text x="0" y="{_HEIGHT - 5}">{_moment(begin, zone)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 5}" text-anchor="end">{end}</text>'
        "</svg>"
    )


def _lines(x: np.ndarray, y: np.ndarray) -> str:
    """Lines through the samples, broken where one is missing."""
    found = []
    known = np.flatnonzero(np.isfinite(y))
    usual = np.median(np.diff(x[known])) if len(known) > 1 else 0.0
    breaks = np.flatnonzero((np.diff(known) > 1) | (np.diff(x[known]) > max(6 * usual, 4.0))) + 1
    for part in np.split(known, breaks):
        part = _thinned(part, x, y)
        points = " ".join(f"{x[k]:.1f},{y[k]:.1f}" for k in part)
        if len(part) == 1:
            found.append(f'<circle cx="{x[part[0]]:.1f}" cy="{y[part[0]]:.1f}" r="1.5"/>')
        elif len(part):
            found.append(f'<polyline class="trend" points="{points}"/>')
    return "".join(found)


def _thinned(part: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The least and the largest of each small part of the width, in order: no peak is lost."""
    if len(part) <= 2 * _POINTS:
        return part
    slot = np.floor(x[part] / _WIDTH * _POINTS).astype(int)
    kept = []
    for one in np.split(part, np.flatnonzero(np.diff(slot)) + 1):
        kept += sorted({int(one[np.argmin(y[one])]), int(one[np.argmax(y[one])])})
    return np.asarray(kept)


def _bands(x: np.ndarray, flags: np.ndarray, name: str) -> str:
    """Rectangles over stretches of samples."""
    if not flags.any():
        return ""
    edges = np.flatnonzero(np.diff(np.r_[0, flags.astype(int), 0]))
    found = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        right = x[stop] if stop < len(x) else x[-1]
        width = max(right - x[start], 1.5)
        found.append(
            f'<rect class="{name}" x="{x[start]:.1f}" y="0" width="{width:.1f}" height="{_HEIGHT - _BOTTOM}"/>'
        )
    return "".join(found)


def _moment(time: pd.Timestamp, zone: str) -> str:
    return escape(time.tz_convert(zone).strftime("%Y-%m-%d %H:%M %Z"))
