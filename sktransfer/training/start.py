r"""What a fit begins with: copied blocks, and a head that begins where the source ended.

::

    backbone --copied--> blocks --+
                                  +--> TransferModule
    head -------------------------+
      begins at: rows of the source head that were earned (source_match.py) | imprinted rows | zero rows
             or: solved exactly on standardised features, with a penalty on the distance from the source's rows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
import torch
from torch import nn

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.source import Source, feature_statistics
from sktransfer.networks.batch_norm import measure_batch_norm
from sktransfer.networks.heads import LinearHead
from sktransfer.networks.transfer_module import TransferModule, as_tensor
from sktransfer.strategies.augmentation_ops import try_augment
from sktransfer.strategies.base import HeadSolver, Strategy
from sktransfer.strategies.probe_then_tune import ProbeThenTune
from sktransfer.strategies.weight_decay import WeightDecay
from sktransfer.training.frozen_features import FrozenFeatures, run_blocks
from sktransfer.training.head_start import HeadStart
from sktransfer.training.label_unit import LabelUnit, in_unit_of_labels, warn_of_unit
from sktransfer.training.rows import TrainingRows
from sktransfer.training.source_match import SourceMatch, warn_of_match
from sktransfer.training.tasks import Classification, Regression
from sktransfer.utils.device import resolve_device
from sktransfer.utils.parameters import InvalidParameterError
from sktransfer.utils.random import build_seeded

UNUSED = 1e30  # scale of a feature that the head must not use: it is zero in the solver and in training


@dataclass
class FitStart:
    """What a fit begins with.

    Parameters
    ----------
    backbone : Backbone
    untrained : bool
        Whether the backbone's weights are random.
    strategy, head
        Those of the estimator, or the default.
    module : TransferModule
        Blocks and head; training changes it.
    seed : int
    frozen : FrozenFeatures
        Outputs of the blocks as they came, for the rows of the fit.
    head_start : HeadStart
        Set by :func:`begin_head`.
    features : ndarray of shape (n_samples, n_features) or None
        Standardised, float64; set by :func:`begin_head` where the head begins from them.
    temperature : float
        By which the head is divided at the end; set by :func:`solve_head` where a solved head trains on.
    unit : str
        What was done to the source head because the labels are in another unit; set by :func:`begin_head`.
    """

    backbone: Backbone
    untrained: bool
    strategy: Strategy
    head: Any
    module: TransferModule
    seed: int
    frozen: FrozenFeatures
    head_start: Any = None
    features: Any = None
    temperature: float = 1.0
    unit: str = ""

    @property
    def solvable(self) -> bool:
        """Whether the strategy asks for a solved head and the head can be solved."""
        return is_solvable(self.strategy, self.head)

    def run_features(self) -> np.ndarray:
        """Features of the rows by the blocks as they came, float64, in an array that nobody else holds."""
        module, n_blocks = self.module, len(self.module.blocks)
        if not self.frozen.fits(module, n_blocks):
            return module.run_features(self.frozen.X).astype(np.float64, copy=False)
        return self.frozen.after(module, n_blocks, module.device).cpu().numpy().astype(np.float64)

    def trained_features(self, n_frozen: int) -> np.ndarray:
        """Features of the rows by the blocks as they are now; the first `n_frozen` of them as they came."""
        module = self.module
        if n_frozen == 0 or not self.frozen.fits(module, n_frozen):
            return module.run_features(self.frozen.X)
        below = self.frozen.after(module, n_frozen, module.device)
        return run_blocks(module, below, n_frozen, len(module.blocks)).cpu().numpy()


def is_solvable(strategy: Strategy, head: Any) -> bool:
    """Whether `strategy` asks for a solved head and `head` can be solved."""
    return strategy.head_solver() is not None and isinstance(head, LinearHead)


def only_head_learns(strategy: Strategy, n_epochs: int, n_blocks: int) -> bool:
    """Whether all blocks are frozen in every epoch."""
    return all(strategy.n_frozen(epoch, n_blocks) == n_blocks for epoch in range(n_epochs))


def start_fit(
    estimator: Any,
    rows: TrainingRows,
    task: Classification | Regression,
    resolved: tuple[Backbone, bool],
    seed: int,
    frozen: FrozenFeatures | None = None,
    blocks: Sequence[nn.Module] | None = None,
) -> FitStart:
    """Make ready what one fit trains; the head is where it begins, and not solved yet.

    Parameters
    ----------
    estimator : TransferClassifier or TransferRegressor
        For its parameters.
    rows, task
        What its ``_check`` returned. The network computes in the floating-point type of the rows.
    resolved : (Backbone, bool)
        What the parameter ``backbone`` stands for, and whether it is untrained.
    seed : int
        Drawn from ``random_state``.
    frozen : FrozenFeatures, optional
        Outputs of the backbone for these rows, if several fits share them.
    blocks : sequence of nn.Module, optional
        The backbone's blocks on the right device and in the right format, which are not copied: for fits that do not
        change them.
    """
    backbone, untrained = resolved
    strategy, head = strategy_and_head(estimator, untrained)
    _check_augmentation(estimator, strategy, backbone, rows, task)
    device = resolve_device(estimator.device)
    network = build_seeded(lambda: head.build(backbone.n_features_out, task.n_outputs), seed)
    if blocks is None:
        blocks = own_blocks(estimator, resolved, rows)
    if strategy.batch_norm() is not None and not untrained:
        # features of other fits are those of other statistics
        blocks, frozen = _with_own_statistics(estimator, backbone, strategy, rows), None
    network = network.to(device, as_tensor(rows.X[:0]).dtype)
    # blocks of a backbone, and copies of them, are in inference mode
    module = TransferModule(blocks, network, backbone.blocks, keep_statistics=not untrained).rest()
    start = FitStart(backbone, untrained, strategy, head, module, seed, frozen or FrozenFeatures(rows.X))
    begin_head(start, rows, task)
    warn_of_unit(type(estimator).__name__, start.unit, backbone.name)
    if isinstance(task, Classification):
        warn_of_match(type(estimator).__name__, start.head_start.match, backbone.source, task.classes)
    return start


def _check_augmentation(
    estimator: Any, strategy: Strategy, backbone: Backbone, rows: TrainingRows, task: Classification | Regression
) -> None:
    """Refuse an augmentation that does not fit the rows, or that would come after a front end."""
    name, n_blocks = backbone.inputs.front_end, len(backbone.blocks)
    if name is None:
        try_augment(strategy, n_blocks, rows.X, task.n_classes)
        return
    depths = {strategy.n_frozen(epoch, n_blocks) for epoch in range(estimator._n_epochs(len(rows.X)))}
    if any(strategy.augment(depth, n_blocks) is not None for depth in depths):
        raise ValueError(
            f"{type(estimator).__name__}: {strategy!r} augments batches, but the front end {name!r} of backbone "
            f"{backbone.name!r} turns windows into its inputs once, before training. Augment the windows in a "
            "transformer before the estimator, or pass a backbone without a front end."
        )


def strategy_and_head(estimator: Any, untrained: bool) -> tuple[Strategy, Any]:
    """Those of the estimator, or the defaults for a backbone that is pretrained or not."""
    strategy, head = estimator.strategy, estimator.head
    if strategy is None:
        strategy = WeightDecay() if untrained else ProbeThenTune()
    return strategy, LinearHead() if head is None else head


def _with_own_statistics(
    estimator: Any, backbone: Backbone, strategy: Strategy, rows: TrainingRows
) -> Sequence[nn.Module]:
    """Copies of the backbone's blocks whose BatchNorm was measured on the rows of the fit."""
    blocks = _copies(estimator, backbone, rows)
    measure_batch_norm(backbone.name, blocks, rows.X, rows.weight, strategy.batch_norm() or 0.0)
    return blocks


