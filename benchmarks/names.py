"""Does it matter what the classes are called?

    python -m benchmarks.names ../shared/data [--draws 10] [--default]

The same labelled rows are fitted under four namings of their classes: the names that the shipped backbone uses, these
names passed on from class to class, names of their own, and the integers that an encoder makes. Labels come from the
first part of each recording or run of the machine, scores (balanced accuracy) are on the rest. Linear probing on frozen
features; with ``--default`` the default strategy, too.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.metrics import balanced_accuracy_score

from benchmarks.comparison import draw_labels
from benchmarks.tasks import tep_mode
from benchmarks.windows.few_labels import label_part
from benchmarks.windows.loaders import WindowSet, cwru, hit, motors
from benchmarks.windows.ours import behind_front_end, shipped
from sktransfer import Backbone, BaselineScaler, LinearProbing, TransferClassifier

LABELS = (1, 2, 5, 20)
NAMINGS = ("names", "permuted", "foreign", "integers")
MOTORS = {"healthy": "healthy", "unbalance_2w": "unbalance", "broken_rotor_bar": "broken_bar"}


@dataclass
class NamedSet:
    """Rows behind the front end of `backbone`, whose labels `y` are called as the source's classes."""

    name: str
    backbone: Backbone
    X: np.ndarray
    y: np.ndarray
    may: np.ndarray
    scored: np.ndarray


def renamed(y: np.ndarray, naming: str, seed: int) -> np.ndarray:
    """The same labels under other names; ``"permuted"`` gives every class the name of another one."""
    classes, codes = np.unique(y, return_inverse=True)
    if naming == "integers":
        return codes
    if naming == "foreign":
        return np.char.add("my ", classes)[codes]
    shift = 0 if naming == "names" else 1 + seed % (len(classes) - 1)
    return np.roll(classes, shift)[codes]


def bearings(folder: Path) -> Iterator[NamedSet]:
    """CWRU by end, HIT-SM by speed, and two motors, by "vibration"."""
    for end, words in (("DE", "drive"), ("FE", "fan")):
        yield _windows(f"CWRU, {words} end", cwru(folder, 4096, ends=end, normal=True), False)
    data = hit(folder)
    data.y = np.array([{"N": "healthy", "I": "inner", "O": "outer"}[label[0]] for label in data.y])
    for speed in (600, 900, 1200):
        yield _windows(f"HIT-SM, {speed} rpm", data[data.info["domain"].to_numpy() == speed], False)
    data = motors(folder)
    data.y = np.array([MOTORS.get(label, label) for label in data.y])
    for motor in ("Motor_1", "Motor_2"):
        yield _windows(motor.replace("_", " "), data[data.info["domain"].to_numpy() == motor], True)


def _windows(name: str, windows: WindowSet, by_recording: bool) -> NamedSet:
    backbone = shipped("vibration")
    may, scored = label_part(windows, by_recording)
    return NamedSet(name, behind_front_end(backbone), backbone.prepare(windows.X), windows.y, may, scored)


def plants(folder: Path) -> Iterator[NamedSet]:
    """Rows of another group's Tennessee Eastman plant, scaled by their own healthy run, by "tep-process"."""
    backbone = shipped("tep-process")
    names = {0: "normal"} | {int(name[3:5]): name for name in backbone.source.classes if name != "normal"}
    for mode in (1, 2, 3, 4):
        X, fault, first = tep_mode(folder, mode, tuple(names))
        scaled = BaselineScaler().fit(X[first & (fault == 0)]).transform(X)
        y = np.array([names[number] for number in fault])
        yield NamedSet(f"Tennessee Eastman, mode {mode}", backbone, scaled, y, first, ~first)


def fit_once(data: NamedSet, strategy: object, naming: str, n: int, seed: int) -> tuple[float, str]:
    """Balanced accuracy under one naming, and what the head began from."""
    y = renamed(data.y, naming, seed)
    chosen = np.flatnonzero(data.may)[draw_labels(data.y[data.may], n, seed)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TransferClassifier(data.backbone, strategy=strategy, random_state=seed).fit(data.X[chosen], y[chosen])
        score = balanced_accuracy_score(y[data.scored], model.predict(data.X[data.scored]))
    return score, "source" if any(name is not None for name in model.source_classes_) else "rows"


def run(data: NamedSet, strategies: dict[str, object], labels, draws: int, n_jobs: int) -> pd.DataFrame:
    """Scores of all namings on the same draws. Columns set, strategy, naming, labels, draw, score, began."""
    jobs = [
        (kind, naming, n, seed) for kind in strategies for n in labels for seed in range(draws) for naming in NAMINGS
    ]
    found = Parallel(n_jobs=n_jobs)(
        delayed(fit_once)(data, strategies[kind], naming, n, seed) for kind, naming, n, seed in jobs
    )
    rows = [(data.name, *job, *result) for job, result in zip(jobs, found, strict=True)]
    return pd.DataFrame(rows, columns=["set", "strategy", "naming", "labels", "draw", "score", "began"])


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """One row a set and number of labels: mean of each naming, spread over draws, and what the names cost at most.

    ``cost``: the best mean of another naming less that of the true names. ``harm``: the mean under own names less that
    under permuted ones. ``source``: share of fits that began at the source head, under the true names.
    """
    keys = ["strategy", "set", "labels"]
    means = scores.pivot_table(index=keys, columns="naming", values="score", sort=False)[list(NAMINGS)]
    spread = scores[scores["naming"] == "foreign"].groupby(keys, sort=False)["score"].std(ddof=0)
    began = scores[scores["naming"] == "names"].groupby(keys, sort=False)["began"].agg(lambda b: np.mean(b == "source"))
    others = means[["foreign", "integers"]].max(axis=1)
    extra = {"spread": spread, "cost": others - means["names"], "harm": means["foreign"] - means["permuted"]}
    return means.assign(**extra, source=began)


def markdown(table: pd.DataFrame) -> str:
    """The summary as a Markdown table."""
    table = table.reset_index()
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|---" * table.shape[1] + "|"]
    cells = ([f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in table.to_numpy().tolist())
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in cells])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--labels", type=int, nargs="+", default=list(LABELS))
    parser.add_argument("--default", action="store_true", help="the default strategy, too")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    strategies: dict[str, object] = {"probing": LinearProbing()}
    if options.default:
        strategies["default"] = None
    sets: list[Callable[[Path], Iterator[NamedSet]]] = [bearings, plants]
    parts = []
    for data in (data for make in sets for data in make(options.folder)):
        parts.append(run(data, strategies, options.labels, options.draws, options.jobs))
        print(markdown(summary(parts[-1])), flush=True)
    every = summary(pd.concat(parts))
    print(f"\nall sets\n\n{markdown(every)}\n\nmean of sets\n")
    print(markdown(every.groupby(["strategy", "labels"], sort=False).mean()))
    print(f"\nlargest cost {every['cost'].max():.3f}, largest harm {every['harm'].max():.3f}")


if __name__ == "__main__":
    main()
