"""The torch modules that heads build."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Standardize(nn.Module):
    """``(features - mean) / scale`` with constants that no training changes.

    **Shape**

    - Input and output: ``(n_samples, n_features)``
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, n_features: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised `x`."""
        return (x - self.mean) / self.scale


class HeadModule(nn.Module):
    """Standardisation, hidden layers, one linear layer.

    **Shape**

    - Input: ``(n_samples, n_features)``
    - Output: ``(n_samples, n_outputs)``
    """

    def __init__(self, n_features: int, hidden_sizes: Sequence[int], dropout: float, n_outputs: int):
        super().__init__()
        self.standardize = Standardize(n_features)
        layers: list[nn.Module] = []
        width = n_features
        for size in hidden_sizes:
            layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
            width = size
        self.hidden = nn.Sequential(*layers) if layers else nn.Identity()
        self.output = nn.Linear(width, n_outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Outputs for `features`."""
        return self.learned(self.standardize(features))

    def learned(self, standardized: torch.Tensor) -> torch.Tensor:
        """Outputs for features that are standardised: the part that learns."""
        return self.output(self.hidden(standardized))
