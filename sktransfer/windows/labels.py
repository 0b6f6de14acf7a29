"""Windows, their labels and their fields, cut out of stretches of samples without a gap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from sktransfer.windows.resampling import Stretch
from sktransfer.windows.tables import is_one

_WHO = "SlidingWindows"


def count_windows(n_samples: int, length: int, step: int) -> int:
    """How many windows of `length` samples, `step` samples apart, fit into `n_samples`."""
    return max(0, (n_samples - length) // step + 1)


def cut_values(parts: list[Stretch], length: int, step: int, dtype: Any) -> np.ndarray:
    """Windows of all stretches, of shape (n_windows, n_channels, length); the only copy."""
    counts = [count_windows(len(part.values), length, step) for part in parts]
    X = np.empty((sum(counts), parts[0].values.shape[1], length), dtype=dtype)
    first = 0
    for part, count in zip(parts, counts, strict=True):
        X[first : first + count] = sliding_window_view(part.values, length, axis=0)[::step]
        first += count
    return X


def last_samples(part: Stretch, length: int, step: int) -> np.ndarray:
    """Index of each window's last sample in its stretch."""
    return np.arange(count_windows(len(part.values), length, step)) * step + length - 1


def cut_labels(part: Stretch, ends: np.ndarray, length: int, rule: str, normal_label: Any) -> np.ndarray:
    """One label a window."""
    labels = part.recording.labels
    if is_one(labels):
        _refuse_missing(part, int(pd.isna(labels)))
        return np.repeat(np.asarray([labels]), len(ends))
    labels = np.asarray(labels)
    if rule == "last":
        chosen = labels[part.rows[ends]]
        _refuse_missing(part, int(pd.isna(chosen).sum()))
        return chosen
    labels = labels[part.rows]
    if labels.dtype.kind == "f" and (labels != np.rint(labels)).any() and np.isfinite(labels).all():
        raise ValueError(
            f"{_WHO}(label_rule={rule!r}) counts classes, but the labels of recording {part.recording.name!r} are "
            "continuous numbers. Set label_rule='last'."
        )
    codes, classes = pd.factorize(labels)
    _refuse_missing(part, int((codes < 0).sum()))
    excluded = None
    if rule == "any":
        excluded = next((code for code, label in enumerate(classes) if label == normal_label), None)
    return np.asarray(classes)[_most_frequent(codes, len(classes), ends, length, excluded)]


def _most_frequent(codes: np.ndarray, n_classes: int, ends: np.ndarray, length: int, excluded: int | None):
    """The class of most samples in each window; of equals the one that comes last; `excluded` only where alone.

    Counted over runs of equal labels, of which there are far fewer than samples.
    """
    starts = np.r_[0, np.flatnonzero(codes[1:] != codes[:-1]) + 1]
    kind, lengths = codes[starts], np.diff(np.r_[starts, len(codes)])
    first, last = (np.searchsorted(starts, place, side="right") - 1 for place in (ends + 1 - length, ends))
    best, score = np.zeros(len(ends), dtype=np.intp), np.full(len(ends), -1, dtype=np.int64)
    for code in range(n_classes):
        here = kind == code
        before = np.r_[0, np.cumsum(np.where(here, lengths, 0))]
        # of this class among the samples up to the last one of the window, and before its first one
        count = before[last] + here[last] * (ends + 1 - starts[last])
        count -= before[first] + here[first] * (ends + 1 - length - starts[first])
        latest = np.maximum.accumulate(np.r_[-1, np.where(here, starts + lengths - 1, -1)])[last]
        latest = np.where(here[last], ends, latest) - ends + length  # 1 to length inside the window
        mark = np.where(count > 0, 0 if code == excluded else count * (length + 1) + latest, -1)
        best, score = np.where(mark > score, code, best), np.maximum(mark, score)
    return best


def _refuse_missing(part: Stretch, count: int) -> None:
    if count:
        raise ValueError(
            f"{_WHO}: {count} labels of recording {part.recording.name!r} are missing. Give these samples a label of "
            "their own, or leave them out."
        )


def cut_speed(part: Stretch, ends: np.ndarray, length: int) -> np.ndarray:
    """Mean speed of the shaft in each window, in rpm; NaN where unknown."""
    rpm = np.nan if part.recording.rpm is None else part.recording.rpm
    if is_one(rpm):
        return np.full(len(ends), float(rpm))
    along = np.asarray(rpm, dtype=np.float64)[part.rows]
    step = int(ends[1] - ends[0]) if len(ends) > 1 else 1
    return sliding_window_view(along, length)[::step][: len(ends)].mean(axis=1)


def orders_of(part: Stretch, n_windows: int) -> np.ndarray:
    """Fault orders, of shape (n_windows, 4)."""
    orders = np.asarray(part.recording.orders, dtype=np.float64)
    if orders.shape != (4,):
        raise ValueError(
            f"{_WHO}: orders of recording {part.recording.name!r} have shape {orders.shape}; expected (4,): BPFO, "
            "BPFI, BSF, FTF in multiples of the shaft's speed."
        )
    return np.broadcast_to(orders, (n_windows, 4))


def cut_time(parts: list[Stretch], ends: list[np.ndarray]) -> np.ndarray | None:
    """Time of each window's last sample; None if it is not known of all."""
    times = [part.time[last] for part, last in zip(parts, ends, strict=True) if part.time is not None]
    if len(times) < len(parts):
        return None
    if len({time.dtype.kind for time in times}) > 1:
        raise ValueError(f"{_WHO}: some recordings have datetimes and others seconds. Give all of them the same.")
    return np.concatenate(times)


def joined(labels: list[np.ndarray]) -> np.ndarray:
    """All labels in one array; text as text, not as objects."""
    kinds = {one.dtype.kind for one in labels}
    if len(kinds) > 1 and not kinds <= set("iufb"):
        labels = [one.astype(object) for one in labels]
    return _plain(np.concatenate(labels))


def repeated(values: list[Any], ends: list[np.ndarray]) -> np.ndarray:
    """One value a window, from one a stretch."""
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return _plain(np.repeat(found, [len(last) for last in ends]))


def _plain(values: np.ndarray) -> np.ndarray:
    """Objects that are all text or all numbers as such an array."""
    return np.array(values.tolist()) if values.dtype == object and _of_one_kind(values) else values


def _of_one_kind(values: np.ndarray) -> bool:
    return pd.api.types.infer_dtype(values, skipna=False) in ("string", "integer", "floating", "boolean")
