"""Simulated plants, on which the defaults of detection were chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.detection.peers import FLOAT32, STATISTICS, Case, Ours, aucs, detectors, ours, summary
from benchmarks.windows.ours_process import shipped
from datasets.process import samples
from sktransfer import BaselineScaler, FeatureExtractor
from sktransfer.windows.window_statistics import window_statistics

N_PLANTS, LENGTH, N_TAGS, STEP = 80, 60, 12, 10
N_ROWS = 400  # of a window in the tables of rows
LEFT_OUT = ("PyOD AutoEncoder", "PyOD isolation forest")  # minutes for so many small fits, and behind on the first


def rows(n_plants: int = 30) -> Iterator[pd.DataFrame]:
    """Rows of a plant with a fault against those of its twin without one; 20 to 50 tags."""
    batch = samples(n_plants, seed=778, length=N_ROWS, n_tags=(20, 50), keep_healthy=True, shares=(0.0, 0.7, 0.3))
    for n in (20, 100, None):
        found = aucs(_cases(batch, n), lambda n: {k: of for k, of in detectors(n).items() if k not in LEFT_OUT})
        yield summary(found).assign(healthy="all" if n is None else n).drop(columns="over draws").set_index("healthy")


def _cases(batch: Any, n: int | None) -> Iterator[Case]:
    for i, (past, faulty, twin) in enumerate(zip(batch.references, batch.windows, batch.healthy, strict=True)):
        onset = max(batch.onset[i], 0)
        if onset >= N_ROWS - 20:
            continue
        pool = past.T.astype(np.float64)
        if n is not None:
            pool = pool[np.sort(np.random.default_rng(i).choice(len(pool), n, replace=False))]
        scaler = BaselineScaler().fit(pool)
        scored = np.concatenate([scaler.transform(part.T[onset:].astype(np.float64)) for part in (twin, faulty)])
        yield Case(f"plant {i}", scaler.transform(pool), scored, np.repeat([0, 1], len(scored) // 2))


def windows() -> Iterator[pd.DataFrame]:
    """Plants of 12 tags: each by its own healthy windows, and the second half of them by those of the first.

    The last window of a plant and, where that one is faulty, its twin without the fault are scored, all plants
    together: distances over the median of those of healthy windows held out.
    """
    batch = samples(N_PLANTS, seed=777, length=LENGTH, n_tags=(N_TAGS, N_TAGS), keep_healthy=True)
    plants = [_plant(batch, i) for i in range(N_PLANTS)]
    faulty = [batch.family[i] != "healthy" for i in range(N_PLANTS)]
    truth = np.concatenate([[1, 0] if one else [0] for one in faulty])
    own, fleet = [], []
    for inputs in ("process", "statistics"):
        for name, make in ours(N_TAGS).items():
            of = [_relative(make, *plant[inputs])[: 1 + one] for plant, one in zip(plants, faulty, strict=True)]
            row = {"inputs": inputs, "detector": name, "AUC": roc_auc_score(truth, np.concatenate(of))}
            row["above its twin"] = np.mean([pair[0] > pair[1] for pair, one in zip(of, faulty, strict=True) if one])
            own.append(row | _named(name, plants, inputs, batch.channel))
        fleet += list(_fleet([plant[inputs] for plant in plants], faulty, inputs))
    yield pd.DataFrame(own).set_index("inputs")
    yield pd.DataFrame(fleet).set_index("inputs")


def _plant(batch: Any, i: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features of the healthy windows, and of the scored one and its twin, as the network was trained: compressed."""
    scaler = BaselineScaler().fit(batch.references[i].T.astype(np.float64))
    past, faulty, twin = (
        scaler.transform(part[i].T.astype(np.float64)).T for part in (batch.references, batch.windows, batch.healthy)
    )
    healthy = [past[:, start : start + LENGTH] for start in range(0, past.shape[1] - LENGTH + 1, STEP)]
    every = np.stack([*healthy, faulty, twin]).astype(np.float32)
    of: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "statistics": window_statistics,
        "process": FeatureExtractor(shipped("process"), block="tag").fit_transform,
    }
    return {name: tuple(np.split(make(every).astype(np.float64), [len(healthy)])) for name, make in of.items()}


def _relative(make: Callable[[], Any], healthy: np.ndarray, asked: np.ndarray) -> np.ndarray:
    blocks = np.array_split(np.arange(len(healthy)), 5)
    usual = [make().fit(np.delete(healthy, block, axis=0)).distance(healthy[block]) for block in blocks]
    return make().fit(healthy).distance(asked) / np.median(np.concatenate(usual))


def _named(name: str, plants: list, inputs: str, channel: list[int]) -> dict[str, float]:
    """How often the tag at fault has the largest, or one of the three largest, parts of the distance."""
    first = three = n = 0
    for plant, tag in zip(plants, channel, strict=True):
        if tag < 0:
            continue
        healthy, asked = plant[inputs]
        parts = STATISTICS[name].fit(healthy, N_TAGS, FLOAT32).contributions(asked[:1])
        order = np.argsort(-parts.reshape(N_TAGS, -1).sum(axis=1))[:3]
        first, three, n = first + (order[0] == tag), three + (tag in order), n + 1
    return {"first": first / n, "among three": three / n}


def _fleet(plants: list[tuple[np.ndarray, np.ndarray]], faulty: list[bool], inputs: str) -> Iterator[dict[str, Any]]:
    """Fitted to the healthy windows of the first half of the plants, asked about the others."""
    half = len(plants) // 2
    truth = np.concatenate([[1, 0] if one else [0] for one in faulty[half:]])
    for centred in (False, True):
        moved = [(of - of.mean(axis=0), asked - of.mean(axis=0)) if centred else (of, asked) for of, asked in plants]
        healthy = np.concatenate([of for of, _ in moved[:half]])
        row: dict[str, Any] = {"inputs": f"{inputs}, centred" if centred else inputs}
        for name, statistic in STATISTICS.items():
            fitted = Ours(statistic, N_TAGS).fit(healthy)
            scores = [
                fitted.distance(asked)[: 1 + one] for (_, asked), one in zip(moved[half:], faulty[half:], strict=True)
            ]
            row[f"AUC, {name}"] = roc_auc_score(truth, np.concatenate(scores))
        yield row
