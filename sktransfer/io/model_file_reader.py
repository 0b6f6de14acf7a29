"""From the entries of a file to the model: every name is looked at first, then the nodes are built one by one.

::

    schema.json --> names of types, all of them --> one is not trusted: refused, and nothing was imported
                --> nodes: dict, list, number, text, array, object --> cls.__new__, __setstate__ --> model

The layout is that of skops, of whose reader this is the common part. skops imports every module of scikit-learn, and
torch with them, before it reads a byte, and trusts all estimators of scikit-learn. Kinds of nodes that are rare (trees,
losses) are left to skops, if the caller trusts what they build.
"""

from __future__ import annotations

import builtins
import importlib
import io
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from sktransfer.backbones.safetensors_file import read_json
from sktransfer.io.model_file_state import READ_BY_SKOPS, READ_HERE, SKOPS_PROTOCOL
from sktransfer.io.model_file_zip import SCHEMA, pack

_DEEPEST = 400  # levels of JSON; a pipeline in a search takes about forty
_BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
_LONGEST_SIDE = 2**28  # of an array, which may be empty in another direction
_KEYS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": {"true": True, "false": False}.__getitem__,
    "NoneType": {"null": None}.__getitem__,
}
_NUMBERS = ("bool", "bool_", "str_", "datetime64", "timedelta64", "intc", "uintc", "longlong", "ulonglong") + tuple(
    f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)[kind == "float" :]
)
DATA = frozenset({
    *(f"builtins.{name}" for name in (*_KEYS, "dict", "list", "tuple", "set", "frozenset", "slice")),
    *(f"numpy.{name}" for name in ("ndarray", "dtype", *_NUMBERS)),
    "numpy.random.mtrand.RandomState", "numpy.random._generator.Generator",
    "collections.OrderedDict", "numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray",
    *(f"pathlib{folder}.{kind}" for folder in ("", "._local") for kind in ("PosixPath", "WindowsPath")),
})  # fmt: skip

_METHODS = {
    "JsonNode": "_json",
    "CachedNode": "_cached",
    "DictNode": "_dict",
    "ListNode": "_list",
    "SetNode": "_set",
    "TupleNode": "_tuple",
    "SliceNode": "_slice",
    "TypeNode": "_type",
    "FunctionNode": "_function",
    "DTypeNode": "_dtype",
    "NdArrayNode": "_array",
    "MaskedArrayNode": "_masked_array",
    "RandomStateNode": "_random_state",
    "RandomGeneratorNode": "_generator",
    "ConstructorFromReduceNode": "_constructed",
    "ObjectNode": "_object",
}  # of the reader, for each kind of node


def model_of(entries: Mapping[str, bytes], trusted: Collection[str]) -> Any:
    """The model that `entries` hold.

    Raises
    ------
    UntrustedTypesError
        If they ask for a type that is not in `trusted`; nothing was imported then.
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError
        If they mean nothing.
    """
    schema = read_json(entries[SCHEMA].decode(), deepest=_DEEPEST)
    nodes = list(_nodes(schema))
    if not isinstance(schema, dict) or not nodes or schema.get("protocol") != SKOPS_PROTOCOL:
        raise ValueError("its schema is of another protocol")
    loaders = {str(node["__loader__"]) for node in nodes}
    if unknown := loaders - READ_HERE - READ_BY_SKOPS:
        raise ValueError(f"it holds parts of the kinds {sorted(unknown)}, which are not read")
    foreign = {name for node in nodes if (name := _name(node)) not in DATA and name not in trusted}
    if foreign:
        raise UntrustedTypesError(sorted(foreign))
    if loaders & READ_BY_SKOPS:
        import skops.io

        return skops.io.loads(pack(dict(entries)), trusted=list(trusted))
    return _Reader(entries).read(schema)


class UntrustedTypesError(Exception):
    """A file asks for types that the caller does not trust."""

    def __init__(self, names: list[str]):
        self.names = names
        super().__init__(names)


