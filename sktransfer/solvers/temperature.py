"""Temperature scaling on held-out logits.

::

    logits of rows that the head was not fitted to, their classes --> temperature T: probabilities = softmax(logits / T)
"""

from __future__ import annotations

import numpy as np

# Prior log T ~ N(0, 1/4): a few labels cannot show that the logits are wrong by an order of magnitude.
_PRECISION = 4.0
_LOG_TEMPERATURES = np.linspace(-1.5, 1.5, 31)


def choose_temperature(logits: np.ndarray, onehot: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """The temperature under which held-out rows are most likely, and its score.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_classes)
        Logits of each row from a head that was not fitted to it. Logits that are not finite leave the temperature at 1.
    onehot : ndarray of shape (n_samples, n_classes)
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    temperature : float
        From 0.22 to 4.5, in steps of ten percent.
    score : float
        Log-likelihood of the rows at this temperature plus the logarithm of its prior, up to a constant.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017). On calibration of modern neural networks. Proceedings of ICML, 1321-1330.
    arXiv:1706.04599.
    """
    if not np.isfinite(logits).all():
        return 1.0, -np.inf
    largest = logits.max(axis=1, keepdims=True)
    below = logits - largest
    right = float(weight @ (onehot * below).sum(axis=1))  # log-likelihood less its log sums, at T = 1
    temperatures = np.exp(_LOG_TEMPERATURES)
    sums = [np.log(np.exp(below / temperature).sum(axis=1)) for temperature in temperatures]
    scores = right / temperatures - np.array(sums) @ weight - 0.5 * _PRECISION * _LOG_TEMPERATURES**2
    best = int(np.argmax(scores))
    return float(temperatures[best]), float(scores[best])
