"""Whatever holds rows of a plant, as one frame: sensors, time in UTC, machine; each machine in the order of time."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from sktransfer.exceptions import DataQualityWarning, EmptyTableError
from sktransfer.io.read_table import read_table
from sktransfer.io.table import Table
from sktransfer.io.table_format import TableFormat
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.id_texts import id_texts, why_no_name


def plant_frame(
    name: str,
    table: Any,
    form: TableFormat,
    labels: str | None = None,
    now: Any = None,
    *,
    may_be_empty: bool = False,
) -> pd.DataFrame:
    """Rows sorted by machine and time, sensors as float64.

    Parameters
    ----------
    name : str
        Of the caller, for errors.
    table : DataFrame, Table, path, or list of these
    form : TableFormat
        With a time column.
    labels : str, optional
        Column that stays as it is.
    now : datetime-like, optional
        For files: time stamps may not lie after it.
    may_be_empty : bool
        Whether a frame without a row is none too few.

    Raises
    ------
    TypeError
        For what holds no rows.
    ValueError
        For a column that is missing, times without a zone, a row without a machine, an id or a name that cannot be
        printed, and no row at all.
    """
    given = table if isinstance(table, list | tuple) else [table]
    frames = [_checked(name, frame, form, labels, may_be_empty) for frame in _frames(name, given, form, labels, now)]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    time = form.time.name
    if form.machine is not None:
        of = pd.factorize(frame[form.machine], sort=True)[0]
        order = np.lexsort((nanoseconds(frame[time]), of))
    else:
        order = np.argsort(nanoseconds(frame[time]), kind="stable")
    if (np.diff(order) < 0).any():
        frame = frame.iloc[order]
    keys = [time] if form.machine is None else [form.machine, time]
    repeated = frame.duplicated(keys, keep="last").to_numpy()
    if repeated.any():
        warn_caller(
            f"{name}: {int(repeated.sum())} of {len(frame)} rows repeat a time of their machine. The last one that "
            "came is kept.",
            DataQualityWarning,
        )
        frame = frame.loc[~repeated]
    return frame.reset_index(drop=True)


def sensor_columns(frame: pd.DataFrame, form: TableFormat, labels: str | None) -> list[str]:
    """The sensors that the format names, or every column of numbers that is nothing else."""
    if form.sensors is not None:
        return list(form.sensors)
    others = {form.time.name, form.machine, labels, *form.text}
    return [column for column in frame.columns if column not in others and pd.api.types.is_numeric_dtype(frame[column])]


def no_rows(sensors: list[str], form: TableFormat) -> pd.DataFrame:
    """What :func:`plant_frame` would return of a table without a row."""
    none = pd.DataFrame(columns=sensors, dtype=np.float64)
    none[form.time.name] = pd.to_datetime([], utc=True).astype("datetime64[ns, UTC]")
    if form.machine is not None:
        none[form.machine] = np.empty(0, dtype=object)
    return none


def _frames(name: str, given: Any, form: TableFormat, labels: str | None, now: Any) -> list[pd.DataFrame]:
    """What was read; of several files those without a row are left out."""
    found, empty = [], []
    for one in given:
        try:
            found.append(_frame(name, one, form, labels, now))
        except EmptyTableError as error:
            empty.append(error)
    if not found and empty:
        raise empty[0]
    if empty:
        warn_caller(f"{name}: {len(empty)} of {len(given)} files hold no row, as {empty[0].path}.", DataQualityWarning)
    return found


def _frame(name: str, given: Any, form: TableFormat, labels: str | None, now: Any) -> pd.DataFrame:
    if isinstance(given, Table):
        return given.frame
    if isinstance(given, pd.DataFrame):
        return given
    if hasattr(given, "to_pandas") and hasattr(given, "columns"):
        return _of_polars(given)
    if isinstance(given, str | os.PathLike):
        if labels is not None and labels not in form.text:
            form = clone(form).set_params(text=[*form.text, labels])
        return read_table(given, form, now=now).frame
    raise TypeError(f"{name} takes a DataFrame, a Table, a path, or a list of these; got {type(given).__name__}.")


def _of_polars(frame: Any) -> pd.DataFrame:
    """Column by column, so that pyarrow is not needed; times with a zone are in UTC in numpy."""
    columns = {}
    for name in frame.columns:
        values = pd.Series(frame[name].to_numpy())
        columns[name] = values.dt.tz_localize("UTC") if getattr(frame[name].dtype, "time_zone", None) else values
    return pd.DataFrame(columns)


def _checked(
    name: str, frame: pd.DataFrame, form: TableFormat, labels: str | None, may_be_empty: bool = False
) -> pd.DataFrame:
    """The columns that are used, of one type each."""
    time = form.time.name
    wanted = [time, *([form.machine] if form.machine else []), *([labels] if labels else []), *(form.sensors or [])]
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise ValueError(f"{name}: the table has no column {missing}. Its columns are {list(frame.columns)}.")
    twice = [column for column in dict.fromkeys(wanted) if (frame.columns == column).sum() > 1]
    if twice:
        raise ValueError(f"{name}: the table has the columns {twice} more than once. Leave one of each out.")
    if len(frame) == 0 and not may_be_empty:
        raise ValueError(f"{name}: the table has no row.")
    stamps = frame[time]
    if not pd.api.types.is_datetime64_any_dtype(stamps):
        raise ValueError(
            f"{name}: the column {time!r} holds {stamps.dtype} and no datetimes. Read the file with read_table, or "
            "convert it with pandas.to_datetime."
        )
    if stamps.dt.tz is None:
        if form.time.zone is None:
            raise ValueError(
                f"{name}: the times in {time!r} have no zone. Declare it, as in TimeColumn({time!r}, zone='UTC')."
            )
        stamps = stamps.dt.tz_localize(form.time.zone)
    if stamps.isna().any():
        n = counted(int(stamps.isna().sum()), "row has", "rows have")
        raise ValueError(f"{name}: {n} no time in {time!r}. Leave such rows out.")
    sensors = sensor_columns(frame, form, labels)
    found = frame[[*dict.fromkeys([*sensors, *([labels] if labels else [])])]].copy()
    found[sensors] = found[sensors].astype(np.float64)
    found[time] = stamps.dt.tz_convert("UTC").astype("datetime64[ns, UTC]")
    if form.machine is not None:
        found[form.machine] = _machines(name, frame[form.machine])
    return found


def _machines(name: str, column: pd.Series) -> np.ndarray:
    """The id of each row as text; see `id_texts`."""
    there = column.notna()
    nameless = int((~there).sum())
    try:
        found = id_texts(column[there])
    except ValueError as error:
        raise ValueError(f"{name}: an id of a machine in {column.name!r} cannot be used: {error}.") from None
    codes, each = pd.factorize(found)
    bad = {k: why for k, one in enumerate(each) if (why := why_no_name(one))}
    empty = [k for k in bad if not each[k].strip()]
    nameless += int(np.isin(codes, empty).sum())
    if nameless:
        raise ValueError(
            f"{name}: {counted(nameless, 'row names', 'rows name')} no machine in {column.name!r}. Leave such rows out."
        )
    if bad:
        k, why = next(iter(bad.items()))
        raise ValueError(
            f"{name}: {counted(len(bad), 'machine')} in {column.name!r} cannot be named in reports: "
            f"{ascii(each[k])[:60]} {why}. Rename such machines in the table."
        )
    return found


def nanoseconds(time: pd.Series) -> np.ndarray:
    """Times in UTC as ns since 1970, int64."""
    return time.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64)
