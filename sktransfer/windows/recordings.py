"""Recordings as users have them, made into :class:`Recording` objects.

::

    list or dict of arrays or frames, each one recording  ->  {id: table}  ->  [Recording, ...]
    one long frame, split by columns with ids             ->

An argument such as `labels` is one value for all recordings, or one value a recording as a list or dict. Where the
recordings are frames, text names a column instead. A column holds one value a sample.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.utils.parameters import is_number

_NAME = "SlidingWindows"
_LARGEST_MEASUREMENT = 1e30
_MAY_NAME_A_COLUMN = ("machine", "time", "labels", "rpm")


@dataclass
class Recording:
    """One recording, with all that is known of it.

    Attributes
    ----------
    name : object
        Its id.
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
    """

    name: Any
    values: np.ndarray
    machine: Any
    time: np.ndarray | None
    labels: np.ndarray
    rpm: np.ndarray
    rate: float | None
    orders: np.ndarray | None


def read_recordings(recordings: Any, recording: Any, channels: Any, **given: Any) -> list[Recording]:
    """Read all recordings, in the order in which they came.

    Parameters
    ----------
    recordings, recording, channels
        As in ``SlidingWindows.cut``.
    **given
        Its arguments `machine`, `time`, `labels`, `rpm`, `from_rate` and `orders`.

    Returns
    -------
    list of Recording

    Raises
    ------
    ValueError
        If something cannot be read; the message names the recording.
    """
    tables = _tables(recordings, recording, given["machine"])
    if not tables:
        raise ValueError(f"{_NAME} got no recording.")
    each = {what: _each(what, argument, tables) for what, argument in given.items()}
    values = _values(tables, channels, {text for text in (recording, *given.values()) if isinstance(text, str)})
    return [
        Recording(
            name,
            values[name],
            machine=each["machine"][name],
            time=_stamps(name, table, each["time"][name], len(values[name])),
            labels=np.asarray(each["labels"][name]),
            rpm=np.asarray(each["rpm"][name], dtype=np.float64),
            rate=_rate(each["from_rate"][name]),
            orders=None if given["orders"] is None else _orders(name, each["orders"][name]),
        )
        for name, table in tables.items()
    ]


def _tables(recordings: Any, recording: Any, machine: Any) -> dict[Any, Any]:
    """The frame or array of each recording, by id."""
    recordings = _as_pandas(recordings)
    if isinstance(recordings, pd.DataFrame):
        return _split(recordings, [key for key in (machine, recording) if isinstance(key, str)])
    if getattr(recordings, "ndim", 3) < 3 and getattr(getattr(recordings, "dtype", None), "kind", "O") != "O":
        raise ValueError(
            f"{_NAME} takes a list, a dict or a frame of recordings, got one array of shape {recordings.shape}. "
            "Pass a single recording as [recording]."
        )
    items = recordings.items() if isinstance(recordings, Mapping) else enumerate(recordings)
    tables = {name: _as_pandas(table) for name, table in items}
    has_frames = any(isinstance(table, pd.DataFrame) for table in tables.values())
    if recording is not None or (has_frames and isinstance(machine, str)):
        raise ValueError(
            f"{_NAME}.cut: recording and machine name columns of one long frame only; each item of a list or dict is "
            "one recording. Pass pandas.concat(frames) as the long frame, or a dict by the ids of the recordings with "
            "machine as a list or dict of one a recording."
        )
    return tables


def _split(frame: pd.DataFrame, keys: list[str]) -> dict[Any, pd.DataFrame]:
    """Recordings of a long frame; `keys` are its columns with the ids of machines, of recordings, or of both."""
    if not keys:
        return {0: frame}
    for key in keys:
        empty = int(_column(0, frame, key).isna().sum())
        if empty:
            raise ValueError(f"{_NAME}: column {key!r} is empty in {empty} rows; each row belongs to a recording.")
    parts = list(frame.groupby(keys, sort=False, observed=True))
    names = [ids[-1] for ids, _ in parts]
    if len(set(names)) < len(names):  # two machines number their recordings alike
        names = [f"{machine}/{name}" for (machine, name), _ in parts]
    if len(set(names)) < len(names):
        raise ValueError(f"{_NAME} got several recordings with the id {max(names, key=names.count)!r}. Rename them.")
    return {name: part for name, (_, part) in zip(names, parts, strict=True)}


def _each(what: str, argument: Any, tables: dict[Any, Any]) -> dict[Any, Any]:
    """Look up an argument of ``SlidingWindows.cut`` for each recording.

    Returns a dict by id. Its values are columns if the argument names one, entries of a list or dict, or the one value.
    """
    if isinstance(argument, str) and what in _MAY_NAME_A_COLUMN:
        return {name: _named(what, argument, name, table) for name, table in tables.items()}
    if isinstance(argument, Mapping):
        missing = [name for name in tables if name not in argument]
        if missing:
            raise ValueError(f"{_NAME}: {what} has no entry for the recordings {missing[:5]}; pass one for each.")
        entries = {name: argument[name] for name in tables}
    elif _is_one(argument) or (what == "orders" and all(_is_one(order) for order in argument)):
        return dict.fromkeys(tables, argument)
    elif len(argument) != len(tables):
        raise ValueError(
            f"{_NAME}: {what} has {len(argument)} entries for {len(tables)} recordings. Pass one a recording, as a "
            f"list or as a dict by the ids of the recordings.{_one_a_sample(what)}"
        )
    else:
        entries = dict(zip(tables, argument, strict=True))
    for name, entry in entries.items():
        if what in ("labels", "rpm") and not _is_one(entry):
            raise ValueError(
                f"{_NAME}: {what} of recording {name!r} has {len(entry)} values; expected one.{_one_a_sample(what)}"
            )
    return entries


def _one_a_sample(what: str) -> str:
    """The end of a message that says how to pass one value a sample; empty if `what` takes none."""
    if what not in ("labels", "rpm", "time"):
        return ""
    return (
        f" One value a sample is a column of a frame: frame.assign({what}=values), or for an array "
        f"pandas.DataFrame(array).assign({what}=values), and {what}={what!r}."
    )


def _is_one(value: Any) -> bool:
    """Whether `value` is a single value (text, a number, a date, nothing) and no collection."""
    return isinstance(value, str | bytes) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def _named(what: str, text: str, name: Any, table: Any) -> Any:
    """The column of that name; of machines its first entry. For an array, the text itself."""
    if isinstance(table, pd.DataFrame):
        found = _column(name, table, text)
        return found.iloc[0] if what == "machine" else found
    if what in ("rpm", "time"):
        raise ValueError(
            f"{_NAME}: {what}={text!r} names a column, but recording {name!r} is an array.{_one_a_sample(what)}"
        )
    return text


def _as_pandas(table: Any) -> Any:
    """A pandas frame where `table` is one of polars or a series; anything else as it is."""
    if type(table).__module__.startswith("polars") and hasattr(table, "schema"):
        return pd.DataFrame({name: table[name].to_numpy() for name in table.columns})
    return table.to_frame() if isinstance(table, pd.Series) else table


def _column(name: Any, table: pd.DataFrame, key: Any) -> pd.Series:
    """A column, or the index of that name."""
    if key in table.columns:
        found = table[key]
        if found.ndim > 1:
            raise ValueError(f"{_NAME}: recording {name!r} has {found.shape[1]} columns {key!r}. Rename or drop them.")
        return found
    if key == table.index.name:
        return table.index.to_series()
    near = difflib.get_close_matches(str(key), [str(column) for column in table.columns], 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{_NAME}: recording {name!r} has no column {key!r}.{hint} It has {list(table.columns)[:12]}.")


def _values(tables: dict[Any, Any], channels: Any, others: set[str]) -> dict[Any, np.ndarray]:
    """Signals of each recording; `others` are columns that hold something else."""
    values: dict[Any, np.ndarray] = {}
    for name, table in tables.items():
        if isinstance(table, pd.DataFrame):
            channels = list(channels) if channels is not None else [key for key in table.columns if key not in others]
            table = _signals(name, table, channels)
        values[name] = _array(name, table)
        width, (first, expected) = values[name].shape[1], next(iter(values.items()))
        if width != expected.shape[1]:
            raise ValueError(
                f"{_NAME}: recording {name!r} has {width} channels, but {first!r} has {expected.shape[1]}. Select the "
                "same channels of all."
            )
    return values


def _signals(name: Any, table: pd.DataFrame, channels: list[Any]) -> np.ndarray:
    """The columns `channels`, of shape (n_samples, n_channels); NaN where a cell is empty."""
    for key in channels:
        kind = _column(name, table, key).dtype
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
        values = np.asarray(table)
        values = values.astype(np.float64) if values.dtype.kind == "O" else values
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_NAME}: recording {name!r} is no array of numbers ({error}).") from error
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2):
        raise ValueError(
            f"{_NAME}: recording {name!r} has shape {values.shape} and type {values.dtype}; expected numbers of shape "
            "(n_samples,) or (n_samples, n_channels)."
        )
    values = values[:, None] if values.ndim == 1 else values
    if values.dtype.kind == "f" and values.size:
        low, high = float(np.fmin.reduce(values, axis=None)), float(np.fmax.reduce(values, axis=None))
        if max(high, -low) > _LARGEST_MEASUREMENT:
            raise ValueError(
                f"{_NAME}: recording {name!r} holds {high if high > -low else low:.3g}, too large for a measurement "
                f"(largest allowed: {_LARGEST_MEASUREMENT:.0e}). Mark such values as missing (NaN)."
            )
    return values


def _stamps(name: Any, table: Any, stamps: Any, n_samples: int) -> np.ndarray | None:
    """Time stamps as float64 in s, or as datetime64[ns], in UTC where a time zone was given."""
    if stamps is None and isinstance(table, pd.DataFrame) and isinstance(table.index, pd.DatetimeIndex):
        stamps = table.index
    if stamps is None:
        return None
    try:
        series = pd.Series(stamps if isinstance(stamps, pd.Series | pd.Index) else np.asarray(stamps))
        if not (pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_timedelta64_dtype(series.dtype)):
            series = pd.to_datetime(series, **({} if series.dtype.kind == "M" else {"format": "ISO8601"}))
            series = series.dt.tz_convert(None) if series.dt.tz is not None else series
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_NAME}: the time stamps of recording {name!r} cannot be read ({error}).") from error
    if len(series) != n_samples or series.isna().any():
        raise ValueError(
            f"{_NAME}: recording {name!r} has {int(series.notna().sum())} time stamps for {n_samples} samples. Drop "
            "the rows without one."
        )
    if series.dtype.kind == "m":
        return series.to_numpy().astype("timedelta64[ns]").astype(np.int64) / 1e9
    return series.to_numpy().astype("datetime64[ns]" if series.dtype.kind == "M" else np.float64)


def _rate(rate: Any) -> float | None:
    if rate is not None and not (is_number(rate) and 0 < rate < np.inf):
        raise ValueError(f"{_NAME}: from_rate is a positive number of Hz, got {rate!r}.")
    return None if rate is None else float(rate)


def _orders(name: Any, orders: Any) -> np.ndarray:
    orders = np.asarray(orders, dtype=np.float64)
    if orders.shape != (4,):
        raise ValueError(
            f"{_NAME}: orders of recording {name!r} have shape {orders.shape}; expected (4,): BPFO, BPFI, BSF, FTF in "
            "multiples of the shaft's speed."
        )
    return orders


def refuse_future(read: list[Recording], now: Any, tolerance: float) -> None:
    """Raise a ValueError if a time stamp lies more than `tolerance` seconds after `now`."""
    for one in read:
        if one.time is None or not len(one.time):
            continue
        late = one.time - np.asarray(_stamps("now", None, [now], 1))
        late = late.astype(np.int64) / 1e9 if late.dtype.kind == "m" else late
        latest = int(late.argmax())
        if late[latest] > tolerance:
            raise ValueError(
                f"{_NAME}: {int((late > tolerance).sum())} time stamps of recording {one.name!r} lie in the future, "
                f"the latest ({one.time[latest]}) {late[latest]:.6g} s after now={now!r}, where clock_tolerance is "
                f"{tolerance:g} s. Check clocks and time zones, or drop these rows."
            )
