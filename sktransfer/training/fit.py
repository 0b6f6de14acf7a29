"""What happens between checked rows and a fitted estimator: assemble, train, remember.

::

    backbone --assemble--> TransferModule: copied blocks + a head that begins where the source ended
                               |
             --train-->    head solved, then epochs, as the strategy answers
                               |
             --remember--> module_, backbone_, history_, ...

The functions take the estimator for its parameters. Fits that train together (`_together.py`) assemble and plan by them
too, and train and remember in their own way.
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.columns import compare_columns
from sktransfer.backbones.from_scratch import resolve_backbone
from sktransfer.backbones.inputs import Inputs
from sktransfer.networks.heads import LinearHead
from sktransfer.networks.transfer_module import TransferModule, as_tensor, share_blocks
from sktransfer.strategies.augmentation_ops import try_augment
from sktransfer.strategies.base import Augment, HeadSolver, Strategy, adds_penalty
from sktransfer.strategies.linear_probing import LinearProbing
from sktransfer.strategies.probe_then_tune import ProbeThenTune
from sktransfer.strategies.weight_decay import WeightDecay
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.plan import Plan, Rows, average
from sktransfer.training.raw import RawWindows
from sktransfer.training.rows import TrainingRows
from sktransfer.training.start import Assembly, begin_head, is_solvable, solve_head, source_of, source_weights
from sktransfer.training.tasks import Classification, Regression
from sktransfer.utils.callbacks import FitTask
from sktransfer.utils.device import resolve_device
from sktransfer.utils.precision import number_format
from sktransfer.utils.random import build_seeded, draw_seed

# ---- assemble


def assemble(
    estimator: Any,
    rows: TrainingRows,
    task: Classification | Regression,
    frozen: FrozenFeatures | None = None,
    seed: int | None = None,
    resolved: tuple[Backbone, bool] | None = None,
    blocks: Sequence[nn.Module] | None = None,
) -> Assembly:
    """Backbone, strategy and head of one fit, with the head where it begins.

    Parameters
    ----------
    estimator : TransferClassifier or TransferRegressor
        Checked by its ``_check``.
    rows, task
        What ``_check`` returned.
    frozen : FrozenFeatures, optional
        Outputs of the backbone for these rows, if several fits share them.
    seed : int, optional
        Drawn from ``random_state`` if not given.
    resolved : (Backbone, bool), optional
        What ``backbone`` stands for with this seed, and whether it is untrained.
    blocks : sequence of nn.Module, optional
        The backbone's blocks on the right device, which are not copied: for fits that do not change them.
    """
    seed = draw_seed(estimator.random_state) if seed is None else seed
    backbone, scratch = resolved or resolve_backbone(estimator.backbone, rows.X.shape[1:], seed)
    if backbone.n_dimensions == 2:
        names = getattr(estimator, "feature_names_in_", None)
        compare_columns(type(estimator).__name__, backbone, rows.X.shape[1], names)
    strategy = estimator.strategy
    if strategy is None:
        strategy = WeightDecay() if scratch else ProbeThenTune()
    try_augment(strategy, len(backbone.blocks), rows.X if rows.raw is None else rows.raw, n_classes_of(task))
    head = estimator.head if estimator.head is not None else LinearHead()
    device, dtype = resolve_device(estimator.device), torch.from_numpy(np.empty(0, number_format())).dtype
    network = build_seeded(lambda: head.build(backbone.n_features_out, task.n_outputs), seed)
    if blocks is None:
        blocks = _own_blocks(estimator, strategy, head, backbone, len(rows.X), device)
    module = TransferModule(blocks, network, backbone.blocks, keep_statistics=not scratch)
    module = module.to(device, dtype).eval()
    assembly = Assembly(backbone, strategy, head, module, scratch, seed, frozen or FrozenFeatures(rows.X))
    begin_head(assembly, rows, task)
    return assembly


def _own_blocks(
    estimator: Any, strategy: Strategy, head: Any, backbone: Backbone, n_rows: int, device: torch.device
) -> Sequence[nn.Module]:
    """Copies of the backbone's blocks; its own where nothing trains them, as in predict."""
    untouched = is_solvable(strategy, head) and _only_head(strategy, estimator._n_epochs(n_rows), len(backbone.blocks))
    if untouched and number_format() is np.float32:
        return backbone.modules_on(device)
    try:
        return backbone.copy_blocks()
    except (MemoryError, RuntimeError) as error:  # torch says it with a RuntimeError
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise MemoryError(
            f"{type(estimator).__name__} trains a copy of backbone {backbone.name!r}, and there is no memory for its "
            f"{backbone.nbytes / 1e6:,.1f} MB a second time. Free memory, or keep it frozen under a linear head: "
            "strategy=LinearProbing() copies nothing."
        ) from error


