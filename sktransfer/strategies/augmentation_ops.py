"""The arithmetic of augmentation: whole batches at once, on the device where they are.

::

    windows (n, n_channels, length) or rows (n, n_columns), with labels and weights
        --> one change after the other, each with its own random numbers for every window --> the same shapes
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from sktransfer.strategies.base import Batch, Strategy
from sktransfer.utils.random import Draws


@dataclass(frozen=True)
class Change:
    """What an :class:`sktransfer.Augmentation` does to a batch; its parameters are that one's."""

    jitter: float = 0.0
    scaling: float = 0.0
    time_shift: float = 0.0
    crop: float = 0.0
    channel_dropout: float = 0.0
    mixup: float = 0.0

    def __call__(self, batch: Batch, draws: Draws) -> Batch:
        """The batch after all changes, in new tensors.

        Noise comes after the crop, which would smooth it, and before channels are dropped: those are zero.

        Raises
        ------
        ValueError
            If the batch has no time and a shift or a crop is asked for.
        """
        x = batch.X
        if self.crop:
            self._check_time(x, "crop")
            x = crop(x, self.crop, draws)
        if self.time_shift:
            self._check_time(x, "time_shift")
            x = shift(x, self.time_shift, draws)
        if self.scaling:
            x = x * _along(1 + self.scaling * draws.normal(*x.shape[:2]), x)
        if self.jitter:
            x = x + self.jitter * draws.noise(x)
        if self.channel_dropout:
            x = x * _along(keep_channels(x, self.channel_dropout, draws), x)
        batch = batch._replace(X=x)
        return mix(batch, self.mixup, draws) if self.mixup else batch

    def _check_time(self, x: torch.Tensor, name: str) -> None:
        if x.ndim == 3:
            return
        got = f"rows of {x.shape[1]} columns" if x.ndim == 2 else f"inputs of shape {tuple(x.shape[1:])}"
        raise ValueError(
            f"Augmentation({name}={getattr(self, name)!r}) needs windows of shape (n_windows, n_channels, "
            f"window_length); it got {got}, in which no axis is time. Set {name}=0, and use jitter, scaling, "
            "channel_dropout or mixup."
        )


def shift(x: torch.Tensor, most: float, draws: Draws) -> torch.Tensor:
    """Windows shifted in a circle by up to ``most * length`` samples to either side."""
    length = x.shape[-1]
    farthest = round(most * length)
    by = (draws.uniform(len(x)) * (2 * farthest + 1)).long().clamp_(max=2 * farthest) - farthest
    index = (torch.arange(length, device=x.device) - by[:, None]) % length
    return x.gather(-1, index[:, None].expand_as(x))


def crop(x: torch.Tensor, most: float, draws: Draws) -> torch.Tensor:
    """Windows cut by up to ``most * length`` samples at a random position, stretched to their length."""
    length = x.shape[-1]
    if length < 2:
        return x
    cut = most * draws.uniform(len(x))
    start = cut * draws.uniform(len(x)) * (length - 1)
    position = start[:, None] + (1 - cut)[:, None] * torch.arange(length, device=x.device)
    below = position.floor().clamp_(max=length - 2)
    part = (position - below).to(x.dtype)[:, None]
    index = below.long()[:, None].expand_as(x)
    return torch.lerp(x.gather(-1, index), x.gather(-1, index + 1), part)


def keep_channels(x: torch.Tensor, probability: float, draws: Draws) -> torch.Tensor:
    """False for channels that are dropped, of shape (n, n_channels); all True where none would be left."""
    kept = draws.uniform(*x.shape[:2]) >= probability
    return kept | ~kept.any(dim=1, keepdim=True)


def mix(batch: Batch, alpha: float, draws: Draws) -> Batch:
    """Each window mixed with another one of the batch, its label and its weight at the same share.

    The share is drawn for each pair, as in the paper's formula; its program draws one for the batch.
    """
    x, y, weight, n_classes = batch
    if not y.is_floating_point():
        y = F.one_hot(y, n_classes or -1).to(x.dtype)
    share, partner = draws.beta(alpha, len(x)), draws.permutation(len(x))

    def mixed(values: torch.Tensor) -> torch.Tensor:
        return torch.lerp(values[partner], values, _along(share, values))

    return Batch(mixed(x), mixed(y), mixed(weight), n_classes)


def _along(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """`values` of the first axes of `x`, in its floating-point type, ready to be multiplied with it."""
    return values.to(x.dtype).reshape(*values.shape, *(1,) * (x.ndim - values.ndim))


def try_augment(strategy: Strategy, n_blocks: int, X: np.ndarray, n_classes: int | None) -> None:
    """Augment two rows, so that a wrong parameter is an error before anything is trained, whatever is frozen.

    Raises
    ------
    ValueError
        If a parameter is wrong or does not fit rows of this shape, or if the shape is not kept.
    """
    augment = strategy.augment(0, n_blocks)
    if augment is None:
        return
    few, device = torch.from_numpy(np.array(X[:2])), torch.device("cpu")
    y = torch.zeros(len(few), dtype=torch.int64) if n_classes else torch.zeros(len(few), 1)
    found = augment(Batch(few, y, torch.ones(len(few)), n_classes), Draws(0, device)).X
    if found.shape != few.shape:
        raise ValueError(
            f"augment() of {strategy!r} must keep the shape of its batch; it made {tuple(found.shape)} of "
            f"{tuple(few.shape)}."
        )
