"""Scores of a fitted classifier that need no label of the target.

::

    estimator, X, y, sample_domain --> source rows with labels, target rows without --> one number, larger is better

Who is a target row is said by ``sample_domain``, which scikit-learn hands to a scorer where metadata routing is on, or
by a ``y`` in which target rows carry `unlabelled_label`.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing

from sktransfer.validation.domains import check_domains, unlabelled_rows

_SMALLEST = 1e-12


class LabelFreeScore(BaseEstimator):
    """A scorer that looks at no label of the target; a subclass says what it computes."""

    __metadata_request__score = {"sample_domain": True}

    unlabelled_label: Any
    _needs_source = True

    def score(self, estimator, X, y=None, sample_domain=None):
        """As calling the object; for scikit-learn's metadata routing."""
        return self(estimator, X, y, sample_domain=sample_domain)

    def __call__(self, estimator, X, y=None, sample_domain=None):
        """Score a fitted classifier.

        Parameters
        ----------
        estimator : classifier with ``predict_proba``
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,), optional
            Labels of the source rows; those of target rows are not looked at.
        sample_domain : array-like of shape (n_samples,), optional
            Positive for sources, negative for targets. None: rows whose ``y`` is ``unlabelled_label`` are the target's;
            where none is and the score needs no source row, all are.

        Returns
        -------
        float
            Larger is better.

        Raises
        ------
        ValueError
            Without target rows, or without source rows where they are needed.
        """
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if sample_domain is not None:
            target = check_domains(sample_domain, n_rows) < 0
        elif y is not None:
            target = unlabelled_rows(type(self).__name__, y, self.unlabelled_label)
            if not target.any() and not self._needs_source:
                target[:] = True
        else:
            target = np.full(n_rows, not self._needs_source)
        if not target.any() or (self._needs_source and (target.all() or y is None)):
            wanted = "source rows with labels and target rows" if self._needs_source else "target rows"
            raise ValueError(
                f"{type(self).__name__} needs {wanted} among those that are scored. Pass sample_domain, positive for "
                f"sources and negative for targets, or a y in which target rows carry {self.unlabelled_label!r}; and "
                "split so that both sides are held out, such as by SourceTargetShuffleSplit()."
            )
        X_target = _safe_indexing(X, np.flatnonzero(target))
        if not self._needs_source:
            return float(self._score(estimator, None, None, X_target))
        source = np.flatnonzero(~target)
        return float(self._score(estimator, _safe_indexing(X, source), np.asarray(y)[source], X_target))

    def _score(self, estimator: Any, X_source: Any, y_source: Any, X_target: Any) -> float:
        raise NotImplementedError


class PredictionEntropyScorer(LabelFreeScore):
    """How sure the classifier is of the target's rows: minus the mean entropy of its probabilities, in nats.

    A classifier that is sure and wrong scores well: compare only estimators that are trained alike.

    Parameters
    ----------
    unlabelled_label : object, default=-1
        Marks target rows in ``y`` where no ``sample_domain`` comes.

    References
    ----------
    Morerio, Cavazza and Murino (2018). Minimal-entropy correlation alignment for unsupervised deep domain adaptation.
    International Conference on Learning Representations. arXiv:1711.10288.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktransfer import PredictionEntropyScorer
    >>> X, y = np.array([[0.0], [1.0], [0.5], [9.0]]), np.array([0, 1, -1, -1])  # -1: the target's rows
    >>> model = LogisticRegression().fit(X[:2], y[:2])
    >>> PredictionEntropyScorer()(model, X[3:]) > PredictionEntropyScorer()(model, X[2:3])
    True
    """

    _needs_source = False

    def __init__(self, unlabelled_label=-1):
        self.unlabelled_label = unlabelled_label

    def _score(self, estimator: Any, X_source: Any, y_source: Any, X_target: Any) -> float:
        p = np.maximum(estimator.predict_proba(X_target), _SMALLEST)
        return float((p * np.log(p)).sum(axis=1).mean())


class SoftNeighborhoodDensity(LabelFreeScore):
    """Whether target rows have many neighbours with probabilities like theirs: mean entropy of soft neighbourhoods.

    Parameters
    ----------
    temperature : float, default=0.05
        Of the softmax over neighbours.
    unlabelled_label : object, default=-1
        Marks target rows in ``y`` where no ``sample_domain`` comes.

    References
    ----------
    Saito, Kim, Teterwak, Sclaroff, Darrell and Saenko (2021). Tune it the right way: unsupervised validation of domain
    adaptation via soft neighborhood density. Proceedings of ICCV, 9184-9193. arXiv:2108.10860.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktransfer import SoftNeighborhoodDensity
    >>> X = np.array([[0.0], [1.0], [0.1], [0.9]])
    >>> model = LogisticRegression().fit(X, [0, 1, 0, 1])
    >>> SoftNeighborhoodDensity()(model, X) > 0
    True
    """

    _needs_source = False

    def __init__(self, temperature=0.05, *, unlabelled_label=-1):
        self.temperature = temperature
        self.unlabelled_label = unlabelled_label

    def _score(self, estimator: Any, X_source: Any, y_source: Any, X_target: Any) -> float:
        p = estimator.predict_proba(X_target)
        p = p / np.linalg.norm(p, axis=1, keepdims=True)
        similarity = p @ p.T / self.temperature
        np.fill_diagonal(similarity, -np.inf)
        similarity -= similarity.max(axis=1, keepdims=True)
        soft = np.exp(similarity)
        soft /= soft.sum(axis=1, keepdims=True)
        return float(-(soft * np.log(np.maximum(soft, _SMALLEST))).sum(axis=1).mean())