def _only_head(strategy: Strategy, n_epochs: int, n_blocks: int) -> bool:
    return all(strategy.n_frozen(epoch, n_blocks) == n_blocks for epoch in range(n_epochs))


# ---- train


@dataclass
class Schedule:
    """What is done in one fit, in order.

    Parameters
    ----------
    probe : HeadSolver or None
        How the head is solved first; None: it is not.
    strategies : list of Strategy
        What trains by epochs after it, each from the beginning of the rate's cosine.
    share : float
        How much of the change by the last of them is kept.
    """

    head_solver: HeadSolver | None
    strategies: list[Strategy]
    share: float


class HeadFirst(LinearProbing):
    """Only the head learns, on batches that are augmented as `then` says."""

    def __init__(self, then: Strategy):
        super().__init__()
        self.then = then

    def augment(self, n_frozen: int, n_blocks: int) -> Augment | None:
        """What `then` answers."""
        return self.then.augment(n_frozen, n_blocks)


def schedule(assembly: Assembly, n_epochs: int) -> Schedule:
    """What the strategy asks for, given the head and whether there is a source."""
    strategy, n_blocks = assembly.strategy, len(assembly.module.blocks)
    only_head = _only_head(strategy, n_epochs, n_blocks)
    head_solver = strategy.head_solver()
    # from scratch there is nothing worth keeping of where the weights began
    share = 1.0 if assembly.scratch else strategy.interpolation()
    if assembly.solvable:
        if only_head and strategy.augment(n_blocks, n_blocks) is not None:
            raise ValueError(
                f"{strategy!r} augments batches while all blocks are frozen, but its linear head is solved on the rows "
                "as they are, without batches. Take head=MLPHead(...) or LinearProbing(solver='sgd'), or leave "
                "when_frozen=False."
            )
        return Schedule(head_solver, [] if only_head else [strategy], share)
    if head_solver is not None and not only_head:
        # a head that cannot be solved first trains on frozen blocks
        return Schedule(None, [HeadFirst(strategy), strategy], share)
    return Schedule(None, [strategy], share)


def train(
    estimator: Any, assembly: Assembly, rows: TrainingRows, task: Classification | Regression
) -> list[dict[str, Any]]:
    """Train ``assembly.module`` in place; the records of its history."""
    n_epochs = estimator._n_epochs(len(rows.X))
    todo = schedule(assembly, n_epochs)
    history = [] if todo.head_solver is None else [solve_head(assembly, rows, task, todo.head_solver)]
    with FitTask(estimator, rows.X, rows.y, n_epochs * len(todo.strategies)) as progress:
        for strategy in todo.strategies:
            last = strategy is todo.strategies[-1]
            before = copy.deepcopy(assembly.module.state_dict()) if last and todo.share < 1 else {}
            plan = make_plan(estimator, assembly, task, strategy, len(rows.X))
            plan.on_epoch = progress.epoch
            history += _train_epochs(assembly, rows, plan)
            if before:
                module = assembly.module
                module.load_state_dict(average(before, module.state_dict(), todo.share))
    warn_if_worse(type(estimator).__name__, history, estimator.lr, task.chance_loss)
    return history


def _train_epochs(assembly: Assembly, rows: TrainingRows, plan: Plan) -> list[dict[str, Any]]:
    # skorch is imported when something trains by epochs, never for predict
    from sktransfer.training import skorch_net as _net

    return _net.train(assembly.module, assembly.frozen, as_tensors(rows, assembly), plan)


def as_tensors(rows: TrainingRows, assembly: Assembly) -> Rows:
    """The rows on the device, with weights of mean 1."""
    X = assembly.frozen.rows(assembly.module.device)
    y, weight = as_tensor(rows.y), as_tensor(rows.weight / rows.weight.mean())
    y = (y.to(X.dtype) if y.is_floating_point() else y).to(X.device)
    raw = None if rows.raw is None else RawWindows(rows.raw, assembly.backbone)
    return Rows(X, y, weight.to(X.device, X.dtype), raw)


