"""Linear heads by least squares, in closed form: values as they are, classes as codes.

::

    rows r_i = [standardised features / sqrt(d), 1],  starting outputs L_i (the source head's),  change D
        values:   sum_i w_i |L_i + r_i D - y_i|^2 + a |D|^2
        classes:  the same with y_i = onehot(class) - 1 / n_classes in units of the source head:  y_i / g
                  leave-one-out scores in closed form --> strength a and temperature T --> logits (L + r D) / T
    a -> infinity gives D = 0: the source head as it is.
"""

from __future__ import annotations

import numpy as np

from sktransfer.solvers.row_space import RowSpace, Solution
from sktransfer.solvers.temperature import choose_temperature

RIDGE_ALPHAS = np.r_[np.inf, 10.0 ** np.arange(3.0, -3.25, -0.5)]
# one label a class must move the head: infinity is left to those who ask for it
CLASS_ALPHAS = 10.0 ** np.arange(2.0, -3.25, -0.5)
_CODE_PER_LOGIT = 0.1  # where no source head says what a logit is worth; source heads measure 0.05 to 0.07
_CODES_PER_LOGIT = 0.03, 0.3  # a source head that explains nothing must not set the scale


class _LeastSquares:
    """``sum_i w_i |r_i D - residual_i|^2 + a |D|^2`` for many strengths ``a`` from one decomposition."""

    def __init__(self, rows: np.ndarray, residual: np.ndarray, weight: np.ndarray):
        self.residual, self.weight, self.root = residual, weight, np.sqrt(weight)[:, None]
        self.left, self.singular, self.right = np.linalg.svd(rows * self.root, full_matrices=False)
        self.target = self.left.T @ (residual * self.root)

    def change(self, strength: float) -> np.ndarray:
        """D at the optimum."""
        return self.right.T @ ((self.singular / (self.singular**2 + strength))[:, None] * self.target)

    def left_out(self, strength: float, copies: np.ndarray | float = 1.0) -> np.ndarray:
        """Each residual after its row, or one of its `copies`, was left out, times the root of its weight."""
        kept = self.singular**2 / (self.singular**2 + strength)
        left_over = self.residual * self.root - self.left @ (kept[:, None] * self.target)
        leverage = ((self.left**2) @ kept) / copies
        return left_over / (1.0 - np.minimum(leverage, 1 - 1e-9))[:, None]


def solve_ridge(
    features: np.ndarray, values: np.ndarray, weight: np.ndarray, W0: np.ndarray, b0: np.ndarray, alpha: float | str
) -> Solution:
    """Least-squares head pulled to ``(W0, b0)``, in closed form.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Standardised features, float64.
    values : ndarray of shape (n_samples, n_outputs)
        What is predicted, standardised.
    weight, W0, b0
        As in :func:`sktransfer.solvers.logistic.solve_softmax`.
    alpha : float or "auto"
        Strength; ``"auto"`` has the smallest weighted leave-one-out error, which ridge gives in closed form. The
        source head as it is is among the candidates.

    Returns
    -------
    Solution
    """
    space = RowSpace(features)
    problem = _LeastSquares(space.rows, values - (features @ W0.T + b0), weight)
    strengths = RIDGE_ALPHAS if alpha == "auto" else np.array([max(float(alpha), 1e-9)])
    # a row of weight w is w copies; leaving one copy out removes 1/w of its leverage
    errors = [float(np.mean(problem.left_out(strength, copies=weight) ** 2)) for strength in strengths]
    strength = float(strengths[int(np.argmin(errors))])
    return space.solution(problem.change(strength), 1, W0, b0, strength)


def solve_ridge_classes(
    features: np.ndarray, codes: np.ndarray, weight: np.ndarray, W0: np.ndarray, b0: np.ndarray, alpha: float | str
) -> Solution:
    """One-vs-rest least squares on class codes, pulled to ``(W0, b0)``, as logits.

    Codes are brought to the scale of logits by how steeply they rise with the source head's, so that an infinite
    pull and a temperature of 1 is the source head.

    Parameters
    ----------
    features, codes, weight, W0, b0
        As in :func:`sktransfer.solvers.logistic.solve_softmax`.
    alpha : float or "auto"
        Strength; ``"auto"`` and its temperature make the leave-one-out scores most likely, which least squares give in
        closed form. Infinity is the head ``(W0, b0)`` as it is.

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
    problem = _LeastSquares(space.rows, values - start, weight)
    found = []
    for strength in CLASS_ALPHAS if alpha == "auto" else [max(float(alpha), 1e-9)]:
        held_out = values - problem.left_out(strength) / problem.root
        temperature, score = choose_temperature(held_out, onehot, weight)
        found.append((score, float(strength), temperature))
    _, strength, temperature = max(found, key=lambda one: one[0])
    return space.solution(problem.change(strength), 1, W0, b0, strength).at(temperature)
