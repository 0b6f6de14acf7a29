"""DANN: features from which a second network cannot tell the domain, learned against that network.

::

    source features --+                                              target or source?
                      +--> [gradient times -ramp] --> [domain classifier] --> cross-entropy
    target features --+     on the way back            learns to tell
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from sktransfer.adaptation.alignment import Alignment, without_spread
from sktransfer.utils.parameters import check_sizes

if TYPE_CHECKING:
    import torch
    from torch import nn


class DANN(Alignment):
    r"""Domain-adversarial training: the features learn against a classifier of the domain, which learns along.

    The domain classifier descends the cross-entropy of its two answers. On the way back to the features the gradient is
    reversed and multiplied by :math:`2 / (1 + \exp(-10 p)) - 1`, with :math:`p` the share of the steps that are done,
    so that the adversary is silent at first.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, beside the mean loss of the labels; at least 0. The features get this times the ramp. The
        domain classifier learns at about the same pace for every weight, because the step of Adam does not depend on
        the scale of a gradient.
    hidden_layer_sizes : sequence of int, default=(100,)
        Widths of the layers of the domain classifier before its output.
    prior : None, "estimate", dict or array-like of shape (n_classes,), default=None
        Share of each class among the target's rows, by class or in the order of the sorted classes. The source rows
        that are compared with the target's are then drawn by these shares. ``"estimate"``: by :func:`em_shares` of a
        logistic regression of the source. None: the shares of the source are taken for those of the target, and a
        :class:`LabelShiftWarning` says if predicted ones differ by more than 0.25 (total variation).

    Notes
    -----
    Several source machines are one domain: the classifier tells the sources from the target, and nothing draws the
    sources towards each other. Both domains count a half, however many rows of each a batch has.

    NOTE[DIFF] The paper also lowers the learning rate by :math:`(1 + 10 p)^{-0.75}`; here the rate follows the schedule
    of the fit.

    References
    ----------
    Ganin, Ustinova, Ajakan, Germain, Larochelle, Laviolette, Marchand and Lempitsky (2016). Domain-adversarial training
    of neural networks. Journal of Machine Learning Research 17, 1-35. arXiv:1505.07818.

    Examples
    --------
    >>> import torch
    >>> from sktransfer import DANN
    >>> alignment, features = DANN(), torch.randn(6, 4, requires_grad=True)
    >>> network = alignment.network(n_features=4, n_outputs=2)
    >>> alignment.loss(features[:3], features[3:], features[3:], network=network).backward()
    >>> bool(features.grad.abs().sum() > 0), bool(network[0].weight.grad.abs().sum() > 0)
    (True, True)
    """

    assumes_equal_shares = True

    def __init__(self, weight=1.0, hidden_layer_sizes=(100,), *, prior=None):
        self.weight = weight
        self.prior = prior
        self.hidden_layer_sizes = hidden_layer_sizes

    def refuse(self, name: str, n_classes: int | None) -> None:
        """Raise for parameters out of range."""
        super().refuse(name, n_classes)
        check_sizes("DANN", self.hidden_layer_sizes)

    def network(self, n_features: int, n_outputs: int) -> nn.Module:
        """The domain classifier: one logit a row, positive for the target."""
        from torch import nn

        widths, layers = [n_features, *self.hidden_layer_sizes], []
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def loss(
        self,
        source: torch.Tensor,
        target: torch.Tensor,
        outputs: torch.Tensor,
        *,
        network: nn.Module | None = None,
        progress: float = 1.0,
    ) -> torch.Tensor:
        """Cross-entropy of the domain classifier; its gradient with respect to the features is reversed.

        Raises
        ------
        ValueError
            Without `network`.
        """
        import torch
        from torch.nn.functional import softplus

        if network is None:
            raise ValueError(
                "DANN.loss needs the domain classifier. Pass network=DANN().network(n_features, n_outputs)."
            )
        zero = without_spread(source, target)
        if zero is not None:
            return zero
        logits = network(_reversed(torch.cat([source, target], dim=-2), ramp(progress)))
        n_source = source.shape[-2]
        of_source, of_target = softplus(logits[..., :n_source, :]), softplus(-logits[..., n_source:, :])
        return (of_source.mean((-2, -1)) + of_target.mean((-2, -1))) / 2


def ramp(progress: float) -> float:
    """How much of the reversed gradient reaches the features: 0 at the beginning, 0.987 half-way."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def _reversed(features: torch.Tensor, factor: float) -> torch.Tensor:
    """`features`, whose gradient is multiplied by minus `factor`."""
    same = features.view_as(features)  # a step of its own: the hook acts on this path alone
    if same.requires_grad:
        same.register_hook(lambda gradient: -factor * gradient)
    return same
