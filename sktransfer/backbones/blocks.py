"""Blocks of a network as torch modules: found by name, measured, and built from a description with given weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import nn

from sktransfer.backbones.alterations import is_altered, other_layer
from sktransfer.backbones.inputs import Inputs
from sktransfer.backbones.weights import Weights
from sktransfer.exceptions import ModelFileError
from sktransfer.networks import cnn, mlp, process_net, vibration_net  # noqa: F401  (they register their networks)
from sktransfer.networks.layers import Blocks, read_layers
from sktransfer.networks.registry import build_empty, build_network, describe_layer, describe_network, takes_width

__all__ = [
    "build_blocks",
    "build_network",
    "compare_with_forward",
    "describe_network",
    "difference",
    "find_blocks",
    "layers_of_modules",
    "probe_width",
    "read_inputs",
    "samples_of",
    "takes_width",
    "weights_of",
]

# Lengths of windows (samples) and sides of images (pixels), tried in turn where the description allows any: a network
# does not say how large its receptive field is.
_LENGTHS = (16, 64, 256, 1024, 4096, 16384, 65536)
_LARGEST_PROBE = 2**22  # values
_Prepare = Callable[[Any], np.ndarray]  # the front end of a backbone
_MISFITS = (RuntimeError, ValueError, IndexError)  # what torch's layers raise for a shape that they do not take


def build_blocks(
    description: dict[str, Any], names: Sequence[str], weights: Sequence[Mapping[str, np.ndarray]]
) -> list[nn.Module]:
    """Blocks with the given weights; shapes are compared before memory is taken for them.

    Raises
    ------
    ModelFileError
        If the network is unknown or its shapes are not those of the weights.
    """
    try:
        modules = find_blocks(build_empty(description), names)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelFileError(f"The file describes a network that cannot be built: {error}") from error
    for name, module, arrays in zip(names, modules, weights, strict=True):
        expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
        found = {key: value.shape for key, value in arrays.items()}
        if expected != found:
            wrong = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
            raise ModelFileError(f"The weights of block {name!r} do not fit the network described: {wrong[:5]} differ.")
    if any(tensor.is_meta for module in modules for tensor in _constants(module)):
        modules = find_blocks(build_network(description), names)  # its constructor makes tensors that no file holds
    for module, arrays in zip(modules, weights, strict=True):
        tensors = {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}
        module.load_state_dict(tensors, assign=True)
        module.eval().requires_grad_(False)
    return modules


def _constants(module: nn.Module) -> Iterator[torch.Tensor]:
    """Tensors that belong to a module and are not in its state."""
    for layer in module.modules():
        outside = [*vars(layer).values(), *(layer._buffers[name] for name in layer._non_persistent_buffers_set)]
        yield from (value for value in outside if isinstance(value, torch.Tensor))


def find_blocks(network: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Submodules by their dotted names, in the given order."""
    if not names:
        raise ValueError("Backbone got no blocks; name at least one submodule.")
    known = [key for key, _ in network.named_modules(remove_duplicate=False) if key]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"Backbone: block {name!r} matches no submodule of the network.{hint} It has {known}.")
    if len(set(names)) < len(names):
        raise ValueError(f"Backbone got the blocks {list(names)}; each name may occur once.")
    return [network.get_submodule(name) for name in names]


def read_inputs(modules: Sequence[nn.Module], inputs: Inputs) -> Inputs:
    """`inputs` with the columns, or the channels of windows and images, if the first block or layer tells them.

    A block tells by an attribute ``input_shape``, the shape of a sample.
    """
    layers = (layer for module in modules for layer in module.modules() if not list(layer.children()))
    first = next(layers, None)
    if inputs.n is not None or inputs.shape is not None:
        return inputs
    if (shape := getattr(modules[0], "input_shape", None)) is not None:
        return dataclasses.replace(inputs, shape=shape)
    if isinstance(first, nn.Linear):
        return dataclasses.replace(inputs, n=first.in_features)
    if isinstance(first, nn.Conv1d | nn.Conv2d):
        return dataclasses.replace(inputs, shape=(first.in_channels, *[None] * len(first.kernel_size)))
    return inputs


def probe_width(modules: Sequence[nn.Module], inputs: Inputs, prepare: _Prepare = np.asarray) -> int:
    """Number of features that come out.

    Raises
    ------
    ValueError
        If the blocks do not take such samples, do not return a table, or the number depends on what `inputs` leaves
        open.
    """
    x, found = _through(modules, inputs, 1, prepare)
    if found.ndim != 2:
        raise ValueError(f"Backbone: the blocks return shape {tuple(found.shape)}, not (n_samples, n_features_out).")
    if inputs.shape is not None and None in inputs.shape[1:]:
        longer = torch.zeros(1, *_filled(inputs, 2 * x.shape[-1]))
        try:
            same = _run(modules, _prepared(longer, prepare)).shape == found.shape
        except _MISFITS:
            same = False
        if not same:
            raise ValueError(
                f"Backbone: the blocks take samples of shape {tuple(x.shape[1:])} and no other length, or return "
                "another number of features for another length. Give the length: inputs=Inputs(shape=...)."
            )
    return int(found.shape[1])


