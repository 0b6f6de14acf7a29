"""What does a network tell of the rows that it was trained on?

    python -m benchmarks.membership ../shared/data [--seeds 5] [--only tep-rows cstr]

Whoever holds a backbone file asks whether a row, whose label he knows, was among those of the fit. He takes the loss of
the row under the network with its source head: rows of the fit have a smaller one (Yeom et al. 2018). Half of the rows
of each class, drawn at random, are fitted by the default `TransferClassifier`; the other half are from the same runs,
so that nothing but membership tells them apart. AUC 0.5 is chance. "found at 1 %" is the share of the members that is
found where one in a hundred of the others is taken for one (Carlini et al. 2022); 0.01 is chance.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.adaptation_sets import FOLDERS, SCORED
from benchmarks.names import markdown
from sktransfer import SHOT, SourceClassifier, SourceFreeClassifier, TransferClassifier

# Rows of the table: set of `adaptation_sets`, rows that are drawn from the source of its first task (None: all).
SETS = (("tep-rows", None), ("tep-rows", 2000), ("tep-rows", 200), ("cstr", None), ("gas", None), ("hit", None))


def tables(folder: Path, only: list[str] | None) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, scaled rows and labels of each table."""
    for name, n_rows in SETS:
        if only and name not in only:
            continue
        if not all((folder / part).is_dir() for part in FOLDERS[name]):
            print(f"{name}: no data in {folder}", flush=True)
            continue
        task = next(SCORED[name](folder))
        X, y = StandardScaler().fit_transform(task.X_source), task.y_source
        if n_rows is not None:
            _, X, _, y = train_test_split(X, y, test_size=n_rows, random_state=0, stratify=y)
        yield f"{name}, {len(X) // 2} rows", X, y


def losses(model: SourceClassifier, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of each row, minus the logarithm of the probability of its label."""
    columns = np.searchsorted(model.classes_, y)
    return -model.predict_log_proba(X)[np.arange(len(y)), columns]


def attack(member: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """How well a threshold on the loss tells members from others.

    Parameters
    ----------
    member, other : ndarray of shape (n_rows,)
        Losses.
    """
    is_member = np.r_[np.ones(len(member)), np.zeros(len(other))]
    # a hundredth of the others lies below
    threshold = np.quantile(other, 0.01)
    return {
        "AUC": float(roc_auc_score(is_member, -np.r_[member, other])),
        "found at 1 %": float(np.mean(member < threshold)),
    }


def networks(X: np.ndarray, y: np.ndarray, seed: int) -> Iterator[tuple[str, SourceClassifier, tuple, tuple]]:
    """What a file may hold, with the rows of its fit and as many others: name, network, members, others."""
    halves = train_test_split(X, y, test_size=0.5, random_state=seed, stratify=y)
    member, other = (halves[0], halves[2]), (halves[1], halves[3])
    source = TransferClassifier(random_state=seed).fit(*member)
    yield "from scratch", SourceClassifier(source.backbone_), member, other
    # a network of the other half that meets this one without labels
    blind = TransferClassifier(random_state=seed).fit(*other).backbone_
    few, rest = train_test_split(np.arange(len(member[1])), test_size=0.5, random_state=seed, stratify=member[1])
    target = [(part[few], part[rest]) for part in member]
    seen, unseen = ((target[0][i], target[1][i]) for i in (0, 1))
    adapted = SourceFreeClassifier(blind, SHOT(), guard=False, random_state=seed).fit(seen[0])
    yield "source-free, rows without labels", SourceClassifier(adapted.backbone_), seen, unseen


def run(folder: Path, n_seeds: int, only: list[str] | None) -> Iterator[pd.DataFrame]:
    """One frame a table: a row a network, means and deviations over seeds."""
    for name, X, y in tables(folder, only):
        found = []
        for seed in range(n_seeds):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for what, model, member, other in networks(X, y, seed):
                    scores = {"right, member": model.score(*member), "right, other": model.score(*other)}
                    found.append({"network": what, **scores, **attack(losses(model, *member), losses(model, *other))})
            print(f"  {name}: seed {seed + 1} of {n_seeds}", flush=True)
        frame = pd.DataFrame(found).groupby("network", sort=False)
        mean, spread = frame.mean(), frame["AUC"].std(ddof=0)
        mean.insert(3, "spread of AUC", spread)
        yield mean.reset_index().assign(rows=name).set_index(["rows", "network"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=None)
    options = parser.parse_args()
    parts = list(run(options.folder, options.seeds, options.only))
    print(markdown(pd.concat(parts)) if parts else "no table")


if __name__ == "__main__":
    main()
