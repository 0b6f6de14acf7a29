"""The small new network on top: from features to outputs.

::

    features -> [standardise: by the source's statistics] -> [output: linear] -> logits or values      LinearHead
    features -> [standardise] -> [hidden: Linear, ReLU, Dropout, ...] -> [output: linear] -> ...       MLPHead
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import nn

from sktransfer._parameters import check_dropout, check_sizes


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

    def __init__(self, n_features: int, hidden: nn.Module, width: int, n_outputs: int):
        super().__init__()
        self.standardize = Standardize(n_features)
        self.hidden = hidden
        self.output = nn.Linear(width, n_outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Outputs for `features`."""
        return self.learned(self.standardize(features))

    def learned(self, standardized: torch.Tensor) -> torch.Tensor:
        """Outputs for features that are standardised: the part that learns."""
        return self.output(self.hidden(standardized))


class _Head(BaseEstimator):
    """What both heads share."""

    def _hidden(self, n_features: int) -> tuple[nn.Module, int]:
        return nn.Identity(), n_features

    def build(self, n_features: int, n_outputs: int) -> HeadModule:
        """The head as a torch module with parts ``standardize``, ``hidden`` and ``output``."""
        hidden, width = self._hidden(n_features)
        return HeadModule(n_features, hidden, width, n_outputs)


class LinearHead(_Head):
    """One linear layer on standardised features.

    Parameters
    ----------
    init : {"auto", "source", "imprint", "random"}, default="auto"
        Where the rows of the head begin. ``"auto"``: rows of classes that the source knew, by class name, are the
        source head's; new classes are imprinted. ``"source"``: the same, and a class that the source did not know
        is an error. ``"imprint"``: every row is the direction of its class mean. ``"random"``: small random rows.
        A head that is solved does not begin anywhere: it is pulled to the source's rows, rows of new classes to their
        mean, to imprinted rows with ``"imprint"`` and to zero with ``"random"``.
        From scratch (no backbone) ``"auto"`` begins at zero rows, with biases that say how common the classes are.
    normalize : {"auto", "source", "target", "none"}, default="auto"
        By whose statistics features are standardised: ``"source"`` by those that the backbone carries, ``"target"``
        by those of the rows in ``fit``, ``"auto"`` by the source's where the backbone has them, else by the target's,
        ``"none"`` not at all. From scratch (no backbone) ``"auto"`` is ``"none"``.

    References
    ----------
    Qi, Brown and Lowe (2018). Low-shot learning with imprinted weights. Proceedings of CVPR, 5822-5830.
    doi:10.1109/CVPR.2018.00610.
    """

    def __init__(self, init="auto", normalize="auto"):
        self.init = init
        self.normalize = normalize


class MLPHead(_Head):
    """Hidden layers with ReLU and dropout, then one linear layer.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(64,)
        Width of each hidden layer.
    dropout : float, default=0.5
        Share of hidden outputs set to zero in training, in [0, 1).
    normalize : {"auto", "source", "target", "none"}, default="auto"
        As in :class:`LinearHead`.

    Examples
    --------
    >>> from sktransfer import MLPHead
    >>> MLPHead(hidden_layer_sizes=(16,)).build(n_features=8, n_outputs=3).output.in_features
    16
    """

    def __init__(self, hidden_layer_sizes=(64,), dropout=0.5, normalize="auto"):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.normalize = normalize

    def _hidden(self, n_features: int) -> tuple[nn.Module, int]:
        check_sizes("MLPHead", self.hidden_layer_sizes)
        check_dropout("MLPHead", self.dropout)
        layers: list[nn.Module] = []
        width = n_features
        for size in self.hidden_layer_sizes:
            layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(self.dropout)]
            width = size
        return nn.Sequential(*layers), width


def imprinted_rows(features: np.ndarray, codes: np.ndarray, weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Unit vectors along each class's weighted mean of standardised features, shape (n_classes, n_features).

    A class without weight, or whose mean is zero, gets a zero row.
    """
    membership = np.zeros((n_classes, len(codes)))
    membership[codes, np.arange(len(codes))] = weights
    totals = membership.sum(axis=1, keepdims=True)
    means = membership @ features / np.where(totals > 0, totals, 1.0)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return means / np.where(norms > 0, norms, 1.0)
