"""Splits that score rows beside their neighbours: of one group, or of one stretch of time.

::

    splits, groups --> groups with rows on both sides?                   --+
    splits, times  --> scored rows that stand between drawn ones in time? --+--> how many splits --> one warning
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sktransfer.utils.counted_warnings import warn_caller

_MANY = 0.5  # of the scored rows: blocks in time have a neighbour at their ends alone

Splits = Sequence[tuple[Iterable[int], Iterable[int]]]


def warn_of_neighbours(name: str, X: Any, groups: Any, splits: Splits, remedy: str) -> None:
    """Warn where scored rows have neighbours among the rows of the fit, so that scores promise too much.

    Parameters
    ----------
    name : str
        Of who splits.
    X : rows or windows
        A frame with times as its index, or windows with times, are in time order as they come.
    groups : array-like of shape (n_rows,) or None
        Run, recording or machine of each row. Where there are groups, times are not looked at.
    splits : sequence of (array-like, array-like)
        Rows of the fit, and rows that are scored: numbers or masks.
    remedy : str
        A splitter to pass in place of this one.
    """
    pairs = [(row_numbers(drawn), row_numbers(scored)) for drawn, scored in splits]
    if groups is not None:
        of = np.asarray(groups)
        shared = sum(bool(np.isin(of[scored], of[drawn]).any()) for drawn, scored in pairs)
        if shared:
            warn_caller(
                f"{name}: in {shared} of {len(splits)} splits rows of one group lie on both sides, so that scores tell "
                f"how well groups are remembered. Pass {remedy} or another splitter that keeps groups whole."
            )
    elif has_times(X) and (beside := sum(_between(drawn, scored) for drawn, scored in pairs)):
        warn_caller(
            f"{name}: X knows the time of its rows, and in {beside} of {len(splits)} splits most scored rows come "
            "right before or after a row of the fit, so that scores tell how well moments are remembered. Pass groups "
            "(run, recording, day) with a splitter that keeps them whole, or cv=TimeSeriesSplit()."
        )


def has_times(X: Any) -> bool:
    """Whether rows have a time: a frame by its index, windows by their field."""
    index = getattr(X, "index", None)
    return getattr(getattr(index, "dtype", None), "kind", None) == "M" or getattr(X, "time", None) is not None


def row_numbers(rows: Iterable[int]) -> np.ndarray:
    """Numbers of rows, also of those that a mask chooses."""
    found = np.asarray(rows)
    return np.flatnonzero(found) if found.dtype == bool else found.astype(np.int64)


def _between(drawn: np.ndarray, scored: np.ndarray) -> bool:
    """Whether most scored rows stand beside a row of the fit."""
    if len(drawn) == 0 or len(scored) == 0:
        return False
    return float(np.mean(np.isin(scored - 1, drawn) | np.isin(scored + 1, drawn))) > _MANY
