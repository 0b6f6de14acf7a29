"""The checks of what users pass in, and their sentences.

Every message says who, what was expected, what came, and how to mend it, and names the column where it can.
"""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from sktransfer.validation.quality import warn_of_quality, warn_of_single_rows

if TYPE_CHECKING:  # rows that are no frames need no pandas
    import pandas as pd

__all__ = [
    "check_rows",
    "check_weights",
    "column_names",
    "refuse_larger_than",
    "to_float32",
    "warn_of_quality",
    "warn_of_single_rows",
]

# Squares of larger float32 numbers overflow inside a network, and their products with weights become NaN.
LARGEST_INPUT = 1e15
_TIMES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_TIME_COLUMN = "{} got X with the time column {!r}. Drop or encode it."


def check_rows(estimator: Any, X: Any, *, reset: bool, allow_nan: bool = False) -> np.ndarray:
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

    Raises
    ------
    ValueError
        For duplicate column names, text or dates, NaN, infinity, other columns than in ``fit``, and everything
        that scikit-learn's own checks refuse.
    """
    who = type(estimator).__name__
    if issparse(X):
        raise SparseInputError(f"{who} got sparse X, but a network takes dense rows. Densify them: X.toarray().")
    if type(X).__module__.startswith("pyarrow"):
        X = X.to_pandas()
    if not reset:
        _compare_columns(who, estimator, X)
    _refuse_unusable_columns(who, X)
    if type(X).__module__.startswith("polars") and hasattr(X, "schema"):
        # scikit-learn 1.6 does not see the column names of polars 2
        import pandas as pd

        X = pd.DataFrame({name: X[name].to_numpy() for name in X.columns})
    if getattr(X, "ndim", 2) == 3:
        raise ValueError(
            f"Found array with dim 3. {who} expected <= 2 dimensions: rows of a table. For windows of sensor "
            "signals use a backbone that was pretrained on windows, or flatten each window into one row."
        )
    array = validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False)
    _refuse_non_finite(who, estimator, array, allow_nan)
    return array


class SparseInputError(TypeError, ValueError):
    """Rows came as a sparse matrix: a value that cannot be used, which scikit-learn's checks know as a type."""


def column_names(estimator: Any, n_columns: int) -> list[str]:
    """Names for messages: those of the frame that was fitted, else ``x0``, ``x1``, ..."""
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{j}" for j in range(n_columns)] if names is None else [str(name) for name in names]


def _frame_columns(X: Any) -> list[Any] | None:
    columns = getattr(X, "columns", None)
    return None if columns is None or callable(columns) else list(columns)


def _compare_columns(who: str, estimator: Any, X: Any) -> None:
    """Say what is missing, extra or out of order before scikit-learn's shorter message does."""
    names = getattr(estimator, "feature_names_in_", None)
    columns = _frame_columns(X)
    if names is None or columns is None or columns == list(names) or not all(isinstance(c, str) for c in columns):
        return
    missing = [name for name in names if name not in columns]
    extra = [name for name in columns if name not in set(names)]
    if missing or extra:
        found = f" Missing: {missing}." if missing else ""
        found += f" Not seen in fit: {extra}." if extra else ""
    else:
        found = " The columns are the same, in another order."
    raise ValueError(
        f"{who}: the feature names should match those that were passed during fit.{found} "
        "Select them by name: X[list(estimator.feature_names_in_)]."
    )


def _refuse_unusable_columns(who: str, X: Any) -> None:
    columns = _frame_columns(X)
    if columns is not None:
        repeated = sorted({str(c) for c in columns if columns.count(c) > 1}) if len(set(columns)) < len(columns) else []
        if repeated:
            raise ValueError(f"{who} got X with duplicate column names {repeated}. Rename or drop the copies.")
        if "pandas" in sys.modules and isinstance(X, sys.modules["pandas"].DataFrame):
            for name in columns:
                _refuse_unusable_column(who, name, X[name])
        elif hasattr(X, "schema"):
            _refuse_unusable_schema(who, X)
    elif (kind := getattr(getattr(X, "dtype", None), "kind", "")) in ("M", "m"):
        raise ValueError(_TIME_COLUMN.format(who, "x0"))
    elif kind in ("O", "U", "S") or _holds_text(X):
        array = np.asarray(X, dtype=object)
        for j in range(array.shape[1] if array.ndim == 2 else 0):
            _refuse_text_cells(who, f"x{j}", array[:, j])


def _holds_text(X: Any) -> bool:
    rows = X if isinstance(X, list | tuple) else ()
    return any(isinstance(cell, str | bytes) for row in rows if isinstance(row, list | tuple) for cell in row)


def _refuse_unusable_column(who: str, name: Any, column: pd.Series) -> None:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype):
        raise ValueError(_TIME_COLUMN.format(who, name))
    _refuse_text_cells(who, name, column.to_numpy(dtype=object, na_value=np.nan))


