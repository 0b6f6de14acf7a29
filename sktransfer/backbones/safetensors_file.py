"""The safetensors format: named arrays and a few texts, in one run of bytes.

::

    8 bytes: length of the header | header: JSON, padded with spaces to a multiple of 8 | arrays, one after the other
    {"__metadata__": {name: text}, name: {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}, ...}

The format is described at https://github.com/huggingface/safetensors, whose package reads what is written here. It is
read and written here because the package writes the texts in an order that changes from run to run, and reads through
a memory map: a file that another process truncates would end this one by a signal, and one that is overwritten would
change the weights of a running model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

LARGEST_HEADER = 2**20  # bytes
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "|b1",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1",
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def to_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file; the same arrays and texts give the same bytes.

    Raises
    ------
    ValueError
        If an array is of a type that no file holds, or the header would be longer than a reader takes.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts, end = [], 0
    # the widest numbers first, so that each array begins at a multiple of its numbers' size
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):
        array = arrays[name].astype(arrays[name].dtype.newbyteorder("<"), copy=False)
        if array.dtype.str not in _NAMES:
            raise ValueError(f"array {name!r} is of type {array.dtype}, which no file holds")
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype.str], "shape": list(array.shape), "data_offsets": [begin, end]}
        parts.append(array.tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LARGEST_HEADER:
        raise ValueError(f"its header would take {len(text)} bytes, and {LARGEST_HEADER} are read")
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def from_bytes(content: bytes | bytearray) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Texts and arrays of a file; the arrays lie on the memory of `content`.

    Raises
    ------
    ValueError
        If these are not the bytes of a safetensors file, whole and without a gap.
    """
    size = int.from_bytes(content[:8], "little")
    if size > LARGEST_HEADER:
        raise ValueError(f"its header would take {size} bytes")
    if len(content) < 8 + size or size < 2:
        raise ValueError("it is shorter than its header says")
    header = read_json(bytes(content[8 : 8 + size]).decode())
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its metadata are not texts")
    arrays, position = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: _offsets(*item)):
        arrays[name], position = _array(content, 8 + size, position, name, entry)
    if 8 + size + position != len(content):
        raise ValueError(f"it holds {len(content) - 8 - size} bytes of arrays, and its header lists {position}")
    return metadata, arrays


def _offsets(name: str, entry: Any) -> tuple[int, int]:
    """Where an array begins and ends."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the entry of array {name!r} is not understood")
    sizes, offsets = entry["shape"], entry["data_offsets"]
    if not all(isinstance(values, list) and all(_is_size(v) for v in values) for values in (sizes, offsets)):
        raise ValueError(f"shape and offsets of array {name!r} are no sizes")
    if len(offsets) != 2 or len(sizes) > 16:
        raise ValueError(f"shape and offsets of array {name!r} are not understood")
    return offsets[0], offsets[1]


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _array(
    content: bytes | bytearray, start: int, position: int, name: str, entry: dict[str, Any]
) -> tuple[np.ndarray, int]:
    """The array that `entry` describes, which has to begin at `position`, and where it ends."""
    begin, end = entry["data_offsets"]
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
        raise ValueError(f"array {name!r} is of type {entry['dtype']!r}, which is not read")
    dtype, n_values = np.dtype(_DTYPES[entry["dtype"]]), math.prod(entry["shape"])
    if begin != position or end - begin != n_values * dtype.itemsize or start + end > len(content):
        raise ValueError(f"array {name!r} does not lie where its shape and the arrays before it ask for")
    array = np.frombuffer(content, dtype, n_values, start + begin).reshape(entry["shape"])
    return (array if array.flags.aligned else array.copy()), end


# ---- JSON that was not written here


def read_json(text: str, *, deepest: int = 64) -> Any:
    """What a JSON text holds; stricter than Python's reader.

    Raises
    ------
    ValueError
        For a text that is no JSON, a name that occurs twice, a whole number of more than 40 digits, text that is no
        Unicode, or lists in lists beyond the depth `deepest`.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats, parse_int=_read_int)
    except RecursionError:
        raise ValueError("it holds lists in lists without end") from None
    _check_parts(value, deepest)
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice in its header")
    return found


def _read_int(digits: str) -> int:
    if len(digits) > 40:
        raise ValueError(f"it holds a number of {len(digits)} digits")
    return int(digits)


def _check_parts(value: Any, deepest: int) -> None:
    """Raise a ValueError if `value` is nested too deeply or holds half a character; a level at a time."""
    level = [value]
    for _ in range(deepest):
        parts: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                parts += [*item, *item.values()]
            elif isinstance(item, list):
                parts += item
            elif isinstance(item, str) and not item.isascii():
                item.encode()  # a UnicodeEncodeError, which is a ValueError
        if not parts:
            return
        level = parts
    raise ValueError(f"it holds lists in lists beyond the depth of {deepest}")
