"""The label of a window, from the labels of its samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.windows.resampling import Segment

_NAME = "SlidingWindows"


def window_labels(
    cuts: list[tuple[Segment, np.ndarray]], length: int, rule: str = "majority", normal_label: Any = None
) -> np.ndarray:
    """One label a window.

    Parameters
    ----------
    cuts : list of (Segment, ndarray of shape (n_windows,))
        Segments, each with the index of the last sample of each of its windows.
    length : int
        Samples in a window.
    rule : {"majority", "any", "last"}, default="majority"
        As `label_rule` of :class:`SlidingWindows`.
    normal_label : object, default=None
        The healthy label, for ``rule="any"``.

    Returns
    -------
    ndarray of shape (n_windows of all segments,)
        Text as text, not as objects.

    Raises
    ------
    ValueError
        If a label is missing, or continuous numbers would have to be counted.
    """
    if rule == "any":
        _look_for_normal(cuts, normal_label)
    labels = [_labels_of(segment, ends, length, rule, normal_label) for segment, ends in cuts]
    kinds = {one.dtype.kind for one in labels}
    if len(kinds) > 1 and not kinds <= set("iufb"):
        labels = [one.astype(object) for one in labels]
    return plain(np.concatenate(labels))


def _look_for_normal(cuts: list[tuple[Segment, np.ndarray]], normal_label: Any) -> None:
    """Warn if windows hold several labels and none of all samples is the normal one, which is then not left out."""
    seen: list[Any] = []
    mixed = False
    for segment, _ in cuts:
        labels = segment.recording.labels
        found = plain(pd.unique(labels[segment.rows] if labels.ndim else labels[None])).tolist()
        mixed |= len(found) > 1
        seen += [label for label in found if label not in seen]
    if mixed and normal_label not in seen:
        warn_caller(
            f"{_NAME}(label_rule='any', normal_label={normal_label!r}): no sample has this label, so that every window "
            f"gets its most frequent one. The labels are {seen[:8]}."
        )


def _labels_of(segment: Segment, ends: np.ndarray, length: int, rule: str, normal_label: Any) -> np.ndarray:
    """One label for each window of a segment."""
    labels, name = segment.recording.labels, segment.recording.name
    if labels.ndim == 0:
        _refuse_missing(name, int(pd.isna(labels)))
        return np.repeat(labels, len(ends))
    if rule == "last":
        chosen = labels[segment.rows[ends]]
        _refuse_missing(name, int(pd.isna(chosen).sum()))
        return chosen
    labels = labels[segment.rows]
    if labels.dtype.kind == "f" and (labels != np.rint(labels)).any() and np.isfinite(labels).all():
        raise ValueError(
            f"{_NAME}(label_rule={rule!r}) counts classes, but the labels of recording {name!r} are continuous "
            "numbers. Set label_rule='last'."
        )
    codes, classes = pd.factorize(labels)
    _refuse_missing(name, int((codes < 0).sum()))
    ignored = None
    if rule == "any":
        ignored = next((code for code, label in enumerate(classes) if label == normal_label), None)
    return np.asarray(classes)[_most_frequent(codes, len(classes), ends, length, ignored)]


def _most_frequent(codes: np.ndarray, n_classes: int, ends: np.ndarray, length: int, ignored: int | None) -> np.ndarray:
    """The class of most samples in each window, of equals the one that comes last.

    The class `ignored` is chosen only where there is no other. Runs of equal labels are counted, not samples: there
    are far fewer of them.
    """
    starts = np.r_[0, np.flatnonzero(codes[1:] != codes[:-1]) + 1]
    kind, lengths = codes[starts], np.diff(np.r_[starts, len(codes)])
    first, last = (np.searchsorted(starts, index, side="right") - 1 for index in (ends + 1 - length, ends))
    best, score = np.zeros(len(ends), dtype=np.intp), np.full(len(ends), -1, dtype=np.int64)
    for code in range(n_classes):
        here = kind == code
        before = np.r_[0, np.cumsum(np.where(here, lengths, 0))]
        # samples of this class up to the last one of the window, minus those before its first one
        count = before[last] + here[last] * (ends + 1 - starts[last])
        count -= before[first] + here[first] * (ends + 1 - length - starts[first])
        latest = np.maximum.accumulate(np.r_[-1, np.where(here, starts + lengths - 1, -1)])[last]
        latest = np.where(here[last], ends, latest) - ends + length  # 1 to length inside the window
        mark = np.where(count > 0, 0 if code == ignored else count * (length + 1) + latest, -1)
        best, score = np.where(mark > score, code, best), np.maximum(mark, score)
    return best


def _refuse_missing(name: Any, count: int) -> None:
    if count:
        raise ValueError(
            f"{_NAME}: recording {name!r} has no label in {counted(count, 'sample')}. Give these samples a label of "
            "their own, or leave them out."
        )


def plain(values: np.ndarray) -> np.ndarray:
    """Objects that are all text or all numbers as an array of text or numbers; others as they are."""
    kinds = ("string", "integer", "floating", "boolean")
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=False) in kinds:
        return np.array(values.tolist())
    return values
