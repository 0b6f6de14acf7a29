"""The curvature of a softmax head's loss, on the rows' side: one small system a class in place of one large one.

::

    rows (n, r), pull a  -->  kernel K = rows rows^T / a  (n, n): covariance of a class's logits under the prior
    probabilities p      -->  curvature W of the loss in the logits: diagonal minus rank one in every row
    determinant of 1 + K W, leave-one-out logits and Newton steps, from n_classes + 1 Cholesky factors of (n, n)

The Hessian of the head has r * (n_classes - 1) unknowns: with 45 rows and 9 classes its inverse costs thirty times
as much.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri

_STEPS = 100
_CLOSE = 1e-8  # nats that a Newton step still promises, below which its curvature is that of the optimum


class RowCurvature:
    """Curvature at one point, factorised together with the kernel.

    With ``D = w p`` of each class: ``E = (K + 1/D)^-1`` a class, and the Cholesky factor of the sum of all ``E``.

    Parameters
    ----------
    kernel : ndarray of shape (n_samples, n_samples)
    probabilities : ndarray of shape (n_samples, n_classes)
    weight : ndarray of shape (n_samples,)
        Weights of the rows, above zero.

    References
    ----------
    Rasmussen and Williams (2006). Gaussian Processes for Machine Learning, section 3.5. MIT Press. Weights of rows
    multiply their curvature here.
    """

    def __init__(self, kernel: np.ndarray, probabilities: np.ndarray, weight: np.ndarray):
        self.kernel, self.weight, self.probabilities = kernel, weight, probabilities
        self.diagonal = weight[:, None] * probabilities
        roots = np.ascontiguousarray(np.sqrt(self.diagonal.T))
        systems = roots[:, :, None] * kernel * roots[:, None, :]
        np.einsum("cii->ci", systems)[...] += 1.0
        factors = [dpotrf(system, lower=1, clean=1)[0] for system in systems]
        scaled = np.stack([dtrtri(factor, lower=1)[0] for factor in factors]) * roots[:, None, :]
        self._inner = scaled.transpose(0, 2, 1) @ scaled
        total = dpotrf(self._inner.sum(axis=0), lower=1, clean=1)[0]
        self._outer = dtrtri(total, lower=1)[0]
        self._log_diagonals = float(np.log([factor.diagonal() for factor in (*factors, total)]).sum())

    def half_logdet(self) -> float:
        """Half the logarithm of the determinant of ``1 + K W``."""
        return self._log_diagonals - 0.5 * float(np.log(self.weight).sum())

    def times(self, logits: np.ndarray) -> np.ndarray:
        """W times `logits`, shape (n_samples, n_classes)."""
        return self.diagonal * (logits - (self.probabilities * logits).sum(axis=1, keepdims=True))

    def solve(self, vector: np.ndarray) -> np.ndarray:
        """``(1 + W K)^-1`` times `vector`, shape (n_samples, n_classes)."""
        inner = (self._inner @ (self.kernel @ vector).T[:, :, None])[:, :, 0].T
        shared = self._outer.T @ (self._outer @ inner.sum(axis=1))
        return vector - inner + (self._inner @ shared).T

    def leave_one_out(self, gradient: np.ndarray) -> np.ndarray:
        """Change of each row's logits after one Newton step of the problem without it, shape (n_samples, n_classes).

        `gradient` is that of each row's own loss in its logits, row weights included.
        """
        inner = self._inner @ self.kernel
        shared = (self._outer @ inner).transpose(2, 0, 1)
        reach = shared @ shared.transpose(0, 2, 1)  # posterior covariance of each row's logits
        np.einsum("icc->ic", reach)[...] += (self.kernel.diagonal() - np.einsum("ij,cij->cj", self.kernel, inner)).T
        curved = self.diagonal[:, :, None] * (reach - self.probabilities[:, None, :] @ reach)
        step = np.linalg.solve(np.eye(gradient.shape[1]) - curved, gradient[:, :, None])
        return (reach @ step)[:, :, 0]


class RowPath:
    """Optima of the softmax head along falling strengths, by Newton's method on the rows' side.

    The change of the head is ``rows^T alpha / a`` with one number a row and class; at the optimum ``alpha`` is the
    weighted residual. Each strength begins on the tangent of the path at the one before.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_directions)
    start : ndarray of shape (n_samples, n_classes)
        Logits that the pull holds to.
    onehot : ndarray of shape (n_samples, n_classes)
    weight : ndarray of shape (n_samples,)
    """

    def __init__(self, rows: np.ndarray, start: np.ndarray, onehot: np.ndarray, weight: np.ndarray):
        self.rows, self.start, self.onehot, self.weight = rows, start, onehot, weight
        self._gram = rows @ rows.T
        self._last: tuple[float, np.ndarray, np.ndarray] | None = None

    def optimum(self, strength: float) -> tuple[np.ndarray, RowCurvature, int]:
        """Change of the head, shape (n_directions, n_classes), the curvature there, and the Newton steps it took."""
        kernel, alpha = self._gram / strength, np.zeros_like(self.start)
        if self._last is not None:
            last, before, slope = self._last
            alpha = (before + np.log(last / strength) * slope) * (strength / last)
        alpha, curvature, n_steps = self._descend(kernel, alpha)
        self._last = strength, alpha, curvature.solve(alpha)
        return self.rows.T @ (alpha / strength), curvature, n_steps

    def _descend(self, kernel: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, RowCurvature, int]:
        """Damped Newton steps until the next one promises next to nothing; that one is taken, too."""
        moved = kernel @ alpha
        loss = self._loss(alpha, moved)
        for n_steps in range(1, _STEPS + 1):
            logits = self.start + moved
            probabilities = np.exp(logits - log_sums(logits)[:, None])
            curvature = RowCurvature(kernel, probabilities, self.weight)
            residual = self.weight[:, None] * (self.onehot - probabilities)
            step = curvature.solve(curvature.times(moved) + residual) - alpha
            reach = kernel @ step
            promised = float(np.vdot(reach, residual - alpha))
            if promised < _CLOSE:
                return alpha + step, curvature, n_steps
            size = 1.0
            while (trial := self._loss(alpha + size * step, moved + size * reach)) > loss - 1e-4 * size * promised:
                size *= 0.5
                if size < 1e-6:  # rounding is all that is left
                    return alpha, curvature, n_steps
            alpha, moved, loss = alpha + size * step, moved + size * reach, trial
        return alpha, curvature, _STEPS

    def _loss(self, alpha: np.ndarray, moved: np.ndarray) -> float:
        """Half of ``a |D|^2`` and the cross-entropy."""
        logits = self.start + moved
        cross_entropy = self.weight @ (log_sums(logits) - (self.onehot * logits).sum(axis=1))
        return float(0.5 * np.vdot(alpha, moved) + cross_entropy)


def log_sums(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the sum of exponentials of each row; scipy's costs more than all else on few rows."""
    largest = logits.max(axis=1)
    return np.asarray(np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest)
