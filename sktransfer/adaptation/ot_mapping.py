"""OTMapping: each source row goes where exact optimal transport sends it among the target rows.

::

    source rows --+                                   source row i --> mean of the target rows that it is sent to,
                  +--> coupling of least total cost --+                 weighted by the mass sent
    target rows --+                                   target rows  --> as they are
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin

from sktransfer.adaptation.label_shift import given_shares, share_distance, target_shares, warn_of_shift
from sktransfer.adaptation.row_map import RowMap
from sktransfer.utils.parameters import StrOptions
from sktransfer.validation.domains import Domains, labelled_part, labelled_rows

_METRICS = {"l1": "cityblock", "sqeuclidean": "sqeuclidean"}
_MOST_STEPS = 10_000_000


class OTMapping(OneToOneFeatureMixin, RowMap):
    """Move source rows to target rows by exact optimal transport (barycentric mapping).

    ``fit_transform`` maps source rows and leaves target rows as they are. An estimator behind it that is scored on new
    rows of the target is used inductively: ``transform`` leaves them as they are. Scored on the target rows of the fit,
    as in most papers, it is used transductively: no label of theirs is looked at, but they are part of the map.

    Parameters
    ----------
    cost : {"l1", "sqeuclidean"}, default="l1"
        Cost of moving a row: sum of absolute or of squared differences of the columns.
    prior : None, "estimate", dict or array-like of shape (n_classes,), default=None
        Share of each class among the target rows, in the order of the sorted classes of the source or by class.
        Source rows then carry the mass of their class's share. ``"estimate"``: by :func:`em_shares` of a logistic
        regression of the source. None: every source row has the same mass, so that the shares of the source are taken
        for those of the target. Needs ``y``.
    target_domain : int, str, sequence of them or None, default=None
        The values of ``sample_domain`` that are targets; None: the negative numbers.
    unlabelled_label : object, default=-1
        The value of ``y`` that marks a row without a label, which no source row may carry. Among texts None does, too.

    Attributes
    ----------
    source_rows_ : ndarray of shape (n_source, n_features)
        Rows of the fit; they are kept, to map source rows that were not in it.
    displacement_ : ndarray of shape (n_source, n_features)
        What is added to each.
    classes_ : ndarray of shape (n_classes,)
        Classes of the source; with ``y`` alone.
    target_shares_ : ndarray of shape (n_classes,)
        Estimated or given shares of the target; with ``y`` alone.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.

    See Also
    --------
    CORAL : A linear map, which needs no rows to be kept.

    Notes
    -----
    All mass must arrive: where the target is healthy for the most part and the source is not, faults are sent to
    healthy rows. With ``y`` and without `prior` a :class:`LabelShiftWarning` says if the predicted shares differ by
    more than 0.25 (total variation). Rows of a class of share zero stay where they are.

    A source row that was not in the fit is moved as the nearest one that was (Ferradans et al. 2014).

    References
    ----------
    Courty, N., Flamary, R., Tuia, D., Rakotomamonjy, A. (2017). Optimal transport for domain adaptation. IEEE TPAMI
    39(9), 1853-1865. doi:10.1109/TPAMI.2016.2615921

    Ferradans, S., Papadakis, N., Peyre, G., Aujol, J.-F. (2014). Regularized discrete optimal transport. SIAM J.
    Imaging Sciences 7(3), 1853-1882. doi:10.1137/130929886

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import OTMapping
    >>> X, domain = np.array([[0.0], [1.0], [10.0], [13.0]]), [1, 1, -1, -1]
    >>> OTMapping("sqeuclidean").fit_transform(X, sample_domain=domain).ravel()  # doctest: +SKIP
    array([10., 13., 10., 13.])
    """

    _parameter_constraints: dict[str, Any] = {
        "cost": [StrOptions({"l1", "sqeuclidean"})],
        "prior": [None, StrOptions({"estimate"}), Mapping, "array-like"],
        "target_domain": "no_validation",
        "unlabelled_label": "no_validation",
    }

    def __init__(self, cost="l1", *, prior=None, target_domain=None, unlabelled_label=-1):
        self.cost = cost
        self.prior = prior
        self.target_domain = target_domain
        self.unlabelled_label = unlabelled_label

    def _fit_map(self, X: np.ndarray, labels: np.ndarray | None, target: np.ndarray) -> None:
        for name in ("classes_", "target_shares_"):
            self.__dict__.pop(name, None)
        source, rows = X[~target], X[target]
        self.source_rows_, self.displacement_ = source, np.zeros_like(source)
        if not len(source):
            return
        mass = self._mass(source, labels, rows)
        coupling = self._coupling(mass, source, rows)
        sent = coupling.sum(axis=1, keepdims=True)
        moved = sent[:, 0] > 0
        self.displacement_[moved] = (coupling[moved] / sent[moved]) @ rows - source[moved]

    def _mass(self, source: np.ndarray, labels: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
        """Mass of each source row, which sum to one."""
        equal = np.full(len(source), 1 / len(source))
        if labels is None:
            if self.prior is not None:
                raise ValueError("OTMapping: prior= is of classes, and fit got no y. Pass the labels of the source.")
            return equal
        y = labelled_part(labels, np.ones(len(labels), dtype=bool))
        if self.prior is None and (labels.ndim > 1 or (y.dtype.kind == "f" and (y != np.round(y)).any())):
            return equal  # numbers to predict have no shares
        everywhere = Domains(np.ones(len(y), dtype=np.int64), {1: 1})
        labelled_rows("OTMapping", y, everywhere, self.unlabelled_label)
        classes, codes = np.unique(y, return_inverse=True)
        self.classes_, own = classes, np.bincount(codes) / len(codes)
        if self.prior is None:
            mean, self.target_shares_ = target_shares(source, codes, rows)
            harm = "Source rows may be sent to rows of other classes."
            warn_of_shift("OTMapping", share_distance(own, mean), classes.tolist(), self.target_shares_, harm)
            return equal
        if isinstance(self.prior, str):
            self.target_shares_ = target_shares(source, codes, rows)[1]
        else:
            self.target_shares_ = given_shares("OTMapping", self.prior, classes.tolist())
        mass = (self.target_shares_ / own)[codes]
        return mass / mass.sum()

    def _coupling(self, mass: np.ndarray, source: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Mass sent from each source row to each target row, (n_source, n_target)."""
        from scipy.spatial.distance import cdist

        try:
            from ot import emd
        except ImportError as error:
            raise ImportError(
                "OTMapping needs POT, the library of optimal transport. Install it: pip install sktransfer[ot]"
            ) from error
        cost = cdist(source, rows, _METRICS[self.cost])
        # the solver stops at distances of 1e-15, and says nothing of units
        cost /= max(float(cost.max()), np.finfo(np.float64).tiny)
        coupling, log = emd(mass, np.full(len(rows), 1 / len(rows)), cost, numItermax=_MOST_STEPS, log=True)
        if log["warning"] is not None:
            raise ValueError(f"OTMapping: no optimal transport was found ({log['warning']}). Map fewer rows.")
        return np.asarray(coupling)

    def _map_source(self, X: np.ndarray) -> np.ndarray:
        if not len(self.source_rows_):
            return X.copy()
        if np.array_equal(X, self.source_rows_):  # rows that are equal may go to different places
            return X + self.displacement_
        from sklearn.metrics import pairwise_distances_argmin

        metric = "manhattan" if self.cost == "l1" else "sqeuclidean"
        return X + self.displacement_[pairwise_distances_argmin(X, self.source_rows_, metric=metric)]
