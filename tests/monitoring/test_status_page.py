"""The page of a run: whole in itself, safe against names, and right in a real browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from sktransfer.monitoring.job import JobReport
from sktransfer.monitoring.status_page import status_page

NOW = pd.Timestamp("2026-03-29 02:10", tz="UTC")
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
EVIL = "<script>alert(1)</script>&\"'"


def report(n=2000, threshold=-3.0):
    time = NOW - pd.to_timedelta(np.arange(n)[::-1], "min")
    score = np.random.default_rng(0).normal(size=n)
    score[-100:] -= 9
    state = np.where(np.arange(n) < 50, "NO_DATA", "unusual")
    samples = pd.DataFrame(
        {"machine": EVIL, "time": time, "state": state, "score": np.where(state == "NO_DATA", np.nan, score)}
    )
    samples["alarm"] = np.arange(n) >= n - 98
    row = {
        "machine": EVIL, "status": "Out of specification", "since": time[-98], "alarm": True, "state": EVIL,
        "probability": 0.9, "score": -9.0, "sensors": f"{EVIL} high (1 bar); b low (2)", "quality": "stuck: c",
        "last": NOW, "age": 0.0, "good": 0.97, "no_data": False,
    }  # fmt: skip
    none = row | {"machine": "b", "status": "NO DATA", "alarm": False, "since": pd.NaT, "last": pd.NaT}
    status = pd.DataFrame([row, none])
    return JobReport(status, 100, 90, 5, 0, {EVIL: 0.2}, NOW, samples, threshold=threshold)


class Counts(HTMLParser):
    """Counts tags, and checks that each is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_names_are_text_and_nothing_is_fetched():
    page = status_page(report(), model_name=EVIL)
    found = Counts(page)
    assert found.open == []
    names = [tag for tag, _ in found.tags]
    assert "script" not in names
    assert not re.search(r"https?:|src=|@import|url[(]", page)
    assert sum(EVIL in text for text in found.text) >= 3
    assert names.count("article") == 2


def test_trends_show_alarms_missing_data_and_every_peak():
    found = Counts(status_page(report(), model_name="m", hours=2000 / 60))
    bands = [attrs["class"] for tag, attrs in found.tags if tag == "rect"]
    assert bands == ["alarm", "none"]
    (points,) = [attrs["points"] for tag, attrs in found.tags if tag == "polyline"]
    xy = np.array([point.split(",") for point in points.split()], dtype=float)
    assert len(xy) < 800
    assert (np.diff(xy[:, 0]) >= 0).all()
    (limit,) = [float(attrs["y1"]) for tag, attrs in found.tags if attrs.get("class") == "limit"]
    late = xy[:, 0] > 720 * 0.955
    assert (xy[late, 1] > limit).all()  # further down is less usual
    assert (xy[~late, 1] < limit).mean() > 0.98
    assert "No sample in this time." in "".join(found.text)


def test_without_a_threshold_no_line_is_drawn():
    found = Counts(status_page(report(threshold=np.nan), model_name="m"))
    assert not [1 for _, attrs in found.tags if attrs.get("class") == "limit"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_it(tmp_path):
    file, picture = tmp_path / "page.html", tmp_path / "page.png"
    file.write_text(status_page(report(), model_name="m"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=420,900"]
    command = [CHROMIUM, *options, f"--screenshot={picture}", file.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in run.stderr
    assert picture.stat().st_size > 5000
    dom = subprocess.run([CHROMIUM, *options, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120)
    assert dom.stdout.count("<polyline") == 1
    assert "<script" not in dom.stdout
