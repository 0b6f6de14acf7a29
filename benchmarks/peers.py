"""What one would do with the same rows without this package's transfer: pooled, joint, whitened.

Every peer sees what the transfer sees: the source rows with their labels, healthy rows of the target (through the same
scaler) and the labelled rows of the target. None sees a scored row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks.comparison import Method, Target
from sktransfer import FromScratch, TransferClassifier


class Pooled(ClassifierMixin, BaseEstimator):
    """`estimator`, fitted to the source rows and the labelled rows of the target together.

    Parameters
    ----------
    estimator : classifier
    X_source, y_source : rows and labels of the source, scaled
    share : float or None, default=None
        The labelled rows weigh together this share of all weight; None: each row weighs the same.
    """

    def __init__(self, estimator: Any, X_source: np.ndarray, y_source: np.ndarray, share: float | None = None):
        self.estimator = estimator
        self.X_source = X_source
        self.y_source = y_source
        self.share = share

    def fit(self, X: np.ndarray, y: np.ndarray) -> Pooled:
        """Fit to the source rows and to `X`."""
        rows, labels = np.concatenate([self.X_source, X]), np.concatenate([self.y_source, y])
        weights = {}
        if self.share is not None:
            weight = np.full(len(rows), (1 - self.share) / len(self.X_source))
            weight[len(self.X_source) :] = self.share / len(X)
            weights = {"sample_weight": weight * len(rows)}
        self.estimator.fit(rows, labels, **weights)
        self.classes_ = self.estimator.classes_
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Of the fitted estimator."""
        return self.estimator.predict(X)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Of the fitted estimator."""
        return self.estimator.predict_proba(X)


class Whitening(TransformerMixin, BaseEstimator):
    """Scaled rows turned to the principal axes of the healthy rows, each divided by its deviation there.

    A fault that breaks the relation between two sensors moves along an axis on which healthy rows hardly vary.

    Parameters
    ----------
    X_healthy : ndarray of shape (n_healthy, n_columns)
        Scaled healthy rows of the target.
    """

    def __init__(self, X_healthy: np.ndarray):
        self.X_healthy = X_healthy

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Whitening:
        """Axes of the healthy rows; `X` is not looked at."""
        self.center_ = self.X_healthy.mean(axis=0)
        _, deviations, axes = np.linalg.svd(self.X_healthy - self.center_, full_matrices=False)
        deviations = deviations / np.sqrt(len(self.X_healthy))
        self.axes_ = axes.T / np.maximum(deviations, 1e-2 * np.median(deviations))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Coordinates on the axes, of shape (n_samples, n_axes)."""
        return (X - self.center_) @ self.axes_


class WithMagnitudes(TransformerMixin, BaseEstimator):
    """``|z|`` beside ``z``: twice the columns. A line through them can tell "far on either side" from healthy."""

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> WithMagnitudes:
        """Nothing is learned."""
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Array of shape (n_samples, 2 * n_columns)."""
        return np.concatenate([X, np.abs(X)], axis=1)


def pooled(X: np.ndarray, y: np.ndarray, make: Callable[[Any], Any], share: float | None = None) -> Method:
    """The machine's scaler, then ``make(random_state)`` on source and labelled rows together."""
    return lambda target, state: make_pipeline(target.scaler, Pooled(make(state), X, y, share))


def pooled_peers(X: np.ndarray, y: np.ndarray) -> dict[str, Method]:
    """Extra trees and logistic regression on the scaled rows of source and target together.

    Each row weighs the same, or the labelled rows of the target weigh together as much as the source.
    """

    def trees(state: Any) -> Any:
        return ExtraTreesClassifier(random_state=state)

    def logistic(state: Any) -> Any:
        return LogisticRegression(max_iter=2000)

    return {
        "extra trees, pooled": pooled(X, y, trees),
        "extra trees, pooled, labels half the weight": pooled(X, y, trees, 0.5),
        "logistic regression, pooled": pooled(X, y, logistic),
        "logistic regression, pooled, labels half the weight": pooled(X, y, logistic, 0.5),
    }


def joint_network(X: np.ndarray, y: np.ndarray) -> dict[str, Method]:
    """The default network from scratch on source and target, the labelled rows with half of the weight."""

    def make(state: Any) -> Any:
        return TransferClassifier(FromScratch(), random_state=state)

    return {"same network, trained jointly, labels half the weight": pooled(X, y, make, share=0.5)}


def healthy_peers() -> dict[str, Method]:
    """Without the source, by the target's healthy rows: a forest on whitened rows, logistic regression with ``|z|``.

    They need ``target.extra["healthy"]``, healthy rows as they come, before scaling.
    """

    def whitened(target: Target, state: Any) -> Any:
        scaled = target.scaler.transform(target.extra["healthy"])
        return make_pipeline(target.scaler, Whitening(scaled), RandomForestClassifier(random_state=state))

    def magnitudes(target: Target, state: Any) -> Any:
        return make_pipeline(target.scaler, WithMagnitudes(), LogisticRegression(max_iter=2000))

    return {"random forest, whitened by healthy rows": whitened, "logistic regression on z and abs(z)": magnitudes}
