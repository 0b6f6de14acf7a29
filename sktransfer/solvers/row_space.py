"""The rows of a linear problem in the orthogonal directions that they span, and a solved head on the features.

::

    standardised features (n, d) --> rows [features / sqrt(d), 1] --> orthogonal directions (n, r), r <= min(n, d + 1)
    change of the head in directions (r, n_outputs) --> weight (n_outputs, d) and bias (n_outputs,)

The division by ``sqrt(d)`` gives an average row the same length for every number of features, so that one grid of
alphas serves all backbones. The optimum lies in the span of the rows, so that fewer rows than features make a smaller
problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass
class Solution:
    """A solved head on standardised features.

    Parameters
    ----------
    weight : ndarray of shape (n_outputs, d)
    bias : ndarray of shape (n_outputs,)
        Both are already divided by `temperature`.
    alpha : float
        Strength of the penalty towards the source head that the problem was solved with.
    n_iter : int
        Iterations of the solver, at least 1.
    temperature : float, default=1.0
    """

    weight: np.ndarray
    bias: np.ndarray
    alpha: float
    n_iter: int
    temperature: float = 1.0

    def at(self, temperature: float) -> Solution:
        """The same head with its outputs divided by `temperature`."""
        weight, bias = self.weight / temperature, self.bias / temperature
        return replace(self, weight=weight, bias=bias, temperature=temperature)


class RowSpace:
    """Rows in at most ``min(n, d + 1)`` orthogonal directions, the longest first; distances are kept.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Standardised features, float64.

    Attributes
    ----------
    rows : ndarray of shape (n_samples, n_directions)
        Coordinates of the rows in the directions.
    """

    def __init__(self, features: np.ndarray):
        n_rows, n_features = features.shape
        rows = np.column_stack([features / np.sqrt(n_features), np.ones(n_rows)])
        if n_rows < n_features + 1:
            values, vectors = np.linalg.eigh(rows @ rows.T)
            keep = np.flatnonzero(values > values[-1] * 1e-12)[::-1]
            lengths = np.sqrt(values[keep])
            self.rows = vectors[:, keep] * lengths
            self._back = rows.T @ (vectors[:, keep] / lengths)
        else:
            values, vectors = np.linalg.eigh(rows.T @ rows)
            keep = np.flatnonzero(values > values[-1] * 1e-12)[::-1]
            self._back = vectors[:, keep]
            self.rows = rows @ self._back

    def solution(self, change: np.ndarray, n_iter: int, W0: np.ndarray, b0: np.ndarray, alpha: float) -> Solution:
        """The head ``(W0, b0)`` plus a change of shape (n_directions, n_outputs), on standardised features."""
        full = (self._back @ change).T
        weight, bias = full[:, :-1] / np.sqrt(full.shape[1] - 1), full[:, -1]
        return Solution(W0 + weight, b0 + bias, alpha, max(1, n_iter))
