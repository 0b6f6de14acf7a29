"""Transfer tasks on real and benchmark data: a source to pretrain on, a target to draw labels from.

The data are not part of the project (several sets state no licence); each function takes the folder that holds them.
Which rows scale, which may be labelled and which are scored is said at each task: it decides the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks.comparison import Target
from sktransfer import Backbone, BaselineScaler, FromScratch, TransferClassifier

TEP_FAULTS = (0, 2, 4, 6, 7, 11, 14, 17, 18)
TEP_TASKS = (((1, 2, 3), 4), ((2, 3, 4), 1), ((1, 3, 4), 2), ((1,), 3))
GAS_BATCHES = (2, 3, 4, 5, 6, 8, 9)
SKAB_HEALTHY = 100  # rows at the start of each recording


@dataclass
class RealTask:
    """A source, already scaled, and a target.

    Parameters
    ----------
    X, y, domain : rows, labels and domains of the source
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    domain: np.ndarray
    target: Target

    def pretrain(self, seed: int = 0, network: FromScratch | None = None) -> Backbone:
        """The backbone that the source rows give."""
        return pretrain(self.X, self.y, seed, network)

    def small_classes(self, fewer_than: int = 50) -> dict[object, int]:
        """Classes of which fewer rows are scored, with their numbers: a single row moves their recall."""
        classes, counts = np.unique(self.target.y_test, return_counts=True)
        return {c: int(n) for c, n in zip(classes.tolist(), counts, strict=True) if n < fewer_than}


def pretrain(X: np.ndarray, y: np.ndarray, seed: int, network: FromScratch | None = None) -> Backbone:
    """Train on scaled source rows, by the defaults: ``TransferClassifier(random_state=seed).fit(X, y)``."""
    return TransferClassifier(network, random_state=seed).fit(X, y).backbone_


def mlp(*widths: int, dropout: float = 0.1) -> FromScratch:
    """An untrained MLP."""
    return FromScratch(arguments={"hidden_layer_sizes": list(widths), "dropout": dropout})


# ---- Tennessee Eastman, four modes


def tep_tasks(folder: Path, faults=TEP_FAULTS, tasks=TEP_TASKS) -> Iterator[RealTask]:
    """Rows of four operating modes, nine classes.

    Each mode is scaled by the first half of its own healthy run. Labels are drawn from the first half of each run of
    the target mode, scores are on the second half.
    """
    modes = {mode: tep_mode(folder, mode) for mode in (1, 2, 3, 4)}
    scalers = {
        mode: FrozenEstimator(BaselineScaler(clip=None).fit(X[first & (fault == 0)]))
        for mode, (X, fault, first) in modes.items()
    }
    modes = {mode: tuple(part[np.isin(rows[1], faults)] for part in rows) for mode, rows in modes.items()}
    for sources, target in tasks:
        parts = [modes[mode] for mode in sources]
        scaled = [scalers[mode].transform(modes[mode][0]) for mode in sources]
        X, y, first = modes[target]
        scaler = scalers[target]
        yield RealTask(
            name=f"{'+'.join(map(str, sources))} -> {target}",
            X=np.concatenate(scaled),
            y=np.concatenate([part[1] for part in parts]),
            domain=np.concatenate([np.full(len(part[1]), mode) for part, mode in zip(parts, sources, strict=True)]),
            target=Target(
                f"mode {target}",
                X[first],
                y[first],
                X[~first],
                y[~first],
                scaler,
                extra={"healthy": X[first & (y == 0)]},
            ),
        )


