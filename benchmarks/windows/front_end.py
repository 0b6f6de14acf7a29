"""Peers with the same means: this package's front ends and plain statistics, without a pretrained network.

What a front end computes is signal processing and not transfer. Beside these peers one sees what the learned layers
add to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.windows.bearings import LABELS, ByBearing
from benchmarks.windows.contrasts import contrasts, simulated_windows
from benchmarks.windows.few_labels import Method
from benchmarks.windows.ours import OneLabel, features_of, shipped
from benchmarks.windows.process import Skab, tep_statistics
from sktransfer.preprocessing.envelope_spectra import N_LINES, N_VIEWS

CS = (0.01, 0.1, 1.0, 10.0)
WINDOW = 60  # rows of a window of SKAB


def trees(random_state: int) -> ExtraTreesClassifier:
    """300 extra trees, one job."""
    return ExtraTreesClassifier(300, random_state=random_state, n_jobs=1)


def logistic(random_state: int, C: float = 1.0) -> Pipeline:
    """Standardised rows."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))


def logistic_by_bearing(random_state: int) -> GridSearchCV:
    """The same, C chosen with one size of fault left out: windows of one bearing say nothing of the next."""
    choices = {"logisticregression__C": list(CS)}
    return GridSearchCV(logistic(random_state), choices, cv=LeaveOneGroupOut(), scoring="balanced_accuracy")


def readings(windows: Any) -> np.ndarray:
    """Readings at fault orders by `EnvelopeSpectra`, mean over channels: (n_windows, N_VIEWS * N_LINES)."""
    return shipped("vibration").prepare(windows)[:, :, : N_VIEWS * N_LINES].mean(axis=1)


def scalars(windows: Any) -> np.ndarray:
    """The features of "vibration" that the network passes as they are: scalars of the front end, nothing learned."""
    return features_of(windows)[:, -n_scalars() :]


def n_scalars() -> int:
    """How many features of "vibration" are scalars of the front end: their mean and their largest over channels."""
    return 2 * shipped("vibration").network["arguments"]["n_passed"]


def end_to_end() -> dict[str, Any]:
    """For `bearings.end_to_end`: random_state -> classifier of windows."""
    return {
        "fault-order readings + extra trees": ByBearing(trees, readings),
        "fault-order readings + logistic regression, C by bearing": ByBearing(
            logistic_by_bearing, readings, groups=True
        ),
        "scalars of the front end + logistic regression": ByBearing(logistic, scalars),
    }


def on_windows() -> dict[str, Any]:
    """For `bearings.on_windows`: random_state -> multi-label classifier of windows."""
    return {
        name: ByBearing(_one_label(method.make), method.prepare, method.groups) for name, method in end_to_end().items()
    }


def _one_label(make: Callable[[int], Any]) -> Callable[[int], OneLabel]:
    return lambda random_state: OneLabel(make(random_state))


class OnSimulated(ClassifierMixin, BaseEstimator):
    """Logistic regression on simulated contrasts: what is fitted here, is looked at by nobody."""

    def fit(self, X: np.ndarray, Y: np.ndarray) -> OnSimulated:
        """Nothing is learned of `X`."""
        self.classifier_ = _simulated_logistic()
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probability of each of the three labels, (n, 3)."""
        found = self.classifier_.predict_proba(X)
        return found[:, [list(self.classifier_.classes_).index(label) for label in LABELS]]


@cache
def _simulated_logistic() -> Pipeline:
    X, y = simulated_windows()
    return logistic(0).fit(X, y)


def on_features() -> dict[str, Any]:
    """For `bearings.on_features`: random_state -> multi-label classifier of the 20 features."""
    return {
        "logistic regression on simulated contrasts, no network": ByBearing(lambda seed: OnSimulated(), contrasts),
        "logistic regression on the contrasts, C by bearing": ByBearing(
            _one_label(logistic_by_bearing), contrasts, groups=True
        ),
    }


def few_labels() -> dict[str, Method]:
    """For `few_labels.few_labels`: a `Method` each."""

    def front_end_scalars(source: np.ndarray) -> Callable:
        return scalars

    def all_features(source: np.ndarray) -> Callable:
        return features_of

    def learned(source: np.ndarray) -> Callable:
        return lambda X: features_of(X)[:, : -n_scalars()]

    return {
        "scalars of the front end + logistic regression": Method(logistic, front_end_scalars),
        "features of vibration + logistic regression": Method(logistic, all_features),
        "learned features of vibration + logistic regression": Method(logistic, learned),
    }


def tep() -> dict[str, Callable]:
    """For `process.tep_modes`: extra trees on window statistics of the sources and the labelled windows."""
    return {"extra trees on window statistics, sources and labels": tep_statistics(trees, weight=None)}


def six_statistics(recording: Skab) -> np.ndarray:
    """Mean, deviation, minimum, maximum, last value and slope of each tag, of the window that ends at a scored row."""
    values = recording.values.astype(np.float64)
    healthy = values[: recording.reference]
    deviation = healthy.std(axis=0)
    scaled = (values - healthy.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    windows = Skab(scaled, recording.y, recording.reference).windows(WINDOW)
    ramp = np.linspace(-1.0, 1.0, windows.shape[2])
    slope = windows @ ramp / (ramp @ ramp)
    parts = [windows.mean(2), windows.std(2), windows.min(2), windows.max(2), windows[:, :, -1], slope]
    return np.concatenate(parts, axis=1)


def skab_trees(sources: list[Skab], targets: list[Skab], random_state: int) -> list[np.ndarray]:
    """A `SkabMethod`: extra trees on six statistics of each tag."""
    X = np.concatenate([six_statistics(recording) for recording in sources])
    y = np.concatenate([recording.y[recording.reference :] for recording in sources])
    model = trees(random_state).fit(X[::4], y[::4])
    return [model.predict_proba(six_statistics(recording))[:, 1] for recording in targets]


def skab_distance(sources: list[Skab], targets: list[Skab], random_state: int) -> list[np.ndarray]:
    """A `SkabMethod` without a source: how far the window's means are from the healthy start, in its deviations."""
    n_tags = targets[0].values.shape[1]
    return [np.linalg.norm(six_statistics(recording)[:, :n_tags], axis=1) for recording in targets]


def skab() -> dict[str, Callable]:
    """For `process.skab_groups`: a `SkabMethod` each."""
    return {
        "six statistics of windows + extra trees": skab_trees,
        "distance from the healthy start, no source": skab_distance,
    }
