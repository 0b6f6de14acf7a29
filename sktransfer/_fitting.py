"""The one path that both estimators share: check, assemble, train, remember.

::

    X, y --check--> float32 rows, encoded labels, weights
                        |
    backbone --assemble--> TransferModule: copied blocks + a head that begins where the source ended
                        |
             --train--> head solved, then epochs, as the strategy answers
                        |
             --remember--> module_, backbone_, history_, ...          (nothing is remembered unless all went well)
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sktransfer import _validation
from sktransfer._callbacks import CallbackSupportMixin, FitTask
from sktransfer._device import resolve_device
from sktransfer._persisted import ArrayState, share_blocks
from sktransfer._random import build_seeded, draw_seed
from sktransfer._range import confidence_weights
from sktransfer._rows import TrainingRows, canonical
from sktransfer._tasks import Classification, Regression
from sktransfer._threads import torch_threads
from sktransfer._validation import Interval, Options
from sktransfer.backbone import Backbone, FromScratch, Inputs, Source, compare_width
from sktransfer.head import LinearHead, MLPHead
from sktransfer.module import TransferModule, in_chunks
from sktransfer.persistence import load_backbone
from sktransfer.probing import LinearProbing
from sktransfer.strategy import Strategy


@dataclass
class Assembly:
    """What a fit begins with, parameters resolved."""

    backbone: Backbone
    strategy: Strategy
    head: Any
    module: TransferModule
    scratch: bool
    seed: int
    features: np.ndarray | None = None  # standardised, where the head begins from them

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.module.blocks)


class TransferEstimator(ArrayState, CallbackSupportMixin, BaseEstimator):
    """What `TransferClassifier` and `TransferRegressor` share."""

    _parameter_constraints: dict[str, Any] = {
        "backbone": [Backbone, FromScratch, str, os.PathLike, None],
        "head": [LinearHead, MLPHead, None],
        "strategy": [Strategy, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), Options(str, {"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "verbose": ["verbose"],
        "random_state": ["random_state", np.random.Generator],
    }

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        self._forget()
        rows, task = self._check(X, y, sample_weight)
        with torch_threads(self.n_jobs):
            assembly = self._assemble(rows, task)
            history = self._train(assembly, rows, task)
            return self._remember(assembly, history, rows, task)

    def _forget(self) -> None:
        """Leave nothing of an earlier fit: an interrupted fit must not look like a finished one."""
        for name in [key for key in self.__dict__ if key.endswith("_") and not key.startswith("_")]:
            delattr(self, name)

    # ---- check

    def _check(self, X: Any, y: Any, sample_weight: Any) -> tuple[TrainingRows, Classification | Regression]:
        self._validate_params()
        resolve_device(self.device)
        who = type(self).__name__
        if y is None:
            raise ValueError(f"{who} requires y to be passed, but the target y is None.")
        X = _validation.check_rows(self, X, reset=True)
        names = _validation.column_names(self, X.shape[1])
        weight = _validation.check_weights(self, sample_weight, X)
        y, task = self._check_y(y, weight, len(X))
        _validation.warn_of_quality(who, X, names)
        return task.weigh(canonical(_validation.to_float32(who, X, names), y, weight)), task

    # ---- assemble

    def _assemble(self, rows: TrainingRows, task: Classification | Regression) -> Assembly:
        backbone, seed = self.backbone, draw_seed(self.random_state)
        if isinstance(backbone, str | os.PathLike):
            backbone = load_backbone(backbone)
        scratch = not isinstance(backbone, Backbone)
        if scratch:
            recipe = FromScratch() if backbone is None else backbone
            backbone = build_seeded(lambda: recipe.build(rows.X.shape[1]), seed)
        names = getattr(self, "feature_names_in_", None)
        compare_width(type(self).__name__, backbone, rows.X.shape[1], names)
        strategy = self.strategy if self.strategy is not None else (Strategy() if scratch else LinearProbing())
        head = self.head if self.head is not None else LinearHead()
        network = build_seeded(lambda: head.build(backbone.n_features_out, task.n_outputs), seed)
        module = TransferModule(backbone.copy_blocks(), network, backbone.blocks).to(resolve_device(self.device)).eval()
        assembly = Assembly(backbone, strategy, head, module, scratch, seed)
        _begin_head(assembly, rows, task)
        return assembly

    # ---- train

    def _train(self, assembly: Assembly, rows: TrainingRows, task: Classification | Regression) -> list[dict[str, Any]]:
        strategy, n_epochs = assembly.strategy, self._n_epochs(len(rows.X))
        only_head = _always_frozen(strategy, n_epochs, assembly.n_blocks)
        pull, history, phases = strategy.probe(), [], [strategy]
        if pull is not None and isinstance(assembly.head, LinearHead):
            history = [_solve_head(assembly, rows, task, pull)]
            phases = [] if only_head else [strategy]
        elif pull is not None and not only_head:
            phases = [LinearProbing(), strategy]  # a head that cannot be solved first trains on frozen blocks
        progress = FitTask(self, rows.X, rows.y, n_epochs * len(phases))
        for phase in phases:
            history += self._train_epochs(assembly, rows, task, phase, n_epochs, progress)
        progress.end()
        _warn_if_worse(type(self).__name__, history, self.lr)
        return history

    def _train_epochs(self, assembly, rows, task, strategy, n_epochs, progress) -> list[dict[str, Any]]:
        # skorch is imported when something trains by epochs, never for predict
        from sktransfer import _net

        device = assembly.module.device
        weight = rows.weight / rows.weight.mean()
        tensors = [torch.from_numpy(np.array(a)).to(device) for a in (rows.X, rows.y, weight.astype(np.float32))]
        if tensors[1].is_floating_point():
            tensors[1] = tensors[1].float()
        plan = _net.Plan(
            strategy=strategy,
            max_epochs=n_epochs,
            lr=float(self.lr),
            batch_size=int(self.batch_size),
            seed=assembly.seed,
            loss=task.loss,
            source={} if assembly.scratch else _source_weights(assembly),
            callbacks=None if self.callbacks is None else list(self.callbacks),
            verbose=int(self.verbose),
            on_epoch=progress.epoch,
        )
        return _net.train(assembly.module, _net.Rows(*tensors), plan)

    def _n_epochs(self, n_rows: int) -> int:
        """``max_epochs``, or enough of them for about a thousand steps, between 20 and 200."""
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        steps = max(1, -(-n_rows // int(self.batch_size)))
        return int(np.clip(-(-1000 // steps), 20, 200))

    # ---- remember

    def _remember(self, assembly: Assembly, history: list[dict[str, Any]], rows: TrainingRows, task: Any) -> Any:
        module = assembly.module.eval().requires_grad_(False)
        n_epochs = sum("train_loss" in record for record in history)
        frozen = [assembly.strategy.n_frozen(epoch, assembly.n_blocks) for epoch in range(n_epochs)]
        self.device_ = str(module.device)
        self.n_outputs_ = task.n_outputs
        self.backbone_ = assembly.backbone.retrained(
            module.blocks,
            min(frozen, default=assembly.n_blocks),
            name="fitted",
            inputs=self._inputs(assembly.backbone.inputs, rows.X),
            source=_source_of(assembly, rows, task),
            provenance={"fitted_from": assembly.backbone.name, "n_samples": len(rows.X)},
        )
        blocks = self.backbone_._modules if self.device_ == "cpu" else list(module.blocks)
        self.module_ = share_blocks(module, blocks)
        self.history_ = history
        self.n_iter_ = n_epochs or history[0]["n_iter"]
        return self

    def _inputs(self, inputs: Inputs, X: np.ndarray) -> Inputs:
        """The backbone's inputs, with the names and the range of these rows."""
        low, high = X.min(axis=0), X.max(axis=0)
        if inputs.minimum is not None and inputs.maximum is not None and len(inputs.minimum) == len(low):
            low, high = np.minimum(low, inputs.minimum), np.maximum(high, inputs.maximum)
        names = getattr(self, "feature_names_in_", None)
        names = inputs.names if names is None else tuple(str(name) for name in names)
        return Inputs(inputs.n, names, inputs.units, inputs.scaling, low, high)

    # ---- predict

    def _outputs(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Outputs of shape (n_samples, n_outputs), float64, and the confidence weight of each row."""
        check_is_fitted(self)
        X = _validation.check_rows(self, X, reset=False)
        who, names = type(self).__name__, _validation.column_names(self, X.shape[1])
        device = resolve_device(self.device)
        module = self._module_on(device)
        outputs, trust = np.empty((len(X), self.n_outputs_)), np.empty(len(X))
        with torch_threads(self.n_jobs):
            for part in in_chunks(len(X)):
                chunk = _validation.to_float32(who, X[part], names)
                outputs[part] = module.run(chunk)
                trust[part] = confidence_weights(chunk, self.backbone_.inputs)
        if not np.isfinite(outputs).all():
            raise ValueError(f"{who}: the network returned values that are not finite for these rows.")
        return outputs, trust

    def _module_on(self, device: torch.device) -> TransferModule:
        if str(device) != self.device_:
            self.module_ = share_blocks(self.module_, self.backbone_.copy_blocks()).to(device)
            self.device_ = str(device)
        return self.module_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")


def _always_frozen(strategy: Strategy, n_epochs: int, n_blocks: int) -> bool:
    return all(strategy.n_frozen(epoch, n_blocks) == n_blocks for epoch in range(n_epochs))


def feature_statistics(features: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each feature.

    Features that hardly move on these rows get a tenth of the median deviation, or they would explode on a
    target where they do move.
    """
    mean = np.average(features, axis=0, weights=weight)
    scale = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weight))
    moving = scale[scale > 1e-8]
    return mean, np.maximum(scale, 0.1 * (np.median(moving) if len(moving) else 10.0))


