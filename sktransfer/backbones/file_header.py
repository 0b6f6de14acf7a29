"""The header of a backbone file: what each of its fields may be.

A checksum says that a file is as it was written, not who wrote it. So nothing is built before every field has the type
and the length that a backbone asks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

FIELDS = ("network", "blocks", "name", "provenance", "inputs", "source")
# arrays of each part; its other fields are in the header
ARRAY_FIELDS = {
    "inputs": ("minimum", "maximum"),
    "source": ("feature_mean", "feature_scale", "weight", "bias"),
}
_CLASS_DTYPES = {"U": None, "O": object, "i": np.int64, "u": np.uint64, "f": np.float64, "b": np.bool_}
_LONGEST_NAME = 1000  # characters
_LARGEST_SIDE = 2**24  # columns
# all but tab and line breaks; and marks of direction, which make one name look like another
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# ---- texts


def _is_text(value: Any) -> bool:
    """Text without control characters, but for tabs and line breaks: an escape sequence would rule a terminal."""
    return isinstance(value, str) and not _CONTROL.search(value)


def _is_name(value: Any) -> bool:
    """Text on one line."""
    return _is_text(value) and 0 < len(value) <= _LONGEST_NAME and not any(c in value for c in "\n\r\t")


def _holds_texts(value: Any) -> bool:
    """Whether all texts in it are such."""
    if isinstance(value, dict):
        return all(map(_is_text, value)) and all(map(_holds_texts, value.values()))
    return all(map(_holds_texts, value)) if isinstance(value, list) else not isinstance(value, str) or _is_text(value)


def _is_list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_optional(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value <= _LARGEST_SIDE


def _is_column_name(value: Any) -> bool:
    """Text, a number, or the levels of such."""
    return _is_text(value) or type(value) is int or _is_list_of(lambda v: _is_text(v) or type(v) is int)(value)


def _is_class(value: Any) -> bool:
    return _is_text(value) or type(value) in (int, float, bool)


# ---- the table

_HEADER: dict[str, tuple[Callable[[Any], bool], str]] = {
    "network": (
        lambda v: isinstance(v, dict) and set(v) == {"name", "arguments"} and isinstance(v["arguments"], dict),
        "an object with name and arguments",
    ),
    "blocks": (lambda v: _is_list_of(_is_name)(v) and 0 < len(set(v)) == len(v), "a list of different names"),
    "name": (_is_name, f"text of one line, up to {_LONGEST_NAME} characters, without control characters"),
    "provenance": (lambda v: isinstance(v, dict), "an object"),
    "inputs": (lambda v: isinstance(v, dict), "an object"),
    "source": (_is_optional(lambda v: isinstance(v, dict)), "an object or null"),
}
_INPUTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "n": (_is_optional(_is_count), f"a whole number from 1 to {_LARGEST_SIDE}, or null"),
    "names": (_is_optional(_is_list_of(_is_column_name)), "a list of names or null"),
    "units": (_is_optional(_is_list_of(_is_optional(_is_text))), "a list of texts or null"),
    "scaling": (_is_optional(_is_text), "text or null"),
    "shape": (_is_optional(_is_list_of(_is_optional(_is_count))), "a list of sizes or null"),
    "sampling_rate": (_is_optional(lambda v: _is_list_of(_is_number)(v) and len(v) == 2), "two numbers or null"),
    "front_end": (_is_optional(_is_name), "a name or null"),
}


def check_header(header: Any) -> None:
    """Raise a ValueError if a field of the header is not what a backbone asks for."""
    if not isinstance(header, dict) or set(header) != set(FIELDS):
        raise ValueError(f"its header has to be an object with {sorted(FIELDS)}")
    _check_fields("", header, _HEADER)
    for part in ("network", "provenance"):
        if not _holds_texts(header[part]):
            raise ValueError(f"{part} in its header holds control characters")
    if not _is_name(header["network"]["name"]):
        raise ValueError("network.name in its header has to be a name")
    inputs = header["inputs"]
    _check_fields("inputs.", inputs, _INPUTS)
    for field in ("names", "units"):
        if inputs.get(field) is not None and inputs.get("n") is not None and len(inputs[field]) != inputs["n"]:
            raise ValueError(f"inputs.{field} in its header has {len(inputs[field])} entries for {inputs['n']} columns")


def _check_fields(part: str, found: Mapping[str, Any], table: Mapping[str, tuple[Callable[[Any], bool], str]]) -> None:
    for field, value in found.items():
        if field in table and not table[field][0](value):
            raise ValueError(f"{part}{field} in its header has to be {table[field][1]}; it is {_shortened(value)}")


def _shortened(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


# ---- classes


def classes_to_header(classes: Any) -> dict[str, Any]:
    """The classes of a source head as fields of the header."""
    array = np.asarray(classes)
    return {"classes": array.tolist(), "classes_dtype": array.dtype.kind}


def classes_from_header(values: Sequence[Any], kind: Any) -> np.ndarray:
    """Classes as they were saved.

    Raises
    ------
    ValueError
        If they are not all of this kind, or one occurs twice.
    """
    if kind not in _CLASS_DTYPES or not _is_list_of(_is_class)(values):
        raise ValueError("the classes of its source head are not of a kind that a file holds")
    array = np.array(values, dtype=_CLASS_DTYPES[kind])
    if array.dtype.kind != kind or array.tolist() != values or len(set(values)) < len(values):
        raise ValueError(f"the classes of its source head are no different values of kind {kind!r}")
    return array


# ---- arrays


def check_arrays(header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Raise a ValueError if an array belongs to nothing, holds a NaN, or is no range or source head."""
    for name, array in tensors.items():
        part, _, field = name.partition("/")
        if part != "block" and (field not in ARRAY_FIELDS.get(part, ()) or header[part] is None):
            raise ValueError(f"array {name!r} belongs to no part of a backbone")
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError(f"array {name!r} holds NaN")
        if part != "block" and not (array.dtype.kind == "f" and np.isfinite(array).all()):
            raise ValueError(f"array {name!r} holds other values than finite numbers")
    low, high = (tensors.get(f"inputs/{field}") for field in ARRAY_FIELDS["inputs"])
    if low is not None or high is not None:
        _check_range(header["inputs"], low, high)
    head = {field for field in ("weight", "bias") if f"source/{field}" in tensors}
    if len(head) == 1 or ((header["source"] or {}).get("classes") is not None and not head):
        raise ValueError(f"its source head holds {sorted(head)} in place of a weight and a bias")
    scale = tensors.get("source/feature_scale")
    if scale is not None and not (scale > 0).all():
        raise ValueError("source/feature_scale has to be above zero")


def _check_range(inputs: Mapping[str, Any], low: np.ndarray | None, high: np.ndarray | None) -> None:
    if low is None or high is None or low.shape != high.shape or low.ndim != 1 or not (low <= high).all():
        raise ValueError("inputs/minimum and inputs/maximum have to be a range for each column")
    n = inputs.get("n")
    if inputs.get("front_end") is None and n is not None and len(low) != n:
        raise ValueError(f"inputs/minimum and inputs/maximum hold {len(low)} values for {n} columns or channels")
