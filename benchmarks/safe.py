"""The safe estimators beside each of their alternatives, with right and with wrong sources.

    python -m benchmarks.safe ../shared/data [--draws 10] [--seeds 5] [--only cstr hit] [--labels 1 5] [--tasks N]
                                             [--sources right permuted "another process"] [--development]

Inductive: no scored row is in a fit or a scaler. All settings are defaults. A cell is a task, a source and a number of
labels. The safe estimator is worse in a cell if the best of the alternatives, by the mean over its draws, is better by
more than one standard error of the paired difference. It falls back in a draw if nothing chosen knows the source. The
source's rows are given to the joint and pooled candidates, and its network, pretrained with one of `--seeds` seeds, to
the others.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, balanced_accuracy_score, mean_absolute_error, root_mean_squared_error

from benchmarks.adaptation_sets import DEVELOPMENT, FOLDERS, SCORED
from benchmarks.adaptation_tasks import Stacked, Task, draw, stacked, with_permuted_source
from benchmarks.names import markdown
from sktransfer import (
    Backbone,
    SafeTransferClassifier,
    SafeTransferRegressor,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.evaluation.candidates import Candidate, default_candidates

SAFE, SOURCES = "safe", ("right", "permuted", "another process")
SCORES = {
    "balanced accuracy": balanced_accuracy_score,
    "accuracy": accuracy_score,
    "MAE": lambda y, found: -mean_absolute_error(y, found),
    "RMSE": lambda y, found: -root_mean_squared_error(y, found),
}


def with_another_process(task: Task, seed: int) -> Task:
    """The task with a source of another process: each row a random walk, each label a rule on it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=task.X_source.shape).cumsum(axis=-1)
    rule = X.reshape(len(X), -1) @ rng.normal(size=X[0].size)
    order = np.argsort(np.argsort(rule))
    return replace(task, name=f"{task.name}, another process", X_source=X, y_source=np.sort(task.y_source)[order])


def sourced(task: Task, source: str, seed: int) -> Task:
    """The task with one of `SOURCES`."""
    change = {"permuted": with_permuted_source, "another process": with_another_process}.get(source)
    return task if change is None else change(task, seed)


def run(name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A record for each task, source, number of labels, draw and method of one set."""
    missing = [part for part in FOLDERS[name] if not (options.folder / part).is_dir()]
    if missing:
        print(f"{name}: no {missing} in {options.folder}", flush=True)
        return
    loader = (DEVELOPMENT if options.development else SCORED)[name]
    for right in islice(loader(options.folder), options.tasks):
        for source in options.sources:
            task = sourced(right, source, 0)
            yield from _of_task(name, task, source, options)
            print(f"  {name}, {task.name}: done", flush=True)


def _of_task(name: str, task: Task, source: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    network = TransferClassifier if task.kind == "classification" else TransferRegressor

    @cache
    def backbone(seed: int) -> Backbone:
        return network(random_state=seed).fit(*stacked(task, draw(task, 0, 0)).source).backbone_

    for n_labels in options.labels or [n for n in task.n_labels if n > 0]:
        for i in range(options.draws):
            rows, seed = stacked(task, draw(task, n_labels, i)), i % options.seeds
            cell = {"set": name, "task": task.name, "source": source, "labels": n_labels, "draw": i}
            for found in _of_draw(task, rows, backbone(seed), seed):
                yield cell | found


def _of_draw(task: Task, rows: Stacked, backbone: Backbone, seed: int) -> Iterator[dict[str, Any]]:
    """Score of each candidate by itself and of the safe estimator."""
    score = SCORES[task.metric]
    y = rows.labelled[1]
    classes = np.unique(y) if task.kind == "classification" else None
    safe = SafeTransferClassifier if task.kind == "classification" else SafeTransferRegressor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for candidate in default_candidates(backbone, classes, rows.X.ndim, True, seed):
            found = _fitted(candidate, rows).predict(rows.X_scored)
            yield {"method": candidate.name, "uses": candidate.uses, "score": score(rows.y_scored, found)}
        model = safe(backbone, unlabelled_label=task.unlabelled_label, random_state=seed)
        model.fit(rows.X, rows.y, sample_domain=rows.sample_domain, groups=rows.groups)
        uses = {c.name: c.uses for c in default_candidates(backbone, classes, rows.X.ndim, True, seed)}
        back = all(uses[chosen] == "labels" for chosen in model.chosen_)
        yield {"method": SAFE, "uses": "all", "score": score(rows.y_scored, model.predict(rows.X_scored)), "back": back}


def _fitted(candidate: Candidate, rows: Stacked) -> Any:
    """Pooled and joint candidates take rows that have a label; the others those of the target."""
    if candidate.uses != "rows":
        return candidate.estimator.fit(*rows.labelled)
    known = rows.known
    return candidate.estimator.fit(rows.X[known], rows.y[known], sample_domain=rows.sample_domain[known])


def cells(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a cell: the safe estimator, the best plain alternative, their difference and whether it is worse."""
    found = []
    keys = ["set", "task", "source", "labels"]
    for key, part in pd.DataFrame(records).groupby(keys, sort=False):
        table = part.pivot_table(index="draw", columns="method", values="score")
        plain = [m for m in table if m.startswith("pooled") or m in set(part.loc[part["uses"] == "labels", "method"])]
        best = table[plain].mean().idxmax()
        behind = table[best] - table[SAFE]
        error = behind.std(ddof=1) / np.sqrt(len(behind)) if len(behind) > 1 else np.nan
        row = dict(zip(keys, key, strict=True)) | {"safe": table[SAFE].mean(), "best alternative": best}
        row |= {"its score": table[best].mean(), "behind": behind.mean(), "standard error": error}
        row |= {"worse": bool(behind.mean() > error), "rank": table.mean().rank(ascending=False)[SAFE]}
        found.append(row | {"falls back": part["back"].dropna().astype(float).mean()})
    return pd.DataFrame(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="+", default=None)
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--tasks", type=int, default=None, help="so many tasks of each set")
    parser.add_argument("--sources", nargs="+", default=list(SOURCES), choices=SOURCES)
    parser.add_argument("--development", action="store_true", help="tasks for choices, in place of the scored ones")
    options = parser.parse_args()
    loaders = DEVELOPMENT if options.development else SCORED
    for name in options.only or list(loaders):
        records = list(run(name, options))
        if records:
            table = cells(records)
            print(markdown(table.set_index("set")), flush=True)
            print(f"{name}: worse in {table['worse'].mean():.1%} of {len(table)} cells", flush=True)


if __name__ == "__main__":
    main()
