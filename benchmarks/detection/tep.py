"""Tennessee Eastman: the classic files, and the faults of four modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.detection.peers import Case, aucs, detectors, summary
from benchmarks.tasks import tep_mode
from sktransfer import BaselineScaler, PrincipalComponents

MODES = (1, 2, 3, 4)
EVERY = 4  # of the scored rows, one in so many
SHORT = 30  # rows of the means
UNDETECTABLE = (3, 9, 15)
N_FAULTS = 28


def modes(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """AUC of faults against later healthy rows of the same mode; healthy rows of the first half alone are fitted to."""
    rows = {mode: tep_mode(folder, mode) for mode in MODES}
    for n in (20, 100, None):
        found = aucs(_cases(rows, n, draws), detectors)
        yield summary(found).assign(healthy="half a run" if n is None else n).set_index("healthy")


def _cases(rows: dict[int, tuple], n: int | None, draws: int) -> Iterator[Case]:
    for mode, (X, fault, first) in rows.items():
        pool = np.flatnonzero(first & (fault == 0))
        scored = np.flatnonzero(~first)[::EVERY]
        for draw in range(draws if n is not None else 1):
            chosen = pool if n is None else np.sort(np.random.default_rng(draw).choice(pool, n, replace=False))
            scaler = BaselineScaler().fit(X[chosen])
            yield Case(f"mode {mode}", scaler.transform(X[chosen]), scaler.transform(X[scored]), fault[scored], draw)


def classic(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """Missed rates and delays of 21 faults at the same actual rate of false alarms."""
    healthy, _, runs = classic_rows(folder)
    scores: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for shape, n in (("rows", 1), ("30 rows", SHORT)):
        means = means_of(healthy, n)[n - 1 :]
        scaler = BaselineScaler(compress=False, clip=None).fit(means)
        for name, make in detectors(len(means)).items():
            fitted = make().fit(scaler.transform(means))
            scores[f"{shape}; {name}"] = lambda X, fitted=fitted, scaler=scaler, n=n: fitted.distance(
                scaler.transform(means_of(X, n))
            )
    half = PrincipalComponents(0.5).fit(healthy)
    scores["rows; T2 of principal components, half of the variance"] = lambda X: half.t2_and_q(X)[0]
    scores["rows; Q of principal components, half of the variance"] = lambda X: half.t2_and_q(X)[1]
    found = []
    for name, of in scores.items():
        inputs, _, detector = name.partition("; ")
        found.append({"inputs": inputs, "detector": detector} | _missed(of, runs))
    yield pd.DataFrame(found).set_index("inputs")


def _missed(of: Callable[[np.ndarray], np.ndarray], runs: dict[int, np.ndarray]) -> dict[str, float]:
    """With the limit at 1 % false alarms on the healthy test run."""
    limit = np.quantile(of(runs[0]), 0.99)
    missed, delays = {}, {}
    for fault in range(1, 22):
        alarm = of(runs[fault])[160:] > limit
        missed[fault] = 1 - alarm.mean()
        six = np.convolve(alarm, np.ones(6), "valid") == 6
        delays[fault] = int(six.argmax()) + 5 if six.any() else len(alarm)
    seen = [fault for fault in missed if fault not in UNDETECTABLE]
    return {
        "missed": np.mean([*missed.values()]),
        "missed without 3, 9, 15": np.mean([missed[fault] for fault in seen]),
        "delay, samples": np.mean([delays[fault] for fault in seen]),
    }


def classic_rows(folder: Path) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
    """Healthy rows to fit to (d00), later healthy ones (d00_te), and the test run of each fault, 0 among them."""
    train, test = (
        pd.read_csv(folder / "tep-braatz" / f"{part}.csv.gz", low_memory=False) for part in ("train", "test")
    )
    columns = [name for name in train.columns if name.startswith(("XMEAS", "XMV"))]
    runs = {int(fault): rows[columns].to_numpy(np.float64) for fault, rows in test.groupby("fault")}
    return train.loc[train["fault"] == 0, columns].to_numpy(np.float64), runs[0], runs


def means_of(X: np.ndarray, n: int) -> np.ndarray:
    """Mean of each row and the rows before it, `n` in all; fewer at the beginning."""
    total = np.cumsum(np.concatenate([np.zeros((1, X.shape[1])), X]), axis=0)
    end = np.arange(1, len(X) + 1)
    start = np.maximum(end - n, 0)
    return (total[end] - total[start]) / (end - start)[:, None]
