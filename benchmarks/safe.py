"""The safe estimators beside each of their alternatives, with right and with wrong sources.

    python -m benchmarks.safe ../shared/data [--draws 10] [--seeds 5] [--only cstr hit] [--labels 1 5] [--tasks N]
                                             [--sources right permuted "another process"] [--development]

Inductive: no scored row is in a fit or a scaler. All settings are defaults. A cell is a task, a source and a number of
labels. The source's rows are given to the joint and pooled candidates, and its network, pretrained with one of
`--seeds` seeds, to the others.

worse          the best of scratch, linear model, forest, boosting and pooled, by its mean over the draws, is better by
               more than one standard error of the paired difference
rank           of the safe estimator's mean among those of all candidates, 1 is the best; the last table has all
over the best  how far the error of a regression lies above that of the best candidate, %
falls back     share of the draws in which nothing chosen knows the source
harmed         share of the draws in which it is worse than the best alternative without the source by more than one
               point, or 1 % of an error
PHM08          the score of that challenge on the last row of each scored engine: safe / best alternative
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, balanced_accuracy_score, mean_absolute_error, root_mean_squared_error

from benchmarks.adaptation_sets import DEVELOPMENT, SCORED, tasks_of
from benchmarks.adaptation_tasks import Stacked, Task, draw, phm08, stacked, with_permuted_source
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
    for right in tasks_of(options.folder, name, options.tasks, development=options.development):
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
            part, seed = draw(task, n_labels, i), i % options.seeds
            cell = {"set": name, "task": task.name, "source": source, "labels": n_labels, "draw": i}
            last = None if task.last is None else task.last[part.scored]
            for found in _of_draw(task, stacked(task, part), last, backbone(seed), seed):
                yield cell | found


def _of_draw(
    task: Task, rows: Stacked, last: np.ndarray | None, backbone: Backbone, seed: int
) -> Iterator[dict[str, Any]]:
    """Score of each candidate by itself and of the safe estimator."""
    y = rows.labelled[1]
    classes = np.unique(y) if task.kind == "classification" else None
    safe = SafeTransferClassifier if task.kind == "classification" else SafeTransferRegressor
    candidates = default_candidates(backbone, classes, rows.X.ndim, True, seed)
    uses = {candidate.name: candidate.uses for candidate in candidates}

    def scored(name: str, predicted: np.ndarray) -> dict[str, Any]:
        found = {"method": name, "uses": uses.get(name, "all"), "score": SCORES[task.metric](rows.y_scored, predicted)}
        return found if last is None else found | {"PHM08": phm08(rows.y_scored[last], predicted[last])}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for candidate in candidates:
            yield scored(candidate.name, _fitted(candidate, rows).predict(rows.X_scored))
        model = safe(backbone, unlabelled_label=task.unlabelled_label, random_state=seed)
        model.fit(rows.X, rows.y, sample_domain=rows.sample_domain, groups=rows.groups)
        back = all(uses[chosen] == "labels" for chosen in model.chosen_)
        yield scored(SAFE, model.predict(rows.X_scored)) | {"back": back}


def _fitted(candidate: Candidate, rows: Stacked) -> Any:
    """Pooled and joint candidates take rows that have a label; the others those of the target."""
    if candidate.uses != "rows":
        return candidate.estimator.fit(*rows.labelled)
    known = rows.known
    return candidate.estimator.fit(rows.X[known], rows.y[known], sample_domain=rows.sample_domain[known])


def cells(records: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a cell: the safe estimator, the best alternative, their difference, and what the head of this file says.

    Scores are better where they are larger; errors are negative.
    """
    found = []
    keys = ["set", "task", "source", "labels"]
    for key, part in pd.DataFrame(records).groupby(keys, sort=False):
        table = part.pivot_table(index="draw", columns="method", values="score")
        own = sorted(set(part.loc[part["uses"] == "labels", "method"]))
        plain = [*own, *(method for method in table if method.startswith("pooled"))]
        best = table[plain].mean().idxmax()
        behind = table[best] - table[SAFE]
        error = behind.std(ddof=1) / np.sqrt(len(behind)) if len(behind) > 1 else np.nan
        row = dict(zip(keys, key, strict=True)) | {"safe": table[SAFE].mean(), "best alternative": best}
        row |= {"its score": table[best].mean(), "behind": behind.mean(), "standard error": error}
        row |= {"worse": bool(behind.mean() > error), "rank": table.mean().rank(ascending=False)[SAFE]}
        highest = table.drop(columns=SAFE).mean().max()
        row["over the best"] = 100 * (table[SAFE].mean() / highest - 1) if highest < 0 else np.nan
        row["falls back"] = part["back"].dropna().astype(float).mean()
        without = table[own].mean().idxmax()
        lost = table[without] - table[SAFE]
        row["harmed"] = (lost > (0.01 * table[without].abs() if highest < 0 else 0.01)).mean()
        if "PHM08" in part and part["PHM08"].notna().all():
            of = part.groupby("method")["PHM08"].mean()
            row["PHM08"] = f"{of[SAFE]:.0f} / {of[best]:.0f}"
        found.append(row)
    return pd.DataFrame(found)


def totals(table: pd.DataFrame) -> pd.DataFrame:
    """By source: cells, share of worse ones, mean rank, and how often the safe estimator falls back or is harmed."""
    by = table.groupby("source", sort=False)
    found = by.agg(**{name: (name, "mean") for name in ("worse", "rank", "falls back", "harmed")})
    found.insert(0, "cells", by.size())
    found["largest over the best"] = by["over the best"].max()
    return found


def method_means(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean score of each method by set and number of labels, with the right source; PHM08 where there is one."""
    scores = pd.DataFrame(records).query("source == 'right'")
    values = ["score"] + ["PHM08"] * ("PHM08" in scores and bool(scores["PHM08"].notna().any()))
    found = scores.groupby(["set", "labels", "method"], sort=False)[values].agg(["mean", "std"])
    found.columns = [" ".join(pair) for pair in found.columns]
    return found


def mean_ranks(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean rank of each method over the cells with the right source in which all methods are."""
    scores = pd.DataFrame(records).query("source == 'right'")
    means = scores.groupby(["set", "task", "labels", "method"], sort=False)["score"].mean().unstack()
    ranks = means.rank(axis=1, ascending=False)
    return ranks.mean().sort_values().rename("mean rank").to_frame()


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
    records: list[dict[str, Any]] = []
    for name in options.only or list(loaders):
        records += run(name, options)
        if any(record["set"] == name for record in records):
            table = cells([record for record in records if record["set"] == name])
            print(markdown(table.set_index("set")), flush=True)
    if records:
        print(markdown(totals(cells(records))), flush=True)
        if "right" in options.sources:
            print(markdown(method_means(records)), flush=True)
        print(markdown(mean_ranks(records)), flush=True)


if __name__ == "__main__":
    main()
