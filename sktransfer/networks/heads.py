"""The small new network on top: from features to outputs.

::

    features -> [standardise: by the source's statistics] -> [output: linear] -> logits or values      LinearHead
    features -> [standardise] -> [hidden: Linear, ReLU, Dropout, ...] -> [output: linear] -> ...       MLPHead
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator

from sktransfer.networks.layers import Layer
from sktransfer.utils.parameters import check_dropout, check_sizes

if TYPE_CHECKING:  # a fitted head predicts without torch
    from sktransfer.networks.head_modules import HeadModule


class _Head(BaseEstimator):
    """What both heads share."""

    def _sizes(self) -> list[int]:
        """Widths of the hidden layers."""
        return []

    def build(self, n_features: int, n_outputs: int) -> HeadModule:
        """The head as a torch module with parts ``standardize``, ``hidden`` and ``output``."""
        from sktransfer.networks.head_modules import HeadModule

        return HeadModule(n_features, self._sizes(), float(getattr(self, "dropout", 0.0)), n_outputs)

    def layers(self, n_features: int, n_outputs: int) -> tuple[Layer, ...] | None:
        """The layers of :meth:`build` for numpy; None for a subclass from elsewhere, which may build something else."""
        if type(self) not in (LinearHead, MLPHead):
            return None
        layers = [Layer("Standardize", "standardize.", {"num_features": n_features}, n_features, n_features)]
        for depth, size in enumerate(self._sizes()):
            layers += [_linear(f"hidden.{3 * depth}.", layers[-1].n_out, size), Layer("ReLU", "", {}, size, size)]
        return (*layers, _linear("output.", layers[-1].n_out, n_outputs))


def _linear(key: str, n_in: int | None, n_out: int) -> Layer:
    return Layer("Linear", key, {"in_features": n_in, "out_features": n_out, "bias": True}, n_in, n_out)


class LinearHead(_Head):
    """One linear layer on standardised features.

    Parameters
    ----------
    init : {"auto", "source", "imprint", "random"}, default="auto"
        Where the rows of the head begin. ``"auto"``: rows of classes that the source knew are the source head's, where
        the labelled rows confirm it (see `source_classes`); new classes are imprinted. ``"source"``: the rows of the
        source head by class name, whatever the labelled rows say (of numbers they must confirm it); a class that the
        source did not know is an error, and features to which the source head gives no weight at all are left out.
        ``"imprint"``: every row is the direction of its class mean. ``"random"``: small random rows.
        A head that is solved does not begin anywhere: it is pulled to the source's rows, rows of new classes to their
        mean, to imprinted rows with ``"imprint"`` and to zero with ``"random"``.
        From scratch (no backbone) ``"auto"`` begins at zero rows, with biases that say how common the classes are.
    normalize : {"auto", "source", "target", "none"}, default="auto"
        By whose statistics features are standardised: ``"source"`` by those that the backbone carries, ``"target"``
        by those of the rows in ``fit``, ``"auto"`` by the source's where the backbone has them, else by the target's,
        ``"none"`` not at all. From scratch (no backbone) ``"auto"`` is ``"none"``.
    source_classes : "auto", "same", None, list or dict, default="auto"
        Which class of the source head each class of `y` is. ``"auto"``: the labelled rows must confirm it. Proposed are
        equal names, the alphabetical order of the source's names for the integers 0, 1, 2, ... that an encoder makes
        of names, and the one-to-one matching with which the source head agrees best. The labels must be ten times as
        probable as under a head of zeros for equal text and for alphabetical order, a hundred times for equal numbers
        and for agreement, times the number of matchings among which one was looked for. ``"same"``:
        equal names are the same class, numbers too. None: all classes are new. A list names the source class, or None,
        of each class of `y` in sorted order; the integers 0, 1, 2, ... are positions in it, so that it holds behind an
        encoder. A dict maps classes of `y` to source classes; one that `y` does not hold is a
        warning where another class has no entry. Two classes may begin at one source class. Statements are
        taken as they are. A regressor has no classes and ignores it.

    References
    ----------
    Qi, Brown and Lowe (2018). Low-shot learning with imprinted weights. Proceedings of CVPR, 5822-5830.
    doi:10.1109/CVPR.2018.00610.
    """

    def __init__(self, init="auto", normalize="auto", source_classes="auto"):
        self.init = init
        self.normalize = normalize
        self.source_classes = source_classes


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

    def _sizes(self) -> list[int]:
        check_sizes("MLPHead", self.hidden_layer_sizes)
        check_dropout("MLPHead", self.dropout)
        return [int(size) for size in self.hidden_layer_sizes]


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
