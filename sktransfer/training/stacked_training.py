"""Training of a stack: what `skorch_net.py` does for one fit, for many fits at once, by the same rules of `plan.py`.

::

    batch of each fold --> StackedNetwork --> loss of each fit: its row weights, its penalty --sum--> backward
                                                                                                        |
                        AdamW on views of the stacked weights, one group for each learning rate and weight decay
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from sktransfer.strategies.base import adds_penalty
from sktransfer.training.adamw import FusedAdamW
from sktransfer.training.dropout import draw_integers, dropout_generator
from sktransfer.training.joint import StackedAligning
from sktransfer.training.plan import BatchOrder, Plan, cosine, diverged, groups
from sktransfer.training.stacked_network import StackedNetwork, pad


class StackedTraining:
    """One training of all fits of a stack.

    Parameters
    ----------
    network : StackedNetwork
        Changed in place.
    stack : list of list of StackedFit
        By fold batch; errors and histories are filled in.
    plans : list of Plan
        Of each fit, all fold batches' fits one after the other.
    """

    def __init__(self, network: StackedNetwork, stack: list[list[Any]], plans: list[Plan]):
        self.network, self.stack, self.plans = network, stack, plans
        self.fits = [fit for batch in stack for fit in batch]
        self.device, first = stack[0][0].start.module.device, plans[0]
        rows = [batch[0].rows for batch in stack]
        seeds = [batch[0].start.seed for batch in stack]
        self.dtype = next(iter(network.weights.values())).dtype
        # of fits on several machines; one of a fold batch stands for all
        self.streams = [plan.streams for plan in plans[:: network.size[1]]] if first.streams is not None else None
        self.generators: dict[tuple[int, ...], torch.Generator] = {}
        self.keys: list[tuple[int, ...]] = [(len(r.X), seed) for r, seed in zip(rows, seeds, strict=True)]
        self.orders: dict[tuple[int, ...], Any] = {}
        n_rows = [len(r.X) for r in rows]
        if self.streams is None:
            self.orders = {key: BatchOrder(key[0], first.batch_size, key[1]) for key in self.keys}
            self.positions, self.sizes = self._positions()
        else:
            # each fold has rows of its own in each stream
            self.keys = [(*key, fold) for fold, key in enumerate(self.keys)]
            self.orders = {key: one.order(key[1]) for key, one in zip(self.keys, self.streams, strict=True)}
            self.factors = torch.stack([one.label_factors() for one in self.streams]).to(self.device, self.dtype)
            self.sizes = torch.full((first.streams.n_batches, len(stack)), self.factors.shape[1])
            n_rows = [n + len(batch[0].joint.unlabelled) for n, batch in zip(n_rows, stack, strict=True)]
        self.longest = max(n_rows)
        y = [torch.from_numpy(np.ascontiguousarray(r.y)).to(self.device) for r in rows]
        # rows without a label, after those with one, count zero
        y = [torch.cat([one, one.new_zeros((n - len(one), *one.shape[1:]))]) for one, n in zip(y, n_rows, strict=True)]
        self.y = pad(y).flatten(0, 1)
        self.y = self.y.to(self.dtype) if self.y.is_floating_point() else self.y
        self.weight = self._weights().to(self.device, self.dtype)
        self.aligning = self._aligning()
        self.done = [fit.error is not None for fit in self.fits]
        self.kept: dict[int, dict[str, torch.Tensor]] = {}
        self.epoch = 0
        self.learning: dict[str, torch.Tensor] = {}
        self.penalised = [number for number, plan in enumerate(plans) if adds_penalty(plan.strategy)]
        self.optimizer = self._optimizer()
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]

    def _weights(self) -> torch.Tensor:
        """Row weights of mean 1, of shape (n_folds * n_rows, n_networks); 0 where a fold has no row."""
        weights = torch.zeros(len(self.stack), self.longest, len(self.stack[0]), dtype=torch.float64)
        for s, batch in enumerate(self.stack):
            for k, fit in enumerate(batch):
                weights[s, : len(fit.rows.weight), k] = torch.from_numpy(fit.rows.weight / fit.rows.weight.mean())
        return weights.flatten(0, 1)

    def _positions(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions in the permutation of each batch (n_batches, n_folds, size), -1 where it is shorter; sizes."""
        n_batches = len(self.orders[self.keys[0]])
        bounds = [self.orders[key].bounds for key in self.keys]
        sizes = torch.tensor([[b[j + 1] - b[j] for b in bounds] for j in range(n_batches)])
        positions = torch.full((n_batches, len(bounds), int(sizes.max())), -1)
        for s, bound in enumerate(bounds):
            for j in range(n_batches):
                positions[j, s, : sizes[j, s]] = torch.arange(bound[j], bound[j + 1])
        return positions, sizes

    def _aligning(self) -> StackedAligning | None:
        if self.streams is None or self.streams[0].alignment is None:
            return None
        one_row = self.weight[:0]  # for its device and type
        fits = zip(self.fits, self.plans, strict=True)
        return StackedAligning([plan.streams.aligning(fit.start.module, plan.seed, one_row) for fit, plan in fits])

    def _optimizer(self) -> FusedAdamW:
        """AdamW on detached views of the stacked weights; networks with equal groups beside each other share views."""
        n_folds, n_networks = self.network.size
        of_each = [fit.optimizer_groups for fit in self.stack[0]]
        edges = [0, *(k for k in range(1, n_networks) if of_each[k] != of_each[k - 1]), n_networks]
        found: dict[tuple[float, float], list[torch.Tensor]] = {}
        self.views: list[tuple[torch.Tensor, str, Any]] = []
        for first, last in pairwise(edges):
            # the optimizer's kernel takes memory in one piece
            whole = last - first == n_networks
            for where in [(slice(None),)] if whole else [(s, slice(first, last)) for s in range(n_folds)]:
                weights = {name: weight.detach()[where] for name, weight in self.network.weights.items()}
                by_depth = [(self.network.depths[name], {name: view}) for name, view in weights.items()]
                for options, named in groups(self.plans[first], by_depth, 2 if whole else 1).items():
                    found.setdefault(options, []).extend(view for _, view in named)
                    self.views.extend((view, name, where) for name, view in named)
        rates: list[dict[str, Any]] = [
            {"params": views, "lr": lr, "weight_decay": decay} for (lr, decay), views in found.items()
        ]
        for plan, network in zip(self.plans, [] if self.aligning is None else self.aligning.networks, strict=False):
            if network is not None:
                rates.append({"params": [*network.parameters()], "lr": plan.lr, "weight_decay": 0.0})
        return FusedAdamW(rates)

    def train(self, on_epoch: Callable[[], None]) -> None:
        """All phases; fits that are done keep the weights that they had then."""
        n_blocks = len(self.fits[0].start.module.blocks)
        for n_frozen, n_epochs in self.plans[0].phases(n_blocks):
            features = [self._features(batch[0], n_frozen) for batch in self.stack]
            X, start = pad(features), n_frozen
            if self.aligning is None:
                X, start = self.network.standardized(X, n_frozen)
            depths = self.network.depths
            self.learning = {n: w for n, w in self.network.weights.items() if depths[n] <= n_blocks - n_frozen}
            for _ in range(n_epochs):
                if not all(self.done):
                    self._train_epoch(X.flatten(0, 1), start, n_frozen)
                on_epoch()
        tensors, n_networks = self.network.weights | self.network.buffers, self.network.size[1]
        with torch.no_grad():
            for number, state in self.kept.items():
                for name, value in state.items():
                    tensors[name][divmod(number, n_networks)] = value

    def _features(self, fit: Any, n_frozen: int) -> torch.Tensor:
        """What block `n_frozen` takes of the rows of a fold, and after them of those without a label."""
        X: torch.Tensor = fit.start.frozen.after(fit.start.module, n_frozen, self.device)
        if fit.joint is None or len(fit.joint.unlabelled) == 0:
            return X
        return torch.cat([X, fit.joint.frozen.after(fit.start.module, n_frozen, self.device).to(X.dtype)])

    def _train_epoch(self, X: torch.Tensor, start: int, n_frozen: int) -> None:
        self.network.training = True
        index = self._index()
        total = torch.zeros(self.network.size, dtype=self.dtype, device=self.device)
        for j, sizes in enumerate(self.sizes.to(self.device)):
            self.progress = (self.epoch + j / len(self.sizes)) / self.plans[0].max_epochs
            factor = cosine(self.progress)
            for group, lr in zip(self.optimizer.param_groups, self.base_rates, strict=True):
                group["lr"] = lr * factor
            total += self._step(X, start, j, index[j, :, : int(self.sizes[j].max())]) * sizes[:, None]
        n_rows = self.sizes.sum(dim=0).to(self.device)[:, None]
        self._note((total / n_rows).flatten().tolist(), n_frozen)
        self.epoch += 1

    def _index(self) -> torch.Tensor:
        """Rows of each batch of an epoch among those of all folds, of shape (n_batches, n_folds, size).

        A fold's own first row stands where a batch has none: it weighs nothing there.
        """
        if self.streams is not None:
            batches = [torch.stack([*self.orders[key].draw(torch.device("cpu"))]) for key in self.keys]
            return torch.stack([one + s * self.longest for s, one in enumerate(batches)], dim=1).to(self.device)
        drawn = {key: order.permutation() for key, order in self.orders.items()}
        rows = [
            torch.where(positions < 0, 0, drawn[key][positions]) + s * self.longest
            for s, (key, positions) in enumerate(zip(self.keys, self.positions.unbind(1), strict=True))
        ]
        return torch.stack(rows, dim=1).to(self.device)

    def _step(self, X: torch.Tensor, start: int, batch: int, index: torch.Tensor) -> torch.Tensor:
        """One step of the optimizer; the losses of all fits, of shape (n_folds, n_networks)."""
        (n_folds, size), flat = index.shape, index.reshape(-1)
        x, y, weight = (
            part.index_select(0, flat).view(n_folds, size, *part.shape[1:]) for part in (X, self.y, self.weight)
        )
        if self.streams is None and int(self.sizes[batch].min()) < size:
            weight.masked_fill_((self.positions[batch, :, :size] < 0).to(self.device).unsqueeze(2), 0.0)
        self.network.random_integers = lambda position, width: self._random_integers(position, width, batch)
        if self.aligning is None:
            losses = self._losses(self.network(x, start), y, weight, batch)
            losses.sum().backward()
        else:
            features, outputs = self.network.with_features(x, start)
            losses = self._losses(outputs, y, weight, batch)
            (losses.sum() + self.aligning.loss(features, outputs, self.progress, losses)).backward()
        gradients = {name: weight.grad for name, weight in self.network.weights.items()}
        for view, name, where in self.views:
            gradient = gradients[name]
            view.grad = None if gradient is None else gradient[where]
        self.optimizer.step()
        self.optimizer.zero_grad()
        for weight in self.network.weights.values():
            weight.grad = None
        return losses.detach()

    def _losses(self, outputs: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, batch: int) -> torch.Tensor:
        n_folds, n_networks, size, _ = outputs.shape
        labels = y if y.ndim == 2 else y.transpose(1, 2)
        labels = labels.unsqueeze(1).expand(n_folds, n_networks, *labels.shape[1:]).flatten(0, 1)
        # rows as columns, as the network holds them: several times as fast as one row of few outputs after the other
        each = self.plans[0].loss(outputs.transpose(2, 3).flatten(0, 1), labels).view(n_folds, n_networks, size)
        if self.streams is None:
            losses = (each * weight.transpose(1, 2)).sum(dim=2) / self.sizes[batch].to(self.device)[:, None]
        else:
            losses = (each * weight.transpose(1, 2) * self.factors[:, None]).sum(dim=2)
        return losses + self._penalties() if self.penalised else losses

    def _penalties(self) -> torch.Tensor:
        """What the strategies add to the losses, of shape (n_folds, n_networks)."""
        parts = {name: weight.flatten(0, 1).unbind() for name, weight in self.learning.items()}
        zero = torch.zeros((), dtype=self.dtype, device=self.device)
        found = [zero] * len(self.fits)
        for number in self.penalised:
            plan = self.plans[number]
            try:
                penalty = plan.strategy.penalty({name: part[number] for name, part in parts.items()}, plan.source)
            except Exception as error:  # what a strategy of the user's raises ends its own fit alone
                self.fits[number].error, self.done[number] = self.fits[number].error or error, True
                continue
            found[number] = torch.as_tensor(penalty, dtype=zero.dtype, device=zero.device)
        return torch.stack(found).view(self.network.size)

    def _random_integers(self, position: int, width: int, batch: int) -> torch.Tensor:
        """Random numbers for one dropout layer, of shape (n_folds, size, width)."""
        drawn: dict[tuple[int, ...], torch.Tensor] = {}
        for s, key in enumerate(self.keys):
            if key not in drawn:
                if (*key, position) not in self.generators:
                    self.generators[*key, position] = dropout_generator(key[1], position, self.device)
                drawn[key] = draw_integers((int(self.sizes[batch, s]), width), self.generators[*key, position])
        return pad([drawn[key] for key in self.keys])

    def _note(self, losses: list[float], n_frozen: int) -> None:
        aligned = None if self.aligning is None else self.aligning.epoch_means(self.epoch)
        for number, (fit, plan, loss) in enumerate(zip(self.fits, self.plans, losses, strict=True)):
            if self.done[number]:
                continue
            of_alignment = None if aligned is None else aligned[number]
            if isinstance(of_alignment, Exception) or not np.isfinite(loss):
                self.done[number] = True
                fit.error = of_alignment if isinstance(of_alignment, Exception) else diverged(plan.lr, self.epoch)
                continue
            record: dict[str, Any] = {"epoch": self.epoch + 1, "train_loss": loss, "frozen_blocks": n_frozen}
            if of_alignment is not None:
                record["alignment_loss"] = of_alignment
            fit.history.append(record)
            if plan.stopped(loss):
                self.kept[number] = self.network.state_of(*divmod(number, self.network.size[1]))
                self.done[number] = True
