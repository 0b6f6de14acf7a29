"""Recordings as users have them (arrays, a dict, frames) made into one kind of object."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

_WHO = "SlidingWindows"
_LARGEST_MEASUREMENT = 1e30
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
        if isinstance(table, pd.DataFrame):
            known = _channels(table, columns) if known is None else list(known)
            one.values = _numbers(name, table, known)
        else:
            one.values = _array(name, table)
        for field, value in extra.items():
            setattr(one, field, _column(name, table, value) if _is_column(table, field, value) else value)
        one.time = _stamps(name, table, one.time, len(one.values))
        one.labels, one.rpm = (_per_sample(name, what, getattr(one, what), len(one.values)) for what in _PER_SAMPLE)
        read.append(one)
    for one, rate, order in zip(
        read,
        per_recording("from_rate", from_rate, names),
        per_recording("orders", orders, names, whole=np.ndim(orders) == 1 and not isinstance(orders, Mapping)),
        strict=True,
    ):
        one.rate, one.orders = _check_rate(rate), order
    _compare_widths(read)
    return read


def per_recording(what: str, values: Any, names: list[Any], whole: bool = False) -> list[Any]:
    """One entry a recording, from one for all (`whole`: though it has a length), a mapping, or a sequence."""
    if values is None or whole or (np.ndim(values) == 0 and not isinstance(values, Mapping)):
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
    recordings = _as_pandas(recordings)
    if isinstance(recordings, pd.DataFrame):
        parts = _split(0, recordings, columns)
    else:
        if getattr(recordings, "ndim", 3) < 3 and getattr(getattr(recordings, "dtype", None), "kind", "O") != "O":
            raise ValueError(
                f"{_WHO} takes a list, a dict or a frame of recordings, got one array of shape {recordings.shape}. "
                "Pass a single recording as [recording]."
            )
        items = recordings.items() if isinstance(recordings, Mapping) else enumerate(recordings)
        parts = [part for name, table in items for part in _split(name, _as_pandas(table), columns)]
    if not parts:
        raise ValueError(f"{_WHO} got no recording.")
    names = [name for name, _, _ in parts]
    if len(set(names)) < len(names):  # two machines number their recordings alike
        parts = [(f"{machine}/{name}", machine, table) for name, machine, table in parts]
        if len({name for name, _, _ in parts}) < len(parts):
            raise ValueError(f"{_WHO} got several recordings with the id {max(names, key=names.count)!r}. Rename them.")
    return parts


def _as_pandas(table: Any) -> Any:
    if type(table).__module__.startswith("polars") and hasattr(table, "schema"):
        return pd.DataFrame({name: table[name].to_numpy() for name in table.columns})
    return table.to_frame() if isinstance(table, pd.Series) else table


def _split(name: Any, table: Any, columns: Columns) -> list[tuple[Any, Any, Any]]:
    keys = [key for key in (columns.machine, columns.recording) if isinstance(key, str)]
    if not isinstance(table, pd.DataFrame) or not keys:
        return [(name, None, table)]
    for key in keys:
        empty = int(_column(name, table, key, raw=True).isna().sum())
        if empty:
            raise ValueError(f"{_WHO}: column {key!r} is empty in {empty} rows; each row belongs to a recording.")
    found = []
    for ids, part in table.groupby(keys, sort=False, observed=True):
        named = dict(zip(keys, ids, strict=True))
        found.append((named.get(columns.recording, name), named.get(columns.machine), part))
    if columns.recording is None and len(found) > 1:  # machines without recording ids: one recording a machine
        found = [(machine, machine, part) for _, machine, part in found]
    return found


def _with_columns(recordings: Any, columns: Columns) -> tuple[Any, Columns]:
    """A long frame, with arrays of one entry a row put into columns of their own."""
    frame = _as_pandas(recordings)
    if not isinstance(frame, pd.DataFrame):
        return recordings, columns
    for what in (*_PER_SAMPLE, "time"):
        values = getattr(columns, what)
        if np.ndim(values) == 1 and not isinstance(values, Mapping) and len(values) == len(frame) > 1:
            key = f"{what} passed to cut"
            frame, columns = frame.assign(**{key: np.asarray(values)}), replace(columns, **{what: key})
    return frame, columns


def _extras(parts: Any, names: list[Any], columns: Columns) -> list[dict[str, Any]]:
    """Labels, speeds, stamps and machines of each recording, as they came."""
    given = {what: per_recording(what, getattr(columns, what), names) for what in (*_PER_SAMPLE, "time", "machine")}
    if isinstance(columns.machine, str) and any(isinstance(table, pd.DataFrame) for _, _, table in parts):
        given["machine"] = [machine for _, machine, _ in parts]
    return [dict(zip(given, entries, strict=True)) for entries in zip(*given.values(), strict=True)]


def _is_column(table: Any, field: str, value: Any) -> bool:
    return isinstance(table, pd.DataFrame) and isinstance(value, str) and field != "machine"


def _column(name: Any, table: pd.DataFrame, key: str, raw: bool = False) -> Any:
    if key in table.columns:
        return table[key] if raw else table[key].to_numpy()
    if key == table.index.name:
        return table.index.to_series() if raw else table.index
    near = difflib.get_close_matches(key, [str(column) for column in table.columns], 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{_WHO}: recording {name!r} has no column {key!r}.{hint} It has {list(table.columns)[:12]}.")


def _channels(table: pd.DataFrame, columns: Columns) -> list[Any]:
    """Every column that is not said to hold something else."""
    other = {
        key
        for key in (columns.recording, columns.machine, columns.time, columns.labels, columns.rpm)
        if isinstance(key, str)
    }
    return [column for column in table.columns if column not in other]


def _numbers(name: Any, table: pd.DataFrame, channels: list[Any]) -> np.ndarray:
    for key in channels:
        if not pd.api.types.is_numeric_dtype(_column(name, table, key, raw=True).dtype):
            raise ValueError(
                f"{_WHO}: column {key!r} of recording {name!r} holds {table[key].dtype}, no numbers. Say what it is "
                "(recording, machine, time, labels), select channels=[...], or convert it."
            )
    found = table[channels]
    if any(pd.api.types.is_extension_array_dtype(kind) for kind in found.dtypes):
        return found.to_numpy(dtype=np.float64, na_value=np.nan)
    return _array(name, found.to_numpy())


def _array(name: Any, table: Any) -> np.ndarray:
    try:
        values = np.asarray(table)
        values = values.astype(np.float64) if values.dtype.kind == "O" else values
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_WHO}: recording {name!r} is no array of numbers ({error}).") from error
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2):
        raise ValueError(
            f"{_WHO}: recording {name!r} has shape {values.shape} and type {values.dtype}; expected numbers of shape "
            "(n_samples,) or (n_samples, n_channels)."
        )
    values = values[:, None] if values.ndim == 1 else values
    if values.dtype.kind == "f" and values.size:
        low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
        if max(high, -low) > _LARGEST_MEASUREMENT:
            raise ValueError(
                f"{_WHO}: recording {name!r} holds {high if high > -low else low:.3g}, too large for a measurement "
                f"(largest allowed: {_LARGEST_MEASUREMENT:.0e}). Mark such values as missing (NaN)."
            )
    return values


def _stamps(name: Any, table: Any, stamps: Any, n_samples: int) -> np.ndarray | None:
    """float64 in s, or datetime64[ns] in UTC where a time zone was given."""
    if stamps is None and isinstance(table, pd.DataFrame) and isinstance(table.index, pd.DatetimeIndex):
        stamps = table.index
    if stamps is None:
        return None
    series = pd.Series(np.asarray(stamps) if not isinstance(stamps, pd.Index) else stamps)
    try:
        if not (pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_timedelta64_dtype(series.dtype)):
            series = pd.to_datetime(series, **({} if series.dtype.kind == "M" else {"format": "ISO8601"}))
            series = series.dt.tz_convert(None) if series.dt.tz is not None else series
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_WHO}: the time stamps of recording {name!r} cannot be read ({error}).") from error
    if len(series) != n_samples or series.isna().any():
        raise ValueError(
            f"{_WHO}: recording {name!r} has {int(series.notna().sum())} time stamps for {n_samples} samples. Drop "
            "the rows without one."
        )
    if series.dtype.kind == "m":
        return series.to_numpy().astype("timedelta64[ns]").astype(np.int64) / 1e9
    return series.to_numpy().astype("datetime64[ns]" if series.dtype.kind == "M" else np.float64)


def _per_sample(name: Any, what: str, values: Any, n_samples: int) -> Any:
    if values is None or np.ndim(values) == 0:
        return values
    values = np.asarray(values)
    if values.shape != (n_samples,):
        raise ValueError(
            f"{_WHO}: {what} of recording {name!r} has shape {values.shape}; expected one for the recording or "
            f"({n_samples},), one a sample."
        )
    return values


def _check_rate(rate: Any) -> float | None:
    if rate is not None and not (np.isreal(rate) and 0 < rate < np.inf):
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
            late = (one.time - np.asarray(_stamps("now", None, [now], 1))).astype(np.int64) / 1e9
        else:
            late = one.time - float(now)
        worst = int(late.argmax())
        if late[worst] > tolerance:
            raise ValueError(
                f"{_WHO}: {int((late > tolerance).sum())} time stamps of recording {one.name!r} lie in the future, "
                f"the latest ({one.time[worst]}) {late[worst]:.6g} s after now={now!r}, where clock_tolerance is "
                f"{tolerance:g} s. Check clocks and time zones, or drop these rows."
            )
