"""What looks wrong in windows although every sample is a number, in terms of windows and channels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.counted_warnings import CountedWarning, warn_of
from sktransfer.validation.quality import STUCK_ROWS, warn_of_sentinels

_CHUNK = 2**22  # numbers that are looked at together


def is_windows(X: Any) -> bool:
    """Whether `X` is an array with three axes."""
    return getattr(X, "ndim", 2) == 3


def chunks(X: np.ndarray) -> list[slice]:
    """Slices of a few windows each, so that temporary arrays stay small."""
    size = max(1, _CHUNK // max(1, X.shape[1] * X.shape[2]))
    return [slice(start, start + size) for start in range(0, len(X), size)]


def warn_of_quality(who: str, X: np.ndarray, names: list[Any]) -> None:
    """Warn of channels of zeros, of windows without any change, and of sentinels such as -9999."""
    low, high = np.fmin.reduce(X, axis=(0, 2)), np.fmax.reduce(X, axis=(0, 2))
    if (low == high).all():
        warnings.warn(f"{who}: every channel is constant, so there is no information in it.", DataQualityWarning, 4)
        return
    zero = [names[j] for j in np.flatnonzero((low == 0) & (high == 0))]
    if zero:
        warnings.warn(
            f"{who}: the channels {zero[:5]} are zero in all {len(X)} windows. The sensors may not be connected.",
            DataQualityWarning,
            4,
        )
    for j in np.flatnonzero(low < high):
        column = X[:, j].reshape(-1, 1)
        warn_of_sentinels(who, column, low[j : j + 1], high[j : j + 1], names[j : j + 1], "channel")


def typical_runs(windows: np.ndarray) -> np.ndarray:
    """Mean number of samples without change in healthy windows, shape (n_channels,); infinite where none changed.

    Where no healthy window is flat, at most so many that a flat window is found to be stuck.
    """
    n_changes, flat = np.zeros(windows.shape[1]), np.zeros(windows.shape[1], dtype=bool)
    for part in chunks(windows):
        changed = np.abs(np.diff(windows[part], axis=2)) > 0  # from or to NaN is no change
        n_changes += changed.sum(axis=(0, 2))
        flat |= (~changed.any(axis=2)).any(axis=0)
    runs = windows.shape[0] * windows.shape[2] / (n_changes + len(windows))
    runs = np.where(flat, runs, np.minimum(runs, windows.shape[2] / STUCK_ROWS))
    return np.where(n_changes > 0, runs, np.inf)


def warn_of_stuck_channels(who: str, X: np.ndarray, typical: np.ndarray, names: list[Any]) -> None:
    """Warn of windows with a run of equal values twenty times as long as usual in healthy ones, or without change."""
    stuck = np.zeros((len(X), X.shape[1]), dtype=bool)
    limits = np.maximum(STUCK_ROWS * typical, 2)
    step = STUCK_ROWS // 2
    for j in np.flatnonzero(limits <= X.shape[2]):
        signal = X[:, j]
        if limits[j] >= STUCK_ROWS:  # a run of twenty covers two samples ten apart
            maybe = signal[:, step::step] == signal[:, : -step or None : step][:, : signal[:, step::step].shape[1]]
            candidates = np.flatnonzero(maybe.any(axis=1))
        else:
            candidates = np.flatnonzero(signal.min(axis=1) == signal.max(axis=1))
        for i in candidates:
            changes = np.flatnonzero(signal[i, 1:] != signal[i, :-1]) + 1
            stuck[i, j] = np.diff(np.r_[0, changes, X.shape[2]]).max() >= limits[j]
    text = (
        f"{who}: the channels {{names}} are stuck in {{count}} of {{total}} windows: they do not change although they "
        "varied while healthy. The sensors may be stuck or saturated."
    )
    _say(text, stuck, names)


def warn_of_empty_channels(who: str, X: np.ndarray, names: list[Any]) -> None:
    """Warn of windows with a channel that holds no number."""
    text = f"{who}: the channels {{names}} hold no number in {{count}} of {{total}} windows, which say nothing of them."
    empty = [np.isnan(X[part]).all(axis=2) for part in chunks(X)]
    _say(text, np.concatenate(empty), names)


def warn_of_flat_channels(who: str, flat: np.ndarray, names: list[Any]) -> None:
    """Warn of windows with channels that do not change in them; `flat` of shape (n_windows, n_channels)."""
    text = (
        f"{who}: the channels {{names}} do not change within {{count}} of {{total}} windows and are zeros there. The "
        "sensors may be stuck or saturated."
    )
    _say(text, flat, names, stacklevel=5)


def warn_of_far_windows(who: str, beyond: np.ndarray, names: list[Any]) -> None:
    """Warn of windows with values `beyond` all that is credible; shape (n_windows, n_channels)."""
    text = (
        f"{who}: {{count}} of {{total}} windows lie further from the healthy baseline than anything credible, in the "
        "channels {names}. Check units and sensors."
    )
    _say(text, beyond, names)


def _say(text: str, found: np.ndarray, names: list[Any], stacklevel: int = 6) -> None:
    channels = [names[j] for j in np.flatnonzero(found.any(axis=0))]
    warn_of(CountedWarning(text, DataQualityWarning, int(found.any(axis=1).sum()), len(found), channels), stacklevel)
