"""The methods of this package on windows of process tags: Tennessee Eastman and SKAB.

What is chosen here was chosen on other rows than the scored ones: `python -m benchmarks.windows.choices`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.windows.loaders import WindowSet
from benchmarks.windows.ours import shipped
from sktransfer import BaselineScaler, FeatureExtractor

SHRINKAGE, WEIGHT = 0.3, 5  # of the discriminant on process features; of a labelled window of the target
WINDOW = 60  # rows of a window of SKAB
N_STATISTICS = 11  # features of a tag that the network computes and did not learn; the others are its code


def raw_tag_features(X: np.ndarray, healthy: np.ndarray | None = None) -> np.ndarray:
    """Features of each tag by "process", (n_windows, n_tags * n_features), of windows scaled by the healthy ones.

    `healthy` is a mask; None: the windows come in healthy deviations.
    """
    if healthy is not None:
        X = BaselineScaler().fit(X[healthy]).transform(X)
    features = FeatureExtractor(shipped("process"), block="tag").fit_transform(X)
    return features.reshape(len(X), -1)


def tag_features(windows: WindowSet, which: slice = slice(None), healthy_only: bool = False) -> np.ndarray:
    """Features of each tag by "process": a plant is scaled by its healthy windows, its features by all its windows.

    All its windows are the unlabelled ones, too, which are faulty for the most part; healthy_only=True scales the
    features by healthy windows alone.
    """
    X = np.asarray(windows.X)
    features = raw_tag_features(X, windows.y == 0).reshape(len(X), X.shape[1], -1)
    features = features[:, :, which].reshape(len(X), -1)
    scaler = StandardScaler().fit(features[windows.y == 0] if healthy_only else features)
    return np.clip(scaler.transform(features), -5, 5)


def tep_discriminant(which: slice = slice(None), healthy_only: bool = False) -> Callable:
    """A `TepMethod`: shrunk linear discriminant on tag features, source windows and labelled ones of the target."""
    cached: dict[int, np.ndarray] = {}

    def rows_of(windows: WindowSet) -> np.ndarray:
        if id(windows.y) not in cached:
            cached[id(windows.y)] = tag_features(windows, which, healthy_only)
        return cached[id(windows.y)]

    def method(sources, target, labelled, random_state):
        repeated = np.tile(labelled, WEIGHT)
        rows = np.concatenate([rows_of(source) for source in sources] + [rows_of(target)[repeated]])
        y = np.concatenate([source.y for source in sources] + [target.y[repeated]])
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(rows, y)
        return model.predict(rows_of(target))

    return method


def tep() -> dict[str, Callable]:
    """For `process.tep_modes`: a `TepMethod` each."""
    return {
        "process, tag features + shrunk discriminant": tep_discriminant(),
        "the same, no unlabelled windows of the target": tep_discriminant(healthy_only=True),
        "the same, without the learned code": tep_discriminant(slice(N_STATISTICS)),
        "the same, learned code alone": tep_discriminant(slice(N_STATISTICS, None)),
    }


def skab_tags(recording) -> np.ndarray:
    """Tag features of the window that ends at each scored row; the recording scaled by its healthy start."""
    healthy = recording.values[: recording.reference].astype(np.float64)
    scaled = BaselineScaler().fit(healthy).transform(recording.values.astype(np.float64))
    windows = type(recording)(scaled, recording.y, recording.reference).windows(WINDOW)
    return FeatureExtractor(shipped("process"), block="tag").fit_transform(windows)


def skab_logistic(sources, targets, random_state) -> list[np.ndarray]:
    """A `SkabMethod`: logistic regression on tag features."""
    X = np.concatenate([skab_tags(recording) for recording in sources])
    y = np.concatenate([recording.y[recording.reference :] for recording in sources])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.001, max_iter=300)).fit(X[::4], y[::4])
    return [model.predict_proba(skab_tags(recording))[:, 1] for recording in targets]


def skab() -> dict[str, Callable]:
    """For `process.skab_groups`: a `SkabMethod` each."""
    return {"process, tag features + logistic regression": skab_logistic}
