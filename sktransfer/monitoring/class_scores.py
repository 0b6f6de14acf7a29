"""How healthy a classifier finds a sample: one number that falls as a known fault, or an unknown one, gets likelier."""

from __future__ import annotations

from typing import Any

import numpy as np

_TINY = 1e-12  # below it a probability is rounding
_OPEN_SET_ODDS = 10.0  # log odds that a sample loses as its unlikeness exceeds the limit by the limit's size


def log_odds(proba: np.ndarray, normal: int) -> np.ndarray:
    """Log odds of the normal class against all others, shape (n_samples,).

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
    normal : int
        Column of the normal class.
    """
    own = proba[:, normal]
    others = np.clip(proba.sum(axis=1) - own, _TINY, None)
    return np.asarray(np.log(np.clip(own, _TINY, None)) - np.log(others))


def open_set_score(classifier: Any, unlikeness: np.ndarray, proba: np.ndarray, normal: int) -> np.ndarray:
    """The smaller of the log odds and of ten times how far a sample lies within its limit, shape (n_samples,).

    Probabilities are shared among the known classes alone, so that a sample unlike all of them may have the odds of a
    healthy one. The distance to the limit is in sizes of the limit: 0 at it, negative where the sample is unknown. It
    is continuous, because some healthy samples are beyond their limit and would all share one floor.

    Parameters
    ----------
    classifier : OpenSetClassifier
        Fitted.
    unlikeness : ndarray of shape (n_samples,)
    proba : ndarray of shape (n_samples, n_classes)
    normal : int
    """
    limits = classifier.limits_[proba.argmax(axis=1)]
    beyond = (unlikeness - limits) / np.maximum(np.abs(limits), _TINY)  # an energy, and its limit, may be negative
    return np.asarray(np.minimum(log_odds(proba, normal), -_OPEN_SET_ODDS * beyond))
