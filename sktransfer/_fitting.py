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

import copy
import os
import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sktransfer import _validation
from sktransfer._assembly import Assembly, average, begin_head, is_solvable, solve_head, source_of, source_weights
from sktransfer._callbacks import CallbackSupport, FitTask
from sktransfer._device import resolve_device
from sktransfer._parameters import Interval, Options, check_callbacks
from sktransfer._persisted import ArrayState, share_blocks
from sktransfer._random import build_seeded, draw_seed
from sktransfer._range import confidence_weights
from sktransfer._rows import TrainingRows, canonical, count_batches
from sktransfer._tasks import Classification, Regression
from sktransfer._threads import blas_threads, torch_threads
from sktransfer.backbone import Backbone, compare_columns
from sktransfer.card import Inputs
from sktransfer.from_scratch import FromScratch, resolve_backbone
from sktransfer.head import LinearHead, MLPHead
from sktransfer.module import TransferModule, in_chunks
from sktransfer.probe_then_tune import ProbeThenTune
from sktransfer.probing import LinearProbing
from sktransfer.strategy import Strategy


class TransferEstimator(ArrayState, CallbackSupport, BaseEstimator):
    """What `TransferClassifier` and `TransferRegressor` share."""

    _parameter_constraints: dict[str, Any] = {
        "backbone": [Backbone, FromScratch, str, os.PathLike, None],
        "head": [LinearHead, MLPHead, None],
        "strategy": [Strategy, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), Options(str, {"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(str, {"auto"})],
        "callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "verbose": ["verbose"],
        "random_state": ["random_state", np.random.Generator],
    }

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        self._forget()
        rows, task = self._check(X, y, sample_weight)
        with torch_threads(self.n_jobs), blas_threads(self.n_jobs):
            assembly = self._assemble(rows, task)
            history = self._train(assembly, rows, task)
            return self._remember(assembly, history, rows, task)

    def _forget(self) -> None:
        """Leave nothing of an earlier fit: an interrupted fit must not look like a finished one."""
        for name in [key for key in self.__dict__ if key.endswith("_") and not key.startswith("_")]:
            delattr(self, name)
        self.__dict__.pop("_head_in_use", None)

    # ---- check

    def _check(self, X: Any, y: Any, sample_weight: Any) -> tuple[TrainingRows, Classification | Regression]:
        self._validate_params()
        resolve_device(self.device)
        check_callbacks(type(self).__name__, self.callbacks)
        who = type(self).__name__
        if y is None:
            raise ValueError(f"{who} requires y to be passed, but the target y is None.")
        X = _validation.check_rows(self, X, reset=True)
        names = _validation.column_names(self, X.shape[1])
        weight = _validation.check_weights(self, sample_weight, X)
        y, task = self._check_y(y, weight, len(X))
        _validation.warn_of_quality(who, X, names)
        rows = task.weigh(canonical(_validation.to_float32(who, X, names), y, weight))
        if len(rows.X) < 2:
            raise ValueError(f"{who} needs at least 2 different rows with a weight above zero; got 1 sample.")
        return rows, task

    # ---- assemble

    def _assemble(self, rows: TrainingRows, task: Classification | Regression) -> Assembly:
        seed = draw_seed(self.random_state)
        backbone, scratch = resolve_backbone(self.backbone, rows.X.shape[1], seed)
        compare_columns(type(self).__name__, backbone, rows.X.shape[1], getattr(self, "feature_names_in_", None))
        strategy = self.strategy if self.strategy is not None else (Strategy() if scratch else ProbeThenTune())
        head = self.head if self.head is not None else LinearHead()
        network = build_seeded(lambda: head.build(backbone.n_features_out, task.n_outputs), seed)
        device = resolve_device(self.device)
        # blocks that nothing trains are the backbone's own, as in predict
        n_epochs, n_blocks = self._n_epochs(len(rows.X)), len(backbone.blocks)
        shared = is_solvable(strategy, head) and _always_frozen(strategy, n_epochs, n_blocks)
        blocks = backbone.modules_on(device) if shared else backbone.copy_blocks()
        module = TransferModule(blocks, network, backbone.blocks, keep_statistics=not scratch).to(device).eval()
        assembly = Assembly(backbone, strategy, head, module, scratch, seed)
        begin_head(assembly, rows, task)
        return assembly

    # ---- train

    def _train(self, assembly: Assembly, rows: TrainingRows, task: Classification | Regression) -> list[dict[str, Any]]:
        strategy, n_epochs = assembly.strategy, self._n_epochs(len(rows.X))
        only_head = _always_frozen(strategy, n_epochs, assembly.n_blocks)
        probe, history, phases = strategy.probe(), [], [strategy]
        if probe is not None and isinstance(assembly.head, LinearHead):
            history = [solve_head(assembly, rows, task, probe)]
            phases = [] if only_head else [strategy]
        elif probe is not None and not only_head:
            phases = [LinearProbing(), strategy]  # a head that cannot be solved first trains on frozen blocks
        # from scratch there is nothing worth keeping of where the weights began
        share = 1.0 if assembly.scratch else strategy.share()
        with FitTask(self, rows.X, rows.y, n_epochs * len(phases)) as progress:
            for phase in phases:
                before = copy.deepcopy(assembly.module.state_dict()) if phase is phases[-1] and share < 1 else {}
                history += self._train_epochs(assembly, rows, task, phase, n_epochs, progress)
                if before:
                    average(assembly.module, before, share)
        _warn_if_worse(type(self).__name__, history, self.lr, task.chance_loss)
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
            batch_size=self._batch_size(len(rows.X)),
            stop_loss=1e-3 if self.max_epochs == "auto" else 0.0,
            seed=assembly.seed,
            loss=task.loss,
            decay=assembly.scratch,
            source={} if assembly.scratch else source_weights(assembly, task),
            callbacks=None if self.callbacks is None else list(self.callbacks),
            verbose=int(self.verbose),
            on_epoch=progress.epoch,
        )
        return _net.train(assembly.module, _net.Rows(*tensors), plan)

    def _batch_size(self, n_rows: int) -> int:
        """``batch_size``, or the largest power of two with at least 14 batches, between 32 and 256."""
        if self.batch_size != "auto":
            return int(self.batch_size)
        return int(np.clip(2 ** int(np.log2(max(n_rows / 14, 1))), 32, 256))

    def _n_epochs(self, n_rows: int) -> int:
        """``max_epochs``, or enough of them for about a thousand steps, between 10 and 500."""
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        steps = count_batches(n_rows, self._batch_size(n_rows))
        return int(np.clip(-(-1000 // steps), 10, 500))

    # ---- remember

    def _remember(self, assembly: Assembly, history: list[dict[str, Any]], rows: TrainingRows, task: Any) -> Any:
        module = assembly.module.eval().requires_grad_(False)
        n_epochs = sum("train_loss" in record for record in history)
        frozen = [assembly.strategy.n_frozen(epoch, assembly.n_blocks) for epoch in range(n_epochs)]
        self.device_ = str(module.device)
        self.n_outputs_ = task.n_outputs
        self._head_in_use = clone(assembly.head)  # parameters may be set after the fit
        self.backbone_ = assembly.backbone.retrained(
            module.blocks,
            min(frozen, default=assembly.n_blocks),
            name="fitted",
            inputs=self._inputs(assembly.backbone.inputs, rows.X),
            source=source_of(assembly, rows, task, moved=min(frozen, default=assembly.n_blocks) < assembly.n_blocks),
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
            # a new module: another thread may be predicting with the old one
            head = copy.deepcopy(self.module_.head).to(device)
            self.module_ = TransferModule(self.backbone_.modules_on(device), head, self.backbone_.blocks).eval()
            self.device_ = str(device)
        return self.module_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")


def _always_frozen(strategy: Strategy, n_epochs: int, n_blocks: int) -> bool:
    return all(strategy.n_frozen(epoch, n_blocks) == n_blocks for epoch in range(n_epochs))


def _warn_if_worse(who: str, history: list[dict[str, Any]], lr: float, chance: float) -> None:
    """Warn if training made it worse than knowing nothing; dropout alone makes a small loss go up and down."""
    losses = [record["train_loss"] for record in history if "train_loss" in record]
    if losses and losses[-1] > 2 * chance and (losses[-1] > losses[0] or losses[-1] > 1000 * chance):
        warnings.warn(
            f"{who}: the loss went from {losses[0]:.3g} to {losses[-1]:.3g}, where knowing nothing gives {chance:.3g}; "
            f"lr={lr:g} is too large for these rows.",
            ConvergenceWarning,
            stacklevel=4,
        )
