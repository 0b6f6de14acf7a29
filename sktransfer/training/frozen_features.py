"""What frozen blocks return for the rows of a fit: computed once, kept within a budget of memory.

::

    rows --> [block 1] --> [block 2] --> ... --> features
                   |             |
                   +-- kept -----+      at each depth that somebody asked for, as long as these blocks do not change
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sktransfer.networks.transfer_module import TransferModule, as_tensor
from sktransfer.utils.chunks import chunk_of, in_chunks

# Bytes that the outputs of frozen blocks may take in one fit. What needs more is computed again for every batch.
BUDGET = 2 * 1024**3


class FrozenFeatures:
    """Outputs of the first blocks for a fixed set of rows, in inference mode.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        Rows as the first block takes them.

    Attributes
    ----------
    matches : dict
        Matchings of classes and source head that were earned by the features of these rows.
    """

    def __init__(self, X: np.ndarray):
        self.X = X
        self.matches: dict[str, Any] = {}
        self._kept: dict[int, torch.Tensor] = {}
        self._row_bytes: dict[int, int] = {}

    def rows(self, device: torch.device) -> torch.Tensor:
        """The rows themselves."""
        return self.after(None, 0, device)

    def after(self, module: Any, n_blocks: int, device: torch.device) -> torch.Tensor:
        """Outputs of the first `n_blocks` blocks of `module`, of shape (n_samples, ...), on its device."""
        kept = self._kept.get(n_blocks)
        if kept is None:  # two threads may both compute it, and get the same
            if n_blocks == 0:
                kept = as_tensor(self.X).to(device)
            else:
                below = max(depth for depth in (0, *self._kept) if depth < n_blocks)
                kept = run_blocks(module, self.after(module, below, device), below, n_blocks)
            self._kept[n_blocks] = kept
        return kept

    def below(self, n_blocks: int) -> FrozenFeatures:
        """What remains true once the blocks from `n_blocks` on have changed."""
        other = FrozenFeatures(self.X)
        other._kept = {depth: kept for depth, kept in self._kept.copy().items() if depth <= n_blocks}
        return other

    @property
    def nbytes(self) -> int:
        """Memory that the outputs of frozen blocks take now."""
        return sum(kept.nbytes for depth, kept in self._kept.copy().items() if depth)

    def forget(self) -> None:
        """Keep no outputs of frozen blocks; they are computed again when they are asked for."""
        self._kept = {depth: kept for depth, kept in self._kept.copy().items() if not depth}

    def size(self, module: TransferModule, n_blocks: int) -> int:
        """Bytes of the outputs at this depth, from those of two rows."""
        if n_blocks in self._kept:
            return self._kept[n_blocks].nbytes
        if n_blocks not in self._row_bytes:
            with torch.inference_mode():
                x = as_tensor(np.ascontiguousarray(self.X[:2])).to(module.device)
                one = module.eval().features(x, stop=n_blocks)
            self._row_bytes[n_blocks] = one.element_size() * one[0].numel()
        return self._row_bytes[n_blocks] * len(self.X)

    def fits(self, module: TransferModule, n_blocks: int) -> bool:
        """Whether outputs at this depth stay within the budget."""
        return n_blocks in self._kept or n_blocks == 0 or self.size(module, n_blocks) <= BUDGET


def run_blocks(module: TransferModule, X: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """`X`, as block `start` takes it, after the blocks up to but without `stop`, in chunks and inference mode."""
    module.eval()
    out: torch.Tensor | None = None
    with torch.no_grad():
        for rows in in_chunks(len(X), chunk_of(X)):
            part = module.features(X[rows], start, stop)
            if out is None:
                # filled chunk by chunk: joining the chunks at the end would hold all of them twice
                out = torch.empty((len(X), *part.shape[1:]), dtype=part.dtype, device=part.device)
            out[rows] = part
    return X if out is None else out
