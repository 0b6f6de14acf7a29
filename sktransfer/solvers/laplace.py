"""Laplace's approximation of a softmax head, computed on the side of the rows.

::

    rows (n, r), alpha --> kernel K = rows rows^T / alpha  (n, n): prior covariance of the logits of one class
    probabilities p    --> curvature W of the loss in the logits: diagonal minus rank one in every row
    K, W               --> Newton steps, log evidence and leave-one-out logits

Each step factorises ``n_classes + 1`` matrices of shape (n, n). The Hessian over the weights of the head would have
``r * (n_classes - 1)`` rows and columns; for 45 rows and 9 classes its inverse takes thirty times as long.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri

MAX_STEPS = 100
CLOSE = 1e-8  # Newton decrement, in nats, below which the curvature is taken for that of the optimum


class AlphaScore(NamedTuple):
    """Score of one alpha by the labels.

    Parameters
    ----------
    score : float
        In nats; the largest is best.
    alpha : float
        Strength of the penalty towards the head that the problem begins with.
    n_iter : int
        Newton steps, or L-BFGS iterations of all folds.
    changes : list of ndarray of shape (n_directions, n_classes), or None
        Change of the head: one, or one a fold. The search for the next alpha begins there.
    held_out : ndarray of shape (n_samples, n_classes), or None
        Logits of each row from a head that was not fitted to it.
    """

    score: float
    alpha: float
    n_iter: int
    changes: list[np.ndarray] | None
    held_out: np.ndarray | None


class LaplaceApproximation:
    """Gaussian approximation of the posterior of a softmax head, around one point.

    ``D = w p`` is the diagonal of the curvature of a class. The constructor computes ``E = (K + 1/D)^-1`` of each
    class, and the Cholesky factor of the sum of all ``E``.

    Parameters
    ----------
    kernel : ndarray of shape (n_samples, n_samples)
        Prior covariance of the logits of one class; all classes share it.
    probabilities : ndarray of shape (n_samples, n_classes)
        Probabilities at that point.
    weight : ndarray of shape (n_samples,)
        Weights of the rows, above zero.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite in float64.

    References
    ----------
    Rasmussen and Williams (2006). Gaussian Processes for Machine Learning, section 3.5. MIT Press.

    NOTE[DIFF]: rows have weights here, which multiply their curvature.
    """

    def __init__(self, kernel: np.ndarray, probabilities: np.ndarray, weight: np.ndarray):
        self.kernel, self.weight, self.probabilities = kernel, weight, probabilities
        self.diagonal = weight[:, None] * probabilities
        roots = np.ascontiguousarray(np.sqrt(self.diagonal.T))
        systems = roots[:, :, None] * kernel * roots[:, None, :]
        np.einsum("cii->ci", systems)[...] += 1.0
        factors = [_cholesky(system) for system in systems]
        scaled = np.stack([dtrtri(factor, lower=1)[0] for factor in factors]) * roots[:, None, :]
        self._inner = scaled.transpose(0, 2, 1) @ scaled
        total = _cholesky(self._inner.sum(axis=0))
        self._outer = dtrtri(total, lower=1)[0]
        self._log_diagonals = float(np.log([factor.diagonal() for factor in (*factors, total)]).sum())

    def half_logdet(self) -> float:
        """Half the logarithm of the determinant of ``1 + K W``."""
        return self._log_diagonals - 0.5 * float(np.log(self.weight).sum())

    def times_curvature(self, logits: np.ndarray) -> np.ndarray:
        """W times `logits`, shape (n_samples, n_classes)."""
        return self.diagonal * (logits - (self.probabilities * logits).sum(axis=1, keepdims=True))

    def solve(self, vector: np.ndarray) -> np.ndarray:
        """``(1 + W K)^-1`` times `vector`, shape (n_samples, n_classes)."""
        inner = (self._inner @ (self.kernel @ vector).T[:, :, None])[:, :, 0].T
        shared = self._outer.T @ (self._outer @ inner.sum(axis=1))
        return vector - inner + (self._inner @ shared).T

    def leave_one_out(self, gradient: np.ndarray) -> np.ndarray:
        """Change of each row's logits after one Newton step of the problem without that row.

        Parameters
        ----------
        gradient : ndarray of shape (n_samples, n_classes)
            Gradient of each row's own loss in its logits, times the row's weight.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        inner = self._inner @ self.kernel
        shared = (self._outer @ inner).transpose(2, 0, 1)
        covariance = shared @ shared.transpose(0, 2, 1)  # posterior, of the logits of each row
        prior_less_inner = self.kernel.diagonal() - np.einsum("ij,cij->cj", self.kernel, inner)
        np.einsum("icc->ic", covariance)[...] += prior_less_inner.T
        curved = self.diagonal[:, :, None] * (covariance - self.probabilities[:, None, :] @ covariance)
        step = np.linalg.solve(np.eye(gradient.shape[1]) - curved, gradient[:, :, None])
        return (covariance @ step)[:, :, 0]


