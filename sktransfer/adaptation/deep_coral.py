r"""Deep CORAL: covariances of the features of two machines, made alike.

::

    source features --> covariance --+
                                     +--> mean of the squared differences --> loss
    target features --> covariance --+
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sktransfer.adaptation.alignment import Alignment

if TYPE_CHECKING:
    import torch
    from torch import nn


class DeepCORAL(Alignment):
    """Covariances and means of the features of source and target, made alike (Deep CORAL).

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss.

    Notes
    -----
    NOTE[DIFF] The paper divides the squared Frobenius norm of the difference by :math:`4 d^2`, and compares features
    as they are. Here each feature is divided by its deviation over both machines first, so that one weight means the
    same for networks of every scale, the means are compared as well, and the sum is divided by :math:`d^2`.

    References
    ----------
    Sun and Saenko (2016). Deep CORAL: correlation alignment for deep domain adaptation. ECCV Workshops, 443-450.
    doi:10.1007/978-3-319-49409-8_35.

    Examples
    --------
    >>> from sktransfer import DeepCORAL, DomainAdaptationClassifier
    >>> DomainAdaptationClassifier(alignment=DeepCORAL(weight=3.0)).alignment.weight
    3.0
    """

    def __init__(self, weight=1.0):
        self.weight = weight

    def loss(
        self,
        source: torch.Tensor,
        target: torch.Tensor,
        outputs: torch.Tensor,
        *,
        network: nn.Module | None = None,
        progress: float = 1.0,
    ) -> torch.Tensor:
        """Squared differences of the covariances and of the means, summed, over ``d ** 2``."""
        n_source, n_target, width = source.shape[-2], target.shape[-2], source.shape[-1]
        if min(n_source, n_target) < 2:
            return 0 * (source.sum() + target.sum())
        mean_s, mean_t = source.mean(dim=-2, keepdim=True), target.mean(dim=-2, keepdim=True)
        a, b = source - mean_s, target - mean_t
        variance = (a.square().mean(dim=-2, keepdim=True) + b.square().mean(dim=-2, keepdim=True)) / 2
        scale = (variance + 1e-6 + 1e-3 * variance.mean(dim=-1, keepdim=True)).detach().sqrt()
        a, b = a / scale, b / scale
        covariance = a.mT @ a / (n_source - 1) - b.mT @ b / (n_target - 1)
        means = ((mean_s - mean_t) / scale).square().sum(dim=(-2, -1))
        return (covariance.square().sum(dim=(-2, -1)) + means) / width**2
