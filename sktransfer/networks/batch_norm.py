"""Statistics of BatchNorm, measured on other rows.

::

    rows -> [block 1: Linear, BatchNorm 1, ReLU] -> [block 2: Linear, BatchNorm 2, ReLU] -> ...
                         |                                         |
                    measured first                 measured second, with BatchNorm 1 as it is then
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sktransfer.networks.transfer_module import as_tensor
from sktransfer.utils.chunks import chunk_of, in_chunks

# Of the source's deviation: what a channel keeps that does not move among the rows.
_LEAST = 0.1


def measure_batch_norm(
    name: str, blocks: Sequence[nn.Module], X: np.ndarray, weight: np.ndarray, n_source: float
) -> None:
    """Mix the statistics of `X` into those of all BatchNorm layers of `blocks`, in place.

    Parameters
    ----------
    name : str
        Of the backbone, for the error.
    blocks : sequence of nn.Module
        In order from the input; they are in inference mode afterwards.
    X : ndarray of shape (n_samples, ...)
        As the first block takes them. A layer may see each of them several times, one after the other, as a network of
        tags does.
    weight : ndarray of shape (n_samples,)
        A weight of three is the row three times.
    n_source : float
        Rows that the statistics count as that are there now.

    Raises
    ------
    ValueError
        If no layer has statistics.
    """
    found = False
    for block in blocks:
        block.eval()
    for depth, block in enumerate(blocks):
        for layer in _in_order(blocks[: depth + 1], block, X[:2]):
            found = True
            _update(layer, *_moments(blocks[: depth + 1], layer, X, weight), n_source / (n_source + weight.sum()))
    if not found:
        raise ValueError(
            f"AdaBN: backbone {name!r} has no BatchNorm layer whose statistics could be those of these rows. Use "
            "SHOT() of SourceFreeClassifier, or another strategy."
        )


def _in_order(blocks: Sequence[nn.Module], block: nn.Module, X: np.ndarray) -> list[_BatchNorm]:
    """The BatchNorm layers of `block`, the last of `blocks`, in the order in which they are reached."""
    reached: list[_BatchNorm] = []

    def note(layer: nn.Module, _: object) -> None:
        if isinstance(layer, _BatchNorm) and layer not in reached:
            reached.append(layer)

    layers = [layer for layer in block.modules() if isinstance(layer, _BatchNorm) and layer.running_mean is not None]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        _run(blocks, X)
    finally:
        for hook in hooks:
            hook.remove()
    return reached


def _run(blocks: Sequence[nn.Module], X: np.ndarray) -> None:
    with torch.no_grad():
        x = as_tensor(np.ascontiguousarray(X)).to(_device(blocks))
        for block in blocks:
            x = block(x)


def _device(blocks: Sequence[nn.Module]) -> torch.device:
    return next((tensor.device for block in blocks for tensor in block.state_dict().values()), torch.device("cpu"))


def _moments(
    blocks: Sequence[nn.Module], layer: _BatchNorm, X: np.ndarray, weight: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted mean, and unbiased variance as BatchNorm keeps it, of what reaches `layer`, float64."""
    center = layer.running_mean.double()  # type: ignore[union-attr]
    total, first, second = 0.0, torch.zeros_like(center), torch.zeros_like(center)
    weights = torch.zeros(0)

    def add(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        nonlocal total, first, second
        x = arguments[0].detach().double()
        x = x.reshape(*x.shape[:2], -1)
        # a layer that sees tags or patches sees those of one row side by side
        rows = weights.repeat_interleave(max(1, len(x) // len(weights))) if len(x) % len(weights) == 0 else weights
        x = x - center[:, None]
        total += float(rows.sum()) * x.shape[2]
        first = first + rows @ x.sum(dim=2)
        second = second + rows @ x.square().sum(dim=2)

    hook = layer.register_forward_pre_hook(add)
    try:
        for part in in_chunks(len(X), chunk_of(X)):
            weights = torch.from_numpy(np.array(weight[part], dtype=np.float64)).to(center.device)
            _run(blocks, X[part])
    finally:
        hook.remove()
    mean = first / total
    variance = (second / total - mean.square()).clamp(min=0)
    return mean + center, variance * (total / (total - 1) if total > 1 else 1.0)


def _update(layer: _BatchNorm, mean: torch.Tensor, variance: torch.Tensor, share: float) -> None:
    """Statistics of `layer`: `share` of what they are, the rest of what was measured."""
    with torch.no_grad():
        before = layer.running_var.double()  # type: ignore[union-attr]
        mixed = torch.maximum(share * before + (1 - share) * variance, _LEAST**2 * before)
        layer.running_mean.copy_(share * layer.running_mean.double() + (1 - share) * mean)  # type: ignore[union-attr]
        layer.running_var.copy_(mixed)  # type: ignore[union-attr]
