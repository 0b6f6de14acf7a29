"""Few labels across a shift: HIT-SM and fan from speed to speed, motors from motor to motor.

Two readings of "n labels a class", n = 1, 5, 20:

source   n labelled windows a class are drawn from the source domain's recordings, nothing of the target is labelled;
         scored on all windows of the target. (The headline.)
target   every window of the source is labelled, and n windows a class are drawn from the label part of the target;
         scored on the rest of the target. Label part: the first half of each recording in time, one window of gap
         (HIT-SM, fan), or every other recording of each class (motors, where there are many). Classes with fewer
         windows in their label part give all of them (HIT-SM: 12).

Windows are cut inside recordings and do not overlap. Draws are the same for every method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline

from benchmarks.windows.loaders import WindowSet, fan, hit, motors

READINGS = ("source", "target")
FAN_SPEEDS = (30, 50, 70, 90)


@dataclass
class Method:
    """A way to learn from labelled windows.

    Parameters
    ----------
    make : callable
        random_state -> classifier. It is fitted on the n labelled windows a class.
    prepare : callable, optional
        source windows, unlabelled -> function of windows to rows. Rows are made once a task; without it the classifier
        gets the windows.
    with_source : callable, optional
        (source WindowSet, random_state) -> classifier, in reading "target" instead of `make`; `source.X` holds the
        prepared rows. It is fitted on the target's labelled windows. Without it the method ignores the source.
    """

    make: Callable[[int], Any]
    prepare: Callable[[np.ndarray], Callable] | None = None
    with_source: Callable[[WindowSet, int], Any] | None = None


class Pooled:
    """A classifier of rows fitted on source and target together; the target's rows weigh as much as the source's."""

    def __init__(self, classifier: Any, source: WindowSet) -> None:
        self.classifier, self.source = classifier, source

    def fit(self, X, y):
        """Fit on the source and these."""
        weights = np.r_[np.ones(len(self.source)), np.full(len(y), len(self.source) / len(y))]
        last = f"{self.classifier.steps[-1][0]}__" if isinstance(self.classifier, Pipeline) else ""
        rows = np.concatenate([np.asarray(self.source.X), np.asarray(X)])
        self.classifier.fit(rows, np.concatenate([self.source.y, y]), **{f"{last}sample_weight": weights})
        return self

    def predict(self, X):
        """Class of each row."""
        return self.classifier.predict(X)


def pooled(make: Callable[[int], Any]) -> Callable[[WindowSet, int], Pooled]:
    """For `Method.with_source`."""
    return lambda source, random_state: Pooled(make(random_state), source)


def tasks(folder: Path, names=("hit", "fan", "motors")) -> dict[str, tuple[WindowSet, WindowSet]]:
    """Source and target of each task: 6 of HIT-SM, 12 of the fan (30, 50, 70, 90 %), 2 of the motors."""
    found = {}
    for name in names:
        data = {"hit": hit, "fan": fan, "motors": motors}[name](folder)
        domain = data.info["domain"].to_numpy()
        domains = FAN_SPEEDS if name == "fan" else sorted(set(domain))
        for source, target in permutations(domains, 2):
            found[f"{name} {source} -> {target}"] = (data[domain == source], data[domain == target])
    return found


def label_part(windows: WindowSet, by_recording: bool) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the windows that may be labelled and of those that are scored; see the top of this file."""
    may, scored = np.zeros(len(windows), dtype=bool), np.zeros(len(windows), dtype=bool)
    for label in np.unique(windows.y):
        of_label = np.flatnonzero(windows.y == label)
        recordings = list(dict.fromkeys(windows.groups[of_label]))
        for i, recording in enumerate(recordings):
            members = of_label[windows.groups[of_label] == recording]
            half = len(members) // 2
            if by_recording:
                (may if i % 2 == 0 else scored)[members] = True
            else:
                may[members[:half]] = True
                scored[members[half + 1 :]] = True
    return may, scored


def draw(y: np.ndarray, may: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Indices of n members of `may` (a mask) of each class, all of them where there are fewer, sorted."""
    random = np.random.default_rng(seed)
    chosen = [random.permutation(np.flatnonzero(may & (y == label)))[:n] for label in np.unique(y)]
    return np.sort(np.concatenate(chosen))


def few_labels(
    found_tasks: dict[str, tuple[WindowSet, WindowSet]],
    methods: dict[str, Method],
    labels=(1, 5, 20),
    draws: int = 10,
    reading: str = "source",
) -> pd.DataFrame:
    """Balanced accuracy on the target. Columns task, method, labels, draw, score."""
    if reading not in READINGS:
        raise ValueError(f"reading is one of {READINGS}, got {reading!r}")
    found = []
    for task, (source, target) in found_tasks.items():
        for name, method in methods.items():
            source_, target_ = _prepared(method, source, target)
            for n in labels:
                for seed in range(draws):
                    score = _score(method, source_, target_, n, seed, reading, task.startswith("motors"))
                    found.append((task, name, n, seed, score))
    return pd.DataFrame(found, columns=["task", "method", "labels", "draw", "score"])


def _prepared(method: Method, source: WindowSet, target: WindowSet) -> tuple[WindowSet, WindowSet]:
    if method.prepare is None:
        return source, target
    rows = method.prepare(source.X)
    return tuple(WindowSet(rows(part.X), part.y, part.groups, part.place, part.info) for part in (source, target))


def _score(method: Method, source: WindowSet, target: WindowSet, n, seed, reading, by_recording) -> float:
    if reading == "source":
        chosen = draw(source.y, np.ones(len(source), dtype=bool), n, seed)
        classifier = method.make(seed).fit(source.X[chosen], source.y[chosen])
        return balanced_accuracy_score(target.y, classifier.predict(target.X))
    may, scored = label_part(target, by_recording)
    chosen = draw(target.y, may, n, seed)
    classifier = method.with_source(source, seed) if method.with_source else method.make(seed)
    classifier.fit(target.X[chosen], target.y[chosen])
    return balanced_accuracy_score(target.y[scored], classifier.predict(target.X[scored]))


def mean_ranks(scores: pd.DataFrame, by_set: bool = False) -> pd.DataFrame:
    """Rank of each method in each task by its mean over draws (1 is best, ties share), averaged over tasks.

    Methods down, numbers of labels across. by_set=True averages inside each data set first, so that the set with the
    most tasks does not decide.
    """
    means = scores.groupby(["labels", "task", "method"])["score"].mean().unstack("method")
    ranks = means.round(9).rank(axis=1, ascending=False, method="average")  # ties are ties, whatever the last digits
    if by_set:
        sets = ranks.index.get_level_values("task").str.split(" ").str[0]
        ranks = ranks.groupby([ranks.index.get_level_values("labels"), sets]).mean()
    return ranks.groupby(level="labels").mean().T
