"""Detection from healthy data alone, beside detectors of scikit-learn on the same inputs.

    python -m benchmarks.detection ../shared/data [--only skab-files skab-groups tep-braatz tep-modes] [--draws 5]
    python -m benchmarks.detection ../shared/data --development

Every detector is fitted to healthy rows and nothing else; all settings are defaults, one for all files and sets, but
for what stands in a row's name. "rows": rows of the table, each scaled by the healthy rows; "30 rows": the mean of the
last 30 rows, where a row says so; "windows": windows of 60 rows; "process": features by tag of the shipped network.

skab-files   protocol of the public leaderboard: each file by itself, the first 400 rows are healthy, the rest is
             scored: F1, false-alarm and missed rate over all rows together
skab-groups  healthy windows of group valve1, each recording scaled by its first 100 rows; AUC of the windows of the
             recordings of another group that end at later rows
tep-braatz   fit on d00, the limit at 1 % false alarms on d00_te; mean missed rate over 21 faults, and without 3, 9, 15;
             the delay is the first of six alarms in a row, 800 samples where there is none
tep-modes    healthy rows of a mode alone (its first half; or 20 and 100 rows of it, drawn); mean AUC of 28 faults in
             the second halves of the runs
development  simulated plants: AUC of one window a plant over all plants, and how often the tag at fault has the
             largest, or one of the three largest, parts of the distance
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from benchmarks.names import markdown
from benchmarks.tasks import tep_mode
from benchmarks.windows.loaders import skab
from benchmarks.windows.ours_process import WINDOW, shipped, skab_tags
from benchmarks.windows.process import SKAB_SENSORS, skab_recordings
from sktransfer import (
    BaselineScaler,
    HealthyNeighbors,
    HealthyStatistic,
    HotellingT2,
    PrincipalComponents,
    TagT2,
    TransferDetector,
)
from sktransfer.windows.window_statistics import window_statistics

STATISTICS: dict[str, HealthyStatistic] = {
    "HotellingT2() (default)": HotellingT2(),
    "PrincipalComponents()": PrincipalComponents(),
    "HealthyNeighbors()": HealthyNeighbors(),
    "TagT2()": TagT2(),
}
PEERS: dict[str, Callable[[], Any]] = {
    "isolation forest": lambda: IsolationForest(random_state=0),
    "local outlier factor": lambda: LocalOutlierFactor(novelty=True),
    "one-class SVM": OneClassSVM,
}
SHORT = 30  # rows of the means
UNDETECTABLE = (3, 9, 15)


class Peer:
    """A detector of scikit-learn; its limit is a quantile of the scores of rows held out, as ours is."""

    def __init__(self, make: Callable[[], Any], rate: float, n_blocks: int = 5):
        self.make, self.rate, self.n_blocks = make, rate, n_blocks

    def fit(self, X: np.ndarray) -> Peer:
        """Fit to healthy rows."""
        blocks = np.array_split(np.arange(len(X)), self.n_blocks)
        held_out = [self.make().fit(np.delete(X, block, axis=0)).score_samples(X[block]) for block in blocks]
        self.limit_, self.fitted_ = np.quantile(np.concatenate(held_out), self.rate), self.make().fit(X)
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Larger is more usual."""
        return self.fitted_.score_samples(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """1 or -1."""
        return np.where(self.score_samples(X) < self.limit_, -1, 1)


def detectors(rate: float) -> dict[str, Callable[[], Any]]:
    """All of them on rows of a table, by name."""
    ours = {
        name: lambda statistic=statistic: TransferDetector(statistic=statistic, false_alarm_rate=rate)
        for name, statistic in STATISTICS.items()
    }
    return ours | {name: lambda make=make: Peer(make, rate) for name, make in PEERS.items()}


def means_of(X: np.ndarray, n: int) -> np.ndarray:
    """Mean of each row and the rows before it, `n` in all; fewer at the beginning."""
    total = np.cumsum(np.concatenate([np.zeros((1, X.shape[1])), X]), axis=0)
    end = np.arange(1, len(X) + 1)
    start = np.maximum(end - n, 0)
    return (total[end] - total[start]) / (end - start)[:, None]


def skab_files(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The leaderboard."""
    files = [part for parts in skab(options.folder).values() for part in parts]
    values = [part[list(SKAB_SENSORS)].to_numpy(np.float64) for part in files]
    truth = np.concatenate([part["anomaly"].to_numpy()[400:] for part in files]).astype(bool)
    for shape, n in (("rows", 1), ("30 rows", SHORT)):
        for name, make in detectors(0.01).items():
            found = []
            for X in values:
                X = means_of(X, n)
                scaled = BaselineScaler(compress=False, clip=None).fit(X[n - 1 : 400]).transform(X)
                found.append(make().fit(scaled[n - 1 : 400]).predict(scaled[400:]) < 0)
            alarm = np.concatenate(found)
            hits, false, missed = (alarm & truth).sum(), (alarm & ~truth).sum(), (~alarm & truth).sum()
            yield {
                **{"inputs": shape, "detector": name, "F1": hits / (hits + (false + missed) / 2)},
                **{"false alarms %": 100 * false / (~truth).sum(), "missed %": 100 * missed / truth.sum()},
            }


def skab_groups(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One group's healthy windows, another group's recordings."""
    groups = skab_recordings(options.folder)
    inputs: dict[str, Callable[[Any], np.ndarray]] = {
        "windows": lambda recording: window_statistics(_scaled_windows(recording)),
        "process": lambda recording: skab_tags(recording).astype(np.float64),
    }
    for shape, of in inputs.items():
        features = {group: [of(recording) for recording in parts] for group, parts in groups.items()}
        truth = {group: [recording.y[recording.reference :] for recording in parts] for group, parts in groups.items()}
        healthy = np.concatenate([F[y == 0] for F, y in zip(features["valve1"], truth["valve1"], strict=True)])[::5]
        for name, statistic in STATISTICS.items():
            fitted = statistic.fit(healthy, len(SKAB_SENSORS), 1e-6)
            row = {"inputs": shape, "detector": name}
            for group in ("valve2", "other"):
                scores = np.concatenate([fitted.distance(F) for F in features[group]])
                row[f"valve1 -> {group}, AUC"] = roc_auc_score(np.concatenate(truth[group]), scores)
            yield row
        for name, make in PEERS.items():
            peer, row = make().fit(healthy), {"inputs": shape, "detector": name}
            for group in ("valve2", "other"):
                scores = np.concatenate([-peer.score_samples(F) for F in features[group]])
                row[f"valve1 -> {group}, AUC"] = roc_auc_score(np.concatenate(truth[group]), scores)
            yield row


def _scaled_windows(recording: Any) -> np.ndarray:
    healthy = recording.values[: recording.reference].astype(np.float64)
    scaled = BaselineScaler().fit(healthy).transform(recording.values.astype(np.float64))
    return type(recording)(scaled, recording.y, recording.reference).windows(WINDOW)


def tep_braatz(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Missed rates and delays of 21 faults at the same actual rate of false alarms."""
    train, test = (
        pd.read_csv(options.folder / "tep-braatz" / f"{part}.csv.gz", low_memory=False) for part in ("train", "test")
    )
    columns = [name for name in train.columns if name.startswith(("XMEAS", "XMV"))]
    healthy, runs = train.loc[train["fault"] == 0, columns].to_numpy(np.float64), test.groupby("fault")
    runs = {int(fault): rows[columns].to_numpy(np.float64) for fault, rows in runs}
    scores: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for shape, n in (("rows", 1), ("30 rows", SHORT)):
        scaler = BaselineScaler(compress=False, clip=None).fit(means_of(healthy, n)[n - 1 :])
        F = scaler.transform(means_of(healthy, n)[n - 1 :])
        for name, make in detectors(0.01).items():
            fitted = make().fit(F)
            scores[f"{shape}; {name}"] = lambda X, fitted=fitted, scaler=scaler, n=n: (
                -fitted.score_samples(scaler.transform(means_of(X, n)))
            )
    classic = PrincipalComponents(0.5).fit(healthy)
    scores["rows; T2 of principal components, half of the variance"] = lambda X: classic.t2_and_q(X)[0]
    scores["rows; Q of principal components, half of the variance"] = lambda X: classic.t2_and_q(X)[1]
    for name, of in scores.items():
        limit = np.quantile(of(runs[0]), 0.99)
        missed, delays = {}, {}
        for fault in range(1, 22):
            alarm = of(runs[fault])[160:] > limit
            missed[fault] = 1 - alarm.mean()
            six = np.convolve(alarm, np.ones(6), "valid") == 6
            delays[fault] = int(six.argmax()) + 5 if six.any() else len(alarm)
        seen = [fault for fault in missed if fault not in UNDETECTABLE]
        inputs, _, detector = name.partition("; ")
        yield {
            **{"inputs": inputs, "detector": detector, "missed": np.mean([*missed.values()])},
            "missed without 3, 9, 15": np.mean([missed[fault] for fault in seen]),
            "delay, samples": np.mean([delays[fault] for fault in seen]),
        }


def tep_modes(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """AUC of faults against later healthy rows of the same mode."""
    modes = {mode: tep_mode(options.folder, mode) for mode in (1, 2, 3, 4)}
    for n in (20, 100, None):
        found: dict[str, list[float]] = {name: [] for name in detectors(0.01)}
        for X, fault, first in modes.values():
            pool = np.flatnonzero(first & (fault == 0))
            for draw in range(options.draws if n is not None else 1):
                rows = pool if n is None else np.sort(np.random.default_rng(draw).choice(pool, n, replace=False))
                scaler = BaselineScaler().fit(X[rows])
                F = scaler.transform(X)
                for name, make in detectors(0.5).items():
                    scores = -make().fit(F[rows]).score_samples(F[~first])
                    kind = fault[~first]
                    healthy = scores[kind == 0]
                    for number in range(1, 29):
                        own = scores[kind == number]
                        if len(own):
                            truth = np.r_[np.zeros(len(healthy)), np.ones(len(own))]
                            found[name].append(roc_auc_score(truth, np.r_[healthy, own]))
        for name, values in found.items():
            yield {"healthy rows": "half a run" if n is None else n, "detector": name, "AUC": np.mean(values)}


def development(n_plants: int = 150, length: int = 60, n_tags: int = 12) -> Iterator[dict[str, Any]]:
    """Simulated plants, each by its own healthy rows."""
    from datasets.process import samples

    batch = samples(n_plants, seed=777, length=length, n_tags=(n_tags, n_tags))
    at_fault = np.array(batch.channel)
    found: dict[tuple[str, str], list[tuple[float, np.ndarray]]] = {}
    for i in range(n_plants):
        reference = batch.references[i]
        mean, std = reference.mean(axis=1, keepdims=True), reference.std(axis=1, keepdims=True) + 1e-9
        scaled = np.clip((reference - mean) / std, -30, 30).astype(np.float32)
        window = np.clip((batch.windows[i] - mean) / std, -30, 30).astype(np.float32)
        starts = range(0, scaled.shape[1] - length + 1, 10)
        windows = np.stack([scaled[:, start : start + length] for start in starts])
        inputs = {"windows": (None, windows, window[None]), "process": (shipped("process"), windows, window[None])}
        inputs["rows"] = (None, scaled.T, window.T)
        for shape, (backbone, healthy, asked) in inputs.items():
            for name, statistic in STATISTICS.items():
                detector = TransferDetector(backbone, statistic=statistic, false_alarm_rate=0.2).fit(healthy)
                usual = np.median(detector.healthy_distances_)
                parts = detector.feature_contributions(asked).mean(axis=0).reshape(n_tags, -1).sum(axis=1)
                found.setdefault((shape, name), []).append(
                    (float(-detector.score_samples(asked).mean() / usual), np.argsort(-parts)[:3])
                )
    faulty = at_fault >= 0
    for (shape, name), of in found.items():
        named = [(tag == best[0], tag in best) for tag, (_, best) in zip(at_fault, of, strict=True) if tag >= 0]
        first, three = np.mean(named, axis=0)
        auc = roc_auc_score(faulty, [score for score, _ in of])
        yield {"inputs": shape, "detector": name, "AUC": auc, "first": first, "among three": three}


SETS: dict[str, tuple[Callable[[argparse.Namespace], Iterator[dict[str, Any]]], str]] = {
    "skab-files": (skab_files, "skab"),
    "skab-groups": (skab_groups, "skab"),
    "tep-braatz": (tep_braatz, "tep-braatz"),
    "tep-modes": (tep_modes, "tep-multimode"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--development", action="store_true", help="simulated plants, in place of the scored sets")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.development:
        print(markdown(pd.DataFrame(development()).set_index("inputs")))
        return
    for name in options.only:
        run, folder = SETS[name]
        if not (options.folder / folder).is_dir():
            print(f"{name}: no {folder} in {options.folder}", flush=True)
            continue
        table = pd.DataFrame(run(options))
        print(f"\n{name}\n\n{markdown(table.set_index(table.columns[0]))}", flush=True)


if __name__ == "__main__":
    main()
