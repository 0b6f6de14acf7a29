"""A checksum over the state of a fitted object: its file is as it was written, or it is refused.

::

    __getstate__: {"center_": array, ...} --> SHA-256 over names, types, shapes, values --> one more entry of the state
    __setstate__: the same sum over what was read --> equal, or a ModelFileError

Neither pickle nor joblib notices a bit that was flipped on a disk: a scale of 2.0 comes back as 2.5 and every answer is
another. The sum is over values, not over the bytes of a file, so joblib, pickle and skops files have the same.

An object inside the state is counted with its values if it is of this package. Objects of other packages are counted by
their class alone, because their values may change with the version of their package when they are read.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import Any

import numpy as np

from sktransfer.exceptions import ModelFileError

_KEY = "_checksum"
_SCHEME = "1:"  # of the sum; a reader of another scheme says so in place of "damaged"
_OURS = "sktransfer."


class Checksummed:
    """Mixin: the pickled state holds a checksum of itself, which is compared when it is read.

    It comes first among the bases. A class with a ``__getstate__`` of its own calls :func:`seal` and :func:`unseal`.
    """

    def __getstate__(self) -> dict[str, Any]:
        return seal(super().__getstate__())  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = unseal(type(self).__name__, state)
        restore = getattr(super(), "__setstate__", self.__dict__.update)
        restore(state)


def seal(state: dict[str, Any]) -> dict[str, Any]:
    """`state` with the checksum of all its entries."""
    state = {key: value for key, value in state.items() if key != _KEY}
    return {**state, _KEY: _SCHEME + digest(state)}


def unseal(name: str, state: dict[str, Any]) -> dict[str, Any]:
    """`state` without its checksum.

    Parameters
    ----------
    name : str
        Class of the object, for the error.
    state : dict
        What was read. One without a checksum, of an older version, is taken as it is.

    Raises
    ------
    ModelFileError
        If the entries are not those that were written.
    """
    if not isinstance(state, dict):
        raise ModelFileError(f"The state of this {name} is a {type(state).__name__}: the file is damaged.")
    state = dict(state)
    stored = state.pop(_KEY, None)
    if stored is None:
        return state
    if isinstance(stored, str) and stored[:1].isdigit() and not stored.startswith(_SCHEME):
        raise ModelFileError(f"This {name} has a checksum that this version does not know. Upgrade sktransfer.")
    if stored != _SCHEME + digest(state, is_read=True):
        raise ModelFileError(f"This {name} does not match its checksum: the file is damaged. Copy it again.")
    return state


def digest(value: Any, *, is_read: bool = False) -> str:
    """SHA-256 over `value` and all that is in it.

    Parameters
    ----------
    value : object
    is_read : bool, default=False
        Whether `value` was just read, so that the sums of its weights, which were compared then, are still theirs.
    """
    return hashlib.sha256(_Digest(is_read).of(value)).hexdigest()


class _Digest:
    """One walk over a value; an object that occurs twice is summed once."""

    def __init__(self, is_read: bool):
        self._is_read = is_read
        self._known: dict[int, tuple[Any, bytes]] = {}  # with the object, so that its id stays its own

    def of(self, value: Any) -> bytes:
        """Bytes that stand for `value`: itself where it is one number or text, else a sum."""
        if (leaf := _leaf(value)) is not None:
            return leaf
        if id(value) in self._known:
            return self._known[id(value)][1]
        self._known[id(value)] = value, b"inside itself"
        found = self._sum(value)
        self._known[id(value)] = value, found
        return found

    def _sum(self, value: Any) -> bytes:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, dict):
            return _hash("dict", *(part for item in value.items() for part in map(self.of, item)))
        if isinstance(value, list | tuple):
            return _hash(type(value).__name__, *map(self.of, value))
        if isinstance(value, set | frozenset):
            return _hash("set", *sorted(map(self.of, value)))
        return self._object(value)

    def _array(self, value: np.ndarray) -> bytes:
        mask = [self.of(np.ma.getmaskarray(value))] if isinstance(value, np.ma.MaskedArray) else []
        array = np.asarray(value)
        head = f"array {array.dtype.str} {array.dtype.names} {array.shape}"
        if array.dtype.hasobject:
            return _hash(head, *mask, *map(self.of, array.ravel().tolist()))
        return _hash(head, *mask, array.tobytes())

    def _object(self, value: Any) -> bytes:
        if isinstance(value, type) or hasattr(value, "__qualname__"):
            return _hash(f"name {getattr(value, '__module__', '')}.{value.__qualname__}")
        if isinstance(value, os.PathLike):
            return _hash("path", os.fsencode(value))
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if not type(value).__module__.startswith(_OURS) or isinstance(value, Checksummed):
            return _hash(name)
        if hasattr(value, "checksum"):  # arrays that are compared by themselves: which of them these are
            return _hash(name, value.checksum(self._is_read).encode())
        return _hash(name, self.of(vars(value)))


def _leaf(value: Any) -> bytes | None:
    """A number or a text with its type, as bytes; None for anything else."""
    if isinstance(value, np.generic) and not isinstance(value, np.object_):
        return f"n{value.dtype.str} ".encode() + value.tobytes()
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, float):
        return b"f" + struct.pack("<d", value)
    if value is None or isinstance(value, bool):
        return b"c" + repr(value).encode()
    if isinstance(value, int):
        return b"i%d" % value
    return b"b" + value if isinstance(value, bytes | bytearray) else None


def _hash(head: str, *parts: bytes | bytearray) -> bytes:
    whole = hashlib.sha256(head.encode())
    for part in parts:
        whole.update(b"|%d|" % len(part))
        whole.update(part)
    return b"#" + whole.digest()
