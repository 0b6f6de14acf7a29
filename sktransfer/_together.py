"""Fits that train together: one optimizer, one backward pass, as many results as fits.

::

    fits --same network shape, batches and phases--> stacks --> StackedNetwork, epochs by the streams' own batches
                                                                   |
                     rate, decay, pull, dropout, row weights of each fit; a fit that diverges or has nothing left to
                     learn is set aside, the others go on

Each fit gets the initial weights, the batches, the dropout and the optimizer that it would have had alone, so the
results differ by rounding only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from sktransfer._assembly import Assembly
from sktransfer._features import BUDGET, FrozenFeatures
from sktransfer._plan import BatchOrder, Plan, cosine, diverged, diverged_weight
from sktransfer._random import draw_levels, dropout_generator
from sktransfer._rows import TrainingRows, count_batches
from sktransfer._stacked import StackedNetwork, shape_of
from sktransfer._training import Schedule, make_plan, schedule
from sktransfer.module import in_chunks
from sktransfer.strategy import pulls_back

# Weights, gradients and moments of one stack: what a processor's cache holds. More lanes would share less.
_STACK_BYTES = 32 * 1024**2


@dataclass
class Lane:
    """One fit among others.

    Parameters
    ----------
    estimator : TransferClassifier or TransferRegressor
        For its parameters.
    assembly, rows, task
        As in a fit on its own.
    tests : list of FrozenFeatures
        Rows for which the trained network's outputs are wanted.
    """

    estimator: Any
    assembly: Assembly
    rows: TrainingRows
    task: Any
    tests: list[FrozenFeatures]
    outputs: list[np.ndarray] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    error: ValueError | None = None
    seconds: float = 0.0

    @property
    def stream(self) -> Hashable:
        """Lanes of one stream get the same batches and the same draws of dropout."""
        return id(self.assembly.frozen), self.assembly.seed

    @cached_property
    def schedule(self) -> Schedule:
        """What is done in this fit."""
        return schedule(self.assembly, self.estimator._n_epochs(len(self.rows.X)))

    @cached_property
    def plans(self) -> list[Plan]:
        """How each of its trainings goes."""
        strategies = self.schedule.strategies
        return [make_plan(self.estimator, self.assembly, self.task, one, len(self.rows.X)) for one in strategies]


def stack_key(lane: Lane) -> Hashable | None:
    """What lanes must have in common to train together; None if this one cannot."""
    estimator, assembly, n_rows = lane.estimator, lane.assembly, len(lane.rows.X)
    if estimator.callbacks or estimator.verbose:
        return None
    module, n_blocks = assembly.module, len(assembly.module.blocks)
    phases = [plan.phases(n_blocks) for plan in lane.plans]
    depths = [depth for run in phases for depth, _ in run]
    # features of blocks that changed in an earlier phase would have to be computed for each lane
    if not depths or depths != sorted(depths, reverse=True):
        return None
    shapes = tuple(shape_of(part) for part in (*module.blocks[depths[-1] :], module.head))
    if None in shapes or not all(assembly.frozen.fits(module, depth) for depth in set(depths)):
        return None
    batch_size = estimator._batch_size(n_rows)
    # BatchNorm that measures its rows takes no padding, so such fits need the same number of rows
    exact = None if module.keep_statistics else n_rows
    runs = tuple(tuple(run) for run in phases)
    return shapes, runs, count_batches(n_rows, batch_size), exact, module.keep_statistics, str(module.device)


def _rank(lane: Lane) -> tuple[Any, ...]:
    """What the optimizer treats alike: rates by depth and decay of each training."""
    depths = range(len(lane.assembly.module.blocks) + 1)
    plans = lane.plans
    return tuple((p.lr, *(p.strategy.rate(d) for d in depths), p.strategy.shrinkage()) for p in plans)


def make_stacks(lanes: Sequence[Lane]) -> list[list[list[Lane]]]:
    """Stacks ``[stream][network]`` of lanes with one key, none larger than is good for the cache."""
    streams: dict[Hashable, list[Lane]] = {}
    for lane in lanes:
        streams.setdefault(lane.stream, []).append(lane)
    alike: dict[Hashable, list[list[Lane]]] = {}
    for stream in streams.values():
        stream.sort(key=_rank)
        alike.setdefault(tuple(_rank(lane) for lane in stream), []).append(stream)
    return [stack for group in alike.values() for stack in _cut(group)]


def _cut(group: list[list[Lane]]) -> list[list[list[Lane]]]:
    module = group[0][0].assembly.module
    first = min(depth for plan in group[0][0].plans for depth, _ in plan.phases(len(module.blocks)))
    trained = [*module.blocks[first:], module.head]
    lane_bytes = 4 * sum(p.numel() * p.element_size() for part in trained for p in part.parameters())
    frozen = group[0][0].assembly.frozen.after(module, first, module.device)
    n_streams = max(1, min(len(group), BUDGET // max(1, frozen.nbytes)))
    if module.device.type != "cpu":
        n_networks = len(group[0])
    else:
        n_lanes = max(1, _STACK_BYTES // lane_bytes)
        n_networks = min(len(group[0]), n_lanes)
        n_streams = min(n_streams, max(1, n_lanes // n_networks))
    return [
        [stream[k : k + n_networks] for stream in group[s : s + n_streams]]
        for s in range(0, len(group), n_streams)
        for k in range(0, len(group[0]), n_networks)
    ]


def train_stack(stack: list[list[Lane]], on_epoch: Callable[[int, float], None]) -> None:
    """Train the lanes of one stack and fill in their outputs, losses, errors and seconds.

    `on_epoch` is told how many lanes have gone what share of their way.
    """
    began = time.perf_counter()
    lanes = [lane for stream in stack for lane in stream]
    plans = [lane.plans for lane in lanes]
    depths = [depth for plan in plans[0] for depth, _ in plan.phases(len(lanes[0].assembly.module.blocks))]
    network = StackedNetwork([[lane.assembly.module for lane in stream] for stream in stack], min(depths))
    n_epochs = sum(plan.max_epochs for plan in plans[0])
    for number in range(len(plans[0])):
        last = number == len(plans[0]) - 1
        shares = [lane.schedule.share for lane in lanes]
        before = {k: w.detach().clone() for k, w in network.weights.items()} if last and min(shares) < 1 else {}
        _Run(network, stack, [plan[number] for plan in plans]).train(lambda: on_epoch(len(lanes), 1 / n_epochs))
        if before:
            _average(network, before, shares)
    _finish(network, stack, min(depths))
    for lane in lanes:
        lane.seconds += (time.perf_counter() - began) / len(lanes)


def _average(network: StackedNetwork, before: dict[str, torch.Tensor], shares: list[float]) -> None:
    with torch.no_grad():
        for name, weight in network.weights.items():
            share = torch.tensor(shares, dtype=weight.dtype, device=weight.device)
            share = share.view(*network.size, *(1,) * (weight.ndim - 2))
            weight.copy_(before[name].lerp(weight, share))


def _finish(network: StackedNetwork, stack: list[list[Lane]], start: int) -> None:
    """Outputs for the rows of each lane's tests."""
    finite = torch.stack([w.detach().flatten(2).isfinite().all(dim=2) for w in network.weights.values()]).all(dim=0)
    for number in range(len(stack[0][0].tests)):
        features = [stream[0].tests[number].after(stream[0].assembly.module, start, _device(stack)) for stream in stack]
        outputs = _outputs(network, features, start)
        for s, stream in enumerate(stack):
            for k, lane in enumerate(stream):
                lane.outputs.append(outputs[s][k])
    for s, stream in enumerate(stack):
        for k, lane in enumerate(stream):
            if lane.error is None and not finite[s, k]:
                lane.error = diverged_weight(lane.estimator.lr)


