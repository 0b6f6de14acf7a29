"""Layers of networks as ONNX nodes, float32: those that numpy computes, and convolutions and pooling.

::

    steps of `inference/numpy_network.py` (products, scalings, activations) --> Gemm, Mul and Add, Relu, Erf, ...
    entries [key, kind, arguments] of an nn.Sequential                      --> Conv, MaxPool, AveragePool, Flatten, ...

The arrays are folded in float64 and stored as float32, as in the numpy engine. Torch is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sktransfer.inference.numpy_network import Step, folded_steps
from sktransfer.io.onnx_graph import Graph
from sktransfer.networks.layers import read_layers

Arrays = Mapping[str, np.ndarray]


class NoOnnxError(ValueError):
    """A step or a layer for which there is no ONNX node, or none whose outputs are the same."""


def write_steps(graph: Graph, x: str, steps: Sequence[Step]) -> str:
    """Products, scalings and activations of rows, one after the other.

    Parameters
    ----------
    graph : Graph
    x : str
        Name of float32 rows, shape (n_rows, n_columns).
    steps : sequence of (kind, first, second)
        From :func:`sktransfer.inference.numpy_network.folded_steps`.

    Returns
    -------
    str
        Name of what comes out.
    """
    for kind, first, second in steps:
        if kind == "linear":
            x = graph("Gemm", x, _float32(first), _float32(second))
        elif kind == "scale":
            x = graph("Add", graph("Mul", x, _float32(first)), _float32(second))
        else:
            x = _ACTIVATIONS[first](graph, x, **second)
    return x


def _float32(array: Any) -> np.ndarray:
    return np.asarray(array, dtype=np.float32)


# ---- activations


def _gelu(graph: Graph, x: str, approximate: str) -> str:
    if approximate == "tanh":
        cubic = graph("Mul", graph("Mul", graph("Mul", x, x), x), _float32(0.044715))
        inner = graph("Tanh", graph("Mul", graph("Add", x, cubic), _float32(np.sqrt(2 / np.pi))))
    else:
        inner = graph("Erf", graph("Mul", x, _float32(np.sqrt(0.5))))
    return graph("Mul", graph("Mul", x, _float32(0.5)), graph("Add", inner, _float32(1.0)))


def _softplus(graph: Graph, x: str, beta: float, threshold: float) -> str:
    scaled = graph("Mul", x, _float32(beta))
    soft = graph("Div", graph("Softplus", scaled), _float32(beta))
    return graph("Where", graph("LessOrEqual", scaled, _float32(threshold)), soft, x)


_ACTIVATIONS: dict[str, Callable[..., str]] = {
    "ReLU": lambda graph, x: graph("Relu", x),
    "LeakyReLU": lambda graph, x, negative_slope: graph("LeakyRelu", x, alpha=float(negative_slope)),
    "ELU": lambda graph, x, alpha: graph("Elu", x, alpha=float(alpha)),
    "GELU": _gelu,
    "SiLU": lambda graph, x: graph("Mul", x, graph("Sigmoid", x)),
    "Tanh": lambda graph, x: graph("Tanh", x),
    "Sigmoid": lambda graph, x: graph("Sigmoid", x),
    "Softplus": _softplus,
}

# ---- convolutions and pooling along time


def write_convolution(graph: Graph, x: str, arrays: Arrays, key: str, norm: str | None = None, **sizes: int) -> str:
    """A convolution along time, and the BatchNorm after it folded into its weights.

    Parameters
    ----------
    graph : Graph
    x : str
        Shape (n_signals, n_filters_in, length).
    arrays : mapping of str to ndarray
    key, norm : str
        What the names of the arrays of the convolution, and of its BatchNorm, begin with.
    **sizes : int
        ``stride``, ``padding``, ``dilation`` and ``groups``, as in torch.
    """
    weight = np.asarray(arrays[f"{key}weight"], dtype=np.float64)
    bias = np.asarray(arrays.get(f"{key}bias", np.zeros(len(weight))), dtype=np.float64)
    if norm is not None:
        factor, offset = batch_norm_factors(arrays, norm)
        weight, bias = weight * factor[:, None, None], bias * factor + offset
    padding = sizes.get("padding", 0)
    attributes: dict[str, Any] = {"strides": [sizes.get("stride", 1)], "dilations": [sizes.get("dilation", 1)]}
    attributes |= {"kernel_shape": [weight.shape[2]], "pads": [padding, padding]}
    return graph("Conv", x, _float32(weight), _float32(bias), group=sizes.get("groups", 1), **attributes)


def batch_norm_factors(arrays: Arrays, key: str, eps: float = 1e-5) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset of a BatchNorm layer in inference mode, float64, one a filter."""
    mean, variance = (np.asarray(arrays[f"{key}running_{what}"], dtype=np.float64) for what in ("mean", "var"))
    factor = np.asarray(arrays.get(f"{key}weight", 1.0), dtype=np.float64) / np.sqrt(variance + eps)
    return factor, np.asarray(arrays.get(f"{key}bias", 0.0), dtype=np.float64) - mean * factor


def write_batch_norm(graph: Graph, x: str, arrays: Arrays, key: str, *, eps: float = 1e-5, n_after: int = 0) -> str:
    """BatchNorm on axis 1 of a value with so many axes after it."""
    factor, offset = (_float32(one).reshape(-1, *(1,) * n_after) for one in batch_norm_factors(arrays, key, eps))
    return graph("Add", graph("Mul", x, factor), offset)


