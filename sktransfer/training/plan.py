"""How a fit trains: rows, settings, phases, batches and rates. Everything that is not data flow.

::

    strategy --> phases of equal frozen depth --> epochs --> batches: slices of one permutation an epoch
                                                                  |
                                                                  rate: a cosine from the first step to the last

A fit on its own (`_net.py`) and fits that train together (`_lockstep.py`) both follow it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch

from sktransfer.strategies.base import Strategy
from sktransfer.training.raw import RawWindows
from sktransfer.training.rows import count_batches


@dataclass
class Rows:
    """What a fit trains on: inputs, encoded labels, and weights of mean 1, all tensors on one device.

    `raw` is what the inputs were made of by a front end, where batches of it are augmented.
    """

    X: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    raw: RawWindows | None = None


@dataclass
class Plan:
    """How a fit trains; everything that is not data or network.

    Parameters
    ----------
    loss : callable
        ``loss(outputs, y)`` of shape (n_samples,), before weighting.
    source : dict of str to tensor
        Weights that came from the source, by parameter name.
    stop_loss : float
        Training ends when an epoch's mean loss is below it: nothing is left to learn.
    n_classes : int or None
        For augmentation that mixes classes; None: a regressor trains.
    on_epoch : callable
        Called after each epoch with its number and mean loss; returns True to stop.
    """

    strategy: Strategy
    max_epochs: int
    lr: float
    batch_size: int
    seed: int
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    source: dict[str, torch.Tensor]
    callbacks: list[Any] | None = None
    verbose: int = 0
    on_epoch: Callable[[int, float], bool] = lambda epoch, loss: False
    stop_loss: float = 0.0
    n_classes: int | None = None

    def phases(self, n_blocks: int) -> list[tuple[int, int]]:
        """Runs of epochs with the same frozen depth: (number of frozen blocks, number of epochs)."""
        depths = (self.strategy.n_frozen(epoch, n_blocks) for epoch in range(self.max_epochs))
        return [(n_frozen, len(list(epochs))) for n_frozen, epochs in groupby(depths)]

    def augments(self, n_blocks: int) -> bool:
        """Whether the batches of any phase are augmented."""
        return any(self.strategy.augment(depth, n_blocks) is not None for depth, _ in self.phases(n_blocks))


class BatchOrder:
    """Which rows make up the batches: slices of one permutation an epoch, by a private generator on the CPU.

    Drawn on the CPU wherever the rows are, so that CPU and CUDA see the same batches. Rows are cut into batches of
    nearly equal size, so that no batch is ever a single row, which BatchNorm could not normalise.
    """

    def __init__(self, n_rows: int, batch_size: int, seed: int):
        self.n_rows = n_rows
        self.n_batches = count_batches(n_rows, batch_size)
        self.bounds = [n_rows * i // self.n_batches for i in range(self.n_batches + 1)]
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.n_batches

    def permutation(self) -> torch.Tensor:
        """The rows in the order of the next epoch."""
        return torch.randperm(self.n_rows, generator=self.generator)

    def draw(self, device: torch.device) -> Iterator[torch.Tensor]:
        """Row numbers of each batch of the next epoch."""
        order = self.permutation().to(device)
        return (order[start:stop] for start, stop in zip(self.bounds, self.bounds[1:], strict=False))


def cosine(progress: float) -> float:
    """Factor on the learning rate when `progress` (0 to 1) of the steps are done."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def diverged(lr: float, epoch: int) -> ValueError:
    """The error of a fit whose loss is not finite."""
    return ValueError(
        f"The loss is not finite in epoch {epoch + 1}: training diverged with lr={lr:g}. "
        "Lower lr, or check the scale of X."
    )


def diverged_weight(lr: float) -> ValueError:
    """The error of a fit of which a weight is not finite."""
    return ValueError(f"Training diverged with lr={lr:g}: a weight is not finite. Lower lr.")
