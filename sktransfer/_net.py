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
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from skorch import NeuralNet
from torch import nn

from sktransfer._random import private_dropout
from sktransfer._rows import count_batches
from sktransfer.module import TransferModule, in_chunks
from sktransfer.strategy import Strategy

_WEIGHT_DECAY = 0.01  # decoupled, a step: lr * decay * weight


@dataclass
class Rows:
    """What a fit trains on: inputs, encoded labels, and weights of mean 1, all tensors on one device."""

    X: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor


@dataclass
class Plan:
    """How a fit trains; everything that is not data or network.

    Parameters
    ----------
    loss : callable
        ``loss(outputs, y)`` of shape (n_samples,), before weighting.
    source : dict of str to tensor
        Weights that came from the source, by parameter name.
    decay : bool
        Whether matrices decay; a pretrained network's do not, they would drift away from the source.
    stop_loss : float
        Training ends when an epoch's mean loss is below it: nothing is left to learn.
    on_epoch : callable
        Called after each epoch with its number and mean loss; returns True to stop.
    """

    strategy: Strategy
    max_epochs: int
    lr: float
    batch_size: int
    seed: int
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    source: dict[str, torch.Tensor]
    callbacks: list[Any] | None = None
    verbose: int = 0
    on_epoch: Callable[[int, float], bool] = lambda epoch, loss: False
    stop_loss: float = 0.0
    decay: bool = True


class _StopTraining(Exception):
    """A callback asked to stop early."""


class _Batches:
    """Batches as slices of tensors, permuted once an epoch by a private generator.

    Rows are cut into batches of nearly equal size, so that no batch is ever a single row, which BatchNorm could
    not normalise.
    """

    def __init__(self, rows: Rows, batch_size: int, generator: torch.Generator):
        self.rows, self.generator = rows, generator
        n_rows = len(rows.X)
        self.n_batches = count_batches(n_rows, batch_size)
        self.bounds = [n_rows * i // self.n_batches for i in range(self.n_batches + 1)]

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]]:
        rows = self.rows
        order = torch.randperm(len(rows.X), generator=self.generator).to(rows.X.device)
        for start, stop in zip(self.bounds, self.bounds[1:], strict=False):
            index = order[start:stop]
            yield rows.X[index], (rows.y[index], rows.weight[index])


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
        return _Batches(dataset, self.plan.batch_size, self.generator_)

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> TransferNet:
        """One group of parameters for each depth, at the rate that the strategy answers."""
        groups: list[dict[str, Any]] = []
        for depth, parameters in self.module_.groups():
            lr = self.plan.lr * self.plan.strategy.rate(depth)
            # decay shrinks matrices; biases and normalisation have nothing to gain from it
            for decay, part in (
                (_WEIGHT_DECAY, [p for p in parameters.values() if p.ndim > 1]),
                (0.0, [p for p in parameters.values() if p.ndim <= 1]),
            ):
                if part:
                    groups.append({"params": part, "lr": lr, "weight_decay": decay if self.plan.decay else 0.0})
        self.optimizer_ = torch.optim.AdamW(groups, lr=self.plan.lr, fused=True)
        self.base_rates_ = [group["lr"] for group in groups]
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
        return loss + self.plan.strategy.penalty(self.learning_, self.plan.source)

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, torch.Tensor]:
        """One step of the optimizer; training mode is set once an epoch, not once a batch."""
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
        self.module_.train()
        total, n_rows = torch.zeros((), device=self.rows.X.device), 0
        for number, batch in enumerate(iterator):
            self._set_rate((self.epoch_ + number / len(iterator)) / self.plan.max_epochs)
            plain = (batch[0], batch[1][0])  # callbacks know rows and labels, not weights
            if self.callbacks_:
                self.notify("on_batch_begin", batch=plain, training=training)
            step = step_fn(batch)
            total, n_rows = total + step["loss"] * len(batch[0]), n_rows + len(batch[0])
            if self.callbacks_:
                self.history.record_batch(f"{prefix}_loss", float(step["loss"]))
                self.history.record_batch(f"{prefix}_batch_size", len(batch[0]))
                self.notify("on_batch_end", batch=plain, training=training, **step)
        mean = float(total) / n_rows
        if not math.isfinite(mean):
            raise ValueError(
                f"The loss is not finite in epoch {self.epoch_ + 1}: training diverged with lr={self.plan.lr:g}. "
                "Lower lr, or check the scale of X."
            )
        self.history.record(f"{prefix}_loss", mean)
        self.history.record("frozen_blocks", self.module_.n_frozen)
        self._report(mean)

    def _set_rate(self, progress: float) -> None:
        """Cosine decay from the first step to the last."""
        factor = 0.5 * (1.0 + math.cos(math.pi * progress))
        for group, base in zip(self.optimizer_.param_groups, self.base_rates_, strict=True):
            group["lr"] = base * factor

    def _report(self, loss: float) -> None:
        self.epoch_ += 1
        if self.plan.verbose:
            frozen = f", {self.module_.n_frozen} blocks frozen" if self.module_.n_frozen else ""
            # the one print of the package: verbose=1 asks for it
            print(f"epoch {self.epoch_}/{self.plan.max_epochs}: loss {loss:.4f}{frozen}", flush=True)  # noqa: T201
        self.stop_ = self.plan.on_epoch(self.epoch_ - 1, loss) or loss < self.plan.stop_loss


