"""RowMap: what the maps of rows between machines share: who is source, who is target, and what passes as it is.

::

    fit_transform(X, y, sample_domain=d): source rows --> mapped;  target rows --> as the map treats its target
    transform(X)                        : every row is one of the target
    transform(X, sample_domain=d)       : as fit_transform, for new rows
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.validation.domains import Domains, source_and_target


class RowMap(Checksummed, TransformerMixin, BaseEstimator):
    """Base of transformers that bring rows of source machines and rows of a target machine together.

    A map has `_fit_map` (rows, labels and domains of the fit), `_map_source` and `_map_target`.
    """

    __metadata_request__fit = {"sample_domain": True}
    __metadata_request__transform = {"sample_domain": True}

    target_domain: Any = None

    def fit(self, X, y=None, sample_domain=None):
        """Find the map from source rows to target rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of all machines, each machine scaled by itself.
        y : array-like of shape (n_samples,), optional
            Labels; those of target rows are never looked at, so that any mark of a row without a label will do.
        sample_domain : array-like of shape (n_samples,), optional
            Machine of each row: positive for sources and negative for targets, or with ``target_domain`` any whole
            numbers or texts. None: all rows are of one machine, there is nothing to map, and a warning says so.

        Returns
        -------
        self : RowMap

        Raises
        ------
        ValueError
            Without source or target rows, for NaN and infinite values, and for parameters that do not fit the data.
        """
        self._fit(X, y, sample_domain)
        return self

    def fit_transform(self, X, y=None, sample_domain=None):
        """Find the map, and the rows of the fit by it: the training rows of the estimator behind.

        Parameters
        ----------
        X, y, sample_domain
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float64
        """
        X, domains = self._fit(X, y, sample_domain)
        return self._mapped(X, np.ones(len(X), dtype=bool) if domains is None else domains.target)

    def transform(self, X, sample_domain=None):
        """Rows by the map that ``fit`` found (inductive).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_domain : array-like of shape (n_samples,), optional
            Machine of each row, as in ``fit``; None: all are rows of the target.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float64

        Raises
        ------
        ValueError
            For another number or other names of columns than in ``fit``, and for NaN.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self._mapped(X, self._of_target(sample_domain, len(X)))

    def _fit(self, X: Any, y: Any, sample_domain: Any) -> tuple[np.ndarray, Domains | None]:
        self._validate_params()
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        name = type(self).__name__
        if y is not None and _num_samples(y) != len(X):
            raise ValueError(f"{name}: X has {len(X)} rows and y has {_num_samples(y)}; both need one value a row.")
        if sample_domain is None:
            warn_caller(
                f"{name} got no sample_domain, so that all rows are those of the target and there is nothing to map. "
                "Pass sample_domain=..., one whole number a row: positive for source machines, negative for targets.",
            )
            self._fit_map(X, None, np.ones(len(X), dtype=bool))
            return X, None
        domains = source_and_target(name, sample_domain, len(X), self.target_domain)
        for role, count in (("source", int((~domains.target).sum())), ("target", int(domains.target.sum()))):
            if count < 2:
                raise ValueError(f"{name} got {count} {role} row; a map between machines needs at least 2 of each.")
        labels = None if y is None else np.asarray(y, dtype=object)[~domains.target]
        self._fit_map(X, labels, domains.target)
        return X, domains

    def _of_target(self, sample_domain: Any, n_rows: int) -> np.ndarray:
        if sample_domain is None:
            return np.ones(n_rows, dtype=bool)
        given = np.asarray(sample_domain)
        if given.shape != (n_rows,):
            raise ValueError(f"sample_domain has shape {given.shape}; expected ({n_rows},), one name or number a row.")
        if self.target_domain is not None:
            return np.isin(given, np.atleast_1d(np.asarray(self.target_domain)))
        if given.dtype.kind not in "iu" or (given == 0).any():
            raise ValueError(
                f"{type(self).__name__}: sample_domain takes whole numbers other than zero, positive for sources and "
                "negative for targets; for texts name the target machine by target_domain=..."
            )
        return given < 0

    def _mapped(self, X: np.ndarray, target: np.ndarray) -> np.ndarray:
        if target.all():
            return self._map_target(X)
        images = self._map_source(X[~target])
        mapped = np.empty((len(X), images.shape[1]))
        mapped[~target] = images
        mapped[target] = self._map_target(X[target])
        return mapped

    def _fit_map(self, X: np.ndarray, labels: np.ndarray | None, target: np.ndarray) -> None:
        """Learn the map; `labels` are those of the source rows. No source row: the identity."""
        raise NotImplementedError

    def _map_source(self, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _map_target(self, X: np.ndarray) -> np.ndarray:
        return X.copy()
