"""A network whose children are its blocks, one after the other."""

import torch
from torch import nn


class Chain(nn.Module):
    """Children in the order in which they were added; each takes what the one before returns."""

    @property
    def block_names(self) -> list[str]:
        """Names of the blocks, counted from the input."""
        return [name for name, _ in self.named_children()]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of `x`."""
        for block in self.children():
            x = block(x)
        return x
