"""Minimum class confusion: the head is drawn to say one class of each target row, and not to mix two classes.

::

    outputs of target rows --> / temperature --> softmax --> confusion of each two classes --> share off the diagonal
                                                    |              |
                                                    +--> entropy --+  sure rows count more
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sktransfer.adaptation.alignment import Alignment, without_spread
from sktransfer.utils.parameters import invalid_parameter, is_number

if TYPE_CHECKING:
    import torch
    from torch import nn


class MCC(Alignment):
    r"""Minimum class confusion of the target rows.

    With :math:`p` the probabilities at a raised temperature and :math:`w_i = 1 + \exp(-H(p_i))`, the confusion of two
    classes is :math:`C_{kl} = \sum_i w_i p_{ik} p_{il}`; the loss is the mean over the classes of the share of
    :math:`C_k` that lies on other classes. It looks at the target's outputs alone and never compares the two domains,
    so that their classes need not be equally common.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, beside the mean loss of the labels; at least 0.
    temperature : float, default=2.5
        The outputs are divided by it, above 0.

    Notes
    -----
    The weights of the rows are constants to the gradient, as in the authors' code.

    References
    ----------
    Jin, Wang, Long and Wang (2020). Minimum class confusion for versatile domain adaptation. ECCV 2020, 464-480.
    doi:10.1007/978-3-030-58589-1_28. arXiv:1912.03699.

    Examples
    --------
    >>> import torch
    >>> from sktransfer import MCC
    >>> sure, unsure = 50 * torch.eye(3), torch.zeros(3, 3)
    >>> [round(float(MCC().loss(rows, rows, rows)), 3) for rows in (sure, unsure)]
    [0.0, 0.667]
    """

    def __init__(self, weight=1.0, temperature=2.5):
        self.weight = weight
        self.temperature = temperature

    def refuse(self, name: str, n_classes: int | None) -> None:
        """Raise for a regressor, which has no classes to confuse, and for parameters out of range."""
        super().refuse(name, n_classes)
        if not (is_number(self.temperature) and 0 < self.temperature < float("inf")):
            raise invalid_parameter("MCC", "temperature", "be a finite number above 0", self.temperature)
        if n_classes is None:
            raise ValueError(
                f"{name} got alignment={self!r}, which acts on probabilities of classes, and a regressor has none. "
                "Pass DeepCORAL(), MMD() or DANN()."
            )

    def loss(
        self,
        source: torch.Tensor,
        target: torch.Tensor,
        outputs: torch.Tensor,
        *,
        network: nn.Module | None = None,
        progress: float = 1.0,
    ) -> torch.Tensor:
        """Mean share of a class's confusion that lies on other classes."""
        import torch

        zero = without_spread(outputs)
        if zero is not None:
            return zero
        logarithms = torch.log_softmax(outputs / self.temperature, dim=-1)
        p = logarithms.exp()
        certainty = 1 + (p * logarithms).detach().sum(-1, keepdim=True).exp()  # 1 + exp(-entropy)
        weighted = certainty * p
        # a row of C sums to that of its class's weighted probabilities, because a row's probabilities sum to one
        own, total = (weighted * p).sum(-2), weighted.sum(-2)
        return 1 - (own / total.clamp_min(torch.finfo(p.dtype).tiny)).mean(-1)
