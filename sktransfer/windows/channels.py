"""The signals of recordings: which columns they are, their names and their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.masks import without_mask
from sktransfer.windows.tables import column

_NAME = "SlidingWindows"
_LARGEST_MEASUREMENT = 1e30
# Whole names, or words in names, of columns that say what a row is and hold no signal.
_CLASSES = {"y", "class", "target", "state", "condition", "health"}
_CLASS_WORDS = set("label labels fault faults faulty fail failure anomaly changepoint attack defect flag".split())
_IDS = set("run unit cycle sample record recording experiment batch machine row".split())
_ID_WORDS = {"id", "unnamed", "index"}
_TIME_WORDS = {"t", "time", "timestamp", "date", "datetime", "seconds", "epoch"}
_TIME_UNITS = {"sec", "ms", "us", "ns"}
_MOST_CLASSES = 50
_MOST_STEPS = 0.9  # of the steps from row to row of an id or of a time; the others begin a recording


def read_channels(
    tables: dict[Any, Any], channels: Any, others: set[str], labels: dict[Any, Any]
) -> tuple[dict[Any, np.ndarray], tuple | None]:
    """Signals of each recording, and the names of the channels.

    Parameters
    ----------
    tables : dict
        The frame or array of each recording.
    channels : str, list or None
        The columns with the signals; of arrays, the names of their columns. None: all but `others`.
    others : set of str
        Columns that hold something else.
    labels : dict
        The label of each recording, or its column of labels.

    Returns
    -------
    values : dict of ndarray of shape (n_samples, n_channels)
    names : tuple or None
        None where arrays, or numbers that pandas gave, name no channel.

    Raises
    ------
    ValueError
        If a column is missing or holds no numbers, or the recordings have different channels.

    Warns
    -----
    DataQualityWarning
        If columns that nobody selected look like labels, ids or counters.
    """
    selected = None if channels is None else _selected(channels)
    names, values, first = selected, dict[Any, np.ndarray](), next(iter(tables))
    for name, table in tables.items():
        if isinstance(table, pd.DataFrame):
            names = [key for key in table.columns if key not in others] if names is None else names
            table = _signals(name, table, names)
        values[name] = _array(name, table)
        width, expected = values[name].shape[1], values[first].shape[1]
        if width != expected:
            raise ValueError(
                f"{_NAME}: recording {name!r} has {width} channels, but {first!r} has {expected}. Select the "
                "same channels of all."
            )
    if selected is not None and len(selected) != expected:
        raise ValueError(
            f"{_NAME}: channels has {len(selected)} names for recordings of {expected} columns. Of arrays, name all."
        )
    frames = {name: table for name, table in tables.items() if isinstance(table, pd.DataFrame)}
    if selected is not None:
        return values, tuple(selected)
    if names is None or len(frames) < len(tables):
        return values, None
    _warn_of_left_out(frames, names, others)
    _warn_of_no_signals(frames, values, names, labels)
    return values, None if names == list(range(len(names))) else tuple(names)


def _selected(channels: Any) -> list[Any]:
    names = [channels] if isinstance(channels, str) else list(channels)
    repeated = [key for key in names if names.count(key) > 1]
    if repeated or not names:
        found = f"names {repeated[0]!r} twice" if repeated else "is empty"
        raise ValueError(f"{_NAME}: channels {found}. Name each column with signals once.")
    return names


def _signals(name: Any, table: pd.DataFrame, channels: list[Any]) -> np.ndarray:
    """The columns `channels`, of shape (n_samples, n_channels); NaN where a cell is empty."""
    for key in channels:
        kind = column(name, table, key).dtype
        if not pd.api.types.is_numeric_dtype(kind):
            raise ValueError(
                f"{_NAME}: column {key!r} of recording {name!r} holds {kind}, no numbers. Say what it is "
                "(recording, machine, time, labels), select channels=[...], or convert it."
            )
    found = table[channels]
    if any(pd.api.types.is_extension_array_dtype(kind) for kind in found.dtypes):
        return found.to_numpy(dtype=np.float64, na_value=np.nan)
    return found.to_numpy()


def _array(name: Any, table: Any) -> np.ndarray:
    """Numbers of shape (n_samples, n_channels), in the type in which they came."""
    try:
        values = np.asarray(without_mask(table))
        values = values.astype(np.float64) if values.dtype.kind == "O" else values
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_NAME}: recording {name!r} is no array of numbers ({error}).") from error
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2):
        raise ValueError(
            f"{_NAME}: recording {name!r} has shape {values.shape} and type {values.dtype}; expected numbers of shape "
            "(n_samples,) or (n_samples, n_channels)."
        )
    values = values[:, None] if values.ndim == 1 else values
    if not values.shape[1]:
        raise ValueError(f"{_NAME}: recording {name!r} has no column with a signal. Pass at least one channel.")
    if values.dtype.kind == "f" and values.size:
        low, high = float(np.fmin.reduce(values, axis=None)), float(np.fmax.reduce(values, axis=None))
        if max(high, -low) > _LARGEST_MEASUREMENT:
            raise ValueError(
                f"{_NAME}: recording {name!r} holds {high if high > -low else low:.3g}, too large for a measurement "
                f"(largest allowed: {_LARGEST_MEASUREMENT:.0e}). Mark such values as missing (NaN)."
            )
    return values


def _warn_of_left_out(frames: dict[Any, pd.DataFrame], names: list[Any], others: set[str]) -> None:
    """Warn of columns that the first recording lacks, and which therefore are no channels."""
    more = [[key for key in frame.columns if key not in names and key not in others] for frame in frames.values()]
    columns = list(dict.fromkeys(key for found in more for key in found))
    if columns:
        count = sum(map(bool, more))
        warn_caller(
            f"{_NAME}: the columns {columns[:8]} of {count} of {len(frames)} recordings are left out: recording "
            f"{next(iter(frames))!r} has none of these names. Select channels=[...] of all."
        )


def _warn_of_no_signals(
    frames: dict[Any, pd.DataFrame], values: dict[Any, np.ndarray], names: list[Any], labels: dict[Any, Any]
) -> None:
    """Warn of columns that became channels although they look like labels, ids or counters of rows."""
    classes = [labels[name] if np.ndim(labels[name]) == 0 else None for name in frames]
    found = []
    for j, key in enumerate(names):
        parts = [values[name][:, j] for name in frames]
        parts = [part[~np.isnan(part)] if part.dtype.kind == "f" else part for part in parts]
        if _says_what(key, parts) or _is_counter(frames.values(), key) or _follows(parts, classes):
            found.append(key)
    if found:
        warn_caller(
            f"{_NAME}: the columns {found[:8]} became channels, but look like labels, ids or counters of rows. Say "
            "what they are (labels, recording, machine, time), or select the signals: channels=[...]."
        )


def _says_what(key: Any, parts: list[np.ndarray]) -> bool:
    """Whether a column has the name of a label, an id or a time, and numbers as such have."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(key)).strip().lower()
    words = set(re.split(r"[^a-z0-9]+", name))
    is_time, is_id = words & _TIME_WORDS, name in _IDS or words & _ID_WORDS
    is_class = name in _CLASSES or words & _CLASS_WORDS
    if not (is_time or is_id or is_class):
        return False
    steps = [np.diff(part.astype(np.float64)) for part in parts]
    if is_time:
        coarse = words & _TIME_UNITS or words & _TIME_WORDS != {"t"}  # a "t" alone may be a temperature
        return _share(step > 0 for step in steps) >= _MOST_STEPS or bool(
            coarse and all((step > 0).any() and (step >= 0).all() for step in steps)
        )
    if any((part != np.rint(part)).any() for part in parts):
        return False
    if is_class and len(np.unique(np.concatenate([np.unique(part) for part in parts]))) <= _MOST_CLASSES:
        return True
    return bool(is_id) and _share((step == 0) | (step == 1) for step in steps) >= _MOST_STEPS


def _share(found: Iterable[np.ndarray]) -> float:
    """Share of what is true in all arrays."""
    counts = np.array([(np.count_nonzero(one), one.size) for one in found]).sum(axis=0)
    return counts[0] / counts[1] if counts[1] else 0.0


def _is_counter(frames: Iterable[pd.DataFrame], key: Any) -> bool:
    """Whether whole numbers grow by one and the same step from each row to the next, in every recording."""
    long = [frame[key].to_numpy() for frame in frames if len(frame) > 10]
    if not long or any(one.dtype.kind not in "iu" or one[1] == one[0] for one in long):
        return False
    return all((np.diff(one) == one[1] - one[0]).all() for one in long)


def _follows(parts: list[np.ndarray], classes: list[Any]) -> bool:
    """Whether each recording holds one whole number, which is another for each label and the same for equal labels."""
    if len(set(classes)) < 2 or None in classes or not all(len(part) for part in parts):
        return False
    if any(part[0] != part[-1] or part[0] != np.rint(part[0]) for part in parts):
        return False
    pairs = {(float(part[0]), label) for part, label in zip(parts, classes, strict=True)}
    return len(pairs) == len(set(classes)) == len({value for value, _ in pairs}) and all(
        part.min() == part.max() for part in parts
    )