def write_average(graph: Graph, x: str, width: int, stride: int | None = None, *, ceil: bool = False) -> str:
    """Means over `width` samples along the last axis of three; the last, shorter one over what there is."""
    return graph("AveragePool", x, kernel_shape=[width], strides=[stride or width], ceil_mode=int(ceil))


def mean_and_max(graph: Graph, x: str, axis: int) -> str:
    """Mean and largest value along an axis, side by side on the last axis."""
    return graph("Concat", graph.reduced("ReduceMean", x, axis), graph.reduced("ReduceMax", x, axis), axis=-1)


# ---- a plain nn.Sequential


def write_sequential(graph: Graph, x: str, key: str, kind: str, arguments: dict[str, Any], arrays: Arrays) -> str:
    """One entry of a description, ``[key, kind, arguments]``, with all that is in it.

    Raises
    ------
    NoOnnxError
        For a layer that is not written as ONNX nodes.
    """
    if kind == "Sequential":
        for name, inner_kind, inner in arguments["layers"]:
            x = write_sequential(graph, x, f"{key}{name}.", inner_kind, inner, arrays)
        return x
    if kind in _ALONG_TIME:
        return _ALONG_TIME[kind](graph, x, arrays, key, arguments)
    layers = read_layers(key, kind, arguments)
    if layers is None or kind in ("BatchNorm1d",):
        raise NoOnnxError(f"the layer {kind!r} has no ONNX nodes here; known are {sorted({*_ALONG_TIME, *_ROWS})}")
    return write_steps(graph, x, folded_steps([(layers, arrays)]))


def _single(kind: str, **sizes: Any) -> dict[str, Any]:
    """Sizes along time as numbers; a NoOnnxError for what is neither a number nor a tuple of one."""
    plain = {
        name: size[0] if isinstance(size, list | tuple) and len(size) == 1 else size for name, size in sizes.items()
    }
    if not all(type(size) is int for size in plain.values()):
        raise NoOnnxError(f"the layer {kind!r} with {sizes} has no ONNX nodes here")
    return plain


def _convolution(graph: Graph, x: str, arrays: Arrays, key: str, arguments: dict[str, Any]) -> str:
    if arguments["padding_mode"] != "zeros":
        raise NoOnnxError(f"the layer 'Conv1d' with padding_mode={arguments['padding_mode']!r} has no ONNX nodes here")
    names = ("stride", "padding", "dilation", "groups")
    return write_convolution(graph, x, arrays, key, **_single("Conv1d", **{name: arguments[name] for name in names}))


def _norm(graph: Graph, x: str, arrays: Arrays, key: str, arguments: dict[str, Any]) -> str:
    if not arguments["track_running_stats"]:
        raise NoOnnxError("the layer 'BatchNorm1d' without statistics of its own normalises by the batch at hand")
    inputs = [_float32(one) for one in batch_norm_factors(arrays, key, arguments["eps"])]
    still = np.zeros_like(inputs[0]), np.ones_like(inputs[0])  # folded in float64 already
    return graph("BatchNormalization", x, *inputs, *still, epsilon=0.0)  # of rows and of signals alike


def _pool(operator: str) -> Callable[..., str]:
    def write(graph: Graph, x: str, arrays: Arrays, key: str, arguments: dict[str, Any]) -> str:
        names = ("kernel_size", "stride", "padding")
        sizes = _single(operator, dilation=arguments.get("dilation", 1), **{name: arguments[name] for name in names})
        attributes: dict[str, Any] = {"kernel_shape": [sizes["kernel_size"]], "strides": [sizes["stride"]]}
        attributes |= {"pads": 2 * [sizes["padding"]], "ceil_mode": int(arguments["ceil_mode"])}
        if operator == "MaxPool":
            attributes["dilations"] = [sizes["dilation"]]
        elif sizes["padding"]:
            attributes["count_include_pad"] = int(arguments["count_include_pad"])
        return graph(operator, x, **attributes)

    return write


def _to_one(operator: str) -> Callable[..., str]:
    def write(graph: Graph, x: str, arrays: Arrays, key: str, arguments: dict[str, Any]) -> str:
        if _single(operator, size=arguments["output_size"])["size"] != 1:
            raise NoOnnxError(f"adaptive pooling to {arguments['output_size']} places has no ONNX nodes here")
        return graph.reduced(operator, x, 2, keepdims=True)

    return write


def _flatten(graph: Graph, x: str, arrays: Arrays, key: str, arguments: dict[str, Any]) -> str:
    if (arguments["start_dim"], arguments["end_dim"]) != (1, -1):
        raise NoOnnxError("the layer 'Flatten' of other axes than all after the first has no ONNX nodes here")
    return graph("Flatten", x, axis=1)


def _nothing(graph: Graph, x: str, arrays: Arrays, key: str, arguments: dict[str, Any]) -> str:
    return x


_ALONG_TIME: dict[str, Callable[..., str]] = {
    "Conv1d": _convolution,
    "BatchNorm1d": _norm,
    "MaxPool1d": _pool("MaxPool"),
    "AvgPool1d": _pool("AveragePool"),
    "AdaptiveAvgPool1d": _to_one("ReduceMean"),
    "AdaptiveMaxPool1d": _to_one("ReduceMax"),
    "Flatten": _flatten,
    "Dropout1d": _nothing,
}
_ROWS = {"Linear", "Dropout", "Identity", *_ACTIVATIONS}