def _refuse_unusable_schema(who: str, X: Any) -> None:
    """The same for polars frames, whose columns have one type each."""
    for name, dtype in X.schema.items():
        kind = str(dtype)
        if kind.startswith(("String", "Utf8", "Categorical", "Enum")):
            _refuse_text_cells(who, name, X[name].to_numpy())
        elif kind.startswith(("Date", "Time", "Duration")):
            raise ValueError(_TIME_COLUMN.format(who, name))


def _refuse_text_cells(who: str, name: Any, cells: np.ndarray) -> None:
    for row, cell in enumerate(cells):
        if isinstance(cell, _TIMES):
            raise ValueError(_TIME_COLUMN.format(who, name))
        if isinstance(cell, str | bytes):
            cell = cell if isinstance(cell, str) else cell.decode("latin-1")
            if not _is_number(cell):
                comma = "," in cell and _is_number(cell.replace(".", "").replace(",", "."))
                mend = "Drop or encode the column, or mark such text as missing (na_values) when reading the file."
                mend = "Read the file with decimal=','." if comma else mend
                raise ValueError(
                    f"{who} could not convert string to float: row {row}, column {name!r} holds {cell!r}. {mend}"
                )
            raise ValueError(
                f"{who} got numbers as text: row {row}, column {name!r} holds {cell!r}. "
                f"Convert the column first, for example with pandas.to_numeric."
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refuse_non_finite(who: str, estimator: Any, array: np.ndarray, allow_nan: bool) -> None:
    # one pass and no temporary array when all is well: a sum is finite only if every cell is, or it overflowed
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.sum(array, dtype=np.float64)
    if np.isfinite(total):
        return
    flat = array.reshape(len(array), array.shape[1], -1)
    for word, bad in (("infinity", np.isinf(flat)), ("NaN", np.isnan(flat))):
        per_column = bad.any(axis=2).sum(axis=0)
        if not per_column.any() or (word == "NaN" and allow_nan):
            continue
        names = column_names(estimator, array.shape[1])
        where = ", ".join(f"{names[j]!r} ({per_column[j]} rows)" for j in np.flatnonzero(per_column)[:5])
        where += ", ..." if (per_column > 0).sum() > 5 else ""
        mend = "Drop or fill these rows" if per_column.max() < len(array) else "Drop the columns without any value"
        mend += ', or use BaselineScaler(missing="impute").' if word == "NaN" else "; infinity is never a measurement."
        raise ValueError(f"{who}: Input X contains {word} in column {where}. {mend}")


def to_float32(who: str, array: np.ndarray, names: list[str], dtype: Any = np.float32) -> np.ndarray:
    """The rows as C-contiguous float32 (or another `dtype`) without a copy where they are already.

    Raises
    ------
    ValueError
        If a value is so large that a float32 network would answer NaN.
    """
    refuse_larger_than(LARGEST_INPUT, who, array, names, "Put a scaler that clips in front, such as BaselineScaler().")
    return np.ascontiguousarray(array, dtype=dtype)


def refuse_larger_than(
    limit: float, who: str, array: np.ndarray, names: list[Any], mend: str, what: str = "column"
) -> None:
    """Raise a ValueError that names the column (or channel: `what`) with a value beyond `limit`; NaN are left out."""
    largest = max(float(np.fmax.reduce(array, axis=None)), -float(np.fmin.reduce(array, axis=None)))
    if largest > limit:
        per_column = np.fmax.reduce(np.abs(array).reshape(len(array), array.shape[1], -1), axis=(0, 2))
        raise ValueError(
            f"{who} got a value of {largest:.3g} in {what} {names[int(np.nanargmax(per_column))]!r}, too large for a "
            f"measurement (largest allowed: {limit:.0e}). {mend}"
        )


def check_weights(estimator: Any, sample_weight: Any, X: np.ndarray) -> np.ndarray:
    """Weights of shape (n_samples,), float64, non-negative and not all zero; ones if None."""
    who, n_rows = type(estimator).__name__, len(X)
    try:
        weights = np.ones(n_rows) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{who} got a sample_weight that is not numbers ({error}). Pass one number a row.") from error
    if weights.ndim == 0:
        weights = np.full(n_rows, weights)
    if weights.shape != (n_rows,):
        raise ValueError(f"{who} got sample_weight of shape {weights.shape}; expected ({n_rows},), one weight a row.")
    for what, bad in (("NaN", np.isnan(weights)), ("infinite", np.isinf(weights)), ("negative", weights < 0)):
        if bad.any():
            raise ValueError(
                f"{who} got {what} sample_weight in {int(bad.sum())} rows, the first is row {int(np.argmax(bad))}. "
                "Weights are numbers from 0; a row of weight 0 is left out."
            )
    if not weights.any():
        raise ValueError(f"{who} got sample_weight that is zero for every row; give some rows a weight above 0.")
    return weights
