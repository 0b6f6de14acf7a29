"""The checks of windows and images, and their sentences: what `_validation.py` is for rows of a table."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from sktransfer.exceptions import DataQualityWarning
from sktransfer.validation.quality import is_sentinel
from sktransfer.validation.rows import LARGEST_INPUT
from sktransfer.windows.windows import Windows

_MISSING = (
    'Drop these windows, fill the gaps of the recording before it is cut, or use BaselineScaler(missing="impute").'
)
_SAME_RATE = 1e-3  # rates this near, relative to each other, are one: clocks are no better


def count_dimensions(X: Any) -> int:
    """Dimensions of an array, frame or nested list, without making an array of it."""
    n = 0
    while isinstance(X, list | tuple) and len(X) > 0:
        n, X = n + 1, X[0]
    if isinstance(X, str | bytes):
        return n
    return n + len(getattr(X, "shape", ()))


def check_windows(
    estimator: Any, X: Any, *, reset: bool, allow_nan: bool = False, largest: float = LARGEST_INPUT
) -> np.ndarray:
    """Turn `X` into a float32 or float64 array, a :class:`Windows` where it was one, or say what is in the way.

    Parameters
    ----------
    estimator : estimator
        Named in messages; gets ``n_features_in_``, the number of channels, if `reset`.
    X : array-like of shape (n_windows, n_channels, window_length) or (n_images, n_channels, height, width)
    reset : bool
        True in ``fit``, False where the channels must be as many as in ``fit``.
    allow_nan : bool, default=False
        Whether NaN (not infinity) may stay.
    largest : float
        Largest absolute value that may stay.

    Raises
    ------
    ValueError
        For windows of unequal or no length, what is no number, NaN, infinity, too large values and another number of
        channels than in ``fit``.
    """
    who = type(estimator).__name__
    if isinstance(X, list | tuple):
        X = _stacked(who, X)
    plain = np.asarray(X)
    if plain.dtype.kind in "USMm" or (plain.dtype.kind == "O" and any(isinstance(v, str) for v in plain.flat)):
        raise ValueError(f"{who} got windows of text or times (dtype {plain.dtype}); windows hold numbers.")
    if 0 in plain.shape[1:]:
        raise ValueError(
            f"{who} got X of shape {plain.shape}; windows need at least one channel and one sample: "
            "(n_windows, n_channels, window_length)."
        )
    if plain.dtype.kind in "iu" and plain.dtype.itemsize <= 2:
        plain = plain.astype(np.float32)  # exact, and half of what float64 would take
    if not reset and plain.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"{who} got windows of {plain.shape[1]} channels, but was fitted to windows of {estimator.n_features_in_}. "
            "Pass the same channels in the same order."
        )
    options: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": False, "allow_nd": True}
    array = validate_data(estimator, plain, reset=reset, **options)
    _refuse_unusable(who, array, allow_nan, largest)
    return X.like(array) if isinstance(X, Windows) else array


def _stacked(who: str, X: Any) -> np.ndarray:
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ValueError(
            f"{who} got windows that do not make one array ({error}). Cut all windows to one length and the same "
            "channels: SlidingWindows does."
        ) from error


def _per_channel(found: np.ndarray) -> np.ndarray:
    """Of each channel, in how many windows something was found."""
    return found.reshape(*found.shape[:2], -1).any(axis=2).sum(axis=0)


def _refuse_unusable(who: str, array: np.ndarray, allow_nan: bool, largest: float) -> None:
    # the smallest and the largest value are NaN if any is, or, where NaN may stay, if all are
    low, high = (np.fmin, np.fmax) if allow_nan else (np.minimum, np.maximum)
    if max(float(high.reduce(array, axis=None)), -float(low.reduce(array, axis=None))) <= largest:
        return
    for what, test, mend in (
        ("infinity", np.isinf, "Drop these windows; infinity is never a measurement."),
        ("NaN", np.isnan, _MISSING),
        (f"values beyond {largest:.0e}", lambda x: np.abs(x) > largest, "They are too large for a measurement."),
    ):
        counts = _per_channel(test(array))
        if counts.any() and not (allow_nan and what == "NaN"):
            where = ", ".join(f"{j} ({counts[j]} windows)" for j in np.flatnonzero(counts)[:5])
            where += ", ..." if (counts > 0).sum() > 5 else ""
            raise ValueError(f"{who}: Input X contains {what} in channel {where}. {mend}")


def check_rate(estimator: Any, X: Any, takes: tuple[float, float] | None, name: str, *, reset: bool) -> None:
    """Compare the sampling rate of windows with that of ``fit`` and with those that a backbone takes.

    Parameters
    ----------
    estimator : estimator
        Gets ``sampling_rate_`` if `reset`.
    X : ndarray or Windows
    takes : (float, float) or None
        Lowest and highest rate in Hz that the backbone takes; None: any.
    name : str
        Of the backbone.

    Raises
    ------
    ValueError
        For another rate, and for windows without one where the backbone has limits.
    """
    who, rate = type(estimator).__name__, getattr(X, "sampling_rate", None)
    fitted = None if reset else getattr(estimator, "sampling_rate_", None)
    mend = "Resample the recordings: SlidingWindows(..., sampling_rate=...) does it while cutting."
    if rate is not None and fitted is not None and abs(rate - fitted) > _SAME_RATE * fitted:
        raise ValueError(
            f"{who} got windows sampled at {rate:g} Hz, but was fitted to windows sampled at {fitted:g} Hz. {mend}"
        )
    if takes is not None:
        low, high = takes
        known = f"{low:g} Hz" if low == high else f"{low:g} to {high:g} Hz"
        if rate is None:
            raise ValueError(
                f"{who}: backbone {name!r} takes windows sampled at {known}, and these do not say their rate. Cut them "
                "with SlidingWindows, or say it: Windows.of(X, sampling_rate=...)."
            )
        if not low * (1 - _SAME_RATE) <= rate <= high * (1 + _SAME_RATE):
            raise ValueError(
                f"{who} got windows sampled at {rate:g} Hz, but its backbone {name!r} takes {known}. {mend}"
            )
    if reset:
        estimator.sampling_rate_ = rate


def warn_of_window_quality(who: str, X: np.ndarray) -> None:
    """Warn of channels that look wrong although every sample is a number.

    A channel is dead if no window of it changes; it is stuck in some windows if those are at most a fifth, at least
    one, and their samples are one number. Sentinels are told as in rows of a table.
    """
    if len(X) < 3 or X.ndim != 3 or X.shape[2] < 2:
        return
    plain = np.asarray(X)
    low, high = plain.min(axis=2), plain.max(axis=2)
    still = low == high
    for j in range(plain.shape[1]):
        n_still = int(still[:, j].sum())
        if n_still == len(plain):
            what = f"{low[0, j]:g} in every sample" if (low[:, j] == low[0, j]).all() else "constant in every window"
            warnings.warn(f"{who}: channel {j} is {what}, so its course says nothing.", DataQualityWarning, 3)
        elif 0 < n_still <= len(plain) / 5:
            warnings.warn(
                f"{who}: channel {j} does not change within {n_still} of {len(plain)} windows, although it does in the "
                "others. The sensor may be stuck or saturated there.",
                DataQualityWarning,
                3,
            )
        _warn_of_sentinel(who, j, plain[:, j], (float(low[:, j].min()), float(high[:, j].max())))


def _warn_of_sentinel(who: str, channel: int, samples: np.ndarray, extremes: tuple[float, float]) -> None:
    if extremes[0] == extremes[1]:
        return
    for extreme in extremes:
        n_equal = np.count_nonzero(samples == extreme)
        share = n_equal / samples.size
        if n_equal >= 3 and 0.02 <= share <= 0.5 and is_sentinel(samples.ravel(), extreme):
            warnings.warn(
                f"{who}: channel {channel} holds the value {extreme:g} in {share:.0%} of the samples, far from all "
                "others. If it marks missing data, make it NaN before the recordings are cut.",
                DataQualityWarning,
                4,
            )
