"""The only door to skorch.

::

    strategy --> phases of equal frozen depth --> features of the frozen blocks, computed once a phase
                                                        |
                                                        v
                          skorch net: epochs, batches by slicing, optimizer groups, callbacks, history

A skorch net is composed for one fit and thrown away; it is never exposed and never stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from skorch import NeuralNet
from skorch.callbacks import PrintLog
from skorch.dataset import Dataset
from torch import nn

from sktransfer.networks.transfer_module import TransferModule
from sktransfer.strategies.base import Augment, Batch, adds_penalty
from sktransfer.training.adamw import FusedAdamW
from sktransfer.training.dropout import private_dropout
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.plan import BatchOrder, Plan, Rows, cosine, diverged, diverged_weight, groups
from sktransfer.utils.chunks import chunk_of, in_chunks
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.random import Draws


class _StopTraining(Exception):
    """A callback asked to stop early."""


# rows of a batch, then their labels and weights
_Step = tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]


class _PhaseRows(Dataset):
    """What the trained blocks get in one phase, as callbacks of skorch know data sets: ``X``, ``y`` and a length."""

    def __init__(self, rows: Rows):
        super().__init__(rows.X, rows.y)
        self.weight = rows.weight


class _Batches:
    """Batches as slices of tensors, each augmented if `augment` is given."""

    def __init__(self, rows: _PhaseRows, order: BatchOrder, augment: Callable[[Batch], Batch] | None):
        self.rows, self.order, self.augment = rows, order, augment

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[_Step]:
        rows = self.rows
        for index in self.order.draw(rows.X.device):
            # several times as fast as rows.X[index]
            x, y, weight = (part.index_select(0, index) for part in (rows.X, rows.y, rows.weight))
            if self.augment is not None:
                x, y, weight, _ = self.augment(Batch(x, y, weight))
            yield x, (y, weight)


class TransferNet(NeuralNet):
    """The skorch net of one fit: slices instead of a DataLoader, parameter groups by depth, weighted loss.

    Parameters
    ----------
    plan : Plan
        What to do.
    rows : Rows
        The training rows as the first block takes them.
    """

    def __init__(self, module: TransferModule, *args: Any, plan: Plan, rows: Rows, **kwargs: Any):
        self.plan = plan
        self.rows = rows
        super().__init__(module, nn.Identity, *args, **kwargs)

    # skorch asks these questions of itself; all training data is in `rows`, so X and y of its methods are unused

    def get_default_callbacks(self) -> list[Any]:
        """Those of skorch but its log: a line an epoch is printed where the caller passes one."""
        return [item for item in super().get_default_callbacks() if not isinstance(item[1], PrintLog)]

    def check_data(self, X: Any, y: Any = None) -> None:
        """Rows were checked before they came here."""

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, None]:
        """No hidden validation split."""
        return self.rows_of_phase_, None

    def get_iterator(self, dataset: _PhaseRows, training: bool = False) -> _Batches:
        """Batches by slicing."""
        return _Batches(dataset, self.order_, self.augment_)

    def forward_iter(self, X: Any, training: bool = False, device: Any = "cpu") -> Iterator[torch.Tensor]:
        """Outputs for callbacks that score, in the order of the rows.

        Parameters
        ----------
        X : data set or tensor of a callback, or array-like of shape (n_samples, n_features)
            The rows of training as callbacks get them, or rows as the first block takes them.
        """
        rows = X.X if isinstance(X, _PhaseRows) else X
        start = self.start_ if rows is self.rows_of_phase_.X else 0
        rows = torch.as_tensor(np.asarray(rows) if not isinstance(rows, torch.Tensor) else rows)
        rows = rows.to(self.rows.X.device, self.rows.X.dtype)
        self._set_training(training)
        for part in in_chunks(len(rows), chunk_of(rows)):
            with torch.set_grad_enabled(training):
                yield self.module_(rows[part], start=start).to(device)

    def _get_predict_nonlinearity(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Softmax of logits; values stay in the unit in which they are learned."""
        return torch.nn.Identity() if self.plan.n_classes is None else partial(torch.softmax, dim=1)

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> TransferNet:
        """AdamW with one group of parameters for each learning rate and weight decay."""
        options = [
            {"params": [parameter for _, parameter in named], "lr": lr, "weight_decay": decay}
            for (lr, decay), named in groups(self.plan, self.module_.groups()).items()
        ]
        if self.aligning is not None and self.aligning.network is not None:
            options.append({"params": [*self.aligning.network.parameters()], "lr": self.plan.lr, "weight_decay": 0.0})
        # callbacks may want all that an optimizer of torch can
        self.optimizer_ = torch.optim.AdamW(options, fused=True) if self.callbacks_ else FusedAdamW(options)
        self.first_rates_ = [group["lr"] for group in self.optimizer_.param_groups]
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Tell the callbacks. A KeyboardInterrupt out of a callback stops training early, as in skorch.

        A Ctrl-C while a callback runs does the same; anywhere else it ends the fit.
        """
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as interrupt:
            if self.callbacks_:
                raise _StopTraining from interrupt
            raise
        if method_name == "on_epoch_end" and self.stop_:
            raise _StopTraining

    def infer(self, x: torch.Tensor, **fit_params: Any) -> torch.Tensor:
        """Outputs from what the frozen blocks returned; an alignment gets the features on the way."""
        if self.aligning is None:
            return self.module_(x, start=self.start_)
        self.features = self.module_.head.standardize(self.module_.features(x, self.start_))
        return self.module_.head.learned(self.features)

    def get_loss(self, y_pred: torch.Tensor, y_true: Any, X: Any = None, training: bool = False) -> torch.Tensor:
        """Mean of the weighted losses plus the strategy's penalty.

        Weights are 1 on average over all rows, not over each batch: a batch of light rows must stay light.
        """
        y, weight = y_true
        losses, streams = self.plan.loss(y_pred, y), self.plan.streams
        loss = torch.dot(losses, weight) / len(weight) if streams is None else streams.label_loss(losses, weight)
        return loss + self.plan.strategy.penalty(self.learning_, self.plan.source) if self.adds_penalty_ else loss

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, torch.Tensor]:
        """One step of the optimizer; training mode is set once a phase, not once a batch."""
        Xi, yi = batch
        if self.callbacks_ and not self.module_.training:
            self.module_.train()  # a callback scored in the middle of an epoch
        self.optimizer_.zero_grad(set_to_none=True)
        outputs = self.infer(Xi)
        loss = self.get_loss(outputs, yi, X=Xi, training=True)
        aligned = 0.0 if self.aligning is None else self.aligning.loss(self.features, outputs, self.progress)
        (loss + aligned).backward()
        if self.callbacks_:
            self.notify("on_grad_computed", named_parameters=list(self.module_.named_parameters()), X=Xi, y=yi[0])
        self.optimizer_.step()
        return {"loss": loss.detach(), "y_pred": outputs}

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """One pass over the rows; the loss is read once, at its end."""
        if iterator is None:
            return
        if self.callbacks_ or not self.module_.training:
            self.module_.train()  # a callback may have put any part of it in inference mode
        losses, sizes = [], []
        for number, batch in enumerate(iterator):
            self._set_rate((self.epoch_ + number / len(iterator)) / self.plan.max_epochs)
            plain = (batch[0], batch[1][0])  # callbacks know rows and labels, not weights
            if self.callbacks_:
                self.notify("on_batch_begin", batch=plain, training=training)
            step = step_fn(batch)
            losses.append(step["loss"])
            sizes.append(len(batch[0]))
            if self.callbacks_:
                self.history.record_batch(f"{prefix}_loss", float(step["loss"]))
                self.history.record_batch(f"{prefix}_batch_size", sizes[-1])
                self.notify("on_batch_end", batch=plain, training=training, **step)
        if self.aligning is not None:
            self.history.record("alignment_loss", self.aligning.epoch_mean(self.epoch_, torch.stack(losses)))
        mean = float(torch.stack(losses) @ torch.tensor(sizes, dtype=losses[0].dtype, device=losses[0].device))
        mean /= sum(sizes)
        if not math.isfinite(mean):
            raise diverged(self.plan.lr, self.epoch_)
        self.history.record(f"{prefix}_loss", mean)
        self.history.record("frozen_blocks", self.module_.n_frozen)
        self._report(mean)

    def _set_rate(self, progress: float) -> None:
        factor, self.progress = cosine(progress), progress
        for group, base in zip(self.optimizer_.param_groups, self.first_rates_, strict=True):
            group["lr"] = base * factor

    def _report(self, loss: float) -> None:
        self.epoch_ += 1
        self.stop_ = self.plan.on_epoch(self.epoch_ - 1, loss) or self.plan.stopped(loss)


class _ClassifierNet(ClassifierMixin, TransferNet):
    """Classes are their numbers, in the order of the estimator's ``classes_``."""

    @property
    def classes_(self) -> np.ndarray:
        """The numbers of all classes."""
        return np.arange(self.plan.n_classes or 0)

    def predict(self, X: Any) -> np.ndarray:
        """Number of the most probable class of each row."""
        return self.predict_proba(X).argmax(axis=1)


