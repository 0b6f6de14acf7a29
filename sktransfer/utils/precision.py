"""The number format in which rows and networks are computed: float32, or float64 where rounding is in question.

Two ways to compute the same thing differ in float32 by what rounding is amplified to in training; in float64 they
can be compared digit by digit. Use it around a whole ``fit`` and its predictions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_FORMAT: ContextVar[type[np.floating]] = ContextVar("_FORMAT", default=np.float32)


def number_format() -> type[np.floating]:
    """``numpy.float32``, or what :func:`computing_in` says."""
    return _FORMAT.get()


@contextmanager
def computing_in(number_format: type[np.floating]) -> Iterator[None]:
    """Compute in another format in this thread while the block runs."""
    token = _FORMAT.set(number_format)
    try:
        yield
    finally:
        _FORMAT.reset(token)
