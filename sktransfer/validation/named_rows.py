"""NamedRows: rows that still know their columns behind a scaler.

::

    frame --BaselineScaler--> NamedRows --check_rows--> the columns of the backbone, in this order?

scikit-learn's transformers hand on arrays, and a network behind one takes any columns in any order. These arrays carry
the names for one hand-over: every view, slice and calculation is a plain array without them, so that none can be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sktransfer.utils.strides import strides_with


class NamedRows(np.ndarray):
    """Array of shape (n_samples, n_columns) with the names of its columns.

    Attributes
    ----------
    columns : tuple or None
        Names; None for everything that was made of such an array.
    """

    columns: tuple[Any, ...] | None

    def __array_finalize__(self, parent: Any) -> None:
        self.columns = None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self)[index]

    @property  # type: ignore[misc]
    def strides(self) -> Any:
        """As of any array. They carry the names into ``joblib.hash``, which looks at nothing else that could."""
        strides = super().strides
        return strides if self.columns is None else strides_with(strides, list(self.columns))

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (np.asarray(self), self.columns)


def with_names(found: np.ndarray, given: Any, names: Sequence[Any] | None) -> np.ndarray:
    """`found` with the names of its columns, if `given` was a frame of rows that knew them."""
    if names is None or found.ndim != 2 or type(found) is not np.ndarray or getattr(given, "columns", None) is None:
        return found
    return _named(found, tuple(names))


def _named(array: np.ndarray, names: tuple[Any, ...] | None) -> NamedRows:
    rows = array.view(NamedRows)
    rows.columns = names
    return rows
