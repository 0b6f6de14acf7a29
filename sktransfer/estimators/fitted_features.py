r"""Features in which rows are compared behind a fit: those of its network, or the columns that its last step gets.

::

    X --> steps of the pipeline before the last --> frozen network (``backbone_``) --> features, compared by angle
                                                \\-> columns, windows one after the other (no network)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from sktransfer.estimators.feature_extractor import FeatureExtractor
from sktransfer.utils.checksums import Checksummed

_TINY = 1e-12


class FittedFeatures(Checksummed):
    """Features of what a fitted estimator gets.

    Parameters
    ----------
    fitted : estimator or Pipeline
    X : array-like of shape (n_samples, ...)
        Some rows, as `fitted` takes them.
    """

    def __init__(self, fitted: Any, X: Any):
        network = getattr(last_step(fitted), "backbone_", None)
        self.extractor = None if network is None else FeatureExtractor(network).fit(before_last(fitted, X))

    def of(self, fitted: Any, X: Any) -> np.ndarray:
        """Features of shape (n_samples, n_features), float64."""
        X = before_last(fitted, X)
        rows = np.asarray(X if self.extractor is None else self.extractor.transform(X), dtype=np.float64)
        return rows.reshape(len(rows), -1)


def last_step(fitted: Any) -> Any:
    """The estimator behind the steps of a pipeline."""
    return fitted.steps[-1][1] if isinstance(fitted, Pipeline) else fitted


def before_last(fitted: Any, X: Any) -> Any:
    """What the last step of a pipeline gets."""
    return fitted[:-1].transform(X) if isinstance(fitted, Pipeline) and len(fitted.steps) > 1 else X


def directions(F: np.ndarray) -> np.ndarray:
    """Rows of length 1: half the squared distance of two is one minus their cosine."""
    return np.asarray(F / np.maximum(np.linalg.norm(F, axis=1, keepdims=True), _TINY))


def deviations(F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each column; the scale of a column that does not vary is 1."""
    mean, spread = F.mean(axis=0), F.std(axis=0)
    return mean, np.where(spread > 1e-6 * np.maximum(np.abs(mean), _TINY), spread, 1.0)
