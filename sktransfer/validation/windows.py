"""Checks of windows and images, and of their sampling rate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import CountedWarning, warn_caller, warn_of
from sktransfer.utils.masks import without_mask
from sktransfer.validation.rows import check_rows, forget_names
from sktransfer.validation.unusable import LARGEST_INPUT, refuse_unusable
from sktransfer.windows.fields import SAME_RATE
from sktransfer.windows.windows import Windows

_LOST = (
    "{count} of {total} windows do not know their {names}, which all windows of fit did, so that what is read off them "
    "means something else. Files of numpy, np.concatenate and other frameworks drop it; give it back: Windows.of(X, "
    "sampling_rate=..., rpm=..., orders=...)."
)
_NEW = (
    "{count} of {total} windows know their {names}, which no window of fit did, so that what is read off them means "
    "something else. Fit to windows that know it, or take it off here, too: numpy.asarray(X)."
)
_UNKNOWN = (
    "{count} of {total} windows do not know their {names}. What the network reads there is zero, so that its source "
    "head cannot tell what these tell apart, as the parts of a bearing. Pass them when the recordings are cut: "
    "SlidingWindows(...).cut(recordings, rpm=..., orders=BearingGeometry(...))."
)


def is_windows(X: Any) -> bool:
    """Whether `X` is an array with three axes."""
    return getattr(X, "ndim", 2) == 3


def count_dimensions(X: Any) -> int:
    """Dimensions of an array, frame or nested list, without making an array of it."""
    n = 0
    while isinstance(X, list | tuple) and len(X) > 0:
        n, X = n + 1, X[0]
    if isinstance(X, str | bytes):
        return n
    return n + len(getattr(X, "shape", ()))


def check_windows(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    allow_nan: bool = False,
    largest: float = LARGEST_INPUT,
    remedy: str = "Change the unit, or drop these windows.",
) -> np.ndarray:
    """Turn `X` into a float32 or float64 array, a :class:`Windows` where it was one, or say what is in the way.

    Parameters
    ----------
    estimator : estimator
        Named in messages; gets ``n_features_in_``, the number of channels, and ``channel_names_in_``, if `reset`.
    X : array-like of shape (n_windows, n_channels, window_length) or (n_images, n_channels, height, width)
    reset : bool
        True in ``fit``, False where the channels must be as many as in ``fit``.
    allow_nan : bool, default=False
        Whether NaN (not infinity) may stay.
    largest : float, default=1e15
        Largest absolute value that may stay.
    remedy : str
        What to do about a value that is larger, for the message.

    Raises
    ------
    ValueError
        For windows of unequal or no length, what is no number, NaN, infinity, too large values and another number of
        channels than in ``fit``.
    """
    name = type(estimator).__name__
    X = without_mask(X)
    if isinstance(X, list | tuple):
        X = _stacked(name, X)
    plain = np.asarray(X)
    if plain.dtype.kind in "USMm" or (plain.dtype.kind == "O" and any(isinstance(v, str) for v in plain.flat)):
        raise ValueError(f"{name} got windows of text or times (dtype {plain.dtype}); windows hold numbers.")
    if 0 in plain.shape[1:]:
        raise ValueError(
            f"{name} got X of shape {plain.shape}; windows need at least one channel and one sample: "
            "(n_windows, n_channels, window_length)."
        )
    if plain.dtype.kind in "iu" and plain.dtype.itemsize <= 2:
        plain = plain.astype(np.float32)  # exact, and half of what float64 would take
    if not reset and plain.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"{name} got windows of {counted(plain.shape[1], 'channel')}, but was fitted to windows of "
            f"{estimator.n_features_in_}. Pass the same channels in the same order."
        )
    options: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": False, "allow_nd": True}
    if not reset:
        options |= {"estimator": estimator, "input_name": "X"}
    # windows have no column names: those of rows that a scaler was fitted to are no matter here
    array = validate_data(estimator, plain, reset=True, **options) if reset else check_array(plain, **options)
    names = partial(channel_names, X)
    refuse_unusable(name, array, names, allow_nan=allow_nan, largest=largest, remedy=remedy)
    check_channels(estimator, X, reset=reset)
    return X.like(array) if isinstance(X, Windows) else array


def channel_names(X: Any, estimator: Any = None) -> list[Any]:
    """Names for messages: those that the windows `X` know, else those of the estimator's ``fit``, else numbers."""
    names = getattr(X, "channels", None) or getattr(estimator, "channel_names_in_", None)
    return list(range(np.shape(X)[1]) if names is None else names)


def check_channels(estimator: Any, X: Any, *, reset: bool) -> None:
    """Compare the names of the channels with those of ``fit``, where both are known.

    A scaler may have been fitted to rows of a frame; the names of its columns are those of the channels.

    Parameters
    ----------
    estimator : estimator
        Gets ``channel_names_in_`` if `reset` and the windows know the names of their channels.
    X : Windows or array
    reset : bool
        Whether this is ``fit``.

    Raises
    ------
    ValueError
        If they are the same in another order.

    Warns
    -----
    DataQualityWarning
        If they are others: machines name the same sensor differently.
    """
    found = getattr(X, "channels", None)
    if reset:
        forget_names(estimator)
        if found is not None:
            estimator.channel_names_in_ = found
        return
    fitted_to = next((what for what in ("channel_names_in_", "feature_names_in_") if hasattr(estimator, what)), "")
    known = getattr(estimator, fitted_to, None)
    compare_channels(type(estimator).__name__, found, known, "it was fitted to", f"model.{fitted_to}")


