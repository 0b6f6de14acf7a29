r"""Curvature of many small softmax heads at once, in arrays whose last axis counts the heads.

::

    kernel, probabilities --> systems of each class --inverted by halves--> E of each class --> inverse of their sum
                                                          |
                                                Newton steps, determinant, leave-one-out logits

The systems are one plus a positive semidefinite matrix: all pivots are at least one, and elimination without
exchanges, by halves, is stable. LAPACK takes longer to be called on 20 rows than the matrix is worth.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

_FEW = 5  # rows up to which a matrix is inverted by elimination


class StackedPart:
    """The arrays of some problems at one alpha."""

    def __init__(self, gram: np.ndarray, start: np.ndarray, onehot: np.ndarray, weight: np.ndarray, alpha: float):
        self.gram, self.alpha = gram, alpha
        self.start, self.onehot, self.weight = start, onehot, weight

    @cached_property
    def kernel(self) -> np.ndarray:
        """Prior covariance of the logits of one class, shape (n, n, n_problems)."""
        return self.gram / self.alpha

    def of(self, some: np.ndarray) -> StackedPart:
        """Some of these problems."""
        gram, start, onehot, weight = (some_of(a, some) for a in (self.gram, self.start, self.onehot, self.weight))
        return StackedPart(gram, start, onehot, weight, self.alpha)

    def spread(self, dual: np.ndarray) -> np.ndarray:
        """The kernel times `dual`: the change of the logits, shape (n, n_classes, n_problems)."""
        return np.einsum("ijb,jcb->icb", self.kernel, dual)

    def likelihood(self, logits: np.ndarray) -> np.ndarray:
        """Log-likelihood of the classes, shape (n_problems,)."""
        return np.einsum("nb,nb->b", self.weight, (self.onehot * logits).sum(axis=1) - _log_sums(logits))

    def loss(self, dual: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """``alpha / 2 |change|^2`` plus the cross-entropy."""
        return 0.5 * np.einsum("ncb,ncb->b", dual, moved) - self.likelihood(self.start + moved)


class StackedApproximation:
    """`LaplaceApproximation` of many problems: ``E = (K + 1/D)^-1`` of each class, and the inverse of their sum."""

    def __init__(self, part: StackedPart, probabilities: np.ndarray):
        self.part, self.probabilities = part, probabilities
        n, n_classes, b = probabilities.shape
        self.diagonal = part.weight[:, None] * probabilities
        roots = np.sqrt(self.diagonal)
        products = roots[:, None] * roots[None]
        systems = products * part.kernel[:, :, None]
        systems[np.arange(n), np.arange(n)] += 1.0
        with np.errstate(all="ignore"):  # what is not definite is told by its pivots
            inverse, logdet, least = _invert(np.ascontiguousarray(systems.reshape(n, n, -1).transpose(2, 0, 1)))
            self._inner = inverse.transpose(1, 2, 0).reshape(systems.shape) * products
            shared = self._inner.sum(axis=2)
            shared[np.arange(n), np.arange(n)] += part.weight == 0
            # nearly singular where probabilities are nearly certain: halves would lose digits
            inverse, total, smallest = _eliminated(shared.transpose(2, 0, 1))
        self._shared = np.ascontiguousarray(inverse.transpose(1, 2, 0))
        self.is_definite = (least.reshape(n_classes, b).min(axis=0) > 0) & (smallest > 0)
        self._logdet = logdet.reshape(n_classes, b).sum(axis=0) + total

    def of(self, some: np.ndarray) -> StackedApproximation:
        """That of some of the problems."""
        other = object.__new__(StackedApproximation)
        other.part = self.part.of(some)
        for name in ("probabilities", "diagonal", "_inner", "_shared", "is_definite", "_logdet"):
            setattr(other, name, some_of(getattr(self, name), some))
        return other

    def half_logdet(self) -> np.ndarray:
        """Half the logarithm of the determinant of ``1 + K W``, shape (n_problems,)."""
        weight = self.part.weight
        return 0.5 * (self._logdet - np.log(np.where(weight > 0, weight, 1.0)).sum(axis=0))

    def times_curvature(self, logits: np.ndarray) -> np.ndarray:
        """W times `logits`."""
        return self.diagonal * (logits - (self.probabilities * logits).sum(axis=1, keepdims=True))

    def solve(self, vector: np.ndarray) -> np.ndarray:
        """``(1 + W K)^-1`` times `vector`, shape (n, n_classes, n_problems)."""
        inner = np.einsum("ijcb,jcb->icb", self._inner, self.part.spread(vector))
        shared = np.einsum("ijb,jb->ib", self._shared, inner.sum(axis=1))
        return vector - inner + np.einsum("ijcb,jb->icb", self._inner, shared)

    def leave_one_out(self, gradient: np.ndarray) -> np.ndarray:
        """Change of each row's logits after one Newton step of the problem without that row."""
        first = np.ascontiguousarray(self._inner.transpose(3, 2, 0, 1))  # BLAS takes the problems one by one
        kernel = np.ascontiguousarray(self.part.kernel.transpose(2, 0, 1))
        inner = first @ kernel[:, None]
        shared = self._shared.transpose(2, 0, 1)[:, None] @ inner
        covariance = inner.transpose(0, 3, 1, 2) @ shared.transpose(0, 3, 2, 1)
        prior_less_inner = kernel.diagonal(axis1=1, axis2=2)[:, None] - np.einsum("bij,bcij->bcj", kernel, inner)
        np.einsum("bicc->bic", covariance)[...] += prior_less_inner.transpose(0, 2, 1)
        p, diagonal = self.probabilities.transpose(2, 0, 1), self.diagonal.transpose(2, 0, 1)
        curved = diagonal[..., None] * (covariance - p[:, :, None, :] @ covariance)
        step = np.linalg.solve(np.eye(p.shape[2]) - curved, gradient.transpose(2, 0, 1)[..., None])
        return (covariance @ step)[..., 0].transpose(1, 2, 0)


