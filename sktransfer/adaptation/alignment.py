"""Alignment: a loss that draws the features of source and target rows together while a network trains.

::

    source rows --blocks--> features --+--> head --> loss of the labels --+
                                       |                                  +--> sum --> one step
    target rows --blocks--> features --+--> Alignment.loss * weight ------+
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

if TYPE_CHECKING:
    import torch
    from torch import nn


class Alignment(BaseEstimator):
    """What an alignment method answers; one file a method beside this one.

    An alignment is a small bag of parameters, as strategies are: a grid search reaches ``alignment__weight``. Torch is
    imported inside its methods alone.

    Parameters
    ----------
    weight : float
        Factor of the loss, beside the mean loss of the labels.
    """

    weight: float

    def network(self, n_features: int, n_outputs: int) -> nn.Module | None:
        """A network that trains along, such as the domain classifier of an adversary; None: there is none."""
        return None

    def loss(
        self,
        source: torch.Tensor,
        target: torch.Tensor,
        outputs: torch.Tensor,
        *,
        network: nn.Module | None = None,
        progress: float = 1.0,
    ) -> torch.Tensor:
        """The loss of one batch, before `weight`.

        Parameters
        ----------
        source : tensor of shape (n_source, n_features)
            Features of the source rows of the batch, as the head standardises them.
        target : tensor of shape (n_target, n_features)
            Features of the target rows of the batch.
        outputs : tensor of shape (n_target, n_outputs)
            What the head makes of the target rows: logits of a classifier, values of a regressor.
        network : nn.Module, optional
            What :meth:`network` returned, in training.
        progress : float, default=1.0
            Share of the steps that are done, for methods that grow.

        Returns
        -------
        tensor, a scalar
            Finite whatever the number of rows; zero where a domain has fewer than two rows.
        """
        raise NotImplementedError

    def refuse(self, **asked: Any) -> None:
        """Raise where the fit cannot use this method, such as one that needs classes in a regression."""
