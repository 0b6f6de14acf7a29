"""Locks that a fork leaves usable.

::

    parent: thread A predicts and holds the lock; thread B forks
    child:  thread B alone, and a lock that thread A will never release  -->  it is made new here

A lock is reentrant, so that a signal handler may predict while the thread that it interrupted holds it.
"""

from __future__ import annotations

import os
from threading import RLock, get_ident
from typing import Any
from weakref import WeakSet

_PATIENCE = 5.0  # seconds that a fork waits for a lock that it awaits


class ForkableLock:
    """A reentrant lock that is free in a forked child, unless the thread that forks holds it.

    Parameters
    ----------
    awaited : bool, default=False
        Whether a fork waits, up to five seconds, until no other thread holds the lock. True where the lock guards
        something of torch's that is for a moment in a state that the child must not inherit.
    """

    def __init__(self, *, awaited: bool = False):
        self._lock: Any = RLock()
        self._holder: int | None = None
        self._depth = 0
        _LOCKS.add(self)
        if awaited:
            _AWAITED.append(self)

    def __enter__(self) -> ForkableLock:
        self._lock.acquire()
        self._depth += 1
        self._holder = get_ident()
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._holder = None
        self._lock.release()

    def is_held_here(self) -> bool:
        """Whether this thread holds the lock: then what it guards may be half changed."""
        return self._holder == get_ident()


_LOCKS: WeakSet[ForkableLock] = WeakSet()
_AWAITED: list[ForkableLock] = []  # module-level locks, which live as long as the process
_taken: list[ForkableLock] = []  # by the fork that is under way


def _before_fork() -> None:
    for lock in list(_AWAITED):
        if lock._lock.acquire(timeout=_PATIENCE):
            _taken.append(lock)


def _after_fork() -> None:
    while _taken:
        _taken.pop()._lock.release()


def _in_child() -> None:
    _after_fork()
    for lock in list(_LOCKS):
        if lock._holder != get_ident():
            lock._lock, lock._holder, lock._depth = RLock(), None, 0


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