def own_blocks(estimator: Any, resolved: tuple[Backbone, bool], rows: TrainingRows) -> Sequence[nn.Module]:
    """Copies of the backbone's blocks; its own where nothing trains them, as in predict."""
    (backbone, untrained), device = resolved, resolve_device(estimator.device)
    strategy, head = strategy_and_head(estimator, untrained)
    n_epochs = estimator._n_epochs(len(rows.X))
    untouched = is_solvable(strategy, head) and only_head_learns(strategy, n_epochs, len(backbone.blocks))
    if untouched and rows.X.dtype == np.float32:  # as backbones are
        return backbone.modules_on(device)
    return _copies(estimator, backbone, rows)


def _copies(estimator: Any, backbone: Backbone, rows: TrainingRows) -> Sequence[nn.Module]:
    device = resolve_device(estimator.device)
    try:
        return [block.to(device, as_tensor(rows.X[:0]).dtype) for block in backbone.copy_blocks()]
    except (MemoryError, RuntimeError) as error:  # torch says it with a RuntimeError
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise MemoryError(
            f"{type(estimator).__name__} trains a copy of backbone {backbone.name!r}, and there is no memory for its "
            f"{backbone.nbytes / 1e6:,.1f} MB a second time. Free memory, or keep it frozen under a linear head: "
            "strategy=LinearProbing() copies nothing."
        ) from error


