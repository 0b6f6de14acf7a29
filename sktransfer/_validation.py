"""The checks of what users pass in, and their sentences.

Every message says who, what was expected, what came, and how to mend it, and names the column where it can.
This is also the only door to scikit-learn's table-driven parameter checks.
"""

import numbers
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval, InvalidParameterError, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_array, column_or_1d, validate_data

from sktransfer.exceptions import DataQualityWarning

__all__ = [

    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "check_rows",
    "check_weights",
    "column_names",
    "to_float32",
    "warn_of_quality",
]

# Squares of larger float32 numbers overflow inside a network, and their products with weights become NaN.
LARGEST_INPUT = 1e15


def check_rows(estimator: Any, X: Any, *, reset: bool, allow_nan: bool = False, allow_nd: bool = False) -> np.ndarray:
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
    allow_nd : bool, default=False
        Whether windows of shape (n_samples, n_channels, window_length) may come.

    Raises
    ------
    ValueError
        For duplicate column names, text or dates, NaN, infinity, other columns than in ``fit``, and everything
        that scikit-learn's own checks refuse.
    """
    who = type(estimator).__name__
    if not reset:
        _compare_columns(who, estimator, X)
    _refuse_unusable_columns(who, X)
    if not allow_nd and getattr(X, "ndim", 2) == 3:
        raise ValueError(
            f"Found array with dim 3. {who} expected <= 2 dimensions: rows of a table. For windows of sensor "
            "signals use a backbone that was pretrained on windows, or flatten each window into one row."
        )
    array = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        allow_nd=allow_nd,
    )
    _refuse_non_finite(who, estimator, array, allow_nan)
    return array


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
        if isinstance(X, pd.DataFrame):
            for name in columns:
                _refuse_unusable_column(who, name, X[name])
        elif hasattr(X, "schema"):
            _refuse_unusable_schema(who, X)
    elif getattr(X, "dtype", None) == object or (isinstance(X, list | tuple) and _holds_text(X)):
        array = np.asarray(X, dtype=object)
        if array.ndim == 2:
            for j in range(array.shape[1]):
                _refuse_text_cells(who, f"x{j}", array[:, j])


def _holds_text(X: Any) -> bool:
    return any(isinstance(cell, str) for row in X if isinstance(row, list | tuple) for cell in row)


def _refuse_unusable_column(who: str, name: Any, column: pd.Series) -> None:
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype):
        raise ValueError(f"{who} got X with the time column {name!r}. Drop or encode it.")
    _refuse_text_cells(who, name, column.to_numpy(dtype=object, na_value=np.nan))


def _refuse_unusable_schema(who: str, X: Any) -> None:
    """The same for polars frames, whose columns have one type each."""
    for name, dtype in X.schema.items():
        kind = str(dtype)
        if kind.startswith(("String", "Utf8", "Categorical", "Enum")):
            _refuse_text_cells(who, name, X[name].to_numpy())
        elif kind.startswith(("Date", "Time", "Duration")):
            raise ValueError(f"{who} got X with the time column {name!r}. Drop or encode it.")


def _refuse_text_cells(who: str, name: Any, cells: np.ndarray) -> None:
    for row, cell in enumerate(cells):
        if isinstance(cell, str):
            if not _is_number(cell):
                comma = "," in cell and _is_number(cell.replace(".", "").replace(",", "."))
                mend = (
                    "Read the file with decimal=','."
                    if comma
                    else "Drop or encode the column, or mark such text as missing (na_values) when reading the file."
                )
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
        more = ", ..." if (per_column > 0).sum() > 5 else ""
        mend = "Drop or fill these rows" + (
            ', or use BaselineScaler(missing="impute").' if word == "NaN" else "; infinity is never a measurement."
        )
        raise ValueError(f"{who}: Input X contains {word} in column {where}{more}. {mend}")


def to_float32(who: str, array: np.ndarray, names: list[str]) -> np.ndarray:
    """The rows as C-contiguous float32 without a copy where they are already.

    Raises
    ------
    ValueError
        If a value is so large that a float32 network would answer NaN.
    """
    largest = max(float(array.max(initial=0.0)), -float(array.min(initial=0.0)))
    if largest > LARGEST_INPUT:
        column = int(np.argmax(np.abs(array).reshape(len(array), array.shape[1], -1).max(axis=(0, 2))))
        raise ValueError(
            f"{who} got a value of {largest:.3g} in column {names[column]!r}, too large for a network (largest "
            f"allowed: {LARGEST_INPUT:.0e}). Put a scaler that clips in front, such as BaselineScaler()."
        )
    return np.ascontiguousarray(array, dtype=np.float32)


def check_weights(estimator: Any, sample_weight: Any, X: np.ndarray) -> np.ndarray:
    """Weights of shape (n_samples,), float64, non-negative and not all zero; ones if None."""
    who = type(estimator).__name__
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weights < 0).any():
        raise ValueError(f"{who} got a negative sample_weight in row {int(np.argmax(weights < 0))}; weights start at 0.")
    if not weights.sum() > 0:
        raise ValueError(f"{who} got sample_weight that is zero for every row; no row is left to learn from.")
    return weights


def warn_of_quality(who: str, array: np.ndarray, names: list[str]) -> None:
    """Warn of columns that look wrong although every cell is a number.

    A sentinel is the smallest or largest value of a column, repeated in 2 to 50 % of the rows (at least 3 rows)
    and further from all other values than five times their whole range.
    """
    if array.ndim != 2 or len(array) < 3:
        return
    low, high = array.min(axis=0), array.max(axis=0)
    if (low == high).all():
        warnings.warn(f"{who}: every column of X is constant, so there is no information in it.", DataQualityWarning, 3)
        return
    for j in np.flatnonzero(low < high):
        column = array[:, j]
        for extreme in (low[j], high[j]):
            repeated = column == extreme
            share = repeated.mean()
            if not (repeated.sum() >= 3 and 0.02 <= share <= 0.5):
                continue
            rest = column[~repeated]
            span, gap = np.ptp(rest), np.abs(rest - extreme).min()
            if span > 0 and gap > 5 * span and len(np.unique(rest)) > 2:
                warnings.warn(
                    f"{who}: column {names[j]!r} holds the value {extreme:g} in {share:.0%} of the rows, far from all "
                    "others. If it marks missing data, read the file with na_values.",
                    DataQualityWarning,
                    3,
                )


def is_positive_integer(value: Any) -> bool:
    """Whether `value` is a whole number of at least 1 (True and False are not numbers here)."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1


