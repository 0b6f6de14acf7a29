"""Softmax heads solved exactly: a convex problem in float64, pulled to a starting head.

::

    rows r_i = [standardised features / sqrt(d), 1],  starting logits L_i (the source head's),  change D
        sum_i w_i CE(L_i + r_i D, y_i) + a/2 |D|^2        L-BFGS
    a -> infinity gives D = 0: the source head as it is.

``a`` is the precision of a Gaussian prior on how far a logit may move.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky
from scipy.optimize import minimize
from scipy.special import softmax

from sktransfer.solvers.laplace import RowPath, log_sums
from sktransfer.solvers.row_space import Solution, _Reduced, solution_of
from sktransfer.solvers.temperature import choose_temperature

# Half a decade a step. The strongest candidate lets an average logit move by about one: weaker pulls must be earned
# by the labels. "inf", the source head as it is, is left to those who ask for it.
STRENGTHS = 10.0 ** np.arange(0.0, -3.25, -0.5)
_PATIENCE = 10.0  # nats below the best score at which weaker pulls are no longer tried
_EXACT_SIZE = 600  # unknowns up to which the Hessian is formed, for the evidence and for leave-one-out
_TYPICAL_CURVATURE = 0.02  # p (1 - p) of a row that is neither certain nor undecided
_FOLD_ROWS = 2000  # rows that choose the strength where there are more


class Scored(NamedTuple):
    """What the labels say of one strength.

    `begin` is where the next strength begins (one change, or one a fold), `held_out` the logits of rows unseen.
    """

    score: float
    strength: float
    n_iter: int
    begin: list[np.ndarray]
    held_out: np.ndarray | None


def solve_softmax(
    features: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
    W0: np.ndarray,
    b0: np.ndarray,
    alpha: float | str,
    calibrated: bool = False,
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
    alpha : float or "auto"
        Strength ``a``; infinity is the head ``(W0, b0)`` as it is. ``"auto"`` chooses from `STRENGTHS` by scores of the
        labels themselves, so that none is held out: for few rows the log evidence (their probability with the head
        integrated out, by Laplace's approximation; defined for one label a class) plus the leave-one-out
        log-likelihood (one Newton step away); for more rows the log-likelihood of five folds.
    calibrated : bool, default=False
        Whether the head is divided by the temperature under which the same leave-one-out logits, or those of the five
        folds, are most likely. Beyond 2,000 rows and 600 unknowns there are none, and little is left to correct.

    Returns
    -------
    Solution

    References
    ----------
    MacKay (1992). The evidence framework applied to classification networks. Neural Computation 4(5), 720-736.
    doi:10.1162/neco.1992.4.5.720.
    Rad and Maleki (2020). A scalable estimate of the out-of-sample prediction error via approximate leave-one-out
    cross-validation. Journal of the Royal Statistical Society B 82(4), 965-996. doi:10.1111/rssb.12374.
    """
    reduced = _Reduced(features)
    problem = _Softmax(reduced.rows, features @ W0.T + b0, np.eye(len(b0))[codes], weight)
    if alpha == np.inf:
        return Solution(W0, b0, np.inf, 1)
    scored = Scored(0.0, 1e-6 if alpha == "auto" else max(float(alpha), 1e-6), 0, [], None)
    try:
        if alpha == "auto":
            scored = problem.choose_strength()
        elif calibrated and (problem.small or len(codes) <= _FOLD_ROWS):
            scored = problem.score(scored.strength)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"LinearProbing: the features span so many orders of magnitude (up to {np.abs(features).max():.0e} "
            "deviations of the source) that no pull can be chosen. Check the scale of X, or put a scaler that clips in "
            "front, such as BaselineScaler()."
        ) from error
    # the loss is a sum over rows, and so is what may be left of its slope
    begin, tolerance = scored.begin[0] if scored.begin else None, 1e-5 * max(1.0, len(codes) / 100)
    change, steps = problem.solve(scored.strength, begin, tolerance=tolerance)
    strength = scored.strength if alpha == "auto" else float(alpha)
    solution = solution_of(reduced, change, scored.n_iter + steps, W0, b0, strength)
    if not calibrated or scored.held_out is None:
        return solution
    return solution.at(choose_temperature(scored.held_out, problem.onehot, weight)[0])


