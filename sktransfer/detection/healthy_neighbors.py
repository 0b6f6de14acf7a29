"""HealthyNeighbors: the squared distance from the healthy rows that are nearest."""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.detection.statistic import HealthyStatistic
from sktransfer.utils.checksums import seal


class HealthyNeighbors(HealthyStatistic):
    """Squared distance from the mean of the nearest healthy rows, columns in deviations of the healthy rows.

    It asks for no shape of the healthy rows: a machine with two ways of running is near one or the other.

    Parameters
    ----------
    n_neighbors : int, default=5
        Healthy rows that are looked at; all where there are fewer.

    References
    ----------
    Ramaswamy, Rastogi and Shim (2000). Efficient algorithms for mining outliers from large data sets. Proceedings of
    SIGMOD, 427-438. doi:10.1145/342009.335437.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import HealthyNeighbors
    >>> healthy = np.repeat([[0.0], [10.0]], 50, axis=0) + np.random.default_rng(0).normal(size=(100, 1))
    >>> between, inside = HealthyNeighbors().fit(healthy).distance(np.array([[5.0], [10.0]]))
    >>> bool(between > 100 * inside)
    True
    """

    def __init__(self, n_neighbors=5):
        self.n_neighbors = n_neighbors

    def _fit(self, Z: np.ndarray) -> None:
        self.healthy_ = Z
        self._tree = None

    def __getstate__(self) -> dict[str, Any]:
        # compiled code follows indices in a tree, so that a file holds the rows, and a reader plants a tree of its own
        return seal({key: value for key, value in super().__getstate__().items() if key != "_tree"})

    def _parts(self, Z: np.ndarray) -> np.ndarray:
        from sklearn.neighbors import NearestNeighbors

        tree = getattr(self, "_tree", None)
        if tree is None:
            n_neighbors = min(self.n_neighbors, len(self.healthy_))
            tree = self._tree = NearestNeighbors(n_neighbors=n_neighbors).fit(self.healthy_)
        near = tree.kneighbors(Z, return_distance=False)
        return np.asarray(np.square(Z - self.healthy_[near].mean(axis=1)))
