"""A fitted model as entries of a file: what must not travel is left out, and skops writes the rest in one order.

::

    model --> copy without callbacks, loggers, caches --> skops --> nodes, arrays --> numbered in the order of reading
                                                                                  --> schema.json, 0.npy, 1.npy, ...

skops names arrays and objects by their places in memory. Here they get numbers, equal arrays are written once, and what
occurs again is a reference. So the same model gives the same bytes, and skops reads them all the same.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.weights import Weights
from sktransfer.io.model_file_zip import SCHEMA
from sktransfer.io.stored_frame import StoredFrame

SKOPS_PROTOCOL = 2  # of the layout of nodes: that of skops 0.13 to 0.16
READ_HERE = frozenset({
    "JsonNode", "DictNode", "ListNode", "TupleNode", "SetNode", "SliceNode", "TypeNode", "FunctionNode", "DTypeNode",
    "NdArrayNode", "MaskedArrayNode", "ObjectNode", "ConstructorFromReduceNode", "RandomStateNode",
    "RandomGeneratorNode", "CachedNode",
})  # fmt: skip
READ_BY_SKOPS = frozenset({"TreeNode", "LossNode", "DefaultDictNode"})
_LEFT_OUT = ("_skl_callbacks", "_parent_callback_ctx")
_SILENT = ("ProgressBar", "PrintLog")  # callbacks of skorch that only show how far a fit is
_OPENED = ("sktransfer.", "sklearn.")


def entries_of(model: Any) -> dict[str, bytes]:
    """Entries of a file that hold `model`, without its manifest.

    Raises
    ------
    TypeError
        If a part of it cannot be stored without running code when it is read; the message names the part.
    """
    import skops.io

    try:
        stored = skops.io.dumps(_for_files(model))
    except (TypeError, ValueError, AttributeError, RuntimeError, LookupError) as error:
        raise TypeError(f"save: {type(model).__name__} cannot be stored: {error}") from error
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        schema = json.loads(archive.read(SCHEMA))
        if schema.get("protocol") != SKOPS_PROTOCOL:
            raise TypeError(
                f"save: skops {skops.__version__} writes protocol {schema.get('protocol')}, and this version of "
                f"sktransfer knows {SKOPS_PROTOCOL}. Install skops 0.16, or upgrade sktransfer."
            )
        writer = _Writer(archive, type(model).__name__)
        written = {**writer.node(schema, type(model).__name__), "protocol": SKOPS_PROTOCOL, "_skops_version": "0.13"}
    text = json.dumps(written, separators=(",", ":"))
    return {SCHEMA: text.encode(), **{f"{number}.npy": array for array, number in writer.arrays.items()}}


class _Writer:
    """skops's nodes with numbers in place of what changes from run to run; refuses what no reader should build."""

    def __init__(self, archive: zipfile.ZipFile, name: str):
        self._archive, self._name = archive, name
        self._numbers: dict[int, int] = {}  # skops's id of a shared node -> its number
        self.arrays: dict[bytes, int] = {}

    def node(self, node: dict[str, Any], where: str) -> dict[str, Any]:
        loader = node["__loader__"]
        if loader in ("BytesNode", "BytearrayNode"):
            raise TypeError(f"save: {where} is a bytes object, in which anything may hide. Store it as an array.")
        if loader not in READ_HERE | READ_BY_SKOPS:
            raise TypeError(
                f"save: {where} is a {node['__module__']}.{node['__class__']}, which a model file cannot hold. "
                "Replace it by an estimator that holds numbers, texts and arrays, or store the model with joblib."
            )
        found = {key: node[key] for key in ("__class__", "__module__", "__loader__")}
        if loader == "JsonNode":
            return {**found, "content": node["content"]}
        if loader in ("ObjectNode", "FunctionNode", "TypeNode"):
            found["__module__"] = _importable(node["__module__"], node["__class__"], where)
        if loader == "ObjectNode" or (loader == "NdArrayNode" and node["__class__"] == "ndarray"):
            if (number := self._numbers.get(node["__id__"])) is not None:
                return {**found, "__loader__": "CachedNode", "__id__": number}
            found["__id__"] = self._numbers[node["__id__"]] = len(self._numbers) + 1
        for key, value in node.items():
            if key == "file":
                found[key] = f"{self._array(self._archive.read(value))}.npy"
            elif key not in found and key != "__id__":
                found[key] = self._part(value, _place(where, key))
        if loader == "SetNode":  # whose order changes from process to process
            found["content"].sort(key=json.dumps)
        return found

    def _part(self, value: Any, where: str) -> Any:
        if isinstance(value, dict):
            if "__loader__" in value:
                return self.node(value, where)
            return {key: self._part(part, _place(where, key)) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self._part(part, f"{where}[{i}]") for i, part in enumerate(value)]
        return value

    def _array(self, content: bytes) -> int:
        return self.arrays.setdefault(_without_gaps(content), len(self.arrays))


def _without_gaps(content: bytes) -> bytes:
    """An ``.npy`` file whose records (nodes of a tree) hold zeros between their fields, where memory holds anything."""
    if b"'descr': [(" not in content[:64]:
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    stream = io.BytesIO()
    np.save(stream, clean, allow_pickle=False)
    return stream.getvalue()


