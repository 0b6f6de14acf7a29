"""Whitening: columns that move together while healthy are taken apart, each stays near its own name.

::

    healthy z-scores --> covariance = Q diag(v) Q' --> W = Q diag(1 / sqrt(v)) Q'
    z-scores         --> z W: uncorrelated while healthy; what breaks a healthy relation stands out

Of all matrices that whiten, the symmetric one changes the columns least (ZCA: Kessy, Lewin and Strimmer 2018,
doi:10.1080/00031305.2016.1277159), so that the columns of two machines stay comparable.
"""

from __future__ import annotations

import numpy as np

# Smallest variance along an axis, over the mean one. Below it, few rows and rounding speak, and would be magnified.
_LEAST = 0.01
_ROUNDING = 1e-20  # of the variance of a column without spread
_OUTLIER = 5.0  # robust scales beyond which a value counts as this far


def whitening_matrix(z: np.ndarray, robust: bool) -> np.ndarray:
    """The symmetric matrix of shape (n_columns, n_columns) that whitens healthy `z`.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)
        Healthy rows or windows, scaled and without NaN.
    robust : bool
        Whether rows with outliers are left out; where these are most rows, outliers are brought near.
    """
    rows = z if z.ndim == 2 else z.transpose(0, 2, 1).reshape(-1, z.shape[1])
    if robust:
        near = np.abs(rows).max(axis=1) <= _OUTLIER
        rows = rows[near] if near.mean() >= 0.5 else np.clip(rows, -_OUTLIER, _OUTLIER)
    covariance = rows.T @ rows / len(rows)
    still = np.diag(covariance) < _ROUNDING
    covariance[still, still] = 1.0  # what never moved stays as it is
    variances, axes = np.linalg.eigh(covariance)
    return (axes / np.sqrt(np.maximum(variances, _LEAST * variances.mean()))) @ axes.T


def whiten(z: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Rows or windows times the matrix, along columns or channels."""
    return z @ matrix if z.ndim == 2 else np.matmul(matrix, z)
