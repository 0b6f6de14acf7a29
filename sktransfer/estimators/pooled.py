"""Pooled: any estimator on the rows of several machines, the labelled rows of the target weighing as much as asked.

::

    source rows, labelled target rows --> weights by machine --> estimator.fit
    target rows without a label ---------> left out
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.parameters import HasMethods, Interval, Options
from sktransfer.validation.domains import (
    labelled_part,
    labelled_rows,
    share_weights,
    source_and_target,
    target_share_of,
)


def _offers(method: str) -> Any:
    """Whether the inner estimator has `method`."""

    def check(self: Any) -> bool:
        getattr(self.__dict__.get("estimator_", self.estimator), method)
        return True

    return available_if(check)


class Pooled(Checksummed, MetaEstimatorMixin, BaseEstimator):
    """Fit an estimator to source rows and labelled target rows together.

    The plain way to use the rows of another machine, and the one to beat: a logistic regression or extra trees on all
    rows, each machine scaled by itself.

    Parameters
    ----------
    estimator : estimator
        A classifier or regressor, or a pipeline that ends in one; it is cloned.
    target_weight : float or "auto", default="auto"
        Share of the labelled target rows in the sum of weights, between 0 and 1; the source machines share the rest
        equally. ``"auto"``: a half, however few they are.
    unlabelled_label : object, default=-1
        The value of ``y`` that marks a target row without a label, which is left out; NaN for numbers to predict. Among
        texts None does, too.
    target_domain : int, str, sequence of them or None, default=None
        The values of ``sample_domain`` that are targets; None: the negative numbers.

    Attributes
    ----------
    estimator_ : estimator
        The fitted one.
    classes_, n_features_in_, feature_names_in_
        Those of ``estimator_``, where it has them.
    domains_ : dict of int to object
        Number of each machine, and what ``sample_domain`` called it; not there without ``sample_domain``.

    See Also
    --------
    DomainAdaptationClassifier : One network on the rows of all machines.

    Notes
    -----
    An estimator whose ``fit`` takes no ``sample_weight`` gets rows several times instead: of each machine as many
    copies, in whole numbers, as come nearest to its share.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktransfer import Pooled
    >>> X = np.array([[0.0], [1.0], [0.2], [1.4], [0.7]])
    >>> y = np.array([0, 1, 0, 1, -1])  # the last row has no label
    >>> Pooled(LogisticRegression()).fit(X, y, sample_domain=[1, 1, -1, -1, -1]).predict(X)
    array([0, 1, 0, 1, 1])
    """

    __metadata_request__fit = {"sample_domain": True}

    _parameter_constraints: dict[str, Any] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "target_weight": [Interval(Real, 0, 1, closed="neither"), Options(str, {"auto"})],
        "unlabelled_label": "no_validation",
        "target_domain": "no_validation",
    }

    def __init__(self, estimator, *, target_weight="auto", unlabelled_label=-1, target_domain=None):
        self.estimator = estimator
        self.target_weight = target_weight
        self.unlabelled_label = unlabelled_label
        self.target_domain = target_domain

    def fit(self, X, y, sample_domain=None, sample_weight=None):
        """Fit a clone of ``estimator`` to the labelled rows of all machines.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Rows of all machines, each machine scaled by itself; a frame stays one.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels; ``unlabelled_label`` or None for target rows without one.
        sample_domain : array-like of shape (n_samples,), optional
            Machine of each row: positive for sources and negative for targets, or with ``target_domain`` any whole
            numbers or texts. None: the rows of one machine, all with a label, as they are.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row among those of its machine.

        Returns
        -------
        self : Pooled

        Raises
        ------
        ValueError
            Without source or target rows, and if a source row has no label.
        """
        self._validate_params()
        if sample_weight is not None and not self._takes_weights():
            raise ValueError(
                f"Pooled got sample_weight, but {type(self.estimator).__name__}.fit takes none. Leave it out; the "
                "shares of the machines are kept by copies of rows."
            )
        for name in ("estimator_", "domains_"):
            self.__dict__.pop(name, None)
        if sample_domain is None:
            params = {} if sample_weight is None else self._weights(np.asarray(sample_weight, dtype=np.float64))
            self.estimator_ = clone(self.estimator).fit(X, y, **params)
            return self
        name = type(self).__name__
        domains = source_and_target(name, sample_domain, _n_rows(X), self.target_domain)
        labelled = labelled_rows(name, y, domains, self.unlabelled_label)
        kept = np.flatnonzero(labelled)
        weight = np.ones(len(labelled)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        share = target_share_of(self.target_weight)
        weight = share_weights(domains.ids[kept], weight[kept], share)
        y = labelled_part(y, labelled)
        if self._takes_weights():
            params = self._weights(weight)
        else:
            copies = _copies(domains.ids[kept], weight)
            kept, y, params = np.repeat(kept, copies), np.repeat(y, copies, axis=0), {}
        self.estimator_ = clone(self.estimator).fit(_rows(X, kept), y, **params)
        self.domains_ = domains.names
        return self

    def _takes_weights(self) -> bool:
        last = self.estimator.steps[-1][1] if hasattr(self.estimator, "steps") else self.estimator
        return has_fit_parameter(last, "sample_weight")

    def _weights(self, weight: np.ndarray) -> dict[str, Any]:
        """Keyword of ``fit`` by which the estimator, or the last step of a pipeline, gets weights."""
        if hasattr(self.estimator, "steps"):
            return {f"{self.estimator.steps[-1][0]}__sample_weight": weight}
        return {"sample_weight": weight}

    @_offers("predict")
    def predict(self, X):
        """As ``estimator_``'s."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @_offers("predict_proba")
    def predict_proba(self, X):
        """As ``estimator_``'s."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @_offers("predict_log_proba")
    def predict_log_proba(self, X):
        """As ``estimator_``'s."""
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @_offers("decision_function")
    def decision_function(self, X):
        """As ``estimator_``'s."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @_offers("score")
    def score(self, X, y, sample_weight=None):
        """As ``estimator_``'s: accuracy of a classifier, R2 of a regressor."""
        check_is_fitted(self)
        return self.estimator_.score(X, y, **({} if sample_weight is None else {"sample_weight": sample_weight}))

    def __getattr__(self, name: str) -> Any:
        if name in ("classes_", "n_features_in_", "feature_names_in_") and "estimator_" in self.__dict__:
            return getattr(self.__dict__["estimator_"], name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __sklearn_is_fitted__(self) -> bool:
        return "estimator_" in self.__dict__

    def __sklearn_tags__(self):
        tags, own = get_tags(self.estimator), super().__sklearn_tags__()
        own.estimator_type, own.target_tags, own.input_tags = tags.estimator_type, tags.target_tags, tags.input_tags
        own.classifier_tags, own.regressor_tags = tags.classifier_tags, tags.regressor_tags
        return own


def _n_rows(X: Any) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)


def _rows(X: Any, index: np.ndarray) -> Any:
    """Rows of an array, a frame or a list, in the same kind."""
    from sklearn.utils import _safe_indexing

    return X[index] if isinstance(X, np.ndarray) else _safe_indexing(X, index)


def _copies(ids: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Copies of each row in whole numbers: the lightest machine's rows once, those of the others in proportion."""
    heaviness = {domain: weight[ids == domain].mean() for domain in np.unique(ids)}
    lightest = min(value for value in heaviness.values() if value > 0)
    return np.array([max(round(heaviness[domain] / lightest), 1) if heaviness[domain] > 0 else 0 for domain in ids])
