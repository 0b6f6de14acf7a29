"""A keras model as blocks of torch: read from its output to its input, converted, and compared with the original.

::

    output --> its layer --> the layer before --> ... --> InputLayer                 a layer with two inputs is refused
    InputLayer, [Conv1D, BatchNormalization, ReLU], [Dense, ...], [Dense, softmax]   Dense and Conv1D begin a block
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import nn

from sktransfer.backbones.blocks import samples_of
from sktransfer.backbones.inputs import Inputs
from sktransfer.convert.keras_layers import INPUT_ONLY, STARTS_A_BLOCK, Shape, convert

_TOLERANCE = 1e-4  # as a fraction of the largest output; float32 sums in another order differ by less


def read_network(model: Any, window_length: int | None) -> tuple[list[tuple[str, nn.Module]], Shape]:
    """Named blocks that compute what `model` does, and the keras shape of a sample.

    Raises
    ------
    ValueError
        If the model has branches or was never built, or torch has no layer that does what one of its layers does.
    """
    layers = _layers(model)
    shape = _sample_shape(model, window_length)
    blocks: list[tuple[str, list[nn.Module]]] = []
    leading: list[nn.Module] = []  # layers before the first block belong to it
    inside = shape
    for layer in layers:
        modules = convert(layer, inside)
        inside = _after(layer, inside)
        if type(layer).__name__ in STARTS_A_BLOCK:
            blocks.append((layer.name, [*leading, *modules]))
            leading = []
        elif blocks:
            blocks[-1][1].extend(modules)
        else:
            leading += modules
    if not blocks:
        raise ValueError(
            f"from_keras: model {model.name!r} has no Dense or Conv1D layer, so there is nothing to reuse."
        )
    names = _plain_names([name for name, _ in blocks])
    return [(name, nn.Sequential(*modules)) for name, (_, modules) in zip(names, blocks, strict=True)], shape


def _after(layer: Any, shape: Shape) -> Shape:
    """Shape of a sample behind a layer, in keras's order of axes."""
    return shape if type(layer).__name__ == INPUT_ONLY else tuple(layer.compute_output_shape((None, *shape)))[1:]


def _sample_shape(model: Any, window_length: int | None) -> Shape:
    """Shape of a sample that the model takes, in keras's order of axes; None in it: any length."""
    shape = tuple(model.inputs[0].shape)[1:]
    if len(shape) == 2 and window_length is not None:
        if shape[0] not in (None, window_length):
            raise ValueError(f"from_keras: window_length={window_length}, but model {model.name!r} takes {shape[0]}.")
        shape = (window_length, shape[1])
    if len(shape) not in (1, 2) or shape[-1] is None:
        raise ValueError(
            f"from_keras: model {model.name!r} takes samples of shape {shape}; rows (n_columns,) and windows "
            "(length, n_channels) can be converted. Rebuild others in torch and use from_module."
        )
    return shape


# ---- which layers, in which order


def _is(thing: Any, kind: str) -> bool:
    """Whether an object is of a class of keras, which is not imported here, or of a subclass."""
    return any(cls.__name__ == kind and cls.__module__.startswith("keras.") for cls in type(thing).__mro__)


def _layers(model: Any) -> list[Any]:
    """Layers in order from the input. A model inside the model is replaced by its layers."""
    if not _is(model, "Sequential") and not _is(model, "Functional"):
        raise ValueError(
            f"from_keras: model {model.name!r} is a {type(model).__name__}; a Sequential or a functional model with a "
            "single path can be converted. Rebuild it in torch and use from_module."
        )
    if not model.built:
        raise ValueError(
            f"from_keras: model {model.name!r} has not been built, so that its layers have no weights. Give it an "
            "Input layer, or call it once on rows."
        )
    layers = model.layers if _is(model, "Sequential") else _path(model)
    found = [inner for layer in layers for inner in (_layers(layer) if _is(layer, "Model") else [layer])]
    twice = next((layer for layer in found if sum(other is layer for other in found) > 1), None)
    if twice is not None:
        raise ValueError(f"from_keras: model {model.name!r} applies layer {twice.name!r} twice, which no backbone can.")
    return found


def _path(model: Any) -> list[Any]:
    """Layers of a functional model from its input to its output."""
    inputs, outputs = model.inputs, model.outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"from_keras: model {model.name!r} has {len(inputs)} inputs and {len(outputs)} outputs; one of each can be "
            "converted. Cut one path out of it: keras.Model(one_input, one_output)."
        )
    layers, tensor = [], outputs[0]
    while True:
        layer, node_index, _ = tensor._keras_history
        below = layer._inbound_nodes[node_index].input_tensors
        layers.append(layer)
        if tensor is inputs[0] or not below:
            return layers[::-1]
        if len(below) > 1:
            raise ValueError(
                f"from_keras: branches of model {model.name!r} meet in layer {layer.name!r} ({type(layer).__name__}); "
                "a single path can be converted. Cut the network off below it, or rebuild it in torch for from_module."
            )
        tensor = below[0]


def _plain_names(names: list[str]) -> list[str]:
    """Names that submodules of torch may have: without dots and slashes, and each only once."""
    found: list[str] = []
    for name in names:
        plain = name.replace(".", "_").replace("/", "_")
        same = sum(other == plain or other.startswith(f"{plain}__") for other in found)
        found.append(plain if not same else f"{plain}__{same + 1}")
    return found


# ---- the comparison of the converted network with the model


def inputs_of(shape: Shape, inputs: Inputs | None) -> Inputs:
    """`inputs` with the number of columns, or the shape of windows, that the model takes."""
    if len(shape) == 1:
        return dataclasses.replace(inputs or Inputs(), n=shape[0])
    length, channels = shape
    return dataclasses.replace(inputs or Inputs(), n=channels, shape=(channels, length))


def compare(keras: Any, model: Any, network: nn.Module, inputs: Inputs) -> None:
    """Check that `network` returns what `model` does, on numbers between -1 and 1.

    Raises
    ------
    ValueError
        If the outputs differ, or keras cannot run the model.
    """
    reason: Exception | None = None
    for x in samples_of(inputs, model.inputs[0].shape[0] or 4):
        try:
            windows = x.numpy() if x.ndim == 2 else x.numpy().transpose(0, 2, 1)
            expected = np.asarray(keras.ops.convert_to_numpy(model(windows, training=False)), dtype=np.float64)
            break
        except Exception as error:  # keras raises errors of many kinds for a length that the model does not take
            reason = error
    else:
        raise ValueError(f"from_keras: keras cannot run model {model.name!r}: {reason}") from reason
    with torch.inference_mode():
        found = network(x).double().numpy()
    if expected.ndim == 3:
        expected = expected.transpose(0, 2, 1)
    if found.shape != expected.shape or np.abs(found - expected).max() > _TOLERANCE * max(1.0, np.abs(expected).max()):
        raise ValueError(
            f"from_keras: the converted network does not return what keras's {model.name!r} does, on inputs between -1 "
            "and 1. A layer changes more than its class and options say; rebuild the network in torch for from_module."
        )