def tep_mode(folder: Path, mode: int, faults: tuple[int, ...] = tuple(range(29))):
    """Rows, faults, and whether a row is in the first half of its run, of one mode."""
    with np.load(folder / "tep-multimode" / f"mode{mode}.npz") as data:
        X, fault = data["X"].astype(np.float64), data["fault"].astype(np.int64)
    first = np.zeros(len(fault), dtype=bool)
    for number in np.unique(fault):
        rows = np.flatnonzero(fault == number)
        first[rows[: len(rows) // 2]] = True
    keep = np.isin(fault, faults)
    return X[keep], fault[keep], first[keep]


# ---- Gas sensors that drift over three years


def gas_tasks(folder: Path, batches=GAS_BATCHES) -> Iterator[RealTask]:
    """Batch 1 to each later batch, six gases."""
    for batch in batches:
        yield gas_task(folder, 1, batch)


def gas_task(folder: Path, source: int, batch: int) -> RealTask:
    """One batch to another.

    No class is healthy, so each batch is scaled by all its own rows, unlabelled. The rows that are not drawn are
    scored.
    """
    frame = pd.read_csv(folder / "gas-sensor-drift" / "gas_drift_8batches.csv.gz")
    sensors = [name for name in frame.columns if name.startswith("s") and "_f" in name]

    def rows(number):
        part = frame[frame["batch"] == number]
        X = part[sensors].to_numpy(np.float64)
        return X, part["gas"].to_numpy(), FrozenEstimator(StandardScaler().fit(X))

    (X_source, y_source, scaler_source), (X, y, scaler) = rows(source), rows(batch)
    target = Target(f"batch {batch}", X, y, X, y, scaler, metric="accuracy")
    ones = np.ones(len(X_source))
    return RealTask(f"batch {source} -> {batch}", scaler_source.transform(X_source), y_source, ones, target)


# ---- SKAB, a pump loop


def skab_tasks(folder: Path, pairs=(("valve1", "other"), ("valve1", "valve2"), ("other", "valve1"))):
    """Group to group, healthy or not, AUC.

    Every recording is scaled by its own first 100 rows (about a minute and a half), which are healthy in every one:
    the first anomaly of ``other/2`` is at row 104. Half of the target's recordings may be labelled, the other half is
    scored, without these rows.
    """
    frame = pd.read_csv(folder / "skab" / "skab.csv.gz")
    frame = frame[frame["group"] != "anomaly-free"]
    sensors = list(frame.columns[3:11])
    pieces = {}
    for (group, name), part in frame.groupby(["group", "file"]):
        X = part[sensors].to_numpy(np.float64)
        scaled = BaselineScaler().fit(X[:SKAB_HEALTHY]).transform(X)
        pieces.setdefault(group, []).append((str(name), scaled, part["anomaly"].to_numpy(np.int64)))
    identity = FrozenEstimator(FunctionTransformer().fit(np.zeros((1, len(sensors)))))
    for source, target in pairs:
        pool, test = pieces[target][::2], pieces[target][1::2]
        X, y = (np.concatenate([piece[i] for piece in pieces[source]]) for i in (1, 2))
        halves = [np.concatenate([piece[i] for piece in pool]) for i in (1, 2)]
        halves += [np.concatenate([piece[i][SKAB_HEALTHY:] for piece in test]) for i in (1, 2)]
        yield RealTask(f"{source} -> {target}", X, y, np.ones(len(X)), Target(target, *halves, identity, metric="AUC"))


# ---- AI4I, a milling machine


def ai4i_tasks(folder: Path) -> Iterator[RealTask]:
    """Product quality L to H, failure or not, AUC; each type scaled by its own rows without failure."""
    frame = pd.read_csv(folder / "ai4i2020" / "ai4i2020.csv")
    columns = list(frame.columns[3:8])

    def rows(kind):
        part = frame[frame["Type"] == kind]
        X, y = part[columns].to_numpy(np.float64), part["Machine failure"].to_numpy(np.int64)
        return X, y, np.arange(len(y)) % 2 == 0

    X, y, _ = rows("L")
    scaled = BaselineScaler(normal_label=0, compress=False).fit(X, y).transform(X)
    X_h, y_h, first = rows("H")
    scaler = FrozenEstimator(BaselineScaler(compress=False).fit(X_h[first & (y_h == 0)]))
    target = Target("type H", X_h[first], y_h[first], X_h[~first], y_h[~first], scaler, metric="AUC")
    yield RealTask("L -> H", scaled, y, np.ones(len(X)), target)
