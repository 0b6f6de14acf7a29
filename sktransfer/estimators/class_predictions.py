"""What TransferClassifier and SourceClassifier answer: probabilities and classes, from the outputs of a network.

::

    X --> outputs, confidence weight of each row --> softmax --> out of range: shared among what could be meant
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from sktransfer.inference.out_of_range import central_classes, count_out_of_range, lowered, warn_of_range


class ClassPredictions(ClassifierMixin):
    """Mixin of a :class:`~sktransfer.estimators.base.TransferEstimator` whose outputs are those of classes.

    The class says which in ``classes_``.
    """

    classes_: Any

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to one. Of rows far outside everything seen in training, a warning tells how many. The network is
            asked at the edge of what was seen, and what is not known is shared among all classes but those in the
            middle of it, where healthy rows lie: the further out, the less certain which fault, never the healthier.

        Raises
        ------
        NotFittedError
            Before ``fit``, if there is something to learn in it.
        ValueError
            If columns, channels or the sampling rate differ from those of ``fit``, a value is missing or infinite,
            or there is no row.
        """
        model: Any = self._ready(X)
        outputs, confidence = model._outputs(X)
        warn_of_range(type(self).__name__, count_out_of_range(confidence), len(outputs))
        return model._probabilities(outputs, confidence)

    def predict_log_proba(self, X):
        """Logarithm of :meth:`predict_proba`, of the same shape."""
        return np.log(np.maximum(self.predict_proba(X), np.finfo(np.float64).tiny))

    def predict(self, X):
        """Most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError, ValueError
            As :meth:`predict_proba`.
        """
        model: Any = self._ready(X)
        X, checked = model._rows(X)
        labels, n_outside = np.empty(len(X), dtype=model.classes_.dtype), 0

        def decide(rows: slice, outputs: np.ndarray, confidence: np.ndarray | None) -> None:
            # a chunk at a time: the probabilities of all rows would take more memory than the labels
            nonlocal n_outside
            labels[rows] = model.classes_[model._probabilities(outputs, confidence).argmax(axis=1)]
            n_outside += count_out_of_range(confidence)

        model._run(X, checked, decide)
        warn_of_range(type(self).__name__, n_outside, len(X))
        return labels

    def _probabilities(self, outputs: np.ndarray, confidence: np.ndarray | None) -> np.ndarray:
        """Softmax of `outputs`, shared out where `confidence` is below one; computed in place."""
        probabilities = softmax(outputs)
        if confidence is not None and (outside := confidence < 1).any():
            probabilities[outside] = lowered(probabilities[outside], confidence[outside], self._central())
        return probabilities

    def _central(self: Any) -> np.ndarray:
        """Which classes hold the middle of what was seen, of shape (n_classes,)."""
        at_center = self._predictor.at_center
        at_center = None if at_center is None else softmax(at_center[None].copy())[0]
        return central_classes(at_center, getattr(self, "class_distances_", None), self.n_outputs_)


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Softmax over classes, in place."""
    outputs -= np.maximum.reduce(outputs, axis=1, keepdims=True)
    np.exp(outputs, out=outputs)
    outputs /= np.add.reduce(outputs, axis=1, keepdims=True)
    return outputs
