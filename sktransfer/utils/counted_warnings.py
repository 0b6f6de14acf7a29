"""Warnings that count rows, said once for all chunks of a call.

::

    predict of many rows --> chunk 1: 3 of 16384 rows  \
                             chunk 2: none of 16384     >  one warning: 5 of 40000 rows
                             chunk 3: 2 of 7232        /
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class CountedWarning:
    """What one warning has counted so far.

    Parameters
    ----------
    text : str
        The warning, with ``{count}``, ``{total}`` and ``{names}`` where they go.
    category : type of Warning
    count, total : int
        Rows it is about, and rows looked at.
    names : list of str
        Columns it is about; the first five are said.
    """

    text: str
    category: type[Warning]
    count: int = 0
    total: int = 0
    names: list[str] = field(default_factory=list)

    def say(self, stacklevel: int) -> None:
        """Warn, unless nothing was counted."""
        if self.count:
            text = self.text.format(count=self.count, total=self.total, names=self.names[:5])
            warnings.warn(text, self.category, stacklevel + 1)


_open: ContextVar[dict[str, CountedWarning] | None] = ContextVar("tallies of the call in chunks", default=None)


def warn_of(found: CountedWarning, stacklevel: int, merge: Callable[[int, int], int] = int.__add__) -> None:
    """Say what was `found`; inside :func:`said_once` keep it, counts joined by `merge`."""
    tallies = _open.get()
    if tallies is None:
        found.say(stacklevel + 1)
        return
    kept = tallies.setdefault(found.text, CountedWarning(found.text, found.category))
    kept.count, kept.total = merge(kept.count, found.count), kept.total + found.total
    kept.names += [name for name in found.names if name not in kept.names]


@contextmanager
def collect_warnings(stacklevel: int) -> Iterator[Callable[[], None]]:
    """Collect what the block counts, in this thread, and say it at its end; nested blocks leave it to the outer one.

    The block gets a function that forgets what it has counted so far.
    """
    outer = _open.get()
    if outer is not None:
        before = {text: (tally.count, tally.total) for text, tally in outer.items()}

        def forget() -> None:
            for text, tally in outer.items():
                tally.count, tally.total = before.get(text, (0, 0))

        yield forget
        return
    tallies: dict[str, CountedWarning] = {}
    token = _open.set(tallies)
    try:
        yield tallies.clear
    finally:
        _open.reset(token)
    for tally in tallies.values():
        tally.say(stacklevel + 2)  # contextlib adds two frames
