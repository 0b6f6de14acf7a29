"""Frames and their columns, as pandas sees them."""

from __future__ import annotations

import difflib
from typing import Any

import pandas as pd

_NAME = "SlidingWindows"


def as_pandas(table: Any) -> Any:
    """A pandas frame where `table` is one of polars or a series; anything else as it is."""
    if type(table).__module__.startswith("polars") and hasattr(table, "schema"):
        return pd.DataFrame({name: table[name].to_numpy() for name in table.columns})
    return table.to_frame() if isinstance(table, pd.Series) else table


def column(name: Any, table: pd.DataFrame, key: Any) -> pd.Series:
    """The column `key` of the recording `name`, or its index if that has this name.

    Raises
    ------
    ValueError
        If there is none, or there are several.
    """
    if key in table.columns:
        found = table[key]
        if found.ndim > 1:
            raise ValueError(f"{_NAME}: recording {name!r} has {found.shape[1]} columns {key!r}. Rename or drop them.")
        return found
    if key == table.index.name:
        return table.index.to_series()
    near = difflib.get_close_matches(str(key), [str(one) for one in table.columns], 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{_NAME}: recording {name!r} has no column {key!r}.{hint} It has {list(table.columns)[:12]}.")


def has_default_index(found: pd.Series | pd.DataFrame) -> bool:
    """Whether the rows are numbered from 0, as pandas does where nobody names them."""
    return found.index.equals(pd.RangeIndex(len(found)))
