"""Weights travel, data stay: a network of the source meets rows of the target, most of them without a label.

    python -m benchmarks.source_free ../shared/data [--draws 10] [--seeds 5] [--only cstr hit tep-windows] [--labels 0]

A default `TransferClassifier` is fitted to the source's rows, once for each pretraining seed. What follows sees its
`backbone_` alone, but for the rows that are named "with source rows". Draw i of the target's rows goes with pretraining
seed i modulo the number of seeds. All settings are defaults, but for what stands in a row's name. Balanced accuracy;
inductive: no scored row is in a fit, not even without its label. "cstr, skewed" is 20 healthy rows and one of each
fault, and transductive: these rows are scored. On tep-windows the rows are features by tag of the shipped network
"process". "worst task" is the least gain over the source network among the tasks, "refused" the share of fits that the
guard refused.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from benchmarks.adaptation_sets import tasks_of
from benchmarks.adaptation_tasks import Stacked, Task, draw, draw_skewed, stacked
from benchmarks.names import markdown
from sktransfer import (
    SHOT,
    AdaBN,
    Backbone,
    DomainAdaptationClassifier,
    SourceClassifier,
    SourceFreeClassifier,
    TransferClassifier,
)

SETS = ("cstr", "cstr, skewed", "hit", "tep-windows")

Fit = Callable[[Backbone, Stacked, int], Any]


def _free(method: Any, guard: bool = True) -> Fit:
    def fit(backbone: Backbone, rows: Stacked, seed: int) -> Any:
        of = rows.sample_domain < 0
        model = SourceFreeClassifier(backbone, method, guard=guard, random_state=seed)
        return model.fit(rows.X[of], rows.y[of])

    return fit


def _source(backbone: Backbone, rows: Stacked, seed: int) -> Any:
    return SourceClassifier(backbone)


def _labels(backbone: Backbone, rows: Stacked, seed: int) -> Any:
    return TransferClassifier(backbone, random_state=seed).fit(*rows.labelled)


def _then_labels(method: Any) -> Fit:
    def fit(backbone: Backbone, rows: Stacked, seed: int) -> Any:
        return _labels(_free(method)(backbone, rows, seed).backbone_, rows, seed)

    return fit


def _then_shot(backbone: Backbone, rows: Stacked, seed: int) -> Any:
    return _free(SHOT())(_labels(backbone, rows, seed).backbone_, rows, seed)


def _joint(backbone: Backbone, rows: Stacked, seed: int) -> Any:
    model = DomainAdaptationClassifier(random_state=seed)
    return model.fit(rows.X, rows.y, sample_domain=rows.sample_domain)


# name -> fit, and whether it needs labels
METHODS: dict[str, tuple[Fit, bool]] = {
    "source network as it is": (_source, False),
    "SourceFreeClassifier(): AdaBN()": (_free(None), False),
    "SHOT()": (_free(SHOT()), False),
    "SHOT(), guard=False": (_free(SHOT(), guard=False), False),
    "SHOT(prior='estimate')": (_free(SHOT(prior="estimate")), False),
    "labels: default TransferClassifier": (_labels, True),
    "labels, then SHOT()": (_then_shot, True),
    "SHOT(), then labels": (_then_labels(SHOT()), True),
    "AdaBN(), then labels": (_then_labels(AdaBN()), True),
    "with source rows: joint": (_joint, False),
}


def tasks(folder: Path, name: str, development: bool) -> Iterator[Task]:
    """Tasks of a row of `SETS`."""
    base = name.partition(",")[0]
    yield from tasks_of(folder, base, development=development)


def run(folder: Path, name: str, methods: list[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Scores of one set: a record for each task, number of labels, draw and method."""
    skewed = name.endswith("skewed")
    for task in islice(tasks(folder, name, options.development), options.tasks):

        @cache
        def source(seed: int, task: Task = task) -> Backbone:
            rows = stacked(task, draw(task, 0, 0))
            return TransferClassifier(random_state=seed).fit(*rows.source).backbone_

        for n_labels in [0] if skewed else options.labels:
            for i in range(options.draws):
                part = draw_skewed(task, i) if skewed else draw(task, n_labels, i)
                seed = i % options.seeds
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    rows = stacked(task, part)
                for method in methods:
                    fit, needs_labels = METHODS[method]
                    if needs_labels and n_labels == 0:
                        continue
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        model = fit(source(seed), rows, i)
                        score = balanced_accuracy_score(rows.y_scored, model.predict(rows.X_scored))
                    adapted = getattr(model, "adapted_", True)
                    record = {"set": name, "task": task.name, "labels": n_labels, "draw": i, "seed": seed}
                    yield record | {"method": method, "score": score, "refused": not adapted}
        print(f"  {name}, {task.name}: done", flush=True)


def summary(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean over tasks, draws and seeds; deviation of the means of the seeds; worst task against the source network."""
    scores = pd.DataFrame(records)
    keys = ["set", "labels", "method"]
    found = scores.groupby(keys, sort=False).agg(mean=("score", "mean"), refused=("refused", "mean"))
    by_seed = scores.groupby([*keys, "seed"], sort=False)["score"].mean()
    found.insert(1, "spread of seeds", by_seed.groupby(keys, sort=False).std(ddof=0))
    by_task = scores.pivot_table(index=["set", "labels", "task"], columns="method", values="score")
    if "source network as it is" in by_task:
        gains = by_task.sub(by_task["source network as it is"], axis=0).groupby(["set", "labels"]).min().stack()
        found.insert(2, "worst task", gains.rename_axis(keys).reindex(found.index))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="+", default=[0, 1, 5])
    parser.add_argument("--only", nargs="+", default=list(SETS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--tasks", type=int, default=None, help="so many tasks of each set")
    parser.add_argument("--development", action="store_true", help="tasks for choices, in place of the scored ones")
    options = parser.parse_args()
    records: list[dict[str, Any]] = []
    for name in options.only:
        begun = len(records)
        records += run(options.folder, name, options.methods, options)
        if len(records) > begun:
            print(markdown(summary(records[begun:])), flush=True)
    if records:
        print(f"\nall sets\n\n{markdown(summary(records))}")


if __name__ == "__main__":
    main()
