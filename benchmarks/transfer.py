"""Few labels on a new machine: every number of benchmarks/transfer.md.

    python -m benchmarks.transfer ../shared/data            (about 40 minutes on two cores)
    python -m benchmarks.transfer ../shared/data --joint    (with the joint network: twice as long)

Pretraining is `TransferClassifier(random_state=seed).fit(X_source, y_source)` for each of the seeds. Nothing is chosen
here: networks, strategies and strengths are the defaults, which `benchmarks/defaults.py` measured on other tasks.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import torch
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks.comparison import (
    compare,
    draw_total,
    over_seeds,
    plain_baselines,
    source_as_it_is,
    spread_over_seeds,
    table,
    transfer,
)
from benchmarks.peers import healthy_peers, joint_network, pooled_peers
from benchmarks.tasks import RealTask, gas_tasks, tep_tasks
from sktransfer import FineTuning, LinearProbing, ProbeThenTune, TransferClassifier

STRATEGIES = {
    "transfer, default": None,
    "transfer, linear probing": LinearProbing(),
    "transfer, plain LP-FT": ProbeThenTune(tune_interpolation=1.0),
    "transfer, fine-tuning": FineTuning(),
}


def transferred(backbone) -> dict:
    """What starts from a pretrained network."""
    methods = {"source network as it is": source_as_it_is(backbone)}
    return methods | {name: transfer(backbone, strategy=strategy) for name, strategy in STRATEGIES.items()}


def not_transferred(task: RealTask) -> dict:
    """What it is compared with: the default network from scratch, scikit-learn without and with the source rows."""
    methods = {"same network from scratch": lambda target, state: make_pipeline(target.scaler, scratch(state))}
    methods |= plain_baselines()
    methods["logistic regression, C=10"] = lambda target, state: make_pipeline(
        target.scaler, LogisticRegression(C=10, max_iter=5000)
    )
    if "healthy" in task.target.extra:
        methods |= healthy_peers()
    return methods | pooled_peers(task.X, task.y)


def scratch(state) -> TransferClassifier:
    """The default network without a source."""
    return TransferClassifier(random_state=state)


def run(tasks, labels: list[int], options: argparse.Namespace, draws: int, **how) -> pd.DataFrame:
    """Scores on `tasks`: what is pretrained once a seed, the rest once."""
    parts = []
    for task in tasks:
        runner = Parallel(n_jobs=options.jobs)
        backbones = runner(delayed(task.pretrain)(seed) for seed in range(options.seeds))
        others = not_transferred(task) | (joint_network(task.X, task.y) if options.joint else {})
        how |= {"n_jobs": options.jobs, "title": task.name}
        scores = [
            over_seeds(task.target, backbones, transferred, labels, draws, **how),
            compare(task.target, others, labels, draws, **how),
        ]
        parts.append(pd.concat(scores).assign(target=task.name))
        if small := task.small_classes():
            print(f"{task.name}: classes with fewer than 50 scored rows: {small}")
    return pd.concat(parts)


def against(scores: pd.DataFrame, ours: str, other: str) -> str:
    """Paired over draws: mean difference and in how many of the tasks' draws `ours` is not below `other`.

    The mean over pretraining seeds counts.
    """
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
    print(f"mean, lowest and highest of the pretraining seeds\n\n{spread_over_seeds(scores)}\n")
    for name, part in scores.groupby("target", sort=False):
        print(f"{name}\n\n{table(part)}\n")
    for ours in ("transfer, default", "transfer, linear probing"):
        for other in ("source network as it is", "same network from scratch"):
            print(f"- {against(scores, ours, other)}")
    pooled = "extra trees, pooled"
    print(f"- {against(scores, 'transfer, default', pooled)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 2, 5, 20, 100])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=["tep", "gas"])
    parser.add_argument("--seeds", type=int, default=5, help="of pretraining")
    parser.add_argument("--joint", action="store_true", help="also the network trained on source and labels jointly")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        f"scikit-learn {sklearn.__version__}, torch {torch.__version__}, numpy {np.__version__}, one torch thread a fit"
    )
    many = f"{options.seeds} pretraining seeds"
    if options.only != "gas":
        tep = run(tep_tasks(options.folder), options.labels, options, options.draws)
        report(f"Tennessee Eastman, nine classes, balanced accuracy, {options.draws} draws, {many}", tep)
    if options.only != "tep":
        gas = run(gas_tasks(options.folder), [20], options, 2 * options.draws, draw=draw_total)
        report(f"Gas sensor drift, 20 random labels in all, accuracy, {2 * options.draws} draws, {many}", gas)


if __name__ == "__main__":
    main()