def make_plan(
    estimator: Any, assembly: Assembly, task: Classification | Regression, strategy: Strategy, n_rows: int
) -> Plan:
    """How `strategy` trains `n_rows` rows with the estimator's parameters."""
    return Plan(
        strategy=strategy,
        max_epochs=estimator._n_epochs(n_rows),
        lr=float(estimator.lr),
        batch_size=estimator._batch_size(n_rows),
        stop_loss=1e-3 if estimator.max_epochs == "auto" else 0.0,
        seed=assembly.seed,
        loss=task.loss,
        n_classes=n_classes_of(task),
        source=source_weights(assembly, task) if adds_penalty(strategy) and not assembly.scratch else {},
        callbacks=None if estimator.callbacks is None else list(estimator.callbacks),
        verbose=int(estimator.verbose),
    )


def n_classes_of(task: Classification | Regression) -> int | None:
    """Number of classes; None of a regression."""
    return task.n_outputs if isinstance(task, Classification) else None


def warn_if_worse(who: str, history: list[dict[str, Any]], lr: float, chance: float) -> None:
    """Warn if training made it worse than knowing nothing; dropout alone makes a small loss go up and down."""
    losses = [record["train_loss"] for record in history if "train_loss" in record]
    if losses and losses[-1] > 2 * chance and (losses[-1] > losses[0] or losses[-1] > 1000 * chance):
        warnings.warn(
            f"{who}: the loss went from {losses[0]:.3g} to {losses[-1]:.3g}, where knowing nothing gives {chance:.3g}; "
            f"lr={lr:g} is too large for these rows.",
            ConvergenceWarning,
            stacklevel=4,
        )


# ---- remember


def remember(estimator: Any, assembly: Assembly, history: list[dict[str, Any]], rows: TrainingRows, task: Any) -> Any:
    """Give the estimator its fitted attributes; `assembly` is used up."""
    module = assembly.module.eval().requires_grad_(False)
    n_epochs = sum("train_loss" in record for record in history)
    moved = assembly.backbone.changed(module.blocks)
    estimator.device_ = str(module.device)
    estimator.n_outputs_ = task.n_outputs
    estimator.backbone_ = assembly.backbone.with_blocks(
        module.blocks,
        moved,
        name="fitted",
        inputs=_at_rate(estimator, assembly, fitted_inputs(estimator, assembly.backbone.inputs, rows.X)),
        source=source_of(assembly, rows, task, moved=any(moved)),
        provenance={"fitted_from": assembly.backbone.name, "n_samples": len(rows.X)},
    )
    shared = estimator.device_ == "cpu" and number_format() is np.float32  # as backbones are
    module = share_blocks(module, estimator.backbone_._modules if shared else list(module.blocks))
    estimator._set_network(clone(assembly.head), module)  # a copy: parameters may be set after the fit
    estimator.history_ = history
    estimator.n_iter_ = n_epochs or max((record.get("n_iter", 0) for record in history), default=0)
    return estimator


def fitted_inputs(estimator: Any, inputs: Inputs, X: np.ndarray) -> Inputs:
    """The backbone's inputs, with the names and the range of these rows, or of the channels of these windows."""
    other = (0, *range(2, X.ndim))
    low, high = X.min(axis=other), X.max(axis=other)
    if inputs.minimum is not None and inputs.maximum is not None and len(inputs.minimum) == len(low):
        low, high = np.minimum(low, inputs.minimum), np.maximum(high, inputs.maximum)
    names = getattr(estimator, "feature_names_in_", None)
    names = inputs.names if names is None else tuple(str(name) for name in names)
    return dataclasses.replace(inputs, names=names, minimum=low, maximum=high)


def _at_rate(estimator: Any, assembly: Assembly, inputs: Inputs) -> Inputs:
    """`inputs` with the sampling rate of these windows, if they are all that the network has seen."""
    rate = getattr(estimator, "sampling_rate_", None)
    if rate is None or not assembly.scratch:
        return inputs
    return dataclasses.replace(inputs, sampling_rate=(rate, rate))
