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
    every_block : bool, default=False
        Directions of every block's output side by side, in place of the features of the last block. Of a network of
        windows the last block alone: the others return a number for each moment.
    """

    def __init__(self, fitted: Any, X: Any, every_block: bool = False):
        network = getattr(last_step(fitted), "backbone_", None)
        self.extractors, self.every_block = [], every_block
        if network is not None:
            before = network.blocks[:-1] if every_block and network.n_dimensions == 2 else ()
            X = before_last(fitted, X)
            self.extractors = [FeatureExtractor(network, block=block).fit(X) for block in (*before, None)]

    @property
    def of_network(self) -> bool:
        """Whether there is a network; else the features are columns."""
        return len(self.extractors) > 0

    def of(self, fitted: Any, X: Any) -> np.ndarray:
        """Features of shape (n_samples, n_features), float64."""
        X = before_last(fitted, X)
        if not self.of_network:
            rows = np.asarray(X, dtype=np.float64)
            return rows.reshape(len(rows), -1)
        parts = [extractor.transform(X).astype(np.float64) for extractor in self.extractors]
        return np.hstack([directions(part) for part in parts]) if self.every_block else parts[0]


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
