"""Training without a row of the source, and without labels: the head stays, the blocks learn.

::

    backbone, rows --AdaBN--> BatchNorm measured --SHOT--> pseudo-labels, then an epoch; pseudo-labels, an epoch; ...
                                                      |
                                   history: the loss of each epoch, and the share of pseudo-labels that changed
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from sktransfer.adaptation.shot import SHOT, pseudo_labels
from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.source import Source, feature_statistics
from sktransfer.backbones.weights import Weights
from sktransfer.networks.batch_norm import measure_batch_norm
from sktransfer.networks.heads import LinearHead
from sktransfer.networks.transfer_module import TransferModule, as_tensor
from sktransfer.strategies.base import count_frozen
from sktransfer.training.adamw import FusedAdamW
from sktransfer.training.dropout import private_dropout
from sktransfer.training.fit import fitted_inputs
from sktransfer.training.frozen_features import FrozenFeatures, run_blocks
from sktransfer.training.plan import BatchOrder, cosine, diverged, diverged_weight
from sktransfer.utils.chunks import chunk_of, in_chunks
from sktransfer.utils.device import resolve_device


@dataclass
class SourceFreePlan:
    """How a network adapts; everything that is neither rows nor network.

    Parameters
    ----------
    max_epochs, batch_size : int
    lr : float
    seed : int
    prior : ndarray of shape (n_classes,)
        Shares of the classes in the target.
    on_epoch : callable
        Called after each epoch with its number and mean loss; returns True to stop.
    """

    max_epochs: int
    batch_size: int
    lr: float
    seed: int
    prior: np.ndarray
    on_epoch: Callable[[int, float], bool] = lambda epoch, loss: False


def source_module(backbone: Backbone, head: Weights, n_outputs: int, device: Any, dtype: Any) -> TransferModule:
    """Copies of the blocks under the head of the source.

    Parameters
    ----------
    head : Weights
        Arrays of a linear head.
    dtype : numpy floating-point type
        In which it computes.
    """
    network = LinearHead().build(backbone.n_features_out, n_outputs)
    network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in head.items()})
    module = TransferModule(backbone.copy_blocks(), network, backbone.blocks)
    return module.to(resolve_device(device), as_tensor(np.empty(0, dtype=dtype)).dtype).rest()


def outputs_of(module: TransferModule, X: np.ndarray) -> np.ndarray:
    """Logits of rows as the first block takes them, shape (n_samples, n_classes), float64."""
    module.eval()
    return np.concatenate([module.run(X[part]) for part in in_chunks(len(X), chunk_of(X))]).astype(np.float64)


def finish_source_free(
    estimator: Any, backbone: Backbone, module: TransferModule, source: Source, rows: np.ndarray
) -> Backbone:
    """The backbone with the adapted blocks and the head of the source.

    Statistics of the features are measured again if there are at least twice as many rows as features.
    """
    if len(rows) >= 2 * len(source.feature_mean):
        features = module.run_features(rows).astype(np.float64)
        source = source.rescaled(*feature_statistics(features, np.ones(len(rows))))
    return backbone.with_blocks(
        module.blocks,
        backbone.changed(module.blocks),
        name="fitted",
        inputs=fitted_inputs(estimator, backbone.inputs, rows),
        source=source,
        provenance={"fitted_from": backbone.name, "n_samples": len(rows)},
    )


def measure(name: str, module: TransferModule, X: np.ndarray, n_source: float) -> None:
    """Mix statistics of the rows into those of BatchNorm; parameters as in :func:`measure_batch_norm`."""
    measure_batch_norm(name, list(module.blocks), X, np.ones(len(X)), n_source)


def run_shot(
    module: TransferModule, X: np.ndarray, labels: np.ndarray, method: SHOT, plan: SourceFreePlan
) -> list[dict[str, Any]]:
    """Train the blocks of `module` in place; one record an epoch.

    Parameters
    ----------
    module : TransferModule
        With the head of the source, which does not change.
    X : ndarray of shape (n_samples, ...), at least two rows
        As the first block takes them.
    labels : ndarray of shape (n_samples,)
        Codes of classes; -1 for rows without a label.
    method : SHOT
    plan : SourceFreePlan

    Raises
    ------
    ValueError
        If the loss or a weight stops being finite, or `method` does not fit the network.
    """
    training = _Training(module, X, labels, method, plan)
    history: list[dict[str, Any]] = []
    with private_dropout(module, plan.seed, module.device):
        for epoch in range(plan.max_epochs):
            moved = training.label()
            loss = training.epoch(epoch)
            if not math.isfinite(loss):
                raise diverged(plan.lr, epoch)
            history.append({"train_loss": loss, "moved": moved, "frozen_blocks": module.n_frozen})
            if plan.on_epoch(epoch, loss):
                break
    module.eval()
    if not all(bool(torch.isfinite(value).all()) for value in module.state_dict().values()):
        raise diverged_weight(plan.lr)
    return history


class _Training:
    """Rows, batches and optimizer of one adaptation."""

    def __init__(self, module: TransferModule, X: np.ndarray, labels: np.ndarray, method: SHOT, plan: SourceFreePlan):
        self.module, self.method, self.plan, self.labels = module, method, plan, labels
        n_frozen = count_frozen(method.n_frozen_blocks, len(module.blocks))
        module.freeze(n_frozen)
        module.head.requires_grad_(False)
        frozen = FrozenFeatures(X)
        self.start = n_frozen if frozen.fits(module, n_frozen) else 0
        self.X = frozen.after(module, self.start, module.device)
        self.order = BatchOrder(len(X), plan.batch_size, plan.seed)
        self.known = torch.from_numpy(np.flatnonzero(labels >= 0)).to(self.X.device)
        self.classes = torch.from_numpy(labels[labels >= 0]).to(self.X.device)
        self.draws = torch.Generator().manual_seed(plan.seed)
        self.pseudo = torch.full((len(X),), -1)
        learning = [weight for weight in module.blocks.parameters() if weight.requires_grad]
        if not learning:
            raise ValueError(
                f"SHOT(n_frozen_blocks={method.n_frozen_blocks!r}) freezes all of the {len(module.blocks)} blocks that "
                "could learn, and the head never does. Freeze fewer blocks."
            )
        self.optimizer = FusedAdamW([{"params": learning, "lr": plan.lr, "weight_decay": 0.0}])

    def label(self) -> float:
        """Make the pseudo-labels; the share of them that changed."""
        features = run_blocks(self.module, self.X, self.start, len(self.module.blocks))
        with torch.no_grad():
            features = self.module.head.standardize(features)
            probabilities = torch.softmax(self.module.head.learned(features).double(), dim=1)
        found = pseudo_labels(features.cpu().numpy(), probabilities.cpu().numpy(), self.labels)
        before, self.pseudo = self.pseudo, torch.from_numpy(found).to(self.X.device)
        return float((before.to(self.X.device) != self.pseudo).double().mean())

    def epoch(self, number: int) -> float:
        """One pass over the rows; the mean of its losses."""
        self.module.train()
        losses = [self._step(index, progress) for index, progress in self._batches(number)]
        return float(torch.stack(losses).mean())

    def _batches(self, number: int) -> Iterator[tuple[torch.Tensor, float]]:
        for batch, index in enumerate(self.order.draw(self.X.device)):
            yield index, (number + batch / len(self.order)) / self.plan.max_epochs

    def _step(self, index: torch.Tensor, progress: float) -> torch.Tensor:
        self.optimizer.param_groups[0]["lr"] = self.plan.lr * cosine(progress)
        self.optimizer.zero_grad()
        rows, n_rows = index, len(index)
        if n_known := len(self.known):
            some = torch.randperm(n_known, generator=self.draws)[: self.plan.batch_size].to(self.X.device)
            rows = torch.cat([index, self.known[some]])
        outputs = self.module(self.X.index_select(0, rows), start=self.start)
        loss = self.method.loss(outputs[:n_rows], self.pseudo[index], self.plan.prior)
        if n_known:
            loss = loss + functional.cross_entropy(outputs[n_rows:], self.classes[some])
        loss.backward()
        self.optimizer.step()
        return loss.detach()
