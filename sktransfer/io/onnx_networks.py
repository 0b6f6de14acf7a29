r"""Blocks of a backbone as ONNX nodes: from its description and its arrays, without torch.

::

    layers that numpy knows ----------> products and activations    `onnx_layers.py`
    "cnn", "process", "process-tags" -> this file
    nn.Sequential of signals ---------> layer by layer              `onnx_layers.py`
    anything else --------------------> an error that names it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sktransfer.backbones.backbone import Backbone
from sktransfer.inference.numpy_network import folded_steps
from sktransfer.io.onnx_graph import Graph
from sktransfer.io.onnx_layers import (
    Arrays,
    NoOnnxError,
    batch_norm_factors,
    mean_and_max,
    write_average,
    write_batch_norm,
    write_convolution,
    write_sequential,
    write_steps,
)

Shape = tuple[int, ...]  # of one sample, after the rows


def write_blocks(graph: Graph, x: str, backbone: Backbone, n_blocks: int, shape: Sequence[int]) -> str:
    """The first blocks of a backbone.

    Parameters
    ----------
    graph : Graph
    x : str
        Name of float32 rows or windows, as the first block takes them.
    backbone : Backbone
    n_blocks : int
        How many blocks.
    shape : sequence of int
        Of one row or window.

    Returns
    -------
    str
        Name of what the last of these blocks returns.

    Raises
    ------
    NoOnnxError
        If the network is not one of those that are written here.
    """
    if backbone.layers is not None:
        parts = list(zip(backbone.layers, backbone.weights, strict=True))[:n_blocks]
        return write_steps(graph, x, folded_steps(parts))
    description = backbone.network or {"name": None, "arguments": {}}
    name, arguments = description["name"], description["arguments"]
    blocks = list(zip(backbone.blocks, backbone.weights, strict=True))[:n_blocks]
    if name == "sequential":
        entries = {entry[0]: entry for entry in arguments["layers"]}
        for block, arrays in blocks:
            _, kind, inner = entries[block]
            x = write_sequential(graph, x, "", kind, inner, arrays)
        return x
    if name not in _NETWORKS:
        raise NoOnnxError(
            f"the network {name!r} of backbone {backbone.name!r} has no ONNX nodes here; known are "
            f"{sorted([*_NETWORKS, 'mlp', 'sequential'])}"
        )
    for number, (_, arrays) in enumerate(blocks):
        x = _NETWORKS[name](graph, x, arrays, arguments, tuple(shape), number, len(backbone.blocks))
    return x


# ---- networks/cnn.py


def _cnn(graph: Graph, x: str, arrays: Arrays, arguments: Any, shape: Shape, number: int, n_blocks: int) -> str:
    """One block: a convolution, or a residual block; mean and maximum over time at the end."""
    strides = arguments.get("strides", 4)
    steps = strides if isinstance(strides, list) else [strides] * n_blocks
    shared, n_channels = bool(arguments.get("shared_channels", False)), shape[0]
    weight = arrays["layers.0.weight" if number == 0 else "layers.change.0.weight"]
    if shared:
        x = graph.reshaped(x, -1, weight.shape[1], _length(shape[1], steps[:number]))
    if number == 0:
        key, norm = "layers.0.", "layers.1."
        padding = weight.shape[2] // 2
        x = graph("Relu", write_convolution(graph, x, arrays, key, norm, stride=steps[0], padding=padding))
    else:
        x = _residual(graph, x, arrays, steps[number])
    n_filters = len(weight)
    if number + 1 < n_blocks:
        after = _length(shape[1], steps[: number + 1])
        return graph.reshaped(x, -1, n_channels, n_filters, after) if shared else x
    x = mean_and_max(graph, x, 2)
    return mean_and_max(graph, graph.reshaped(x, -1, n_channels, 2 * n_filters), 1) if shared else x


def _length(length: int, strides: Sequence[int]) -> int:
    """Samples after blocks of these strides, whose odd kernels keep the length but for the stride."""
    for stride in strides:
        length = (length - 1) // stride + 1
    return length


def _residual(graph: Graph, x: str, arrays: Arrays, stride: int) -> str:
    kernel = arrays["layers.change.0.weight"].shape[2]
    padding = kernel // 2
    change = write_convolution(graph, x, arrays, "layers.change.0.", "layers.change.1.", stride=stride, padding=padding)
    change = graph("Relu", change)
    change = write_convolution(graph, change, arrays, "layers.change.3.", "layers.change.4.", padding=padding)
    short = write_average(graph, x, stride, ceil=True) if stride > 1 else x
    if "layers.short.1.weight" in arrays:
        short = write_convolution(graph, short, arrays, "layers.short.1.", "layers.short.2.")
    return graph("Relu", graph("Add", change, short))


# ---- networks/process_net.py

_FLOOR = np.float32(0.02)  # added to a root mean square before the logarithm, as in `process_net.py`


def _process(graph: Graph, x: str, arrays: Arrays, arguments: Any, shape: Shape, number: int, n_blocks: int) -> str:
    return _tag(graph, x, arrays, shape) if number == 0 else _plant(graph, x, arrays, "", shape)


def _process_tags(
    graph: Graph, x: str, arrays: Arrays, arguments: Any, shape: Shape, number: int, n_blocks: int
) -> str:
    if number == 0:
        return _tag(graph, x, arrays, shape)
    flat = graph("Flatten", x, axis=1)
    return graph("Concat", flat, _plant(graph, x, arrays, "plant.", shape), axis=1) if arguments.get("pooled") else flat


def _tag(graph: Graph, x: str, arrays: Arrays, shape: Shape) -> str:
    """Features of each tag, shape (n_windows, n_tags, n_features)."""
    n_tags, length = shape
    signals = graph.reshaped(x, -1, 1, length)
    steps = graph("Sub", graph.part(signals, 1, length, 2), graph.part(signals, 0, length - 1, 2))
    steps = graph("Pad", steps, np.array([0, 0, 1, 0, 0, 0], dtype=np.int64))
    found = graph("Concat", signals, steps, axis=1)
    for place in (0, 3, 6):
        key = f"shape.{place}."
        padding = arrays[f"{key}weight"].shape[2] // 2
        found = graph(
            "Relu", write_convolution(graph, found, arrays, key, f"shape.{place + 1}.", stride=2, padding=padding)
        )
    n_statistics = len(arrays["normalize.running_mean"])
    statistics = write_batch_norm(graph, _statistics(graph, signals, length, n_statistics - 5), arrays, "normalize.")
    code = graph("Concat", mean_and_max(graph, found, 2), statistics, axis=1)
    code = graph("Relu", _linear(graph, code, arrays, "code.0."))
    code = write_batch_norm(graph, _linear(graph, code, arrays, "code.2."), arrays, "scale.")
    n_features = n_statistics + len(arrays["scale.running_mean"])
    return graph.reshaped(graph("Concat", statistics, code, axis=1), -1, n_tags, n_features)


def _statistics(graph: Graph, signals: str, length: int, n_scales: int) -> str:
    """`multiscale_statistics` of `process_net.py`: signals of shape (n, 1, length) to (n, 5 + n_scales)."""
    level = graph.reduced("ReduceMean", signals, 2)
    coarse = write_average(graph, signals, max(length // 8, 1))
    n_coarse = length // max(length // 8, 1)
    last, first = (graph.reduced("ReduceMax", graph.part(coarse, k, k + 1, 2), 2) for k in (n_coarse - 1, 0))
    columns = [level, graph("Sub", last, first), graph.reduced("ReduceMin", coarse, 2)]
    columns.append(graph.reduced("ReduceMax", coarse, 2))
    columns.append(_log_rms(graph, graph("Sub", signals, graph.reduced("ReduceMean", signals, 2, keepdims=True))))
    for scale in range(n_scales):
        width = 2**scale
        if 2 * width <= length:
            means = write_average(graph, signals, width, 1) if width > 1 else signals
            n_means = length - width + 1
            apart = graph("Sub", graph.part(means, width, n_means, 2), graph.part(means, 0, n_means - width, 2))
            energy = _log_rms(graph, apart)
        columns.append(energy)
    return graph("Concat", *columns, axis=1)


def _log_rms(graph: Graph, x: str) -> str:
    mean = graph.reduced("ReduceMean", graph("Mul", x, x), 2)
    return graph("Log", graph("Add", graph("Sqrt", mean), np.asarray(_FLOOR)))


def _plant(graph: Graph, x: str, arrays: Arrays, key: str, shape: Shape) -> str:
    """Mean and largest value over tags, then the features of the plant."""
    n_in, n_out = arrays[f"{key}each.0.weight"].shape[::-1]
    tags = graph("Relu", _linear(graph, graph.reshaped(x, -1, n_in), arrays, f"{key}each.0."))
    pooled = mean_and_max(graph, graph.reshaped(tags, -1, shape[0], n_out), 1)
    return graph("Relu", _linear(graph, pooled, arrays, f"{key}all.0.", norm=f"{key}all.1."))


def _linear(graph: Graph, x: str, arrays: Arrays, key: str, norm: str | None = None) -> str:
    weight = np.asarray(arrays[f"{key}weight"], dtype=np.float64).T
    bias = np.asarray(arrays.get(f"{key}bias", np.zeros(weight.shape[1])), dtype=np.float64)
    if norm is not None:
        factor, offset = batch_norm_factors(arrays, norm)
        weight, bias = weight * factor, bias * factor + offset
    return write_steps(graph, x, [("linear", weight, bias)])


_NETWORKS: dict[str, Callable[..., str]] = {"cnn": _cnn, "process": _process, "process-tags": _process_tags}
