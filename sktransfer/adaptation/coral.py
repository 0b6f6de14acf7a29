"""CORAL: source rows with the mean and the covariance of the target."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin

from sktransfer.adaptation.row_map import RowMap
from sktransfer.utils.parameters import Interval


class CORAL(OneToOneFeatureMixin, RowMap):
    """Whiten source rows by their own covariance and colour them by the target's.

    ``fit_transform`` maps source rows to the target and leaves target rows as they are; ``transform`` leaves new rows
    of the target as they are (inductive), and maps source rows where ``sample_domain`` says so.

    Parameters
    ----------
    reg : float, default=0.001
        Added to both covariances, in units of the mean variance of a column of each. Zero: the mapped source
        covariance is exactly the target's, which needs more rows than columns on both sides.
    target_domain : int, str, sequence of them or None, default=None
        The values of ``sample_domain`` that are targets; None: the negative numbers.

    Attributes
    ----------
    source_mean_, target_mean_ : ndarray of shape (n_features,)
    map_ : ndarray of shape (n_features, n_features)
        What centred source rows are multiplied by.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.

    See Also
    --------
    DeepCORAL : The same distance as a loss of a network's features.

    Notes
    -----
    Means and covariances depend on the shares of the classes: where these differ between the machines, the map moves
    classes onto each other.

    NOTE[DIFF]: the paper expects columns of mean zero on both sides and adds the identity; here the means are mapped,
    too, and the share of the identity is a parameter.

    References
    ----------
    Sun, B., Feng, J., Saenko, K. (2016). Return of frustratingly easy domain adaptation. AAAI.
    doi:10.1609/aaai.v30i1.10306

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import CORAL
    >>> rng = np.random.default_rng(0)
    >>> X, domain = rng.normal(size=(60, 2)) * np.repeat([[1.0], [3.0]], 30, axis=0), np.repeat([1, -1], 30)
    >>> mapped = CORAL(reg=0).fit_transform(X, sample_domain=domain)
    >>> np.allclose(np.cov(mapped[:30].T), np.cov(X[30:].T))
    True
    """

    _parameter_constraints: dict[str, Any] = {
        "reg": [Interval(Real, 0, None, closed="left")],
        "target_domain": "no_validation",
    }

    def __init__(self, reg=0.001, *, target_domain=None):
        self.reg = reg
        self.target_domain = target_domain

    def _fit_map(self, X: np.ndarray, labels: np.ndarray | None, target: np.ndarray) -> None:
        self.target_mean_ = X[target].mean(axis=0)
        if target.all():
            self.source_mean_, self.map_ = self.target_mean_, np.eye(X.shape[1])
            return
        self.source_mean_ = X[~target].mean(axis=0)
        whitening = _power(self._covariance(X[~target], "source"), -0.5)
        self.map_ = whitening @ _power(self._covariance(X[target], "target"), 0.5)

    def _covariance(self, X: np.ndarray, role: str) -> np.ndarray:
        found = np.atleast_2d(np.cov(X, rowvar=False))
        variance = float(np.trace(found)) / len(found)
        if role == "source" and (variance == 0 or (self.reg == 0 and np.linalg.matrix_rank(found) < len(found))):
            raise ValueError(
                f"CORAL cannot whiten the source rows: {len(X)} rows of {len(found)} columns, among which some are "
                "constant or depend on others. Pass reg > 0, leave constant columns out, or project by PCA first."
            )
        return found + self.reg * variance * np.eye(len(found))

    def _map_source(self, X: np.ndarray) -> np.ndarray:
        return (X - self.source_mean_) @ self.map_ + self.target_mean_


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    # rounding leaves the smallest eigenvalues of a matrix that is not of full rank a little below zero
    values = np.maximum(values, np.finfo(np.float64).eps * values[-1])
    return (vectors * values**exponent) @ vectors.T