def compare_channels(
    name: str, found: Sequence[Any] | None, known: Sequence[Any] | None, whose: str, where: str
) -> None:
    """Raise or warn as :func:`check_channels`.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    found, known : sequence or None
        Names of the channels that came, and of those that are expected.
    whose : str
        Of whom the expected ones are, in words.
    where : str
        Where they are, for the remedy.
    """
    if found is None or known is None or list(found) == list(known):
        return
    if len(found) == len(known) and set(found) == set(known):
        raise ValueError(
            f"{name} got windows of the channels {list(found)[:8]}, but {whose} {list(known)[:8]}: the same in another "
            f"order. Bring them into that order: X.select_channels({where}), or cut(..., channels=[...])."
        )
    first = next(pair for pair in zip_longest(found, known) if pair[0] != pair[1])
    warn_caller(
        f"{name} got windows with other names of channels than {whose} (first: {first[0]!r} where it had "
        f"{first[1]!r}). Make sure that they are the same sensors in the same order."
    )


def _stacked(name: str, X: Any) -> np.ndarray:
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ValueError(
            f"{name} got windows that do not make one array ({error}). Cut all windows to one length and the same "
            "channels: SlidingWindows does."
        ) from error


def check_samples(estimator: Any, X: Any, *, reset: bool, **options: Any) -> np.ndarray:
    """Check windows where `X` has three axes, else rows of a table.

    Parameters
    ----------
    estimator : estimator
        As for :func:`check_windows`.
    X : array-like of shape (n_samples, n_columns), or array of shape (n_windows, n_channels, window_length)
    reset : bool
        Whether this is ``fit``.
    **options : bool, float or str
        ``allow_nan``, ``largest`` and ``remedy`` of :func:`check_windows`.

    Returns
    -------
    ndarray
        Float32 or float64, without the fields of :class:`Windows`.

    Raises
    ------
    ValueError
        As :func:`check_rows` and :func:`check_windows`.
    """
    check = check_windows if is_windows(X) else check_rows
    return np.asarray(check(estimator, X, reset=reset, **options))


def check_rate(estimator: Any, X: Any, takes: tuple[float, float] | None, backbone: str, *, reset: bool) -> None:
    """Compare the sampling rate of windows with that of ``fit`` and with those that a backbone takes.

    Parameters
    ----------
    estimator : estimator
        Gets ``sampling_rate_`` if `reset`.
    X : ndarray or Windows
    takes : (float, float) or None
        Lowest and highest rate in Hz that the backbone takes; None: any.
    backbone : str
        Its name.

    Raises
    ------
    ValueError
        For another rate, and for windows without one where the backbone has limits.
    """
    name, rate = type(estimator).__name__, getattr(X, "sampling_rate", None)
    fitted = None if reset else getattr(estimator, "sampling_rate_", None)
    remedy = "Resample the recordings: SlidingWindows(..., sampling_rate=...) does it while cutting."
    if rate is not None and fitted is not None and abs(rate - fitted) > SAME_RATE * fitted:
        raise ValueError(
            f"{name} got windows sampled at {rate:g} Hz, but was fitted to windows sampled at {fitted:g} Hz. {remedy}"
        )
    if takes is not None:
        low, high = takes
        known = f"{low:g} Hz" if low == high else f"{low:g} to {high:g} Hz"
        if rate is None:
            raise ValueError(
                f"{name}: backbone {backbone!r} takes windows sampled at {known}, and these do not say their rate. Cut "
                "them with SlidingWindows, or say it: Windows.of(X, sampling_rate=...)."
            )
        if not low * (1 - SAME_RATE) <= rate <= high * (1 + SAME_RATE):
            raise ValueError(
                f"{name} got windows sampled at {rate:g} Hz, but its backbone {backbone!r} takes {known}. {remedy}"
            )
    if reset:
        estimator.sampling_rate_ = rate


def check_fields(estimator: Any, X: Any, *, reset: bool) -> None:
    """Warn of windows that know less than those of ``fit``, or more, where what is read off them depends on it.

    Parameters
    ----------
    estimator : estimator
        Gets ``window_fields_`` if `reset`.
    X : ndarray or Windows
    reset : bool
        Whether this is ``fit``.
    """
    known = _known_fields(X)
    if reset:
        estimator.window_fields_ = {
            name: "all" if which.all() else "some" if which.any() else "none" for name, which in known.items()
        }
        return
    fitted, name = getattr(estimator, "window_fields_", {}), type(estimator).__name__
    lost = {field: ~which for field, which in known.items() if fitted.get(field) == "all" and not which.all()}
    new = {field: which for field, which in known.items() if fitted.get(field) == "none" and which.any()}
    for found, text in ((lost, _LOST), (new, _NEW)):
        count = int(np.any(list(found.values()), axis=0).sum()) if found else 0
        warn_of(CountedWarning(f"{name}: {text}", DataQualityWarning, count, len(X), list(found)))


def warn_of_unknown_fields(estimator: Any, X: Any) -> None:
    """Warn of windows whose speed or fault orders a source head would need, and nothing is learned without them."""
    known = {field: which for field, which in _known_fields(X).items() if field != "sampling_rate"}
    found = [field for field, which in known.items() if not which.all()]
    count = int((~np.all(list(known.values()), axis=0)).sum())
    warn_of(CountedWarning(f"{type(estimator).__name__}: {_UNKNOWN}", DataQualityWarning, count, len(X), found))


def _known_fields(X: Any) -> dict[str, np.ndarray]:
    """For each field, which windows know it."""
    n, rate = len(X), getattr(X, "sampling_rate", None)
    known = {"sampling_rate": np.full(n, rate is not None)}
    for name in ("rpm", "orders"):
        values = getattr(X, name, None)
        known[name] = np.zeros(n, bool) if values is None else np.isfinite(values).reshape(n, -1).any(axis=1)
    return known
