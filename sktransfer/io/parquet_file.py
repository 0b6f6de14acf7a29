"""Rows of a Parquet file, by pyarrow: types are known, so that columns are checked and not their cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.io.header import Columns, check_units, find_columns
from sktransfer.io.source import Source
from sktransfer.io.table_format import TableFormat
from sktransfer.io.text_cells import bad_cells, missing_numbers
from sktransfer.utils.id_texts import id_texts

_BATCH = 65_536  # rows


class ParquetRows:
    """Read the schema of a file, and iterate over its rows.

    What :class:`sktransfer.TableFormat` says of text (separator, decimal, encoding, rows above the data, last line)
    does not matter here. A unit is told by the metadata ``unit`` of a column.

    Parameters
    ----------
    source : Source
    table_format : TableFormat

    Attributes
    ----------
    sensors : list of str
    units : dict of str to str
    n_truncated : int
        0: a Parquet file is whole or damaged.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    TableError
        If the file is damaged, or does not hold what is wanted.
    """

    n_truncated = 0

    def __init__(self, source: Source, table_format: TableFormat):
        self.source, self.table_format = source, table_format
        self._arrow, self._parquet = _import_pyarrow(source)
        with source.opened() as stream:
            self._schema = self._damaged_or(lambda: self._parquet.ParquetFile(stream).schema_arrow)
        self.columns = find_columns(source, table_format, list(self._schema.names), None, None)
        self.sensors = list(self.columns.sensors)
        self._check_types()
        fields = [self._schema.field(name) for name in self.sensors]
        found = {one.name: (one.metadata or {}).get(b"unit", b"").decode("utf-8", "replace") for one in fields}
        self.units = check_units(source, table_format, self.columns, found if any(found.values()) else None, None)

    def __iter__(self) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        time = self.table_format.time
        names = [*self.sensors, *self.columns.text, *([time.name] if time is not None else [])]
        n_rows = 0
        with self.source.opened() as stream:
            file = self._damaged_or(lambda: self._parquet.ParquetFile(stream))
            batches = file.iter_batches(batch_size=_BATCH, columns=names)
            while (batch := self._damaged_or(lambda: next(batches, None))) is not None:
                lines = np.arange(n_rows + 1, n_rows + 1 + batch.num_rows)
                n_rows += batch.num_rows
                yield self._read(batch, lines, self.columns)

    def _read(self, batch: Any, lines: np.ndarray, columns: Columns) -> tuple[pd.DataFrame, pd.DataFrame]:
        values = np.empty((len(lines), len(self.sensors)), order="F")
        for j, name in enumerate(self.sensors):
            values[:, j] = batch.column(name).cast(self._arrow.float64(), safe=False).to_numpy(zero_copy_only=False)
        bad = np.isinf(values)
        for number in missing_numbers(self.table_format):
            bad |= values == number
        texts = np.where(bad, values, np.nan).astype(object) if bad.any() else np.empty(values.shape, object)
        values[bad] = np.nan
        frame = pd.DataFrame(values, index=pd.Index(lines, name="row"), columns=self.sensors, copy=False)
        for place, name in enumerate(columns.text):
            frame.insert(place, name, self._texts(name, batch.column(name)))
        if columns.time is not None:
            name = self.table_format.time.name
            frame.insert(0, name, self._times(batch.column(name), lines))
        return frame, bad_cells(lines, self.sensors, texts, bad)

    def _texts(self, name: str, column: Any) -> Any:
        """Text as it is; numbers as ids are written, whole ones without a decimal point."""
        if not self._arrow.types.is_floating(column.type):
            return column.cast(self._arrow.string()).to_pandas().fillna("").astype(str).array
        found = column.to_pandas()
        try:
            texts = np.full(len(found), "", dtype=object)
            texts[found.notna()] = id_texts(found[found.notna()])
        except ValueError as error:
            raise self.source.error(f"{error}.", column=name) from None
        return pd.Series(texts).astype(str).array

    def _times(self, column: Any, lines: np.ndarray) -> Any:
        """Stamps as text or numbers, as the declared format has them; datetimes as text of ISO 8601."""
        name = self.table_format.time.name
        found = column.to_pandas()
        if found.isna().any():
            row = lines[int(np.argmax(found.isna().to_numpy()))]
            raise self.source.error("the row has no time stamp.", row, name)
        return found.astype(str).to_numpy() if found.dtype == object else found.array

    def _check_types(self) -> None:
        types = self._arrow.types
        for name in self.sensors:
            kind = self._schema.field(name).type
            if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind)):
                raise self.source.error(
                    f"the column is of type {kind}, and a sensor holds numbers. Store it as float64, name it in text=, "
                    "or leave it out of sensors=.",
                    column=name,
                )
        time = self.table_format.time
        if time is not None and types.is_timestamp(self._schema.field(time.name).type) and time.format != "iso":
            raise self.source.error(
                f"the column holds time stamps, and format={time.format!r} was declared. Declare format='iso'.",
                column=time.name,
            )

    def _damaged_or(self, read: Any) -> Any:
        """What `read` returns; pyarrow's errors as ours."""
        try:
            return read()
        except (self._arrow.ArrowException, OSError, ValueError) as error:
            raise self.source.error(f"this is no whole Parquet file ({' '.join(str(error).split())[:200]}).") from error


def _import_pyarrow(source: Source) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            f"{source.path}: reading Parquet needs pyarrow; install the extra sktransfer[parquet] (pip install "
            "'sktransfer[parquet]')."
        ) from error
    return pyarrow, pyarrow.parquet
