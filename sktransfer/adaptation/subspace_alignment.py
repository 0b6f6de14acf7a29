"""SubspaceAlignment: principal axes of the source turned to those of the target."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.decomposition import PCA

from sktransfer.adaptation.row_map import RowMap
from sktransfer.utils.parameters import Interval


class SubspaceAlignment(ClassNamePrefixFeaturesOutMixin, RowMap):
    """Project source rows on their principal axes turned to the target's, and target rows on their own.

    ``fit_transform`` gives source and target rows in the coordinates of the target's principal axes; ``transform``
    projects new target rows (inductive), or source rows where ``sample_domain`` says so.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of axes; None: as many as there are columns, or rows of the smaller side, whichever is less.
    target_domain : int, str, sequence of them or None, default=None
        The values of ``sample_domain`` that are targets; None: the negative numbers.

    Attributes
    ----------
    source_mean_, target_mean_ : ndarray of shape (n_features,)
    source_map_ : ndarray of shape (n_features, n_components)
        ``P_s P_s' P_t`` of the paper: what centred source rows are multiplied by.
    target_map_ : ndarray of shape (n_features, n_components)
        ``P_t``: what centred target rows are multiplied by.
    n_components_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.

    See Also
    --------
    CORAL : Aligns covariances instead of axes.
    OTMapping : Moves each source row by itself.

    References
    ----------
    Fernando, B., Habrard, A., Sebban, M., Tuytelaars, T. (2013). Unsupervised visual domain adaptation using subspace
    alignment. ICCV, 2960-2967. doi:10.1109/ICCV.2013.368

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import SubspaceAlignment
    >>> rng = np.random.default_rng(0)
    >>> X, domain = rng.normal(size=(60, 4)), np.repeat([1, -1], 30)
    >>> SubspaceAlignment(n_components=2).fit_transform(X, sample_domain=domain).shape
    (60, 2)
    """

    _parameter_constraints: dict[str, Any] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "target_domain": "no_validation",
    }

    def __init__(self, n_components=None, *, target_domain=None):
        self.n_components = n_components
        self.target_domain = target_domain

    def _fit_map(self, X: np.ndarray, labels: np.ndarray | None, target: np.ndarray) -> None:
        source = X[~target] if (~target).any() else X
        most = min(X.shape[1], len(source), int(target.sum()))
        if self.n_components is not None and self.n_components > most:
            raise ValueError(
                f"SubspaceAlignment: n_components={self.n_components}, but there are {X.shape[1]} columns, "
                f"{len(source)} source rows and {int(target.sum())} target rows. Pass at most {most}, or None."
            )
        self.n_components_ = most if self.n_components is None else int(self.n_components)
        of_source, of_target = (PCA(self.n_components_, svd_solver="full").fit(rows) for rows in (source, X[target]))
        self.source_mean_, self.target_mean_ = of_source.mean_, of_target.mean_
        self.target_map_ = of_target.components_.T
        self.source_map_ = of_source.components_.T @ (of_source.components_ @ self.target_map_)
        self._n_features_out = self.n_components_

    def _map_source(self, X: np.ndarray) -> np.ndarray:
        return (X - self.source_mean_) @ self.source_map_

    def _map_target(self, X: np.ndarray) -> np.ndarray:
        return (X - self.target_mean_) @ self.target_map_
