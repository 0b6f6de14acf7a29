"""Source and target rows in one fit, beside what one would do otherwise.

    python -m benchmarks.joint ../shared/data [--draws 10] [--seeds 5] [--labels 1 5] [--tasks N] [--development]
                                              [--only cstr hit gas tep-rows tep-windows] [--methods NAME ...]

Balanced accuracy, mean over tasks and draws; inductive: no scored row is in a fit or a scaler, not even without its
label. gas: accuracy, and transductive as what is published: all rows without a label are scored, and a fit knows them
without their labels. Every machine is scaled by its own rows, on tep-rows by its healthy ones. All settings are
defaults, but for what stands in a row's name. Draw i of the labels goes with seed i modulo the number of seeds: the
seed of the pretraining where there is one, of the fit and of the forests. Without labels a method that needs some is
left out.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from benchmarks.adaptation_sets import tasks_of
from benchmarks.adaptation_tasks import Stacked, Task, draw, stacked
from benchmarks.names import markdown
from sktransfer import (
    DANN,
    MCC,
    MMD,
    Backbone,
    DeepCORAL,
    DomainAdaptationClassifier,
    Pooled,
    TransferClassifier,
)

LABELS = {
    "cstr": (0, 1, 5), "hit": (0, 1, 5), "gas": (0, 20, 50), "tep-rows": (1, 5, 20), "tep-windows": (0, 1, 5),
}  # fmt: skip
TRANSDUCTIVE = ("gas",)
BARS = {
    ("cstr", 1): 0.933, ("cstr", 5): 0.966, ("hit", 0): 0.918, ("hit", 1): 0.920, ("hit", 5): 0.962,
    ("gas", 0): 0.728, ("gas", 20): 0.933, ("gas", 50): 0.972,
    ("tep-rows", 1): 0.945, ("tep-rows", 5): 0.963, ("tep-rows", 20): 0.968,
    ("tep-windows", 0): 0.83, ("tep-windows", 1): 0.86, ("tep-windows", 5): 0.88,
}  # fmt: skip
FEW, NONE = "needs labels", "needs none"
SCORES = {"balanced accuracy": balanced_accuracy_score, "accuracy": accuracy_score}

Fit = Callable[[Callable[[int], Backbone], Stacked, int], Any]


def _on_target(make: Callable[[int], Any]) -> Fit:
    return lambda source, rows, seed: make(seed).fit(*rows.labelled)


def _stacked(make: Callable[[int], Any]) -> Fit:
    return lambda source, rows, seed: make(seed).fit(rows.X, rows.y, sample_domain=rows.sample_domain)


def _joint(**settings: Any) -> Fit:
    return _stacked(lambda seed: DomainAdaptationClassifier(random_state=seed, **settings))


def _from_network(source: Callable[[int], Backbone], rows: Stacked, seed: int) -> Any:
    return TransferClassifier(source(seed), random_state=seed).fit(*rows.labelled)


def _lr(seed: int) -> LogisticRegression:
    return LogisticRegression(max_iter=2000)


METHODS: dict[str, tuple[Fit, str]] = {
    "target only: logistic regression": (_on_target(_lr), FEW),
    "target only: random forest": (_on_target(lambda seed: RandomForestClassifier(300, random_state=seed)), FEW),
    "pooled: logistic regression": (_stacked(lambda seed: Pooled(_lr(seed))), NONE),
    "pooled: extra trees": (_stacked(lambda seed: Pooled(ExtraTreesClassifier(300, random_state=seed))), NONE),
    "TransferClassifier from a network of the source": (_from_network, FEW),
    "joint, alignment=None": (_joint(alignment=None), FEW),
    "joint (default)": (_joint(), NONE),
    "joint, DeepCORAL()": (_joint(alignment=DeepCORAL()), NONE),
    "joint, MMD()": (_joint(alignment=MMD()), NONE),
    "joint, MCC()": (_joint(alignment=MCC()), NONE),
    "joint, DANN()": (_joint(alignment=DANN()), NONE),
}


def run(name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A record for each task, number of labels, draw and method of one set."""
    for task in tasks_of(options.folder, name, options.tasks, development=options.development):

        @cache
        def source(seed: int, task: Task = task) -> Backbone:
            return TransferClassifier(random_state=seed).fit(*stacked(task, draw(task, 0, 0)).source).backbone_

        for n_labels in options.labels or LABELS.get(name, (1, 5)):
            for i in range(options.draws):
                part = draw(task, n_labels, i, transductive=name in TRANSDUCTIVE)
                rows, seed = stacked(task, part), i % options.seeds
                for method in options.methods:
                    fit, needs = METHODS[method]
                    if needs == FEW and n_labels == 0:
                        continue
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        predicted = fit(source, rows, seed).predict(rows.X_scored)
                    score = SCORES[task.metric](rows.y_scored, predicted)
                    record = {"set": name, "labels": n_labels, "task": task.name, "draw": i, "seed": seed}
                    yield record | {"method": method, "score": score}
        print(f"  {name}, {task.name}: done", flush=True)


def summary(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean over tasks and draws with the deviation of the seeds' means; the bar, and which methods reach it."""
    scores = pd.DataFrame(records)
    keys = ["set", "labels", "method"]
    found = scores.groupby(keys, sort=False).agg(mean=("score", "mean"))
    by_seed = scores.groupby([*keys, "seed"], sort=False)["score"].mean()
    found["spread of seeds"] = by_seed.groupby(keys, sort=False).std(ddof=0)
    bars = [BARS.get((name, labels)) for name, labels, _ in found.index]
    found["bar"] = bars
    found["reached"] = [
        "" if bar is None else "yes" if mean >= bar else "no" for mean, bar in zip(found["mean"], bars, strict=True)
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="+", default=None)
    parser.add_argument("--only", nargs="+", default=list(LABELS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="NAME")
    parser.add_argument("--tasks", type=int, default=None, help="so many tasks of each set")
    parser.add_argument("--records", type=Path, default=None, help="a CSV file of all records")
    parser.add_argument("--development", action="store_true", help="tasks for choices, in place of the scored ones")
    options = parser.parse_args()
    every: list[dict[str, Any]] = []
    for name in options.only:
        records = list(run(name, options))
        every += records
        if records:
            print(markdown(summary(records)), flush=True)
        if options.records is not None:
            pd.DataFrame(every).to_csv(options.records, index=False)


if __name__ == "__main__":
    main()
