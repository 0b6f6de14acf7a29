"""Scoped caps on the threads of torch and of numpy's BLAS.

The thread count belongs to the process, so it is counted how many calls are inside, in all and in this thread. Two
threads that fit at once never leave a wrong count behind.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_LOCK = threading.Lock()
_DEPTH = threading.local()
_inside = 0
_before = 1
_blas_inside = 0
_blas_limit: Any = None


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Run the block with `n_jobs` torch threads (None: 1; -1: as many as there are now)."""
    global _inside, _before
    if n_jobs == -1:
        yield
        return
    import torch  # not above: what runs in numpy needs the cap below, and no torch

    depth = getattr(_DEPTH, "value", 0)
    with _LOCK:
        if _inside == 0:
            _before = torch.get_num_threads()
        # OpenMP keeps a count for each thread: a nested call gives back what it found, the first what the process had
        previous = torch.get_num_threads() if depth else _before
        _inside += 1
        _DEPTH.value = depth + 1
        if torch.get_num_threads() != (n_jobs or 1):
            torch.set_num_threads(n_jobs or 1)
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            _DEPTH.value = depth
            if torch.get_num_threads() != previous:
                torch.set_num_threads(previous)


@contextmanager
def blas_threads(n_jobs: int | None) -> Iterator[None]:
    """The same for numpy's BLAS, whose threads would spin against torch's on a busy machine."""
    global _blas_inside, _blas_limit
    if n_jobs == -1:
        yield
        return
    with _LOCK:
        if _blas_inside == 0:
            _blas_limit = _controller().limit(limits=n_jobs or 1, user_api="blas")
        _blas_inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _blas_inside -= 1
            if _blas_inside == 0:
                _blas_limit.restore_original_limits()


@cache
def _controller() -> ThreadpoolController:
    """The process's BLAS libraries: looking for them costs milliseconds, and numpy's and scipy's are loaded by now."""
    return ThreadpoolController()
