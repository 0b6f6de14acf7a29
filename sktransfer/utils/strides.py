"""What an array knows besides its numbers reaches ``joblib.hash`` by its strides.

Of an array joblib looks at class, numbers, type, shape and strides alone, and of these only strides are read by nothing
that computes. Without this a cache such as ``Pipeline(memory=...)`` answers for arrays that know something else.
"""

from __future__ import annotations

from typing import Any


class Strides(tuple):
    """The strides of an array, which pickle together with what else it knows."""

    known: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return _plain_strides, (tuple(self), *self.known)


def strides_with(strides: tuple[int, ...], *known: Any) -> Strides:
    """`strides` that pickle together with what is `known`."""
    found = Strides(strides)
    found.known = known
    return found


def _plain_strides(strides: tuple[int, ...], *_: Any) -> tuple[int, ...]:
    return strides
