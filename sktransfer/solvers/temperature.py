"""The temperature of a head: one number that makes its probabilities as certain as they are right.

::

    logits of rows that the head has not seen, their classes  -->  temperature T: probabilities = softmax(logits / T)
"""

from __future__ import annotations

import numpy as np

# A few labels cannot say that a head is wrong by an order of magnitude: log T ~ N(0, 1/4).
_PRECISION = 4.0
_LOG_TEMPERATURES = np.linspace(-1.5, 1.5, 31)


def choose_temperature(logits: np.ndarray, onehot: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """The temperature under which held-out rows are most likely, and their log-likelihood with it.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_classes)
        Of rows that the head did not learn from. Logits that are not finite leave the temperature at 1.
    onehot : ndarray of shape (n_samples, n_classes)
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    temperature, score : float
        Ten percent a step; the score includes what the prior takes for temperatures away from 1.
    """
    if not np.isfinite(logits).all():
        return 1.0, -np.inf
    largest = logits.max(axis=1, keepdims=True)
    below = logits - largest
    excess = float(weight @ (onehot * below).sum(axis=1))  # of the right class, before it is divided
    temperatures = np.exp(_LOG_TEMPERATURES)
    sums = [np.log(np.exp(below / temperature).sum(axis=1)) for temperature in temperatures]
    scores = excess / temperatures - np.array(sums) @ weight - 0.5 * _PRECISION * _LOG_TEMPERATURES**2
    best = int(np.argmax(scores))
    return float(temperatures[best]), float(scores[best])
