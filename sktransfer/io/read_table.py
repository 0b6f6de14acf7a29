r"""read_table, iter_tables: a file of rows to float64 sensors, UTC time and text, or one error that names the place.

::

    CSV --> records --> cells -\                                                          /--> Table (whole)
                                >--> rows of a chunk --> time in UTC --> order of time --<
    Parquet --> batches -------/                                                          \--> Table, Table, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from sktransfer.exceptions import EmptyTableError
from sktransfer.io.cell_words import is_not_finite, number_pattern
from sktransfer.io.parquet_file import ParquetRows
from sktransfer.io.source import Source, source_of
from sktransfer.io.table import Table, TableReport
from sktransfer.io.table_format import TableFormat, check_format
from sktransfer.io.text_file import TextRows
from sktransfer.io.time_order import Order, TimeOrder
from sktransfer.io.time_stamps import StampReader
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.invalid_parameter import is_whole


class _Rows(Protocol):
    """Rows of a file in parts: frames by line, and their bad cells."""

    source: Source
    sensors: list[str]
    units: dict[str, str]

    @property
    def n_truncated(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]: ...


class _Chunk(NamedTuple):
    frame: pd.DataFrame
    bad: pd.DataFrame


def read_table(path, table_format=None, *, now=None) -> Table:
    r"""Read a file of rows at once.

    Parameters
    ----------
    path : str or path
        CSV (also ``.gz``), or Parquet if the name ends in ``.parquet`` or ``.pq``; that needs the extra
        ``sktransfer[parquet]``.
    table_format : TableFormat or None, default=None
        What the file is; None: plain CSV whose columns are all sensors.
    now : datetime-like or None, default=None
        Time of reading, which time stamps are compared with; None: that of the clock.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        If the file cannot be read as declared. The message is one line with file, line, column and remedy.

    Warns
    -----
    DataQualityWarning
        If rows were left out or sorted, or the last line has no end.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sktransfer import TableFormat, TimeColumn, read_table
    >>> day = TimeColumn("time", "%d/%m/%Y %H:%M", zone="Europe/Berlin")
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "plant.csv")
    ...     text = "time;pump;p\n02/01/2026 00:00;007;1,5\n02/01/2026 00:10;007;No Data\n"
    ...     _ = path.write_text(text, encoding="utf-8")
    ...     table = read_table(path, TableFormat({"p": "bar"}, time=day, machine="pump", separator=";", decimal=","))
    >>> print(table.frame.to_string())
                              time pump    p
    line
    2    2026-01-01 23:00:00+00:00  007  1.5
    3    2026-01-01 23:10:00+00:00  007  NaN
    >>> table.units, table.report.n_words
    ({'p': 'bar'}, {'p': {'No Data': 1}})
    """
    rows = _open(path, check_format(table_format))
    return next(_tables(rows, check_format(table_format), None, now))


def iter_tables(path, table_format=None, *, chunk_rows=100_000, now=None) -> Iterator[Table]:
    r"""Read a file of rows in chunks, in memory that does not grow with the file.

    The chunks of a file whose rows are in the order of time are those of :func:`read_table`. Rows that are out of order
    are sorted within a chunk, and an error across chunks. A stamp that comes again in the next chunk is repeated.

    Parameters
    ----------
    path : str or path
        As for :func:`read_table`.
    table_format : TableFormat or None, default=None
        What the file is; None: plain CSV whose columns are all sensors.
    chunk_rows : int, default=100_000
        Rows that are read at once. A table has fewer where rows were left out.
    now : datetime-like or None, default=None
        Time of reading, which time stamps are compared with; None: that of the clock.

    Yields
    ------
    Table
        With the report of this chunk; reports are added by ``+``.

    Raises
    ------
    TableError
        As for :func:`read_table`; the header is read before this function returns.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sktransfer import iter_tables
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "plant.csv")
    ...     _ = path.write_text("p,T\n1,20\n2,21\n3,22\n", encoding="utf-8")
    ...     [len(table.frame) for table in iter_tables(path, chunk_rows=2)]
    [2, 1]
    """
    if not (is_whole(chunk_rows) and chunk_rows >= 1):
        raise ValueError(f"iter_tables: chunk_rows is a whole number of at least 1, got {chunk_rows!r}.")
    return _tables(_open(path, check_format(table_format)), check_format(table_format), chunk_rows, now)


def _open(path: Any, table_format: TableFormat) -> _Rows:
    """The rows of a file, after its header was read."""
    source = source_of(path)
    if source.path.lower().endswith((".parquet", ".pq")):
        return ParquetRows(replace(source, place="row"), table_format)
    return TextRows(source, table_format)


def _tables(rows: _Rows, table_format: TableFormat, chunk_rows: int | None, now: Any) -> Iterator[Table]:
    """Tables of so many rows; of all rows for None."""
    time = table_format.time
    stamps = None if time is None else StampReader(rows.source, time, now)
    sorter = None if time is None else TimeOrder(rows.source, time, table_format.machine)
    waiting: tuple[_Chunk, TableReport] | None = None
    n_rows = n_ambiguous = n_truncated = 0
    for chunk in _chunks(rows, chunk_rows):
        n_rows += len(chunk.frame)
        report = _report(chunk, rows.sensors, table_format)
        frame, order = chunk.frame, Order()
        if stamps is not None and sorter is not None:
            frame, order = sorter.sort(stamps.read(frame))
            before, frame = sorter.join(waiting[0].frame if waiting else None, frame, order)
            if waiting:
                waiting = _Chunk(before, waiting[0].bad), waiting[1]
            report = replace(report, n_ambiguous=stamps.n_ambiguous - n_ambiguous, gaps=tuple(order.gaps))
            n_ambiguous = stamps.n_ambiguous
        report = replace(
            report,
            n_truncated=rows.n_truncated - n_truncated,
            **{name: getattr(order, name) for name in ("n_duplicates", "n_unsorted", "n_gaps")},
        )
        n_truncated = rows.n_truncated
        _warn(rows.source, report)
        if waiting:
            yield _table(rows, *waiting)
        waiting = _Chunk(frame, chunk.bad), report
    if waiting is None:
        path = rows.source.path
        raise EmptyTableError(f"{path}: the file has no complete row below its header.", path)
    chunk, report = waiting
    yield _table(rows, chunk, replace(report, n_truncated=rows.n_truncated - n_truncated + report.n_truncated))


def _chunks(rows: Iterable[tuple[pd.DataFrame, pd.DataFrame]], chunk_rows: int | None) -> Iterator[_Chunk]:
    """Parts of a file put together to so many rows; to one for None."""
    kept: list[_Chunk] = []
    n_kept = 0
    for frame, bad in rows:
        if not len(frame):
            continue
        kept.append(_Chunk(frame, bad))
        n_kept += len(frame)
        while chunk_rows is not None and n_kept >= chunk_rows:
            whole = _joined(kept)
            head, tail = whole.frame.iloc[:chunk_rows], whole.frame.iloc[chunk_rows:]
            n_kept = len(tail)
            in_head = whole.bad["line"] < tail.index[0] if n_kept else np.ones(len(whole.bad), bool)
            kept = [_Chunk(tail, whole.bad[~in_head])] if n_kept else []
            yield _Chunk(head.copy(), whole.bad[in_head])
    if n_kept:
        yield _joined(kept)


def _joined(parts: list[_Chunk]) -> _Chunk:
    if len(parts) == 1:
        return parts[0]
    with_bad = [part.bad for part in parts if len(part.bad)] or [parts[0].bad]
    return _Chunk(pd.concat([part.frame for part in parts]), pd.concat(with_bad, ignore_index=True))


def _report(chunk: _Chunk, sensors: list[str], table_format: TableFormat) -> TableReport:
    """Count cells without a usable number."""
    missing = chunk.frame[sensors].isna().sum()
    words: dict[str, dict[str, int]] = {}
    not_finite: dict[str, int] = {}
    number = number_pattern(table_format.decimal)
    for (name, text), n in chunk.bad.groupby(["column", "text"], sort=False).size().items():
        beyond = number.fullmatch(text) and np.isinf(float(text.replace(table_format.decimal, ".")))
        if is_not_finite(text) or beyond:
            not_finite[name] = not_finite.get(name, 0) + int(n)
        else:
            words.setdefault(name, {})[text] = int(n)
    empty = {}
    for name in sensors:
        n = int(missing[name]) - not_finite.get(name, 0) - sum(words.get(name, {}).values())
        if n:
            empty[name] = n
    return TableReport(len(chunk.frame), empty, words, not_finite)


def _warn(source: Source, report: TableReport) -> None:
    for n, what in (
        (report.n_duplicates, "repeat the time stamp of another row and were left out (duplicates=)"),
        (report.n_unsorted, "are not in the order of time; the rows were sorted (order=)"),
        (report.n_ambiguous, "lie in an hour that comes twice and were left out (ambiguous='drop')"),
    ):
        if n:
            warn_caller(f"{source.path}: {n} of {report.n_rows} rows {what}.")


def _table(rows: _Rows, chunk: _Chunk, report: TableReport) -> Table:
    bad = chunk.bad
    if len(bad) and len(chunk.frame) < report.n_rows:
        bad = bad[bad["line"].isin(chunk.frame.index)]
    return Table(chunk.frame, list(rows.sensors), dict(rows.units), report, bad.reset_index(drop=True))
