"""What BaselineScaler computes: who is healthy, centre and scale, and the scaling itself."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.validation import quality as _quality
from sktransfer.validation.window_quality import chunks

_WHO = "BaselineScaler"


def healthy_ones(n: int, y: Any, normal_label: Any) -> np.ndarray:
    """Which of `n` rows or windows are healthy; all without a `normal_label`."""
    if normal_label is None:
        return np.ones(n, dtype=bool)
    if y is None:
        raise ValueError(f"BaselineScaler(normal_label={normal_label!r}) needs y to find the healthy rows, got y=None.")
    labels = np.asarray(y, dtype=object)
    if labels.shape != (n,):
        raise ValueError(f"BaselineScaler got y of shape {labels.shape}; expected ({n},), one label a row.")
    return np.array([label == normal_label for label in labels], dtype=bool)


def statistics(rows: np.ndarray, method: str, names: list[Any], what: str) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each column, from healthy rows in float64; `what` is what the columns are called."""
    empty = np.isnan(rows).all(axis=0)
    if empty.any():
        warnings.warn(
            f"BaselineScaler: the {what}s {[names[j] for j in np.flatnonzero(empty)]} hold no value in the healthy "
            f"{'rows' if what == 'column' else 'windows'}; they are ignored (always zero after scaling).",
            DataQualityWarning,
            3,
        )
        rows = np.where(empty, 0.0, rows)
    if method == "robust":
        low, center, high = np.nanpercentile(rows, [25, 50, 75], axis=0)
        scale = (high - low) / 1.3489795003921634
    else:
        center = np.nanmean(rows, axis=0)
        squares = (rows - center) ** 2
        scale = np.sqrt(np.nanmean(squares, axis=0))
        _quality.warn_of_dominant_rows(_WHO, rows, squares, names, what)
    # spread below rounding is no spread: dividing by it would turn rounding errors into signals
    still = scale <= 10 * np.finfo(np.float64).eps * np.abs(center)
    scale = np.where(still | (scale == 0), 1.0, scale)
    return center, np.where(empty, np.inf, scale)


def statistics_of_rows(rows: np.ndarray, method: str, names: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each column of healthy rows, in float64."""
    return statistics(rows.astype(np.float64, copy=False), method, names, "column")


def statistics_of_windows(windows: np.ndarray, method: str, names: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """The same of each channel of healthy windows."""
    moments = None if method == "robust" else _moments(windows)
    if moments is not None:
        center, scale = moments
        still = scale <= 10 * np.finfo(np.float64).eps * np.abs(center)
        return center, np.where(still | (scale == 0), 1.0, scale)
    found = [
        statistics(windows[:, j].reshape(-1, 1).astype(np.float64), method, names[j : j + 1], "channel")
        for j in range(windows.shape[1])
    ]
    return np.concatenate([center for center, _ in found]), np.concatenate([scale for _, scale in found])


def _moments(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and standard deviation of each channel, a few windows at a time.

    None if a closer look is due: something is missing, or a single sample makes up most of the spread.
    """
    n_samples, parts = len(windows) * windows.shape[2], chunks(windows)
    center = sum(windows[part].sum(axis=(0, 2), dtype=np.float64) for part in parts) / n_samples
    total, largest = np.zeros(len(center)), np.zeros(len(center))
    for part in parts:
        squares = (windows[part] - center[:, None]) ** 2
        total += squares.sum(axis=(0, 2))
        largest = np.maximum(largest, squares.max(axis=(0, 2)))
    if np.isnan(center).any() or (largest > 0.9 * total).any():
        return None
    return center, np.sqrt(total / n_samples)


def scaled(X: np.ndarray, center: np.ndarray, scale: np.ndarray, impute: bool, compress: bool) -> np.ndarray:
    """Distance from the centre in scales, in float64: an offset of 1e5 with unit spread would be lost in float32."""
    z = X.astype(np.float64)
    with np.errstate(over="ignore"):  # what overflows is clipped, or refused later
        z -= center
        z /= scale
    if impute:
        np.nan_to_num(z, copy=False, nan=0.0, posinf=None, neginf=None)
    if compress:
        z = np.sign(z) * np.log1p(np.abs(z))
    return z


def check_domains(sample_domain: Any, n_rows: int) -> np.ndarray:
    """Absolute domain numbers of shape (n_rows,); zeros if None."""
    if sample_domain is None:
        return np.zeros(n_rows, dtype=np.int64)
    domains = np.asarray(sample_domain)
    if domains.shape != (n_rows,):
        raise ValueError(f"sample_domain has shape {domains.shape}; expected ({n_rows},), one number a row.")
    if domains.dtype.kind not in "iu" or (domains == 0).any():
        raise ValueError(
            "sample_domain takes whole numbers other than zero: positive for sources, negative for targets."
        )
    return np.abs(domains.astype(np.int64))


def some_values(y: Any) -> str:
    """The first few labels, for messages."""
    values = sorted({str(value) for value in np.asarray(y, dtype=object)})
    return ", ".join(repr(v) for v in values[:8]) + (", ..." if len(values) > 8 else "")
