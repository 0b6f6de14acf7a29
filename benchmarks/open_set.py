"""A fault that nobody has seen: is it told from those that are known, and do these keep their class as often as asked?

    python -m benchmarks.open_set ../shared/data [--seeds 0 1 2 3 4] [--labels 15] [--memory FOLDER] [--every]
    python -m benchmarks.open_set ../shared/data --development

Tennessee Eastman, four modes, nine classes: each fault in turn has no label. `OpenSetClassifier` around a probed
network of the source modes; some labels of each other class, drawn from the first halves of the runs.

AUROC      rows of the fault against those of the known classes, in the second halves of the runs (every sixth row)
coverage   share of rows of known classes that get a class, mean over classes: of those of the first halves that were
           not drawn, which are exchangeable with the labelled ones ("like"), and of the second halves ("later")
found      share of the fault's rows that are called unknown, second halves, at a coverage of 0.95

"source knows it": the source modes have labels of the fault, so that the network has learned it; one network a seed of
the pretraining, which draws the labels, too, and of the eight faults the seed leaves out two (seeds 0 to 3: each fault
once; 4: those of 0 again). "nobody knows it": the source of one task is pretrained without it; one network a fault.
Every sixth row of the source; rows are three minutes apart.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from joblib import Memory
from sklearn.metrics import roc_auc_score

from benchmarks.comparison import draw_labels
from benchmarks.defaults import TASKS as DEVELOPMENT
from benchmarks.names import markdown
from benchmarks.tasks import RealTask, pretrain, tep_tasks
from sktransfer import (
    Backbone,
    BaselineScaler,
    LinearProbing,
    OpenSetClassifier,
    TransferClassifier,
    load_backbone,
    load_tep_mode4,
)

CRITERIA = ("neighbors", "distance", "probability", "energy", "energy+distance")  # the default first
COVERAGES = (0.9, 0.95, 0.99)
EVERY = 6  # rows of the source, and of those that are scored
DEAL = 4  # seeds that the faults are dealt to
N_LIKE = 1000  # rows that are exchangeable with the labelled ones


def source_network(task: RealTask, seed: int, without: int | None = None) -> Backbone:
    """A network of some rows of the source; `without`: a fault that it does not get to see."""
    X, y = task.X[::EVERY], task.y[::EVERY]
    keep = np.ones(len(y), dtype=bool) if without is None else y != without
    return pretrain(X[keep], y[keep], seed, None)


class Once(TransferClassifier):
    """Fits the same rows once: criteria and coverages ask for the same fits."""

    fits: ClassVar[dict[bytes, dict[str, Any]]] = {}

    def fit(self, X, y, sample_weight=None):
        """As `TransferClassifier`, or what it was the last time."""
        key = X.tobytes() + repr(list(y)).encode()
        if key not in self.fits:
            self.fits[key] = super().fit(X, y).__dict__
        self.__dict__.update(self.fits[key])
        return self


def judged(
    backbone: Backbone | str,
    pool: tuple[np.ndarray, np.ndarray],
    later: tuple[np.ndarray, np.ndarray],
    fault: Any,
    n: int,
    seed: int,
    criteria: Sequence[str] = CRITERIA,
) -> Iterator[dict[str, Any]]:
    """A record for each criterion: AUROC, coverages, and the share of the fault's rows that is found."""
    (X, y), (X_later, y_later) = pool, later
    known, is_new = np.flatnonzero(y != fault), y_later == fault
    rows = known[draw_labels(y[known], n, seed)]
    like = np.random.default_rng(seed).permutation(np.setdiff1d(known, rows))[:N_LIKE]
    Once.fits.clear()
    for criterion in criteria:
        record: dict[str, Any] = {"labels": n, "criterion": criterion, "fault": fault, "seed": seed}
        for coverage in COVERAGES if criterion == CRITERIA[0] else COVERAGES[1:2]:
            classifier = Once(backbone, strategy=LinearProbing(), random_state=0)
            model = OpenSetClassifier(classifier, coverage=coverage, criterion=criterion).fit(X[rows], y[rows])
            kept = model.predict(X_later) != model.unknown_label_
            record[f"like {coverage:g}"] = of_classes(model.predict(X[like]) != model.unknown_label_, y[like])
            record[f"later {coverage:g}"] = of_classes(kept[~is_new], y_later[~is_new])
            record[f"found {coverage:g}"] = float(1 - kept[is_new].mean())
        yield record | {"AUROC": roc_auc_score(is_new, model.unlikeness(X_later))}


def of_classes(kept: np.ndarray, y: np.ndarray) -> float:
    """Share that is kept, mean over classes."""
    return float(np.mean([kept[y == label].mean() for label in np.unique(y)]))


