"""The table of layers: their arguments, what these may be, the arrays they hold and the width they return.

::

    {"name": "mlp", "arguments": ...}  --read--> block 1: Linear, BatchNorm1d, ReLU, Dropout
    nn.Sequential of a file            --read--> block 2: ...
    anything else                      --read--> None: torch builds the network and runs it

`registry.py` describes and builds the layers of this table with torch. Where the table says which arrays a layer holds,
`inference/numpy_network.py` computes it as well, without torch. Reading is strict: an argument that is unknown, missing
or out of bounds makes it None, and torch then says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

# number, list, nesting and number of lists in a description; beyond them a file is refused
LARGEST, LONGEST, DEEPEST, MOST = 2**20, 256, 16, 4096


class Layer(NamedTuple):
    """One layer of a network that numpy can compute.

    Parameters
    ----------
    kind : str
        Its name in the table.
    key : str
        What the names of its arrays begin with, such as ``"0."``.
    arguments : dict
        As a file stores them.
    n_in, n_out : int or None
        Numbers of columns that go in and come out; None where any number fits and stays as it is.
    """

    kind: str
    key: str
    arguments: dict[str, Any]
    n_in: int | None = None
    n_out: int | None = None


Blocks = tuple[tuple[Layer, ...], ...]
Allowed = Callable[[Any], bool]
Shapes = dict[str, tuple[int, ...]]

# ---- what arguments may be


def _is_anything(value: Any) -> bool:
    return True


def _is_width(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LARGEST


def _is_factor(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


# ---- which arrays layers hold


def _no_arrays(arguments: Mapping[str, Any]) -> Shapes:
    return {}


def _linear_arrays(arguments: Mapping[str, Any]) -> Shapes:
    n_in, n_out = arguments["in_features"], arguments["out_features"]
    return {"weight": (n_out, n_in)} | ({"bias": (n_out,)} if arguments["bias"] else {})


def _batch_norm_arrays(arguments: Mapping[str, Any]) -> Shapes:
    learned = ("weight", "bias") if arguments["affine"] else ()
    shape = (arguments["num_features"],)
    return {"num_batches_tracked": (), **dict.fromkeys((*learned, "running_mean", "running_var"), shape)}


def _standardize_arrays(arguments: Mapping[str, Any]) -> Shapes:
    return dict.fromkeys(("mean", "scale"), (arguments["num_features"],))


# ---- the table


class Kind(NamedTuple):
    """What is known of a kind of layer.

    Parameters
    ----------
    arguments : dict of str to function
        Names of the constructor's arguments, which are attributes of the layer, too, and whether numpy's reader takes
        a value.
    arrays : function or None
        From the arguments to the names and shapes of the layer's arrays; None: only torch can compute it.
    """

    arguments: dict[str, Allowed]
    arrays: Callable[[Mapping[str, Any]], Shapes] | None = None


def _torch_alone(*arguments: str) -> Kind:
    return Kind(dict.fromkeys(arguments, _is_anything))


_CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")
_MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode")
_AVERAGE_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
_BATCH_NORM = {
    "num_features": _is_width,
    "eps": _is_factor,
    "momentum": lambda value: value is None or _is_factor(value),
    "affine": _is_flag,
    "track_running_stats": lambda value: value is True,  # otherwise it normalises by the batch at hand
}

# Layers that a stored nn.Sequential may hold.
KINDS: dict[str, Kind] = {
    "Linear": Kind({"in_features": _is_width, "out_features": _is_width, "bias": _is_flag}, _linear_arrays),
    "Conv1d": _torch_alone(*_CONVOLUTION, "padding_mode"),
    "Conv2d": _torch_alone(*_CONVOLUTION, "padding_mode"),
    "BatchNorm1d": Kind(_BATCH_NORM, _batch_norm_arrays),
    "BatchNorm2d": _torch_alone(*_BATCH_NORM),
    "LayerNorm": _torch_alone("normalized_shape", "eps", "elementwise_affine", "bias"),
    "Dropout": Kind({"p": _is_share}, _no_arrays),
    "Dropout1d": _torch_alone("p"),
    "Dropout2d": _torch_alone("p"),
    "Flatten": _torch_alone("start_dim", "end_dim"),
    "Unflatten": _torch_alone("dim", "unflattened_size"),
    "Permute": _torch_alone("dims"),
    "ConstantPad1d": _torch_alone("padding", "value"),
    "ReplicationPad1d": _torch_alone("padding"),
    "ZeroPad2d": _torch_alone("padding"),
    "MaxPool1d": _torch_alone(*_MAX_POOL),
    "MaxPool2d": _torch_alone(*_MAX_POOL),
    "AvgPool1d": _torch_alone(*_AVERAGE_POOL),
    "AvgPool2d": _torch_alone(*_AVERAGE_POOL, "divisor_override"),
    "AdaptiveAvgPool1d": _torch_alone("output_size"),
    "AdaptiveAvgPool2d": _torch_alone("output_size"),
    "AdaptiveMaxPool1d": _torch_alone("output_size"),
    "AdaptiveMaxPool2d": _torch_alone("output_size"),
    "LeakyReLU": Kind({"negative_slope": _is_factor}, _no_arrays),
    "ELU": Kind({"alpha": _is_factor}, _no_arrays),
    "ReLU": Kind({}, _no_arrays),
    "ReLU6": _torch_alone(),
    "SELU": _torch_alone(),
    "GELU": Kind({"approximate": lambda value: value in ("none", "tanh")}, _no_arrays),
    "SiLU": Kind({}, _no_arrays),
    "Mish": _torch_alone(),
    "Tanh": Kind({}, _no_arrays),
    "Sigmoid": Kind({}, _no_arrays),
    "Hardsigmoid": _torch_alone(),
    "Hardswish": _torch_alone(),
    "Softplus": Kind({"beta": lambda value: _is_factor(value) and value > 0, "threshold": _is_factor}, _no_arrays),
    "Softsign": _torch_alone(),
    "Softmax": _torch_alone("dim"),
    "Identity": Kind({}, _no_arrays),
}
STANDARDIZE = Kind({"num_features": _is_width}, _standardize_arrays)  # the first layer of heads; no file names it

# ---- reading a description


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
    known = KINDS.get(kind) if isinstance(kind, str) else None
    if known is None or known.arrays is None or set(arguments) != set(known.arguments):
        return None
    if not all(is_allowed(arguments[name]) for name, is_allowed in known.arguments.items()):
        return None
    n_in = arguments.get("in_features", arguments.get("num_features"))
    return (Layer(kind, key, arguments, n_in, arguments.get("out_features", n_in)),)


def _children(arguments: dict[str, Any], depth: int) -> dict[str, tuple[Any, Any]] | None:
    """Kind and arguments of each child, by name."""
    layers = arguments.get("layers")
    if set(arguments) != {"layers"} or not isinstance(layers, list) or len(layers) > LONGEST or depth > DEEPEST:
        return None
    if not all(isinstance(item, list | tuple) and len(item) == 3 and isinstance(item[0], str) for item in layers):
        return None
    children = {name: (kind, inner) for name, kind, inner in layers}
    return children if len(children) == len(layers) and all(n and "." not in n for n in children) else None


def layers_of(description: Any, names: Sequence[Any]) -> Blocks | None:
    """Layers of the blocks `names` of the network described; None if only torch can compute them."""
    if not isinstance(description, dict) or not isinstance(description.get("arguments"), dict) or not names:
        return None
    tree = description["arguments"]
    if description.get("name") == "mlp":
        tree = {"layers": mlp_layers(**tree)} if _describes_mlp(tree) else {}
    elif description.get("name") != "sequential":
        return None
    if len(set(names)) < len(names):
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


def mlp_layers(
    n_features_in: int,
    hidden_layer_sizes: Sequence[int] = (256, 256, 256),
    dropout: float = 0.0,
    batch_norm: bool = True,
) -> list[list[Any]]:
    """The blocks of :class:`sktransfer.MLP`, described as the layers of an ``nn.Sequential``; parameters as there.

    The network is built from this description, and numpy computes it by this description.
    """
    blocks, width = [], n_features_in
    for depth, size in enumerate(hidden_layer_sizes, start=1):
        # BatchNorm takes any bias out again; without a gradient it would follow rounding errors
        layers: list[Any] = [("Linear", {"in_features": width, "out_features": size, "bias": not batch_norm})]
        if batch_norm:
            normalised = {"num_features": size, "eps": 1e-5, "momentum": 0.1}
            layers.append(("BatchNorm1d", {**normalised, "affine": True, "track_running_stats": True}))
        layers += [("ReLU", {}), ("Dropout", {"p": dropout})]
        numbered = [[str(position), *layer] for position, layer in enumerate(layers)]
        blocks.append([f"block{depth}", "Sequential", {"layers": numbered}])
        width = size
    return blocks


def _describes_mlp(arguments: Mapping[str, Any]) -> bool:
    """Whether these are arguments of an MLP; the widths are checked layer by layer."""
    given = {"n_features_in": None, "hidden_layer_sizes": (1,), "dropout": 0.0, "batch_norm": True, **arguments}
    sizes, dropout = given["hidden_layer_sizes"], given["dropout"]
    if len(given) > 4 or given["n_features_in"] is None or not _is_flag(given["batch_norm"]):
        return False
    return isinstance(sizes, list | tuple) and 0 < len(sizes) <= LONGEST and _is_share(dropout) and dropout < 1


# ---- the arrays and widths of layers


def fits(layers: Sequence[Layer], arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether `arrays` are those of `layers`: the same names and shapes, float32."""
    expected: Shapes = {}
    for layer in layers:
        arrays_of = STANDARDIZE.arrays if layer.kind == "Standardize" else KINDS[layer.kind].arrays
        for name, shape in (arrays_of or _no_arrays)(layer.arguments).items():
            expected[layer.key + name] = shape
    if expected != {name: np.shape(array) for name, array in arrays.items()}:
        return False
    return all(array.dtype == np.float32 for name, array in arrays.items() if not name.endswith("num_batches_tracked"))


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
