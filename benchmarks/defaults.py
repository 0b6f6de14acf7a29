"""Measure the choices behind the defaults on development tasks.

    python -m benchmarks.defaults ../shared/data [--seeds 0 1 2 3 4] [--draws 3] [--strategies NAME ...]
    python -m benchmarks.defaults ../shared/data --networks [NAME ...]    (networks in place of strategies)

The tasks are Tennessee Eastman modes with faults that the scored benchmark does not use, and gas batches 2, 3 and 6
to batch 1, which is never a target of the scored benchmark. What is chosen here is chosen for good.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pandas as pd

from benchmarks.comparison import Progress, compare, draw_total, from_scratch, source_as_it_is, table, transfer
from benchmarks.tasks import RealTask, gas_task, mlp, tep_tasks
from sktransfer import FineTuning, FromScratch, GradualUnfreezing, LayerDecay, LinearProbing, ProbeThenTune

HARD = (0, 1, 5, 8, 10, 12, 13, 16, 20)
FLOWS = (0, 19, 21, 22, 23, 24, 25, 26, 27)
EASY = (1, 8, 10, 13, 19, 20, 25, 26, 27)
TASKS = (
    (HARD, ((1, 2), 3)),
    (HARD, ((2, 3), 1)),
    (FLOWS, ((1, 2), 3)),
    (FLOWS, ((1, 3), 2)),
    (EASY, ((2, 3), 1)),
    (EASY, ((1, 3), 2)),
    (EASY, ((1,), 2)),
)
STRATEGIES = {
    "probing, alpha auto": LinearProbing(),
    "probing, alpha 1": LinearProbing(alpha=1.0),
    "probing, alpha 0.1": LinearProbing(alpha=0.1),
    "probing, alpha 0": LinearProbing(alpha=0.0),
    "probe then tune (default)": ProbeThenTune(),
    "probe then tune, rate 0.1": ProbeThenTune(tune_rate=0.1),
    "probe then tune, rate 1": ProbeThenTune(tune_rate=1.0),
    "probe then tune, interpolation 0.25": ProbeThenTune(tune_interpolation=0.25),
    "probe then tune, interpolation 0.75": ProbeThenTune(tune_interpolation=0.75),
    "probe then tune, interpolation 1 (plain LP-FT)": ProbeThenTune(tune_interpolation=1.0),
    "probe then tune, alpha auto": ProbeThenTune(alpha="auto"),
    "fine-tuning": FineTuning(),
    "fine-tuning, layer decay 0.5": LayerDecay(0.5),
    "gradual unfreezing": GradualUnfreezing(),
}

NETWORKS = {
    "default": FromScratch(),
    "3 x 256": mlp(256, 256, 256),
    "3 x 256, no dropout": mlp(256, 256, 256, dropout=0.0),
    "2 x 512": mlp(512, 512),
    "1 x 256": mlp(256),
}


def tep_development(folder: Path) -> list[RealTask]:
    """Seven tasks whose faults the scored benchmark does not use (but for normal)."""
    return [task for faults, pair in TASKS for task in tep_tasks(folder, faults, (pair,))]


def gas_development(folder: Path) -> list[RealTask]:
    """Three batches to batch 1."""
    return [gas_task(folder, batch, 1) for batch in (2, 3, 6)]


def run_networks(
    folder: Path, seeds: list[int], labels: list[int], draws: int, n_jobs: int, named: list[str] | None = None
) -> pd.DataFrame:
    """Scores of each pretrained network as it is, by probing and by the default, over seeds of the pretraining.

    `named`: these networks alone.
    """
    parts = []
    for task in tep_development(folder):
        for seed in seeds:
            methods = {}
            for name in named or NETWORKS:
                backbone = task.pretrain(seed, NETWORKS[name])
                methods[f"{name}: source as it is"] = source_as_it_is(backbone)
                methods[f"{name}: probing"] = transfer(backbone, strategy=LinearProbing())
                methods[f"{name}: default"] = transfer(backbone)
            scores = compare(task.target, methods, labels, draws, n_jobs=n_jobs, title=f"{task.name}, seed {seed}")
            parts.append(scores.assign(target=f"{task.name}{task.y.max()}, seed {seed}"))
    return pd.concat(parts)


def run_strategies(
    folder: Path, seeds: list[int], labels: list[int], draws: int, n_jobs: int, named: list[str] | None = None
) -> pd.DataFrame:
    """Scores of each strategy on the network that a fit without a backbone trains, over seeds of the pretraining.

    `named`: these strategies alone.
    """
    return _over_seeds(
        tep_development(folder),
        seeds,
        named,
        lambda task, methods: compare(task.target, methods, labels, draws, n_jobs=n_jobs),
    )


def run_gas(folder: Path, seeds: list[int], draws: int, n_jobs: int, named: list[str] | None = None) -> pd.DataFrame:
    """The same with twenty random labels of gas batch 1."""
    return _over_seeds(
        gas_development(folder),
        seeds,
        named,
        lambda task, methods: compare(task.target, methods, [20], draws, draw=draw_total, n_jobs=n_jobs),
    )


def _over_seeds(
    tasks: list[RealTask], seeds: list[int], named: list[str] | None, scored: Callable[[RealTask, dict], pd.DataFrame]
) -> pd.DataFrame:
    parts = []
    bar = Progress(len(tasks) * len(seeds), "strategies")
    for task, seed in product(tasks, seeds):
        backbone = task.pretrain(seed)
        methods = {"source as it is": source_as_it_is(backbone)}
        methods |= {name: transfer(backbone, strategy=STRATEGIES[name]) for name in named or STRATEGIES}
        if not named:
            methods["from scratch"] = from_scratch(backbone)
        parts.append(scored(task, methods).assign(target=f"{task.name}{task.y.max()}, seed {seed}"))
        bar.step()
    return pd.concat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 5, 20, 100])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)), help="of pretraining")
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, help="compare networks from scratch, and no more")
    parser.add_argument("--strategies", nargs="*", choices=STRATEGIES, help="only these")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    settings = options.folder, options.seeds, options.labels, options.draws, options.jobs
    said = f"pretraining seeds {options.seeds}, {options.draws} draws"
    if options.networks is not None:
        print(f"\nTennessee Eastman, development tasks, networks, {said}\n")
        print(table(run_networks(*settings, options.networks)))
        return
    print(f"\nTennessee Eastman, development tasks, {said}\n")
    print(table(run_strategies(*settings, options.strategies)))
    print(f"\nGas sensors, development tasks (2, 3, 6 -> 1), 20 labels in all, {said}\n")
    print(table(run_gas(options.folder, options.seeds, options.draws, options.jobs, options.strategies)))


if __name__ == "__main__":
    main()
