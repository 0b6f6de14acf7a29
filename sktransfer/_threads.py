"""A scoped cap on torch's threads.

The thread count belongs to the process, so it is counted how many calls are inside: the first one in sets the
count, the last one out restores it. Two threads that fit at once never leave a wrong count behind.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_LOCK = threading.Lock()
_inside = 0
_before = 1


@contextmanager
def torch_threads(n_jobs: int | None) -> Iterator[None]:
    """Run the block with `n_jobs` torch threads (None: 1; -1: as many as torch has now)."""
    global _inside, _before
    if n_jobs == -1:
        yield
        return
    with _LOCK:
        if _inside == 0:
            _before = torch.get_num_threads()
        _inside += 1
        if torch.get_num_threads() != (n_jobs or 1):
            torch.set_num_threads(n_jobs or 1)
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0 and torch.get_num_threads() != _before:
                torch.set_num_threads(_before)
