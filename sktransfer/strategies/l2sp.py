"""L2-SP: fine-tuning with a penalty on the distance of the weights from those of the source.

::

    X -> [blocks: learn] -> [head: learns] -> loss
              |                  |
              +--- alpha/2 |w - w_source|^2 + beta/2 |w_new|^2 ---> loss
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sktransfer.strategies.base import Strategy
from sktransfer.utils.parameters import is_number

if TYPE_CHECKING:
    import torch


class L2SP(Strategy):
    """Fine-tuning with a penalty on the distance from the source's weights.

    The penalty is ``alpha / 2 * |w - w_source|^2`` over the weights that came from the source (rows of a linear head
    for classes that the source knew are among them) and ``beta / 2 * |w|^2`` over those that did not.

    Parameters
    ----------
    alpha : float, default=0.01
        Strength of the penalty towards the source, at least 0. It multiplies squared distances of weights in the unit
        of the loss, which is the mean over the rows of a batch. The penalty is neither divided by the number of weights
        nor by that of rows, so that a good value depends on the network. :class:`sktransfer.LinearProbing` has an
        `alpha` of another scale: it multiplies squared changes of logits, and its loss is a sum over rows.
    beta : float, default=0.01
        Strength of the penalty towards zero of weights that did not come from the source, at least 0; of the scale of
        `alpha`.

    References
    ----------
    Li, Grandvalet and Davoine (2018). Explicit inductive bias for transfer learning with convolutional networks.
    Proceedings of ICML, 2825-2834. arXiv:1802.01483.

    Examples
    --------
    >>> import torch
    >>> from sktransfer import L2SP
    >>> now, before = {"block1.w": torch.tensor([3.0])}, {"block1.w": torch.tensor([1.0])}
    >>> float(L2SP(alpha=0.5).penalty(now, before))
    1.0
    """

    def __init__(self, alpha=0.01, beta=0.01):
        self.alpha = alpha
        self.beta = beta

    def penalty(self, weights: Mapping[str, torch.Tensor], source: Mapping[str, torch.Tensor]) -> Any:
        """``alpha / 2`` times the squared distance from the source, plus ``beta / 2`` times new weights squared.

        Raises
        ------
        ValueError
            If `alpha` or `beta` is not a number of at least 0.
        """
        import torch

        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not (is_number(value) and value >= 0):
                raise ValueError(f"L2SP got {name}={value!r}; it must be a number of at least 0.")
        total: Any = 0.0
        for name, weight in weights.items():
            start = source.get(name)
            if start is None:
                total = total + self.beta / 2 * weight.square().sum()
            elif name.startswith("head."):  # rows of classes that the source did not know are NaN in `start`
                known = torch.isfinite(start)
                total = total + self.alpha / 2 * (weight - torch.where(known, start, weight)).square().sum()
                total = total + self.beta / 2 * torch.where(known, torch.zeros_like(weight), weight).square().sum()
            else:
                total = total + self.alpha / 2 * (weight - start).square().sum()
        return total
