"""Dropout that draws from generators of its own.

::

    seed, number of the layer --> generator --> levels: 16-bit numbers --below the threshold of the rate--> kept
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


def count_dropouts(module: nn.Module) -> int:
    """Number of layers that draw."""
    return sum(isinstance(layer, DROPOUTS) for layer in module.modules())


@contextmanager
def private_dropout(module: nn.Module, seed: int, device: torch.device) -> Iterator[None]:
    """While open, every ``nn.Dropout`` in `module` draws from a generator of its own instead of the global one.

    The mask covers whole channels in ``Dropout1d`` and its kin, as in torch.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, DROPOUTS)]

    def forward_of(layer: Any, generator: torch.Generator) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(x: torch.Tensor) -> torch.Tensor:
            if not layer.training or layer.p == 0:
                return x
            shape = x.shape if isinstance(layer, nn.Dropout) else (*x.shape[:2], *(1,) * (x.ndim - 2))
            threshold, factor = dropout_threshold(layer.p)
            return x * (draw_levels(shape, generator) < threshold).to(x.dtype).mul_(factor)

        return forward

    for place, layer in enumerate(layers):
        # found before the method of the class
        layer.__dict__["forward"] = forward_of(layer, dropout_generator(seed, place, device))
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]


def dropout_generator(seed: int, place: int, device: torch.device) -> torch.Generator:
    """The generator of dropout layer number `place` of a network.

    Each layer has its own, so that what one draws does not depend on whether another one is switched off.
    """
    return torch.Generator(device=device).manual_seed((seed + place * 0x9E3779B1) % 2**63)


def draw_levels(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Random whole numbers, evenly from -32,768 to 32,767, on the generator's device.

    Four of them are cut from each 64-bit draw: an eighth of the time of ``bernoulli_``. Dropout keeps what is below a
    threshold, so networks with different rates can share one draw.
    """
    n_numbers = math.prod(shape)
    draws = torch.empty(-(-n_numbers // 4), dtype=torch.int64, device=generator.device)
    return draws.random_(-(2**63), None, generator=generator).view(torch.int16)[:n_numbers].view(*shape)


def dropout_threshold(rate: float) -> tuple[int, float]:
    """Below which level an output is kept, and the factor that keeps its mean.

    The share that is kept is rounded to a multiple of 1/65,536, and the factor is that of the rounded share.
    """
    # a level is at most 32,767, so that a threshold above it could not be held in 16 bits
    kept = min(round((1.0 - float(rate)) * 65_536), 65_535)
    # a rate of 1 keeps nothing; the mask is zero and must not be divided by zero
    return kept - 32_768, 65_536 / kept if kept else 0.0