def _begin_head(assembly: Assembly, rows: TrainingRows, task: Any) -> None:
    """Set the head's standardisation and, for a linear head, the rows it begins with."""
    head, source = assembly.head, assembly.backbone.source
    normalize = head.normalize
    if normalize == "auto":
        normalize = "none" if assembly.scratch else ("source" if source is not None else "target")
    if normalize not in ("source", "target", "none"):
        raise _validation.InvalidParameterError(
            f"The 'normalize' parameter of {type(head).__name__} must be 'auto', 'source', 'target' or 'none'. "
            f"Got {normalize!r} instead."
        )
    if normalize == "source" and source is None:
        raise ValueError(
            f"{type(head).__name__}(normalize='source'): backbone {assembly.backbone.name!r} carries no feature "
            "statistics; use normalize='auto'."
        )
    init = _check_init(head)
    needs_features = normalize == "target" or not (assembly.scratch or init == "random")
    needs_features |= assembly.strategy.probe() is not None and isinstance(head, LinearHead)
    features = assembly.module.run_features(rows.X).astype(np.float64) if needs_features else None
    mean, scale = 0.0, 1.0
    if normalize == "source":
        mean, scale = source.feature_mean, source.feature_scale
    elif normalize == "target":
        mean, scale = feature_statistics(features, rows.weight)
    _assign(assembly.module.head.standardize.mean, mean)
    _assign(assembly.module.head.standardize.scale, scale)
    if features is not None:
        assembly.features = (features - mean) / scale
    if init != "random" and not (assembly.scratch and init == "auto"):
        source = None if source is None else _restate(source, mean, scale)
        W, b = task.begin(init, source, assembly.features, rows)
        _assign(assembly.module.head.output.weight, W)
        _assign(assembly.module.head.output.bias, b)


