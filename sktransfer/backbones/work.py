"""How much memory and work a network asks for, measured without doing it.

::

    description of a file --> layers without memory (torch's meta device) --> shapes --> values and multiplications
                                                                             too many: refused, nothing has run

A file of some hundred bytes may describe a network that pads a sample to gigabytes or slides a window of a million
samples over it. Its weights say nothing of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from sktransfer.backbones.blocks import MISFITS, shapes_of
from sktransfer.backbones.inputs import Inputs
from sktransfer.exceptions import ModelFileError
from sktransfer.preprocessing.front_ends import front_end

_MOST_VALUES = 2**25  # that a layer returns for a sample: 128 MiB in float32
_LONGEST_PREPARED = 2**22  # values of a sample that a front end is given
_MOST_WORK = 2**35  # multiplications for a sample; VGG-16 on an image of 224 x 224 takes 2**34
_MOST_STEPS = 20_000  # calls of torch


class _TooMuch(ModelFileError):
    """The network asks for more than a file may ask for."""


class _Meter(TorchDispatchMode):
    """Counts what is returned and multiplied by all that torch is asked to compute."""

    def __init__(self) -> None:
        super().__init__()
        self.work, self.steps = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        outputs = [out for out in (found if isinstance(found, tuple | list) else [found]) if torch.is_tensor(out)]
        n_values = sum(out.numel() for out in outputs)
        self.steps += 1
        self.work += n_values * _cost(str(func), args)
        for found_much, most, what in (
            (n_values, _MOST_VALUES, "values of a single sample"),
            (self.work, _MOST_WORK, "multiplications for a single sample"),
            (self.steps, _MOST_STEPS, "steps for a single sample"),
        ):
            if found_much > most:
                raise _TooMuch(f"The network in this file asks for more than {most} {what}, and is refused.")
        return found


def _cost(name: str, args: Sequence[Any]) -> int:
    """Multiplications for one value that an operation returns."""
    tensors = [arg for arg in args if torch.is_tensor(arg)]
    if "convolution" in name and len(tensors) > 1:
        return tensors[1].numel() // max(tensors[1].shape[0], 1)
    if name.startswith(("aten.mm", "aten.addmm", "aten.bmm", "aten.baddbmm", "aten.linear")):
        return int(tensors[-1].shape[0] if name.startswith(("aten.mm", "aten.addmm")) else tensors[0].shape[-1])
    if "pool" in name and "adaptive" not in name and len(args) > 1 and isinstance(args[1], list | tuple):
        return 4 * math.prod(args[1])  # a comparison of a window takes longer than a multiplication
    return 1


def refuse_absurd_work(modules: Sequence[nn.Module], inputs: Inputs) -> None:
    """Raise a ModelFileError if running the blocks on a sample would take absurd memory or time.

    Parameters
    ----------
    modules : sequence of nn.Module
        On the meta device.
    inputs : Inputs
    """
    known = (inputs.n or 1,) if inputs.shape is None else [size for size in inputs.shape if size is not None]
    if math.prod(known) > (_MOST_VALUES if inputs.front_end is None else _LONGEST_PREPARED):
        raise _TooMuch(f"A sample of {math.prod(known)} values is refused as too large for a network in a file.")
    for shape in shapes_of(inputs):
        if _takes(modules, shape, inputs):
            if inputs.shape is not None and None in inputs.shape[1:]:  # another length is tried, too
                _takes(modules, (shape[0], *(2 * shape[-1] for _ in shape[1:])), inputs)
            return


def _prepared(shape: tuple[int, ...], inputs: Inputs) -> tuple[int, ...]:
    """Shape of a sample as the first block gets it."""
    if inputs.front_end is None:
        return shape
    # a front end takes each channel by itself
    return shape[0], *front_end(inputs.front_end)(np.zeros((1, 1, *shape[1:]), np.float32)).shape[2:]


def _takes(modules: Sequence[nn.Module], shape: tuple[int, ...], inputs: Inputs) -> bool:
    """Whether the front end, if there is one, and the blocks take a sample of this shape."""
    try:
        shape = _prepared(shape, inputs)
        with torch.no_grad(), torch.device("meta"), _Meter():
            x = torch.empty(1, *shape)
            for module in modules:
                x = module(x)
    except _TooMuch:
        raise
    except NotImplementedError:  # a registered network that asks for values: what it computes is its author's
        return True
    except MISFITS:
        return False
    return True
