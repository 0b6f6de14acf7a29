r"""Cells of a block of records: numbers by pandas, and a second look at those that are none.

::

    block --pandas--> columns of numbers ------------------------------------------------> float64
                  \-> columns with text --> each spelling a known word? --again, with it--> float64, missing cells
                                                \-> TableError with line and column

The second look costs a pass over one block for each new spelling, and afterwards over the rows with a missing cell.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.io.cell_words import hint_for, is_missing, normal, number_pattern
from sktransfer.io.header import Columns
from sktransfer.io.source import Source, shown
from sktransfer.io.table_format import TableFormat
from sktransfer.io.text_records import Block
from sktransfer.utils.invalid_parameter import is_number

_KINDS: dict[str, Any] = {"line": np.int64, "column": object, "text": object}
_NO_BAD_CELLS = pd.DataFrame({name: np.empty(0, kind) for name, kind in _KINDS.items()})


class Cells:
    """Read the cells of the blocks of one file.

    Parameters
    ----------
    source : Source
    table_format : TableFormat
    columns : Columns
    """

    def __init__(self, source: Source, table_format: TableFormat, columns: Columns):
        self.source, self.table_format, self.columns = source, table_format, columns
        words = [one for one in table_format.missing if isinstance(one, str)]
        self._words = frozenset(normal(one) for one in words)
        self._numbers = missing_numbers(table_format)
        self._pattern = number_pattern(table_format.decimal)
        # Of missing cells that were met, each in its exact form, as pandas compares them; also of empty ones, because a
        # file without any is read faster.
        self._spellings: set[str] = set()
        self._kinds: dict[int, Any] = dict.fromkeys(columns.text.values(), str)
        if columns.time is not None and "%" in table_format.time.format:
            self._kinds[columns.time] = object  # text: 0102 is no number

    def read(self, block: Block) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The wanted columns by name, indexed by line, and the cells of sensors that held no usable number.

        Raises
        ------
        TableError
            If a cell of a sensor is neither a number nor a known word.
        """
        if self.columns.unnamed_last:
            self._check_empty(block)
        table = self._parse(block)
        sensors = self.columns.sensors
        odd = {name: i for name, i in sensors.items() if table[i].dtype.kind not in "iuf"}
        if odd and self._learn(block, odd):
            table = self._parse(block)
        values = np.empty((len(block), len(sensors)), order="F")
        for j, (name, i) in enumerate(sensors.items()):
            values[:, j] = self._numbers_of(block, name, table[i])
        bad = self._bad_cells(block, values)
        frame = pd.DataFrame(values, index=pd.Index(block.lines, name="line"), columns=list(sensors), copy=False)
        others = dict(self.columns.text)
        if self.columns.time is not None:
            others = {self.table_format.time.name: self.columns.time} | others
        for place, (name, i) in enumerate(others.items()):
            is_stamp = i == self.columns.time and self.table_format.time.format == "iso"
            as_number = is_stamp and table[i].dtype.kind in "iufb"  # 20260102; other blocks may write it with dashes
            frame.insert(place, name, (table[i].astype(str) if as_number else table[i]).array)
        return frame, bad

    def _parse(self, block: Block, only: list[int] | None = None) -> pd.DataFrame:
        """The wanted columns by position; with `only`, those alone, as text."""
        columns = self.columns
        times = [] if columns.time is None else [columns.time]
        wanted = sorted([*columns.sensors.values(), *columns.text.values(), *times] if only is None else only)
        kinds = self._kinds if only is None else dict.fromkeys(wanted, str)
        spellings = sorted(self._spellings) if only is None else []
        all_of_them = len(wanted) == columns.n_fields
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            table = pd.read_csv(
                io.BytesIO(block.data),
                sep=self.table_format.separator,
                decimal=self.table_format.decimal,
                header=None,
                names=range(columns.n_fields),
                usecols=None if all_of_them else wanted,
                index_col=False,
                dtype=kinds,
                na_values=dict.fromkeys(columns.sensors.values(), spellings),
                na_filter=bool(spellings),
                keep_default_na=False,
                skip_blank_lines=False,
                low_memory=False,
            )
        if len(table) != len(block):
            raise self.source.error(
                f"{len(block)} lines were counted, and {len(table)} read. A quote or a line end is damaged.",
                block.lines[0],
            )
        return table

    def _learn(self, block: Block, odd: dict[str, int]) -> bool:
        """Look at the cells of columns that are not of numbers alone; whether a new spelling was found."""
        table = self._parse(block, list(odd.values()))
        before, worst = len(self._spellings), None
        for name, i in odd.items():
            codes, texts = pd.factorize(table[i].astype(object))
            unknown = []
            for k, text in enumerate(texts):
                if self._pattern.fullmatch(text):
                    continue
                if is_missing(text, self._words):
                    self._spellings.add(text)
                else:
                    unknown.append(k)
            if unknown:
                row = int(np.flatnonzero(np.isin(codes, unknown))[0])
                if worst is None or row < worst[0]:
                    worst = row, name, texts[codes[row]]
        if worst is not None:
            raise self._unknown(block, *worst)
        return len(self._spellings) > before

    def _unknown(self, block: Block, row: int, name: str, text: str) -> Exception:
        """The error for a cell that is neither a number nor a known word."""
        hint = hint_for(text, self.table_format.decimal)
        if row == 0 and not self.table_format.units_row and not any(sign.isdigit() for sign in text):
            hint += " If the line below the header holds units, declare units_row=True."
        return self.source.error(f"{shown(text)} is not a number. {hint}", block.lines[row], name)

    def _numbers_of(self, block: Block, name: str, column: pd.Series) -> np.ndarray:
        """The numbers of one column, where every cell is known to be one or missing."""
        if column.dtype.kind in "iuf":
            return column.to_numpy(np.float64)
        # whole numbers beyond 64 bits stay text in pandas
        texts = [None if isinstance(one, float) else str(one) for one in column.astype(object)]
        point = self.table_format.decimal
        for row, text in enumerate(texts):
            if text is not None and not self._pattern.fullmatch(text):
                raise self._unknown(block, row, name, text)
        return np.array([np.nan if text is None else float(text.replace(point, ".")) for text in texts])

    def _bad_cells(self, block: Block, values: np.ndarray) -> pd.DataFrame:
        """Cells without a usable number that are not empty; they are set to missing in `values`."""
        finite = np.isfinite(values)
        only_empty = self._spellings <= {""} and not self._numbers
        if (finite.all() and not self._numbers) or (only_empty and not np.isinf(values).any()):
            return _NO_BAD_CELLS
        bad = ~finite
        for number in self._numbers:
            bad |= values == number
        if not bad.any():
            return _NO_BAD_CELLS
        values[bad] = np.nan
        rows = bad.any(axis=1)
        positions = list(self.columns.sensors.values())
        some = self._parse(block.take(rows), positions)
        texts = some[positions].astype(object).to_numpy()
        return bad_cells(block.lines[rows], list(self.columns.sensors), texts, bad[rows])

    def _check_empty(self, block: Block) -> None:
        """A last column without a name is there because each line ends in a separator, and holds nothing."""
        last = self._parse(block, [self.columns.n_fields - 1]).iloc[:, 0]
        full = np.flatnonzero(last.str.strip().to_numpy(dtype=object) != "")
        if len(full):
            raise self.source.error(
                f"the last field, {shown(last.iloc[full[0]])}, is in a column that has no name. Name every column.",
                block.lines[full[0]],
            )


def bad_cells(lines: np.ndarray, names: list[str], texts: np.ndarray, bad: np.ndarray) -> pd.DataFrame:
    """One row for each cell that is `bad` and not empty: its line, its column and its text."""
    row, column = np.nonzero(bad)
    found = [" ".join(str(text).split()) for text in texts[row, column]]
    full = np.array([text != "" for text in found], bool)
    columns = np.array(names, dtype=object)[column[full]]
    data: dict[str, Any] = {"line": lines[row[full]], "column": columns, "text": [t for t in found if t]}
    return pd.DataFrame(data).astype(_KINDS)


def missing_numbers(table_format: TableFormat) -> list[float]:
    """Declared numbers that stand for a missing value."""
    found = []
    for one in table_format.missing:
        try:
            found.append(float(one if is_number(one) else one.replace(table_format.decimal, ".")))
        except ValueError:
            continue  # a word
    return [number for number in found if np.isfinite(number)]