def _through(
    modules: Sequence[nn.Module], inputs: Inputs, n_samples: int, prepare: _Prepare
) -> tuple[torch.Tensor, torch.Tensor]:
    """The smallest samples that the blocks take, and what the blocks return for them."""
    reason: Exception | None = None
    for x in samples_of(inputs, n_samples):
        try:
            return x, _run(modules, _prepared(x, prepare))
        except _MISFITS as error:
            reason = reason or error
    shape = inputs.shape
    what = f"{inputs.n or 8} columns" if shape is None else f"samples of shape {shape}"
    other = "number, say so by inputs=Inputs(n=...)" if shape is None else "shape, say so by inputs=Inputs(shape=...)"
    raise ValueError(
        f"Backbone: the blocks do not take {what} one after the other ({reason}). If they take another {other}."
    ) from reason


def samples_of(inputs: Inputs, n_samples: int) -> Iterator[torch.Tensor]:
    """Numbers between -1 and 1 that a network may take; larger and larger ones where any size will do."""
    for length in _LENGTHS:
        shape = _filled(inputs, length)
        if length > _LENGTHS[0] and (shape == _filled(inputs, _LENGTHS[0]) or math.prod(shape) > _LARGEST_PROBE):
            return
        yield torch.linspace(-1, 1, n_samples * math.prod(shape)).reshape(n_samples, *shape)


def _filled(inputs: Inputs, length: int) -> tuple[int, ...]:
    """Shape of one sample, with `length` where any will do."""
    if inputs.shape is None:
        return (inputs.n or 8,)
    return (inputs.shape[0] or 1, *(size or length for size in inputs.shape[1:]))


def _prepared(x: torch.Tensor, prepare: _Prepare) -> torch.Tensor:
    """Samples as the first block gets them."""
    return torch.from_numpy(np.array(prepare(x.numpy()), dtype=np.float32))


def _run(modules: Sequence[nn.Module], x: torch.Tensor) -> torch.Tensor:
    """What the blocks, one after the other, return in inference mode."""
    with torch.inference_mode():
        for module in modules:
            x = module(x)
    return x


def compare_with_forward(
    modules: Sequence[nn.Module], inputs: Inputs, network: nn.Module, prepare: _Prepare = np.asarray
) -> None:
    """Raise a ValueError unless the blocks in order return what the network's ``forward`` returns."""
    x, expected = _through(modules, inputs, 4, prepare)
    was_training, network = network.training, network.eval()
    try:
        x = _prepared(x, prepare)
        found = _run([network], x.to(next(network.parameters(), x).device)).to("cpu")
    finally:
        network.train(was_training)
    if found.shape != expected.shape or not torch.allclose(found, expected, atol=1e-5):
        raise ValueError(
            "Backbone: the network's children, applied in order, do not reproduce its forward(). Name the blocks "
            "with blocks=[...] so that each takes the output of the one before."
        )


def difference(
    modules: Sequence[nn.Module],
    again: Sequence[nn.Module],
    names: Sequence[str],
    inputs: Inputs,
    prepare: _Prepare = np.asarray,
) -> str | None:
    """In what blocks differ from those that their description and weights make again; None if in nothing."""
    if (said := other_layer(modules, again, names)) is not None:
        return said
    x, first = _through(modules, inputs, 4, prepare)
    x = _prepared(x, prepare)
    second, other = _run(modules, x), _run(again, x)
    if not _are_close(first, second) or _are_close(first, other):  # the first: it draws random numbers
        return None
    return "the network returns something else than its class and arguments make"


def _are_close(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(first, second, rtol=1e-4, atol=1e-5, equal_nan=True)


def weights_of(module: nn.Module) -> Weights:
    """Parameters and buffers of a module as named arrays, on its memory."""
    return Weights({key: value.detach().numpy() for key, value in module.state_dict().items()})


def layers_of_modules(modules: Sequence[nn.Module]) -> Blocks | None:
    """Layers of the blocks, from which numpy computes them in inference mode; None if only torch can."""
    if any(is_altered(layer) for module in modules for layer in module.modules()):
        return None
    described = [describe_layer("", module) for module in modules]
    blocks = [None if item is None else read_layers("", item[1], item[2]) for item in described]
    return None if None in blocks else tuple(layers for layers in blocks if layers is not None)
