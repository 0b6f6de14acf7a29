"""Which rows should scale a machine? The numbers of docs/scalers.md and benchmarks/scaling.md.

    python -m benchmarks.scaling ../shared/data             (about 4 minutes on two cores)

Tennessee Eastman, modes 1+2+3 -> 4, nine classes: the same network and the same labels, scaled in six ways. Labels
come from the first half of each run of mode 4, scores are on the second half, healthy rows are from the first half.
"""

from __future__ import annotations

import argparse
import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

from benchmarks.comparison import Target, compare, table, transfer
from benchmarks.tasks import TEP_FAULTS, pretrain, tep_mode, tep_network
from sktransfer import BaselineScaler

SOURCES, TARGET = (1, 2, 3), 4


def scaled_source(modes: dict, how: str) -> tuple[np.ndarray, np.ndarray, BaseEstimator | None]:
    """Rows and labels of the source modes, scaled, and the scaler where there is one for all of them."""
    rows = [modes[mode] for mode in SOURCES]
    y = np.concatenate([fault for _, fault, _ in rows])
    if how == "together":
        scaler = StandardScaler().fit(np.concatenate([X for X, _, _ in rows]))
        return np.concatenate([scaler.transform(X) for X, _, _ in rows]), y, scaler
    if how == "each by all its rows":
        return np.concatenate([StandardScaler().fit_transform(X) for X, _, _ in rows]), y, None
    healthy = [BaselineScaler(clip=None).fit(X[first & (fault == 0)]).transform(X) for X, fault, first in rows]
    return np.concatenate(healthy), y, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    modes = {mode: tep_mode(options.folder, mode, TEP_FAULTS) for mode in (*SOURCES, TARGET)}
    X, y, first = modes[TARGET]
    healthy = X[first & (y == 0)]
    some = np.random.default_rng(0).permutation(len(healthy))[:20]
    backbones = {}
    for how in ("together", "each by all its rows", "healthy"):
        X_source, y_source, scaler = scaled_source(modes, how)
        backbones[how] = pretrain(tep_network(), X_source, y_source, 0), scaler
    ways = {
        "the source's StandardScaler": ("together", FrozenEstimator(backbones["together"][1])),
        "StandardScaler on the labelled rows, source together": ("together", StandardScaler()),
        "StandardScaler on the labelled rows, each source mode by all its rows": (
            "each by all its rows",
            StandardScaler(),
        ),
        "mixed: StandardScaler on the labelled rows, source by healthy rows": ("healthy", StandardScaler()),
        "BaselineScaler, every mode by its healthy rows": (
            "healthy",
            FrozenEstimator(BaselineScaler(clip=None).fit(healthy)),
        ),
        "BaselineScaler, 20 healthy rows of the target": (
            "healthy",
            FrozenEstimator(BaselineScaler(clip=None).fit(healthy[some])),
        ),
    }
    target = Target("mode 4", X[first], y[first], X[~first], y[~first], StandardScaler())
    parts = []
    for name, (how, scaler) in ways.items():
        methods = {name: transfer(backbones[how][0])}
        on = dataclasses.replace(target, scaler=scaler)
        parts.append(compare(on, methods, options.labels, options.draws, n_jobs=options.jobs, title=name))
    print(f"balanced accuracy, default settings, mean ± standard deviation over {options.draws} draws\n")
    print(table(pd.concat(parts)))


if __name__ == "__main__":
    main()
