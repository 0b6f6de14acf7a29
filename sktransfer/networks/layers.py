"""Which layers a network is made of, read off its description without building it.

::

    {"name": "mlp", "arguments": ...}  --> block 1: Linear, BatchNorm1d, ReLU, Dropout     what `_lean.py` can compute
    nn.Sequential of a file            --> block 2: ...
    anything else                      --> None: torch builds the network and runs it

Reading is strict: what is unknown, missing or out of bounds is None, and torch then says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_LARGEST, _LONGEST, _DEEPEST = 2**20, 256, 16  # as in `networks.py`: beyond these a file is refused


class Layer(NamedTuple):
    """One layer: its kind, the beginning of its arrays' names, its arguments.

    ``n_in`` and ``n_out`` are its widths; None where any width fits and stays as it is.
    """

    kind: str
    key: str
    arguments: dict[str, Any]
    n_in: int | None = None
    n_out: int | None = None


Blocks = tuple[tuple[Layer, ...], ...]


def _is_width(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST


def _is_factor(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


# Arguments of each kind, as `networks.py` stores them, and what they may be.
_KINDS: dict[str, dict[str, Any]] = {
    "Linear": {"in_features": _is_width, "out_features": _is_width, "bias": _is_flag},
    "BatchNorm1d": {
        "num_features": _is_width,
        "eps": _is_factor,
        "momentum": lambda value: value is None or _is_factor(value),
        "affine": _is_flag,
        "track_running_stats": lambda value: value is True,  # otherwise it normalises by the batch at hand
    },
    "Dropout": {"p": _is_share},
    "LeakyReLU": {"negative_slope": _is_factor},
    "ELU": {"alpha": _is_factor},
    "ReLU": {},
    "GELU": {"approximate": lambda value: value in ("none", "tanh")},
    "SiLU": {},
    "Tanh": {},
    "Sigmoid": {},
    "Softplus": {"beta": lambda value: _is_factor(value) and value > 0, "threshold": _is_factor},
    "Identity": {},
}


def read_layers(key: str, kind: Any, arguments: Any, depth: int = 0) -> tuple[Layer, ...] | None:
    """Layers of one entry ``[key, kind, arguments]`` of a description; `key` ends with a dot or is empty."""
    if not isinstance(arguments, dict):
        return None
    if kind == "Sequential":
        children = _children(arguments, depth)
        if children is None:
            return None
        inner = [read_layers(f"{key}{name}.", *child, depth + 1) for name, child in children.items()]
        return None if None in inner else tuple(layer for layers in inner for layer in layers or ())
    expected = _KINDS.get(kind) if isinstance(kind, str) else None
    if expected is None or set(arguments) != set(expected):
        return None
    if not all(allowed(arguments[name]) for name, allowed in expected.items()):
        return None
    n_in = arguments.get("in_features", arguments.get("num_features"))
    return (Layer(kind, key, arguments, n_in, arguments.get("out_features", n_in)),)


def _children(arguments: dict[str, Any], depth: int) -> dict[str, tuple[Any, Any]] | None:
    """Kind and arguments of each child, by name."""
    layers = arguments.get("layers")
    if set(arguments) != {"layers"} or not isinstance(layers, list) or len(layers) > _LONGEST or depth > _DEEPEST:
        return None
    if not all(isinstance(item, list | tuple) and len(item) == 3 and isinstance(item[0], str) for item in layers):
        return None
    children = {name: (kind, inner) for name, kind, inner in layers}
    return children if len(children) == len(layers) and all(n and "." not in n for n in children) else None


def layers_of(description: Any, names: Sequence[Any]) -> Blocks | None:
    """Layers of the blocks `names` of the network described, or None."""
    if not isinstance(description, dict) or not isinstance(description.get("arguments"), dict) or not names:
        return None
    tree = description["arguments"]
    if description.get("name") == "mlp":
        tree = _mlp(**tree) if set(tree) <= {"n_features_in", "hidden_layer_sizes", "dropout", "batch_norm"} else None
    elif description.get("name") != "sequential":
        tree = None
    if tree is None or len(set(names)) < len(names):
        return None
    blocks = [_find(tree, name) for name in names]
    found = [read_layers("", *block) for block in blocks if block is not None]
    return None if len(found) < len(names) or None in found else tuple(layers for layers in found if layers is not None)


def _find(tree: dict[str, Any], name: Any) -> tuple[Any, Any] | None:
    """Kind and arguments of the block `name`, dots reaching into nested sequences."""
    block: tuple[Any, Any] | None = ("Sequential", tree)
    for depth, step in enumerate(name.split(".") if isinstance(name, str) else [""]):
        children = _children(block[1], depth) if block is not None and block[0] == "Sequential" else None
        block = None if children is None else children.get(step)
    return block


def _mlp(
    n_features_in: Any = None, hidden_layer_sizes: Any = (256, 256, 256), dropout: Any = 0.0, batch_norm: Any = True
) -> dict[str, Any] | None:
    """The layers of `MLP` as a description of an ``nn.Sequential``; a test compares them with the network."""
    if not isinstance(hidden_layer_sizes, list | tuple) or not _is_flag(batch_norm) or not hidden_layer_sizes:
        return None
    if not (_is_share(dropout) and dropout < 1 and len(hidden_layer_sizes) <= _LONGEST):
        return None
    blocks, width = [], n_features_in
    for depth, size in enumerate(hidden_layer_sizes, start=1):
        layers: list[Any] = [("Linear", {"in_features": width, "out_features": size, "bias": not batch_norm})]
        if batch_norm:
            normalised = {"num_features": size, "eps": 1e-5, "momentum": 0.1}
            layers.append(("BatchNorm1d", {**normalised, "affine": True, "track_running_stats": True}))
        layers += [("ReLU", {}), ("Dropout", {"p": dropout})]
        numbered = [[str(place), *layer] for place, layer in enumerate(layers)]
        blocks.append([f"block{depth}", "Sequential", {"layers": numbered}])
        width = size
    return {"layers": blocks}


def fits(layers: Sequence[Layer], arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether `arrays` are those of `layers`: the same names and shapes, float32."""
    expected: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        for name, shape in _shapes(layer).items():
            expected[layer.key + name] = shape
    if expected != {name: np.shape(array) for name, array in arrays.items()}:
        return False
    return all(array.dtype == np.float32 for name, array in arrays.items() if not name.endswith("num_batches_tracked"))


def _shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    if layer.kind == "Linear":
        weight = {"weight": (layer.arguments["out_features"], layer.arguments["in_features"])}
        return weight | ({"bias": (layer.arguments["out_features"],)} if layer.arguments["bias"] else {})
    if layer.kind == "Standardize":
        return {"mean": (layer.arguments["num_features"],), "scale": (layer.arguments["num_features"],)}
    if layer.kind == "BatchNorm1d":
        names = ("weight", "bias") if layer.arguments["affine"] else ()
        shape = (layer.arguments["num_features"],)
        return {"num_batches_tracked": (), **dict.fromkeys((*names, "running_mean", "running_var"), shape)}
    return {}


def width_after(blocks: Blocks, width: int) -> int:
    """Columns that come out of `blocks` if `width` go in.

    Raises
    ------
    ValueError
        If a layer takes another number of columns.
    """
    for layer in (layer for layers in blocks for layer in layers):
        if layer.n_in not in (None, width):
            raise ValueError(f"{layer.kind} takes {layer.n_in} columns and gets {width}")
        width = width if layer.n_out is None else layer.n_out
    return width