def _outputs(network: StackedNetwork, features: list[torch.Tensor], start: int) -> list[np.ndarray]:
    """Of each stream, an array of shape (n_networks, n_rows, n_outputs), float64."""
    network.training, parts = False, []
    rows = _pad(features)
    with torch.inference_mode():
        for part in in_chunks(rows.shape[1], 256):
            parts.append(network(rows[:, part], start).double().cpu().numpy())
    together = np.concatenate(parts, axis=2)
    return [together[s, :, : len(x)] for s, x in enumerate(features)]


def _pad(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Stacked, with rows of zeros where one has fewer."""
    longest = max(len(one) for one in tensors)
    out = tensors[0].new_zeros((len(tensors), longest, *tensors[0].shape[1:]))
    for s, one in enumerate(tensors):
        out[s, : len(one)] = one
    return out


def _device(stack: list[list[Lane]]) -> torch.device:
    return stack[0][0].assembly.module.device


class _Run:
    """One training of all lanes of a stack: what ``_net.train`` is for one fit."""

    def __init__(self, network: StackedNetwork, stack: list[list[Lane]], plans: list[Plan]):
        self.network, self.stack, self.plans = network, stack, plans
        self.lanes = [lane for stream in stack for lane in stream]
        self.device, first = _device(stack), plans[0]
        rows = [stream[0].rows for stream in stack]
        seeds = [stream[0].assembly.seed for stream in stack]
        self.keys = [(len(r.X), seed) for r, seed in zip(rows, seeds, strict=True)]
        self.orders = {key: BatchOrder(key[0], first.batch_size, key[1]) for key in self.keys}
        self.generators: dict[tuple[int, int, int], torch.Generator] = {}
        self.longest = max(len(r.X) for r in rows)
        self.dtype = next(iter(network.weights.values())).dtype
        self.y = _pad([torch.from_numpy(np.ascontiguousarray(r.y)).to(self.device) for r in rows]).flatten(0, 1)
        self.y = self.y.to(self.dtype) if self.y.is_floating_point() else self.y
        self.weight = self._weights().to(self.device, self.dtype)
        self.positions, self.sizes = self._positions()
        self.done = [lane.error is not None for lane in self.lanes]
        self.kept: dict[int, dict[str, torch.Tensor]] = {}
        self.epoch = 0
        self.pulls = any(pulls_back(plan.strategy) for plan in plans)
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
            for first, last in zip(edges, edges[1:], strict=False):
                whole = last - first == n_networks
                for where in [slice(None)] if whole else [(s, slice(first, last)) for s in range(n_streams)]:
                    groups.setdefault(options[first], []).append((name, weight.detach()[where], where))
        self.views = [view for group in groups.values() for view in group]
        self.rates = [lr for lr, _ in groups]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [view for _, view, _ in group], "lr": lr, "weight_decay": decay}
                for (lr, decay), group in groups.items()
            ],
            fused=True,
        )

    def _options(self, plan: Plan, name: str, weight: torch.Tensor) -> tuple[float, float]:
        # matrices decay; stacked, they have two dimensions more
        decay = plan.strategy.shrinkage() if weight.ndim > 3 else 0.0
        return plan.lr * plan.strategy.rate(self.network.depths[name]), decay

    def train(self, on_epoch: Callable[[], None]) -> None:
        """All phases; lanes that are done keep the weights that they had then."""
        n_blocks = len(self.lanes[0].assembly.module.blocks)
        for n_frozen, n_epochs in self.plans[0].phases(n_blocks):
            features = [s[0].assembly.frozen.after(s[0].assembly.module, n_frozen, self.device) for s in self.stack]
            X = _pad(features).flatten(0, 1)
            for _ in range(n_epochs):
                if not all(self.done):
                    self._train_epoch(X, n_frozen)
                on_epoch()
        n_networks = self.network.size[1]
        with torch.no_grad():
            for number, state in self.kept.items():
                for name, value in state.items():
                    where = self.network.weights.get(name, self.network.buffers.get(name))
                    where[number // n_networks, number % n_networks] = value

    def _train_epoch(self, X: torch.Tensor, n_frozen: int) -> None:
        self.network.training = True
        permutations = {key: order.permutation() for key, order in self.orders.items()}
        total = torch.zeros(self.network.size, dtype=self.dtype, device=self.device)
        n_batches = len(self.positions)
        for j in range(n_batches):
            factor = cosine((self.epoch + j / n_batches) / self.plans[0].max_epochs)
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate * factor
            total += self._step(X, n_frozen, j, permutations) * self.sizes[j].to(self.device)[:, None]
        n_rows = torch.tensor([key[0] for key in self.keys], device=self.device)[:, None]
        self._note((total / n_rows).flatten().tolist())
        self.epoch += 1

    def _step(self, X: torch.Tensor, n_frozen: int, batch: int, permutations: dict[Any, torch.Tensor]) -> torch.Tensor:
        """One step of the optimizer; the losses of all lanes, of shape (n_streams, n_networks)."""
        index = self._index(batch, permutations)
        n_streams, size = index.shape
        flat = index.clamp(min=0).flatten()
        x, y = X[flat].view(n_streams, size, *X.shape[1:]), self.y[flat]
        weight = self.weight[flat].masked_fill_((index < 0).flatten()[:, None], 0.0).view(n_streams, size, -1)
        self.network.levels = lambda place, width: self._levels(place, width, batch)
        outputs = self.network(x, n_frozen)
        losses = self._losses(outputs, y.view(n_streams, size, *y.shape[1:]), weight, batch, n_frozen)
        losses.sum().backward()
        for name, view, where in self.views:
            gradient = self.network.weights[name].grad
            view.grad = None if gradient is None else gradient[where]
        self.optimizer.step()
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

    def _losses(self, outputs: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, batch: int, n_frozen: int) -> torch.Tensor:
        n_streams, n_networks, size, n_outputs = outputs.shape
        labels = y.unsqueeze(1).expand(n_streams, n_networks, *y.shape[1:]).flatten(0, 2)
        each = self.plans[0].loss(outputs.reshape(-1, n_outputs), labels).view(n_streams, n_networks, size)
        sizes = self.sizes[batch].to(self.device)[:, None]
        losses = (each * weight.transpose(1, 2)).sum(dim=2) / sizes
        return losses + self._pulls(n_frozen) if self.pulls else losses

    def _pulls(self, n_frozen: int) -> torch.Tensor | float:
        """What the strategies add for the distance from the source, of shape (n_streams, n_networks)."""
        above = len(self.lanes[0].assembly.module.blocks) - n_frozen
        learning = {name: w for name, w in self.network.weights.items() if self.network.depths[name] <= above}
        parts = {name: w.flatten(0, 1).unbind() for name, w in learning.items()}
        pulls = [
            plan.strategy.penalty({name: part[i] for name, part in parts.items()}, plan.source)
            for i, plan in enumerate(self.plans)
        ]
        if not any(isinstance(pull, torch.Tensor) for pull in pulls):
            return torch.tensor(pulls, dtype=self.dtype, device=self.device).view(self.network.size)
        return torch.stack([torch.as_tensor(pull, dtype=self.dtype) for pull in pulls]).view(self.network.size)

    def _levels(self, place: int, width: int, batch: int) -> torch.Tensor:
        """Levels of one dropout layer, of shape (n_streams, size, width)."""
        drawn: dict[tuple[int, int], torch.Tensor] = {}
        for s, key in enumerate(self.keys):
            if key not in drawn:
                if (*key, place) not in self.generators:
                    self.generators[*key, place] = dropout_generator(key[1], place, self.device)
                drawn[key] = draw_levels((int(self.sizes[batch, s]), width), self.generators[*key, place])
        return _pad([drawn[key] for key in self.keys])

    def _note(self, losses: list[float]) -> None:
        for number, (lane, plan, loss) in enumerate(zip(self.lanes, self.plans, losses, strict=True)):
            if self.done[number]:
                continue
            if not np.isfinite(loss):
                lane.error, self.done[number] = diverged(plan.lr, self.epoch), True
                continue
            lane.losses.append(loss)
            if loss < plan.stop_loss:
                self.kept[number] = self.network.state_of(*divmod(number, self.network.size[1]))
                self.done[number] = True
