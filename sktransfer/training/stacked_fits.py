"""Fits that train together: one optimizer, one backward pass, as many results as fits.

::

    fits --same network shape, batches and phases--> stacks --> StackedNetwork, epochs by the fold batches' own rows
                                                                   |
                     rate, decay, penalty, dropout, row weights of each fit; a fit that diverges or has nothing left to
                     learn is set aside, the others go on

Each fit gets the initial weights, the batches, the dropout and the optimizer that it would have had alone, so the
results differ by rounding only. A fold batch is the fits of one fold and seed, which see the same
rows in the same order.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from sktransfer.networks.transfer_module import TransferModule
from sktransfer.strategies.base import adds_penalty
from sktransfer.training import frozen_features
from sktransfer.training.dropout import count_dropouts
from sktransfer.training.fit import FitResult, Schedule, finish, make_plan, schedule
from sktransfer.training.joint import Joint, check_joint
from sktransfer.training.plan import Plan, average, diverged_weight
from sktransfer.training.rows import TrainingRows, count_batches
from sktransfer.training.stacked_network import StackedNetwork, shapes_of
from sktransfer.training.stacked_training import StackedTraining
from sktransfer.training.start import FitStart

# Weights, gradients and moments of one stack: what a processor's cache holds. More fits would share less.
_STACK_BYTES = 32 * 1024**2


@dataclass
class StackedFit:
    """One fit that trains in a stack with others.

    Parameters
    ----------
    estimator : TransferClassifier or TransferRegressor
        For its parameters, and for what its check stored in it.
    start, rows, task
        As in a fit on its own.
    scored : object
        Passed through: what the fits of one fold share when they are scored.
    joint : Joint or None
        Of a fit on several machines: what is known of them.

    Attributes
    ----------
    history : list of dict
        One record for the solved head, if it was solved, then one an epoch.
    weights : dict of str to tensor
        What training changed, by name.
    n_frozen : int
        Blocks that no training changed.
    error : Exception or None
        What ended this fit: its own divergence, or an exception of its strategy.
    """

    estimator: Any
    start: FitStart
    rows: TrainingRows
    task: Any
    scored: Any = None
    joint: Joint | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    n_frozen: int = field(init=False)
    error: Exception | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.n_frozen = len(self.start.module.blocks)

    @property
    def nbytes(self) -> int:
        """Memory of what it trains, which no other fit has."""
        module = self.start.module
        trained = [*module.blocks[min(self.depths) :], module.head]
        return sum(p.numel() * p.element_size() for part in trained for p in part.parameters())

    @property
    def fold_batch(self) -> Hashable:
        """Fits of one fold and seed, which get the same batches and the same draws of dropout."""
        return id(self.start.frozen), self.start.seed, None if self.joint is None else self.joint.order_key

    @cached_property
    def schedule(self) -> Schedule:
        """What is done in this fit."""
        return schedule(self.start, self.estimator._n_epochs(len(self.rows.X)))

    @cached_property
    def plans(self) -> list[Plan]:
        """How each of its trainings goes."""
        strategies = self.schedule.strategies
        plans = [make_plan(self.estimator, self.start, self.task, one, len(self.rows.X)) for one in strategies]
        if self.joint is not None:
            for plan in plans:
                self.joint.change(plan, self.rows)
        return plans

    @cached_property
    def depths(self) -> list[int]:
        """Frozen depth of each phase, all trainings one after the other; all blocks if nothing trains by epochs."""
        n_blocks = len(self.start.module.blocks)
        return [depth for plan in self.plans for depth, _ in plan.phases(n_blocks)] or [n_blocks]

    @cached_property
    def optimizer_groups(self) -> tuple[Any, ...]:
        """Learning rate of each depth, and weight decay: fits with equal values share an optimizer call."""
        depths = range(len(self.start.module.blocks) + 1)
        asked = [(plan.strategy, plan.lr) for plan in self.plans]
        return tuple((lr, *(s.lr_factor(d) for d in depths), s.weight_decay_rate()) for s, lr in asked)

    def check_plans(self) -> None:
        """Ask the strategies all their questions once: a wrong parameter raises here."""
        if self.joint is not None:
            check_joint(self.estimator, self.start, self.joint, self.schedule.strategies)
        _ = self.depths, self.optimizer_groups
        weights = {name: weight.detach() for _, group in self.start.module.groups() for name, weight in group.items()}
        for plan in self.plans:
            if adds_penalty(plan.strategy):
                plan.strategy.penalty(weights, plan.source)

    def fits_memory(self, *depths: int) -> bool:
        """Whether the outputs of the frozen blocks at these depths stay within the budget."""
        frozen = [self.start.frozen] if self.joint is None else [self.start.frozen, self.joint.frozen]
        return all(rows.fits(self.start.module, depth) for rows in frozen for depth in depths)

    def finish(self) -> FitResult:
        """What a fit on its own leaves behind."""
        module = self.start.module
        blocks = [*module.blocks[: self.n_frozen], *(copy.deepcopy(block) for block in module.blocks[self.n_frozen :])]
        named = [("head", module.head), *zip(module.names[self.n_frozen :], blocks[self.n_frozen :], strict=True)]
        for name, part in named if self.weights else []:
            for key, tensor in part.state_dict().items():
                if (trained := self.weights.get(f"{name}.{key}")) is not None:
                    tensor.copy_(trained)
        if self.n_frozen < len(blocks):
            module = TransferModule(blocks, module.head, module.names, keep_statistics=module.keep_statistics)
            self.start = dataclasses.replace(self.start, module=module)
        return finish(
            self.estimator,
            self.start,
            self.history,
            self.rows,
            self.task,
            self.n_frozen,
            in_search=True,
            edges=None if self.joint is None else self.joint.edges(),
        )


def stack_key(fit: StackedFit) -> tuple[Any, ...] | str:
    """What fits must have in common to train together; a sentence that says why, if this one cannot."""
    module, n_rows = fit.start.module, len(fit.rows.X)
    n_blocks = len(module.blocks)
    if any(plan.augments(n_blocks) for plan in fit.plans):
        return "its strategy augments batches"
    if fit.start.strategy.batch_norm() is not None and not fit.start.untrained:
        return "its strategy measures BatchNorm on the rows of each fit"
    if fit.depths != sorted(fit.depths, reverse=True):
        # features of blocks that changed in an earlier phase would have to be computed for each fit
        return "its strategy freezes blocks that have learned"
    shapes = shapes_of([*module.blocks[fit.depths[-1] :], module.head])
    if isinstance(shapes, str):
        return shapes
    if not fit.fits_memory(*set(fit.depths)):
        return "the outputs of its frozen blocks take more memory than is allowed for them"
    batch_size = fit.estimator._batch_size(n_rows)
    # BatchNorm that measures its rows takes no padding, so such fits need the same number of rows
    exact = None if module.keep_statistics else n_rows
    runs = tuple(tuple(plan.phases(n_blocks)) for plan in fit.plans)
    # names of weights, for strategies, and positions of dropout layers, for their draws
    names, positions = module.names[fit.depths[-1] :], count_dropouts(module.blocks[: fit.depths[-1]])
    batches: tuple[Any, ...] = count_batches(n_rows, batch_size), exact, module.keep_statistics
    if fit.joint is not None:
        # batches of one make, whatever rows fill them
        batches = *(plan.streams.shape for plan in fit.plans), module.keep_statistics
    return type(fit.estimator), shapes, runs, names, positions, batches, str(module.device)


def make_stacks(fits: Sequence[StackedFit], n_workers: int = 1) -> list[list[list[StackedFit]]]:
    """Stacks ``[fold batch][network]`` of fits with one key, none larger than is good for the cache.

    On the CPU they are small enough for `n_workers` threads to be done at about the same time.
    """
    batches: dict[Hashable, list[StackedFit]] = {}
    for fit in fits:
        batches.setdefault(fit.fold_batch, []).append(fit)
    alike: dict[Hashable, list[list[StackedFit]]] = {}
    for batch in batches.values():
        batch.sort(key=lambda fit: fit.optimizer_groups)
        alike.setdefault(tuple(fit.optimizer_groups for fit in batch), []).append(batch)
    return [stack for group in alike.values() for stack in _cut(group, n_workers)]


def _cut(group: list[list[StackedFit]], n_workers: int) -> list[list[list[StackedFit]]]:
    module, fit_bytes = group[0][0].start.module, 4 * group[0][0].nbytes
    frozen_bytes = group[0][0].start.frozen.size(module, min(group[0][0].depths))
    n_batches = max(1, min(len(group), frozen_features.BUDGET // max(1, frozen_bytes)))
    if module.device.type != "cpu":
        n_networks = len(group[0])
    else:
        n_fits = max(1, _STACK_BYTES // fit_bytes)
        n_networks = min(len(group[0]), n_fits)
        # fold batches share nothing, networks of a fold batch the product of their first layer
        n_batches = min(-(-n_batches // n_workers), max(1, n_fits // n_networks))
        n_networks = min(n_networks, -(-len(group[0]) * len(group) // n_workers))
    return [
        [batch[k : k + n_networks] for batch in group[s : s + n_batches]]
        for s in range(0, len(group), n_batches)
        for k in range(0, len(group[0]), n_networks)
    ]


def train_stack(stack: list[list[StackedFit]], on_epoch: Callable[[int, float], None]) -> None:
    """Train the fits of one stack and fill in their weights, histories, errors and seconds.

    `on_epoch` is told how many fits have gone what share of their way.
    """
    began = time.perf_counter()
    fits = [fit for batch in stack for fit in batch]
    plans, n_frozen = [fit.plans for fit in fits], min(fits[0].depths)
    network = StackedNetwork([[fit.start.module for fit in batch] for batch in stack], n_frozen)
    n_epochs = sum(plan.max_epochs for plan in plans[0])
    for number in range(len(plans[0])):
        last = number == len(plans[0]) - 1
        interpolation = torch.tensor([fit.schedule.interpolation for fit in fits], dtype=torch.float64).view(
            network.size
        )
        keeps = last and bool((interpolation < 1).any())
        before = {k: w.detach().clone() for k, w in network.weights.items()} if keeps else {}
        StackedTraining(network, stack, [plan[number] for plan in plans]).train(
            lambda: on_epoch(len(fits), 1 / n_epochs)
        )
        with torch.no_grad():
            for name, weight in average(before, network.weights, interpolation).items():
                network.weights[name].copy_(weight)
    tensors = (network.weights | network.buffers).values()
    finite = torch.stack([w.detach().flatten(2).isfinite().all(dim=2) for w in tensors if w.ndim > 2]).all(dim=0)
    for number, fit in enumerate(fits):
        s, k = divmod(number, network.size[1])
        fit.n_frozen, fit.weights = n_frozen, network.state_of(s, k)
        if fit.error is None and not finite[s, k]:
            fit.error = diverged_weight(fit.estimator.lr)
        fit.seconds += (time.perf_counter() - began) / len(fits)
