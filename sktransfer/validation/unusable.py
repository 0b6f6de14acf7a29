"""What can be read in no way: text, times, doubled columns, NaN, infinity, numbers too large.

Nothing here needs scikit-learn, so that a process which only scores (`io/onnx_model.py`) gives the same sentences.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sktransfer.utils.counted_nouns import counted

# Squares of larger float32 numbers overflow inside a network, and their products with weights become NaN.
LARGEST_INPUT = 1e15
_TIMES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_DROP = {
    "row": "Drop or fill these rows",
    "window": "Drop these windows, fill the gaps of the recording before it is cut",
}
_IMPUTE = ', or use BaselineScaler(missing="impute").'


def words_of(X: Any) -> tuple[str, str]:
    """What messages call the second and the first axis of `X`: columns of rows, or channels of windows."""
    return ("column", "row") if X.ndim == 2 else ("channel", "window")


def columns_of(X: Any) -> list[Any] | None:
    """Names of the columns of a frame; None for anything else."""
    columns = getattr(X, "columns", None)
    return None if columns is None or callable(columns) else list(columns)


def are_positions(columns: list[Any]) -> bool:
    """Whether these are the names that pandas gives where there are none: 0, 1, 2, ..."""
    return columns == list(range(len(columns)))


def compare_names(name: str, names: list[Any] | None, columns: list[Any] | None, kept: str) -> None:
    """Raise a ValueError that says which columns are missing, extra or out of order.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    names, columns : list or None
        Column names of ``fit``, and of the frame at hand; None: unknown, and nothing is compared.
    kept : str
        Where the names of ``fit`` are kept, for the message.
    """
    if names is None or columns is None or columns == names:
        return
    if isinstance(names[0], str) and not all(isinstance(c, str) for c in columns):
        return  # scikit-learn says so
    if set(names) != set(columns) and (are_positions(names) or are_positions(columns)):
        return  # one of them has no names
    missing = [column for column in names if column not in columns]
    extra = [column for column in columns if column not in set(names)]
    if missing or extra:
        found = f" Missing: {missing}." if missing else ""
        found += f" Not seen in fit: {extra}." if extra else ""
    else:
        found = " The columns are the same, in another order."
    raise ValueError(
        f"{name}: the feature names should match those that were passed during fit.{found} "
        f"Select them by name: X[list({kept})]."
    )


def unusable_column(X: Any) -> str | None:
    """What is wrong with the name or the type of a column, as the end of a sentence; None if nothing is."""
    columns = columns_of(X) or []
    repeated = sorted({str(c) for c in columns if columns.count(c) > 1}) if len(set(columns)) < len(columns) else []
    if repeated:
        return f"got X with duplicate column names {repeated}. Rename or drop the copies."
    return next((wrong for name, cells in _columns_of_objects(X) if (wrong := _text_or_time(name, cells))), None)


def _columns_of_objects(X: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """Name and cells of each column that may hold text or times."""
    if "pandas" in sys.modules and isinstance(X, sys.modules["pandas"].DataFrame):
        is_numeric = sys.modules["pandas"].api.types.is_numeric_dtype
        yield from ((name, X[name].to_numpy(dtype=object)) for name in X.columns if not is_numeric(X[name].dtype))
    elif hasattr(X, "schema"):  # polars
        others = [name for name, dtype in X.schema.items() if not dtype.is_numeric() and str(dtype) != "Boolean"]
        yield from ((name, X[name].to_numpy()) for name in others)
    elif getattr(getattr(X, "dtype", None), "kind", "-") in "OUSMm" or _holds_text(X):
        array = X if hasattr(X, "dtype") else np.asarray(X, dtype=object)
        yield from ((f"x{j}", array[:, j]) for j in range(array.shape[1] if array.ndim == 2 else 0))


def _holds_text(X: Any) -> bool:
    rows = X if isinstance(X, list | tuple) else ()
    return any(isinstance(cell, str | bytes) for row in rows if isinstance(row, list | tuple) for cell in row)


def _text_or_time(column: Any, cells: np.ndarray) -> str | None:
    """What is wrong with a column that holds text or times, as the end of a sentence."""
    for row, cell in enumerate(cells):
        if isinstance(cell, _TIMES):
            return f"got X with the time column {column!r}. Drop or encode it."
        if isinstance(cell, str | bytes):
            text = cell.decode("latin-1") if isinstance(cell, bytes) else str(cell)
            where = f"row {row}, column {column!r} holds {text!r}."
            if _is_number(text):
                return f"got numbers as text: {where} Convert the column first, for example with pandas.to_numeric."
            remedy = "Drop or encode the column, or mark such text as missing (na_values) when reading the file."
            if "," in text and _is_number(text.replace(".", "").replace(",", ".")):
                remedy = "Read the file with decimal=','."
            return f"could not convert string to float: {where} {remedy}"
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_unusable(
    name: str, X: np.ndarray, names_of: Callable[[], Sequence], *, allow_nan: bool = False, largest: float, remedy: str
) -> None:
    """Raise a ValueError for NaN, infinity and values too large, with the columns or channels that hold them.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, ...)
        Floating-point numbers.
    names_of : callable
        Returns the names of columns or channels; called for a message only.
    allow_nan : bool, default=False
        Whether NaN may stay.
    largest : float
        Largest absolute value that may stay.
    remedy : str
        What to do about a value that is too large.
    """
    # the extremes are NaN if any value is, or, where NaN may stay, if all are: no temporary array when all is well
    low, high = (np.fmin, np.fmax) if allow_nan else (np.minimum, np.maximum)
    extreme = max(float(high.reduce(X, axis=None)), -float(low.reduce(X, axis=None)))
    if extreme <= min(largest, sys.float_info.max):
        return
    (column, row), names = words_of(X), names_of()
    X = X.reshape(*X.shape[:2], -1)

    def where(bad: np.ndarray) -> str:
        """The columns that hold `bad` values, and in how many rows."""
        counts = bad.any(axis=2).sum(axis=0)
        found = ", ".join(f"{names[j]!r} ({counted(int(counts[j]), row)})" for j in np.flatnonzero(counts)[:5])
        return found + (", ..." if (counts > 0).sum() > 5 else "")

    for what, bad in (("infinity", np.isinf(X)), ("NaN", np.isnan(X) & (not allow_nan))):
        if bad.any():
            drop = f"Drop the {column}s without any value" if bad.all(axis=(0, 2)).any() else _DROP[row]
            drop += "; infinity is never a measurement." if what == "infinity" else _IMPUTE
            raise ValueError(f"{name}: Input X contains {what} in {column} {where(bad)}. {drop}")
    if extreme > largest:
        with_extreme = names[int(np.nanargmax(np.fmax.reduce(np.abs(X), axis=(0, 2))))]
        raise ValueError(
            f"{name} got a value of {extreme:.3g} in {column} {with_extreme!r}, too large for a measurement. Input X "
            f"contains values beyond {largest:.0e} in {column} {where(np.abs(X) > largest)}. {remedy}"
        )