def check_labels(who: str, y: Any, n_rows: int) -> np.ndarray:
    """Class labels of shape (n_rows,) with their own dtype.

    Raises
    ------
    ValueError
        For missing labels, with their rows, and for labels of mixed kinds.
    """
    y = column_or_1d(y, warn=True)
    if len(y) != n_rows:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(y)}] (X and y).")
    missing = np.asarray(pd.isna(y), dtype=bool)
    if missing.any():
        rows = np.flatnonzero(missing)[:5].tolist()
        raise ValueError(
            f"{who}: Input y contains NaN: {int(missing.sum())} labels are missing, in rows {rows}. Drop these rows."
        )
    if y.dtype.kind == "O":
        kinds = {str if isinstance(v, str) else bool if isinstance(v, bool | np.bool_) else type(v) for v in y}
        numeric = all(issubclass(kind, numbers.Number | np.generic) for kind in kinds)
        if len(kinds) > 1 and not numeric:
            first = {kind.__name__: next(i for i, v in enumerate(y) if isinstance(v, kind)) for kind in kinds}
            raise ValueError(f"{who} got labels of mixed kinds in y (first row of each: {first}). Use one kind.")
    return y


def check_values(who: str, y: Any, n_rows: int) -> np.ndarray:
    """Numbers to predict, float64, of shape (n_rows,) or (n_rows, n_outputs); a single column is flattened."""
    y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name="y", ensure_min_samples=0)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if len(y) != n_rows:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(y)}] (X and y).")
    bad = ~np.isfinite(y.reshape(n_rows, -1)).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{who}: Input y contains NaN or infinity in rows {np.flatnonzero(bad)[:5].tolist()}. Drop these rows."
        )
    if n_rows < 2:
        raise ValueError(f"{who} needs at least 2 rows to fit, got n_samples = {n_rows}: 1 sample.")
    return y


def warn_of_single_rows(who: str, classes: np.ndarray, counts: np.ndarray) -> None:
    """Warn of classes with one row where others have many: a split may lose them, and their score says little.

    One label for every class is how few-label work looks, and is no cause for a warning.
    """
    if counts.max() >= 5 and (counts == 1).any():
        warnings.warn(
            f"{who}: the classes {classes[counts == 1].tolist()} have a single row each. They are learned from it "
            "alone, and stratified splits cannot keep them on both sides.",
            DataQualityWarning,
            stacklevel=5,
        )
