"""Do whitened rows, or |z| beside z, help the network and what users put behind the scaler?

    python -m benchmarks.whitening ../shared/data [--healthy 20]
    python -m benchmarks.whitening ../shared/data --network --draws 2

Development tasks: Tennessee Eastman modes with faults that the scored benchmark does not use. Every mode is scaled by
the first half of its own healthy run, source modes with the same options as the target.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks.comparison import Target, compare, table, transfer
from benchmarks.defaults import TASKS
from benchmarks.tasks import pretrain, tep_mode, tep_network
from sktransfer import BaselineScaler

# The row's name, and the options of BaselineScaler
KINDS = {
    "z": {},
    "z, absolute": {"absolute": True},
    "whitened": {"whiten": True},
    "whitened, absolute": {"whiten": True, "absolute": True},
}


def task(
    folder: Path, faults: tuple[int, ...], sources: tuple[int, ...], target: int, kind: str, n_healthy: int | None
):
    """Source rows and labels, and the target, each machine scaled by its own healthy rows."""
    modes, scalers = {}, {}
    for mode in (*sources, target):
        X, fault, first = tep_mode(folder, mode)
        rows = X[first & (fault == 0)]
        if mode == target and n_healthy is not None:
            rows = rows[np.random.default_rng(0).permutation(len(rows))[:n_healthy]]
        scalers[mode] = FrozenEstimator(BaselineScaler(clip=None, **KINDS[kind]).fit(rows))
        modes[mode] = tuple(part[np.isin(fault, faults)] for part in (X, fault, first))
    X_source = np.concatenate([scalers[mode].transform(modes[mode][0]) for mode in sources])
    y_source = np.concatenate([modes[mode][1] for mode in sources])
    X, y, first = modes[target]
    found = Target(f"mode {target}", X[first], y[first], X[~first], y[~first], scalers[target])
    return X_source, y_source, found


def methods(kind: str, backbone: object | None) -> dict[str, Callable]:
    """What is compared, on rows of one kind."""
    if backbone is not None:
        return {f"{kind}: transfer": transfer(backbone)}
    return {
        f"{kind}: forest": lambda target, state: make_pipeline(
            target.scaler, RandomForestClassifier(random_state=state)
        ),
        f"{kind}: logistic regression": lambda target, state: make_pipeline(
            target.scaler, LogisticRegression(max_iter=2000)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--tasks", type=int, default=len(TASKS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--healthy", type=int, help="random healthy rows of the target; all without it")
    parser.add_argument("--network", action="store_true", help="the network in place of forest and regression")
    parser.add_argument("--seeds", type=int, default=1, help="pretraining seeds of the network")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    parts = []
    for number, (faults, (sources, target)) in enumerate(TASKS[: options.tasks]):
        for kind in options.kinds:
            X, y, found = task(options.folder, faults, sources, target, kind, options.healthy)
            for seed in range(options.seeds if options.network else 1):
                backbone = pretrain(tep_network(), X, y, seed) if options.network else None
                scores = compare(found, methods(kind, backbone), options.labels, options.draws, n_jobs=1)
                parts.append(scores.assign(target=number, draw=scores["draw"] + options.draws * seed))
        print(f"\nbalanced accuracy, mean of {number + 1} development tasks, {options.draws} draws\n")
        print(table(pd.concat(parts)), flush=True)


if __name__ == "__main__":
    main()
