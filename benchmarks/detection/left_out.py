"""Each fault of the mode that comes with the package as the one that nobody has seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from sktransfer import BaselineScaler, LinearProbing, OpenSetClassifier, TransferClassifier, load_tep_mode4


def left_out(n_labels: tuple[int, ...] = (5, 20)) -> Iterator[dict[str, Any]]:
    """Each fault of mode 4 as the one that nobody has seen."""
    plant = load_tep_mode4()
    y, runs = np.asarray(plant.target), np.asarray(plant.groups)
    X = BaselineScaler().fit(plant.data[y == "normal"].iloc[::2]).transform(plant.data)
    X, names, rng = np.asarray(X), np.unique(y), np.random.default_rng(0)
    pool = np.zeros(len(y), dtype=bool)
    for name in names:
        own = rng.permutation(np.unique(runs[y == name]))
        pool |= np.isin(runs, own[: len(own) // 2])
    for n in n_labels:
        found: dict[str, list[float]] = {criterion: [] for criterion in ("neighbors", "distance", "probability")}
        for fault in names[names != "normal"]:
            known = [np.flatnonzero(pool & (y == name)) for name in names if name != fault]
            rows = np.concatenate([rng.permutation(own)[:n] for own in known])
            classifier = TransferClassifier("tep-process", strategy=LinearProbing(), random_state=0)
            for criterion, values in found.items():
                model = OpenSetClassifier(classifier, criterion=criterion).fit(X[rows], y[rows])
                values.append(roc_auc_score(y[~pool] == fault, model.unlikeness(X[~pool])))
        for criterion, values in found.items():
            yield {"labels a class": n, "criterion": criterion, "AUROC": np.mean(values), "worst": np.min(values)}
