"""The only door to skorch.

::

    strategy --> phases of equal frozen depth --> features of the frozen blocks, computed once a phase
                                                        |
                                                        v
                          skorch net: epochs, batches by slicing, optimizer groups, callbacks, history

A skorch net is composed for one fit and thrown away; it is never exposed and never stored.
"""

from __future__ import annotations

import dis
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from skorch import NeuralNet
from torch import nn

from sktransfer.networks.transfer_module import TransferModule
from sktransfer.strategies.base import Batch, adds_penalty
from sktransfer.training.dropout import private_dropout
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.plan import BatchOrder, Plan, Rows, cosine, diverged, diverged_weight, groups
from sktransfer.utils.random import Draws


class _StopTraining(Exception):
    """A callback asked to stop early."""


# rows, labels and weights of a batch, as the first block and the loss take them; a change knows the rows' numbers too
_Step = tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]
_Change = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], _Step]


class _Batches:
    """Batches as slices of tensors, changed as `change` says."""

    def __init__(self, rows: Rows, order: BatchOrder, change: _Change | None):
        self.rows, self.order, self.change = rows, order, change

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[_Step]:
        rows = self.rows
        for index in self.order.draw(rows.X.device):
            # several times as fast as rows.X[index]
            x, y, weight = (part.index_select(0, index) for part in (rows.X, rows.y, rows.weight))
            yield (x, (y, weight)) if self.change is None else self.change(x, y, weight, index)


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

    def check_data(self, X: Any, y: Any = None) -> None:
        """Rows were checked before they came here."""

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, None]:
        """No hidden validation split."""
        return self.rows_of_phase_, None

    def get_iterator(self, dataset: Rows, training: bool = False) -> _Batches:
        """Batches by slicing."""
        return _Batches(dataset, self.order_, self.change_)

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> TransferNet:
        """AdamW with one group of parameters for each learning rate and weight decay."""
        self.optimizer_ = torch.optim.AdamW(
            [
                {"params": [parameter for _, parameter in named], "lr": lr, "weight_decay": decay}
                for (lr, decay), named in groups(self.plan, self.module_.groups()).items()
            ],
            fused=True,
        )
        self.base_rates_ = [group["lr"] for group in self.optimizer_.param_groups]
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Tell the callbacks; a KeyboardInterrupt that a callback raises itself means "stop early".

        skorch's own callbacks stop training that way. A Ctrl-C must not look like a finished fit: it arrives between
        two instructions, or is raised by a signal handler, and not at a ``raise`` statement of a callback.
        """
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as interrupt:
            if _was_raised_by(interrupt, [callback for _, callback in self.callbacks_]):
                raise _StopTraining from interrupt
            raise
        if method_name == "on_epoch_end" and self.stop_:
            raise _StopTraining

    def infer(self, x: torch.Tensor, **fit_params: Any) -> torch.Tensor:
        """Outputs from what the frozen blocks returned."""
        return self.module_(x, start=self.start_)

    def get_loss(self, y_pred: torch.Tensor, y_true: Any, X: Any = None, training: bool = False) -> torch.Tensor:
        """Mean of the weighted losses plus the strategy's pull.

        Weights are 1 on average over all rows, not over each batch: a batch of light rows must stay light.
        """
        y, weight = y_true
        loss = torch.dot(self.plan.loss(y_pred, y), weight) / len(weight)
        return loss + self.plan.strategy.penalty(self.learning_, self.plan.source) if self.pulls_ else loss

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, torch.Tensor]:
        """One step of the optimizer; training mode is set once a phase, not once a batch."""
        Xi, yi = batch
        self.optimizer_.zero_grad(set_to_none=True)
        outputs = self.infer(Xi)
        loss = self.get_loss(outputs, yi, X=Xi, training=True)
        loss.backward()
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
        mean = float(torch.stack(losses) @ torch.tensor(sizes, dtype=losses[0].dtype, device=losses[0].device))
        mean /= sum(sizes)
        if not math.isfinite(mean):
            raise diverged(self.plan.lr, self.epoch_)
        self.history.record(f"{prefix}_loss", mean)
        self.history.record("frozen_blocks", self.module_.n_frozen)
        self._report(mean)

    def _set_rate(self, progress: float) -> None:
        factor = cosine(progress)
        for group, base in zip(self.optimizer_.param_groups, self.base_rates_, strict=True):
            group["lr"] = base * factor

    def _report(self, loss: float) -> None:
        self.epoch_ += 1
        if self.plan.verbose:
            frozen = f", {self.module_.n_frozen} blocks frozen" if self.module_.n_frozen else ""
            # the one print of the package: verbose=1 asks for it
            print(f"epoch {self.epoch_}/{self.plan.max_epochs}: loss {loss:.4f}{frozen}", flush=True)  # noqa: T201
        self.stop_ = self.plan.on_epoch(self.epoch_ - 1, loss) or self.plan.stopped(loss)


def train(module: TransferModule, frozen: FrozenFeatures, rows: Rows, plan: Plan) -> list[dict[str, Any]]:
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

    Raises
    ------
    ValueError
        If the loss or a weight stops being finite.
    KeyboardInterrupt
        On Ctrl-C.
    """
    net = TransferNet(
        module,
        plan=plan,
        rows=rows,
        device=str(rows.X.device),
        train_split=None,
        verbose=0,
        callbacks=plan.callbacks or "disable",
    )
    with private_dropout(module, plan.seed, rows.X.device):
        net.initialize()
        net.order_ = BatchOrder(len(rows.X), plan.batch_size, plan.seed)
        net.draws_ = Draws(plan.seed, rows.X.device)
        net.pulls_ = adds_penalty(plan.strategy)
        net.epoch_ = 0
        net.stop_ = False
        try:
            net.notify("on_train_begin", X=rows.X, y=rows.y)
            _run_phases(net, frozen)
        except _StopTraining:
            module.eval()  # asked for by a callback or by the loss; the epochs so far count
        net.notify("on_train_end", X=rows.X, y=rows.y)
    module.eval()
    if not all(bool(torch.isfinite(p).all()) for p in module.state_dict().values()):
        raise diverged_weight(plan.lr)
    # an epoch that a callback ended half-way has no loss of its own
    finished = [epoch for epoch in net.history if "train_loss" in epoch]
    return [{k: v for k, v in epoch.items() if k != "batches"} for epoch in finished]


