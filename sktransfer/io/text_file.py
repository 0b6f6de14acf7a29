"""Rows of a text file: the header first, then frames whose index is the line."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sktransfer.io.header import Columns, check_units, clean_names, find_columns
from sktransfer.io.source import Source
from sktransfer.io.table_format import TableFormat
from sktransfer.io.text_cells import Cells
from sktransfer.io.text_records import Block, Records, check_counts, fields


class TextRows:
    """Read the header of a file, and iterate over its rows.

    Parameters
    ----------
    source : Source
    table_format : TableFormat

    Attributes
    ----------
    sensors : list of str
    units : dict of str to str

    Raises
    ------
    TableError
        If there is no header, or it does not hold what is wanted.
    """

    def __init__(self, source: Source, table_format: TableFormat):
        self.source, self.table_format = source, table_format
        self._records = Records(source, table_format)
        self._blocks = iter(self._records)
        self._first, self.columns, self.units = self._read_header()
        self.sensors = list(self.columns.sensors)

    @property
    def n_truncated(self) -> int:
        """1 after the last line was left out."""
        return self._records.n_truncated

    def __iter__(self) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        cells = Cells(self.source, self.table_format, self.columns)
        block: Block | None = self._first
        while block is not None:
            if len(block):
                check_counts(self.source, self.table_format, block, self.columns.n_fields)
                yield cells.read(block)
            block = next(self._blocks, None)

    def _read_header(self) -> tuple[Block, Columns, dict[str, str]]:
        n = 2 if self.table_format.units_row else 1
        block = next((block for block in self._blocks if len(block)), None)
        if block is None:
            raise self.source.error("the file has no complete line, so that there is no header.")
        names = clean_names(fields(self.source, self.table_format, block, 0))
        first = int(block.counts[n]) if len(block) > n else None
        if first == len(names) + 1 and fields(self.source, self.table_format, block, n)[-1].strip():
            first = None  # a long row, and no separator at its end
        columns = find_columns(self.source, self.table_format, names, first, block.lines[0])
        units, line = None, block.lines[0]
        if self.table_format.units_row:
            units, line = self._read_units(block, names)
        found = check_units(self.source, self.table_format, columns, units, line)
        return block.take(np.arange(len(block)) >= n), columns, found

    def _read_units(self, block: Block, names: list[str]) -> tuple[dict[str, str], int]:
        if len(block) < 2:
            raise self.source.error("there is no row of units below the header, and units_row=True was declared.")
        units = clean_names(fields(self.source, self.table_format, block, 1))
        line = int(block.lines[1])
        if len(units) not in (len(names), len(names) + 1):
            raise self.source.error(f"the row of units has {len(units)} fields, and the header {len(names)}.", line)
        by_name = dict(zip(names, units, strict=False))
        numbers = [unit for name, unit in by_name.items() if name and _is_number(unit)]
        if numbers and len(numbers) == sum(bool(unit) for unit in units):
            raise self.source.error(
                "the row below the header holds numbers, and units_row=True was declared. Set units_row=False.", line
            )
        return by_name, line


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
