"""Alarms on healthy rows that come later, beside the rate that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.detection import batadal, tep, vibration
from benchmarks.detection.skab import HEALTHY
from benchmarks.tasks import tep_mode
from benchmarks.windows.features import hand_features
from benchmarks.windows.loaders import SKAB_SENSORS, cwru, fan, hit, skab
from datasets.process import samples
from sktransfer import BaselineScaler, TransferDetector, make_pipeline

RATES = (1e-2, 1e-3)
TEP_RUN = 0


def later(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """Of the default detector, all machines of a set together."""
    found = []
    for name, machines in _sets(folder):
        pairs = list(machines)
        for rate in RATES:
            row = {"set": name, "machines": len(pairs), "fitted rows": int(np.mean([len(past) for past, _ in pairs]))}
            found.append(row | _alarms(pairs, rate))
    yield pd.DataFrame(found).set_index("set")


def _alarms(pairs: list[tuple[np.ndarray, np.ndarray]], rate: float) -> dict[str, Any]:
    alarms, attained = [], []
    for past, rows in pairs:
        detector = make_pipeline(BaselineScaler(), TransferDetector(false_alarm_rate=rate)).fit(past)
        attained.append(detector[-1].attained_rate_)
        alarms.append(detector.predict(rows) < 0)
    share = np.concatenate(alarms).mean()
    return {
        "asked": f"{rate:g}",
        "promised": f"{np.mean(attained):.4f}",
        "later rows": sum(map(len, alarms)),
        "alarms": f"{share:.4f}",
        "alarms / promised": f"{share / np.mean(attained):.1f}",
    }


def _sets(folder: Path) -> Iterator[tuple[str, Iterator[tuple[np.ndarray, np.ndarray]]]]:
    """By name: healthy rows to fit to and later ones, a pair a machine."""
    yield "simulated plants, 12 tags", _plants()
    past, after, _ = tep.classic_rows(folder)
    yield "tep-braatz", iter([(past, after)])
    yield "tep-multimode, halves of the run", _modes(folder)
    year, rows, number = batadal.hours(folder)
    half = len(year) // 2
    yield "batadal, halves of the year", iter([(year[:half], year[half:])])
    yield "batadal, the year, then hours without attack", iter([(year, rows[number == 0])])
    yield "skab, files", _files(folder)
    windows = cwru(folder, step=6144 // vibration.OVERLAP, normal=True)
    yield "cwru-12k, hand features", _windows(windows, windows.info["end"].to_numpy(), "healthy")
    windows = hit(folder, step=4096 // vibration.OVERLAP)
    yield "hit-sm-mfs-bearing, hand features", _windows(windows, windows.info["domain"].to_numpy(), "N")
    windows = fan(folder, step=60 // vibration.OVERLAP)
    yield "fan-accelerometer, hand features", _windows(windows, windows.info["domain"].to_numpy(), windows.y.min())


def _plants(n_plants: int = 40) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    batch = samples(n_plants, seed=779, length=400, n_tags=(12, 12), shares=(1.0, 0.0, 0.0))
    for past, rows in zip(batch.references, batch.windows, strict=True):
        yield past.T.astype(np.float64), rows.T.astype(np.float64)


def _modes(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for mode in tep.MODES:
        X, _, first = tep_mode(folder, mode, (TEP_RUN,))
        yield X[first], X[~first]


def _files(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for parts in skab(folder).values():
        for part in parts:
            X, healthy = part[list(SKAB_SENSORS)].to_numpy(np.float64), part["anomaly"].to_numpy() == 0
            after = np.arange(len(X)) >= HEALTHY
            yield X[:HEALTHY], X[after & healthy]


def _windows(windows: Any, machine: np.ndarray, label: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    F = hand_features(windows.X)
    for name in np.unique(machine):
        past, after = vibration.halves(windows, (machine == name) & (windows.y == label))
        yield F[past], F[after]
