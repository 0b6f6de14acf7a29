"""Backbone and head as one torch module that keeps what is frozen frozen.

::

    X -> [blocks 0 .. n_frozen-1: inference mode, no gradient] -> [blocks n_frozen .. : learn] -> [head: learns]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn

from sktransfer.utils.chunks import chunk_of, in_chunks


class TransferModule(nn.Module):
    """Blocks in order, then a head.

    A frozen block does not change: no parameter, no buffer, and it runs in inference mode. ``nn.Module.train``
    is recursive and would wake BatchNorm and dropout in it, so :meth:`train` applies the freezing again.

    **Shape**

    - Input: ``(n_samples, ...)`` as the first block takes it
    - Output: ``(n_samples, n_outputs)``

    Parameters
    ----------
    blocks : sequence of nn.Module
        In order from the input; taken as they are.
    head : nn.Module
        From features to outputs.
    names : sequence of str
        Block names, for messages and for the names of parameters.
    keep_statistics : bool, default=False
        Whether BatchNorm keeps the statistics of the source in blocks that learn, too. They were measured on many
        rows; a few target rows cannot replace them.
    """

    head: Any
    blocks: nn.ModuleList

    def __init__(
        self, blocks: Sequence[nn.Module], head: nn.Module, names: Sequence[str], *, keep_statistics: bool = False
    ):
        super().__init__()
        self.keep_statistics = keep_statistics
        self.blocks = nn.ModuleList(blocks)
        self.head = head
        self.names = tuple(names)
        self.n_frozen = 0

    def freeze(self, n_blocks: int) -> TransferModule:
        """Freeze the first `n_blocks` blocks and unfreeze the others; the head's constants stay as they are."""
        self.n_frozen = n_blocks
        for depth, block in enumerate(self.blocks):
            block.requires_grad_(depth >= n_blocks)
        self.head.requires_grad_(True)
        return self.train(self.training)

    def train(self, mode: bool = True) -> TransferModule:
        """Set training mode, except for the frozen blocks."""
        super().train(mode)
        if mode and self.keep_statistics:
            for layer in self.blocks.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                    layer.eval()
        for block in self.blocks[: self.n_frozen]:
            block.eval()
        return self

    def rest(self) -> TransferModule:
        """Inference mode, where the blocks are in it already: nothing is said to each of their layers again."""
        self.training = self.blocks.training = False
        self.head.eval()
        return self

    def features(self, x: torch.Tensor, start: int = 0, stop: int | None = None) -> torch.Tensor:
        """`x`, as block `start` takes it, after the blocks up to but without `stop`."""
        for block in self.blocks[start:stop]:
            x = block(x)
        return x

    def forward(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        """Outputs for `x`, as block `start` takes it; with `start` beyond the blocks, `x` is standardised features."""
        if start > len(self.blocks):
            return self.head.learned(x)
        return self.head(self.features(x, start))

    def run_features(self, X: np.ndarray, stop: int | None = None) -> np.ndarray:
        """Features of float32 rows in inference mode, computed in chunks on the module's device, as float32."""
        parts = in_chunks(len(X), chunk_of(X))
        return np.concatenate([self.run(X[part], lambda x: self.features(x, stop=stop)) for part in parts])

    def run(self, X: np.ndarray, function: Callable[[torch.Tensor], torch.Tensor] | None = None) -> np.ndarray:
        """Outputs (or what `function` returns) for one chunk of float32 rows, in inference mode.

        The chunk is filled up to a multiple of four rows: BLAS takes other kernels for fewer rows, and a row would
        get other last digits alone than among others.
        """
        n_rows = len(X)
        if n_rows % 4:
            X = np.concatenate([X, np.repeat(X[-1:], 4 - n_rows % 4, axis=0)])
        with torch.inference_mode():
            x = as_tensor(X)
            x = x if self.device.type == "cpu" else x.to(self.device)
            return (function or self)(x)[:n_rows].cpu().numpy()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((tensor.device for tensor in chain(self.parameters(), self.buffers())), torch.device("cpu"))

    def groups(self) -> Iterator[tuple[int, dict[str, nn.Parameter]]]:
        """Depth (0 is the head, 1 the block below it) and named parameters, from the head downwards."""
        yield 0, {f"head.{key}": value for key, value in self.head.named_parameters()}
        for depth, (name, block) in enumerate(zip(self.names[::-1], reversed(self.blocks), strict=True), start=1):
            yield depth, {f"{name}.{key}": value for key, value in block.named_parameters()}


def share_blocks(module: TransferModule, blocks: list[nn.Module]) -> TransferModule:
    """`module` with the blocks of a backbone in place of its own, which are equal: weights are in memory once.

    Blocks of a backbone are in inference mode and want no gradients.
    """
    if any(own is not shared for own, shared in zip(module.blocks, blocks, strict=True)):
        module = TransferModule(blocks, module.head, module.names)
    module.head.requires_grad_(False)
    return module.rest()


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """A tensor on the array's memory; torch cannot share memory that is read-only, so that is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())
