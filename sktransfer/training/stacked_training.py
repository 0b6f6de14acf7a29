"""Training of a stack: what `_net.train` is for one fit, for many that go in step.

::

    batch of each stream --> StackedNetwork --> loss of each lane: its row weights, its pull --sum--> backward
                                                                                                        |
                                 AdamW on views of the stacked weights, one call for each rate and decay
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from sktransfer.training.adamw import Moments, step_of_adamw
from sktransfer.training.dropout import draw_levels, dropout_generator
from sktransfer.training.plan import BatchOrder, Plan, cosine, diverged
from sktransfer.training.pulls import Pulls
from sktransfer.training.stacked_network import StackedNetwork, pad


class StackedTraining:
    """One training of all lanes of a stack.

    Parameters
    ----------
    network : StackedNetwork
        Changed in place.
    stack : list of list of Lane
        By stream; errors and losses are filled in.
    plans : list of Plan
        Of each lane, all streams' lanes one after the other.
    """

    def __init__(self, network: StackedNetwork, stack: list[list[Any]], plans: list[Plan]):
        self.network, self.stack, self.plans = network, stack, plans
        self.fits = [lane for stream in stack for lane in stream]
        self.device, first = stack[0][0].assembly.module.device, plans[0]
        rows = [stream[0].rows for stream in stack]
        seeds = [stream[0].assembly.seed for stream in stack]
        self.keys = [(len(r.X), seed) for r, seed in zip(rows, seeds, strict=True)]
        self.orders = {key: BatchOrder(key[0], first.batch_size, key[1]) for key in self.keys}
        self.generators: dict[tuple[int, int, int], torch.Generator] = {}
        self.longest = max(len(r.X) for r in rows)
        self.firsts = torch.arange(len(rows), device=self.device)[:, None] * self.longest
        self.dtype = next(iter(network.weights.values())).dtype
        self.y = pad([torch.from_numpy(np.ascontiguousarray(r.y)).to(self.device) for r in rows]).flatten(0, 1)
        self.y = self.y.to(self.dtype) if self.y.is_floating_point() else self.y
        self.weight = self._weights().to(self.device, self.dtype)
        self.positions, self.sizes = self._positions()
        self.done = [lane.error is not None for lane in self.fits]
        self.kept: dict[int, dict[str, torch.Tensor]] = {}
        self.epoch = 0
        self.pulls = Pulls(network, plans, len(self.fits[0].assembly.module.blocks))
        self._begin_optimizer()

    def _weights(self) -> torch.Tensor:
        """Row weights of mean 1, of shape (n_streams * n_rows, n_networks); 0 where a stream has no row."""
        weights = torch.zeros(len(self.stack), self.longest, len(self.stack[0]), dtype=torch.float64)
        for s, stream in enumerate(self.stack):
            for k, lane in enumerate(stream):
                weights[s, : len(lane.rows.weight), k] = torch.from_numpy(lane.rows.weight / lane.rows.weight.mean())
        return weights.flatten(0, 1)

    def _positions(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Places in the permutation of each batch (n_batches, n_streams, size), -1 where it is shorter; sizes."""
        n_batches = len(self.orders[self.keys[0]])
        bounds = [self.orders[key].bounds for key in self.keys]
        sizes = torch.tensor([[b[j + 1] - b[j] for b in bounds] for j in range(n_batches)])
        positions = torch.full((n_batches, len(bounds), int(sizes.max())), -1)
        for s, bound in enumerate(bounds):
            for j in range(n_batches):
                positions[j, s, : sizes[j, s]] = torch.arange(bound[j], bound[j + 1])
        return positions, sizes

    def _begin_optimizer(self) -> None:
        """AdamW on views of the stacked weights, one group for each rate and decay."""
        groups: dict[tuple[float, float], list[tuple[str, torch.Tensor, Any]]] = {}
        n_streams, n_networks = self.network.size
        for name, weight in self.network.weights.items():
            options = [self._options(plan, name, weight) for plan in self.plans[:n_networks]]
            edges = [0, *(k for k in range(1, n_networks) if options[k] != options[k - 1]), n_networks]
            for first, last in pairwise(edges):
                whole = last - first == n_networks
                for where in [slice(None)] if whole else [(s, slice(first, last)) for s in range(n_streams)]:
                    groups.setdefault(options[first], []).append((name, weight.detach()[where], where))
        self.groups = {options: [self._moments(*view) for view in group] for options, group in groups.items()}

    def _moments(self, name: str, view: torch.Tensor, where: Any) -> Moments:
        def gradient() -> torch.Tensor | None:
            whole = self.network.weights[name].grad
            return None if whole is None else whole[where]

        return Moments(view, gradient)

    def _options(self, plan: Plan, name: str, weight: torch.Tensor) -> tuple[float, float]:
        # matrices decay; stacked, they have two dimensions more
        decay = plan.strategy.weight_decay_rate() if weight.ndim > 3 else 0.0
        return plan.lr * plan.strategy.lr_factor(self.network.depths[name]), decay

    def train(self, on_epoch: Callable[[], None]) -> None:
        """All phases; lanes that are done keep the weights that they had then."""
        n_blocks = len(self.fits[0].assembly.module.blocks)
        for n_frozen, n_epochs in self.plans[0].phases(n_blocks):
            features = [s[0].assembly.frozen.after(s[0].assembly.module, n_frozen, self.device) for s in self.stack]
            X = pad(features).flatten(0, 1)
            for _ in range(n_epochs):
                if not all(self.done):
                    self._train_epoch(X, n_frozen)
                on_epoch()
        tensors, n_networks = self.network.weights | self.network.buffers, self.network.size[1]
        with torch.no_grad():
            for number, state in self.kept.items():
                for name, value in state.items():
                    tensors[name][divmod(number, n_networks)] = value

    def _train_epoch(self, X: torch.Tensor, n_frozen: int) -> None:
        self.network.training = True
        permutations = {key: order.permutation() for key, order in self.orders.items()}
        total = torch.zeros(self.network.size, dtype=self.dtype, device=self.device)
        for j in range(len(self.positions)):
            total += self._step(X, n_frozen, j, permutations) * self.sizes[j].to(self.device)[:, None]
        n_rows = torch.tensor([key[0] for key in self.keys], device=self.device)[:, None]
        self._note((total / n_rows).flatten().tolist(), n_frozen)
        self.epoch += 1

    def _step(self, X: torch.Tensor, n_frozen: int, batch: int, permutations: dict[Any, torch.Tensor]) -> torch.Tensor:
        """One step of the optimizer; the losses of all lanes, of shape (n_streams, n_networks)."""
        index = self._index(batch, permutations)
        n_streams, size = index.shape
        # a stream's own first row stands where it has none: it weighs nothing
        flat = torch.where(index < 0, self.firsts, index).flatten()
        x, y = X.index_select(0, flat).view(n_streams, size, *X.shape[1:]), self.y[flat]
        weight = self.weight[flat].masked_fill_((index < 0).flatten()[:, None], 0.0).view(n_streams, size, -1)
        self.network.levels = lambda place, width: self._levels(place, width, batch)
        outputs = self.network(x, n_frozen)
        losses = self._losses(outputs, y.view(n_streams, size, *y.shape[1:]), weight, batch, n_frozen)
        losses.sum().backward()
        factor = cosine((self.epoch + batch / len(self.positions)) / self.plans[0].max_epochs)
        for (lr, decay), group in self.groups.items():
            step_of_adamw(group, lr * factor, decay)
        for weights in self.network.weights.values():
            weights.grad = None
        return losses.detach()

    def _index(self, batch: int, permutations: dict[Any, torch.Tensor]) -> torch.Tensor:
        """Rows of the batch among those of all streams, of shape (n_streams, size); negative where there is none."""
        rows = []
        for s, key in enumerate(self.keys):
            places = self.positions[batch, s, : self.sizes[batch].max()]
            rows.append(torch.where(places < 0, -1, permutations[key][places] + s * self.longest))
        return torch.stack(rows).to(self.device)

    def _losses(
        self, outputs: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, batch: int, n_frozen: int
    ) -> torch.Tensor:
        n_streams, n_networks, size, n_outputs = outputs.shape
        labels = y.unsqueeze(1).expand(n_streams, n_networks, *y.shape[1:]).flatten(0, 2)
        each = self.plans[0].loss(outputs.reshape(-1, n_outputs), labels).view(n_streams, n_networks, size)
        sizes = self.sizes[batch].to(self.device)[:, None]
        losses = (each * weight.transpose(1, 2)).sum(dim=2) / sizes
        return losses + self.pulls(n_frozen) if self.pulls.any else losses

    def _levels(self, place: int, width: int, batch: int) -> torch.Tensor:
        """Levels of one dropout layer, of shape (n_streams, size, width)."""
        drawn: dict[tuple[int, int], torch.Tensor] = {}
        for s, key in enumerate(self.keys):
            if key not in drawn:
                if (*key, place) not in self.generators:
                    self.generators[*key, place] = dropout_generator(key[1], place, self.device)
                drawn[key] = draw_levels((int(self.sizes[batch, s]), width), self.generators[*key, place])
        return pad([drawn[key] for key in self.keys])

    def _note(self, losses: list[float], n_frozen: int) -> None:
        for number, (lane, plan, loss) in enumerate(zip(self.fits, self.plans, losses, strict=True)):
            if self.done[number]:
                continue
            if not np.isfinite(loss):
                lane.error, self.done[number] = diverged(plan.lr, self.epoch), True
                continue
            lane.history.append({"epoch": self.epoch + 1, "train_loss": loss, "frozen_blocks": n_frozen})
            if loss < plan.stop_loss:
                self.kept[number] = self.network.state_of(*divmod(number, self.network.size[1]))
                self.done[number] = True
