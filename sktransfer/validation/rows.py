"""Checks of rows of a table and of their weights, and the refusal of numbers that rows and windows share.

Every message says which estimator got what, what it expected and what to do, and names the column where it can.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from sktransfer.utils.masks import refuse_mask, without_mask
from sktransfer.validation.quality import words_of

# Squares of larger float32 numbers overflow inside a network, and their products with weights become NaN.
LARGEST_INPUT = 1e15
_TIMES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_DROP = {
    "row": "Drop or fill these rows",
    "window": "Drop these windows, fill the gaps of the recording before it is cut",
}
_IMPUTE = ', or use BaselineScaler(missing="impute").'


def check_rows(
    estimator: Any, X: Any, *, reset: bool, allow_nan: bool = False, largest: float = np.inf, remedy: str = ""
) -> np.ndarray:
    """Turn `X` into a float32 or float64 array, or say which column is in the way.

    Parameters
    ----------
    estimator : estimator
        Named in messages; gets ``n_features_in_`` and ``feature_names_in_`` if `reset`.
    X : array-like of shape (n_samples, n_features)
        Rows as the user passed them.
    reset : bool
        True in ``fit``, False where columns must equal those of ``fit``.
    allow_nan : bool, default=False
        Whether NaN (not infinity) may stay.
    largest : float, default=inf
        Largest absolute value that may stay.
    remedy : str, default=""
        What to do about a value that is larger, for the message.

    Raises
    ------
    ValueError
        For duplicate column names, text or dates, NaN, infinity, other columns than in ``fit``, and everything
        that scikit-learn's own checks refuse.
    """
    name, given = type(estimator).__name__, _frame_columns(X)
    if issparse(X):
        raise SparseInputError(f"{name} got sparse X, but a network takes dense rows. Densify them: X.toarray().")
    X = without_mask(X)
    if type(X).__module__.startswith("pyarrow"):
        X = X.to_pandas()
    if not reset:
        _compare_columns(name, estimator, X)
    if wrong := _unusable_column(X):
        raise ValueError(f"{name} {wrong}")
    if type(X).__module__.startswith("polars") and hasattr(X, "schema"):
        # scikit-learn 1.6 does not see the column names of polars 2
        import pandas as pd

        X = pd.DataFrame({column: X[column].to_numpy() for column in X.columns})
    if getattr(X, "ndim", 2) == 3:
        raise ValueError(
            f"Found array with dim 3. {name} expected <= 2 dimensions: rows of a table. For windows of sensor "
            "signals use a backbone that was pretrained on windows, or flatten each window into one row."
        )
    array = validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False)
    if reset:
        _remember_columns(estimator, given)
    names = partial(column_names, estimator, array.shape[1])
    refuse_unusable(name, array, names, allow_nan=allow_nan, largest=largest, remedy=remedy)
    return array


class SparseInputError(TypeError, ValueError):
    """Rows came as a sparse matrix: a value that cannot be used, which scikit-learn's checks know as a type."""


def column_names(estimator: Any, n_columns: int) -> list[str]:
    """Names for messages: those of the frame that was fitted, or that a scaler scaled, else ``x0``, ``x1``, ..."""
    names = names_seen(estimator)
    return [f"x{j}" for j in range(n_columns)] if names is None else names


def _frame_columns(X: Any) -> list[Any] | None:
    columns = getattr(X, "columns", None)
    return None if columns is None or callable(columns) else list(columns)


def names_seen(estimator: Any) -> list[str] | None:
    """Names of the columns of ``fit``, as text: of a frame, or of what a scaler made of one; None where unknown."""
    names = _seen(estimator)
    return None if names is None or _are_positions(names) else [str(name) for name in names]


def _seen(estimator: Any) -> list[Any] | None:
    names = getattr(estimator, "feature_names_in_", None)
    names = getattr(estimator, "column_names_in_", None) if names is None else names
    return None if names is None else list(names)


