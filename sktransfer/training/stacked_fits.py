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

from sktransfer.training import frozen_features as _features
from sktransfer.training.dropout import count_dropouts
from sktransfer.training.fit import Schedule, make_plan, schedule
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.plan import Plan, diverged_weight
from sktransfer.training.rows import TrainingRows, count_batches
from sktransfer.training.stacked_network import StackedNetwork, pad, shapes_of
from sktransfer.training.stacked_training import Lockstep
from sktransfer.training.start import FitStart
from sktransfer.utils.chunks import in_chunks

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
    assembly: FitStart
    rows: TrainingRows
    task: Any
    tests: list[FrozenFeatures]
    outputs: list[np.ndarray] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    error: ValueError | None = None
    seconds: float = 0.0

    @property
    def all_rows(self) -> list[FrozenFeatures]:
        """Rows that it trains on, and those that are scored."""
        return [self.assembly.frozen, *self.tests]

    @property
    def nbytes(self) -> int:
        """Memory of its weights that no other lane has."""
        return sum(part.numel() * part.element_size() for part in self.assembly.module.head.parameters())

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
    module, n_blocks = assembly.module, len(assembly.module.blocks)
    if any(plan.augments(n_blocks) for plan in lane.plans):
        return None
    phases = [plan.phases(n_blocks) for plan in lane.plans]
    depths = [depth for run in phases for depth, _ in run]
    # features of blocks that changed in an earlier phase would have to be computed for each lane
    if not depths or depths != sorted(depths, reverse=True):
        return None
    shapes = shapes_of([*module.blocks[depths[-1] :], module.head])
    if shapes is None or not all(rows.fits(module, depth) for rows in lane.all_rows for depth in set(depths)):
        return None
    batch_size = estimator._batch_size(n_rows)
    # BatchNorm that measures its rows takes no padding, so such fits need the same number of rows
    exact = None if module.keep_statistics else n_rows
    runs = tuple(tuple(run) for run in phases)
    # names of weights, for strategies, and places of dropout layers, for their draws
    names, places = module.names[depths[-1] :], count_dropouts(module.blocks[: depths[-1]])
    batches = count_batches(n_rows, batch_size), exact, module.keep_statistics
    return type(estimator), shapes, runs, names, places, batches, str(module.device)


def rank(lane: Lane) -> tuple[Any, ...]:
    """What the optimizer treats alike: rates by depth and decay of each training."""
    depths = range(len(lane.assembly.module.blocks) + 1)
    plans = lane.plans
    return tuple((p.lr, *(p.strategy.lr_factor(d) for d in depths), p.strategy.weight_decay_rate()) for p in plans)


def make_stacks(lanes: Sequence[Lane], n_workers: int = 1) -> list[list[list[Lane]]]:
    """Stacks ``[stream][network]`` of lanes with one key, none larger than is good for the cache.

    On the CPU they are small enough for `n_workers` threads to be done at about the same time.
    """
    streams: dict[Hashable, list[Lane]] = {}
    for lane in lanes:
        streams.setdefault(lane.stream, []).append(lane)
    alike: dict[Hashable, list[list[Lane]]] = {}
    for stream in streams.values():
        stream.sort(key=rank)
        alike.setdefault(tuple(rank(lane) for lane in stream), []).append(stream)
    return [stack for group in alike.values() for stack in _cut(group, n_workers)]


def _cut(group: list[list[Lane]], n_workers: int) -> list[list[list[Lane]]]:
    module = group[0][0].assembly.module
    first = min(depth for plan in group[0][0].plans for depth, _ in plan.phases(len(module.blocks)))
    trained = [*module.blocks[first:], module.head]
    lane_bytes = 4 * sum(p.numel() * p.element_size() for part in trained for p in part.parameters())
    frozen_bytes = group[0][0].assembly.frozen.size(module, first)
    n_streams = max(1, min(len(group), _features.BUDGET // max(1, frozen_bytes)))
    if module.device.type != "cpu":
        n_networks = len(group[0])
    else:
        n_lanes = max(1, _STACK_BYTES // lane_bytes)
        n_networks = min(len(group[0]), n_lanes)
        # streams share nothing, networks of a stream the product of their first layer
        n_streams = min(-(-n_streams // n_workers), max(1, n_lanes // n_networks))
        n_networks = min(n_networks, -(-len(group[0]) * len(group) // n_workers))
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
        shares = [lane.schedule.interpolation for lane in lanes]
        before = {k: w.detach().clone() for k, w in network.weights.items()} if last and min(shares) < 1 else {}
        Lockstep(network, stack, [plan[number] for plan in plans]).train(lambda: on_epoch(len(lanes), 1 / n_epochs))
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
    tensors = (network.weights | network.buffers).values()
    finite = torch.stack([w.detach().flatten(2).isfinite().all(dim=2) for w in tensors if w.ndim > 2]).all(dim=0)
    device = stack[0][0].assembly.module.device
    for number in range(len(stack[0][0].tests)):
        features = [stream[0].tests[number].after(stream[0].assembly.module, start, device) for stream in stack]
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
    rows = pad(features)
    with torch.inference_mode():
        for part in in_chunks(rows.shape[1], 256):
            parts.append(network(rows[:, part], start).double().cpu().numpy())
    together = np.concatenate(parts, axis=2)
    return [together[s, :, : len(x)] for s, x in enumerate(features)]