# ---- head


def resolve_head(head: Any, backbone: Backbone, untrained: bool, solvable: bool) -> tuple[str, str]:
    """How `head` begins and by what it standardises, with ``"auto"`` resolved.

    Raises
    ------
    InvalidParameterError
        For other words than the allowed ones.
    ValueError
        If the source's statistics are asked for and there are none.
    """
    source = backbone.source
    # hidden layers make the source's rows meaningless; zero rows decide nothing where there is nothing to learn from
    init, normalize = getattr(head, "init", None), head.normalize
    if init is not None:
        _check_word(head, "init", init, ("auto", "source", "imprint", "random"))
    _check_word(head, "normalize", normalize, ("auto", "source", "target", "none"))
    if init is None or (init == "auto" and untrained):
        init = "zero"
    if normalize == "auto" and untrained:
        normalize = "target" if solvable else "none"
    elif normalize == "auto":
        normalize = "source" if source is not None else "target"
    if normalize == "source" and source is None:
        raise ValueError(
            f"{type(head).__name__}(normalize='source'): backbone {backbone.name!r} carries no feature "
            "statistics; use normalize='auto'."
        )
    return init, normalize


def _check_word(head: Any, name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise InvalidParameterError(
            f"The {name!r} parameter of {type(head).__name__} must be one of {words}. Got {value!r} instead."
        )


def begin_head(start: FitStart, rows: TrainingRows, task: Classification | Regression) -> None:
    """Set the standardisation of the head and the rows that it begins with; fill in `start`."""
    network, source = start.module.head, start.backbone.source
    init, normalize = resolve_head(start.head, start.backbone, start.untrained, start.solvable)
    needs_features = normalize == "target" or start.solvable or init in ("auto", "source", "imprint")
    features = start.run_features() if needs_features else None
    width = network.standardize.mean.numel()
    mean, scale, used = np.zeros(width), np.ones(width), np.ones(width, dtype=bool)
    if isinstance(start.head, LinearHead):
        used = task.used_features(init, source, width)
    if normalize == "source" and source is not None:
        mean, scale = source.feature_mean, source.feature_scale
    elif normalize == "target" and features is not None:
        mean, scale = feature_statistics(features, rows.weight)
    held_mean, held_scale = (np.asarray(values, rows.X.dtype).astype(np.float64) for values in (mean, scale))
    rescaled = None if source is None else source.rescaled(held_mean, held_scale)
    scale = np.where(used, scale, UNUSED)
    _assign(network.standardize.mean, mean)
    _assign(network.standardize.scale, scale)
    if features is not None:
        # in place: there may be many rows
        features -= mean
        features /= scale
    start.features = features
    match = _match(start, init, rescaled, rows, task)
    weight, bias, known = task.source_rows(init, rescaled, width, match)
    if isinstance(task, Regression) and init != "source" and not _is_obeyed(start):
        weight, bias, known, start.unit = in_unit_of_labels(LabelUnit(weight, bias, known), start.features, rows)
    start.head_start = HeadStart(init, normalize, held_mean, held_scale, weight, bias, known, used, match)
    if init in ("auto", "source", "imprint"):
        W, b = task.begin(start.head_start, start.features, rows)
        _assign(network.output.weight, W)
        _assign(network.output.bias, b)
        return
    _assign(network.output.bias, task.prior(rows))
    if init == "zero":
        _assign(network.output.weight, np.zeros(network.output.weight.shape))


def _is_obeyed(start: FitStart) -> bool:
    """Whether the source head is asked for as it is."""
    solver = start.strategy.head_solver()
    return solver is not None and solver.alpha == np.inf


def _match(
    start: FitStart, init: str, source: Source | None, rows: TrainingRows, task: Classification | Regression
) -> SourceMatch:
    """Which row of the source head each class begins from; fits of one fold share the answer."""
    obeyed = _is_obeyed(start)
    stated = getattr(start.head, "source_classes", None)
    key = joblib.hash((init, start.head.normalize, stated, obeyed, getattr(task, "classes", None), rows.y, rows.weight))
    if key not in start.frozen.matches:
        start.frozen.matches[key] = task.match(start.head, init, obeyed, source, start.features, rows)
    return start.frozen.matches[key]


def solve_head(
    start: FitStart, rows: TrainingRows, task: Classification | Regression, head_solver: HeadSolver, trains_on: bool
) -> dict[str, Any]:
    """Solve a linear head on the frozen features; the record that goes into the history.

    A head that `trains_on` begins at the optimum, and is divided by its temperature at the end
    (:func:`divide_by_temperature`): divided before, it would have to grow again, in training.
    """
    output = start.module.head.output
    solution = task.solve(start.head_start, start.features, rows, head_solver)
    if trains_on:
        start.temperature = solution.temperature
        solution = replace(solution.at(1 / solution.temperature), temperature=solution.temperature)
    _assign(output.weight, solution.weight)
    _assign(output.bias, solution.bias)
    return {"alpha": solution.alpha, "temperature": solution.temperature, "n_iter": solution.n_iter}


def divide_by_temperature(start: FitStart) -> None:
    """Divide the outputs of a head that trained on by the temperature of the solved one."""
    if start.temperature != 1:
        with torch.no_grad():
            for values in (start.module.head.output.weight, start.module.head.output.bias):
                values /= start.temperature
        start.temperature = 1.0


# ---- the source, before and after


def source_weights(start: FitStart) -> dict[str, torch.Tensor]:
    """Weights that came from the source, by parameter name; NaN in rows of the head that the source did not know."""
    module, head = start.module, start.head_start
    source = {n: v.detach().clone() for depth, group in module.groups() if depth > 0 for n, v in group.items()}
    if isinstance(start.head, LinearHead):
        weight, bias = np.where(head.known[:, None], head.weight, np.nan), np.where(head.known, head.bias, np.nan)
        for name, value in (("head.output.weight", weight), ("head.output.bias", bias)):
            source[name] = torch.as_tensor(value, dtype=module.head.output.weight.dtype, device=module.device)
    return source


def source_of(
    start: FitStart, rows: TrainingRows, task: Classification | Regression, *, changed: bool, n_frozen: int = 0
) -> Source:
    """What the next fit may know of this one: feature statistics and, of a linear head, its rows.

    Statistics are measured again if the blocks changed and there are at least twice as many rows as features; fewer
    rows measure worse than the source did. The first `n_frozen` blocks are known to be as they came.
    """
    output, head, before = start.module.head.output, start.head_start, start.backbone.source
    scale = head.scale if before is None else np.where(head.used, head.scale, before.feature_scale)
    source = Source(head.mean, scale)
    if isinstance(start.head, LinearHead):
        W = np.where(head.used, _numpy(output.weight), 0.0)
        source = Source(head.mean, scale, **task.source_head(W, _numpy(output.bias)))
    enough = changed and len(rows.X) >= 2 * len(head.mean)
    if head.normalize != "none" and not enough:
        return source
    features = start.trained_features(n_frozen).astype(np.float64, copy=False)
    return source.rescaled(*feature_statistics(features, rows.weight))


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def _assign(tensor: torch.Tensor, values: np.ndarray) -> None:
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.array(values)))
