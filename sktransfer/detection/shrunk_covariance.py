"""ShrunkCovariance: Mahalanobis distances with more columns than rows, and none but the rows' own directions kept."""

from __future__ import annotations

import numpy as np

from sktransfer.utils.checksums import Checksummed


class ShrunkCovariance(Checksummed):
    r"""A covariance that is shrunk towards a multiple of the identity, kept by its eigenvectors.

    Of :math:`\Sigma = (1 - s) Z^\top Z / n + s \mu I` only the directions in which the rows `Z` vary differ from
    :math:`s \mu`, so that a thousand columns of forty rows cost forty vectors.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Rows with mean zero.

    References
    ----------
    Ledoit and Wolf (2004). A well-conditioned estimator for large-dimensional covariance matrices. Journal of
    Multivariate Analysis 88, 365-411. doi:10.1016/S0047-259X(03)00096-4.
    """

    def __init__(self, Z: np.ndarray):
        from sklearn.covariance import ledoit_wolf_shrinkage

        n, n_features = Z.shape
        shrinkage = float(ledoit_wolf_shrinkage(Z, assume_centered=True))
        if n > n_features:
            values, vectors = np.linalg.eigh(Z.T @ Z / n)
        else:
            _, sizes, rows = np.linalg.svd(Z, full_matrices=False)
            values, vectors = np.square(sizes) / n, rows.T
        target = shrinkage * float(np.square(Z).sum()) / (n * n_features)
        values = (1 - shrinkage) * np.maximum(values, 0.0) + target
        # columns that never varied have no variance of their own to divide by
        least = max(float(values.max(initial=0.0)), 1.0) * 1e-9
        self.vectors, self.others = vectors, 1 / max(target, least)
        self.weights = 1 / np.maximum(values, least) - self.others

    def distance(self, Z: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distance of each row from zero, shape (n_rows,)."""
        along = np.square(Z @ self.vectors) @ self.weights
        return np.asarray(np.maximum(along + self.others * np.square(Z).sum(axis=1), 0.0))
