"""Table: rows as they were read, with their units and with what was not as it should be."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class TableReport:
    """What was found in a file, or in a chunk of it, beside good numbers.

    Parameters
    ----------
    n_rows : int
        Rows that were read, before any was left out.
    n_empty : dict of str to int
        Empty cells by sensor; a sensor without any is left out, here and below.
    n_words : dict of str to dict of str to int
        Words that stand for a missing value, such as "Bad Input", by sensor and word.
    n_not_finite : dict of str to int
        Cells that were infinite, beyond 1.8e308, or written as no number (``nan``, ``-1.#IND``).
    n_duplicates, n_unsorted, n_ambiguous, n_truncated : int, default=0
        Rows that repeated a stamp, went back in time, lay in an hour that comes twice, or had no line end. All but
        unsorted ones were left out.
    n_gaps : int, default=0
        Distances between rows of one machine that are longer than the limit.
    gaps : tuple of (object, Timestamp, Timestamp), default=()
        Machine, last stamp before and first stamp after each of the first 20 gaps.

    Examples
    --------
    >>> from sktransfer import TableReport
    >>> TableReport(n_rows=3, n_empty={"T": 1}, n_words={"p": {"Bad Input": 2}}, n_not_finite={}).n_missing
    {'T': 1, 'p': 2}
    """

    n_rows: int
    n_empty: dict[str, int]
    n_words: dict[str, dict[str, int]]
    n_not_finite: dict[str, int]
    n_duplicates: int = 0
    n_unsorted: int = 0
    n_ambiguous: int = 0
    n_truncated: int = 0
    n_gaps: int = 0
    gaps: tuple[tuple[Any, pd.Timestamp, pd.Timestamp], ...] = ()

    @property
    def n_missing(self) -> dict[str, int]:
        """Cells without a usable number, by sensor."""
        words = {name: sum(found.values()) for name, found in self.n_words.items()}
        return _added(self.n_empty, self.n_not_finite, words)

    def __add__(self, other: TableReport) -> TableReport:
        """The report of two chunks of one file."""
        mine, its = vars(self), vars(other)
        words = {
            name: _added(self.n_words.get(name, {}), other.n_words.get(name, {}))
            for name in dict.fromkeys([*self.n_words, *other.n_words])
        }
        found: dict[str, Any] = {"n_words": words, "gaps": (self.gaps + other.gaps)[:20]}
        for one in fields(self):
            if one.name not in found:
                a, b = mine[one.name], its[one.name]
                found[one.name] = _added(a, b) if isinstance(a, dict) else a + b
        return TableReport(**found)


@dataclass(frozen=True)
class Table:
    r"""Rows of a file.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        Sensors as float64 with NaN where a cell holds no usable number, time as ``datetime64[ns, UTC]``, and text. The
        index is the line of the file, from 1 (of Parquet the row, from 1).
    sensors : list of str
        The columns of sensors, in order.
    units : dict of str to str
        Units of sensors: as the file tells them, or as declared.
    report : TableReport
        What was counted.
    bad_cells : DataFrame of shape (n_bad_cells, 3)
        ``line``, ``column`` and ``text`` of the missing cells of `frame` that are not empty.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sktransfer import read_table
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "plant.csv")
    ...     _ = path.write_text("p [bar],T\n1.5,20\nBad Input,21\n", encoding="utf-8")
    ...     table = read_table(path)
    >>> table.X.to_numpy().tolist()
    [[1.5, 20.0], [nan, 21.0]]
    >>> table.bad_cells.to_numpy().tolist()
    [[3, 'p [bar]', 'Bad Input']]
    """

    frame: pd.DataFrame
    sensors: list[str]
    units: dict[str, str]
    report: TableReport
    bad_cells: pd.DataFrame

    @property
    def X(self) -> pd.DataFrame:  # noqa: N802  (scikit-learn's name)
        """The sensors alone, as estimators take them; shape (n_rows, n_sensors)."""
        return self.frame[self.sensors]


def _added(*counts: dict[str, int]) -> dict[str, int]:
    """Sums by key."""
    found: dict[str, int] = {}
    for one in counts:
        for name, n in one.items():
            found[name] = found.get(name, 0) + n
    return found