class _Softmax:
    """The classification problem in reduced rows (n, r); a change of the head has shape (r, n_classes)."""

    def __init__(self, rows: np.ndarray, start: np.ndarray, onehot: np.ndarray, weight: np.ndarray):
        self.rows, self.start, self.onehot, self.weight = rows, start, onehot, weight
        n_classes = start.shape[1]
        # only differences between classes count: an orthonormal basis of the contrasts
        basis = np.linalg.qr(np.column_stack([np.ones(n_classes), np.eye(n_classes)[:, :-1]]))[0]
        self.contrasts = basis[:, 1:]

    def solve(
        self, strength: float, begin: np.ndarray | None = None, tolerance: float = 1e-5
    ) -> tuple[np.ndarray, int]:
        """The change that minimises loss plus pull, and the number of L-BFGS iterations."""
        rows, start, weight = self.rows, self.start, self.weight[:, None]
        shape = rows.shape[1], start.shape[1]
        if np.isinf(strength):
            return np.zeros(shape), 0
        weighted = self.onehot * weight
        # the rows' directions are orthogonal, so their squared lengths are nearly the Hessian's diagonal: in units of
        # its root L-BFGS needs several times fewer steps
        unit = 1.0 / np.sqrt(strength + _TYPICAL_CURVATURE * (self.weight @ rows**2))[:, None]

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            change = flat.reshape(shape) * unit
            logits = start + rows @ change
            largest = logits.max(axis=1, keepdims=True)
            exps = np.exp(logits - largest)
            sums = exps.sum(axis=1, keepdims=True)
            loss = np.vdot(weight, np.log(sums) + largest) - np.vdot(weighted, logits)
            loss += 0.5 * strength * np.vdot(change, change)
            gradient = rows.T @ (exps * (weight / sums) - weighted) + strength * change
            return float(loss), (gradient * unit).ravel()

        result = minimize(
            loss_and_gradient,
            (np.zeros(shape) if begin is None else begin / unit).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "maxcor": 20, "gtol": tolerance, "ftol": 1e-5 * tolerance},
        )
        return result.x.reshape(shape) * unit, int(result.nit)

    def log_likelihood(self, logits: np.ndarray) -> float:
        """Weighted sum over rows."""
        return float(self.weight @ ((self.onehot * logits).sum(axis=1) - log_sums(logits)))

    @property
    def small(self) -> bool:
        """Whether the Hessian is small enough to be formed."""
        return self.rows.shape[1] * self.contrasts.shape[1] <= _EXACT_SIZE

    def choose_strength(self) -> Scored:
        """The strength with the best score."""
        if not self.small and len(self.rows) > _FOLD_ROWS:
            # the strength is the precision of a prior, so it does not depend on how many rows choose it
            part = self._part(np.argsort(self._rank_in_class(), kind="stable")[:_FOLD_ROWS])
            return part.choose_strength()._replace(held_out=None)
        # many rows decide between decades, and cost more
        first, *weaker = STRENGTHS if self.small else STRENGTHS[::2]
        best = last = self.score(float(first))
        n_iter = last.n_iter
        for strength in weaker:
            last = self.score(float(strength), last)
            n_iter += last.n_iter
            if last.score > best.score:
                best = last
            elif last.score < best.score - _PATIENCE:
                break
        return best._replace(n_iter=n_iter)

    def score(self, strength: float, last: Scored | None = None) -> Scored:
        """Few rows: log evidence plus leave-one-out log-likelihood; more rows: log-likelihood of five folds."""
        if not self.small:
            folds = {} if last is None else dict(enumerate(last.begin))
            score, n_iter, held_out = self._five_folds(strength, folds)
            return Scored(score, strength, n_iter, list(folds.values()), held_out)
        if self._row_path is not None:
            change, curvature, n_iter = self._row_path.optimum(strength)
            logits = self.start + self.rows @ change
            evidence = self.log_likelihood(logits) - 0.5 * strength * np.vdot(change, change) - curvature.half_logdet()
            gradient = self.weight[:, None] * (softmax(logits, axis=1) - self.onehot)
            held_out = logits + curvature.leave_one_out(gradient)
        else:
            # the score falls off with the root of what is left of the slope, and more so under weak pulls
            begin = None if last is None else last.begin[0]
            change, n_iter = self.solve(strength, begin, tolerance=1e-3 * np.sqrt(min(strength, 1.0)))
            probabilities = softmax(self.start + self.rows @ change, axis=1)
            hessian = self._hessian(probabilities)
            hessian[np.diag_indices_from(hessian)] += strength
            evidence = self.log_evidence(change, strength, hessian)
            held_out = self.leave_one_out(change, probabilities, hessian)
        return Scored(evidence + self.log_likelihood(held_out), strength, n_iter, [change], held_out)

    @cached_property
    def _row_path(self) -> RowPath | None:
        """Newton's method on the rows' side where it is cheaper than the Hessian of the weights."""
        n_rows, n_directions = self.rows.shape
        if 3 * len(self.start.T) * n_rows**3 < (n_directions * self.contrasts.shape[1]) ** 3:
            return RowPath(self.rows, self.start, self.onehot, self.weight)
        return None

    def _part(self, rows: np.ndarray) -> _Softmax:
        return _Softmax(self.rows[rows], self.start[rows], self.onehot[rows], self.weight[rows])

    def _rank_in_class(self) -> np.ndarray:
        """0 for the first row of each class, 1 for the second, ..."""
        rank = np.empty(len(self.rows), dtype=np.intp)
        for label in self.onehot.T.astype(bool):
            rank[label] = np.arange(label.sum())
        return rank

    def _five_folds(self, strength: float, folds: dict[int, np.ndarray]) -> tuple[float, int, np.ndarray]:
        """Log-likelihood and logits under the heads fitted to the other folds; `folds` keeps where to begin."""
        logits, fold_of, n_iter = np.empty_like(self.start), self._rank_in_class() % 5, 0
        for fold in range(5):
            out = fold_of == fold
            folds[fold], steps = self._part(~out).solve(strength, folds.get(fold), tolerance=1e-2)
            logits[out] = self.start[out] + self.rows[out] @ folds[fold]
            n_iter += steps
        return self.log_likelihood(logits), n_iter, logits

    def log_evidence(self, change: np.ndarray, strength: float, hessian: np.ndarray) -> float:
        """Laplace's approximation of ``log p(labels | strength)`` with prior ``change ~ N(0, I / strength)``."""
        half_logdet = np.log(np.diag(cholesky(hessian / strength, lower=True, check_finite=False))).sum()
        logits = self.start + self.rows @ change
        return self.log_likelihood(logits) - 0.5 * strength * np.vdot(change, change) - float(half_logdet)

    def leave_one_out(self, change: np.ndarray, probabilities: np.ndarray, hessian: np.ndarray) -> np.ndarray:
        """Logits of each row after one Newton step of the problem without it, shape (n, n_classes)."""
        n_directions, n_contrasts = self.rows.shape[1], self.contrasts.shape[1]
        inverse = np.linalg.inv(hessian).reshape(n_contrasts, n_directions, n_contrasts, n_directions)
        reach = np.einsum("nj,ajbk,nk->nab", self.rows, inverse, self.rows, optimize=True)
        projected = probabilities @ self.contrasts
        curvature = np.einsum("nc,ca,cb->nab", probabilities, self.contrasts, self.contrasts, optimize=True)
        curvature -= projected[:, :, None] * projected[:, None, :]
        curvature *= self.weight[:, None, None]
        gradient = self.weight[:, None] * ((probabilities - self.onehot) @ self.contrasts)
        step = np.linalg.solve(np.eye(n_contrasts) - curvature @ reach, gradient[:, :, None])
        return self.start + self.rows @ change + (reach @ step)[:, :, 0] @ self.contrasts.T

    def _hessian(self, probabilities: np.ndarray) -> np.ndarray:
        """Hessian of the loss on contrasts and directions, shape (m * r, m * r)."""
        rows, contrasts = self.rows, self.contrasts
        projected = probabilities @ contrasts
        m, r = contrasts.shape[1], rows.shape[1]
        hessian = np.empty((m, r, m, r))
        for a in range(m):
            for b in range(a, m):
                curvature = probabilities @ (contrasts[:, a] * contrasts[:, b]) - projected[:, a] * projected[:, b]
                block = rows.T @ (rows * (curvature * self.weight)[:, None])
                hessian[a, :, b, :] = block
                hessian[b, :, a, :] = block.T
        return hessian.reshape(m * r, m * r)
