"""Checks of rows of a table and of their weights, and the refusal of numbers that rows and windows share.

Every message says which estimator got what, what it expected and what to do, and names the column where it can.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.masks import refuse_mask, without_mask
from sktransfer.validation.unusable import (
    LARGEST_INPUT,
    are_positions,
    columns_of,
    compare_names,
    refuse_unusable,
    unusable_column,
)


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
    name, given = type(estimator).__name__, columns_of(X)
    if issparse(X):
        raise SparseInputError(f"{name} got sparse X, but a network takes dense rows. Densify them: X.toarray().")
    X = without_mask(X)
    if type(X).__module__.startswith("pyarrow"):
        X = X.to_pandas()
    if not reset:
        _compare_columns(name, estimator, X)
    if wrong := unusable_column(X):
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


def names_seen(estimator: Any) -> list[str] | None:
    """Names of the columns of ``fit``, as text: of a frame, or of what a scaler made of one; None where unknown."""
    names = _seen(estimator)
    return None if names is None or are_positions(names) else [str(name) for name in names]


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


def _compare_columns(name: str, estimator: Any, X: Any) -> None:
    """Say what is missing, extra or out of order before scikit-learn's shorter message does, or where it is silent."""
    kept = "feature_names_in_" if hasattr(estimator, "feature_names_in_") else "column_names_in_"
    compare_names(name, _seen(estimator), columns_of(X), f"estimator.{kept}")


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
                f"{name} got {what} sample_weight in {counted(int(bad.sum()), 'row')}, the first is row "
                f"{int(np.argmax(bad))}. Weights are numbers from 0; a row of weight 0 is left out."
            )
    if not weights.any():
        raise ValueError(f"{name} got sample_weight that is zero for every row; give some rows a weight above 0.")
    return weights
