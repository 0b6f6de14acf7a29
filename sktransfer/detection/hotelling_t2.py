r"""HotellingT2: the squared Mahalanobis distance from the healthy rows, with a shrunk covariance."""

from __future__ import annotations

import numpy as np

from sktransfer.detection.statistic import HealthyStatistic, best_shifts, shrunk_factor


class HotellingT2(HealthyStatistic):
    r"""Squared Mahalanobis distance :math:`z^\top \Sigma^{-1} z` from the mean of the healthy rows.

    The covariance of the standardised columns is shrunk towards a multiple of the identity (Ledoit and Wolf 2004), so
    that fewer healthy rows than columns, and columns that are equal, are no harm.

    Notes
    -----
    The part of a column is :math:`z_j (\Sigma^{-1} z)_j`: what it adds with the others given their covariance. It is
    below zero where a column makes the others look more usual than they would alone.

    References
    ----------
    Hotelling (1947). Multivariate quality control. In: Techniques of statistical analysis, 111-184.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import HotellingT2
    >>> healthy = np.random.default_rng(0).normal(size=(500, 2)) * [1, 10]
    >>> HotellingT2().fit(healthy).distance(np.array([[3.0, 0.0], [0.0, 30.0]])).round(0)
    array([10., 10.])
    """

    def _fit(self, Z: np.ndarray) -> None:
        self.factor_ = shrunk_factor(Z)

    def _distance(self, Z: np.ndarray) -> np.ndarray:
        return np.asarray(np.square(Z @ self.factor_).sum(axis=1))

    def _parts(self, Z: np.ndarray) -> np.ndarray:
        return np.asarray(Z * (Z @ self.factor_ @ self.factor_.T))

    def _reconstructed(self, Z: np.ndarray) -> np.ndarray:
        return best_shifts(Z, self.factor_ @ self.factor_.T)