class _RegressorNet(RegressorMixin, TransferNet):
    """Values are in the unit in which they are learned: mean 0 and standard deviation 1."""


def _prints(callbacks: list[Any] | None) -> bool:
    """Whether there is a log among them: skorch's prints nothing where the net is silent."""
    given = [item[1] if type(item) is tuple else item for item in callbacks or ()]
    return any(isinstance(callback, PrintLog) for callback in given)


def train(
    module: TransferModule, frozen: FrozenFeatures, rows: Rows, plan: Plan, others: FrozenFeatures | None = None
) -> list[dict[str, Any]]:
    """Train `module` in place and return one record an epoch.

    Frozen blocks are run once for each run of epochs with the same frozen depth, in inference mode, and what is
    above them trains on the result.

    Parameters
    ----------
    module : TransferModule
        Changed in place.
    frozen : FrozenFeatures
        Outputs of the blocks as they are in `module` now, for the same rows.
    rows : Rows
        Inputs of the first block, labels and weights.
    plan : Plan
    others : FrozenFeatures, optional
        Of the rows without a label that ``plan.streams`` counts after `rows`.

    Raises
    ------
    ValueError
        If the loss or a weight stops being finite.
    KeyboardInterrupt
        On Ctrl-C outside of a callback.
    """
    kind = _RegressorNet if plan.n_classes is None else _ClassifierNet
    net = kind(
        module,
        plan=plan,
        rows=rows,
        device=str(rows.X.device),
        train_split=None,
        batch_size=plan.batch_size,  # a progress bar asks
        verbose=int(_prints(plan.callbacks)),
        callbacks=plan.callbacks or "disable",
    )
    streams = plan.streams
    net.aligning = None if streams is None else streams.aligning(module, plan.seed, rows.X)
    net.others = others
    with private_dropout(module, plan.seed, rows.X.device):
        net.initialize()
        _warn_of_validation(net)
        net.order_ = (
            BatchOrder(len(rows.X), plan.batch_size, plan.seed) if streams is None else streams.order(plan.seed)
        )
        net.draws_ = Draws(plan.seed, rows.X.device)
        net.adds_penalty_ = adds_penalty(plan.strategy)
        net.epoch_ = 0
        net.stop_ = False
        try:
            net.notify("on_train_begin", X=rows.X, y=rows.y)
            _run_phases(net, frozen)
        except _StopTraining:
            module.eval()  # asked for by a callback or by the loss; the epochs so far count
        with suppress(_StopTraining):  # training has ended
            net.notify("on_train_end", X=rows.X, y=rows.y)
    module.eval()
    if not all(bool(torch.isfinite(p).all()) for p in module.state_dict().values()):
        raise diverged_weight(plan.lr)
    # an epoch that a callback ended half-way has no loss of its own
    finished = [epoch for epoch in net.history if "train_loss" in epoch]
    return [{k: v for k, v in epoch.items() if k != "batches"} for epoch in finished]


