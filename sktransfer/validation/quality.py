"""Warnings about data that can be used but looks wrong: sentinels, stuck sensors, lost digits, single outliers.

::

    rows    (n_samples, n_columns)                  --> columns of rows
    windows (n_windows, n_channels, window_length)  --> channels of windows

Where only values matter, a row is a window of one sample. Where their course matters, all rows are one window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.chunks import in_parts
from sktransfer.utils.counted_warnings import CountedWarning, count_windows, warn_caller, warn_of
from sktransfer.validation.sentinels import warn_of_sentinels
from sktransfer.validation.stuck import has_few_levels, resting_value
from sktransfer.validation.unusable import words_of

_STANDING = 3  # channels at least that stand still at once, and half of all, where the machine does

_USUAL = 3  # places where a channel stands still: it does so by nature


def warn_of_quality(name: str, X: np.ndarray, names: list[Any]) -> None:
    """Warn of columns or channels that look wrong although every value is a number; NaN are left out.

    One warning a kind, with a list: channels that no window changes; channels that are stuck in a few windows (at most
    a fifth, in one or two places, not at rest or zero, not together with half of the others, and not those of a
    setting with few levels); sentinels.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)
        Images are not examined.
    names : list
        Of columns or channels; empty: those that :class:`Windows` know, else numbers.
    """
    if X.ndim > 3 or X.size < 3 * X.shape[1]:
        return
    column, _ = words_of(X)
    names = names or list(getattr(X, "channels", None) or range(X.shape[1]))
    X = np.asarray(X)
    windows = X.reshape(*X.shape[:2], -1)
    low, high = (X, X) if X.ndim == 2 else (np.fmin.reduce(windows, axis=2), np.fmax.reduce(windows, axis=2))
    lowest, highest = np.fmin.reduce(low, axis=0), np.fmax.reduce(high, axis=0)
    if (lowest == highest).all():
        warn_caller(f"{name}: every {column} of X is constant, so there is no information in it.")
        return
    if windows.shape[2] > 1:
        _warn_of_flat_windows(name, windows, low, high, names)
    warn_of_sentinels(name, X, names, column)


def _warn_of_flat_windows(name: str, windows: np.ndarray, low: np.ndarray, high: np.ndarray, names: list[Any]) -> None:
    """Warn of channels that do not change in any window, or in a few; smallest and largest value of each are given."""
    flat = low == high
    dead = [names[j] for j in np.flatnonzero(flat.all(axis=0))]
    text = f"{name}: the channels {{names}} do not change in any window, so their course says nothing."
    warn_of(CountedWarning(text, DataQualityWarning, len(dead), names=dead, merge=max))
    stuck, n_flat = np.zeros_like(flat), flat.sum(axis=0)
    alive = n_flat < len(flat)
    standing = flat[:, alive].sum(axis=1) >= max(_STANDING, alive.sum() / 2)
    for j in np.flatnonzero((n_flat > 0) & (n_flat <= len(flat) / 5)):
        n_places = np.count_nonzero(np.diff(np.flatnonzero(flat[:, j])) > 1) + 1
        if n_places < _USUAL and not has_few_levels(windows[:, j]):
            still = (low[:, j] == 0) | (low[:, j] == resting_value(windows[:, j]))
            stuck[:, j] = flat[:, j] & ~standing & ~still
    text = (
        f"{name}: the channels {{names}} do not change within {{count}} of {{total}} windows, although they do in the "
        "others. The sensors may be stuck or saturated there."
    )
    count_windows(text, stuck, names)


def dominant_values(values: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """The one value of each column that makes up 99 % of its spread, so that all others look the same after scaling.

    Parameters
    ----------
    values : ndarray of shape (n_values, n_columns)
        Healthy values, may hold NaN.
    squares : ndarray of shape (n_values, n_columns)
        Their squared distances from the mean.

    Returns
    -------
    ndarray of shape (n_columns,)
        NaN where there is none.
    """
    found = np.full(values.shape[1], np.nan)
    n_values = (~np.isnan(values)).sum(axis=0)
    largest, total = np.fmax.reduce(squares, axis=0), np.nansum(squares, axis=0)
    for j in np.flatnonzero((n_values >= 10) & (largest > 0.99 * total * (1 - 1 / np.maximum(n_values, 1)))):
        row = int(np.nanargmax(squares[:, j]))
        others = np.delete(values[:, j], row)
        if np.nanmax(others) > np.nanmin(others):
            found[j] = values[row, j]
    return found


def warn_of_dominant_values(name: str, dominant: np.ndarray, names: list[Any], column: str) -> None:
    """Warn of columns or channels with :func:`dominant_values`; `dominant` of shape (n_domains, n_columns)."""
    found = [f"{names[j]} ({dominant[i, j]:.3g})" for i, j in np.argwhere(~np.isnan(dominant))]
    text = (
        f"{name}: a single healthy value makes up 99 % of the spread in the {column}s {{names}}, so all others will "
        "look alike. Drop such rows, or use method='robust'."
    )
    warn_of(CountedWarning(text, DataQualityWarning, len(found), names=found, merge=max))


def warn_of_empty_columns(name: str, empty: np.ndarray, names: list[Any], words: tuple[str, str]) -> None:
    """Warn of columns or channels without a healthy value; `empty` of shape (n_domains, n_columns)."""
    (column, row), found = words, [names[j] for j in np.flatnonzero(empty.any(axis=0))]
    text = (
        f"{name}: the {column}s {{names}} hold no value in the healthy {row}s; they are ignored (always zero after "
        "scaling)."
    )
    warn_of(CountedWarning(text, DataQualityWarning, len(found), names=found, merge=max))


def warn_of_empty_windows(name: str, windows: np.ndarray, names: list[Any]) -> None:
    """Warn of windows with a channel that holds no number."""
    text = (
        f"{name}: the channels {{names}} hold no number in {{count}} of {{total}} windows, which say nothing of them."
    )
    count_windows(text, np.concatenate([np.isnan(windows[part]).all(axis=2) for part in in_parts(windows)]), names)


def warn_of_empty_rows(name: str, X: np.ndarray) -> None:
    """Warn of rows whose columns hold mostly no number, where what is missing is taken for healthy."""
    text = (
        f"{name}: {{count}} of {{total}} rows hold no number in more than half of their columns. What is missing counts"
        " as healthy, so that these rows look healthier than is known. Leave them out, and report them as not known."
    )
    count = int((2 * np.isnan(X).sum(axis=1) > X.shape[1]).sum())
    warn_of(CountedWarning(text, DataQualityWarning, count, len(X)))


def warn_of_flat_channels(name: str, flat: np.ndarray, names: list[Any]) -> None:
    """Warn of windows with channels that do not change in them; `flat` of shape (n_windows, n_channels)."""
    text = (
        f"{name}: the channels {{names}} do not change within {{count}} of {{total}} windows and are zeros there, as "
        "those of idle machines and of stuck or saturated sensors."
    )
    count_windows(text, flat, names)


def warn_of_far(name: str, beyond: np.ndarray, names: list[Any], words: tuple[str, str]) -> None:
    """Warn of rows or windows with values `beyond` all that is credible; shape (n, n_columns or n_channels)."""
    column, row = words
    text = (
        f"{name}: {{count}} of {{total}} {row}s lie further from the healthy baseline than anything credible, in the "
        f"{column}s {{names}}. Check units and sensors."
    )
    count_windows(text, beyond, names)


def warn_of_lost_digits(name: str, X: np.ndarray, center: np.ndarray, scale: np.ndarray, names: list[Any]) -> None:
    """Warn of float32 columns whose offset leaves none of the seven digits for their spread.

    Numbers that leave the last two bits of float32 unused, as counts do, lost nothing.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length), float32
    center, scale : ndarray of shape (n_domains, n_columns)
        Healthy centre and scale; an infinite scale is left out.
    """
    lost = (np.abs(center) * np.finfo(np.float32).eps > 1e-3 * scale).any(axis=0)
    found = [names[j] for j in np.flatnonzero(lost) if (np.ascontiguousarray(X[:, j]).view(np.int32) & 3).any()]
    remedy = "Read the data as float64." if X.ndim == 2 else "Cut the recordings with SlidingWindows(dtype='float64')."
    text = (
        f"{name}: the {words_of(X)[0]}s {{names}} came as float32, whose digits do not resolve their spread. {remedy}"
    )
    warn_of(CountedWarning(text, DataQualityWarning, len(found), names=found, merge=max))


def warn_of_single_rows(name: str, classes: np.ndarray, counts: np.ndarray) -> None:
    """Warn of classes with one row where others have many: a split may lose them, and their score says little.

    One label for every class is how few-label work looks, and is no cause for a warning.
    """
    if counts.max() >= 5 and (counts == 1).any():
        warn_caller(
            f"{name}: the classes {classes[counts == 1].tolist()} have a single row each. They are learned from it "
            "alone, and stratified splits cannot keep them on both sides."
        )
