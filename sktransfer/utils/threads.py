"""One cap on the threads of numpy's BLAS and of torch.

Both counts belong to the process, so the calls that are inside a block are counted. Two threads that fit at once never
leave a wrong count behind.

A forked child has one thread, and none of those that OpenMP keeps for torch: torch would wait for them forever. So
torch is told in a child to use one thread, and the cap is one thread there whatever `n_jobs` says.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

from sktransfer.utils.locks import ForkableLock

# Modules that load a BLAS or an OpenMP of their own: numpy's is there by the time this file is read.
_LOADERS = ("scipy.linalg._fblas", "torch.nn")


class _Depth(threading.local):
    """How many blocks are open in this thread, and how many of them have a torch count."""

    value = 0
    blocks = 0


_LOCK = ForkableLock(awaited=True)  # in the middle of a change of its count BLAS holds a lock that a child cannot open
_DEPTH = _Depth()
_n_inside = 0
_blas: Any = None  # gives BLAS its threads back; None while no block is open
_torch_count: int | None = None  # torch's count before the first of the open blocks
_is_fork = False  # of a process that had loaded torch


@contextmanager
def capped_threads(n_jobs: int | None) -> Iterator[None]:
    """Run the block with at most so many threads in numpy's BLAS and, if it is loaded, in torch.

    Torch is told by its own function, because the MKL inside it does not listen to OpenMP once its count was set. It
    is never imported for this.

    Parameters
    ----------
    n_jobs : int or None
        Threads; None: 1; -1: as many as there are now. In a process that was forked after torch was loaded: 1.
    """
    # a signal handler may have interrupted the very lines that count: it runs with the threads as they are
    if (n_jobs == -1 and not _is_fork) or _LOCK.is_held_here():
        yield
        return
    torch = sys.modules.get("torch") if "torch.nn" in sys.modules else None
    before = _enter(1 if _is_fork else n_jobs or 1, torch)
    try:
        yield
    finally:
        _leave(before, torch)


def _enter(n_threads: int, torch: Any) -> int:
    """Cap the threads; return the count that torch is to get back in this thread."""
    global _n_inside, _blas, _torch_count
    with _LOCK:
        if _n_inside == 0:
            _blas = _libraries(tuple(name in sys.modules for name in _LOADERS)).limit(limits=n_threads, user_api="blas")
            _torch_count = None
        _n_inside += 1
        _DEPTH.blocks += 1
        if torch is None:
            return 0
        current = torch.get_num_threads()
        if _torch_count is None:
            _torch_count = current
        # OpenMP keeps a count for each thread, and a new thread begins with the capped one: the first block of a
        # thread gives back the count of the process, and a block inside it the count that it found
        before = current if _DEPTH.value else _torch_count
        _DEPTH.value += 1
        if current != n_threads:
            torch.set_num_threads(n_threads)
        return before


def _leave(before: int, torch: Any) -> None:
    global _n_inside, _blas
    with _LOCK:
        _n_inside -= 1
        _DEPTH.blocks -= 1
        if torch is not None:
            # before BLAS: giving BLAS its threads back may change OpenMP's count of this thread, and with it what torch
            # answers, but not the count that torch gives to new threads
            _DEPTH.value -= 1
            if torch.get_num_threads() != before:
                torch.set_num_threads(before)
        if _n_inside == 0:
            _blas.restore_original_limits()
            _blas = None


def _in_child() -> None:
    """Close the blocks of threads that a fork did not copy, and leave torch one thread."""
    global _n_inside, _blas, _is_fork
    _n_inside = _DEPTH.blocks
    if _n_inside == 0 and _blas is not None:
        _blas.restore_original_limits()
        _blas = None
    if "torch.nn" in sys.modules:
        _is_fork = True
        sys.modules["torch"].set_num_threads(1)


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_in_child)


@cache
def _libraries(loaded: tuple[bool, ...]) -> ThreadpoolController:
    """The libraries of the process. Looking for them takes a millisecond, so it is done once for what is `loaded`."""
    return ThreadpoolController()
