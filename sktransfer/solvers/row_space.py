"""Rows of a linear problem in as few directions as they span, and a solved head back on the features.

::

    standardised features (n, d) --> rows [features / sqrt(d), 1] --> orthogonal directions (n, r), r <= min(n, d + 1)
    change of the head in directions (r, n_outputs) --> weight (n_outputs, d) and bias (n_outputs,)

Dividing by ``sqrt(d)`` makes an average row of unit length whatever the number of features, so that one grid of
strengths serves all backbones. With fewer rows than features the problem is solved in the span of the rows, which
holds the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass
class Solution:
    """A solved head on standardised features: weight (n_outputs, d), bias (n_outputs,), the pull it was solved with.

    Weight and bias are divided by `temperature` already.
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


class _Reduced:
    """Rows in at most ``min(n, d + 1)`` orthogonal directions, largest first; distances are kept."""

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

    def change(self, reduced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Change of weight (n_outputs, d) and bias (n_outputs,) for standardised features."""
        full = (self._back @ reduced).T
        return full[:, :-1] / np.sqrt(full.shape[1] - 1), full[:, -1]


def solution_of(
    reduced: _Reduced, change: np.ndarray, n_iter: int, W0: np.ndarray, b0: np.ndarray, alpha: float
) -> Solution:
    """The head ``(W0, b0)`` plus a change in reduced directions."""
    weight, bias = reduced.change(change)
    return Solution(W0 + weight, b0 + bias, alpha, max(1, n_iter))
