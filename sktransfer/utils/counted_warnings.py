"""Warnings that count rows, given once for all chunks of a call.

::

    predict of many rows --> chunk 1: 3 of 16384 rows  \
                             chunk 2: none of 16384     >  one warning: 5 of 40000 rows
                             chunk 3: 2 of 7232        /
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.said_by import in_whole

_NOT_THE_CALLER = ("sktransfer", "sklearn", "joblib", "contextlib")


@dataclass
class CountedWarning:
    """A warning about some of the rows.

    Parameters
    ----------
    text : str
        The message, with ``{count}``, ``{total}`` and ``{names}`` where the values go.
    category : type of Warning
    count, total : int
        Number of rows that the warning is about, and of rows examined.
    names : list
        Columns that the warning is about; the message lists the first five and says how many there are.
    merge : callable
        Joins the counts of two chunks: their sum, or ``max`` where the count is a length.
    """

    text: str
    category: type[Warning]
    count: int = 0
    total: int = 0
    names: list = field(default_factory=list)
    merge: Callable[[int, int], int] = int.__add__


# Where values go into a text; other braces are those of names.
_VALUES = re.compile(r"\{(count|total|names)\}")
# Numbers that are no names: what stands in brackets or quotes are names of columns, and at times a share beside them.
_SHARES = re.compile(r" in \d+%\)")
_NUMBERS = re.compile(r"(\[[^]]*\]|'[^']*')|\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")

_said: ContextVar[set[tuple[type[Warning], str]] | None] = ContextVar("sentences of the open block", default=None)
_collected: ContextVar[dict[str, CountedWarning] | None] = ContextVar("warnings of the open block", default=None)


def warn_of(found: CountedWarning) -> None:
    """Warn, unless the count is zero. Inside :func:`collect_warnings` the counts are added to those of other chunks."""
    # a block that collects may end after the one that names the estimator
    found = replace(found, text=in_whole(found.text))
    collected = _collected.get()
    if collected is None:
        if found.count:
            values = {"count": found.count, "total": found.total, "names": listed(found.names)}
            warn_caller(_VALUES.sub(lambda place: str(values[place[1]]), found.text), found.category)
        return
    kept = collected.setdefault(found.text, replace(found, count=0, total=0, names=[]))
    kept.count, kept.total = found.merge(kept.count, found.count), kept.total + found.total
    kept.names += [name for name in found.names if name not in kept.names]


def listed(names: Sequence[Any]) -> str:
    """The first five names as a list, and the number of all where there are more."""
    if len(names) <= 5:
        return str(list(names))
    return f"[{', '.join(map(repr, names[:5]))}, ...] ({len(names)} in all)"


def count_windows(text: str, found: np.ndarray, names: list[Any]) -> None:
    """Warn with the number of rows or windows in which something was `found`; shape (n, n_columns or n_channels)."""
    count = int(np.count_nonzero(found.any(axis=1)))
    columns = [names[j] for j in np.flatnonzero(found.any(axis=0))] if count else []
    warn_of(CountedWarning(text, DataQualityWarning, count, len(found), columns))


@contextmanager
def collect_warnings() -> Iterator[Callable[[], None]]:
    """Collect the counts of the block in this thread, and warn of each at its end. An inner block adds to the outer.

    Yields
    ------
    callable
        Forgets the counts of the block so far.
    """
    collected: dict[str, CountedWarning] = {}
    token = _collected.set(collected)
    try:
        yield collected.clear
    finally:
        _collected.reset(token)
    for found in collected.values():
        warn_of(found)


@contextmanager
def warnings_once() -> Iterator[None]:
    """Give each warning of this block and this thread once; an inner block belongs to the outer one.

    A search fits and scores the same rows many times, and what is said of them again, with other numbers, is no news.
    Warnings that differ in the names of columns are different. Filters act as ever: what they make an error is one.
    """
    if _said.get() is not None:
        yield
        return
    token, before, is_open = _said.set(set()), warnings.showwarning, [True]

    def show(message: Any, category: type[Warning], *where: Any, **options: Any) -> None:
        said = _said.get() if is_open else None
        sentence = category, _NUMBERS.sub(lambda found: found[1] or "#", _SHARES.sub(" in #%)", str(message)))
        if said is None or sentence not in said:
            before(message, category, *where, **options)
        if said is not None:
            said.add(sentence)

    warnings.showwarning = show
    try:
        yield
    finally:
        is_open.clear()  # another thread may have put its own before this one, and may put this one back
        if warnings.showwarning is show:
            warnings.showwarning = before
        _said.reset(token)


def warn_caller(text: str, category: type[Warning] = DataQualityWarning) -> None:
    """Warn at the line that called this package, through scikit-learn where that stands between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _NOT_THE_CALLER:
        level, frame = level + 1, frame.f_back
    warnings.warn(in_whole(text), category, level)
