"""Centre and scale of healthy rows or windows, in float64, and what makes them useless.

::

    healthy values of a column --> centre, scale; 1 where the spread is rounding
                               --> does one value, or do a few rows in many columns, make up the spread?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.preprocessing.window_scaler import INTERQUARTILE_RANGE
from sktransfer.utils.chunks import in_parts
from sktransfer.utils.counted_warnings import CountedWarning, warn_of
from sktransfer.utils.precision import least_spread
from sktransfer.validation.quality import dominant_values
from sktransfer.validation.stuck import has_few_levels

_SPOILED = 3.0  # times the scale of the inner half of the values
_FAR = 5.0  # of those scales: rows beyond spoil the scale
_LOOKED_AT = 10_000  # rows, or samples of a channel


@dataclass(frozen=True)
class HealthyStatistics:
    """Of each column or channel, shape (n_columns,); float64.

    Parameters
    ----------
    center, scale : ndarray
        An infinite scale where there is no value.
    dominant : ndarray
        The one value that makes up the spread, NaN where there is none.
    """

    center: np.ndarray
    scale: np.ndarray
    dominant: np.ndarray


def healthy_statistics(X: np.ndarray, method: str) -> HealthyStatistics:
    """Statistics of healthy rows or windows, which may hold NaN.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)
    method : {"standard", "robust"}
    """
    if X.ndim == 2:
        return _of_columns(X.astype(np.float64, copy=False), method, X.dtype)
    moments = _moments(X) if method == "standard" else None
    if moments is not None:
        center, deviation = moments
        return HealthyStatistics(center, _or_one(center, deviation, X.dtype), np.full(len(center), np.nan))
    found = [_of_columns(X[:, j].reshape(-1, 1).astype(np.float64), method, X.dtype) for j in range(X.shape[1])]
    return HealthyStatistics(*(np.concatenate([getattr(one, name) for one in found]) for name in _FIELDS))


_FIELDS = tuple(HealthyStatistics.__dataclass_fields__)


def _of_columns(values: np.ndarray, method: str, dtype: np.dtype) -> HealthyStatistics:
    """Of each column of float64 `values`, which came as `dtype`."""
    empty = np.isnan(values).all(axis=0)
    if empty.any():
        values = np.where(empty, 0.0, values)
    center = np.nanmean(values, axis=0)
    center = center + np.nanmean(values - center, axis=0)  # the mean of equal values is this value, to the last digit
    squares = (values - center) ** 2
    scale, dominant = np.sqrt(np.nanmean(squares, axis=0)), np.full(values.shape[1], np.nan)
    if method == "robust":
        low, center, high = np.nanpercentile(values, [25, 50, 75], axis=0)
        inner = (high - low) / INTERQUARTILE_RANGE
        scale = np.where(inner > least_spread(center, dtype), inner, scale)
    else:
        dominant = dominant_values(values, squares)
    return HealthyStatistics(center, np.where(empty, np.inf, _or_one(center, scale, dtype)), dominant)


def _or_one(center: np.ndarray, scale: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The scale, or 1 where it is below rounding: dividing by it would turn rounding errors into signals."""
    return np.where(scale <= least_spread(center, dtype), 1.0, scale)


def _moments(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and standard deviation of each channel, a few windows at a time.

    None if a closer look is due: a sample is missing, or a single one makes up most of the spread.
    """
    n_samples, parts = len(windows) * windows.shape[2], list(in_parts(windows))
    near = sum(windows[part].sum(axis=(0, 2), dtype=np.float64) for part in parts) / n_samples
    rest, total, largest = np.zeros(len(near)), np.zeros(len(near)), np.zeros(len(near))
    for part in parts:
        differences = windows[part] - near[:, None]
        rest += differences.sum(axis=(0, 2))
        squares = np.square(differences, out=differences)
        total += squares.sum(axis=(0, 2))
        largest = np.maximum(largest, squares.max(axis=(0, 2)))
    if np.isnan(near).any() or (largest > 0.9 * total).any():
        return None
    rest /= n_samples  # what rounding took from the first mean
    return near + rest, np.sqrt(np.maximum(total / n_samples - rest**2, 0.0))


def warn_of_start_up(name: str, X: np.ndarray, rows: np.ndarray, words: tuple[str, str], where: str) -> None:
    """Warn if a few healthy rows or windows, the same in many columns, make the standard deviation useless.

    A column is spoiled if its standard deviation is three times the scale of the inner half of its values. The warning
    comes if this holds for a fourth of the columns that have a continuous spread (two at least, where there are two),
    and rows that are at most 40 % lie five of those scales away in half of the spoiled columns, half of which are sound
    without them.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)
        Healthy rows or windows, may hold NaN.
    rows : ndarray of shape (len(X),)
        Their numbers in the caller's `X`.
    words : (str, str)
        What messages call columns and rows.
    where : str
        The domain, for the message.
    """
    step = max(1, len(X) // _LOOKED_AT)
    X, rows = X[::step], rows[::step]
    windows = X.reshape(*X.shape[:2], -1)
    windows = windows[:, :, :: max(1, len(X) * windows.shape[2] // _LOOKED_AT)].astype(np.float64)
    if windows.shape[0] < 10:
        return
    values = windows.transpose(1, 0, 2).reshape(X.shape[1], -1)
    usable = np.array([not has_few_levels(one[:, None]) for one in values]) & ~np.isnan(values).all(axis=1)
    windows, values = windows[:, usable], values[usable]
    low, middle, high = np.nanpercentile(values, [25, 50, 75], axis=1) if len(values) else np.zeros((3, 0))
    inner = (high - low) / INTERQUARTILE_RANGE
    deviation = np.nanstd(values, axis=1)
    spoiled = (inner > 0) & (deviation > _SPOILED * inner)
    if spoiled.sum() < max(min(2, X.shape[1]), len(values) / 4):
        return
    z = np.abs(windows[:, spoiled] - middle[spoiled, None]) / inner[spoiled, None]
    far = (np.nanmean(z > _FAR, axis=2) > 0.5).mean(axis=1) >= 0.5
    if not 0 < far.mean() <= 0.4:
        return
    rest = np.nanstd(windows[~far][:, spoiled].transpose(1, 0, 2).reshape(spoiled.sum(), -1), axis=1)
    if np.mean(rest <= _SPOILED * inner[spoiled]) < 0.5:
        return  # each column has far values of its own
    column, row = words
    times = np.median(deviation[spoiled] / inner[spoiled])
    text = (
        f"{name}: {{count}} of {{total}} healthy {row}s{where} (the first is number {rows[far][0]}) lie far from all "
        f"others in {spoiled.sum()} of {X.shape[1]} {column}s, and make the scale of these {times:.0f} times as large: "
        f"a start-up, a stop, another operating point, or {row}s that are not healthy. Drop them unless the machine "
        "runs so as a rule, or use method='robust'."
    )
    warn_of(CountedWarning(text, DataQualityWarning, int(far.sum()), len(far)))
