"""How much memory and work a network asks for, looked at before each of its layers runs.

::

    sample --> [layer 1: what would it return, by how many multiplications?] --> runs --> [layer 2: ...] --> ...
                                             too many: refused

A file of some hundred bytes may describe a network that pads a sample to gigabytes, or slides a window of a million
samples over it. Its weights say nothing of that. (Torch's meta device would tell, too, after importing for seconds.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from sktransfer.backbones.inputs import Inputs
from sktransfer.exceptions import ModelFileError

_MOST_VALUES = 2**24  # that a layer returns for a sample: 64 MiB in float32
_MOST_WORK = 2**35  # multiplications for a sample; VGG-16 on an image of 224 x 224 takes 2**34
_LONGEST_PREPARED = 2**22  # values of a sample that a front end is given
_MOST_PREPARED = 2**12  # channels that a front end is given
_PER_VALUE = 32  # multiplications in the time that one value takes in a layer without products

# by number of axes that a window slides along: 1, 2, 3
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_ADAPTIVE = (
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
_PADS = (nn.modules.padding._ConstantPadNd, nn.modules.padding._ReflectionPadNd, nn.modules.padding._ReplicationPadNd)


class _TooMuchError(Exception):
    """No ValueError: that is what a layer raises for a shape that it does not take."""


@contextmanager
def limited_work(modules: Sequence[nn.Module], inputs: Inputs) -> Iterator[None]:
    """Run `modules` in the block, but none of their layers for which that would take absurd memory or time.

    Raises
    ------
    ModelFileError
        If a layer would return or multiply too much for a sample.
    """
    known = (inputs.n or 1,) if inputs.shape is None else [size for size in inputs.shape if size is not None]
    most = _MOST_VALUES if inputs.front_end is None else _LONGEST_PREPARED
    if math.prod(known) > most or (inputs.front_end is not None and (inputs.n or 1) > _MOST_PREPARED):
        raise ModelFileError(f"A sample of {math.prod(known)} values is refused as too large for a network in a file.")
    meter = _Meter()
    leaves = {layer for module in modules for layer in module.modules() if not list(layer.children())}
    hooks = [layer.register_forward_pre_hook(meter.look) for layer in leaves]
    try:
        yield
    except _TooMuchError as error:
        raise ModelFileError(str(error)) from None
    finally:
        for hook in hooks:
            hook.remove()


class _Meter:
    """Counts what layers return and multiply."""

    def __init__(self) -> None:
        self._work = 0

    def look(self, layer: nn.Module, args: Any) -> None:
        """Raise an error if `layer` would do too much for its input."""
        if not args or not torch.is_tensor(args[0]) or args[0].ndim == 0:
            return
        n_values, work = cost(layer, tuple(args[0].shape))
        self._work += work
        for found, most, what in (
            (n_values, _MOST_VALUES, "values"),
            (self._work, _MOST_WORK, "multiplications"),
        ):
            if found > most:
                raise _TooMuchError(
                    f"The network in this file asks for {found} {what} for a single sample, and is refused: at its "
                    f"layer {type(layer).__name__} it goes beyond {most}."
                )


def cost(layer: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """Values that `layer` holds at once for an input of this shape, and multiplications that it takes, at most."""
    n_in = math.prod(shape)
    if isinstance(layer, nn.Linear):
        n_out = n_in // max(shape[-1], 1) * layer.out_features
        return n_out, n_out * layer.in_features
    if isinstance(layer, _CONVOLUTIONS):
        n = _n_axes(layer, _CONVOLUTIONS)
        n_out = math.prod(shape[: -n - 1]) * layer.out_channels * math.prod(_sides(layer, shape, n))
        held = max(n_out, math.prod(shape[:-n]) * math.prod(_padded(layer, shape, n)))
        return held, n_out * (layer.in_channels // layer.groups) * math.prod(layer.kernel_size)
    if isinstance(layer, _POOLS):
        n = _n_axes(layer, _POOLS)
        n_out = math.prod(shape[:-n]) * math.prod(_sides(layer, shape, n))
        return n_out, _PER_VALUE * n_in + 4 * n_out * math.prod(_each(layer.kernel_size, n))
    n_out = n_in
    if isinstance(layer, _ADAPTIVE):
        n = _n_axes(layer, _ADAPTIVE)
        sides = zip(_each(layer.output_size, n), shape[-n:], strict=False)
        n_out = math.prod(shape[:-n]) * math.prod(old if new is None else new for new, old in sides)
    elif isinstance(layer, _PADS):
        n = len(layer.padding) // 2
        added = [before + after for before, after in zip(layer.padding[::2], layer.padding[1::2], strict=True)]
        sides = zip(shape[-n:], reversed(added), strict=False)  # a pad lists the last axis first
        n_out = math.prod(shape[:-n]) * math.prod(max(side + more, 0) for side, more in sides)
    return n_out, _PER_VALUE * (n_in + n_out)


def _n_axes(layer: nn.Module, kinds: tuple[type[nn.Module], ...]) -> int:
    return next(number for number, kind in enumerate(kinds) if isinstance(layer, kind)) % 3 + 1


def _padded(layer: Any, shape: tuple[int, ...], n: int) -> list[int]:
    """Sides of the input with its padding."""
    if isinstance(layer.padding, str):  # "valid": none; "same": as much as keeps the sides
        extra = [d * (k - 1) for k, d in zip(layer.kernel_size, layer.dilation, strict=True)]
        return [side + more * (layer.padding == "same") for side, more in zip(shape[-n:], extra, strict=False)]
    return [side + 2 * pad for side, pad in zip(shape[-n:], _each(layer.padding, n), strict=False)]


def _sides(layer: Any, shape: tuple[int, ...], n: int) -> list[int]:
    """Sides of what a window that slides along the last `n` axes returns."""
    kernel, stride = layer.kernel_size, layer.kernel_size if layer.stride is None else layer.stride
    windows = zip(
        _padded(layer, shape, n), *(_each(v, n) for v in (kernel, stride, getattr(layer, "dilation", 1))), strict=False
    )
    extra = getattr(layer, "ceil_mode", False)  # a last window that begins within the padding
    return [max((side - d * (k - 1) - 1) // s + 1 + extra, 0) for side, k, s, d in windows]


def _each(value: Any, n: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,) * n