def train(module: TransferModule, rows: Rows, plan: Plan) -> list[dict[str, Any]]:
    """Train `module` in place and return one record an epoch.

    Frozen blocks are run once for each run of epochs with the same frozen depth, in inference mode, and what is
    above them trains on the result.

    Raises
    ------
    ValueError
        If the loss or a weight stops being finite.
    KeyboardInterrupt
        On Ctrl-C.
    """
    generator = torch.Generator(device=rows.X.device).manual_seed(plan.seed)
    net = TransferNet(
        module,
        plan=plan,
        rows=rows,
        device=str(rows.X.device),
        train_split=None,
        verbose=0,
        callbacks=plan.callbacks or "disable",
    )
    with private_dropout(module, generator):
        net.initialize()
        # batches are drawn on the CPU, so that CPU and CUDA see the same ones
        net.generator_ = torch.Generator().manual_seed(plan.seed)
        net.epoch_ = 0
        net.stop_ = False
        try:
            net.notify("on_train_begin", X=rows.X, y=rows.y)
            _run_phases(net, plan, len(module.blocks))
        except _StopTraining:
            module.eval()  # asked for by a callback or by the loss; the epochs so far count
        net.notify("on_train_end", X=rows.X, y=rows.y)
    module.eval()
    if not all(bool(torch.isfinite(p).all()) for p in module.state_dict().values()):
        raise ValueError(f"Training diverged with lr={plan.lr:g}: a weight is not finite. Lower lr.")
    return [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history]


def _run_phases(net: TransferNet, plan: Plan, n_blocks: int) -> None:
    depths = (plan.strategy.n_frozen(epoch, n_blocks) for epoch in range(plan.max_epochs))
    for n_frozen, epochs in groupby(depths):
        net.module_.freeze(n_frozen)
        net.start_ = n_frozen
        net.learning_ = {name: p for _, group in net.module_.groups() for name, p in group.items() if p.requires_grad}
        X = prefix_features(net.module_, net.rows.X, n_frozen)
        net.rows_of_phase_ = Rows(X, net.rows.y, net.rows.weight)
        net.fit_loop(None, epochs=len(list(epochs)))


def prefix_features(module: TransferModule, X: torch.Tensor, n_frozen: int) -> torch.Tensor:
    """What the first `n_frozen` blocks return for `X`, in inference mode and in chunks."""
    if n_frozen == 0:
        return X
    module.eval()
    with torch.no_grad():
        return torch.cat([module.features(X[rows], stop=n_frozen) for rows in in_chunks(len(X))])


def _was_raised_by(interrupt: KeyboardInterrupt, callbacks: list[Any]) -> bool:
    """Whether the exception comes from a ``raise`` statement in a method of one of these callbacks."""
    trace = interrupt.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not any(trace.tb_frame.f_locals.get("self") is callback for callback in callbacks):
        return False
    opcode = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return dis.opname[opcode] == "RAISE_VARARGS"
