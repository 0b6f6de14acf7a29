"""Rows of several machines in one fit: how each batch is made up, and what draws their features together.

::

    source 1, labelled --+                  +--> loss of each stream's labels, times its share --+
    source 2, labelled --+--> one batch ----+                                                    +--> sum
    target,   labelled --+    of all        +--> alignment: features of the sources' rows        |
    target,   any rows --+                       beside those of the target's any rows ----------+

Every batch holds rows of every stream, however few rows a stream has: nine labelled rows of the target beside four
thousand of a source are in each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from sktransfer.networks.transfer_module import TransferModule
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.plan import Plan
from sktransfer.training.rows import TrainingRows, count_batches
from sktransfer.utils.random import build_seeded
from sktransfer.validation.domains import share_weights


@dataclass
class Joint:
    """What a fit on several machines knows beside its labelled rows.

    Parameters
    ----------
    domains : ndarray of shape (n_labelled,), int64
        Machine of each labelled row: positive for sources, negative for targets.
    unlabelled : ndarray of shape (n_unlabelled, ...)
        Rows of the target without a label, as the first block takes them.
    target_share : float
        Share of the labelled target rows in the loss of the labels; the rest is shared equally by the source machines.
    alignment : Alignment or None
    compared : ndarray of int or None
        Labelled source rows, repeated where they stand for many, whose features are drawn towards the target's. None:
        those that every batch holds for their labels.
    """

    domains: np.ndarray
    unlabelled: np.ndarray
    target_share: float
    alignment: Any
    compared: np.ndarray | None = None
    frozen: FrozenFeatures = field(init=False)

    def __post_init__(self) -> None:
        self.frozen = FrozenFeatures(self.unlabelled)

    def balanced(self, rows: TrainingRows) -> TrainingRows:
        """`rows` with weights of mean one, of which each machine has its share."""
        return rows._replace(weight=share_weights(self.domains, rows.weight, self.target_share))

    def edges(self) -> np.ndarray | None:
        """Smallest and largest values of the rows without a label, where an alignment learns from these; else None."""
        if self.alignment is None or len(self.unlabelled) == 0:
            return None
        return np.stack([self.unlabelled.min(axis=0), self.unlabelled.max(axis=0)])

    @property
    def order_key(self) -> tuple[Any, ...]:
        """What two fits on the same rows must agree in to get the same batches."""
        return self.alignment is None, None if self.compared is None else self.compared.tobytes()

    def change(self, plan: Plan, rows: TrainingRows) -> None:
        """Make `plan` one of rows of all machines.

        What an alignment has to learn is not learned where the labels are: training does not end with their loss.
        """
        plan.streams = self.streams(rows, plan.batch_size)
        if self.alignment is not None:
            plan.stop_loss = 0.0

    def streams(self, rows: TrainingRows, batch_size: int) -> Streams:
        """How batches of about `batch_size` rows are made up of these rows and of those without a label after them."""
        machines, half = sorted(np.unique(self.domains).tolist(), reverse=True), max(batch_size // 2, 1)
        n_sources = sum(domain > 0 for domain in machines)
        found = []
        for domain in machines:
            own = np.flatnonzero(self.domains == domain)
            wanted = half // n_sources if domain > 0 else half // (len(machines) - n_sources)
            count = max(min(len(own), wanted), 1)
            found.append(Stream(torch.from_numpy(own), count, len(own) / len(rows.X), domain > 0))
        if self.alignment is not None:
            if self.compared is not None:
                compared = torch.from_numpy(self.compared)
                found.append(Stream(compared, max(min(len(compared), half), 1), 0.0, True))
            labelled = np.flatnonzero(self.domains < 0)
            target = np.r_[labelled, np.arange(len(rows.X), len(rows.X) + len(self.unlabelled))]
            found.append(Stream(torch.from_numpy(target), max(min(len(target), half), 1), 0.0, False))
        return Streams(found, count_batches(len(rows.X), batch_size), self.alignment)


@dataclass(frozen=True)
class Stream:
    """Rows that every batch holds some of.

    Parameters
    ----------
    rows : tensor of shape (n_rows,), int64
        Their numbers.
    count : int
        How many are in a batch.
    part : float
        Of all labelled rows, that they are: their mean loss counts as much, times their weights, which hold the share
        of their machine. Zero: their labels are not looked at, they are there for the alignment.
    is_source : bool
    """

    rows: torch.Tensor
    count: int
    part: float
    is_source: bool


@dataclass(frozen=True)
class Streams:
    """The streams of a fit, in the order in which a batch holds them.

    Parameters
    ----------
    streams : list of Stream
    n_batches : int
        In an epoch.
    alignment : Alignment or None
    """

    streams: list[Stream]
    n_batches: int
    alignment: Any

    @property
    def shape(self) -> tuple[Any, ...]:
        """What two fits must agree in for their batches to be of one shape."""
        return tuple(stream.count for stream in self.streams), self.n_batches, self.alignment is None

    def slices(self) -> list[slice]:
        """Where each stream's rows are in a batch."""
        ends = np.cumsum([stream.count for stream in self.streams])
        return [slice(int(end) - stream.count, int(end)) for end, stream in zip(ends, self.streams, strict=True)]

    def label_loss(self, losses: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """An estimate of the mean over all labelled rows of weight times loss, from the rows of one batch.

        Parameters
        ----------
        losses, weight : tensor of shape (n_batch,)
        """
        total = losses.new_zeros(())
        for stream, rows in zip(self.streams, self.slices(), strict=True):
            if stream.part:
                total = total + stream.part * torch.dot(losses[rows], weight[rows]) / stream.count
        return total

    def label_factors(self) -> torch.Tensor:
        """Factor of each row's loss in :meth:`label_loss`, shape (n_batch,)."""
        return torch.cat([torch.full((one.count,), one.part / one.count, dtype=torch.float64) for one in self.streams])

    def aligning(self, module: TransferModule, seed: int, X: torch.Tensor) -> Aligning | None:
        """The alignment of one training of `module` on rows like `X`; None: nothing is aligned."""
        if self.alignment is None:
            return None
        n_features, n_outputs = module.head.standardize.mean.numel(), module.head.output.out_features
        network = build_seeded(lambda: self.alignment.network(n_features, n_outputs), seed)
        network = None if network is None else network.to(X.device, X.dtype)
        *others, target = zip(self.streams, self.slices(), strict=True)
        apart = [rows for stream, rows in others if not stream.part]
        # the sources come first
        sources = [rows for stream, rows in others if stream.is_source and stream.part]
        source = apart[0] if apart else slice(0, sources[-1].stop)
        return Aligning(self.alignment, network, source, target[1])

    def order(self, seed: int) -> StreamOrder:
        """Which rows make up the batches."""
        return StreamOrder(self, seed)


class Aligning:
    """An alignment in one training: its network, and its losses of the present epoch.

    Parameters
    ----------
    alignment : Alignment
    network : nn.Module or None
        That trains along.
    source, target : slice
        Where the rows that are aligned are in a batch.
    """

    def __init__(self, alignment: Any, network: nn.Module | None, source: slice, target: slice):
        self.alignment, self.network, self.source, self.target = alignment, network, source, target
        self.losses: list[torch.Tensor] = []

    def loss(self, features: torch.Tensor, outputs: torch.Tensor, progress: float) -> torch.Tensor:
        """The alignment's loss of a batch, times its weight."""
        source, target = features[self.source], features[self.target]
        loss = self.alignment.loss(source, target, outputs[self.target], network=self.network, progress=progress)
        self.losses.append(loss.detach())
        return float(self.alignment.weight) * loss

    def epoch_mean(self, epoch: int, label_losses: torch.Tensor) -> float:
        """Mean loss of the epoch that ends, before the weight.

        Raises
        ------
        ValueError
            If a loss is not finite where that of the labels still was.
        """
        losses = torch.stack(self.losses)
        self.losses = []
        if bool((~torch.isfinite(losses) & torch.isfinite(label_losses)).any()):
            raise ValueError(
                f"The loss of alignment={self.alignment!r} is not finite in epoch {epoch + 1}, where that of the "
                "labels is. Lower its weight, or pass another alignment."
            )
        return float(losses.mean())


class StackedAligning:
    """The alignments of a stack of fits; those that are equal and train nothing along are one call.

    Parameters
    ----------
    fits : list of Aligning
        All fold batches' fits one after the other.
    """

    def __init__(self, fits: list[Any]):
        self.fits, self.networks = fits, [one.network for one in fits]
        together: dict[Any, list[int]] = {}
        for number, one in enumerate(fits):
            together.setdefault(repr(one.alignment) if one.network is None else number, []).append(number)
        self.groups = list(together.values())
        self.label_losses: list[torch.Tensor] = []

    def loss(
        self, features: torch.Tensor, outputs: torch.Tensor, progress: float, label_losses: torch.Tensor
    ) -> torch.Tensor:
        """Sum of the losses of a batch, each times its weight.

        Parameters
        ----------
        features, outputs : tensor of shape (n_folds, n_networks, n_batch, n_features or n_outputs)
        progress : float
        label_losses : tensor of shape (n_folds, n_networks)
            Of the same batch.
        """
        self.label_losses.append(label_losses.detach().flatten())
        features, outputs = features.flatten(0, 1), outputs.flatten(0, 1)
        total = features.new_zeros(())
        for numbers in self.groups:
            first = self.fits[numbers[0]]
            if len(numbers) == 1:
                total = total + first.loss(features[numbers[0]], outputs[numbers[0]], progress)
                continue
            every = len(numbers) == len(self.fits)
            rows, answers = (features, outputs) if every else (features[numbers], outputs[numbers])
            source, target, found = rows[:, first.source], rows[:, first.target], answers[:, first.target]
            losses = first.alignment.loss(source, target, found, network=None, progress=progress)
            for number, loss in zip(numbers, losses.detach().unbind(), strict=True):
                self.fits[number].losses.append(loss)
            total = total + float(first.alignment.weight) * losses.sum()
        return total

    def epoch_means(self, epoch: int) -> list[float | Exception]:
        """Mean loss of each fit in the epoch that ends, or the error that ends the fit."""
        of_labels, self.label_losses = torch.stack(self.label_losses, dim=1), []
        found: list[float | Exception] = []
        for one, label_losses in zip(self.fits, of_labels, strict=True):
            try:
                found.append(one.epoch_mean(epoch, label_losses))
            except ValueError as error:
                found.append(error)
        return found


class StreamOrder:
    """Row numbers of each batch, by a private generator on the CPU; a stream begins again where its rows end."""

    def __init__(self, streams: Streams, seed: int):
        self.streams, self.n_batches = streams, streams.n_batches
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.n_batches

    def draw(self, device: torch.device) -> Iterator[torch.Tensor]:
        """Row numbers of each batch of the next epoch."""
        parts = []
        for stream in self.streams.streams:
            wanted, n_rows = self.n_batches * stream.count, len(stream.rows)
            rounds = [torch.randperm(n_rows, generator=self.generator) for _ in range(-(-wanted // n_rows))]
            parts.append(stream.rows[torch.cat(rounds)[:wanted]].view(self.n_batches, stream.count))
        return iter(torch.cat(parts, dim=1).to(device))


def check_joint(estimator: Any, start: Any, joint: Joint, strategies: list[Any]) -> None:
    """Refuse what a fit on several machines cannot do.

    Raises
    ------
    ValueError
        If batches are augmented, and if features are to be aligned that nothing changes.
    """
    name, n_blocks = type(estimator).__name__, len(start.module.blocks)
    depths = range(n_blocks + 1)
    if any(strategy.augment(depth, n_blocks) is not None for strategy in strategies for depth in depths):
        raise ValueError(
            f"{name}: {start.strategy!r} augments batches, which would mix rows of several machines. Leave "
            "Augmentation out."
        )
    if joint.alignment is not None and not strategies:
        raise ValueError(
            f"{name}: alignment={joint.alignment!r} changes features, but {start.strategy!r} keeps all blocks frozen. "
            "Pass alignment=None, or a strategy that lets blocks learn, such as FineTuning()."
        )
