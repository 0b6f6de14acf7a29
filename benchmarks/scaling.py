"""Which rows should scale a machine? The numbers of docs/scalers.md and benchmarks/scaling.md.

    python -m benchmarks.scaling ../shared/data             (about 15 minutes on two cores)

Tennessee Eastman, modes 1+2+3 -> 4, nine classes: the same networks, one a pretraining seed, and the same labels,
scaled in nine ways. Labels come from the first half of each run of mode 4, scores are on the second half, healthy rows
are from the first half: all of them, 20 drawn over that half, or 20, 50 or 100 one after the other from its start.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

from benchmarks.comparison import Method, Target, over_seeds, table, transfer
from benchmarks.tasks import TEP_FAULTS, pretrain, tep_mode
from sktransfer import Backbone, BaselineScaler

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
    parser.add_argument("--seeds", type=int, default=5, help="of pretraining")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    modes = {mode: tep_mode(options.folder, mode, TEP_FAULTS) for mode in (*SOURCES, TARGET)}
    X, y, first = modes[TARGET]
    backbones, together = {}, None
    for how in ("together", "each by all its rows", "healthy"):
        X_source, y_source, scaler = scaled_source(modes, how)
        together = scaler or together
        runner = Parallel(n_jobs=options.jobs)
        backbones[how] = runner(delayed(pretrain)(X_source, y_source, seed) for seed in range(options.seeds))
    target = Target("mode 4", X[first], y[first], X[~first], y[~first], StandardScaler())
    parts = []
    for name, (how, scaler) in ways(X[first & (y == 0)], together).items():
        on = dataclasses.replace(target, scaler=scaler)
        methods = functools.partial(transferred, name)
        parts.append(
            over_seeds(on, backbones[how], methods, options.labels, options.draws, n_jobs=options.jobs, title=name)
        )
    print(f"balanced accuracy, default settings, {options.draws} draws, {options.seeds} pretraining seeds\n")
    print(table(pd.concat(parts)))


def ways(healthy: np.ndarray, together: BaseEstimator) -> dict[str, tuple[str, BaseEstimator]]:
    """How the source is scaled, and what scales the target, by name.

    Parameters
    ----------
    healthy : ndarray of shape (n_healthy, n_columns)
        Healthy rows of the target in the order of time.
    together : scaler
        Of all source rows.
    """

    def by(rows: np.ndarray) -> tuple[str, BaseEstimator]:
        return "healthy", FrozenEstimator(BaselineScaler(clip=None).fit(rows))

    some = np.random.default_rng(0).permutation(len(healthy))[:20]
    labelled = StandardScaler()
    found = {
        "the source's StandardScaler": ("together", FrozenEstimator(together)),
        "StandardScaler on the labelled rows, source together": ("together", labelled),
        "StandardScaler on the labelled rows, each source mode by all its rows": ("each by all its rows", labelled),
        "mixed: StandardScaler on the labelled rows, source by healthy rows": ("healthy", labelled),
        "BaselineScaler, every mode by its healthy rows": by(healthy),
        "BaselineScaler, 20 healthy rows of the target, over the whole run": by(healthy[some]),
    }
    for n in (20, 50, 100):
        found[f"BaselineScaler, {n} healthy rows of the target, one after the other"] = by(healthy[:n])
    return found


def transferred(name: str, backbone: Backbone) -> dict[str, Method]:
    """The default transfer under this name."""
    return {name: transfer(backbone)}


if __name__ == "__main__":
    main()
