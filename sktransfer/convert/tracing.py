"""Which parts of a module run, in which order, and what its ``forward`` does besides.

::

    example --> forward() --> conv1 (seen) --> ? --> conv2 (seen) --> ? --> output
                              what conv2 gets is what conv1 gave, or the message says what happened to it
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from sktransfer.backbones.blocks import describe_network, find_blocks, read_inputs, samples_of
from sktransfer.backbones.inputs import Inputs

_NORMALISATION = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)
_AT_THE_END = {  # what a head that is taken off may be followed by
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "sigmoid": torch.sigmoid,
}
_FUNCTIONS = {  # what is looked for between two blocks, and the layer that does the same
    "flatten(1)": (lambda x: x.flatten(1), "nn.Flatten()"),
    "relu": (torch.relu, "nn.ReLU()"),
    "tanh": (torch.tanh, "nn.Tanh()"),
    "sigmoid": (torch.sigmoid, "nn.Sigmoid()"),
    "relu and flatten(1)": (lambda x: torch.relu(x).flatten(1), "nn.ReLU() and nn.Flatten()"),
    "gelu": (nn.functional.gelu, "nn.GELU()"),
    "unsqueeze(1)": (lambda x: x.unsqueeze(1), "nn.Unflatten(1, (1, n_features))"),
    "a mean over the last axes": (lambda x: x.flatten(2).mean(2), "nn.AdaptiveAvgPool1d(1) or 2d and nn.Flatten()"),
}


class Call(NamedTuple):
    """What one submodule got and gave."""

    name: str
    came: Any
    gave: Any


def trace_blocks(
    module: nn.Module, names: Sequence[str] | None, inputs: Inputs, *, takes_off: bool
) -> tuple[nn.Module | None, list[tuple[str, nn.Module]], Inputs]:
    """The module if its own parts are the blocks and it can be named in a file, the blocks, and what they take.

    Raises
    ------
    ValueError
        If the parts, one after the other, are not what the module computes.
    """
    watched = tuple(names) if names is not None else tuple(module._modules)
    parts = dict(zip(watched, find_blocks(module, watched), strict=True))
    registered = (describe_network(module) or {}).get("name") not in (None, "sequential")
    if type(module) is nn.Sequential and names is None:
        order = list(watched)
        inputs = read_inputs(list(parts.values()), inputs)
    else:
        inputs, x, calls, given = _watch(module, parts, inputs)
        _check_calls(module, x, calls, None if names is None else list(watched))
        if names is None:
            _check_end(calls[-1], given, takes_off=takes_off)
        order = [call.name for call in calls]
    whole = [(name, parts[name]) for name in order]
    if registered:
        return module, whole, inputs
    return None, _grouped(whole) if names is None else whole, inputs


def _grouped(parts: list[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """Each part with weights together with the parts without weights and the normalisation behind it."""
    groups: list[list[tuple[str, nn.Module]]] = []
    for name, part in parts:
        begins = any(True for _ in part.parameters()) and not isinstance(part, _NORMALISATION)
        if groups and (not begins or not any(True for _, other in groups[-1] for _ in other.parameters())):
            groups[-1].append((name, part))
        else:
            groups.append([(name, part)])
    found = []
    for group in groups:
        name = next((key for key, part in group if any(True for _ in part.parameters())), group[0][0])
        sequence = nn.Sequential()
        for key, part in group:
            sequence.add_module(key, part)
        found.append((name, group[0][1] if len(group) == 1 else sequence))
    return found


def _watch(
    module: nn.Module, parts: dict[str, nn.Module], inputs: Inputs
) -> tuple[Inputs, torch.Tensor, list[Call], Any]:
    """Run the module on an example: what it takes, the example, the calls of its parts, and what it returned."""
    calls: list[Call] = []
    hooks = [hook for name, part in parts.items() for hook in _hooks(name, part, calls)]
    was_training = [(part, part.training) for part in module.modules()]
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    reason: Exception | None = None
    try:
        module.eval()
        for candidate in _candidates(module, inputs):
            for x in samples_of(candidate, 5):
                calls.clear()
                try:
                    with torch.no_grad():
                        given = module(x.clone().to(device))
                    return candidate, x.to(device), calls, given
                except Exception as error:  # whatever the author's forward() raises for such a sample
                    reason = error
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in was_training:
            part.training = training
    raise ValueError(
        f"from_module: {type(module).__name__} does not run on samples of shape {tuple(x.shape[1:])} ({reason}). "
        "Say what it takes by input_shape=(n_features,), (n_channels, length) or (n_channels, height, width)."
    ) from reason


def _candidates(module: nn.Module, inputs: Inputs) -> list[Inputs]:
    """What the module may take, if that is not said: what one of its layers takes, convolutions first."""
    if inputs.n is not None or inputs.shape is not None:
        return [inputs]
    kinds = (nn.Conv2d, nn.Conv1d, nn.Linear)
    layers = [layer for kind in kinds for layer in module.modules() if isinstance(layer, kind)]
    found = [read_inputs([module], inputs), *(read_inputs([layer], inputs) for layer in layers)]
    if not hasattr(module, "input_shape"):
        found = [*found[1:], found[0]]  # the layer that was made first need not be the one that runs first
    return [candidate for place, candidate in enumerate(found) if candidate not in found[:place]]


def _hooks(name: str, part: nn.Module, calls: list[Call]) -> Iterator[RemovableHandle]:
    came: list[Any] = []  # copied before the part runs, which may change it in place

    def before(part: nn.Module, arguments: tuple[Any, ...]) -> None:
        came.append(_kept(arguments[0] if len(arguments) == 1 else arguments))

    def after(part: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        calls.append(Call(name, came.pop(), _kept(output)))

    yield part.register_forward_pre_hook(before)
    yield part.register_forward_hook(after)


def _kept(value: Any) -> Any:
    """A copy, because forward() may go on to change it in place."""
    return value.clone() if isinstance(value, torch.Tensor) else value


def _check_calls(module: nn.Module, x: torch.Tensor, calls: list[Call], names: list[str] | None) -> None:
    """Each part once, in the order of `names` if these are given, and each on what the one before gave."""
    ran, who = [call.name for call in calls], f"from_module: {type(module).__name__}"
    if not ran:
        raise ValueError(
            f"{who}.forward() calls none of {list(module._modules)} as a whole. Name the parts that it does call: "
            "blocks=['layers.0', ...]."
        )
    twice = next((name for name in ran if ran.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{who}.forward() uses {twice!r} more than once, and a block runs once. Give it two layers.")
    if names is not None and ran != names:
        raise ValueError(f"{who}.forward() runs the blocks {names} in the order {ran}. Name them so.")
    before, gave = "the input", x
    for call in calls:
        if not _same(gave, call.came):
            raise ValueError(
                f"{who}.forward() does something between {before} and {call.name!r} that is no part of a block"
                f"{_hint(gave, call.came)}. Make it a layer, or give the parts as nn.Sequential(...)."
            )
        before, gave = repr(call.name), call.gave
        if not isinstance(gave, torch.Tensor):
            raise ValueError(f"{who}: {before} returns a {type(gave).__name__}; a block returns one tensor. Wrap it.")


def _check_end(last: Call, given: Any, *, takes_off: bool) -> None:
    """What comes after the last part is nothing, or belongs to a head that is taken off."""
    if _same(last.gave, given):
        return
    name = next((name for name, function in _AT_THE_END.items() if _same(function(last.gave), given)), None)
    if name is not None and takes_off:
        return
    if name is not None:
        raise ValueError(
            f"from_module: after {last.name!r} forward() applies {name}. Take the head off by classes=[...] or "
            "head='drop', or make it a layer."
        )
    raise ValueError(
        f"from_module: after {last.name!r} forward() does something that is no part of a block"
        f"{_hint(last.gave, given)}. Make it a layer, or name the blocks up to there: blocks=[...]."
    )


def _hint(gave: Any, came: Any) -> str:
    """Which function it seems to be, and the layer that does the same."""
    for name, (function, layer) in _FUNCTIONS.items():
        try:
            if _same(function(gave), came):
                return f" ({name}: as a layer, {layer})"
        except (RuntimeError, IndexError, TypeError, AttributeError):
            continue  # not a function for a tensor of this shape
    shapes = [tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__ for value in (gave, came)]
    return f" (it gets {shapes[0]} and gives {shapes[1]})"


def _same(first: Any, second: Any) -> bool:
    tensors = isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor)
    return tensors and first.shape == second.shape and torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)
