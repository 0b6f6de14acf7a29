"""Whether the state that is read now may come from somebody else, as in a model file, or is as good as a program.

A pickle is a program: what it says needs no second look. A file of :func:`sktransfer.load` runs nothing, so a network
in it is measured before it runs, as in a backbone file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_UNTRUSTED = ContextVar("untrusted_state", default=False)


def is_untrusted() -> bool:
    """Whether a state is read inside :func:`untrusted_state`."""
    return _UNTRUSTED.get()


@contextmanager
def untrusted_state() -> Iterator[None]:
    """In the block, states that are read may come from anybody."""
    token = _UNTRUSTED.set(True)
    try:
        yield
    finally:
        _UNTRUSTED.reset(token)
