"""From checked rows to what a fitted estimator keeps.

::

    backbone, rows --start--> FitStart: copied blocks, and a head that begins where the source ended
                   --train--> the head solved, then epochs, as the strategy answers
                   --finish-> FitResult: backbone, head, network, history

The functions take the estimator for its parameters and do not change it. Fits that train together (`stacked_fits.py`)
start, plan and finish by them too, and train in their own way.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.inputs import Inputs
from sktransfer.networks.transfer_module import TransferModule, as_tensor, share_blocks
from sktransfer.strategies.base import HeadSolver, Strategy, adds_penalty
from sktransfer.strategies.linear_probing import HeadFirst
from sktransfer.training.joint import Joint, check_joint
from sktransfer.training.plan import Plan, Rows, average
from sktransfer.training.rows import TrainingRows, class_distances
from sktransfer.training.start import (
    FitStart,
    divide_by_temperature,
    only_head_learns,
    solve_head,
    source_of,
    source_weights,
    start_fit,
)
from sktransfer.training.tasks import Classification, Regression
from sktransfer.utils.callbacks import FitTask
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.validation.rows import names_seen


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves behind.

    Parameters
    ----------
    backbone : Backbone
        With the weights, the input range and the source of this fit.
    head : LinearHead or MLPHead
        With its parameters as they were in the fit.
    module : TransferModule
        Backbone and head, ready to predict.
    n_outputs : int
    history : list of dict
        One record for a solved head, then one an epoch.
    class_distances : ndarray of shape (n_classes,) or None
        How far from the middle of the range the rows of each class lie; None for a regression.
    source_classes : list
        Of each class the source class that its row of the head began at, or None.
    """

    backbone: Backbone
    head: Any
    module: TransferModule
    n_outputs: int
    history: list[dict[str, Any]]
    class_distances: np.ndarray | None
    source_classes: list[Any]

    @property
    def n_iter(self) -> int:
        """Epochs, or iterations of the solver where nothing trained by epochs."""
        n_epochs = sum("train_loss" in record for record in self.history)
        return n_epochs or max((record.get("n_iter", 0) for record in self.history), default=0)


def fit(
    estimator: Any,
    rows: TrainingRows,
    task: Classification | Regression,
    resolved: tuple[Backbone, bool],
    seed: int,
    joint: Joint | None = None,
) -> FitResult:
    """One fit; the parameters are those of :func:`sktransfer.training.start.start_fit`.

    `joint`: what is known of the rows of a fit on several machines.
    """
    start = start_fit(estimator, rows, task, resolved, seed)
    history = train(estimator, start, rows, task, joint)
    return finish(estimator, start, history, rows, task, edges=None if joint is None else joint.edges())


# ---- train


@dataclass
class Schedule:
    """What is done in one fit, in order.

    Parameters
    ----------
    head_solver : HeadSolver or None
        How the head is solved first; None: it is not.
    strategies : list of Strategy
        What trains by epochs after it, each from the beginning of the learning rate's cosine.
    interpolation : float
        How far the weights go from where the last of them began to where it ended.
    """

    head_solver: HeadSolver | None
    strategies: list[Strategy]
    interpolation: float


def schedule(start: FitStart, n_epochs: int) -> Schedule:
    """What the strategy asks for, given the head and whether there is a source."""
    strategy, n_blocks = start.strategy, len(start.module.blocks)
    only_head = only_head_learns(strategy, n_epochs, n_blocks)
    head_solver = strategy.head_solver()
    # from scratch there is nothing worth keeping of where the weights began
    interpolation = 1.0 if start.untrained else strategy.interpolation()
    if start.solvable:
        if only_head and strategy.augment(n_blocks, n_blocks) is not None:
            raise ValueError(
                f"{strategy!r} augments batches while all blocks are frozen, but its linear head is solved on the rows "
                "as they are, without batches. Take head=MLPHead(...) or LinearProbing(solver='sgd'), or leave "
                "when_frozen=False."
            )
        return Schedule(head_solver, [] if only_head else [strategy], interpolation)
    if head_solver is not None and not only_head:
        # a head that cannot be solved first trains on frozen blocks
        return Schedule(None, [HeadFirst(strategy), strategy], interpolation)
    return Schedule(None, [strategy], interpolation)


def train(
    estimator: Any,
    start: FitStart,
    rows: TrainingRows,
    task: Classification | Regression,
    joint: Joint | None = None,
) -> list[dict[str, Any]]:
    """Train ``start.module`` in place; the records of its history."""
    module, n_epochs = start.module, estimator._n_epochs(len(rows.X))
    todo = schedule(start, n_epochs)
    if joint is not None:
        check_joint(estimator, start, joint, todo.strategies)
    history = (
        [] if todo.head_solver is None else [solve_head(start, rows, task, todo.head_solver, bool(todo.strategies))]
    )
    with FitTask(estimator, rows.X, rows.y, n_epochs * len(todo.strategies)) as progress:
        for strategy in todo.strategies:
            last = strategy is todo.strategies[-1]
            before = copy.deepcopy(module.state_dict()) if last and todo.interpolation < 1 else {}
            plan = make_plan(estimator, start, task, strategy, len(rows.X))
            plan.on_epoch = progress.epoch
            if joint is not None:
                joint.change(plan, rows)
            history += _train_epochs(start, rows, plan, joint)
            if before:
                module.load_state_dict(average(before, module.state_dict(), todo.interpolation))
    warn_if_worse(type(estimator).__name__, history, estimator.lr, task.chance_loss)
    return history


