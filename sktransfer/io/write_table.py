r"""write_table: a frame as CSV that a spreadsheet opens without running what stands in it.

::

    frame --> text cells that begin as a formula get an apostrophe --\
              times in UTC as in ISO 8601                        -----> UTF-8, the same bytes each time --> atomic
              numbers in their shortest exact form             ------/
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.utils.files import write_atomically

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "|", "%")
_NAME = "write_table"


def write_table(frame, path) -> Path:
    """Write a frame as CSV: complete or not at all, and without formulas.

    The file is UTF-8 with commas, decimal points and line feeds, and is replaced at once. The same frame gives the same
    bytes. Numbers are written in their shortest form that reads back exactly; missing values are empty cells. Times are
    in UTC, as ``2026-01-31T08:15:00Z``, with decimals where a column needs them.

    Text, in cells and names, that a spreadsheet would take for a formula (``=``, ``+``, ``-``, ``@``, a tab or a line
    break at its beginning, also behind blanks) gets an apostrophe in front and is quoted: quotes alone do not stop a
    formula. Whoever reads such text back takes the apostrophe off.

    Parameters
    ----------
    frame : DataFrame
        The index is not written; make it a column by ``frame.reset_index()``.
    path : str or path
        An existing file is replaced and keeps its permissions.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    TypeError
        If `frame` is no pandas frame.
    ValueError
        If a name stands twice, a number is infinite, a time tells no zone, or a text holds a NUL character.
    OSError
        If the file cannot be written.

    References
    ----------
    OWASP Foundation. CSV injection. (CWE-1236, improper neutralization of formula elements in a CSV file)

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from sktransfer import write_table
    >>> rows = pd.DataFrame({"pump": ["007", "=1+1"], "score": [0.1, None]})
    >>> with TemporaryDirectory() as folder:
    ...     print(write_table(rows, Path(folder, "scores.csv")).read_text(encoding="utf-8"))
    pump,score
    007,0.1
    "'=1+1",
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{_NAME}: frame is a pandas frame, got {type(frame).__name__}.")
    return write_atomically(Path(os.fspath(path)), table_bytes(frame))


def table_bytes(frame: pd.DataFrame, *, header: bool = True) -> bytes:
    """What :func:`write_table` writes, with or without the line of names; errors as there."""
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise ValueError(f"{_NAME}: several columns have one name, {sorted({n for n in names if names.count(n) > 1})}.")
    columns = [_column(name, frame.iloc[:, j]) for j, name in enumerate(names)]
    lines = [",".join(_text("a name", name) for name in names)] if header else []
    lines += [",".join(cells) for cells in zip(*columns, strict=True)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _column(name: str, column: pd.Series) -> list[str]:
    """The cells of a column."""
    dtype: Any = column.dtype
    if dtype.kind == "M":
        return _times(name, column)
    if isinstance(dtype, pd.CategoricalDtype):
        column = column.astype(object)
    elif pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_integer_dtype(dtype):
        return ["" if pd.isna(value) else str(int(value)) for value in column.tolist()]
    elif pd.api.types.is_float_dtype(dtype):
        values = column.to_numpy(np.float64, na_value=np.nan)
        if np.isinf(values).any():
            raise ValueError(f"{_NAME}: column {name!r} holds infinite numbers. Replace them before writing.")
        digits = column.to_numpy() if column.dtype == np.float32 else values
        return ["" if value != value else np.format_float_positional(value, trim="-") if _is_plain(value) else
                np.format_float_scientific(value, trim="-") for value in digits]  # fmt: skip
    return ["" if pd.isna(value) else _text(f"column {name!r}", str(value)) for value in column.tolist()]


def _is_plain(value: float) -> bool:
    """Whether a number is written without an exponent."""
    return value == 0 or 1e-4 <= abs(value) < 1e16


def _times(name: str, column: pd.Series) -> list[str]:
    if column.dt.tz is None:
        raise ValueError(
            f"{_NAME}: the times of column {name!r} tell no zone. Declare it: frame[{name!r}].dt.tz_localize('UTC')."
        )
    times = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]")
    known = times[~np.isnat(times)].astype(np.int64)
    units = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
    unit: Any = next(unit for unit, size in units.items() if not (known % size).any())
    written = np.datetime_as_string(times, unit=unit)
    return ["" if text == "NaT" else f"{text}Z" for text in written.tolist()]


def _text(where: str, text: str) -> str:
    """A cell of text, quoted where it must be."""
    if "\0" in text:
        raise ValueError(f"{_NAME}: {where} holds a NUL character in {text[:40]!r}. Remove it.")
    if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA):
        text = "'" + text
        return '"' + text.replace('"', '""') + '"'
    quoted = any(sign in text for sign in ',"\r\n') or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if quoted else text
