"""Linear heads by least squares with a penalty towards a given head, in closed form.

::

    rows r_i = [standardised features / sqrt(d), 1],  outputs L_i of the given head,  change D of the head
        values:   minimise  sum_i w_i |L_i + r_i D - y_i|^2 + alpha |D|^2
        classes:  the same with the codes y_i = (onehot(class) - 1 / n_classes) / g, in units of the given head
                  leave-one-out outputs in closed form --> alpha and temperature T --> logits (L + r D) / T

An infinite alpha gives D = 0: the given head as it is.
"""

from __future__ import annotations

import numpy as np

from sktransfer.solvers.row_space import RowSpace, Solution
from sktransfer.solvers.temperature import choose_temperature

RIDGE_ALPHAS = np.r_[np.inf, 10.0 ** np.arange(3.0, -3.25, -0.5)]
# One label a class must be able to change the head, so that infinity is left to those who ask for it.
CLASS_ALPHAS = 10.0 ** np.arange(2.0, -3.25, -0.5)
_CODE_PER_LOGIT = 0.1  # g where there is no source head; source heads have 0.05 to 0.07
_CODES_PER_LOGIT = 0.03, 0.3  # bounds of g: a source head that explains nothing must not set the scale


class LeastSquares:
    """``sum_i w_i |r_i D - residual_i|^2 + alpha |D|^2`` for many values of alpha from one decomposition."""

    def __init__(self, rows: np.ndarray, residual: np.ndarray, weight: np.ndarray):
        self.residual, self.weight, self.root = residual, weight, np.sqrt(weight)[:, None]
        self.left, self.singular, self.right = np.linalg.svd(rows * self.root, full_matrices=False)
        self.target = self.left.T @ (residual * self.root)

    def change(self, alpha: float) -> np.ndarray:
        """D at the optimum, shape (n_directions, n_outputs)."""
        return self.right.T @ ((self.singular / (self.singular**2 + alpha))[:, None] * self.target)

    def left_out(self, alpha: float, copies: np.ndarray | float = 1.0) -> np.ndarray:
        """Residual of each row in a fit without it, or without one of its `copies`, times the root of its weight."""
        kept = self.singular**2 / (self.singular**2 + alpha)
        left_over = self.residual * self.root - self.left @ (kept[:, None] * self.target)
        leverage = ((self.left**2) @ kept) / copies
        return left_over / (1.0 - np.minimum(leverage, 1 - 1e-9))[:, None]

    def left_out_groups(self, alpha: float, groups: list[np.ndarray]) -> np.ndarray:
        """Residual of each row in a fit without its group, times the root of its weight; `groups` hold row numbers."""
        kept = self.singular**2 / (self.singular**2 + alpha)
        left_over = self.residual * self.root - self.left @ (kept[:, None] * self.target)
        found = np.empty_like(left_over)
        for rows in groups:
            inside = self.left[rows]
            found[rows] = np.linalg.solve(np.eye(len(rows)) - (inside * kept) @ inside.T, left_over[rows])
        return found


def solve_ridge(
    features: np.ndarray, values: np.ndarray, weight: np.ndarray, W0: np.ndarray, b0: np.ndarray, alpha: float | str
) -> Solution:
    """Least-squares head with a penalty towards ``(W0, b0)``, in closed form.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Standardised features, float64.
    values : ndarray of shape (n_samples, n_outputs)
        Standardised labels.
    weight, W0, b0
        As in :func:`sktransfer.solvers.logistic.solve_softmax`.
    alpha : float or "auto"
        Strength of the penalty. ``"auto"`` takes the candidate with the smallest weighted leave-one-out error, which
        least squares give in closed form. Infinity, the head ``(W0, b0)`` as it is, is among the candidates.

    Returns
    -------
    Solution
    """
    space = RowSpace(features)
    problem = LeastSquares(space.rows, values - (features @ W0.T + b0), weight)
    alphas = RIDGE_ALPHAS if alpha == "auto" else np.array([max(float(alpha), 1e-9)])
    # a row of weight w counts as w copies; a fit without one copy loses 1/w of the row's leverage
    errors = [float(np.mean(problem.left_out(candidate, copies=weight) ** 2)) for candidate in alphas]
    best = float(alphas[int(np.argmin(errors))])
    return space.solution(problem.change(best), 1, W0, b0, best)


def solve_ridge_classes(
    features: np.ndarray, codes: np.ndarray, weight: np.ndarray, W0: np.ndarray, b0: np.ndarray, alpha: float | str
) -> Solution:
    """One-vs-rest least squares on class codes with a penalty towards ``(W0, b0)``, as logits.

    The codes are divided by the slope of their regression on the logits of the source head. They then have the scale
    of logits, and an infinite alpha with a temperature of 1 is the source head.

    Parameters
    ----------
    features, codes, weight, W0, b0
        As in :func:`sktransfer.solvers.logistic.solve_softmax`.
    alpha : float or "auto"
        Strength of the penalty. ``"auto"`` takes the candidate whose leave-one-out logits are most likely at their best
        temperature; least squares give them in closed form. Infinity is the head ``(W0, b0)`` as it is.

    Returns
    -------
    Solution

    References
    ----------
    Rifkin and Klautau (2004). In defense of one-vs-all classification. Journal of Machine Learning Research 5,
    101-141.
    """
    if alpha == np.inf:
        return Solution(W0, b0, np.inf, 1)
    space, onehot = RowSpace(features), np.eye(len(b0))[codes]
    start = features @ W0.T + b0
    start -= start.mean(axis=1, keepdims=True)
    centered = onehot - 1.0 / len(b0)
    length = float(weight @ (start**2).sum(axis=1))
    slope = float(weight @ (centered * start).sum(axis=1)) / length if length > 0 else 0.0
    values = centered / (np.clip(slope, *_CODES_PER_LOGIT) if length > 0 else _CODE_PER_LOGIT)
    problem = LeastSquares(space.rows, values - start, weight)
    found = []
    for candidate in CLASS_ALPHAS if alpha == "auto" else [max(float(alpha), 1e-9)]:
        held_out = values - problem.left_out(candidate) / problem.root
        temperature, score = choose_temperature(held_out, onehot, weight)
        found.append((score, float(candidate), temperature))
    _, best, temperature = max(found, key=lambda one: one[0])
    return space.solution(problem.change(best), 1, W0, b0, best).at(temperature)
