"""Vibration: windows of one machine, healthy ones alone, the shipped network `vibration` beside hand features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from benchmarks.detection.peers import DEFAULT, Case, aucs, detectors, ours, summary
from benchmarks.windows.features import hand_features
from benchmarks.windows.loaders import WindowSet, concatenate, cwru, fan, hit
from benchmarks.windows.ours import features_of

OVERLAP = 4  # windows begin every quarter of their length


def bearings_cwru(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """CWRU, load 0, where there is a healthy record: both bearings, each kind and size of fault."""
    parts = [cwru(folder, step=6144 // OVERLAP, ends=ends, normal=True) for ends in ("DE", "FE")]
    windows = concatenate(parts)
    windows = windows[windows.info["load"].to_numpy() == 0]
    kind = np.array([f"{a} {b}" for a, b in zip(windows.info["kind"], windows.info["size"], strict=True)])
    yield from _tables(windows, windows.info["end"].to_numpy(), kind, windows.y == "healthy")


def bearings_hit(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """HIT-SM, each speed by itself; every window is standardised."""
    windows = hit(folder, step=4096 // OVERLAP)
    yield from _tables(windows, windows.info["domain"].to_numpy(), windows.y, windows.y == "N")


def blades(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """The fan, each speed by itself; the first of the three places of the weights counts as healthy."""
    windows = fan(folder, step=60 // OVERLAP)
    yield from _tables(windows, windows.info["domain"].to_numpy(), windows.y.astype(str), windows.y == windows.y.min())


def halves(windows: WindowSet, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows of a recording's first half, and those that share no sample with them."""
    own = np.flatnonzero(mask)
    middle = windows.place[own].max() // 2
    return own[windows.place[own] <= middle], own[windows.place[own] >= middle + OVERLAP]


def _tables(windows: WindowSet, machine: np.ndarray, kind: np.ndarray, healthy: np.ndarray) -> Iterator[pd.DataFrame]:
    inputs: dict[str, Callable[[WindowSet], np.ndarray]] = {
        "vibration; ": lambda windows: features_of(windows.X).astype(np.float64),
        "": lambda windows: hand_features(windows.X),
    }
    found = []
    for prefix, of in inputs.items():
        F = of(windows)
        cases = []
        for name in np.unique(machine):
            fitted, later = halves(windows, healthy & (machine == name))
            scored = np.r_[later, np.flatnonzero(~healthy & (machine == name))]
            scaler = StandardScaler().fit(F[fitted])
            kinds = np.where(healthy[scored], "", kind[scored])
            _, number = np.unique(np.r_[[""], kinds], return_inverse=True)
            cases.append(Case(str(name), scaler.transform(F[fitted]), scaler.transform(F[scored]), number[1:]))
        found.append(aucs(cases, lambda n: ours(), prefix) if prefix else aucs(cases, detectors))
    table = summary(pd.concat(found), (DEFAULT,)).drop(columns="over draws")
    yield table.assign(windows=len(cases[0].healthy)).set_index("windows")
