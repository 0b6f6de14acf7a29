"""Protocols on process data: Tennessee Eastman from three modes to the fourth, SKAB from group to group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from benchmarks.windows.features import doubly_scaled, window_statistics
from benchmarks.windows.loaders import SKAB_SENSORS, WindowSet, skab, tep

# A method of `tep_modes`: (sources, target, labelled, random_state) -> predicted class of every window of the target.
# `sources` are the modes with their labels; of `target.y` it may read the healthy windows (0) and `labelled`, indices
# of windows of the target; no other label.
TepMethod = Callable[[list[WindowSet], WindowSet, np.ndarray, int], np.ndarray]


def tep_modes(folder: Path, methods: dict[str, TepMethod], labels=(0, 1, 5), draws: int = 10, **cut) -> pd.DataFrame:
    """Three modes -> the fourth, 26 classes, all four targets, balanced accuracy.

    With n labels a class, n windows of each class are drawn from those that end inside the first third of their run
    (all of them if there are fewer: 4 in the shortest run), and the score is on windows that start after that third;
    windows of the label part never share a row with scored ones. Without labels the score is on every window
    ("all") and, to compare with few labels, on the same later ones ("rest"). The target's windows are there
    unlabelled at all times, its run of class 0 is known to be healthy.

    Returns
    -------
    DataFrame
        Columns target, method, labels, draw, scored ("all" or "rest"), score.
    """
    modes, found = tep(folder, **cut), []
    for target_mode, target in modes.items():
        sources = [windows for mode, windows in modes.items() if mode != target_mode]
        early, rest = thirds(target)
        for n in labels:
            for draw in range(draws if n else 1):
                labelled = draw_labels(target.y, early, n, draw)
                for name, method in methods.items():
                    predicted = method(sources, target, labelled, draw)
                    parts = {"rest": rest} if n else {"all": np.ones(len(target), dtype=bool), "rest": rest}
                    for scored, mask in parts.items():
                        score = balanced_accuracy_score(target.y[mask], predicted[mask])
                        found.append((target_mode, name, n, draw, scored, score))
    return pd.DataFrame(found, columns=["target", "method", "labels", "draw", "scored", "score"])


def thirds(windows: WindowSet) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the windows inside the first third of their run, and of those that start after it."""
    start, boundary = windows.info["start"].to_numpy(), windows.info["n_rows"].to_numpy() / 3
    return start + windows.X.shape[2] <= boundary, start >= boundary


def draw_labels(y: np.ndarray, pool: np.ndarray, n: int, draw: int) -> np.ndarray:
    """Indices of n members of `pool` (a mask) of each class, or of all where there are fewer."""
    random = np.random.default_rng(draw)
    chosen = [random.permutation(np.flatnonzero(pool & (y == label)))[:n] for label in np.unique(y)]
    return np.sort(np.concatenate(chosen))


def tep_statistics(make: Callable[[int], Any] | None = None, weight: float | None = 1.0) -> TepMethod:
    """A classifier of window statistics, doubly scaled, on source and labelled target windows together.

    Parameters
    ----------
    make : callable, optional
        random_state -> classifier; None: logistic regression.
    weight : float or None, default=1.0
        How many times as much as the source's the labelled windows of the target weigh together; None: each window
        weighs the same.
    """
    cached: dict[int, np.ndarray] = {}

    def rows_of(windows: WindowSet) -> np.ndarray:
        if id(windows.y) not in cached:
            cached[id(windows.y)] = doubly_scaled(window_statistics(windows.X), windows.y == 0)
        return cached[id(windows.y)]

    def method(sources, target, labelled, random_state):
        rows = np.concatenate([rows_of(source) for source in sources] + [rows_of(target)[labelled]])
        y = np.concatenate([source.y for source in sources] + [target.y[labelled]])
        n_source = len(y) - len(labelled)
        weights = np.ones(len(y))
        if len(labelled) and weight is not None:
            weights[n_source:] = weight * n_source / len(labelled)
        classifier = LogisticRegression(max_iter=300) if make is None else make(random_state)
        return classifier.fit(rows, y, sample_weight=weights).predict(rows_of(target))

    return method


