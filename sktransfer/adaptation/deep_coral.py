"""Deep CORAL: covariances of the features of source and target, made alike.

::

    source features --> covariance --+
                                     +--> squared difference, relative to the size of both --> loss
    target features --> covariance --+
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sktransfer.adaptation.alignment import Alignment, without_spread

if TYPE_CHECKING:
    import torch
    from torch import nn


class DeepCORAL(Alignment):
    r"""Covariances of the features of source and target, made alike (Deep CORAL).

    .. math:: \frac{\lVert C_s - C_t \rVert_F^2}{\lVert C_s \rVert_F^2 + \lVert C_t \rVert_F^2}

    The loss is about the same whatever the number of features and their scale, and does not change if the features of
    both domains are rotated together.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, beside the mean loss of the labels; at least 0.

    Notes
    -----
    NOTE[DIFF] The paper divides the squared distance by :math:`4 d^2`, with :math:`d` the number of features. A weight
    then means something else for each network, and the loss falls wherever all features shrink. The size of the
    covariances in its place is differentiated along, so that features of another scale have the same loss.

    References
    ----------
    Sun and Saenko (2016). Deep CORAL: correlation alignment for deep domain adaptation. ECCV 2016 Workshops, 443-450.
    doi:10.1007/978-3-319-49409-8_35. arXiv:1607.01719.

    Examples
    --------
    >>> import torch
    >>> from sktransfer import DeepCORAL
    >>> source = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> float(DeepCORAL().loss(source, source + 3.0, source))
    0.0
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
        """Squared distance of the covariances, relative to their own squared sizes."""
        import torch

        zero = without_spread(source, target)
        if zero is not None:
            return zero
        of_source, of_target = _covariance(source), _covariance(target)
        size = of_source.square().sum((-2, -1)) + of_target.square().sum((-2, -1))
        tiny = torch.finfo(size.dtype).tiny  # features that do not vary at all: 0 / tiny = 0
        return (of_source - of_target).square().sum((-2, -1)) / size.clamp_min(tiny)


def _covariance(rows: torch.Tensor) -> torch.Tensor:
    centered = rows - rows.mean(-2, keepdim=True)
    return centered.mT @ centered / (rows.shape[-2] - 1)
