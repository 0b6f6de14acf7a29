"""Linear heads solved exactly: convex problems in float64, pulled to a starting head.

::

    rows r_i = [standardised features / sqrt(d), 1],  starting outputs L_i (the source head's),  change D
        classification:  sum_i w_i CE(L_i + r_i D, y_i)      + a/2 |D|^2        L-BFGS
        regression:      sum_i w_i |L_i + r_i D - y_i|^2 / 2 + a/2 |D|^2        closed form
    a -> infinity gives D = 0: the source head as it is.

Dividing by ``sqrt(d)`` makes an average row of unit length whatever the number of features, so that one grid of
strengths serves all backbones; ``a`` is the precision of a Gaussian prior on how far a logit may move. With fewer
rows than features the problem is solved in the span of the rows, which holds the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cholesky
from scipy.optimize import minimize
from scipy.special import logsumexp

# from "the source head as it is" down to a nearly free head, half a decade a step
STRENGTHS = np.r_[np.inf, 10.0 ** np.arange(3.0, -3.25, -0.5)]
_MARGIN = 2.0  # nats: a stronger pull is kept unless a weaker one explains the labels this much better
_PATIENCE = 15.0  # nats: stop once the evidence has fallen this far below its best


@dataclass
class Solution:
    """A solved head on standardised features: weight (n_outputs, d), bias (n_outputs,), the pull it was solved with."""

    weight: np.ndarray
    bias: np.ndarray
    pull: float
    n_iter: int


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


def solve_softmax(
    features: np.ndarray, codes: np.ndarray, weight: np.ndarray, W0: np.ndarray, b0: np.ndarray, pull: float | str
) -> Solution:
    """Multinomial logistic head pulled to ``(W0, b0)``.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Standardised features, float64.
    codes : ndarray of shape (n_samples,)
        Class numbers.
    weight : ndarray of shape (n_samples,)
        Row weights; a weight of two counts as two rows.
    W0, b0 : ndarray of shape (n_classes, d) and (n_classes,)
        Where the head begins.
    pull : float or "auto"
        Strength ``a``. ``"auto"``: the strongest within two nats of the largest evidence (the probability of the
        labels with the head integrated out, by Laplace's approximation), which needs no labels held out.

    Returns
    -------
    Solution

    References
    ----------
    MacKay (1992). The evidence framework applied to classification networks. Neural Computation 4(5), 720-736.
    doi:10.1162/neco.1992.4.5.720.
    """
    reduced = _Reduced(features)
    start = features @ W0.T + b0
    onehot = np.eye(len(b0))[codes]
    if pull != "auto":
        change, n_iter = _minimize_softmax(reduced.rows, start, onehot, weight, max(float(pull), 1e-6), None)
        return _solution(reduced, change, W0, b0, float(pull), n_iter)
    change, n_iter, tried = None, 0, []
    for strength in STRENGTHS:
        change, steps = _minimize_softmax(reduced.rows, start, onehot, weight, strength, change)
        n_iter += steps
        evidence = _log_evidence(reduced.rows, start + reduced.rows @ change, change, onehot, weight, strength)
        tried.append((strength, evidence, change))
        if evidence < max(item[1] for item in tried) - _PATIENCE:
            break
    best = max(item[1] for item in tried)
    strength, _, change = next(item for item in tried if item[1] >= best - _MARGIN)
    return _solution(reduced, change, W0, b0, float(strength), n_iter)


def _solution(reduced: _Reduced, change: np.ndarray, W0: np.ndarray, b0: np.ndarray, pull: float, n_iter: int):
    weight, bias = reduced.change(change)
    return Solution(W0 + weight, b0 + bias, pull, max(1, n_iter))


def _minimize_softmax(
    rows: np.ndarray, start: np.ndarray, onehot: np.ndarray, weight: np.ndarray, strength: float, begin: Any
) -> tuple[np.ndarray, int]:
    shape = rows.shape[1], start.shape[1]
    if np.isinf(strength):
        return np.zeros(shape), 0
    weighted = onehot * weight[:, None]

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        change = flat.reshape(shape)
        logits = start + rows @ change
        largest = logits.max(axis=1, keepdims=True)
        exps = np.exp(logits - largest)
        sums = exps.sum(axis=1, keepdims=True)
        loss = weight @ (np.log(sums) + largest)[:, 0] - np.vdot(weighted, logits) + 0.5 * strength * (flat @ flat)
        gradient = rows.T @ (exps * (weight[:, None] / sums) - weighted) + strength * change
        return loss, gradient.ravel()

    result = minimize(
        loss_and_gradient,
        np.zeros(shape).ravel() if begin is None else begin.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "maxcor": 20, "gtol": 1e-5 * float(np.clip(strength, 1e-3, 1.0)), "ftol": 1e-11},
    )
    return result.x.reshape(shape), int(result.nit)


def _log_evidence(
    rows: np.ndarray, logits: np.ndarray, change: np.ndarray, onehot: np.ndarray, weight: np.ndarray, strength: float
) -> float:
    """Laplace's approximation of ``log p(labels | strength)`` with prior ``change ~ N(0, I / strength)``.

    Only differences between classes count, so the Hessian is taken on ``n_classes - 1`` contrasts. Directions of
    the rows that together move it by less than half a nat enter by their first-order term, which keeps the
    determinant small however many features there are.
    """
    fit = weight @ ((onehot * logits).sum(axis=1) - logsumexp(logits, axis=1))
    if np.isinf(strength):
        return float(fit)
    n_classes = logits.shape[1]
    probabilities = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    spread = weight * (1.0 - (probabilities**2).sum(axis=1))
    first_order = (rows**2).T @ spread / (2 * strength)
    tail = np.append(np.cumsum(first_order[::-1])[::-1], 0.0)
    n_kept = max(1, int((tail > 0.5).sum()))
    contrasts = np.linalg.qr(np.column_stack([np.ones(n_classes), np.eye(n_classes)[:, :-1]]))[0][:, 1:]
    hessian = _hessian(rows[:, :n_kept], probabilities, contrasts, weight / strength)
    hessian[np.diag_indices_from(hessian)] += 1.0
    half_logdet = np.log(np.diag(cholesky(hessian, lower=True, check_finite=False))).sum()
    return float(fit - 0.5 * strength * (change**2).sum() - half_logdet - tail[n_kept])


def _hessian(rows: np.ndarray, probabilities: np.ndarray, contrasts: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Hessian of the weighted cross-entropy on class contrasts, shape (m * k, m * k)."""
    n_contrasts, n_directions = contrasts.shape[1], rows.shape[1]
    projected = probabilities @ contrasts
    hessian = np.empty((n_contrasts, n_directions, n_contrasts, n_directions))
    for a in range(n_contrasts):
        for b in range(a, n_contrasts):
            curvature = probabilities @ (contrasts[:, a] * contrasts[:, b]) - projected[:, a] * projected[:, b]
            block = rows.T @ (rows * (curvature * weight)[:, None])
            hessian[a, :, b, :] = block
            hessian[b, :, a, :] = block.T
    return hessian.reshape(n_contrasts * n_directions, -1)


def solve_ridge(
    features: np.ndarray, values: np.ndarray, weight: np.ndarray, W0: np.ndarray, b0: np.ndarray, pull: float | str
) -> Solution:
    """Least-squares head pulled to ``(W0, b0)``, in closed form.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Standardised features, float64.
    values : ndarray of shape (n_samples, n_outputs)
        What is predicted, standardised.
    weight, W0, b0
        As in :func:`solve_softmax`.
    pull : float or "auto"
        Strength; ``"auto"`` has the smallest weighted leave-one-out error, which ridge gives in closed form. The
        source head as it is is among the candidates.

    Returns
    -------
    Solution
    """
    reduced = _Reduced(features)
    residual = values - (features @ W0.T + b0)
    root = np.sqrt(weight)[:, None]
    left, singular, right = np.linalg.svd(reduced.rows * root, full_matrices=False)
    target = left.T @ (residual * root)
    strengths = STRENGTHS if pull == "auto" else np.array([max(float(pull), 1e-9)])
    errors = []
    for strength in strengths:
        shrink = np.zeros_like(singular) if np.isinf(strength) else singular**2 / (singular**2 + strength)
        left_over = residual * root - left @ (shrink[:, None] * target)
        # a row of weight w is w copies; leaving one copy out removes 1/w of its leverage
        leverage = ((left**2) @ shrink) / weight
        errors.append(float(np.mean((left_over / (1.0 - np.minimum(leverage, 1 - 1e-9))[:, None]) ** 2)))
    strength = float(strengths[int(np.argmin(errors))])
    shrink = np.zeros_like(singular) if np.isinf(strength) else singular / (singular**2 + strength)
    change = right.T @ (shrink[:, None] * target)
    return _solution(reduced, change, W0, b0, strength, 1)
