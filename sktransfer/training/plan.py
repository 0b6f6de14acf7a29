"""The rules of training: phases, batches, learning rates, weight decay, the end of training, weight averaging.

::

    strategy --> phases of equal frozen depth --> epochs --> batches: slices of one permutation an epoch
                                                                  |
                             learning rate of each depth and weight decay of matrices, times a cosine

A single fit (`skorch_net.py`) and a stack of fits (`stacked_training.py`) call the same functions. In a stack the
first two dimensions of each tensor count the networks: ``(n_fold_batches, n_networks, *shape)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch

from sktransfer.strategies.base import Strategy
from sktransfer.training.rows import count_batches


@dataclass
class Rows:
    """What a fit trains on: inputs, encoded labels, and weights of mean 1, all tensors on one device."""

    X: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor


@dataclass
class Plan:
    """How a fit trains; everything that is not data or network.

    Parameters
    ----------
    loss : callable
        ``loss(outputs, y)`` of shape (n_samples,), before weighting. A stack passes outputs of shape
        (n_networks, n_outputs, n_samples) and gets (n_networks, n_samples).
    source : dict of str to tensor
        Weights that came from the source, by parameter name.
    stop_loss : float
        Training ends when an epoch's mean loss is below it: nothing is left to learn.
    n_classes : int or None
        For augmentation that mixes classes; None: a regressor trains.
    on_epoch : callable
        Called after each epoch with its number and mean loss; returns True to stop.
    streams : Streams or None
        Of a fit on several machines: how its batches are made up. None: batches are slices of one permutation.
    """

    strategy: Strategy
    max_epochs: int
    lr: float
    batch_size: int
    seed: int
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    source: dict[str, torch.Tensor]
    callbacks: list[Any] | None = None
    on_epoch: Callable[[int, float], bool] = lambda epoch, loss: False
    stop_loss: float = 0.0
    n_classes: int | None = None
    streams: Any = None

    def phases(self, n_blocks: int) -> list[tuple[int, int]]:
        """Runs of epochs with the same frozen depth: (number of frozen blocks, number of epochs)."""
        depths = (self.strategy.n_frozen(epoch, n_blocks) for epoch in range(self.max_epochs))
        return [(n_frozen, len(list(epochs))) for n_frozen, epochs in groupby(depths)]

    def stopped(self, loss: float) -> bool:
        """Whether training ends after an epoch of this mean loss."""
        return loss < self.stop_loss

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


def groups(
    plan: Plan, parameters: Iterable[tuple[int, Mapping[str, torch.Tensor]]], n_stacked: int = 0
) -> dict[tuple[float, float], list[tuple[str, torch.Tensor]]]:
    """Parameters grouped by what the optimizer must know of them.

    The learning rate of a depth is the plan's ``lr`` times the strategy's factor. Weight decay applies to matrices
    only: biases and the weights of normalisation layers have nothing to gain from it.

    Parameters
    ----------
    plan : Plan
    parameters : iterable of (depth, mapping of str to tensor)
        Named parameters of each depth; 0 is the head, 1 the block below it, as :meth:`TransferModule.groups` yields
        them.
    n_stacked : int, default=0
        Number of leading dimensions that count networks; 2 in a stack.

    Returns
    -------
    dict of (learning rate, weight decay) to list of (name, tensor)
        In the order in which they came.
    """
    found: dict[tuple[float, float], list[tuple[str, torch.Tensor]]] = {}
    decay = plan.strategy.weight_decay_rate()
    for depth, named in parameters:
        lr = plan.lr * plan.strategy.lr_factor(depth)
        for name, tensor in named.items():
            is_matrix = tensor.ndim - n_stacked > 1
            found.setdefault((lr, decay if is_matrix else 0.0), []).append((name, tensor))
    return found


def average(
    before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor], interpolation: float | torch.Tensor
) -> dict[str, torch.Tensor]:
    """Weights on the straight line from `before` to `after` (weight averaging, WiSE-FT).

    Parameters
    ----------
    before, after : mapping of str to tensor
        Integers, such as BatchNorm's count of batches, stay as they were before.
    interpolation : float or tensor of shape (n_fold_batches, n_networks)
        0 gives `before`, 1 gives `after`. A tensor holds one number for each network of a stack.

    References
    ----------
    Wortsman, Ilharco, Kim, Li, Kornblith, Roelofs, Gontijo Lopes, Hajishirzi, Farhadi, Namkoong and Schmidt (2022).
    Robust fine-tuning of zero-shot models. Proceedings of CVPR, 7959-7971. arXiv:2109.01903.
    """
    averaged = {}
    for name, start in before.items():
        if not start.is_floating_point():
            averaged[name] = start
            continue
        weight = torch.as_tensor(interpolation, dtype=start.dtype, device=start.device)
        averaged[name] = start.lerp(after[name], weight.view(*weight.shape, *(1,) * (start.ndim - weight.ndim)))
    return averaged


def diverged(lr: float, epoch: int) -> ValueError:
    """The error of a fit whose loss is not finite."""
    return ValueError(
        f"The loss is not finite in epoch {epoch + 1}: training diverged with lr={lr:g}. "
        "Lower lr, or check the scale of X."
    )


def diverged_weight(lr: float) -> ValueError:
    """The error of a fit of which a weight is not finite."""
    return ValueError(f"Training diverged with lr={lr:g}: a weight is not finite. Lower lr.")
