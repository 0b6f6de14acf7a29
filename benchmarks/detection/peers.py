"""The detectors of the tables, and one way to compare them.

::

    Case: healthy rows, scored rows, kind of fault of each --> every detector fitted to the healthy rows alone
    AUC of each kind against the later healthy rows of its case --> means, spread over draws, mean rank over kinds
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import skew
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM

from sktransfer import HealthyNeighbors, HealthyStatistic, HotellingT2, PrincipalComponents, TagT2
from sktransfer.detection.thresholds import threshold

DEFAULT = "HotellingT2(), the default"
STATISTICS: dict[str, HealthyStatistic] = {
    DEFAULT: HotellingT2(),
    "PrincipalComponents()": PrincipalComponents(),
    "HealthyNeighbors()": HealthyNeighbors(),
    "TagT2()": TagT2(),
}
FLOAT32 = 1e-6  # resolution of features that a network computed


class Ours:
    """A statistic of this package, as `TransferDetector` fits it to features that are there."""

    def __init__(self, statistic: HealthyStatistic, n_tags: int | None = None):
        self.statistic, self.n_tags = statistic, n_tags

    def fit(self, F: np.ndarray) -> Ours:
        """Fit to healthy rows."""
        self.fitted = clone(self.statistic).fit(F, self.n_tags, FLOAT32)
        return self

    def distance(self, F: np.ndarray) -> np.ndarray:
        """Larger is less usual."""
        return self.fitted.distance(F)


class Pyod:
    """A detector of PyOD."""

    def __init__(self, name: str, **parameters: Any):
        self.name, self.parameters = name, parameters

    def fit(self, F: np.ndarray) -> Pyod:
        """Fit to healthy rows."""
        from importlib import import_module

        files = {"IForest": "iforest", "LOF": "lof", "ECOD": "ecod", "PCA": "pca", "KNN": "knn"}
        module = import_module(f"pyod.models.{files.get(self.name, 'auto_encoder')}")
        self.model = getattr(module, self.name)(**self.parameters)
        self.model.fit(F)
        return self

    def distance(self, F: np.ndarray) -> np.ndarray:
        """Larger is less usual."""
        # PCA divides by variances of 0: infinite is as far as it gets
        largest = np.finfo(np.float64).max
        return np.nan_to_num(self.model.decision_function(F), nan=largest, posinf=largest)


class Ecod(Pyod):
    """PyOD's ECOD, asked about one row at a time.

    It ranks what it is asked about along with the rows of `fit`: many faulty rows that are asked about together make
    each other usual, and a monitor has one row at a time. The same numbers as a call a row (but for the sign of each
    column's skewness, which is that of the fitted rows), in one go.
    """

    def __init__(self) -> None:
        super().__init__("ECOD")

    def distance(self, F: np.ndarray) -> np.ndarray:
        """Larger is less usual."""
        healthy = np.sort(self.model.X_train, axis=0)
        n, sign = len(healthy) + 1, np.sign(skew(healthy, axis=0))
        distance = np.zeros(len(F))
        for j in range(F.shape[1]):
            below = -np.log((np.searchsorted(healthy[:, j], F[:, j], side="right") + 1) / n)
            above = -np.log((n - np.searchsorted(healthy[:, j], F[:, j], side="left")) / n)
            skewed = below if sign[j] < 0 else above if sign[j] > 0 else below + above
            distance += np.maximum(np.maximum(below, above), skewed)
        return distance


class Svm:
    """scikit-learn's one-class SVM."""

    def fit(self, F: np.ndarray) -> Svm:
        """Fit to healthy rows."""
        self.model = OneClassSVM().fit(F)
        return self

    def distance(self, F: np.ndarray) -> np.ndarray:
        """Larger is less usual."""
        return -self.model.score_samples(F)


PEERS: dict[str, Callable[[], Any]] = {
    "PyOD PCA": lambda: Pyod("PCA"),
    "PyOD isolation forest": lambda: Pyod("IForest", random_state=0),
    "PyOD LOF": lambda: Pyod("LOF"),
    "PyOD ECOD": Ecod,
    "PyOD KNN": lambda: Pyod("KNN"),
    "PyOD AutoEncoder": lambda: Pyod("AutoEncoder", random_state=0, verbose=0),
    "one-class SVM": Svm,
}
AUTO_ENCODER_BATCH = 32  # PyOD's cannot be fitted to fewer rows


def ours(n_tags: int | None = None) -> dict[str, Callable[[], Any]]:
    """The statistics of this package."""
    return {name: lambda one=one: Ours(one, n_tags) for name, one in STATISTICS.items()}


def detectors(n_healthy: int, n_tags: int | None = None) -> dict[str, Callable[[], Any]]:
    """All that can be fitted to so many rows."""
    few = n_healthy <= AUTO_ENCODER_BATCH
    return ours(n_tags) | {name: make for name, make in PEERS.items() if not (few and name == "PyOD AutoEncoder")}


def limit(make: Callable[[], Any], F: np.ndarray, rate: float, n_blocks: int = 5) -> float:
    """Threshold by blocks held out, for any detector as `TransferDetector` sets its own."""
    blocks = np.array_split(np.arange(len(F)), n_blocks)
    held_out = [make().fit(np.delete(F, block, axis=0)).distance(F[block]) for block in blocks]
    return threshold(np.concatenate(held_out), rate)[0]


@dataclass
class Case:
    """Rows of one machine: `healthy` to fit to, `scored` with the kind of fault of each, 0 is healthy."""

    name: str
    healthy: np.ndarray
    scored: np.ndarray
    kind: np.ndarray
    draw: int = 0


def aucs(cases: Iterable[Case], make: Callable[[int], dict[str, Callable[[], Any]]], prefix: str = "") -> pd.DataFrame:
    """AUC of each kind of fault, by case, draw and detector."""
    found = []
    for case in cases:
        for name, detector in make(len(case.healthy)).items():
            distance = detector().fit(case.healthy).distance(case.scored)
            usual = distance[case.kind == 0]
            for kind in np.unique(case.kind[case.kind != 0]):
                own = distance[case.kind == kind]
                truth = np.r_[np.zeros(len(usual)), np.ones(len(own))]
                auc = roc_auc_score(truth, np.r_[usual, own])
                found.append((case.name, kind, case.draw, prefix + name, auc))
    return pd.DataFrame(found, columns=["case", "kind", "draw", "detector", "AUC"])


def summary(found: pd.DataFrame, defaults: tuple[str, ...] = (DEFAULT,)) -> pd.DataFrame:
    """Mean AUC, its deviation over draws, and the mean rank over cases and kinds.

    A rank is among the peers and one of ours: each detector of ours is ranked by itself, in the default's place.
    """
    table = found.groupby(["case", "kind", "detector"])["AUC"].mean().unstack()
    by_draw = found.groupby(["draw", "detector"])["AUC"].mean().unstack()
    peers = [name for name in table if name in PEERS]
    own = [name for name in table if name not in PEERS]
    ranks = {name: table[[*peers, name]].rank(axis=1, ascending=False)[name].mean() for name in own}
    first = next(name for name in defaults if name in own)
    ranks |= table[[*peers, first]].rank(axis=1, ascending=False)[peers].mean().to_dict()
    order = [name for name in found["detector"].unique() if name in table]
    return pd.DataFrame(
        {
            "detector": order,
            "AUC": [f"{table[name].mean():.3f}" for name in order],
            "over draws": [f"{by_draw[name].std():.3f}" if len(by_draw) > 1 else "" for name in order],
            "worst kind": [f"{table[name].min():.3f}" for name in order],
            "mean rank": [f"{ranks[name]:.2f}" for name in order],
        }
    )
