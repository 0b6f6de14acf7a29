"""What a statistic of healthy rows answers; one file a statistic beside this one.

::

    healthy rows --fit--> centre, spread, neighbours ...
    other rows --distance-------> one number a row, larger is less usual
               --contributions--> its parts, a column each
               --reconstructions-> what the best value of one column would take off it
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sktransfer.utils.checksums import Checksummed


class HealthyStatistic(Checksummed, BaseEstimator):
    """How far rows lie from healthy ones.

    A statistic is a small bag of parameters: a grid search reaches ``statistic__n_neighbors``. To write one, subclass
    this class and define :meth:`_fit` and :meth:`_parts` on standardised rows.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_features,)
        Of the healthy rows. A column that does not vary among them has the scale of its own size, or 1, so that leaving
        its one value is seen.
    n_tags_ : int
        Tags that the columns belong to.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import HealthyStatistic
    >>> class Squares(HealthyStatistic):
    ...     def _fit(self, Z):
    ...         pass
    ...
    ...     def _parts(self, Z):
    ...         return Z**2
    >>> healthy = np.array([[0.0, 10.0], [2.0, 30.0]])
    >>> Squares().fit(healthy).distance(np.array([[1.0, 20.0], [3.0, 20.0]]))
    array([0., 4.])
    """

    mean_: np.ndarray
    scale_: np.ndarray
    n_tags_: int

    def fit(self, F: np.ndarray, n_tags: int | None = None, resolution: float = 1e-12) -> HealthyStatistic:
        """Learn what is usual.

        Parameters
        ----------
        F : ndarray of shape (n_healthy, n_features), float64
        n_tags : int, optional
            The columns are those of so many tags, one tag after the other, with equally many each. None: every column
            is a tag of its own.
        resolution : float, default=1e-12
            Of a column's size: a spread below it is rounding. Features of a network come in float32.

        Returns
        -------
        self : HealthyStatistic

        Raises
        ------
        ValueError
            With fewer than two rows.
        """
        if len(F) < 2:
            raise ValueError(f"{type(self).__name__} needs at least 2 healthy rows; got {len(F)}.")
        self.n_tags_ = F.shape[1] if n_tags is None else n_tags
        self.mean_, spread = F.mean(axis=0), F.std(axis=0)
        size = np.abs(self.mean_)
        constant = spread <= resolution * size
        self.scale_ = np.where(constant, np.where(size > 0, size, 1.0), spread)
        self._fit((F - self.mean_) / self.scale_)
        return self

    def distance(self, F: np.ndarray) -> np.ndarray:
        """How unusual each row is, shape (n_rows,), larger is less usual."""
        return self._distance((F - self.mean_) / self.scale_)

    def contributions(self, F: np.ndarray) -> np.ndarray:
        """Parts of the distance, shape (n_rows, n_features); a row's parts sum to its distance."""
        return self._parts((F - self.mean_) / self.scale_)

    def reconstructions(self, F: np.ndarray) -> np.ndarray:
        r"""What each column's most usual value, the others as they are, takes off the distance.

        For a quadratic distance :math:`z^\top M z` it is :math:`(Mz)_j^2 / M_{jj}`. Where a single column was moved
        far, that column has the largest one, which does not hold for the parts of the distance.

        Parameters
        ----------
        F : ndarray of shape (n_rows, n_features), float64

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            Not below zero. Of a statistic that takes each column by itself they are its parts.

        References
        ----------
        Alcala and Qin (2009). Reconstruction-based contribution for process monitoring. Automatica 45, 1593-1600.
        doi:10.1016/j.automatica.2009.02.027.
        """
        return self._reconstructed((F - self.mean_) / self.scale_)

    def _fit(self, Z: np.ndarray) -> None:
        raise NotImplementedError

    def _parts(self, Z: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _distance(self, Z: np.ndarray) -> np.ndarray:
        return self._parts(Z).sum(axis=1)

    def _reconstructed(self, Z: np.ndarray) -> np.ndarray:
        return np.maximum(self._parts(Z), 0.0)


def shrunk_factor(Z: np.ndarray) -> np.ndarray:
    """Matrix `W` of shape (n_features, n_features) with ``W @ W.T`` the inverse of the shrunk covariance of `Z`.

    References
    ----------
    Ledoit and Wolf (2004). A well-conditioned estimator for large-dimensional covariance matrices. Journal of
    Multivariate Analysis 88, 365-411. doi:10.1016/S0047-259X(03)00096-4.
    """
    from sklearn.covariance import ledoit_wolf

    covariance: Any = ledoit_wolf(Z)[0]
    values, vectors = np.linalg.eigh(covariance)
    # columns that never varied have no variance of their own to divide by
    floor = max(float(values.max(initial=0.0)), 1.0) * 1e-9
    return np.asarray(vectors / np.sqrt(np.maximum(values, floor)))


def best_shifts(Z: np.ndarray, M: np.ndarray) -> np.ndarray:
    """What the best shift of each column alone takes off ``z @ M @ z``, shape (n_rows, n_features)."""
    size = np.maximum(np.diag(M), np.finfo(np.float64).tiny)
    return np.asarray(np.square(Z @ M) / size)