def _run_phases(net: TransferNet, frozen: FrozenFeatures) -> None:
    module, rows, device = net.module_, net.rows, net.rows.X.device
    for n_frozen, n_epochs in net.plan.phases(len(module.blocks)):
        module.freeze(n_frozen)
        net.learning_ = {name: p for _, group in module.groups() for name, p in group.items() if p.requires_grad}
        net.change_ = _change(net, n_frozen)
        # beyond the budget of memory, and for rows that are others in each epoch, the frozen blocks run for every
        # batch, in inference mode all the same
        net.start_ = n_frozen if net.change_ is None and frozen.fits(module, n_frozen) else 0
        # what a front end returns has no time to shift: such windows are augmented raw, and prepared batch by batch
        raw = rows.raw if net.change_ is not None else None
        X = frozen.after(module, net.start_, device) if raw is None else raw.tensor(device)
        if net.start_ == len(module.blocks):
            net.start_ += 1  # the head's constants apply to all rows at once
            X = module.head.standardize(X)
        net.rows_of_phase_ = Rows(X, rows.y, rows.weight)
        net.fit_loop(None, epochs=n_epochs)
        frozen = frozen.below(n_frozen)


def _change(net: TransferNet, n_frozen: int) -> _Change | None:
    """What happens to a batch before the first block takes it; None: nothing."""
    augment, raw = net.plan.strategy.augment(n_frozen, len(net.module_.blocks)), net.rows.raw
    if augment is None:
        return None

    def change(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, index: torch.Tensor) -> _Step:
        x, y, weight, _ = augment(Batch(x, y, weight, net.plan.n_classes), net.draws_)
        return x if raw is None else raw.prepare(x, index), (y, weight)

    return change


def _was_raised_by(interrupt: KeyboardInterrupt, callbacks: list[Any]) -> bool:
    """Whether the exception comes from a ``raise`` statement in a method of one of these callbacks."""
    trace = interrupt.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not any(trace.tb_frame.f_locals.get("self") is callback for callback in callbacks):
        return False
    opcode = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return dis.opname[opcode] == "RAISE_VARARGS"
