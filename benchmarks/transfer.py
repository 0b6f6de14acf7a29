"""Few labels on a new machine: every number of benchmarks/transfer.md.

    python -m benchmarks.transfer ../shared/data            (about 15 minutes on two cores)

Nothing is chosen here: networks, strategies and strengths are those that `benchmarks/defaults.py` measured on other
tasks.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks.comparison import (
    compare,
    draw_total,
    from_scratch,
    plain_baselines,
    source_as_it_is,
    table,
    transfer,
)
from benchmarks.tasks import gas_tasks, tep_tasks
from sktransfer import FineTuning, LinearProbing, ProbeThenTune

STRATEGIES = {
    "transfer, default": None,
    "transfer, linear probing": LinearProbing(),
    "transfer, plain LP-FT": ProbeThenTune(tune_interpolation=1.0),
    "transfer, fine-tuning": FineTuning(),
}


def methods_for(backbone) -> dict:
    """Transfer in several strategies, and everything it is compared with."""
    methods = {"source network as it is": source_as_it_is(backbone)}
    methods |= {name: transfer(backbone, strategy=strategy) for name, strategy in STRATEGIES.items()}
    methods["same network from scratch"] = from_scratch(backbone)
    return methods | plain_baselines()


def run_tep(folder: Path, labels: list[int], draws: int, n_jobs: int) -> pd.DataFrame:
    """Four tasks between operating modes."""
    parts = []
    for task in tep_tasks(folder):
        methods = methods_for(task.pretrain())
        scores = compare(task.target, methods, labels, draws, n_jobs=n_jobs, title=f"TEP {task.name}")
        parts.append(scores.assign(target=task.name))
    return pd.concat(parts)


def run_gas(folder: Path, draws: int, n_jobs: int) -> pd.DataFrame:
    """Batch 1 to seven later batches, 20 random labels in all."""
    parts = []
    for task in gas_tasks(folder):
        methods = methods_for(task.pretrain())
        methods["logistic regression, C=10"] = lambda target, state: make_pipeline(
            target.scaler, LogisticRegression(C=10, max_iter=5000)
        )
        scores = compare(task.target, methods, [20], draws, draw=draw_total, n_jobs=n_jobs, title=f"gas {task.name}")
        parts.append(scores.assign(target=task.name))
    return pd.concat(parts)


def against(scores: pd.DataFrame, ours: str, other: str) -> str:
    """Paired over draws: mean difference and in how many of the tasks' draws `ours` is not below `other`."""
    wide = scores.pivot_table(index=["target", "draw"], columns=["labels", "method"], values="score")
    parts = []
    for n in sorted(scores["labels"].unique()):
        difference = wide[n][ours] - wide[n][other]
        per_task = difference.groupby("target").mean()
        parts.append(
            f"{n}: {difference.mean():+.3f} (worst task {per_task.min():+.3f}, draws not below "
            f"{np.mean(difference > -1e-9):.0%})"
        )
    return f"{ours} against {other}: " + "; ".join(parts)


def report(title: str, scores: pd.DataFrame) -> None:
    """The table of the mean over tasks, then one table a task, then the paired comparisons."""
    print(f"\n## {title}\n\nmean of {scores['target'].nunique()} tasks\n\n{table(scores)}\n")
    for name, part in scores.groupby("target", sort=False):
        print(f"{name}\n\n{table(part)}\n")
    for ours in ("transfer, default", "transfer, linear probing"):
        for other in ("source network as it is", "same network from scratch"):
            print(f"- {against(scores, ours, other)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 2, 5, 20, 100])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=["tep", "gas"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        f"scikit-learn {sklearn.__version__}, torch {torch.__version__}, numpy {np.__version__}, one torch thread a fit"
    )
    if options.only != "gas":
        tep = run_tep(options.folder, options.labels, options.draws, options.jobs)
        report(f"Tennessee Eastman, nine classes, balanced accuracy, {options.draws} draws", tep)
    if options.only != "tep":
        gas = run_gas(options.folder, 2 * options.draws, options.jobs)
        report(f"Gas sensor drift, 20 random labels in all, accuracy, {2 * options.draws} draws", gas)


if __name__ == "__main__":
    main()
