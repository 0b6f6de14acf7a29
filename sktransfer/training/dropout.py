"""Dropout that draws from generators of its own.

::

    seed, number of the layer --> generator --> random 16-bit integers --below the threshold of the rate--> kept
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


def count_dropouts(module: nn.Module) -> int:
    """Number of layers that draw."""
    return sum(isinstance(layer, DROPOUTS) for layer in module.modules())


class PrivateDropout(nn.Dropout):
    """Dropout that draws from a generator of one fit, and not from torch's global one.

    A dropout layer has this class while its network trains. It stays the same object, because a network may reach its
    layers in other ways than by their names.

    **Shape**

    - Input and output: ``(n_samples, ...)``

    Attributes
    ----------
    whole_channels : bool
        Whether the mask covers whole channels, as in ``nn.Dropout1d`` and its kin, or single numbers.
    generator : torch.Generator
    """

    whole_channels: bool
    generator: torch.Generator

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` with numbers or channels set to zero; in inference mode `x` itself."""
        if not self.training or self.p == 0:
            return x
        shape = (*x.shape[:2], *(1,) * (x.ndim - 2)) if self.whole_channels else x.shape
        threshold, factor = dropout_threshold(self.p)
        return x * (draw_integers(shape, self.generator) < threshold).to(x.dtype).mul_(factor)


@contextmanager
def private_dropout(module: nn.Module, seed: int, device: torch.device) -> Iterator[None]:
    """While open, every dropout layer inside `module` is a :class:`PrivateDropout`."""
    layers: list[Any] = [layer for layer in module.modules() if isinstance(layer, DROPOUTS)]
    classes = [type(layer) for layer in layers]
    for number, layer in enumerate(layers):
        layer.whole_channels = not isinstance(layer, nn.Dropout)
        layer.generator = dropout_generator(seed, number, device)
        layer.__class__ = PrivateDropout
    try:
        yield
    finally:
        for layer, own in zip(layers, classes, strict=True):
            layer.__class__ = own
            del layer.whole_channels, layer.generator


def dropout_generator(seed: int, number: int, device: torch.device) -> torch.Generator:
    """The generator of dropout layer `number` of a network.

    Each layer has its own, so that what one draws does not depend on whether another one is switched off.
    """
    return torch.Generator(device=device).manual_seed((seed + number * 0x9E3779B1) % 2**63)


def draw_integers(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Random whole numbers, evenly from -32,768 to 32,767, on the generator's device.

    Four of them are cut from each 64-bit draw: an eighth of the time of ``bernoulli_``. Dropout keeps what is below a
    threshold, so networks with different rates can share one draw.
    """
    n_numbers = math.prod(shape)
    draws = torch.empty(-(-n_numbers // 4), dtype=torch.int64, device=generator.device)
    return draws.random_(-(2**63), None, generator=generator).view(torch.int16)[:n_numbers].view(*shape)


def dropout_threshold(rate: float) -> tuple[int, float]:
    """The threshold: an output whose random integer is below it is kept. And the factor that keeps the mean.

    The share that is kept is rounded to a multiple of 1/65,536, and the factor is that of the rounded share.
    """
    # the largest 16-bit integer is 32,767, and the threshold must be one
    kept = min(round((1.0 - float(rate)) * 65_536), 65_535)
    # a rate of 1 keeps nothing; the mask is zero and must not be divided by zero
    return kept - 32_768, 65_536 / kept if kept else 0.0
