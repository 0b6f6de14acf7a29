"""Arrays, columns and time stamps of recordings, checked."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np
import pandas as pd

_WHO = "SlidingWindows"
_LARGEST_MEASUREMENT = 1e30


def is_one(value: Any) -> bool:
    """Whether `value` is a single value (text, a number, a date, nothing) and no collection."""
    return isinstance(value, str | bytes) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def as_pandas(table: Any) -> Any:
    """A frame where `table` is one of polars or a series; anything else as it is."""
    if type(table).__module__.startswith("polars") and hasattr(table, "schema"):
        return pd.DataFrame({name: table[name].to_numpy() for name in table.columns})
    return table.to_frame() if isinstance(table, pd.Series) else table


def column(name: Any, table: pd.DataFrame, key: str, raw: bool = False) -> Any:
    """A column, or the index of that name, as an array (`raw`: as a series)."""
    if key in table.columns:
        return table[key] if raw else table[key].to_numpy()
    if key == table.index.name:
        return table.index.to_series() if raw else table.index
    near = difflib.get_close_matches(key, [str(column) for column in table.columns], 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{_WHO}: recording {name!r} has no column {key!r}.{hint} It has {list(table.columns)[:12]}.")


def numbers(name: Any, table: pd.DataFrame, channels: list[Any]) -> np.ndarray:
    """The columns with signals, of shape (n_samples, n_channels); NaN where a cell is empty."""
    for key in channels:
        if not pd.api.types.is_numeric_dtype(column(name, table, key, raw=True).dtype):
            raise ValueError(
                f"{_WHO}: column {key!r} of recording {name!r} holds {table[key].dtype}, no numbers. Say what it is "
                "(recording, machine, time, labels), select channels=[...], or convert it."
            )
    found = table[channels]
    if any(pd.api.types.is_extension_array_dtype(kind) for kind in found.dtypes):
        return found.to_numpy(dtype=np.float64, na_value=np.nan)
    return array(name, found.to_numpy())


def array(name: Any, table: Any) -> np.ndarray:
    """Numbers of shape (n_samples, n_channels), in the type in which they came."""
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
        low, high = float(np.fmin.reduce(values, axis=None)), float(np.fmax.reduce(values, axis=None))
        if max(high, -low) > _LARGEST_MEASUREMENT:
            raise ValueError(
                f"{_WHO}: recording {name!r} holds {high if high > -low else low:.3g}, too large for a measurement "
                f"(largest allowed: {_LARGEST_MEASUREMENT:.0e}). Mark such values as missing (NaN)."
            )
    return values


def stamps(name: Any, table: Any, stamps: Any, n_samples: int) -> np.ndarray | None:
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


def per_sample(name: Any, what: str, values: Any, n_samples: int) -> Any:
    """A single value as it is, or an array of one a sample."""
    if is_one(values):
        return values
    values = np.asarray(values)
    if values.shape != (n_samples,):
        raise ValueError(
            f"{_WHO}: {what} of recording {name!r} has shape {values.shape}; expected one for the recording or "
            f"({n_samples},), one a sample."
        )
    return values