def _check_init(head: Any) -> str:
    init = getattr(head, "init", "random")
    if init not in ("auto", "source", "imprint", "random"):
        raise _validation.InvalidParameterError(
            f"The 'init' parameter of LinearHead must be 'auto', 'source', 'imprint' or 'random'. Got {init!r} instead."
        )
    return init


def _restate(source: Source, mean: np.ndarray, scale: np.ndarray) -> Source:
    """The source head on features standardised by other statistics: the same logits."""
    if source.weight is None:
        return source
    raw = source.weight / source.feature_scale
    bias = source.bias - raw @ source.feature_mean + raw @ np.broadcast_to(mean, source.feature_mean.shape)
    return Source(source.feature_mean, source.feature_scale, raw * scale, bias, source.classes)


def _assign(tensor: torch.Tensor, values: Any) -> None:
    with torch.no_grad():
        tensor.copy_(torch.as_tensor(values, dtype=tensor.dtype))


def _solve_head(assembly: Assembly, rows: TrainingRows, task: Any, pull: float | str) -> dict[str, Any]:
    output = assembly.module.head.output
    W0, b0 = output.weight.detach().cpu().double().numpy(), output.bias.detach().cpu().double().numpy()
    if _check_init(assembly.head) == "random" or assembly.scratch:
        W0, b0 = np.zeros_like(W0), np.zeros_like(b0)  # nothing to be pulled to but zero
    solution = task.solve(assembly.features, rows, W0, b0, pull)
    _assign(output.weight, solution.weight)
    _assign(output.bias, solution.bias)
    return {"pull": solution.pull, "n_iter": solution.n_iter}


def _source_weights(assembly: Assembly) -> dict[str, torch.Tensor]:
    """Where the weights began that came from the source; a random head did not."""
    from_source = isinstance(assembly.head, LinearHead) and assembly.head.init != "random"
    return {
        name: value.detach().clone()
        for depth, group in assembly.module.groups()
        if depth > 0 or from_source
        for name, value in group.items()
    }


def _source_of(assembly: Assembly, rows: TrainingRows, task: Any) -> Source:
    """What the next fit may know of this one: feature statistics and, of a linear head, its rows."""
    head = assembly.module.head
    mean, scale = head.standardize.mean.cpu().double().numpy(), head.standardize.scale.cpu().double().numpy()
    statistics = (mean, scale)
    if assembly.scratch or not mean.any():
        features = assembly.module.run_features(rows.X).astype(np.float64)
        statistics = feature_statistics(features, rows.weight)
    if not isinstance(assembly.head, LinearHead):
        return Source(*statistics)
    W, b = head.output.weight.cpu().double().numpy(), head.output.bias.cpu().double().numpy()
    known = Source(mean, scale, **task.source_head(W, b))
    moved = _restate(known, *statistics)
    return Source(*statistics, moved.weight, moved.bias, known.classes)


def _warn_if_worse(who: str, history: list[dict[str, Any]], lr: float) -> None:
    losses = [record["train_loss"] for record in history if "train_loss" in record]
    if len(losses) > 1 and losses[-1] > 2 * losses[0] + 1e-3:
        warnings.warn(
            f"{who}: the loss grew from {losses[0]:.3g} to {losses[-1]:.3g}; lr={lr:g} is too large for these rows.",
            ConvergenceWarning,
            stacklevel=4,
        )