def _train_epochs(start: FitStart, rows: TrainingRows, plan: Plan, joint: Joint | None = None) -> list[dict[str, Any]]:
    # skorch is imported when something trains by epochs, never for predict
    from sktransfer.training.skorch_net import train as train_epochs

    others = None if joint is None else joint.frozen
    return train_epochs(start.module, start.frozen, as_tensors(rows, start), plan, others)


def as_tensors(rows: TrainingRows, start: FitStart) -> Rows:
    """The rows on the device, with weights of mean 1."""
    X = start.frozen.rows(start.module.device)
    y, weight = as_tensor(rows.y), as_tensor(rows.weight / rows.weight.mean())
    y = (y.to(X.dtype) if y.is_floating_point() else y).to(X.device)
    return Rows(X, y, weight.to(X.device, X.dtype))


def make_plan(
    estimator: Any, start: FitStart, task: Classification | Regression, strategy: Strategy, n_rows: int
) -> Plan:
    """How `strategy` trains `n_rows` rows with the estimator's parameters."""
    return Plan(
        strategy=strategy,
        max_epochs=estimator._n_epochs(n_rows),
        lr=float(estimator.lr),
        batch_size=estimator._batch_size(n_rows),
        stop_loss=1e-3 if estimator.max_epochs == "auto" else 0.0,
        seed=start.seed,
        loss=task.loss,
        n_classes=task.n_classes,
        source=source_weights(start) if adds_penalty(strategy) and not start.untrained else {},
        callbacks=None if estimator.callbacks is None else list(estimator.callbacks),
    )


def warn_if_worse(name: str, history: list[dict[str, Any]], lr: float, chance: float) -> None:
    """Warn if the loss ended well above that of equal probabilities, or of the mean, and did not fall.

    Dropout alone makes a small loss go up and down, so that a small rise says nothing.
    """
    losses = [record["train_loss"] for record in history if "train_loss" in record]
    if losses and losses[-1] > 2 * chance and (losses[-1] > losses[0] or losses[-1] > 1000 * chance):
        warn_caller(
            f"{name}: the loss went from {losses[0]:.3g} to {losses[-1]:.3g}, where knowing nothing gives "
            f"{chance:.3g}; lr={lr:g} is too large for these rows.",
            ConvergenceWarning,
        )


# ---- finish


def finish(
    estimator: Any,
    start: FitStart,
    history: list[dict[str, Any]],
    rows: TrainingRows,
    task: Classification | Regression,
    n_frozen: int = 0,
    *,
    in_search: bool = False,
    edges: np.ndarray | None = None,
) -> FitResult:
    """What is kept of a trained network; `start` is used up.

    The first `n_frozen` blocks are known to be unchanged. In a search nobody else holds the others, and few fits are
    asked for their source: the blocks are not copied, and the source is measured when it is asked for. `edges` are
    other rows that belong to the range of training.
    """
    module = start.module
    divide_by_temperature(start)
    changed = start.backbone.changed(module.blocks)
    as_backbones = module.device.type == "cpu" and rows.X.dtype == np.float32
    seen = rows.X if edges is None else np.concatenate([rows.X, edges])
    measured = partial(source_of, start, rows, task, changed=any(changed), n_frozen=n_frozen)
    backbone = start.backbone.with_blocks(
        module.blocks,
        changed,
        copied=not (in_search and as_backbones),
        name="fitted",
        inputs=_at_rate(estimator, start, fitted_inputs(estimator, start.backbone.inputs, seen)),
        source=measured if in_search else measured(),
        provenance={"fitted_from": start.backbone.name, "n_samples": len(rows.X)},
    )
    # one set of weights in memory, where the backbone's own could be those of the network
    if as_backbones:
        module = share_blocks(module, backbone.modules_on(module.device))
    else:
        module.eval().requires_grad_(False)
    center = backbone.inputs.center
    distances = None if task.n_classes is None or center is None else class_distances(rows, task.n_classes, center)
    begun = start.head_start.match.source_classes(start.backbone.source)
    return FitResult(backbone, copy.copy(start.head), module, task.n_outputs, history, distances, begun)


def fitted_inputs(estimator: Any, inputs: Inputs, X: np.ndarray) -> Inputs:
    """The backbone's inputs, with the names and the range of these rows, or of the channels of these windows."""
    other = (0, *range(2, X.ndim))
    low, high = X.min(axis=other), X.max(axis=other)
    if inputs.minimum is not None and inputs.maximum is not None and len(inputs.minimum) == len(low):
        low, high = np.minimum(low, inputs.minimum), np.maximum(high, inputs.maximum)
    names: Any = names_seen(estimator)
    if names is None and inputs.n is not None:  # else it takes any number of channels, which nothing names
        names = getattr(estimator, "channel_names_in_", None)
    names = inputs.names if names is None else tuple(str(name) for name in names)
    return dataclasses.replace(inputs, names=names, minimum=low, maximum=high)


def _at_rate(estimator: Any, start: FitStart, inputs: Inputs) -> Inputs:
    """`inputs` with the sampling rate of these windows, if the network was trained on nothing else."""
    rate = getattr(estimator, "sampling_rate_", None)
    if rate is None or not start.untrained:
        return inputs
    return dataclasses.replace(inputs, sampling_rate=(rate, rate))
