"""Multinomial logistic regression with a penalty towards a given head, solved in float64.

::

    rows r_i = [standardised features / sqrt(d), 1],  logits L_i of the given head,  change D of the head
        minimise  sum_i w_i CE(L_i + r_i D, y_i) + alpha / 2 |D|^2        (convex; L-BFGS)

    alpha="auto":  up to 150 rows     log evidence + leave-one-out log-likelihood    (laplace.py)
                   more rows          log-likelihood of five folds

``alpha`` is the precision of a Gaussian prior on the change of a logit. Infinity gives D = 0: the given head as it is.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.optimize import minimize

from sktransfer.solvers.laplace import AlphaScore, LaplacePath, log_likelihood
from sktransfer.solvers.row_space import RowSpace, Solution
from sktransfer.solvers.temperature import choose_temperature

# Candidates of "auto", half a decade apart. The largest lets an average logit change by about one; the labels must
# speak for smaller ones. Infinity, the source head as it is, is left to those who ask for it.
ALPHAS = 10.0 ** np.arange(0.0, -3.25, -0.5)
PATIENCE = 10.0  # nats below the best score at which smaller alphas are no longer tried
_LAPLACE_ROWS = 150  # beyond, five folds take less time and score no worse
_FOLD_ROWS = 2000  # rows that choose alpha where there are more
LARGEST = 1e8  # feature whose square leaves no digit of the bias in float64
_TYPICAL_CURVATURE = 0.02  # p (1 - p) of a row that is neither certain nor undecided


def solve_softmax(
    features: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
    W0: np.ndarray,
    b0: np.ndarray,
    alpha: float | str,
    calibrated: bool = False,
) -> Solution:
    """Multinomial logistic head with a penalty towards ``(W0, b0)``.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Standardised features, float64.
    codes : ndarray of shape (n_samples,)
        Class numbers.
    weight : ndarray of shape (n_samples,)
        Row weights, above zero; a weight of two counts as two rows.
    W0, b0 : ndarray of shape (n_classes, d) and (n_classes,)
        Head that the penalty holds to.
    alpha : float or "auto"
        Strength of the penalty; infinity is the head ``(W0, b0)`` as it is. ``"auto"`` chooses from `ALPHAS` by scores
        of the labels themselves, so that none is held out. Up to 150 rows: log evidence (the probability of the labels
        with the head integrated out, by Laplace's approximation; defined for one label a class) plus leave-one-out
        log-likelihood (one Newton step away). More rows: log-likelihood of five folds, of 2,000 rows at most.
    calibrated : bool, default=False
        Whether the head is divided by the temperature under which the held-out logits are most likely: the
        leave-one-out logits up to 150 rows, those of the five folds up to 2,000 rows. Beyond there are none, and little
        is left to correct.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If the features differ so much in size that alpha cannot be chosen in float64.

    References
    ----------
    MacKay (1992). The evidence framework applied to classification networks. Neural Computation 4(5), 720-736.
    doi:10.1162/neco.1992.4.5.720.
    Rad and Maleki (2020). A scalable estimate of the out-of-sample prediction error via approximate leave-one-out
    cross-validation. Journal of the Royal Statistical Society B 82(4), 965-996. doi:10.1111/rssb.12374.
    """
    if alpha == np.inf:
        return Solution(W0, b0, np.inf, 1)
    space = RowSpace(features)
    problem = _Softmax(space.rows, features @ W0.T + b0, np.eye(len(b0))[codes], weight)
    scored = AlphaScore(0.0, 1e-6 if alpha == "auto" else max(float(alpha), 1e-6), 0, None, None)
    try:
        if (alpha == "auto" or calibrated) and np.abs(features).max() > LARGEST:
            raise np.linalg.LinAlgError
        if alpha == "auto":
            scored = problem.choose_alpha()
        elif calibrated and len(codes) <= _FOLD_ROWS:
            scored = problem.score(scored.alpha)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"LinearProbing: the features span so many orders of magnitude (up to {np.abs(features).max():.0e} "
            "deviations of the source) that no alpha can be chosen. Check the scale of X, or put a scaler that clips "
            "in front, such as BaselineScaler()."
        ) from error
    # the loss is a sum over rows, and so is the gradient that may remain
    tolerance = 1e-5 * max(1.0, len(codes) / 100)
    change, n_iter = problem.solve(scored.alpha, scored.changes[0] if scored.changes else None, tolerance)
    used = scored.alpha if alpha == "auto" else float(alpha)
    solution = space.solution(change, scored.n_iter + n_iter, W0, b0, used)
    if not calibrated or scored.held_out is None:
        return solution
    return solution.at(choose_temperature(scored.held_out, problem.onehot, weight)[0])


class _Softmax:
    """The classification problem in the row space (n, r); a change of the head has shape (r, n_classes)."""

    def __init__(self, rows: np.ndarray, start: np.ndarray, onehot: np.ndarray, weight: np.ndarray):
        self.rows, self.start, self.onehot, self.weight = rows, start, onehot, weight

    @cached_property
    def _path(self) -> LaplacePath | None:
        """Scores on the side of the rows; None where five folds take their place."""
        few = len(self.rows) <= _LAPLACE_ROWS
        return LaplacePath(self.rows, self.start, self.onehot, self.weight) if few else None

    def solve(self, alpha: float, begin: np.ndarray | None = None, tolerance: float = 1e-5) -> tuple[np.ndarray, int]:
        """The change that minimises loss plus penalty, and the number of L-BFGS iterations."""
        rows, start, weight = self.rows, self.start, self.weight[:, None]
        shape = rows.shape[1], start.shape[1]
        weighted = self.onehot * weight
        # The directions are orthogonal, so that the squared lengths of the columns are nearly the diagonal of the
        # Hessian. In units of its root L-BFGS needs several times fewer iterations.
        unit = 1.0 / np.sqrt(alpha + _TYPICAL_CURVATURE * (self.weight @ rows**2))[:, None]

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            change = flat.reshape(shape) * unit
            logits = start + rows @ change
            largest = logits.max(axis=1, keepdims=True)
            exps = np.exp(logits - largest)
            sums = exps.sum(axis=1, keepdims=True)
            loss = np.vdot(weight, np.log(sums) + largest) - np.vdot(weighted, logits)
            loss += 0.5 * alpha * np.vdot(change, change)
            gradient = rows.T @ (exps * (weight / sums) - weighted) + alpha * change
            return float(loss), (gradient * unit).ravel()

        result = minimize(
            loss_and_gradient,
            (np.zeros(shape) if begin is None else begin / unit).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "maxcor": 20, "gtol": tolerance, "ftol": 1e-5 * tolerance},
        )
        return result.x.reshape(shape) * unit, int(result.nit)

    def choose_alpha(self) -> AlphaScore:
        """The alpha with the best score."""
        if len(self.rows) > _FOLD_ROWS:
            # alpha is the precision of a prior, so that it does not depend on the number of rows that choose it
            part = self._part(np.argsort(self._rank_in_class(), kind="stable")[:_FOLD_ROWS])
            return part.choose_alpha()._replace(held_out=None)
        # folds of many rows take longer, and whole decades suffice them
        first, *smaller = ALPHAS if self._path else ALPHAS[::2]
        best = last = self.score(float(first))
        n_iter = last.n_iter
        for alpha in smaller:
            last = self.score(float(alpha), last.changes)
            n_iter += last.n_iter
            if last.score > best.score:
                best = last
            elif last.score < best.score - PATIENCE:
                break
        return best._replace(n_iter=n_iter)

    def score(self, alpha: float, begin: list[np.ndarray] | None = None) -> AlphaScore:
        """Few rows: log evidence plus leave-one-out log-likelihood; more rows: log-likelihood of five folds."""
        return self._path.score(alpha) if self._path else self._five_folds(alpha, begin)

    def _five_folds(self, alpha: float, begin: list[np.ndarray] | None = None) -> AlphaScore:
        """Log-likelihood of each fold under the head that was fitted to the other four."""
        held_out, fold_of = np.empty_like(self.start), self._rank_in_class() % 5
        changes, n_iter = [], 0
        for fold in range(5):
            out = fold_of == fold
            change, steps = self._part(~out).solve(alpha, begin[fold] if begin else None, tolerance=1e-2)
            held_out[out] = self.start[out] + self.rows[out] @ change
            changes.append(change)
            n_iter += steps
        return AlphaScore(log_likelihood(held_out, self.onehot, self.weight), alpha, n_iter, changes, held_out)

    def _part(self, rows: np.ndarray) -> _Softmax:
        """The problem of some of the rows."""
        return _Softmax(self.rows[rows], self.start[rows], self.onehot[rows], self.weight[rows])

    def _rank_in_class(self) -> np.ndarray:
        """0 for the first row of each class, 1 for the second, ..."""
        rank = np.empty(len(self.rows), dtype=np.intp)
        for label in self.onehot.T.astype(bool):
            rank[label] = np.arange(label.sum())
        return rank
