"""A fleet of machines: heads solved together beside fits one by one, and beside one pooled model.

    python -m benchmarks.fleet [../shared/data] [--machines 1000] [--rounds 5]

Time, size and accuracy on a simulated fleet: 50 columns, 4 classes, 20 labels a machine; each machine has an offset of
its own. With the folder of the benchmark data also the reactors of `cstr`, five labels a class. One by one means
``TransferClassifier(backbone, strategy=LinearProbing())`` for each machine; pooled means one such fit on all rows.
Fits one by one are timed on 50 machines and scaled up to all. Then machines are left out of the fits: what does the
head say that stands in for theirs?
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from sktransfer import Backbone, BaselineScaler, FleetClassifier, LinearProbing, SourceClassifier, TransferClassifier

TIMED = 50  # machines that are fitted one by one
CLASSES = np.array(["normal", "leak", "wear", "crack"])


def simulated(n_machines: int, seed: int = 0) -> tuple[Backbone, tuple, tuple]:
    """A source network; labelled rows and rows to score of each machine."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(4, 50))

    def rows(n_rows: int, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        codes = np.arange(n_rows) % 4
        return 0.5 * means[codes] + rng.normal(size=(n_rows, 50)) + offset, CLASSES[codes]

    backbone = TransferClassifier(random_state=seed).fit(*rows(2000, np.zeros(50))).backbone_
    parts = [rows(220, 0.5 * rng.normal(size=50)) for _ in range(n_machines)]
    machine = np.arange(1, n_machines + 1)

    def part(some: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        X, y = (np.concatenate([one[k][some] for one in parts]) for k in (0, 1))
        return X, y, np.repeat(machine, len(y) // n_machines)

    return backbone, part(slice(20)), part(slice(20, None))


def cstr(folder: Path) -> tuple[Backbone, tuple, tuple]:
    """Seven reactors: the first is the source, five labels a class of each other one."""
    frame = pd.read_csv(folder / "cstr-tanks-simulated" / "cstr_acf_7domains.csv.gz")
    y, machine = frame["fault"].to_numpy(), frame["domain"].to_numpy()
    X = frame.filter(like="acf").to_numpy()
    X = BaselineScaler(0).fit_transform(X, y, sample_domain=machine + 1)
    source = machine == 0
    backbone = TransferClassifier(random_state=0).fit(X[source], y[source]).backbone_
    rank = frame.sample(frac=1, random_state=0).groupby(["domain", "fault"]).cumcount().sort_index().to_numpy()
    train, test = ~source & (rank < 5), ~source & (rank >= 5)
    return backbone, (X[train], y[train], machine[train]), (X[test], y[test], machine[test])


def timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def one_by_one(backbone: Backbone, rows: tuple, names: np.ndarray) -> dict[object, TransferClassifier]:
    X, y, machine = rows
    of = {name: np.flatnonzero(machine == name) for name in names}
    return {name: TransferClassifier(backbone, strategy=LinearProbing()).fit(X[r], y[r]) for name, r in of.items()}


def accuracies(backbone: Backbone, train: tuple, test: tuple) -> dict[str, np.ndarray]:
    """Accuracy on each machine by each way."""
    X, y, machine = test
    names = np.unique(machine)
    alone = one_by_one(backbone, train, names)
    pooled = TransferClassifier(backbone, strategy=LinearProbing()).fit(*train[:2])
    of = {name: machine == name for name in names}
    found = {
        "one by one": [alone[name].score(X[rows], y[rows]) for name, rows in of.items()],
        "pooled": [pooled.score(X[rows], y[rows]) for rows in of.values()],
    }
    for label, shared in (("fleet", True), ("fleet, shared=False", False)):
        fleet = FleetClassifier(backbone, shared=shared).fit(train[0], train[1], sample_domain=train[2])
        found[label] = [fleet.score(X[rows], y[rows], sample_domain=machine[rows]) for rows in of.values()]
    return {label: np.array(values) for label, values in found.items()}


def report_accuracy(name: str, backbone: Backbone, train: tuple, test: tuple) -> None:
    for label, values in accuracies(backbone, train, test).items():
        print(f"{name:9}  {label:20}  mean {values.mean():.4f}  worst machine {values.min():.4f}", flush=True)


def report_unseen(name: str, backbone: Backbone, train: tuple, test: tuple) -> None:
    """Accuracy on machines of which no label is known, by models of the others.

    Left out is the last fifth of the machines, or, where there are no more than ten, each in turn.
    """
    names = np.unique(train[2])
    left_out = np.split(names, len(names)) if len(names) <= 10 else [names[-len(names) // 5 :]]
    found: dict[str, list[float]] = {}
    for unseen in left_out:
        known, asked = ~np.isin(train[2], unseen), np.isin(test[2], unseen)
        X, y, machine = (part[known] for part in train)
        X_new, y_new, machine_new = (part[asked] for part in test)
        fleet = FleetClassifier(backbone).fit(X, y, sample_domain=machine)
        pooled = TransferClassifier(backbone, strategy=LinearProbing()).fit(X, y)
        source = SourceClassifier(backbone).fit(X)
        predicted = {
            "source network as it is": source.predict(X_new),
            f"fleet, fallback {fleet.fallback_!r}": fleet.predict(X_new, sample_domain=machine_new),
            "one pooled model": pooled.predict(X_new),
        }
        for label, labels in predicted.items():
            found.setdefault(label, []).append(float((labels == y_new).mean()))
    for label, scores in found.items():
        print(f"{name:9}  machines without labels, {label:24}  {np.mean(scores):.4f}", flush=True)


def report_costs(n_machines: int, n_rounds: int) -> None:
    backbone, train, _ = simulated(n_machines)
    X, y, machine = train
    some = np.unique(machine)[:TIMED]
    ratios, seconds = [], []
    for _ in range(n_rounds):
        alone = timed(lambda: one_by_one(backbone, train, some)) / len(some) * n_machines
        fleet = timed(lambda: FleetClassifier(backbone).fit(X, y, sample_domain=machine))
        own = timed(lambda: FleetClassifier(backbone, shared=False).fit(X, y, sample_domain=machine))
        ratios.append((alone / fleet, alone / own))
        seconds.append((alone, fleet, own))
    alone, fleet, own = (statistics.median(values) for values in zip(*seconds, strict=True))
    first, second = (statistics.median(values) for values in zip(*ratios, strict=True))
    print(f"fit of {n_machines}: one by one {alone:.2f} s, fleet {fleet:.2f} s, shared=False {own:.2f} s")
    print(f"median of ratios: fleet {first:.1f}, shared=False {second:.1f} times as fast")
    model = FleetClassifier(backbone).fit(X, y, sample_domain=machine)
    heads = model.heads_.coef[:-1].nbytes + model.heads_.intercept[:-1].nbytes
    bare = heads + len(pickle.dumps(backbone))
    print(f"file {len(pickle.dumps(model)) / bare:.3f} times heads and one backbone ({bare / 1e6:.2f} MB)")
    times = -(-1_000_000 // len(X))
    many, names = np.tile(X, (times, 1)), np.tile(machine, times)
    print(f"predict {len(many)} rows: {timed(lambda: model.predict(many, sample_domain=names)):.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    report_costs(options.machines, options.rounds)
    report_accuracy("simulated", *simulated(100, seed=1))
    report_unseen("simulated", *simulated(100, seed=1))
    if options.data is not None:
        report_accuracy("cstr", *cstr(options.data))
        report_unseen("cstr", *cstr(options.data))


if __name__ == "__main__":
    main()
