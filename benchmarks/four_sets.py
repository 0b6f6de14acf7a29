"""Does it help on data that we did not make?

The main job on four sets that are not part of the project, each with its own folder::

    python -m benchmarks.four_sets ../shared/data

- tep-multimode: another group's simulation of the same plant; three modes to the fourth, all four ways, and 1 to 3
- gas-sensor-drift: chemical sensors that age; batch 1 to each later batch
- skab: a pump loop; group of experiments to group
- ai4i2020: a milling machine; product quality L to H

Which rows scale, which may be labelled and which are scored is said in `benchmarks/tasks.py`.
"""

import argparse
import itertools
import warnings
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from sklearn.pipeline import make_pipeline

from benchmarks.comparison import (
    compare,
    draw_labels,
    draw_total,
    over_seeds,
    plain_baselines,
    source_as_it_is,
    standard_scaled,
    table,
    transfer,
)
from benchmarks.peers import healthy_peers, pooled_peers
from benchmarks.tasks import ai4i_tasks, gas_tasks, skab_tasks, tep_tasks
from sktransfer import LinearHead, LinearProbing, TransferClassifier

SETS = {
    "tep-multimode": (tep_tasks, draw_labels, (1, 5, 20)),
    "gas-sensor-drift": (gas_tasks, draw_total, (20,)),
    "skab": (skab_tasks, draw_labels, (1, 5, 20)),
    "ai4i2020": (ai4i_tasks, draw_labels, (1, 5)),
}


def transferred(backbone):
    """What starts from a pretrained network."""
    return {
        "source network as it is": source_as_it_is(backbone),
        "transfer (default)": transfer(backbone),
        "transfer, classes stated": transfer(backbone, head=LinearHead(source_classes="same")),
        "transfer, linear probing": transfer(backbone, strategy=LinearProbing()),
        "StandardScaler on the labels": standard_scaled(backbone),
    }


def not_transferred(task):
    """What it is compared with."""
    methods = {
        "same network from scratch": lambda target, state: make_pipeline(
            target.scaler, TransferClassifier(random_state=state)
        )
    }
    if "healthy" in task.target.extra:
        methods |= healthy_peers()
    return methods | plain_baselines() | pooled_peers(task.X, task.y)


def run(name, folder, draws, n_jobs=2, n_tasks=None, n_seeds=5):
    """Scores of all methods on the tasks of one set."""
    tasks, draw, labels = SETS[name]
    parts = []
    for task in itertools.islice(tasks(folder), n_tasks):
        backbones = Parallel(n_jobs=n_jobs)(delayed(task.pretrain)(seed) for seed in range(n_seeds))
        how = {"draw": draw, "n_jobs": n_jobs, "title": f"{name}, {task.name}"}
        scores = [
            over_seeds(task.target, backbones, transferred, labels, draws, **how),
            compare(task.target, not_transferred(task), labels, draws, **how),
        ]
        parts.append(pd.concat(scores).assign(target=task.name, metric=task.target.metric))
    return pd.concat(parts)


def main():
    parser = argparse.ArgumentParser(description="The main job on real and benchmark data.")
    parser.add_argument("folder", type=Path, help="folder that holds tep-multimode, gas-sensor-drift, skab, ai4i2020")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5, help="of pretraining")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in options.sets:
        if not (options.folder / name).is_dir():
            print(f"{name}: no folder {options.folder / name}, skipped")
            continue
        scores = run(name, options.folder, options.draws, options.jobs, n_seeds=options.seeds)
        what = scores["metric"].iloc[0]
        over = f"{options.draws} draws of the labels and {options.seeds} pretraining seeds"
        print(f"\n{name}: {what}, mean ± standard deviation over {over}")
        for target, part in scores.groupby("target", sort=False):
            print(f"\n{target}\n{table(part)}")
        if scores["target"].nunique() > 1:
            print(f"\nmean of {scores['target'].nunique()} tasks\n{table(scores)}")


if __name__ == "__main__":
    main()
