"""How well do scores of frozen features tell which backbone will be best after fine-tuning?

    python -m benchmarks.rank_backbones ../shared/data [--of scored|development] [--only gas cstr] [--draws 5]

Backbones are pretrained on other machines of a set (each by itself, and all sources of a task), over seeds and sizes;
a shipped one and an untrained one are among them. For each draw of labels `sktransfer.rank_backbones` orders them, and
each is fine-tuned to the same labels by the defaults and scored on rows that no fit has seen. Printed are the weighted
Kendall tau between both orders, and what the first of the order gives beside the best and the mean of all.

The second table does the same for the three kinds of features of the shipped network "process".
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import weightedtau
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from benchmarks import tag_tasks
from benchmarks.adaptation_sets import DEVELOPMENT, SCORED
from benchmarks.adaptation_tasks import Stacked, Task, draw, stacked
from benchmarks.comparison import Progress
from sktransfer import Backbone, BaselineScaler, FromScratch, TransferClassifier, load_backbone, rank_backbones

LABELS = {"class": (2, 5), "total": (20, 50)}
SETS = {"scored": ("tep-rows", "cstr", "gas", "hit"), "development": ("tep-rows", "cstr", "gas", "fan")}
SIZES = {"default": None, "one layer of 64": FromScratch(arguments={"hidden_layer_sizes": [64]})}
SCORES = ("loo", "logme", "h_score")
BLOCKS = ("tag", "pooled", "both")
METRICS = {"accuracy": accuracy_score, "balanced accuracy": balanced_accuracy_score}
SHIPPED = {"tep-rows": ("tep-process",)}


def machines(tasks: list[Task], task: Task) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Scaled rows and labels of what a backbone for `task` may be pretrained on: name, X, y."""
    if len(np.unique(task.domain_source)) > 1 or task.scaling != "own":
        rows = stacked(task, draw(task, 1, 0))
        numbers = np.unique(task.domain_source)
        for number in numbers:
            of = rows.sample_domain == number
            yield f"source {number}", rows.X[of], rows.y[of]
        if len(numbers) > 1:
            yield "all sources", *rows.source
        return
    found = {}
    for other in tasks:
        source, target = (side.split(" ")[-1] for side in other.name.split(" -> "))
        found[source], found[target] = (other.X_source, other.y_source), (other.X_target, other.y_target)
    del found[task.name.split(" -> ")[1].split(" ")[-1]]
    for name, (X, y) in found.items():
        yield f"machine {name}", BaselineScaler(compress=False).fit(X).transform(X), y


def pretrained(tasks: list[Task], task: Task, seeds: int) -> dict[str, Backbone | FromScratch | str]:
    """Backbones for `task`, by name."""
    found: dict[str, Backbone | FromScratch | str] = {}
    for name, X, y in machines(tasks, task):
        for size, network in SIZES.items():
            for seed in range(seeds):
                title = f"{name}, {size}, seed {seed}"
                if title not in found:
                    found[title] = TransferClassifier(network, random_state=seed).fit(X, y).backbone_
    found |= {name: load_backbone(name) for name in SHIPPED.get(task.set, ())}
    return found | {"untrained": FromScratch()}


def tuned(backbone: Backbone | FromScratch | str, rows: Stacked, metric: str, seed: int) -> float:
    """The score of the default fine-tuning on the labelled rows."""
    model = TransferClassifier(backbone, random_state=seed).fit(*rows.labelled)
    return METRICS[metric](rows.y_scored, model.predict(rows.X_scored))


def agreement(table: pd.DataFrame) -> dict[str, float]:
    """Weighted tau of each score with the fine-tuned result, and the result of the first by each score."""
    found = {"best": table["tuned"].max(), "mean": table["tuned"].mean()}
    for score in SCORES:
        known = table[score].notna()
        # the two ways of weighting, by either order, averaged: scipy's default
        found[f"tau {score}"] = weightedtau(table[score], table["tuned"]).statistic if known.all() else np.nan
        first = table.sort_values([score, "logme"], ascending=False)["tuned"].iloc[0]
        found[f"first by {score}"] = first if known.all() else np.nan
    if "default" in table.columns:
        found["default"] = table.loc[table["default"], "tuned"].item()
    return found | {"milliseconds": table["milliseconds"].mean(), "n": len(table)}