def _remember_columns(estimator: Any, columns: list[Any] | None) -> None:
    """Keep names that scikit-learn does not: numbers, tuples of a MultiIndex, and those behind a scaler."""
    forget_names(estimator)
    if columns is not None and "feature_names_in_" not in vars(estimator):
        estimator.column_names_in_ = tuple(columns)


def forget_names(estimator: Any) -> None:
    """Drop the names of an earlier fit that scikit-learn does not drop: it may have been one of rows or of windows."""
    for name in ("column_names_in_", "channel_names_in_"):
        vars(estimator).pop(name, None)


def _are_positions(columns: list[Any]) -> bool:
    """Whether these are the names that pandas gives where there are none: 0, 1, 2, ..."""
    return columns == list(range(len(columns)))


def _compare_columns(name: str, estimator: Any, X: Any) -> None:
    """Say what is missing, extra or out of order before scikit-learn's shorter message does, or where it is silent."""
    names, columns = _seen(estimator), _frame_columns(X)
    if names is None or columns is None or columns == names:
        return
    if isinstance(names[0], str) and not all(isinstance(c, str) for c in columns):
        return  # scikit-learn says so
    if set(names) != set(columns) and (_are_positions(names) or _are_positions(columns)):
        return  # one of them has no names
    missing = [column for column in names if column not in columns]
    extra = [column for column in columns if column not in set(names)]
    if missing or extra:
        found = f" Missing: {missing}." if missing else ""
        found += f" Not seen in fit: {extra}." if extra else ""
    else:
        found = " The columns are the same, in another order."
    kept = "feature_names_in_" if hasattr(estimator, "feature_names_in_") else "column_names_in_"
    raise ValueError(
        f"{name}: the feature names should match those that were passed during fit.{found} "
        f"Select them by name: X[list(estimator.{kept})]."
    )


def _unusable_column(X: Any) -> str | None:
    """What is wrong with the name or the type of a column, as the end of a sentence; None if nothing is."""
    columns = _frame_columns(X) or []
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
        found = ", ".join(f"{names[j]!r} ({counts[j]} {row}s)" for j in np.flatnonzero(counts)[:5])
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


def to_float32(name: str, array: np.ndarray, names: list[str], dtype: Any = np.float32) -> np.ndarray:
    """The rows as C-contiguous float32 (or another `dtype`) without a copy where they are already.

    Raises
    ------
    ValueError
        If a value is so large that a float32 network would answer NaN.
    """
    remedy = "Put a scaler that clips in front, such as BaselineScaler()."
    refuse_unusable(name, array, lambda: names, largest=LARGEST_INPUT, remedy=remedy)
    return np.ascontiguousarray(array, dtype=dtype)


def check_weights(estimator: Any, sample_weight: Any, X: np.ndarray) -> np.ndarray:
    """Weights of shape (n_samples,), float64, non-negative and not all zero; ones if None."""
    name, n_rows = type(estimator).__name__, len(X)
    refuse_mask(name, "sample_weight", sample_weight)
    try:
        weights = np.ones(n_rows) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} got a sample_weight that is not numbers ({error}). Pass one number a row.") from error
    if weights.ndim == 0:
        weights = np.full(n_rows, weights)
    if weights.shape != (n_rows,):
        raise ValueError(f"{name} got sample_weight of shape {weights.shape}; expected ({n_rows},), one weight a row.")
    for what, bad in (("NaN", np.isnan(weights)), ("infinite", np.isinf(weights)), ("negative", weights < 0)):
        if bad.any():
            raise ValueError(
                f"{name} got {what} sample_weight in {int(bad.sum())} rows, the first is row {int(np.argmax(bad))}. "
                "Weights are numbers from 0; a row of weight 0 is left out."
            )
    if not weights.any():
        raise ValueError(f"{name} got sample_weight that is zero for every row; give some rows a weight above 0.")
    return weights