def _warn_of_validation(net: TransferNet) -> None:
    """Warn of callbacks that score rows that nobody holds out: they would record nothing."""
    given = [one[1] if isinstance(one, tuple) else one for one in net.plan.callbacks or []]
    idle = [type(one).__name__ for one in given if getattr(one, "on_train", True) is False]
    if idle:
        warn_caller(
            f"The callbacks {idle} score validation rows, but fit holds out none, so that they record nothing. Pass "
            "on_train=True to score the rows of training, or score with cross_validate.",
            UserWarning,
        )


def _run_phases(net: TransferNet, frozen: FrozenFeatures) -> None:
    module, rows, device = net.module_, net.rows, net.rows.X.device
    for n_frozen, n_epochs in net.plan.phases(len(module.blocks)):
        module.freeze(n_frozen)
        net.learning_ = {name: p for _, group in module.groups() for name, p in group.items() if p.requires_grad}
        augment = net.plan.strategy.augment(n_frozen, len(module.blocks))
        net.augment_ = None if augment is None else partial(_augmented, net, augment)
        # beyond the budget of memory, and for rows that are others in each epoch, the frozen blocks run for every
        # batch, in inference mode all the same
        net.start_ = n_frozen if augment is None and frozen.fits(module, n_frozen) else 0
        X = frozen.after(module, net.start_, device)
        if net.start_ == len(module.blocks) and net.plan.streams is None:
            net.start_ += 1  # the head's constants apply to all rows at once
            X = module.head.standardize(X)
        net.rows_of_phase_ = _PhaseRows(_with_others(net, Rows(X, rows.y, rows.weight), device))
        net.fit_loop(None, epochs=n_epochs)
        frozen = frozen.below(n_frozen)
        net.others = None if net.others is None else net.others.below(n_frozen)


def _augmented(net: TransferNet, augment: Augment, batch: Batch) -> Batch:
    return augment(batch._replace(n_classes=net.plan.n_classes), net.draws_)


def _with_others(net: TransferNet, rows: Rows, device: torch.device) -> Rows:
    """`rows`, and after them those without a label; their labels and weights are zero."""
    if net.others is None or len(net.others.X) == 0:
        return rows
    X = net.others.after(net.module_, net.start_, device).to(rows.X.dtype)
    y, weight = rows.y.new_zeros((len(X), *rows.y.shape[1:])), rows.weight.new_zeros(len(X))
    return Rows(torch.cat([rows.X, X]), torch.cat([rows.y, y]), torch.cat([rows.weight, weight]))