def _invert(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverses of symmetric positive definite matrices of shape (m, n, n), by halves and their Schur complements.

    Returns
    -------
    inverses : ndarray of shape (m, n, n)
    logdet, least : ndarray of shape (m,)
        Logarithm of the determinant, and the least pivot: at most zero, or NaN, where a matrix is not definite.
    """
    n = matrices.shape[1]
    if n <= _FEW:
        return _eliminated(matrices)
    half = n // 2
    first, logdet, least = _invert(matrices[:, :half, :half])
    across = first @ matrices[:, :half, half:]
    second, rest, lower = _invert(matrices[:, half:, half:] - matrices[:, half:, :half] @ across)
    out = np.empty(matrices.shape)
    out[:, half:, half:] = second
    corner = across @ second
    np.negative(corner, out=out[:, :half, half:])
    np.negative(corner.transpose(0, 2, 1), out=out[:, half:, :half])
    np.add(first, corner @ across.transpose(0, 2, 1), out=out[:, :half, :half])
    return out, logdet + rest, np.minimum(least, lower)


def _eliminated(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`_invert` for a few rows: each elementary step is one call for all matrices."""
    m, n = matrices.shape[:2]
    work = matrices.transpose(1, 2, 0).copy()
    logdet, least = np.zeros(m), np.full(m, np.inf)
    for k in range(n):
        pivot = work[k, k].copy()
        logdet += np.log(pivot)
        least = np.minimum(least, pivot)
        column, row = work[:, k].copy(), work[k] / pivot
        work -= column[:, None] * row[None]
        work[k], work[:, k] = row, column / -pivot
        work[k, k] = 1.0 / pivot
    return np.ascontiguousarray(work.transpose(2, 0, 1)), logdet, least


def some_of(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Some of the problems, in C order, which an index in brackets would not return."""
    return np.take(values, numbers, axis=-1)


def stacked_softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of each row and problem, shape (n, n_classes, n_problems)."""
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exps / exps.sum(axis=1, keepdims=True))


def _log_sums(logits: np.ndarray) -> np.ndarray:
    largest = logits.max(axis=1)
    return np.asarray(np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest)
