"""A fault that nobody has seen: is it told from those that are known, and do these keep their class as often as asked?

    python -m benchmarks.open_set ../shared/data [--seeds 0 1 2 3 4] [--labels 5 20] [--memory FOLDER]
    python -m benchmarks.open_set ../shared/data --development

Tennessee Eastman, four modes, nine classes: each fault in turn has no label. `OpenSetClassifier` around a probed network
of the source modes; 5 or 20 labels of each other class, drawn from the first halves of the runs.

AUROC      rows of the fault against those of the known classes, in the second halves of the runs
coverage   share of rows of known classes that get a class, mean over classes: of the rows of the first halves that were
           not drawn ("like the labelled ones": exchangeable with them), and of the second halves ("later")
found      share of the fault's rows that are called unknown, second halves, at a coverage of 0.95

"known to the source": the source modes have labels of the fault, so that the network has learned it; one network a seed
of the pretraining, which draws the labels, too. "to nobody": the source is pretrained without it; one network a fault
(of two tasks), seeds draw the labels. Every third row of the source, rows being three minutes apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.comparison import draw_labels
from benchmarks.tasks import RealTask, pretrain
from sktransfer import (
    Backbone,
    LinearProbing,
    OpenSetClassifier,
    TransferClassifier,
)

CRITERIA = ("neighbors", "distance", "probability", "energy")
COVERAGES = (0.9, 0.95, 0.99)
EVERY = 3  # rows of the source
TO_NOBODY = (0, 3)  # tasks whose source is pretrained without the fault, too


def source_network(task: RealTask, seed: int, without: int | None = None) -> Backbone:
    """A network of every third row of the source; `without`: a fault that it does not get to see."""
    X, y = task.X[::EVERY], task.y[::EVERY]
    keep = np.ones(len(y), dtype=bool) if without is None else y != without
    return pretrain(X[keep], y[keep], seed, None)


def judged(
    backbone: Backbone, pool: tuple[np.ndarray, np.ndarray], later: tuple[np.ndarray, np.ndarray], fault: Any, n: int,
    seed: int, criteria: tuple[str, ...] = CRITERIA,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """A record for each criterion: AUROC, and coverage and found share at each coverage that is asked for."""
    (X, y), (X_later, y_later) = pool, later
    known = np.flatnonzero(y != fault)
    rows = known[draw_labels(y[known], n, seed)]
    like = np.setdiff1d(known, rows)
    for criterion in criteria:
        classifier = TransferClassifier(backbone, strategy=LinearProbing(), random_state=0)
        record: dict[str, Any] = {"labels a class": n, "criterion": criterion}
        for coverage in COVERAGES:
            model = OpenSetClassifier(classifier, coverage=coverage, criterion=criterion).fit(X[rows], y[rows])
            is_new = y_later == fault
            called = model.predict(X_later) == model.unknown_label_
            record |= {
                f"like {coverage:g}": _coverage(model, X[like], y[like]),
                f"later {coverage:g}": _mean_of_classes(~called[~is_new], y_later[~is_new]),
                f"found {coverage:g}": called[is_new].mean(),
            }
        yield record | {"AUROC": roc_auc_score(is_new, model.unlikeness(X_later))}


def _coverage(model: OpenSetClassifier, X: np.ndarray, y: np.ndarray) -> float:
    return _mean_of_classes(model.predict(X) != model.unknown_label_, y)


def _mean_of_classes(kept: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean([kept[y == label].mean() for label in np.unique(y)]))
