"""Time stamps of a recording, as numbers or in UTC."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.windows.tables import has_default_index

_NAME = "SlidingWindows"
_OFFSET = re.compile(r"[Tt ].*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)\s*$")  # at the end of a time of the day, as in ISO 8601


def read_stamps(name: Any, table: Any, stamps: Any, n_samples: int) -> np.ndarray | None:
    """Stamps of the recording `name`.

    Parameters
    ----------
    name : object
        For messages.
    table : DataFrame or array
        The recording. Its index is taken if it holds datetimes and there are no other stamps.
    stamps : array-like of shape (n_samples,) or None
        A Series goes by the index of the frame, unless it has none of its own.

    Returns
    -------
    ndarray of shape (n_samples,) or None
        float64 in s, or datetime64[ns], in UTC where a time zone or an offset was given.

    Raises
    ------
    ValueError
        If they cannot be read, some have an offset and others have none, or a sample has no stamp.
    """
    is_frame = isinstance(table, pd.DataFrame)
    if stamps is None and is_frame and isinstance(table.index, pd.DatetimeIndex):
        stamps = table.index
    if stamps is None:
        return None
    if isinstance(stamps, pd.Series) and is_frame and not has_default_index(stamps):
        stamps = _by_index(name, stamps, table)
    series = pd.Series(stamps if isinstance(stamps, pd.Series | pd.Index) else np.asarray(stamps))
    if not (pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_timedelta64_dtype(series.dtype)):
        series = _in_utc(name, series)
    if len(series) != n_samples or series.isna().any():
        raise ValueError(
            f"{_NAME}: recording {name!r} has {int(series.notna().sum())} time stamps for {n_samples} samples. Drop "
            "the rows without one."
        )
    if series.dtype.kind == "m":
        return series.to_numpy().astype("timedelta64[ns]").astype(np.int64) / 1e9
    return series.to_numpy().astype("datetime64[ns]" if series.dtype.kind == "M" else np.float64)


def _by_index(name: Any, stamps: pd.Series, table: pd.DataFrame) -> pd.Series:
    """Stamps in the order of the rows of `table`, which have the same index."""
    if stamps.index.equals(table.index):
        return stamps
    if not stamps.index.is_unique or set(stamps.index) != set(table.index):
        raise ValueError(
            f"{_NAME}: the time stamps of recording {name!r} are a Series with another index than the recording. Pass "
            "them with the index of its frame, as a column of it, or as an array if they are in the order of its rows."
        )
    return stamps.reindex(table.index)


def _in_utc(name: Any, series: pd.Series) -> pd.Series:
    """Dates, or text as in ISO 8601, as datetimes without a zone: in UTC where a zone or an offset was given."""
    options: dict[str, Any] = {} if series.dtype.kind == "M" else {"format": "ISO8601"}
    if series.dtype.kind != "M":
        with_offset = series.map(_tells_zone).astype(bool)
        if with_offset.any():
            known = series.notna()
            if not with_offset[known].all():
                bare = series[known & ~with_offset].iloc[0]
                raise ValueError(
                    f"{_NAME}: {int(with_offset.sum())} time stamps of recording {name!r} have a time zone, and the "
                    f"others, such as {str(bare)!r}, have none. Give all of them one."
                )
            options["utc"] = True
    try:
        found = pd.to_datetime(series, **options)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{_NAME}: the time stamps of recording {name!r} cannot be read: {_first_unreadable(series, options)} "
            "Expected datetimes, text as in ISO 8601 (2026-01-31 08:15:00), or numbers in s. Convert other text with "
            "pandas.to_datetime(stamps, format=...) before the recordings are cut."
        ) from error
    return found.dt.tz_convert(None) if found.dt.tz is not None else found


def _tells_zone(stamp: Any) -> bool:
    """Whether a stamp, as text or as a datetime, tells its distance from UTC."""
    if isinstance(stamp, str):
        return _OFFSET.search(stamp) is not None
    return isinstance(stamp, datetime.datetime) and stamp.tzinfo is not None


def _first_unreadable(series: pd.Series, options: dict[str, Any]) -> str:
    unread = pd.to_datetime(series, errors="coerce", **options).isna() & series.notna()
    if not unread.any():
        return "they are of several kinds."
    row = int(np.argmax(unread.to_numpy()))
    return f"the first is {str(series.iloc[row])!r} in row {row}."