def types_in(entries: Mapping[str, bytes]) -> list[str]:
    """Names of the types and functions that `entries` ask for, without those of data, sorted."""
    return sorted({_name(node) for node in _nodes(json.loads(entries[SCHEMA]))} - DATA)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Everything that names a type, at any depth and in any place."""
    level = [value]
    while level:
        item = level.pop()
        if isinstance(item, dict):
            if "__loader__" in item:
                yield item
            level += item.values()
        elif isinstance(item, list):
            level += item


def _name(node: dict[str, Any]) -> str:
    if node["__loader__"] == "JsonNode":
        return "builtins.str"
    return f"{node.get('__module__')}.{node.get('__class__')}"


def array_of(content: bytes) -> np.ndarray:
    """The array of an ``.npy`` file, whose header is compared with what there is before memory is taken.

    Raises
    ------
    ValueError
        If header and content do not fit, or the array holds Python objects.
    """
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array is in version {version} of numpy's format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, by_columns, dtype = read(stream)
    except (SyntaxError, TokenError, TypeError) as error:  # of Python's reader of literals
        raise ValueError(f"the header of an array is not understood: {error}") from error
    n_values, n_bytes = math.prod(shape), len(content) - stream.tell()
    if dtype.hasobject or n_values * dtype.itemsize != n_bytes or any(not 0 <= side < _LONGEST_SIDE for side in shape):
        raise ValueError(f"an array of shape {shape} and type {dtype} does not fit the {n_bytes} bytes that it has")
    flat = np.frombuffer(content, dtype, n_values, stream.tell()) if n_bytes else np.zeros(n_values, dtype)
    return flat.reshape(shape, order="F" if by_columns else "C").copy(order="K")


class _Reader:
    """Builds nodes whose names have been looked at."""

    def __init__(self, entries: Mapping[str, bytes]):
        self._entries = entries
        self._known: dict[int, Any] = {}

    def read(self, node: dict[str, Any]) -> Any:
        """What `node` stands for."""
        found = getattr(self, _METHODS[node["__loader__"]])(node)
        if type(number := node.get("__id__")) is int:
            self._known[number] = found
        return found

    def _json(self, node: dict[str, Any]) -> Any:
        value = json.loads(node["content"])
        if value is not None and not isinstance(value, bool | int | float | str):
            raise ValueError("a number or text is none")
        return value

    def _cached(self, node: dict[str, Any]) -> Any:
        return self._known[node["__id__"]]

    def _dict(self, node: dict[str, Any]) -> Any:
        found, kinds = _class(node, dict)(), node["key_types"]["content"]
        if len(kinds) != len(node["content"]):
            raise ValueError("a dict has other keys than it says")
        for kind, (key, value) in zip(kinds, node["content"].items(), strict=True):
            name = kind["__class__"]
            convert = _KEYS[name] if kind["__module__"] == "builtins" else getattr(np, _one_of(name, _NUMBERS))
            found[convert(key)] = self.read(value)
        return found

    def _list(self, node: dict[str, Any]) -> Any:
        return _class(node, list)([self.read(part) for part in node["content"]])

    def _set(self, node: dict[str, Any]) -> Any:
        return _class(node, set)(self.read(part) for part in node["content"])

    def _tuple(self, node: dict[str, Any]) -> Any:
        kind, parts = _class(node, tuple), [self.read(part) for part in node["content"]]
        return tuple(parts) if kind is tuple else kind(*parts)

    def _slice(self, node: dict[str, Any]) -> slice:
        parts = [node["content"][key] for key in ("start", "stop", "step")]
        if not all(part is None or type(part) is int for part in parts):
            raise ValueError("a slice has bounds that are no whole numbers")
        return slice(*parts)

    def _type(self, node: dict[str, Any]) -> Any:
        if (node["__module__"], node["__class__"]) == ("builtins", "NoneType"):
            return type(None)
        return _imported(node)

    def _function(self, node: dict[str, Any]) -> Any:
        return _imported(node)

    def _dtype(self, node: dict[str, Any]) -> np.dtype:
        return self.read(node["content"]).dtype

    def _array(self, node: dict[str, Any]) -> Any:
        if node["type"] == "json":
            shape, parts = self.read(node["shape"]), [self.read(part) for part in node["content"]]
            if len(shape) != 1:
                return np.array(parts, dtype=object).reshape(shape)
            array = np.empty(len(parts), dtype=object)
            for place, part in enumerate(parts):
                array[place] = part
            return array
        array = array_of(self._entries[node["file"]])
        if node["__class__"] == "ndarray":
            return array
        getattr(np, _one_of(node["__class__"], _NUMBERS))
        return array[()]

    def _masked_array(self, node: dict[str, Any]) -> np.ma.MaskedArray:
        return np.ma.MaskedArray(self.read(node["content"]["data"]), self.read(node["content"]["mask"]))

    def _random_state(self, node: dict[str, Any]) -> np.random.RandomState:
        found = np.random.RandomState()
        found.set_state(self.read(node["content"]))
        return found

    def _generator(self, node: dict[str, Any]) -> np.random.Generator:
        parts = {key: self.read(node["content"][key]) for key in ("bit_generator", "seed_seq")}
        state, seed = parts["bit_generator"], parts["seed_seq"]
        if seed["pool_size"] != 4:  # numpy's own; another one would take memory
            raise ValueError(f"a random generator has a pool of {seed['pool_size']!r}")
        kind = getattr(np.random, _one_of(state["bit_generator"], _BIT_GENERATORS))
        found = kind(np.random.SeedSequence(**seed))
        found.state = state
        return np.random.Generator(found)

    def _constructed(self, node: dict[str, Any]) -> Any:
        parts = self.read(node["content"])
        if node["__module__"].startswith("pathlib"):
            return Path(*parts)
        return _class(node, frozenset)(*parts)

    def _object(self, node: dict[str, Any]) -> Any:
        kind = _class(node, object)
        found = kind.__new__(kind)
        if node.get("content") is None:
            return found
        state = self.read(node["content"])
        if hasattr(kind, "__setstate__"):
            found.__setstate__(state)
        elif isinstance(state, dict):
            found.__dict__.update(state)
        elif state is not None:
            raise ValueError(f"the state of a {kind.__name__} is a {type(state).__name__}")
        return found


def _one_of(name: str, known: Collection[str]) -> str:
    if name not in known:
        raise ValueError(f"{name!r} is no kind of number or of random generator")
    return name


def _imported(node: dict[str, Any]) -> Any:
    module = node["__module__"]
    return getattr(builtins if module == "builtins" else importlib.import_module(module), node["__class__"])


def _class(node: dict[str, Any], base: type) -> Any:
    """The class that `node` names, which has to be one, and a kind of `base`."""
    found = _imported(node)
    if not isinstance(found, type) or not issubclass(found, base) or issubclass(found, type):
        raise ValueError(f"{node['__module__']}.{node['__class__']} is no kind of {base.__name__}")
    return found
