"""The curvature of a softmax head's loss, on the rows' side: one small system a class in place of one large one.

::

    rows (n, r), pull a  -->  kernel K = rows rows^T / a  (n, n): covariance of a class's logits under the prior
    probabilities p      -->  curvature W of the loss in the logits: diagonal minus rank one in every row
    determinant of 1 + K W, and leave-one-out logits, from n_classes + 1 Cholesky factors of (n, n)

The Hessian of the head has r * (n_classes - 1) unknowns: with 45 rows and 9 classes its inverse costs thirty times
as much.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri


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
