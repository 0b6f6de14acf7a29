"""L2-SP: the weights are pulled back to where the source left them.

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
        Strength of the pull to the source, at least 0.
    beta : float, default=0.01
        Strength of the pull of new weights to zero, at least 0.

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
        """Half the squared distance, weighted by `alpha` or `beta`."""
        import torch

        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not (is_number(value) and value >= 0):
                raise ValueError(f"L2SP got {name}={value!r}; it must be a number of at least 0.")
        total: Any = 0.0
        for name, weight in weights.items():
            start = source.get(name)
            if start is None:
                total = total + self.beta / 2 * weight.square().sum()
            elif name.startswith("head."):  # single rows of the head may be new
                known = torch.isfinite(start)
                total = total + self.alpha / 2 * (weight - torch.where(known, start, weight)).square().sum()
                total = total + self.beta / 2 * torch.where(known, torch.zeros_like(weight), weight).square().sum()
            else:
                total = total + self.alpha / 2 * (weight - start).square().sum()
        return total
