"""Checks of labels and of numbers to predict."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, column_or_1d

from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.masks import refuse_mask


def _compare_lengths(y: np.ndarray, n_rows: int) -> None:
    if len(y) != n_rows:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(y)}] (X and y).")


def check_labels(name: str, y: Any, n_rows: int) -> np.ndarray:
    """Class labels of shape (n_rows,) with their own dtype.

    Raises
    ------
    ValueError
        For missing labels, with their rows, and for labels of mixed kinds.
    """
    import pandas as pd

    refuse_mask(name, "y", y)
    if hasattr(getattr(y, "dtype", None), "numpy_dtype") and not y.isna().any():
        y = np.asarray(y.to_numpy(dtype=y.dtype.numpy_dtype))  # pandas' nullable integers stay integers
    y = column_or_1d(y, warn=True)
    _compare_lengths(y, n_rows)
    missing = np.asarray(pd.isna(y), dtype=bool)
    infinite = np.isinf(y) if y.dtype.kind == "f" else np.zeros(n_rows, dtype=bool)
    for word, bad in (("NaN", missing), ("infinity", infinite)):
        if bad.any():
            raise ValueError(
                f"{name}: Input y contains {word}: {counted(int(bad.sum()), 'label is', 'labels are')} no "
                f"class, in rows {np.flatnonzero(bad)[:5].tolist()}. Drop these rows."
            )
    if y.dtype.kind == "O":
        kinds = {str if isinstance(v, str) else bool if isinstance(v, bool | np.bool_) else type(v) for v in y}
        numeric = all(issubclass(kind, numbers.Number | np.generic) for kind in kinds)
        if len(kinds) > 1 and not numeric:
            first = {kind.__name__: next(i for i, v in enumerate(y) if isinstance(v, kind)) for kind in kinds}
            raise ValueError(f"{name} got labels of mixed kinds in y (first row of each: {first}). Use one kind.")
    return y


def check_values(name: str, y: Any, n_rows: int) -> np.ndarray:
    """Numbers to predict, float64, of shape (n_rows,) or (n_rows, n_outputs); a single column is flattened."""
    refuse_mask(name, "y", y)
    y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name="y", ensure_min_samples=0)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    _compare_lengths(y, n_rows)
    bad = ~np.isfinite(y.reshape(n_rows, -1)).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{name}: Input y contains NaN or infinity in rows {np.flatnonzero(bad)[:5].tolist()}. Drop these rows."
        )
    largest = float(np.abs(y).max(initial=0.0))
    if largest > 1e30:
        raise ValueError(f"{name} got a label of {largest:.3g} in y, too large to square. Change its unit.")
    if n_rows < 2:
        raise ValueError(f"{name} needs at least 2 rows to fit, got n_samples = {n_rows}: 1 sample.")
    return y


def is_numbered(classes: Sequence[Any]) -> bool:
    """Whether the classes are the integers from 0 on, as encoders number them."""
    return all(type(name) is int for name in classes) and list(classes) == list(range(len(classes)))
