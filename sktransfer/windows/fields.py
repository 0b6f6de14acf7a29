"""Which fields of :class:`Windows` still hold after an operation: a list of what keeps them, and nothing else does.

::

    index      --> entries of the windows, names of the channels, the rate unless samples are skipped
    elementwise --> what all windows agree on
    joined     --> entries one after the other, rate and channels if they are the same
    all else   --> nothing
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sktransfer.utils.counted_warnings import warn_caller

# Fields with one entry a window, which follow an index along the first axis, and the shape of an entry.
ENTRIES: dict[str, tuple[int, ...]] = {"time": (), "rpm": (), "orders": (4,)}
FIELDS = ("sampling_rate", *ENTRIES, "channels")
NOTHING: dict[str, Any] = dict.fromkeys(FIELDS)
SAME_RATE = 1e-3  # rates this near, relative to each other, are one: clocks are no better


def fields_of(windows: Any) -> dict[str, Any]:
    """All fields of `windows` by name; None where they are not known."""
    return {name: getattr(windows, name, None) for name in FIELDS}


def known_fields(fields: dict[str, Any]) -> list[str]:
    """Names of the fields that are known."""
    return [name for name, value in fields.items() if value is not None]


def indexed(fields: dict[str, Any], index: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Fields of ``windows[index]``, which has three axes again; `shape` is that of the windows."""
    axes = _by_axis(index)
    if axes is None or not isinstance(axes[2], slice):
        return dict(NOTHING)
    windows, channels, samples = axes
    kept = range(*samples.indices(shape[2]))
    found = {name: None if fields[name] is None else fields[name][windows] for name in ENTRIES}
    found["sampling_rate"] = fields["sampling_rate"] if kept.step == 1 else None
    if kept.step < 1 or not kept or kept[-1] != shape[2] - 1:
        found["time"] = None  # the time is that of the last sample
    names = fields["channels"]
    if names is not None:
        names = tuple(names[j] for j in np.arange(shape[1])[channels])
    found["channels"] = names if names is None or len(set(names)) == len(names) else None
    return found


def _by_axis(index: Any) -> list[Any] | None:
    """One slice or 1-D array for each of three axes; None where an entry is a number, a new axis or a larger array."""
    given = list(index) if isinstance(index, tuple) else [index]
    dots = [i for i, entry in enumerate(given) if entry is Ellipsis]
    at = dots[0] if dots else len(given)
    fill = [slice(None)] * (3 - len(given) + len(dots))
    axes = []
    for entry in [*given[:at], *fill, *given[at + 1 :]]:
        if not isinstance(entry, slice):
            array = np.asarray(entry)
            if array.ndim != 1:
                return None
            entry = array.astype(np.intp) if array.size == 0 else array
        axes.append(entry)
    return axes if len(axes) == 3 else None


def agreed(known: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Fields that all windows of an elementwise operation have in common; who does not know a field has no say."""
    found = dict(NOTHING)
    for name in FIELDS:
        values = [fields[name] for fields in known if fields[name] is not None]
        if values and all(_equal(values[0], value) for value in values[1:]):
            found[name] = values[0]
    return found


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if not isinstance(one, np.ndarray):
        return one == other
    if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
        return False
    return bool(((one == other) | ((one != one) & (other != other))).all())  # NaN and NaT are equal to themselves


def joined(parts: Sequence[Any], axis: Any) -> dict[str, Any]:
    """Fields of ``np.concatenate(parts, axis)``.

    Parameters
    ----------
    parts : sequence of Windows and arrays, each with three axes
    axis : int
        0: windows one after the other. 1: channels of the same windows side by side. Any other axis keeps nothing.

    Raises
    ------
    ValueError
        If windows one after the other have the same channels in another order.

    Warns
    -----
    DataQualityWarning
        If a field that some of the windows know does not hold for the whole.
    """
    parts = [part for part in parts if len(part)] or list(parts)
    known = [fields_of(part) for part in parts]
    if axis == 1:
        found = agreed(known)
        names = [name for fields in known for name in fields["channels"] or [None]]
        found["channels"] = tuple(names) if None not in names and len(set(names)) == len(names) else None
    elif axis == 0:
        found = {name: _appended(name, [fields[name] for fields in known], parts) for name in ENTRIES}
        found["sampling_rate"] = _common_rate([fields["sampling_rate"] for fields in known])
        found["channels"] = _common_channels([fields["channels"] for fields in known])
    else:
        found = dict(NOTHING)
    lost = [name for name in FIELDS if found[name] is None and any(fields[name] is not None for fields in known)]
    if lost:
        why = "not all parts know the same" if axis in (0, 1) else "nobody knows whether the samples follow each other"
        warn_caller(
            f"np.concatenate: the joined windows have no {', '.join(lost)}, because {why}. Say those of the whole: "
            "Windows.of(joined, ...)."
        )
    return found


def _appended(name: str, values: list[Any], parts: Sequence[Any]) -> np.ndarray | None:
    """Entries one after the other, NaN where unknown; None if unknown for all, or if times differ in kind."""
    known = [value for value in values if value is not None]
    if not known or (name == "time" and (len(known) < len(values) or len({value.dtype.kind for value in known}) > 1)):
        return None
    return np.concatenate(
        [
            np.full((len(part), *ENTRIES[name]), np.nan) if value is None else value
            for value, part in zip(values, parts, strict=True)
        ]
    )


def _common_rate(rates: list[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    same = len(known) == len(rates) and max(known) <= min(known) * (1 + SAME_RATE)
    return known[0] if same else None


def _common_channels(channels: list[tuple | None]) -> tuple | None:
    first = channels[0]
    for other in channels[1:]:
        if first is not None and other is not None and first != other and set(first) == set(other):
            raise ValueError(
                f"np.concatenate got windows of the channels {list(first)} and {list(other)}: the same in another "
                f"order. Bring them into one order: X.select_channels({list(first)})."
            )
    return first if all(other == first for other in channels) else None
