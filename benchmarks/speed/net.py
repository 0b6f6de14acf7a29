"""The network of the peers, as one writes it by hand; this file needs torch and nothing else."""

from __future__ import annotations

import copy

import torch
from torch import nn


class PlainNet(nn.Module):
    """Copied backbone blocks, then Linear, ReLU, Dropout, Linear.

    Parameters
    ----------
    blocks : nn.Sequential
        The backbone's blocks; copied, because several fits begin with the same weights.
    n_features, n_outputs : int
        Width of the features and number of classes.
    width, dropout : int, float
        Of the head's hidden layer.
    """

    def __init__(self, blocks: nn.Sequential, n_features: int, n_outputs: int, width: int = 64, dropout: float = 0.5):
        super().__init__()
        self.backbone = copy.deepcopy(blocks).requires_grad_(True)
        self.head = nn.Sequential(
            nn.Linear(n_features, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, n_outputs)
        )

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Logits; rows may come in float64, as StandardScaler makes them of float64 columns."""
        return self.head(self.backbone(X.float()))
