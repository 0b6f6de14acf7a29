"""What each augmentation brings on few labelled windows, scored across a shift of speed.

    OMP_NUM_THREADS=1 python -m benchmarks.augmentation ../shared/data        (some minutes on one thread)

n labelled windows a class are drawn from one speed, nothing of the other speed is labelled; scored on all its windows
(reading "source" of `benchmarks/windows/few_labels.py`). HIT-SM: 6 pairs of speeds, seven classes, one window in 80 ms;
the fan: 4 pairs, three classes, scaled by the deviation of each channel at the source's speed. Draws and first weights
are the same for every row. The amounts are those of the rows' names and were not chosen on these data.

The network is a small CNN from scratch. The shipped `vibration` was measured, too, when windows could be augmented
ahead of its front end. On HIT-SM with 5 labels a class, against 0.856 without augmentation: time shift +0.004 ± 0.004,
jitter -0.046 ± 0.048, mixup -0.026 ± 0.022, crop -0.168 ± 0.057. It gained nothing, so such a fit is an error now.

Each number: mean over tasks and draws, the deviation over draws (of the mean over tasks), and the mean difference from
the row "none" with twice its standard error over tasks, whose draws are not independent.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.windows.few_labels import Method, few_labels
from benchmarks.windows.loaders import WindowSet, fan, hit
from sktransfer import Augmentation, FromScratch, TransferClassifier, WeightDecay

AMOUNTS: dict[str, dict[str, float]] = {
    "none": {},
    "jitter 0.1": {"jitter": 0.1},
    "scaling 0.2": {"scaling": 0.2},
    "time_shift 0.5": {"time_shift": 0.5},
    "crop 0.2": {"crop": 0.2},
    "channel_dropout 0.2": {"channel_dropout": 0.2},
    "mixup 0.2": {"mixup": 0.2},
    "all, half as much": {
        "jitter": 0.05, "scaling": 0.1, "time_shift": 0.25, "crop": 0.1, "channel_dropout": 0.1, "mixup": 0.1,
    },
}  # fmt: skip
HIT_SPEEDS = (600, 900, 1200)
FAN_PAIRS = ((30, 50), (50, 30), (70, 90), (90, 70))
LENGTH = 1024  # samples of a window of HIT-SM
Tasks = dict[str, tuple[WindowSet, WindowSet]]


def tasks(folder: Path) -> Tasks:
    """Source and target of each task; windows of HIT-SM have 1024 samples, of the fan 60."""
    data, speed = hit(folder, LENGTH, 4096), "domain"
    pairs = {f"hit {a} -> {b}": (a, b) for a in HIT_SPEEDS for b in HIT_SPEEDS if a != b}
    found = {name: tuple(data[(data.info[speed] == part).to_numpy()] for part in pair) for name, pair in pairs.items()}
    data = fan(folder)
    for a, b in FAN_PAIRS:
        parts = [data[(data.info[speed] == part).to_numpy()] for part in (a, b)]
        found[f"fan {a} -> {b}"] = scaled(*parts)
    return found


def scaled(source: WindowSet, target: WindowSet) -> tuple[WindowSet, WindowSet]:
    """Both minus the mean of the source's channels, over their deviations."""
    mean, deviation = (f(np.asarray(source.X), axis=(0, 2), keepdims=True) for f in (np.mean, np.std))
    return tuple(dataclasses.replace(part, X=part.X.like((part.X - mean) / deviation)) for part in (source, target))


def scratch(amounts: dict[str, float], max_epochs: int | None = None) -> Method:
    """A small CNN of windows, untrained."""
    network = FromScratch(arguments={"widths": (16, 32, 64)})

    def make(random_state: int) -> TransferClassifier:
        strategy = WeightDecay() & Augmentation(**amounts)
        return TransferClassifier(
            network, strategy=strategy, max_epochs=max_epochs or 20, lr=0.01, random_state=random_state
        )

    return Method(make)


def compare(found_tasks: Tasks, labels: list[int], draws: int, max_epochs: int | None) -> pd.DataFrame:
    """Balanced accuracies. Columns task, method, labels, draw, score."""
    methods = {row: scratch(amounts, max_epochs) for row, amounts in AMOUNTS.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return few_labels(found_tasks, methods, tuple(labels), draws, reading="source")


def table(scores: pd.DataFrame) -> str:
    """Markdown: rows of `AMOUNTS`, a column for each data set and number of labels."""
    scores = scores.assign(data=scores["task"].str.split(" ").str[0])
    cells = {}
    for (data, n), part in scores.groupby(["data", "labels"], sort=False):
        wide = part.pivot_table(index=["task", "draw"], columns="method", values="score")
        for row in AMOUNTS:
            by_draw = wide[row].groupby("draw").mean()
            by_task = (wide[row] - wide["none"]).groupby("task").mean()
            error = 2 * by_task.std() / np.sqrt(len(by_task))
            difference = "" if row == "none" else f" ({by_task.mean():+.3f} ± {error:.3f})"
            cells[row, f"{data}, {n} labels"] = f"{by_draw.mean():.3f} ± {by_draw.std():.3f}{difference}"
    columns = list(dict.fromkeys(column for _, column in cells))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {row} | " + " | ".join(cells[row, column] for column in columns) + " |" for row in AMOUNTS]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--max-epochs", type=int, help="default: 20")
    parser.add_argument("--tasks", type=int, help="only the first so many")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    began = time.perf_counter()
    chosen = dict(list(tasks(options.folder).items())[: options.tasks])
    scores = compare(chosen, options.labels, options.draws, options.max_epochs)
    print(f"\n## {options.draws} draws, {time.perf_counter() - began:.0f} s\n\n{table(scores)}", flush=True)


if __name__ == "__main__":
    main()
