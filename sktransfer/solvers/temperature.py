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


def choose_temperatures(logits: np.ndarray, onehot: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What :func:`choose_temperature` finds for many problems of equally many rows and classes.

    Parameters
    ----------
    logits, onehot : ndarray of shape (n_problems, n_samples, n_classes)
    weight : ndarray of shape (n_problems, n_samples)
        Zero for rows of padding.

    Returns
    -------
    ndarray of shape (n_problems,)
    """
    sound = np.isfinite(logits).all(axis=(1, 2))
    logits = np.where(sound[:, None, None], logits, 0.0)
    below = np.ascontiguousarray((logits - logits.max(axis=2, keepdims=True)).transpose(2, 0, 1))  # the largest is zero
    right = np.einsum("bn,bnc,cbn->b", weight, onehot, below)
    temperatures = np.exp(_LOG_TEMPERATURES)
    scores = np.empty((len(temperatures), len(logits)))
    for k, temperature in enumerate(temperatures):
        sums = np.exp(below / temperature).sum(axis=0)
        scores[k] = right / temperature - np.einsum("bn,bn->b", np.log(sums), weight)
    scores -= 0.5 * _PRECISION * _LOG_TEMPERATURES[:, None] ** 2
    return np.where(sound, temperatures[scores.argmax(axis=0)], 1.0)
