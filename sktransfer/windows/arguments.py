"""An argument of ``SlidingWindows.cut``, looked up for each recording.

::

    one value                      --> the same for all
    list, array                    --> in the order of the recordings
    dict, Series, frame of orders  --> by the ids of the recordings
    text                           --> a column of each frame
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.utils.parameters import is_number
from sktransfer.windows.tables import as_pandas, column, has_default_index

_NAME = "SlidingWindows"
_MAY_NAME_A_COLUMN = ("machine", "time", "labels", "rpm")
_ORDERS = ("BPFO", "BPFI", "BSF", "FTF")


def look_up(what: str, argument: Any, tables: dict[Any, Any]) -> dict[Any, Any]:
    """Look up the argument `what` of ``SlidingWindows.cut`` for each recording.

    Returns
    -------
    dict
        By id: a column if the argument names one, an entry of the collection, or the one value.

    Raises
    ------
    ValueError
        If a recording has no entry, or it is not clear which.
    """
    if isinstance(argument, str) and what in _MAY_NAME_A_COLUMN:
        return {name: _named(what, argument, name, table) for name, table in tables.items()}
    entries = _entries(what, as_pandas(argument) if hasattr(argument, "schema") else argument, tables)
    for name, entry in entries.items():
        if what in ("labels", "rpm") and not _is_one(entry):
            raise ValueError(
                f"{_NAME}: {what} of recording {name!r} has {len(entry)} values; expected one.{_one_a_sample(what)}"
            )
    return entries


def _entries(what: str, argument: Any, tables: dict[Any, Any]) -> dict[Any, Any]:
    """One entry a recording, by id."""
    if _is_one(argument) or (what == "orders" and _is_one_set(argument)):
        return dict.fromkeys(tables, argument)
    if isinstance(argument, pd.DataFrame):
        argument = _rows(what, argument)
    if isinstance(argument, pd.Series):
        argument = _by_index(what, argument, list(tables))
    if isinstance(argument, Mapping):
        missing = [name for name in tables if name not in argument]
        if missing:
            raise ValueError(f"{_NAME}: {what} has no entry for the recordings {missing[:5]}; pass one for each.")
        return {name: argument[name] for name in tables}
    if len(argument) != len(tables):
        raise ValueError(
            f"{_NAME}: {what} has {len(argument)} entries for {len(tables)} recordings. Pass one a recording, as a "
            f"list or as a dict by the ids of the recordings.{_one_a_sample(what)}"
        )
    return dict(zip(tables, argument, strict=True))


def _rows(what: str, frame: pd.DataFrame) -> pd.Series:
    """The rows of a frame of orders, each by the names of its columns; of another frame its only column."""
    if what == "orders":
        positions = frame.columns.equals(pd.RangeIndex(frame.shape[1]))
        rows = frame.to_numpy().tolist() if positions else frame.to_dict("records")
        return pd.Series(rows, index=frame.index, dtype=object)
    if frame.shape[1] != 1:
        raise ValueError(
            f"{_NAME}: {what} is a frame with the columns {list(frame.columns)[:8]}. Pass the one that holds it, as "
            "frame['name']."
        )
    return frame.iloc[:, 0]


def _by_index(what: str, series: pd.Series, ids: list[Any]) -> dict[Any, Any] | list[Any]:
    """Entries of a Series by its index; in the order of the recordings only where its index names nothing."""
    default = has_default_index(series)
    known = set(series.index)
    n_known = sum(name in known for name in ids)
    if default and (n_known == 0 or len(series) != len(ids)):
        return series.tolist()
    if n_known < len(ids) or len(known) < len(series):
        raise ValueError(
            f"{_NAME}: {what} is a Series with the index {list(series.index)[:5]}, but the recordings are {ids[:5]}. "
            f"Its entries go by id: pass one for each, with {what}.set_axis(ids), or {what}.tolist() if they are in "
            f"the order of the recordings.{_one_a_sample(what)}"
        )
    return dict(zip(series.index, series.tolist(), strict=True))


def _one_a_sample(what: str) -> str:
    """The end of a message that says how to pass one value a sample; empty if `what` takes none."""
    if what not in ("labels", "rpm", "time"):
        return ""
    return (
        f" One value a sample is a column of a frame: frame.assign({what}=values), or for an array "
        f"pandas.DataFrame(array).assign({what}=values), and {what}={what!r}."
    )


def _is_one(value: Any) -> bool:
    """Whether `value` is a single value (text, a number, a date, nothing) and no collection."""
    return isinstance(value, str | bytes) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def _is_one_set(orders: Any) -> bool:
    """Whether this is one set of fault orders, for all recordings."""
    if isinstance(orders, pd.DataFrame):
        return False
    if isinstance(orders, Mapping):
        return {str(key).upper() for key in orders} == set(_ORDERS)
    return all(_is_one(order) for order in orders)


def _named(what: str, text: str, name: Any, table: Any) -> Any:
    """The column of that name; of machines its first entry. For an array, the text itself."""
    if isinstance(table, pd.DataFrame):
        found = column(name, table, text)
        return found.iloc[0] if what == "machine" else found
    if what in ("rpm", "time"):
        raise ValueError(
            f"{_NAME}: {what}={text!r} names a column, but recording {name!r} is an array.{_one_a_sample(what)}"
        )
    return text


def check_rate(rate: Any) -> float | None:
    """A rate in Hz, or None.

    Raises
    ------
    ValueError
        If it is not a positive number.
    """
    if rate is not None and not (is_number(rate) and 0 < rate < np.inf):
        raise ValueError(f"{_NAME}: from_rate is a positive number of Hz, got {rate!r}.")
    return None if rate is None else float(rate)


def check_orders(name: Any, orders: Any) -> np.ndarray:
    """Fault orders of a recording, shape (4,); those with names are put in their order.

    Raises
    ------
    ValueError
        If they are not four, or have other names.
    """
    if isinstance(orders, pd.Series) and not has_default_index(orders):
        orders = dict(zip(orders.index, orders.tolist(), strict=True))
    if isinstance(orders, Mapping):
        named = {str(key).upper(): value for key, value in orders.items()}
        if set(named) != set(_ORDERS):
            raise ValueError(
                f"{_NAME}: orders of recording {name!r} have the names {list(orders)[:8]}; expected {list(_ORDERS)}."
            )
        orders = [named[key] for key in _ORDERS]
    orders = np.asarray(orders, dtype=np.float64)
    if orders.shape != (4,):
        raise ValueError(
            f"{_NAME}: orders of recording {name!r} have shape {orders.shape}; expected (4,): BPFO, BPFI, BSF, FTF in "
            "multiples of the shaft's speed."
        )
    return orders