class LaplacePath:
    """Optima of a softmax head along falling values of alpha, by Newton's method on the side of the rows.

    The change of the head is ``rows^T dual / alpha``, where ``dual`` holds one number for each row and class. At the
    optimum it is the weighted residual. Each alpha begins on the tangent of the path at the alpha before.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_directions)
    start : ndarray of shape (n_samples, n_classes)
        Logits of the head that the penalty holds to.
    onehot : ndarray of shape (n_samples, n_classes)
    weight : ndarray of shape (n_samples,)
        Weights of the rows, above zero.
    """

    def __init__(self, rows: np.ndarray, start: np.ndarray, onehot: np.ndarray, weight: np.ndarray):
        self.rows, self.start, self.onehot, self.weight = rows, start, onehot, weight
        self._gram = rows @ rows.T
        self._last: tuple[float, np.ndarray, np.ndarray] | None = None

    def score(self, alpha: float) -> AlphaScore:
        """Log evidence plus leave-one-out log-likelihood.

        The evidence is Laplace's approximation of ``log p(labels | alpha)`` under the prior
        ``change ~ N(0, 1 / alpha)``. The leave-one-out logits are one Newton step away from the optimum.
        """
        change, approximation, n_iter = self.optimum(alpha)
        logits = self.start + self.rows @ change
        held_out = logits + approximation.leave_one_out(self.weight[:, None] * (softmax(logits) - self.onehot))
        left_out = log_likelihood(held_out, self.onehot, self.weight)
        return AlphaScore(self._evidence(alpha, change, approximation) + left_out, alpha, n_iter, [change], held_out)

    def log_evidence(self, alpha: float) -> float:
        """Log evidence alone, in nats; at most zero, up to rounding."""
        change, approximation, _ = self.optimum(alpha)
        return self._evidence(alpha, change, approximation)

    def _evidence(self, alpha: float, change: np.ndarray, approximation: LaplaceApproximation) -> float:
        likelihood = log_likelihood(self.start + self.rows @ change, self.onehot, self.weight)
        return likelihood - 0.5 * alpha * float(np.vdot(change, change)) - approximation.half_logdet()

    def optimum(self, alpha: float) -> tuple[np.ndarray, LaplaceApproximation, int]:
        """Change of the head, shape (n_directions, n_classes), the approximation there, and the number of steps."""
        kernel, dual = self._gram / alpha, np.zeros_like(self.start)
        if self._last is not None:
            last, before, slope = self._last
            dual = (before + np.log(last / alpha) * slope) * (alpha / last)
        dual, approximation, n_steps = self._descend(kernel, dual)
        self._last = alpha, dual, approximation.solve(dual)
        return self.rows.T @ (dual / alpha), approximation, n_steps

    def _descend(self, kernel: np.ndarray, dual: np.ndarray) -> tuple[np.ndarray, LaplaceApproximation, int]:
        """Damped Newton steps up to and including the first whose decrement is negligible."""
        moved = kernel @ dual
        loss = self._loss(dual, moved)
        for n_steps in range(1, MAX_STEPS + 1):
            probabilities = softmax(self.start + moved)
            approximation = LaplaceApproximation(kernel, probabilities, self.weight)
            residual = self.weight[:, None] * (self.onehot - probabilities)
            step = approximation.solve(approximation.times_curvature(moved) + residual) - dual
            kernel_step = kernel @ step
            decrement = float(np.vdot(kernel_step, residual - dual))
            if decrement < CLOSE:
                return dual + step, approximation, n_steps
            size = 1.0
            while (
                trial := self._loss(dual + size * step, moved + size * kernel_step)
            ) > loss - 1e-4 * size * decrement:
                size *= 0.5
                if size < 1e-6:  # only rounding errors are left
                    return dual, approximation, n_steps
            dual, moved, loss = dual + size * step, moved + size * kernel_step, trial
        return dual, approximation, MAX_STEPS

    def _loss(self, dual: np.ndarray, moved: np.ndarray) -> float:
        """``alpha / 2 |change|^2`` plus the cross-entropy."""
        return 0.5 * float(np.vdot(dual, moved)) - log_likelihood(self.start + moved, self.onehot, self.weight)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of each row; scipy's function takes longer than all other steps of a problem of few rows."""
    return np.exp(logits - _log_sums(logits)[:, None])


def log_likelihood(logits: np.ndarray, onehot: np.ndarray, weight: np.ndarray) -> float:
    """Log-likelihood of the classes, a weighted sum over rows."""
    return float(weight @ ((onehot * logits).sum(axis=1) - _log_sums(logits)))


def _log_sums(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the sum of exponentials of each row."""
    largest = logits.max(axis=1)
    return np.asarray(np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest)


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    """Lower Cholesky factor; scipy's checks take as long as the factor of a small matrix."""
    factor, info = dpotrf(matrix, lower=1, clean=1)
    if info:
        raise np.linalg.LinAlgError("The matrix is not positive definite.")
    return factor
