"""Hand features of windows, for the peers that take rows."""

from __future__ import annotations

import numpy as np

N_BANDS = 32


def hand_features(X: np.ndarray, n_bands: int = N_BANDS, level: bool = False) -> np.ndarray:
    """Spectrum and moments of each channel: 32 bands and 5 moments, 37 features a channel.

    Parameters
    ----------
    X : array of shape (n_windows, n_channels, length)
    n_bands : int
        Equal bands from just above zero frequency to half the sampling rate; the natural logarithm of the power in
        each. Windows with fewer frequencies than bands get one band a frequency.
    level : bool
        Also the mean of each channel, for slow signals whose level says something.

    Returns
    -------
    array of shape (n_windows, n_channels * n_features)
        For each feature all channels: bands, deviation, skewness, kurtosis, peak to peak, crest factor, level.
    """
    X = np.asarray(X, dtype=np.float64)
    mean = X.mean(axis=2)
    centred = X - mean[:, :, None]
    power = np.abs(np.fft.rfft(centred, axis=2)[:, :, 1:]) ** 2 / X.shape[2]
    bands = np.array_split(power, min(n_bands, power.shape[2]), axis=2)
    parts = [np.log(band.mean(axis=2) + 1e-12) for band in bands]
    deviation = centred.std(axis=2)
    z = centred / np.where(deviation > 0, deviation, 1)[:, :, None]
    parts += [
        deviation,
        (z**3).mean(axis=2),
        (z**4).mean(axis=2),
        np.ptp(X, axis=2),
        np.abs(z).max(axis=2),
    ]
    if level:
        parts.append(mean)
    return np.concatenate(parts, axis=1)


def window_statistics(X: np.ndarray) -> np.ndarray:
    """Mean, deviation, mean absolute step and end minus start of each channel: (n_windows, 4 * n_channels)."""
    X = np.asarray(X, dtype=np.float64)
    steps = np.abs(np.diff(X, axis=2)).mean(axis=2)
    return np.concatenate([X.mean(axis=2), X.std(axis=2), steps, X[:, :, -1] - X[:, :, 0]], axis=1)


def doubly_scaled(rows: np.ndarray, healthy: np.ndarray) -> np.ndarray:
    """Rows of one plant, first by its healthy rows, then sign(x) log(1 + |x|), then by all its rows.

    Both scalings subtract the mean and divide by the deviation; a deviation of 0 counts as 1.
    """
    by_healthy = _standardized(rows, rows[healthy])
    signed_log = np.sign(by_healthy) * np.log1p(np.abs(by_healthy))
    return _standardized(signed_log, signed_log)


def _standardized(rows: np.ndarray, reference: np.ndarray) -> np.ndarray:
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    return (rows - mean) / np.where(deviation > 1e-9 * np.abs(mean) + 1e-12, deviation, 1)