def tep_target_only() -> TepMethod:
    """Logistic regression on the same features of the labelled target windows alone; chance without labels."""

    def method(sources, target, labelled, random_state):
        if not len(labelled):
            return np.zeros(len(target), dtype=target.y.dtype)
        rows = doubly_scaled(window_statistics(target.X), target.y == 0)
        return LogisticRegression(max_iter=300).fit(rows[labelled], target.y[labelled]).predict(rows)

    return method


@dataclass
class Skab:
    """One recording: `values` (n, 8), `y` (n,), and its first `reference` rows, known to be healthy and not scored."""

    values: np.ndarray
    y: np.ndarray
    reference: int

    def windows(self, length: int = 60) -> np.ndarray:
        """The window that ends at each scored row: (n - reference, 8, length)."""
        if length > self.reference + 1:
            raise ValueError(f"windows of {length} rows need {length - 1} rows before the first scored one")
        ending = np.lib.stride_tricks.sliding_window_view(self.values, length, axis=0)
        return ending[self.reference - length + 1 :].astype(np.float32)


# A method of `skab_groups`: (source recordings, target recordings, random_state) -> one array of scores a recording of
# the target, high where anomalous, one score for each row after the reference. It may read `y` of the sources, and of
# the targets only that the reference rows are healthy.
SkabMethod = Callable[[list[Skab], list[Skab], int], list[np.ndarray]]


def skab_recordings(folder: Path, reference: int = 100) -> dict[str, list[Skab]]:
    """Recordings by group.

    SKAB's own detectors fit on the first 400 rows of each file; one file of group "other" is anomalous from row 104 on,
    so the default is 100 rows, which are normal in every file.
    """
    return {
        group: [
            Skab(part[list(SKAB_SENSORS)].to_numpy(), part["anomaly"].to_numpy().astype(int), reference)
            for part in parts
        ]
        for group, parts in skab(folder).items()
    }


def skab_groups(folder: Path, methods: dict[str, SkabMethod], reference: int = 100, draws: int = 1) -> pd.DataFrame:
    """Every ordered pair of groups, AUC.

    Columns task, method, draw, score (all scored rows of the target's recordings together) and score_by_recording (mean
    of the AUCs of single recordings).
    """
    groups, found = skab_recordings(folder, reference), []
    for source, sources in groups.items():
        for target, targets in groups.items():
            if source == target:
                continue
            truth = [recording.y[reference:] for recording in targets]
            for name, method in methods.items():
                for draw in range(draws):
                    scores = method(sources, targets, draw)
                    pooled = roc_auc_score(np.concatenate(truth), np.concatenate(scores))
                    single = [roc_auc_score(y, s) for y, s in zip(truth, scores, strict=True) if 0 < y.mean() < 1]
                    found.append((f"{source} -> {target}", name, draw, pooled, float(np.mean(single))))
    return pd.DataFrame(found, columns=["task", "method", "draw", "score", "score_by_recording"])


def skab_rows(scaled: bool = False) -> SkabMethod:
    """Random forest on single rows; scaled=True: each recording by the mean and deviation of its reference rows."""

    def rows_of(recording: Skab) -> np.ndarray:
        values = recording.values
        if scaled:
            healthy = values[: recording.reference]
            values = (values - healthy.mean(axis=0)) / (healthy.std(axis=0) + 1e-9)
        return values

    def method(sources, targets, random_state):
        X = np.concatenate([rows_of(recording) for recording in sources])
        y = np.concatenate([recording.y for recording in sources])
        forest = RandomForestClassifier(100, random_state=random_state, n_jobs=1).fit(X, y)
        return [forest.predict_proba(rows_of(recording)[recording.reference :])[:, 1] for recording in targets]

    return method


def skab_clock(sources: list[Skab], targets: list[Skab], random_state: int) -> list[np.ndarray]:
    """The row's number in its recording and nothing else: what the layout of the recordings gives away."""
    return [np.arange(recording.reference, len(recording.y), dtype=float) for recording in targets]