def known_to_source(tasks: list[RealTask], options: argparse.Namespace, network: Any) -> Iterator[dict[str, Any]]:
    """Each task, seed of the pretraining and fault."""
    for task, seed in product(tasks, options.seeds):
        backbone, (pool, later) = network(task, seed), rows_of(task)
        faults = np.unique(task.y)[1:]
        for fault, n in product(faults if options.every else faults[seed % DEAL :: DEAL], options.labels):
            for record in judged(backbone, pool, later, fault, n, seed, options.criteria):
                yield {"who": "source knows it", "task": task.name, **record}
        print(f"{task.name}, seed {seed}", file=sys.stderr, flush=True)


def known_to_nobody(tasks: list[RealTask], options: argparse.Namespace, network: Any) -> Iterator[dict[str, Any]]:
    """Each task and fault with a network of its own, and draws of the labels."""
    for task in tasks:
        pool, later = rows_of(task)
        for fault in np.unique(task.y)[1:]:
            backbone = network(task, 0, int(fault))
            for seed, n in product(options.seeds if options.every else options.seeds[:1], options.labels):
                for record in judged(backbone, pool, later, fault, n, seed, options.criteria):
                    yield {"who": "nobody knows it", "task": task.name, **record}
            print(f"{task.name}, without {fault}", file=sys.stderr, flush=True)


def rows_of(task: RealTask) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Scaled rows and labels of the first halves of the runs, and some of the second halves."""
    target = task.target
    X, X_later = target.scaler.transform(target.X_pool), target.scaler.transform(target.X_test[::EVERY])
    return (X, target.y_pool), (X_later, target.y_test[::EVERY])


def shipped_mode(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each fault of the mode that comes with the package, around `tep-process`, which knows it; halves of the runs."""
    plant = load_tep_mode4()
    y, runs, rng = np.asarray(plant.target), np.asarray(plant.groups), np.random.default_rng(0)
    X = np.asarray(BaselineScaler().fit(plant.data[y == "normal"].iloc[::2]).transform(plant.data))
    pool = np.zeros(len(y), dtype=bool)
    for name in np.unique(y):
        own = rng.permutation(np.unique(runs[y == name]))
        pool |= np.isin(runs, own[: len(own) // 2])
    for fault, n in product(np.unique(y[y != "normal"]), options.labels):
        for record in judged(
            load_backbone("tep-process"), (X[pool], y[pool]), (X[~pool], y[~pool]), fault, n, 0, options.criteria
        ):
            yield {"who": "mode of the package", "task": "mode 4", **record}


def tables(records: pd.DataFrame) -> Iterator[str]:
    """AUROC, then coverages: mean and standard deviation over seeds, of which each is the mean of tasks and faults."""
    means = records.groupby(["who", "labels", "criterion", "seed"], sort=False).mean(numeric_only=True)
    by = ["who", "labels", "criterion"]
    per_fault = records.groupby([*by, "task", "fault"], sort=False)["AUROC"].mean()
    auroc = means.groupby(by, sort=False)["AUROC"].agg(["mean", "std"])
    auroc["worst fault"] = per_fault.groupby(by, sort=False).min()
    auroc["found 0.95"] = means.groupby(by, sort=False)["found 0.95"].mean()
    yield markdown(auroc.reset_index().set_index("who"))
    shares = [f"{what} {coverage:g}" for what in ("like", "later") for coverage in COVERAGES]
    found = means.groupby(by, sort=False)[shares].agg(["mean", "std"])
    cells = {name: found[name].apply(lambda row: f"{row['mean']:.3f} ± {row['std']:.3f}", axis=1) for name in shares}
    # the other criteria are asked for one coverage
    yield markdown(pd.DataFrame(cells).replace("nan ± nan", "-").reset_index().set_index("who"))


def _one(task: tuple) -> tuple:
    return task[0], (task[1],)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--labels", type=int, nargs="+", default=[15])
    parser.add_argument("--memory", type=Path, help="keeps pretrained networks for the next run")
    parser.add_argument("--who", nargs="+", choices=["source", "nobody"], default=["source", "nobody"])
    parser.add_argument("--criteria", nargs="+", default=CRITERIA, choices=CRITERIA)
    parser.add_argument("--every", action="store_true", help="every fault by every seed: four times as long, and more")
    parser.add_argument("--development", action="store_true", help="other faults, for choices")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    network = Memory(options.memory, verbose=0).cache(source_network)
    parts: list[dict[str, Any]] = []
    if options.development:
        options.seeds, options.every = options.seeds[:1], True
        parts += shipped_mode(options)
        tasks = [task for number in (0, 3) for task in tep_tasks(options.folder, *_one(DEVELOPMENT[number]))]
    else:
        tasks = list(tep_tasks(options.folder))
    if "source" in options.who:
        parts += known_to_source(tasks, options, network)
    if "nobody" in options.who:
        parts += known_to_nobody(tasks if options.development else tasks[:1], options, network)
    for text in tables(pd.DataFrame(parts)):
        print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
