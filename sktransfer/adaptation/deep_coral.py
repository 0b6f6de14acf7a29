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
    weight : float, default=0.1
        Factor of the loss, beside the mean loss of the labels; at least 0.
    prior : None, "estimate", dict or array-like of shape (n_classes,), default=None
        Share of each class among the target's rows, by class or in the order of the sorted classes. The source rows
        that are compared with the target's are then drawn by these shares. ``"estimate"``: by :func:`em_shares` of a
        logistic regression of the source. None: the shares of the source are taken for those of the target, and a
        :class:`LabelShiftWarning` says if predicted ones differ by more than 0.25 (total variation).

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

    assumes_equal_shares = True

    def __init__(self, weight=0.1, *, prior=None):
        self.weight = weight
        self.prior = prior

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
        inside, across = _products(_centered(source), _centered(target))
        tiny = torch.finfo(inside.dtype).tiny
        # features that do not vary at all have no loss: both products are zero
        return ((inside - 2 * across) / inside.clamp_min(tiny)).clamp_min(0)


def _centered(rows: torch.Tensor) -> torch.Tensor:
    """Rows whose products, summed over the rows, are the covariance."""
    return (rows - rows.mean(-2, keepdim=True)) / (rows.shape[-2] - 1) ** 0.5


def _products(source: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    r""":math:`\lVert C_s \rVert^2 + \lVert C_t \rVert^2` and :math:`\langle C_s, C_t \rangle` of centered rows.

    A product of covariances is the sum of the squared products of rows: less work where rows are fewer than features.
    """
    if source.shape[-2] + target.shape[-2] <= 2 * source.shape[-1]:
        inside = [(rows @ rows.mT).square().sum((-2, -1)) for rows in (source, target)]
        return inside[0] + inside[1], (source @ target.mT).square().sum((-2, -1))
    C_s, C_t = source.mT @ source, target.mT @ target
    return C_s.square().sum((-2, -1)) + C_t.square().sum((-2, -1)), (C_s * C_t).sum((-2, -1))
