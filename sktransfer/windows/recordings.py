"""Recordings as users have them, made into :class:`Recording` objects.

::

    list or dict of arrays or frames, each one recording  ->  {id: table}  ->  [Recording, ...]
    one long frame, split by columns with ids             ->

The arguments of a recording, its time stamps and its signals are read by ``arguments.py``, ``stamps.py`` and
``channels.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.utils.counted_nouns import counted
from sktransfer.windows.arguments import check_orders, check_rate, look_up
from sktransfer.windows.channels import read_channels
from sktransfer.windows.stamps import read_stamps
from sktransfer.windows.tables import as_pandas, column

_NAME = "SlidingWindows"
_ROWS_HASHED = 65_536  # at once: rows of a column-wise frame are copied for it


@dataclass
class Recording:
    """One recording, with all that is known of it.

    Attributes
    ----------
    name : object
        Its id for messages: the one it was given, or its number.
    group : object
        Its id in `groups`. None where nobody named it: :func:`digest` then makes one of its samples, so that two
        recordings have different ids also in two calls, and one recording has one.
    values : ndarray of shape (n_samples, n_channels)
        Numbers of the type in which they came.
    machine : object
        Id of the machine, or None.
    time : ndarray of shape (n_samples,) or None
        float64 in s, or datetime64[ns].
    labels : ndarray of shape () or (n_samples,)
        One label for the recording, or one a sample.
    rpm : ndarray of shape () or (n_samples,)
        Speed of the shaft in rpm, float64; NaN where unknown.
    rate : float or None
        Stated rate in Hz.
    orders : ndarray of shape (4,) or None
        Fault orders of the bearing, in multiples of the shaft's speed.
    channels : tuple or None
        Names of the channels, for messages.
    """

    name: Any
    group: Any
    values: np.ndarray
    machine: Any
    time: np.ndarray | None
    labels: np.ndarray
    rpm: np.ndarray
    rate: float | None
    orders: np.ndarray | None
    channels: tuple | None = None


def read_recordings(
    recordings: Any, recording: Any, channels: Any, **given: Any
) -> tuple[list[Recording], tuple | None]:
    """Read all recordings, in the order in which they came.

    Parameters
    ----------
    recordings, recording, channels
        As in ``SlidingWindows.cut``.
    **given
        Its arguments `machine`, `time`, `labels`, `rpm`, `from_rate` and `orders`.

    Returns
    -------
    recordings : list of Recording
    channels : tuple or None
        Names of the channels.

    Raises
    ------
    ValueError
        If something cannot be read; the message names the recording.
    """
    tables, groups = _tables(recordings, recording, given["machine"])
    if not tables:
        raise ValueError(f"{_NAME} got no recording.")
    each = {what: look_up(what, argument, tables) for what, argument in given.items()}
    others = {text for text in (recording, *given.values()) if isinstance(text, str)}
    values, names = read_channels(tables, channels, others, each["labels"])
    return [
        Recording(
            name,
            groups.get(name),
            values[name],
            machine=each["machine"][name],
            time=read_stamps(name, table, each["time"][name], len(values[name])),
            labels=np.asarray(each["labels"][name]),
            rpm=np.asarray(each["rpm"][name], dtype=np.float64),
            rate=check_rate(each["from_rate"][name]),
            orders=None if given["orders"] is None else check_orders(name, each["orders"][name]),
            channels=names,
        )
        for name, table in tables.items()
    ], names


def digest(values: np.ndarray) -> str:
    """An id of a recording that nobody named, made of its samples, shape (n_samples, n_channels)."""
    found = hashlib.sha1(repr(values.shape).encode(), usedforsecurity=False)  # the fastest of those that are enough
    for start in range(0, len(values), _ROWS_HASHED):
        found.update(np.ascontiguousarray(values[start : start + _ROWS_HASHED]).data)
    return f"unnamed-{found.hexdigest()[:12]}"


def _tables(recordings: Any, recording: Any, machine: Any) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The frame or array of each recording, by id, and its id in `groups`, if it was given one."""
    recordings = as_pandas(recordings)
    if isinstance(recordings, pd.DataFrame):
        return _split(recordings, [key for key in (machine, recording) if isinstance(key, str)])
    if getattr(recordings, "ndim", 3) < 3 and getattr(getattr(recordings, "dtype", None), "kind", "O") != "O":
        raise ValueError(
            f"{_NAME} takes a list, a dict or a frame of recordings, got one array of shape {recordings.shape}. "
            "Pass a single recording as [recording]."
        )
    named = isinstance(recordings, Mapping)
    tables = {name: as_pandas(table) for name, table in (recordings.items() if named else enumerate(recordings))}
    has_frames = any(isinstance(table, pd.DataFrame) for table in tables.values())
    if recording is not None or (has_frames and isinstance(machine, str)):
        raise ValueError(
            f"{_NAME}.cut: recording and machine name columns of one long frame only; each item of a list or dict is "
            "one recording. Pass pandas.concat(frames) as the long frame, or a dict by the ids of the recordings with "
            "machine as a list or dict of one a recording."
        )
    return tables, {name: name for name in tables} if named else {}


def _split(frame: pd.DataFrame, keys: list[str]) -> tuple[dict[Any, pd.DataFrame], dict[Any, Any]]:
    """As `_tables`, of a long frame; `keys` are its columns with the ids of machines, of recordings, or of both."""
    if not keys:
        return {0: frame}, {}
    for key in keys:
        empty = int(column(0, frame, key).isna().sum())
        if empty:
            raise ValueError(
                f"{_NAME}: column {key!r} is empty in {counted(empty, 'row')}; each row belongs to a recording."
            )
    parts = list(frame.groupby(keys, sort=False, observed=True))
    names = [ids[-1] for ids, _ in parts]
    # of both, whether or not another machine of this frame numbers its recordings alike: that of the next frame may
    groups = [ids[0] if len(ids) == 1 else f"{ids[0]}/{ids[1]}" for ids, _ in parts]
    names = groups if len(set(names)) < len(names) else names
    if len(set(groups)) < len(groups):
        raise ValueError(f"{_NAME} got several recordings with the id {max(groups, key=groups.count)!r}. Rename them.")
    return {name: part for name, (_, part) in zip(names, parts, strict=True)}, dict(zip(names, groups, strict=True))


def refuse_future(read: list[Recording], now: Any, tolerance: float) -> None:
    """Raise a ValueError if a time stamp lies more than `tolerance` seconds after `now`."""
    for one in read:
        if one.time is None or not len(one.time):
            continue
        late = one.time - np.asarray(read_stamps("now", None, [now], 1))
        late = late.astype(np.int64) / 1e9 if late.dtype.kind == "m" else late
        latest = int(late.argmax())
        if late[latest] > tolerance:
            raise ValueError(
                f"{_NAME}: {int((late > tolerance).sum())} time stamps of recording {one.name!r} lie in the future, "
                f"the latest ({one.time[latest]}) {late[latest]:.6g} s after now={now!r}, where clock_tolerance is "
                f"{tolerance:g} s. Check clocks and time zones, or drop these rows."
            )
