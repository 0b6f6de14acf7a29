"""Statistics of windows for estimators that take rows."""

from __future__ import annotations

from typing import Any

import numpy as np

_N_BANDS = 16


def window_statistics(X: Any) -> np.ndarray:
    """Statistics of each channel of each window, for estimators that take rows.

    Mean, standard deviation, root mean square, extremes, mean absolute change from sample to sample, skewness, excess
    kurtosis, and the logarithm of the mean power in 16 bands of equal width from zero to half of the sampling rate.

    Parameters
    ----------
    X : array-like of shape (n_windows, n_channels, window_length)

    Returns
    -------
    ndarray of shape (n_windows, n_channels * n_statistics), float64
        Of each channel all statistics, one channel after the other; other samples (images) are flattened.
    """
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 3 or X.shape[2] < 2:
        return X.reshape(len(X), -1)
    mean = X.mean(axis=2)
    centred = X - mean[:, :, None]
    spread = centred.std(axis=2)
    scaled = centred / np.where(spread > 0, spread, 1)[:, :, None]
    power = np.abs(np.fft.rfft(centred, axis=2)[:, :, 1:]) ** 2 / X.shape[2]
    edges = np.unique(np.linspace(0, power.shape[2], min(_N_BANDS, power.shape[2]) + 1).astype(int))
    bands = np.add.reduceat(power, edges[:-1], axis=2) / np.diff(edges)
    columns = [
        mean,
        spread,
        np.sqrt((X**2).mean(axis=2)),
        X.min(axis=2),
        X.max(axis=2),
        np.abs(np.diff(X, axis=2)).mean(axis=2),
        (scaled**3).mean(axis=2),
        (scaled**4).mean(axis=2) - 3 * (spread > 0),
    ]
    return np.concatenate([np.stack(columns, axis=2), np.log(bands + 1e-12)], axis=2).reshape(len(X), -1)
