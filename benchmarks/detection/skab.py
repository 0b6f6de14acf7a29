"""SKAB: the public leaderboard, and healthy windows of one group to the recordings of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.detection.peers import detectors, limit
from benchmarks.detection.tep import SHORT, means_of
from benchmarks.windows.loaders import SKAB_SENSORS, skab
from benchmarks.windows.ours_process import WINDOW, shipped
from benchmarks.windows.process import Skab, skab_recordings
from sktransfer import BaselineScaler, FeatureExtractor
from sktransfer.windows.window_statistics import window_statistics

RATE = 0.01
HEALTHY = 400  # rows at the start of each file, by the leaderboard
SLOW = ("PyOD AutoEncoder", "PyOD isolation forest", "PyOD ECOD")  # 408 fits, for thresholds by blocks held out
EVERY = 5  # of the healthy windows of valve1, one in so many


def files(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """The leaderboard: F1, false alarms and missed rows of all files together, each file by itself."""
    parts = [part for of_group in skab(folder).values() for part in of_group]
    values = [part[list(SKAB_SENSORS)].to_numpy(np.float64) for part in parts]
    truth = np.concatenate([part["anomaly"].to_numpy()[HEALTHY:] for part in parts]).astype(bool)
    found = []
    for inputs, n in (("rows", 1), ("30 rows", SHORT)):
        alarms: dict[str, list[np.ndarray]] = {}
        for X in values:
            means = means_of(X, n)
            F = BaselineScaler(compress=False, clip=None).fit(means[n - 1 : HEALTHY]).transform(means)
            healthy = F[n - 1 : HEALTHY]
            for name, make in detectors(len(healthy)).items():
                if name in SLOW:
                    continue
                above = make().fit(healthy).distance(F[HEALTHY:]) > limit(make, healthy, RATE)
                alarms.setdefault(name, []).append(above)
        found += [{"inputs": inputs, "detector": name} | _f1(np.concatenate(of), truth) for name, of in alarms.items()]
    yield pd.DataFrame(found).set_index("inputs")


def _f1(alarm: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    hits, false, missed = (alarm & truth).sum(), (alarm & ~truth).sum(), (~alarm & truth).sum()
    return {
        "F1": hits / (hits + (false + missed) / 2),
        "false alarms %": 100 * false / (~truth).sum(),
        "missed %": 100 * missed / truth.sum(),
    }


def groups(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """One group's healthy windows, another group's recordings; a healthy window has no faulty row in it."""
    recordings = skab_recordings(folder)
    parts = {group: [_Features(one) for one in of_group] for group, of_group in recordings.items()}
    found = []
    for inputs in ("statistics", "process"):
        for centred in (False, True):
            healthy = np.concatenate([one.rows(inputs, centred)[one.healthy] for one in parts["valve1"]])[::EVERY]
            for name, make in detectors(len(healthy), len(SKAB_SENSORS)).items():
                fitted, row = make().fit(healthy), {"inputs": inputs + ", centred" * centred, "detector": name}
                for group in ("valve2", "other"):
                    distance = np.concatenate([fitted.distance(one.rows(inputs, centred)) for one in parts[group]])
                    row[f"valve1 -> {group}, AUC"] = roc_auc_score(
                        np.concatenate([one.y for one in parts[group]]), distance
                    )
                found.append(row)
    yield pd.DataFrame(found).set_index("inputs")


class _Features:
    """Of the window that ends at each row after the reference; the recording is scaled by its first, healthy rows."""

    def __init__(self, recording: Skab):
        n = recording.reference
        values = recording.values.astype(np.float64)
        scaled = BaselineScaler().fit(values[:n]).transform(values)
        windows = np.lib.stride_tricks.sliding_window_view(scaled, WINDOW, axis=0).astype(np.float32)
        faulty = np.r_[np.zeros(n, dtype=int), recording.y[n:]]
        self.n_reference = n - WINDOW + 1
        self.y = recording.y[n:]
        faults = np.lib.stride_tricks.sliding_window_view(faulty, WINDOW).sum(axis=1)
        self.healthy = faults[self.n_reference :] == 0
        of: dict[str, Callable[[Any], np.ndarray]] = {
            "statistics": window_statistics,
            "process": FeatureExtractor(shipped("process"), block="tag").fit_transform,
        }
        self.features = {name: np.asarray(make(windows), dtype=np.float32) for name, make in of.items()}

    def rows(self, inputs: str, centred: bool) -> np.ndarray:
        """Features after the reference; centred: less their mean over the windows of the reference."""
        F = self.features[inputs].astype(np.float64)
        return F[self.n_reference :] - (F[: self.n_reference].mean(axis=0) if centred else 0)