def run_backbones(
    folder: Path, of: str, only: list[str] | None, draws: int, seeds: int, n_tasks: int | None = None
) -> pd.DataFrame:
    """One line a task, number of labels and draw."""
    loaders, lines = {"scored": SCORED, "development": DEVELOPMENT}[of], []
    for name in only or SETS[of]:
        tasks = list(loaders[name](folder))
        for task in tasks[:n_tasks]:
            backbones = pretrained(tasks, task, seeds)
            labels = LABELS[task.count]
            bar = Progress(len(labels) * draws * len(backbones), f"{task.set} {task.name}")
            for n in labels:
                for seed in range(draws):
                    rows = stacked(task, draw(task, n, seed))
                    table = rank_backbones(backbones, *rows.labelled).set_index("backbone")
                    for title, backbone in backbones.items():
                        table.loc[title, "tuned"] = tuned(backbone, rows, task.metric, seed)
                        bar.step()
                    lines.append({"set": task.set, "task": task.name, "labels": n, "draw": seed} | agreement(table))
        print(f"{name} done\n{report(pd.DataFrame(lines))}\n", file=sys.stderr, flush=True)
    return pd.DataFrame(lines)


def run_blocks(folder: Path, of: str, only: list[str] | None, draws: int, n_tasks: int | None = None) -> pd.DataFrame:
    """The same for the features of "process": by tag (the default), pooled, both."""
    loaders, lines = {"scored": tag_tasks.SCORED, "development": tag_tasks.DEVELOPMENT}[of], []
    backbone = load_backbone("process")
    for name in only or loaders:
        for task in islice(loaders[name](folder), n_tasks):
            bar = Progress(2 * draws * len(BLOCKS), f"{task.set} {task.name}")
            for n in (5, 20):
                for seed in range(draws):
                    X, y = task.draw(n, seed)
                    table = rank_backbones(backbone, X, y).set_index("block")
                    for block in BLOCKS:
                        model = TransferClassifier(backbone, block=block, random_state=seed).fit(X, y)
                        table.loc[block, "tuned"] = balanced_accuracy_score(
                            task.scored[1], model.predict(task.scored[0])
                        )
                        bar.step()
                    table["default"] = table.index == "tag"
                    lines.append({"set": task.set, "task": task.name, "labels": n, "draw": seed} | agreement(table))
    return pd.DataFrame(lines)


def report(lines: pd.DataFrame) -> str:
    """Mean over tasks of the mean over draws; of tau also the deviation over tasks and draws."""
    values = [column for column in lines.columns if column not in ("set", "task", "labels", "draw")]
    lines = lines.dropna(axis=1, how="all")
    values = [column for column in values if column in lines.columns]
    each = lines.groupby(["set", "labels", "task"], sort=False)[values].mean()
    mean = each.groupby(["set", "labels"], sort=False).mean()
    cells = mean.map(lambda value: f"{value:.3f}")
    for score in SCORES:
        spread = lines.groupby(["set", "labels"], sort=False)[f"tau {score}"].std(ddof=0)
        cells[f"tau {score}"] = [f"{a:.2f} ± {b:.2f}" for a, b in zip(mean[f"tau {score}"], spread, strict=True)]
    cells["milliseconds"] = mean["milliseconds"].map("{:.0f}".format)
    cells["n"] = mean["n"].map("{:.0f}".format)
    head = ["set", "labels", *cells.columns]
    rows = [[str(part) for part in index] + list(row) for index, row in zip(cells.index, cells.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--of", choices=SETS, default="scored")
    parser.add_argument("--only", nargs="+", help="sets")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=2, help="of pretraining")
    parser.add_argument("--tasks", type=int, help="of each set; all by default")
    parser.add_argument("--table", choices=["backbones", "blocks"], help="one of the two")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    began = time.monotonic()
    if options.table != "blocks":
        lines = run_backbones(options.folder, options.of, options.only, options.draws, options.seeds, options.tasks)
        print(f"\n## Which backbone ({options.of} tasks, {options.draws} draws)\n\n{report(lines)}\n")
        print(f"all: {lines[[f'tau {score}' for score in SCORES]].mean().round(2).to_dict()}\n", flush=True)
    if options.table != "backbones":
        only = options.only if options.table == "blocks" else None
        lines = run_blocks(options.folder, options.of, only, options.draws, options.tasks)
        print(f'\n## Which features of "process" ({options.of} tasks, {options.draws} draws)\n\n{report(lines)}\n')
        print(f"all: {lines[[f'tau {score}' for score in SCORES]].mean().round(2).to_dict()}")
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
