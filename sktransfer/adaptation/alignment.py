"""Alignment: a loss that draws the features of source and target rows together while a network trains.

::

    source rows --blocks--> features --+--> head --> loss of the labels --+
                                       |                                  +--> sum --> one step
    target rows --blocks--> features --+--> Alignment.loss * weight ------+
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from sktransfer.utils.parameters import invalid_parameter, is_number

if TYPE_CHECKING:
    import torch
    from torch import nn


class Alignment(BaseEstimator):
    """What an alignment method answers; one file a method beside this one.

    An alignment is a small bag of parameters, as strategies are: a grid search reaches ``alignment__weight``. Each has
    a ``weight``, the factor of its loss beside the mean loss of the labels; one that compares the machines' rows says
    ``assumes_equal_shares = True`` and takes a ``prior``, the shares of the target's classes. To write one, subclass
    this class and define ``__init__``, :meth:`loss` and, where a second network trains along, :meth:`network`; torch
    is imported inside the methods alone.

    Examples
    --------
    >>> from sktransfer import Alignment, DomainAdaptationClassifier
    >>> class Means(Alignment):
    ...     def __init__(self, weight=1.0):
    ...         self.weight = weight
    ...
    ...     def loss(self, source, target, outputs, *, network=None, progress=1.0):
    ...         return (source.mean(dim=-2) - target.mean(dim=-2)).square().sum(dim=-1)
    >>> DomainAdaptationClassifier(alignment=Means(weight=0.5)).alignment.weight
    0.5
    """

    weight: float
    prior: Any = None
    # whether the loss is least where the classes are equally common on both machines
    assumes_equal_shares = False

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

        Several fits of one shape may be asked at once: all tensors may have the same leading dimensions, those of the
        stacked trainer, and the loss then has them too. Each number is what the fit alone would get.

        Parameters
        ----------
        source : tensor of shape (..., n_source, n_features)
            Features of the source rows of the batch, as the head standardises them.
        target : tensor of shape (..., n_target, n_features)
            Features of the target rows of the batch.
        outputs : tensor of shape (..., n_target, n_outputs)
            What the head makes of the target rows: logits of a classifier, values of a regressor.
        network : nn.Module, optional
            What :meth:`network` returned, in training. Of several fits: any callable from features of shape
            ``(..., n_rows, n_features)`` to ``(..., n_rows, 1)`` that uses the network of each.
        progress : float, default=1.0
            Share of the steps that are done, for methods that grow.

        Returns
        -------
        tensor of the leading shape, a scalar if there is none
            Finite for finite features, whatever the number of rows. Zero where a domain that it looks at has fewer
            than two rows: one row has no spread. If a feature is not finite, neither is the loss, and training says
            that it diverged.
        """
        raise NotImplementedError

    def refuse(self, name: str, n_classes: int | None) -> None:
        """Raise where a fit cannot use this method, and for parameters out of range.

        Parameters
        ----------
        name : str
            Of the estimator, for messages.
        n_classes : int or None
            None: the estimator is a regressor.

        Raises
        ------
        ValueError
        """
        if not (is_number(self.weight) and 0 <= self.weight < float("inf")):
            raise invalid_parameter(type(self).__name__, "weight", "be a finite number of at least 0", self.weight)
        if isinstance(self.prior, str) and self.prior != "estimate":
            expected = "be None, 'estimate', or shares of the classes"
            raise invalid_parameter(type(self).__name__, "prior", expected, self.prior)
        if self.prior is not None and n_classes is None:
            raise ValueError(
                f"{name} got alignment={self!r}, whose prior is of classes, and a regressor has none. Leave prior out."
            )


def without_spread(*domains: torch.Tensor) -> torch.Tensor | None:
    """The loss, zero, of a batch that has fewer than two rows of one of `domains`; None: it has enough of each."""
    if min(rows.shape[-2] for rows in domains) >= 2:
        return None
    return domains[0].new_zeros(domains[0].shape[:-2])
