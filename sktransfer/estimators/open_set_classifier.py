"""OpenSetClassifier: the faults that a classifier knows, or none of them.

::

    labelled rows --folds--> classifier of the others --> how unlike its rows are the held-out ones --> limit
    new rows --> classifier --> class --beyond the limit--> "unknown"
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import _safe_indexing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sktransfer.detection.shrunk_covariance import ShrunkCovariance
from sktransfer.detection.thresholds import rows_needed, threshold
from sktransfer.estimators.class_predictions import ClassPredictions
from sktransfer.estimators.fitted_features import FittedFeatures, before_last, deviations, directions, last_step
from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.parameters import HasMethods, Interval, StrOptions
from sktransfer.validation.labels import check_labels

_CRITERIA = ("neighbors", "distance", "energy", "energy+distance", "probability")
_NEAREST = 3  # labelled rows that are looked at
_TINY = 1e-12


class OpenSetClassifier(Checksummed, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    r"""A classifier that may answer that a row is of none of its classes.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``, or Pipeline that ends in one
        Not fitted; clones of it are.
    coverage : float, default=0.95
        Share of rows of the known classes that get a class, between 0 and 1; the others are called unknown, too.
    criterion : {"neighbors", "distance", "energy", "energy+distance", "probability"}, default="neighbors"
        What tells that a row is unknown. ``"neighbors"``: how far the three labelled rows are that are nearest, by the
        angle between features of a network, by the distance of standardised columns. ``"distance"``: the squared
        Mahalanobis distance from the mean of the predicted class, with one shrunk covariance for all classes, of the
        outputs of all blocks of a network, each as a direction (of a network of windows the last block), or of the
        columns. ``"energy"``: minus :math:`\log \sum_k e^{z_k}` of the logits :math:`z`, which are those of the
        network's head, or the ``decision_function`` of a classifier whose probabilities are its softmax.
        ``"energy+distance"``: the energy and the logarithm of the distance, each in deviations of rows that were held
        out, summed. ``"probability"``: one minus the largest probability. Features are those of the fitted network
        where the estimator has one (``backbone_``), else the columns.
    unknown_label : object, default="auto"
        What an unknown row is called. ``"auto"``: "unknown" among texts, -1 among numbers.
    cv : int, default=5
        Folds that are held out to set the limit; fewer where a class has fewer rows or groups.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The known classes, without `unknown_label_`.
    unknown_label_ : object
    limits_ : ndarray of shape (n_classes,)
        Of each predicted class: a row with a larger `unlikeness` is unknown.
    estimator_ : classifier
        Fitted to all rows.

    Notes
    -----
    Limits are conformal: rows that were held out set them, by predicted class where there are enough of these, else
    for all classes together. The coverage holds for rows that are like the labelled ones; of another day it may be
    less. How many unknown rows are found is another matter, and depends on the fault.

    The energy knows the logits alone. Where the source of a network had labels of the fault, energy and distance
    together found it a little more often than neighbours; where it had none, far less often: rows of it had large
    logits. So falls the energy of a linear classifier with the size of a row. A network may also take a sensor that
    fails grossly for the known fault that moves this sensor; watch the columns by :class:`sktransfer.TransferDetector`.

    References
    ----------
    Sun, Ming, Zhu and Li (2022). Out-of-distribution detection with deep nearest neighbors. ICML. arXiv:2204.06507.
    Lee, Lee, Lee and Shin (2018). A simple unified framework for detecting out-of-distribution samples and adversarial
    attacks. NeurIPS. arXiv:1807.03888.
    Liu, Wang, Owens and Li (2020). Energy-based out-of-distribution detection. NeurIPS. arXiv:2010.03759.
    Hendrycks and Gimpel (2017). A baseline for detecting misclassified and out-of-distribution examples in neural
    networks. International Conference on Learning Representations. arXiv:1610.02136.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktransfer import OpenSetClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(100, 2)) / 9 + centre for centre in ([1, 0], [0, 1])])
    >>> model = OpenSetClassifier(LogisticRegression()).fit(X, np.repeat(["leak", "wear"], 100))
    >>> model.predict([[1, 0], [0, 1], [-1, -1]])
    array(['leak', 'wear', 'unknown'], dtype='<U7')
    """

    _parameter_constraints: dict[str, Any] = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "coverage": [Interval(Real, 0, 1, closed="neither")],
        "criterion": [StrOptions(set(_CRITERIA))],
        "unknown_label": "no_validation",
        "cv": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(self, estimator, *, coverage=0.95, criterion="neighbors", unknown_label="auto", cv=5):
        self.estimator = estimator
        self.coverage = coverage
        self.criterion = criterion
        self.unknown_label = unknown_label
        self.cv = cv

    def fit(self, X, y, groups=None):
        """Fit the classifier, and set the limits on rows that were held out.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            As the estimator takes it.
        y : array-like of shape (n_samples,)
        groups : array-like of shape (n_samples,), optional
            Run, recording or machine of each row; those of one group are held out together.

        Returns
        -------
        self : OpenSetClassifier

        Raises
        ------
        ValueError
            With fewer than two classes, a class of one row (or group), an `unknown_label` that is a class, and for
            ``criterion="energy"`` around a classifier without logits.
        """
        self._validate_params()
        name = type(self).__name__
        y = check_labels(name, y, X.shape[0] if hasattr(X, "shape") else len(X))
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"{name} needs rows of at least two classes. y holds 1 class: {classes.tolist()}.")
        self.unknown_label_ = self._named(classes)
        predicted, parts = self._held_out(X, y, codes, groups)
        spread = parts.std(axis=0)
        # a sum of parts: each in deviations of the rows that were held out
        self._center, self._spread = parts.mean(axis=0), np.where(spread > 0, spread, 1.0)
        unlike, rate = self._summed(parts), 1 - float(self.coverage)
        if len(y) < rows_needed(rate):
            warn_caller(
                f"{name}: a coverage of {self.coverage:g} needs at least {rows_needed(rate)} labelled rows, and there "
                f"are {len(y)}: the limit is the largest of their scores. Label more rows, or lower the coverage.",
                DataQualityWarning,
            )
        every = threshold(unlike, rate)[0]
        self.classes_, self.limits_ = classes, np.full(len(classes), every)
        for code in range(len(classes)):
            own = unlike[predicted == code]
            if len(own) >= rows_needed(rate):
                self.limits_[code] = threshold(own, rate)[0]
        self.estimator_ = clone(self.estimator).fit(X, y)
        self._known = _Known(self.estimator_, X, y, self.criterion)
        return self

    def predict(self, X):
        """Class of each row, or ``unknown_label_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        codes, unlike = self._judged(X)
        return np.where(unlike > self.limits_[codes], self.unknown_label_, self.classes_[codes])

    def predict_proba(self, X):
        """Probabilities of the known classes, whether the row is one of them or not; (n_samples, n_classes)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def unlikeness(self, X):
        """How unlike the labelled rows each row is, by `criterion`; larger is more likely unknown.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._judged(X)[1]

    # ---- parts

    def _judged(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        check_is_fitted(self)
        codes, parts = self._known.judge(self.estimator_, X)
        return codes, self._summed(parts)

    def _summed(self, parts: np.ndarray) -> np.ndarray:
        return parts[:, 0] if parts.shape[1] == 1 else ((parts - self._center) / self._spread).sum(axis=1)

    def _held_out(self, X: Any, y: np.ndarray, codes: np.ndarray, groups: Any) -> tuple[np.ndarray, np.ndarray]:
        """Predicted class of each row, and the parts of its unlikeness, by a classifier that was not fitted to it."""
        classes, predicted, parts = np.unique(y), np.empty(len(y), dtype=np.int64), None
        for train, test in self._folds(codes, groups):
            fitted = clone(self.estimator).fit(_safe_indexing(X, train), y[train])
            known = _Known(fitted, _safe_indexing(X, train), y[train], self.criterion)
            found, judged = known.judge(fitted, _safe_indexing(X, test))
            parts = np.empty((len(y), judged.shape[1])) if parts is None else parts
            predicted[test], parts[test] = np.searchsorted(classes, fitted.classes_[found]), judged
        return predicted, np.asarray(parts)

    def _named(self, classes: np.ndarray) -> Any:
        of_text = classes.dtype.kind in "OUS"
        label = self.unknown_label
        if isinstance(label, str) and label == "auto":
            label = "unknown" if of_text else -1
        if label in set(classes.tolist()):
            raise ValueError(f"{type(self).__name__}: {label!r} is a class of y. Pass another unknown_label.")
        return label

    def _folds(self, codes: np.ndarray, groups: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        of = np.arange(len(codes)) if groups is None else np.asarray(groups)
        if of.shape != codes.shape:
            raise ValueError(f"{type(self).__name__} got groups of shape {of.shape}; expected {codes.shape}.")
        fewest = min(len(np.unique(of[codes == code])) for code in range(codes.max() + 1))
        if fewest < 2:
            unit = "rows" if groups is None else "groups"
            raise ValueError(
                f"{type(self).__name__} needs at least 2 {unit} of each class, of which one is held out to set the "
                f"limit. Label another one, or take the classifier alone."
            )
        n, index = min(self.cv, fewest), np.zeros(len(codes))
        if groups is None:
            return list(StratifiedKFold(n, shuffle=True, random_state=0).split(index, codes))
        folds = StratifiedGroupKFold(n, shuffle=True, random_state=0).split(index, codes, of)
        return [(train, test) for train, test in folds if len(test)]


class _Known(Checksummed):
    """Features of labelled rows, and how unlike them others are.

    Parameters
    ----------
    fitted : classifier
    X : array-like of shape (n_samples, ...)
    y : ndarray of shape (n_samples,)
    criterion : str
    """

    def __init__(self, fitted: Any, X: Any, y: np.ndarray, criterion: str):
        self.criterion = criterion
        if criterion in ("probability", "energy"):
            return
        self.features = FittedFeatures(fitted, X, every_block=criterion != "neighbors")
        F = self.features.of(fitted, X)
        self.mean, self.scale = deviations(F)
        if criterion == "neighbors":
            self.labelled = self._placed(F)
            return
        F = (F - self.mean) / self.scale
        codes = np.searchsorted(fitted.classes_, y)
        self.means = np.stack([F[codes == code].mean(axis=0) for code in range(len(fitted.classes_))])
        self.within = ShrunkCovariance(F - self.means[codes])

    def judge(self, fitted: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Number of the most probable class of each row, and how unlike the labelled rows it is, (n_samples, n_parts).

        There are two parts where two are combined, else one.
        """
        probabilities = fitted.predict_proba(X)
        codes = probabilities.argmax(axis=1)
        if self.criterion == "probability":
            return codes, 1 - probabilities.max(axis=1, keepdims=True)
        parts = []
        if self.criterion in ("energy", "energy+distance"):
            parts.append(-logsumexp(_logits(fitted, X, probabilities), axis=1))
        if self.criterion == "neighbors":
            parts.append(self._to_neighbors(self.features.of(fitted, X)))
        elif self.criterion != "energy":
            F = (self.features.of(fitted, X) - self.mean) / self.scale
            distance = self.within.distance(F - self.means[codes])
            parts.append(distance if self.criterion == "distance" else np.log(np.maximum(distance, _TINY)))
        return codes, np.stack(parts, axis=1)

    def _to_neighbors(self, F: np.ndarray) -> np.ndarray:
        nearest = NearestNeighbors(n_neighbors=min(_NEAREST, len(self.labelled))).fit(self.labelled)
        far = nearest.kneighbors(self._placed(F))[0]
        # of directions half the squared distance is one minus the cosine
        return np.asarray(np.square(far).mean(axis=1) / 2 if self.features.of_network else far.mean(axis=1))

    def _placed(self, F: np.ndarray) -> np.ndarray:
        """Directions of a network's features; columns in their deviations."""
        return directions(F) if self.features.of_network else np.asarray((F - self.mean) / self.scale)


def _logits(fitted: Any, X: Any, probabilities: np.ndarray) -> np.ndarray:
    """Logits of shape (n_samples, n_classes), whose softmax is `probabilities`.

    Raises
    ------
    ValueError
        If the classifier has none.
    """
    last = last_step(fitted)
    if isinstance(last, ClassPredictions):
        X = before_last(fitted, X)
        model: Any = last
        return np.asarray(model._ready(X)._outputs(X)[0])
    remedy = (
        "Pass a classifier of logits (TransferClassifier, LogisticRegression), or criterion='neighbors', which looks "
        "at the rows themselves."
    )
    name = type(last).__name__
    if not hasattr(fitted, "decision_function"):
        raise ValueError(
            f"OpenSetClassifier(criterion='energy') needs logits, and {name} has no decision_function. Logarithms of "
            f"probabilities are none: the sum of their exponentials is 1 for every row. {remedy}"
        )
    logits = np.asarray(fitted.decision_function(X), dtype=np.float64)
    if logits.ndim == 1:
        # of two classes only the difference is known; weights of equal size and opposite sign give it
        logits = np.stack([-logits / 2, logits / 2], axis=1)
    if logits.shape != probabilities.shape or not np.allclose(softmax(logits, axis=1), probabilities, atol=1e-4):
        raise ValueError(
            f"OpenSetClassifier(criterion='energy') needs logits, and the decision_function of {name} gives other "
            f"numbers: their softmax is not its predict_proba. {remedy}"
        )
    return logits