def _place(where: str, key: str) -> str:
    """``steps[0]`` for the reader of a message; the keys of skops's own layout are left out."""
    return where if key in ("content", "key_types", "attrs", "main", "args", "__reduce__") else f"{where}.{key}"


def _importable(module: str, name: str, where: str) -> str:
    """`module`, or ``numpy`` for one of its functions; a TypeError if another process could not import the name."""
    if module.startswith("numpy") and isinstance(vars(np).get(name), np.ufunc):
        return "numpy"  # skops names the first module that holds it, whichever was imported first
    try:
        is_there = module != "__main__" and hasattr(importlib.import_module(module), name)
    except ImportError:
        is_there = False
    if is_there or (module, name) == ("builtins", "NoneType"):
        return module
    what = (
        "a lambda" if name == "<lambda>" else f"{name!r}, which is defined inside a function or in a notebook or script"
    )
    raise TypeError(
        f"save: {where} is {what}, so no other process can find it. Move it to the top of a module that can be "
        f"imported, and load the file with trusted=(*sktransfer.TRUSTED_TYPES, '<module>.<name>'). Nothing was written."
    )


# ---- what does not travel


def _for_files(model: Any) -> Any:
    """A copy of `model` without callbacks, loggers and caches; what need not be changed is shared with it."""
    return _Walk(_change).of(model)


def unfold(model: Any, device: str | None) -> None:
    """Make a `model` that was just read ready: tables as tables, and ``device`` (None: as stored) set everywhere."""

    def change(owner: Any, key: str, value: Any) -> Any:
        if isinstance(value, StoredFrame):
            vars(owner)[key] = value.frame()
        elif key == "device" and device is not None and isinstance(value, str) and _is_ours(owner):
            owner.device = device
        return value

    _Walk(change).of(model)


def _is_ours(value: Any) -> bool:
    return type(value).__module__.startswith("sktransfer.")


def parts_of(model: Any) -> list[Any]:
    """`model` and the objects of this package and of scikit-learn in it, from the outside to the inside."""
    found = [model]

    def note(owner: Any, key: str, value: Any) -> Any:
        if hasattr(value, "__dict__") and not isinstance(value, type) and not any(value is part for part in found):
            found.append(value)
        return value

    _Walk(note).of(model)
    return found


_GONE = object()


def _change(owner: Any, key: str, value: Any) -> Any:
    """What the attribute `key` of `owner` is in a file; `_GONE` if the file has none."""
    if key in _LEFT_OUT or isinstance(value, logging.Logger):
        return _GONE
    if isinstance(value, np.memmap):
        return np.array(value)
    name = f"{type(value).__module__}.{type(value).__name__}"
    if name == "joblib.memory.Memory":
        return None  # a cache on this machine
    if name == "torch.device":
        return str(value)
    if type(value).__name__ == "DataFrame" and name.startswith("pandas."):
        return StoredFrame(value)
    if key == "callbacks" and _is_ours(owner):
        return None
    return value


def lost_callbacks(model: Any) -> list[str]:
    """Classes of the callbacks in `model` that do more than show how far a fit is; a file holds none."""
    given = [part.callbacks for part in parts_of(model) if _is_ours(part) and vars(part).get("callbacks")]
    return [name for callbacks in given for one in callbacks if (name := _callback_name(one)) not in _SILENT]


def _callback_name(callback: Any) -> str:
    found = callback[1] if isinstance(callback, tuple) and len(callback) == 2 else callback
    return found.__name__ if isinstance(found, type) else type(found).__name__


class _Walk:
    """Through estimators, what they are made of, and containers; an object is copied where a part of it changes."""

    def __init__(self, change: Callable[[Any, str, Any], Any]):
        self._change = change
        self._known: dict[int, tuple[Any, Any]] = {}  # with the object, so that its id stays its own

    def of(self, value: Any) -> Any:
        is_open = isinstance(value, list | tuple | dict) or (
            type(value).__module__.startswith(_OPENED)
            and hasattr(value, "__dict__")
            and not isinstance(value, type | Backbone | Weights | StoredFrame)
        )
        if not is_open:
            return value
        if id(value) not in self._known:
            self._known[id(value)] = value, value
            self._known[id(value)] = value, self._opened(value)
        return self._known[id(value)][1]

    def _opened(self, value: Any) -> Any:
        if type(value) in (list, tuple):
            items = [self.of(self._change(value, str(i), part)) for i, part in enumerate(value)]
            items = [None if part is _GONE else part for part in items]
            return type(value)(items) if any(map(_differ, items, value)) else value
        if isinstance(value, list | tuple):
            return value
        own = value if isinstance(value, dict) else vars(value)
        parts = {key: self.of(self._change(value, str(key), part)) for key, part in list(own.items())}
        if not any(map(_differ, parts.values(), own.values())):
            return value
        parts = {key: part for key, part in parts.items() if part is not _GONE}
        if isinstance(value, dict):
            return type(value)(parts)
        other = object.__new__(type(value))
        other.__dict__.update(parts)
        return other


def _differ(first: Any, second: Any) -> bool:
    return first is not second
