"""The first labels: rows that `suggest_labels` asks for, beside rows that are drawn at random.

    python -m benchmarks.active_start ../shared/data [--only tep-runs cstr hit tep-rows] [--draws 5] [--development]

A machine has some healthy rows, which the scaler and the detector are fitted to (60, or a third of those there are),
and a pool of rows without labels. A budget is a number of rows for which somebody finds the label: 1, 2, 5 or 20
times the number of classes. A probed network of the source is fitted to these and to the healthy rows, and scored by
balanced accuracy on rows of other runs (halves of a run where there is one a class). All methods get the same healthy
rows.

pools      "95 % healthy": faults are one row in twenty, equally many of each; "equal": at most 150 rows of each class
methods    random; random among the alarms of the detector (5 % false alarms); suggest_labels with the detector; and in
           rounds: the first by the detector, each further one by the classifier of the rounds before.
           Where the alarms are used up, further rows are random; the detector is fitted to columns.
groups     stretches of ten rows of a pool in time order, or runs where there are runs

Nothing is chosen on these tasks; `--development` has others.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from benchmarks.adaptation_sets import tasks_of
from benchmarks.adaptation_tasks import Task, _sides, numbered
from benchmarks.names import markdown
from sktransfer import (
    Backbone,
    BaselineScaler,
    LinearProbing,
    TransferClassifier,
    TransferDetector,
    load_backbone,
    suggest_labels,
)

BUDGETS = (1, 2, 5, 20)  # rows for each class, drawn or asked for from all together
HEALTHY = 60  # rows that are known to be healthy
STRETCH = 10  # rows in a row, a group where there are no runs
SETS = {"tep-runs": 1, "cstr": 1, "hit": 1, "tep-rows": 1}  # tasks of each
DEVELOPMENT = {"tep-rows": 2, "fan": 1, "cstr": 1}


class Plant:
    """One machine at one draw: healthy rows, the pool, and what is scored.

    Parameters
    ----------
    task : Task
    backbone : Backbone
    seed : int
    rare : bool
        Whether faults are one row in twenty of the pool.
    """

    def __init__(self, task: Task, backbone: Backbone, seed: int, rare: bool):
        rng, y = np.random.default_rng(seed), task.y_target
        may, scored = _sides(task, seed)
        healthy = np.flatnonzero(may & (y == task.normal_label))
        known = np.sort(rng.choice(healthy, min(HEALTHY, len(healthy) // 3), replace=False))
        rest = np.setdiff1d(np.flatnonzero(may), known)
        pool = _rare(y, rest, task.normal_label, rng) if rare else _equal(y, rest, rng)
        every = slice(None, None, max(int(scored.sum()) // 1500, 1))
        rows = known, pool, np.flatnonzero(scored)[every]
        scaler = BaselineScaler(clip=task.clip).fit(task.X_target[known])
        self.X_healthy, self.X, self.X_scored = (scaler.transform(task.X_target[part]) for part in rows)
        self.y_healthy, self.y, self.y_scored = (y[part] for part in rows)
        groups = np.arange(len(y)) // STRETCH if task.groups_target is None else task.groups_target
        self.groups, self.n_classes, self.backbone, self.seed = groups[pool], len(np.unique(y)), backbone, seed
        self.detector = TransferDetector(false_alarm_rate=0.05).fit(self.X_healthy)

    def classifier(self, rows: np.ndarray) -> TransferClassifier | None:
        """Fitted to the labels of some rows of the pool and the healthy ones; None: they show no fault."""
        y = np.r_[self.y_healthy, self.y[rows]]
        if len(np.unique(y)) < 2:
            return None
        model = TransferClassifier(self.backbone, strategy=LinearProbing(), random_state=0)
        return model.fit(np.concatenate([self.X_healthy, self.X[rows]]), y)

    def score(self, rows: np.ndarray) -> float:
        """Balanced accuracy; one class for all rows where no fault is known."""
        model = self.classifier(rows)
        if model is None:
            return 1 / self.n_classes
        return balanced_accuracy_score(self.y_scored, model.predict(self.X_scored))


def _rare(y: np.ndarray, rows: np.ndarray, normal: int | None, rng: np.random.Generator) -> np.ndarray:
    healthy, faults = rows[y[rows] == normal], rows[y[rows] != normal]
    kinds = np.unique(y[faults])
    each = max(round(len(healthy) / 19 / len(kinds)), 1)
    chosen = [rng.permutation(faults[y[faults] == kind])[:each] for kind in kinds]
    return np.sort(np.concatenate([healthy, *chosen]))


def _equal(y: np.ndarray, rows: np.ndarray, rng: np.random.Generator, n: int = 150) -> np.ndarray:
    return np.sort(np.concatenate([rng.permutation(rows[y[rows] == kind])[:n] for kind in np.unique(y[rows])]))


def _filled(plant: Plant, rows: np.ndarray, n: int) -> np.ndarray:
    """The first `n` rows, and random ones where there are fewer."""
    rest = np.random.default_rng(plant.seed).permutation(np.setdiff1d(np.arange(len(plant.y)), rows))
    return np.r_[rows, rest][:n].astype(np.int64)


def random_rows(plant: Plant, budgets: list[int]) -> Iterator[np.ndarray]:
    """Whatever comes."""
    order = _filled(plant, np.empty(0), len(plant.y))
    yield from (order[:n] for n in budgets)


def random_alarms(plant: Plant, budgets: list[int]) -> Iterator[np.ndarray]:
    """Alarms in any order."""
    alarms = np.flatnonzero(plant.detector.predict(plant.X) < 0)
    order = np.random.default_rng(plant.seed).permutation(alarms)
    yield from (_filled(plant, order, n) for n in budgets)


def by_detector(plant: Plant, budgets: list[int]) -> Iterator[np.ndarray]:
    """Alarms as `suggest_labels` wants them."""
    for n in budgets:
        yield _filled(plant, _alarms(plant, n), n)


def in_rounds(plant: Plant, budgets: list[int]) -> Iterator[np.ndarray]:
    """The first round by the detector, the others by the classifier."""
    rows = _filled(plant, _alarms(plant, budgets[0]), budgets[0])
    yield rows
    for n in budgets[1:]:
        model, left = plant.classifier(rows), min(n, len(plant.y)) - len(rows)
        if model is not None and left > 0:
            more = suggest_labels(model, plant.X, left, groups=plant.groups, labelled=rows, random_state=plant.seed)
            rows = np.r_[rows, more]
        rows = _filled(plant, rows, n)
        yield rows


def _alarms(plant: Plant, n: int) -> np.ndarray:
    if (plant.detector.predict(plant.X) > 0).all():
        return np.empty(0)
    return suggest_labels(plant.detector, plant.X, n, groups=plant.groups, random_state=plant.seed)


METHODS: dict[str, Callable[[Plant, list[int]], Iterator[np.ndarray]]] = {
    "random": random_rows,
    "random among alarms": random_alarms,
    "suggest_labels, detector": by_detector,
    "suggest_labels, in rounds": in_rounds,
}


def tep_runs() -> Iterator[Task]:
    """The mode that comes with the source tree, 112 runs: each draw halves the runs."""
    from datasets.tep import load_tep

    X, y, runs, _ = load_tep(4)
    classes, (codes,) = numbered(np.asarray(y))
    none, empty = np.empty((0, X.shape[1])), np.empty(0, dtype=np.int64)
    task = Task("tep-runs", "mode 4", none, empty, empty, X.to_numpy(), codes, groups_target=np.asarray(runs))
    yield replace(task, normal_label=classes.index("normal"), classes=classes)


def source_network(task: Task, seed: int = 0) -> Backbone:
    """Of the source rows, every third; each machine is scaled by its healthy rows. The shipped one of `tep_runs`."""
    if task.set == "tep-runs":
        return load_backbone("tep-process")
    healthy = task.y_source == task.normal_label if task.healthy_source is None else task.healthy_source
    scaler = BaselineScaler(clip=task.clip).fit(task.X_source[healthy], sample_domain=task.domain_source[healthy])
    X = scaler.transform(task.X_source, sample_domain=task.domain_source)
    every = slice(None, None, 3 if len(X) > 10_000 else 1)
    return TransferClassifier(random_state=seed).fit(X[every], task.y_source[every]).backbone_


def run(task: Task, draws: int) -> Iterator[dict[str, object]]:
    """A record for each pool, draw, method and budget."""
    backbone = source_network(task)
    for rare in (True, False):
        for draw in range(draws):
            plant = Plant(task, backbone, draw, rare)
            budgets = [n * plant.n_classes for n in BUDGETS]
            for name, method in METHODS.items():
                for n, rows in zip(BUDGETS, method(plant, budgets), strict=True):
                    yield {
                        **{
                            "set": task.set,
                            "task": task.name,
                            "pool": "95 % healthy" if rare else "equal",
                            "draw": draw,
                        },
                        **{"method": name, "budget": n, "score": plant.score(rows)},
                        "classes": len(np.unique(np.r_[plant.y_healthy, plant.y[rows]])) / plant.n_classes,
                    }


def table(records: pd.DataFrame, what: str) -> str:
    """Mean and standard deviation over draws, of which each is the mean of the tasks."""
    per_draw = records.groupby(["pool", "method", "budget", "draw"], sort=False)[what].mean()
    found = per_draw.groupby(["pool", "method", "budget"], sort=False).agg(["mean", "std"])
    cells = found.apply(lambda row: f"{row['mean']:.3f} ± {row['std']:.3f}", axis=1).unstack("budget")
    return markdown(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--development", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, n_tasks in (DEVELOPMENT if options.development else SETS).items():
        if options.only and name not in options.only:
            continue
        tasks = (
            tep_runs()
            if name == "tep-runs"
            else tasks_of(options.folder, name, n_tasks, development=options.development)
        )
        records = pd.DataFrame(record for task in tasks for record in run(task, options.draws))
        if len(records):
            print(f"\n{name}: balanced accuracy\n\n{table(records, 'score')}", flush=True)
            print(
                f"\n{name}: share of the classes of which there is a label\n\n{table(records, 'classes')}", flush=True
            )


if __name__ == "__main__":
    main()
