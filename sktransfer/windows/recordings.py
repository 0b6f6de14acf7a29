"""Recordings as users have them (arrays, a dict, frames) made into one kind of object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.utils.parameters import is_number
from sktransfer.windows.tables import array, as_pandas, column, is_one, numbers, per_sample, stamps

_WHO = "SlidingWindows"
_PER_SAMPLE = ("labels", "rpm")


@dataclass
class Columns:
    """What the columns of frames hold: names, or None; arrays where the recordings are arrays."""

    recording: Any = None
    machine: Any = None
    time: Any = None
    channels: Any = None
    labels: Any = None
    rpm: Any = None


@dataclass
class Recording:
    """One recording, with all that is known of it.

    Attributes
    ----------
    name : object
        Its id.
    values : ndarray of shape (n_samples, n_channels)
    time : ndarray of shape (n_samples,) or None
        float64 in s, or datetime64[ns].
    labels, rpm : object or ndarray of shape (n_samples,)
        One for all samples, or one a sample.
    """

    name: Any
    values: np.ndarray
    machine: Any = None
    time: np.ndarray | None = None
    labels: Any = None
    rpm: Any = None
    rate: float | None = None
    orders: Any = None


def read_recordings(recordings: Any, columns: Columns, from_rate: Any, orders: Any) -> list[Recording]:
    """All recordings, in the order in which they came.

    Raises
    ------
    ValueError
        If something cannot be read; the message names the recording.
    """
    recordings, columns = _with_columns(recordings, columns)
    parts = _parts(recordings, columns)
    names = [name for name, _, _ in parts]
    known = columns.channels
    read = []
    for (name, machine, table), extra in zip(parts, _extras(parts, names, columns), strict=True):
        one = Recording(name, np.empty((0, 0)), machine)
        for field, value in extra.items():
            setattr(one, field, column(name, table, value) if _names_column(table, columns, field) else value)
        if isinstance(table, pd.DataFrame):
            known = _channels(table, columns) if known is None else list(known)
            one.values = numbers(name, table, known)
        else:
            one.values = array(name, table)
        one.time = stamps(name, table, one.time, len(one.values))
        one.labels, one.rpm = (per_sample(name, what, getattr(one, what), len(one.values)) for what in _PER_SAMPLE)
        read.append(one)
    for one, rate, order in zip(
        read,
        per_recording("from_rate", from_rate, names),
        per_recording("orders", orders, names, whole=_is_flat(orders)),
        strict=True,
    ):
        one.rate, one.orders = _check_rate(rate), order
    _compare_widths(read)
    return read


def per_recording(what: str, values: Any, names: list[Any], whole: bool = False) -> list[Any]:
    """One entry a recording, from one for all (`whole`: though it has a length), a mapping, or a sequence."""
    if values is None or whole or is_one(values):
        return [values] * len(names)
    if isinstance(values, Mapping):
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"{_WHO}: {what} has no entry for the recordings {missing[:5]}; pass one for each.")
        return [values[name] for name in names]
    if len(values) != len(names):
        raise ValueError(
            f"{_WHO}: {what} has {len(values)} entries for {len(names)} recordings. Pass one a recording, or a dict "
            "by the ids of the recordings."
        )
    return list(values)


def _parts(recordings: Any, columns: Columns) -> list[tuple[Any, Any, Any]]:
    """(id, machine, table) of each recording; long frames are split."""
    recordings = as_pandas(recordings)
    if isinstance(recordings, pd.DataFrame):
        parts = _split(0, recordings, columns)
    else:
        if getattr(recordings, "ndim", 3) < 3 and getattr(getattr(recordings, "dtype", None), "kind", "O") != "O":
            raise ValueError(
                f"{_WHO} takes a list, a dict or a frame of recordings, got one array of shape {recordings.shape}. "
                "Pass a single recording as [recording]."
            )
        items = recordings.items() if isinstance(recordings, Mapping) else enumerate(recordings)
        parts = [part for name, table in items for part in _split(name, as_pandas(table), columns)]
    if not parts:
        raise ValueError(f"{_WHO} got no recording.")
    names = [name for name, _, _ in parts]
    if len(set(names)) < len(names):  # two machines number their recordings alike
        parts = [(f"{machine}/{name}", machine, table) for name, machine, table in parts]
        if len({name for name, _, _ in parts}) < len(parts):
            raise ValueError(f"{_WHO} got several recordings with the id {max(names, key=names.count)!r}. Rename them.")
    return parts


def _split(name: Any, table: Any, columns: Columns) -> list[tuple[Any, Any, Any]]:
    keys = [key for key in (columns.machine, columns.recording) if isinstance(key, str)]
    if not isinstance(table, pd.DataFrame) or not keys:
        return [(name, None, table)]
    for key in keys:
        empty = int(column(name, table, key, raw=True).isna().sum())
        if empty:
            raise ValueError(f"{_WHO}: column {key!r} is empty in {empty} rows; each row belongs to a recording.")
    found = []
    for ids, part in table.groupby(keys, sort=False, observed=True):
        named = dict(zip(keys, ids, strict=True))
        one, machine = (named[key] if isinstance(key, str) else None for key in (columns.recording, columns.machine))
        found.append((name if columns.recording is None else one, machine, part))
    if columns.recording is None and len(found) > 1:  # machines without recording ids: one recording a machine
        found = [(machine, machine, part) for _, machine, part in found]
    return found


def _with_columns(recordings: Any, columns: Columns) -> tuple[Any, Columns]:
    """A long frame, with arrays of one entry a row put into columns of their own."""
    frame = as_pandas(recordings)
    if not isinstance(frame, pd.DataFrame):
        return recordings, columns
    for what in (*_PER_SAMPLE, "time"):
        values = getattr(columns, what)
        if _is_flat(values) and len(values) == len(frame) > 1:
            key = f"{what} passed to cut"
            frame, columns = frame.assign(**{key: np.asarray(values)}), replace(columns, **{what: key})
    return frame, columns


def _extras(parts: Any, names: list[Any], columns: Columns) -> list[dict[str, Any]]:
    """Labels, speeds, stamps and machines of each recording, as they came."""
    given = {what: per_recording(what, getattr(columns, what), names) for what in (*_PER_SAMPLE, "time", "machine")}
    if isinstance(columns.machine, str) and any(isinstance(table, pd.DataFrame) for _, _, table in parts):
        given["machine"] = [machine for _, machine, _ in parts]
    return [dict(zip(given, entries, strict=True)) for entries in zip(*given.values(), strict=True)]


def _is_flat(values: Any) -> bool:
    """Whether `values` is a sequence of single values."""
    return not is_one(values) and not isinstance(values, Mapping) and all(is_one(value) for value in values)


def _names_column(table: Any, columns: Columns, field: str) -> bool:
    """Whether the argument names a column; text inside a dict or list is a value."""
    return isinstance(table, pd.DataFrame) and isinstance(getattr(columns, field), str) and field != "machine"


def _channels(table: pd.DataFrame, columns: Columns) -> list[Any]:
    """Every column that is not said to hold something else."""
    other = {
        key
        for key in (columns.recording, columns.machine, columns.time, columns.labels, columns.rpm)
        if isinstance(key, str)
    }
    return [column for column in table.columns if column not in other]


def _check_rate(rate: Any) -> float | None:
    if rate is not None and not (is_number(rate) and 0 < rate < np.inf):
        raise ValueError(f"{_WHO}: from_rate is a positive number of Hz, got {rate!r}.")
    return None if rate is None else float(rate)


def _compare_widths(read: list[Recording]) -> None:
    for one in read:
        if one.values.shape[1] != read[0].values.shape[1]:
            raise ValueError(
                f"{_WHO}: recording {one.name!r} has {one.values.shape[1]} channels, but {read[0].name!r} has "
                f"{read[0].values.shape[1]}. Select the same channels of all."
            )


def refuse_future(read: list[Recording], now: Any, tolerance: float) -> None:
    """Raise a ValueError if a time stamp lies more than `tolerance` seconds after `now`."""
    for one in read:
        if now is None or one.time is None or not len(one.time):
            continue
        if one.time.dtype.kind == "M":
            late = (one.time - np.asarray(stamps("now", None, [now], 1))).astype(np.int64) / 1e9
        else:
            late = one.time - float(now)
        worst = int(late.argmax())
        if late[worst] > tolerance:
            raise ValueError(
                f"{_WHO}: {int((late > tolerance).sum())} time stamps of recording {one.name!r} lie in the future, "
                f"the latest ({one.time[worst]}) {late[worst]:.6g} s after now={now!r}, where clock_tolerance is "
                f"{tolerance:g} s. Check clocks and time zones, or drop these rows."
            )
