"""Time of one epoch of each alignment, beside the same method of skada.deep.

    python -m benchmarks.adaptation_speed [--rounds 7] [--only NAME ...] [--rows 2048]

The same network, the same batch (64 source and 64 target rows), the same number of steps, AdamW, one thread. A fit of
nine epochs less one of a single epoch: what a fit costs once is in neither. skada's fit is run without its
validation split and its callbacks. Rounds are paired; the figure is the median of the ratios of the rounds. In the rows
"frozen" all blocks but the last keep the source's weights: sktransfer computes them once, skada is given parameters
without a gradient, and computes them for every batch.

Needs skada (BSD-3), which is not a dependency of the project.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from sktransfer import (
    CNN,
    DANN,
    MCC,
    MLP,
    MMD,
    Backbone,
    DeepCORAL,
    DomainAdaptationClassifier,
    FineTuning,
    TransferClassifier,
)

BATCH = 64  # rows of each domain in a step
CLASSES = 5
MANY = 9  # epochs
ALIGNMENTS = {"DeepCORAL": DeepCORAL(), "MMD": MMD(), "MCC": MCC(), "DANN": DANN()}
BARS = {"MLP": 0.65, "CNN": 1.0, "MLP, frozen": 0.65, "CNN, frozen": 1.0}


def network(kind: str) -> nn.Module:
    """Blocks of the two networks: 256, 256 on 32 columns; 16, 32, 64 filters on 2 channels of 256 samples."""
    if kind.startswith("MLP"):
        return MLP(32, hidden_layer_sizes=(256, 256), dropout=0.1)
    return CNN(2, widths=(16, 32, 64), kernel_size=5, strides=2)


def problem(kind: str, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of two machines, labels of the source (-1 of the target), and machines."""
    rng = np.random.default_rng(0)
    shape = (32,) if kind.startswith("MLP") else (2, 256)
    X = rng.normal(size=(2 * n_rows, *shape)).astype(np.float32)
    X[n_rows:] += 0.5
    y = np.r_[rng.integers(CLASSES, size=n_rows), np.full(n_rows, -1)]
    return X, y, np.repeat([1, -1], n_rows)


def ours(kind: str, name: str, backbone: Backbone, rows: tuple) -> Callable[[int], None]:
    """A fit of so many epochs as skada counts them: one step for each 64 rows of the source."""
    X, y, domain = rows
    n_frozen = len(backbone.blocks) - 1 if kind.endswith("frozen") else 0

    def fit(epochs: int) -> None:
        DomainAdaptationClassifier(
            backbone,
            alignment=ALIGNMENTS[name],
            strategy=FineTuning(n_frozen_blocks=n_frozen),
            batch_size=2 * BATCH,  # half of it source rows
            max_epochs=2 * epochs,  # an epoch of ours counts them all
            n_jobs=1,
            random_state=0,
        ).fit(X, y, sample_domain=domain)

    return fit


def theirs(kind: str, name: str, rows: tuple) -> Callable[[int], None]:
    """The fit of skada, so many epochs."""
    from skada import deep

    X, y, domain = rows
    make = {"DeepCORAL": deep.DeepCoral, "MMD": deep.DAN, "MCC": deep.MCC, "DANN": deep.DANN}[name]

    def fit(epochs: int) -> None:
        blocks = network(kind)
        width = blocks(torch.as_tensor(X[:2])).shape[1]
        if kind.endswith("frozen"):
            for block in list(blocks.children())[:-1]:
                block.requires_grad_(False)
        module = nn.Sequential(OrderedDict(features=blocks, output=nn.Linear(width, CLASSES)))
        options = {"num_features": width} if name == "DANN" else {}
        net = make(
            module,
            layer_name="features",
            **options,
            optimizer=torch.optim.AdamW,
            batch_size=BATCH,
            max_epochs=epochs,
            train_split=None,
            callbacks="disable",
            verbose=0,
        )
        net.fit(X, y, sample_domain=domain)

    return fit


def epoch(fit: Callable[[int], None]) -> float:
    """Seconds of one epoch: of `MANY` less those of a single one."""
    times = []
    for epochs in (1, MANY):
        began = time.perf_counter()
        fit(epochs)
        times.append(time.perf_counter() - began)
    return (times[1] - times[0]) / (MANY - 1)


def compare(kind: str, name: str, n_rows: int, rounds: int) -> dict:
    """Seconds an epoch of both, and the median of their ratios, round by round."""
    rows = problem(kind, n_rows)
    labelled = rows[1] >= 0
    begin = TransferClassifier(Backbone(network(kind)), strategy=FineTuning(), max_epochs=1, random_state=0)
    backbone = begin.fit(rows[0][labelled][:500], rows[1][labelled][:500]).backbone_
    fits = [ours(kind, name, backbone, rows), theirs(kind, name, rows)]
    for fit in fits:
        fit(1)  # what the first call of a process costs is not counted
    times: list[list[float]] = [[], []]
    for number in range(rounds):
        for side in (0, 1) if number % 2 else (1, 0):
            times[side].append(epoch(fits[side]))
    ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
    return {"kind": kind, "name": name, "ours": statistics.median(times[0]), "theirs": statistics.median(times[1])} | {
        "ratio": ratio
    }


def line(found: dict) -> str:
    """One row of the table."""
    bar = BARS[found["kind"]]
    reached = "reached" if found["ratio"] <= bar else f"**not reached** by {found['ratio'] - bar:.2f}"
    return (
        f"| {found['kind']} | {found['name']} | {1e3 * found['ours']:.0f} | {1e3 * found['theirs']:.0f} | "
        f"{found['ratio']:.2f} | {bar} | {reached} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=2048, help="of each domain, a multiple of 128")
    parser.add_argument("--only", nargs="+", default=[], help="kinds of network or alignments")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| network | alignment | sktransfer, ms an epoch | skada, ms | ratio | bar | |\n|---|---|---|---|---|---|---|"
    )
    for kind in BARS:
        for name in ALIGNMENTS:
            if not arguments.only or {kind, name} & set(arguments.only):
                print(line(compare(kind, name, arguments.rows, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