class ImportanceWeightedScorer(LabelFreeScore):
    """Accuracy on held-out source rows, weighted by how much they look like the target's.

    Parameters
    ----------
    unlabelled_label : object, default=-1
        Marks target rows in ``y`` where no ``sample_domain`` comes.

    Notes
    -----
    NOTE[DIFF] The ratio of densities comes from a logistic regression that tells the machines apart (Bickel, Brückner
    and Scheffer 2009) in place of two kernel estimates, which fail in more than a few columns.

    References
    ----------
    Sugiyama, Krauledat and Müller (2007). Covariate shift adaptation by importance weighted cross validation.
    Journal of Machine Learning Research 8, 985-1005.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktransfer import ImportanceWeightedScorer
    >>> X, y = np.array([[0.0], [1.0], [0.5], [0.7]]), np.array([0, 1, -1, -1])
    >>> ImportanceWeightedScorer()(LogisticRegression().fit(X[:2], y[:2]), X, y)
    1.0
    """

    def __init__(self, unlabelled_label=-1):
        self.unlabelled_label = unlabelled_label

    def _score(self, estimator: Any, X_source: Any, y_source: Any, X_target: Any) -> float:
        weight = importance(X_source, X_target)
        right = estimator.predict(X_source) == y_source
        return float(np.average(right, weights=weight))


class DeepEmbeddedValidation(LabelFreeScore):
    """Minus the loss on held-out source rows, weighted like the target's, with a control variate for its variance.

    Parameters
    ----------
    unlabelled_label : object, default=-1
        Marks target rows in ``y`` where no ``sample_domain`` comes.

    Notes
    -----
    NOTE[DIFF] Densities are compared on the rows themselves where the estimator has no features of its own; the loss is
    that of 0 and 1.

    References
    ----------
    You, Wang, Long and Jordan (2019). Towards accurate model selection in deep unsupervised domain adaptation.
    Proceedings of ICML, 7124-7133.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktransfer import DeepEmbeddedValidation
    >>> X, y = np.array([[0.0], [1.0], [0.5], [0.7]]), np.array([0, 1, -1, -1])
    >>> abs(DeepEmbeddedValidation()(LogisticRegression().fit(X[:2], y[:2]), X, y))
    0.0
    """

    def __init__(self, unlabelled_label=-1):
        self.unlabelled_label = unlabelled_label

    def _score(self, estimator: Any, X_source: Any, y_source: Any, X_target: Any) -> float:
        weight = importance(_features(estimator, X_source), _features(estimator, X_target))
        loss = (estimator.predict(X_source) != y_source).astype(np.float64)
        weighted = weight * loss
        variance = np.var(weight)
        eta = 0.0 if variance == 0 else -np.mean((weighted - weighted.mean()) * (weight - weight.mean())) / variance
        return float(-(weighted.mean() + eta * (weight.mean() - 1.0)))


class CircularValidation(LabelFreeScore):
    """Whether what is learned from the predictions on the target leads back to the labels of the source.

    The estimator labels the target rows; a copy of it is fitted to these and asked about the source rows. Balanced
    accuracy there is the score: a second fit for each.

    Parameters
    ----------
    unlabelled_label : object, default=-1
        Marks target rows in ``y`` where no ``sample_domain`` comes.

    References
    ----------
    Bruzzone and Marconcini (2010). Domain adaptation problems: a DASVM classification technique and a circular
    validation strategy. IEEE Transactions on Pattern Analysis and Machine Intelligence 32, 770-787.
    doi:10.1109/TPAMI.2009.57.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktransfer import CircularValidation
    >>> X, y = np.array([[0.0], [1.0], [0.1], [0.9]]), np.array([0, 1, -1, -1])
    >>> CircularValidation()(LogisticRegression().fit(X[:2], y[:2]), X, y)
    1.0
    """

    def __init__(self, unlabelled_label=-1):
        self.unlabelled_label = unlabelled_label

    def _score(self, estimator: Any, X_source: Any, y_source: Any, X_target: Any) -> float:
        found = estimator.predict(X_target)
        if len(np.unique(found)) < 2:
            return 1 / len(np.unique(y_source))  # all rows one class: it leads back to nothing
        back = clone(estimator)
        if "sample_domain" in inspect.signature(back.fit).parameters:
            # the other way round: what was the target teaches, and the source has no labels
            X = np.concatenate([np.asarray(X_target), np.asarray(X_source)])
            y = np.concatenate([found.astype(object), np.full(len(y_source), None)])
            back.set_params(**({"unlabelled_label": None} if hasattr(back, "unlabelled_label") else {}))
            back.fit(X, y, sample_domain=np.r_[np.ones(len(found), int), -np.ones(len(y_source), int)])
        else:
            back.fit(X_target, found)
        return float(balanced_accuracy_score(y_source, back.predict(X_source)))


def importance(source: Any, target: Any) -> np.ndarray:
    """Ratio of the target's density to the source's at each source row, of mean one."""
    source, target = (np.asarray(rows, dtype=np.float64).reshape(len(rows), -1) for rows in (source, target))
    X = np.concatenate([source, target])
    is_target = np.r_[np.zeros(len(source), dtype=int), np.ones(len(target), dtype=int)]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, is_target)
    p = np.clip(model.predict_proba(source)[:, 1], 1e-6, 1 - 1e-6)
    ratio = p / (1 - p)
    return np.asarray(ratio / ratio.mean())


def _features(estimator: Any, X: Any) -> Any:
    """Features of the estimator's fitted network, or the rows themselves."""
    backbone = getattr(estimator, "backbone_", None)
    if backbone is None:
        return X
    from sktransfer.estimators.feature_extractor import FeatureExtractor

    return FeatureExtractor(backbone).fit(X).transform(X)
