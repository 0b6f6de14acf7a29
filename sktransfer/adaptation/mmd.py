"""Maximum mean discrepancy: the features of source and target, made alike in the eyes of Gaussian kernels.

::

    source features --+                       +--> mean kernel inside the source
                      +--> kernels of several +--> mean kernel inside the target --> inside - 2 x across --> loss
    target features --+    bandwidths         +--> mean kernel across
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sktransfer.adaptation.alignment import Alignment, without_spread
from sktransfer.utils.parameters import invalid_parameter, is_whole

if TYPE_CHECKING:
    import torch
    from torch import nn


class MMD(Alignment):
    r"""Maximum mean discrepancy of the features of source and target, with several Gaussian kernels.

    .. math:: \frac1{n^2} \sum_{ij} k(s_i, s_j) + \frac1{m^2} \sum_{ij} k(t_i, t_j) - \frac2{nm} \sum_{ij} k(s_i, t_j)

    with :math:`k(x, y)` the mean of :math:`\exp(-\lVert x - y \rVert^2 / (b \bar d))` over the bandwidths :math:`b`,
    powers of two around 1, and :math:`\bar d` the mean squared distance of two rows of the batch.

    Parameters
    ----------
    weight : float, default=1.0
        Factor of the loss, beside the mean loss of the labels; at least 0.
    n_bandwidths : int, default=5
        Number of kernels, odd; 5 are the bandwidths 1/4, 1/2, 1, 2 and 4.
    prior : None, "estimate", dict or array-like of shape (n_classes,), default=None
        Share of each class among the target's rows, by class or in the order of the sorted classes. The source rows
        that are compared with the target's are then drawn by these shares. ``"estimate"``: by :func:`em_shares` of a
        logistic regression of the source. None: the shares of the source are taken for those of the target, and a
        :class:`LabelShiftWarning` says if predicted ones differ by more than 0.25 (total variation).

    Notes
    -----
    This is the biased estimate: it is never negative, and zero if both domains hold the same rows. The unbiased one
    leaves out the pairs of a row with itself, whose kernel is a constant; it differs by terms of the order of one over
    the number of rows.

    NOTE[DIFF] The unit of the bandwidths is the mean squared distance and not its median (the median heuristic of
    Gretton et al.): the mean needs no sorting, is never zero unless all rows are equal, and is within the span of the
    bandwidths of the median. It is a constant to the gradient, as in the code of Long et al.
    NOTE[DIFF] Long et al. align several layers and learn the weights of the kernels; here one layer, the features, and
    equal weights.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schoelkopf and Smola (2012). A kernel two-sample test. Journal of Machine Learning
    Research 13, 723-773.
    Long, Cao, Wang and Jordan (2015). Learning transferable features with deep adaptation networks. Proceedings of
    ICML, 97-105. arXiv:1502.02791.

    Examples
    --------
    >>> import torch
    >>> from sktransfer import MMD
    >>> source = torch.tensor([[0.0], [1.0], [2.0]])
    >>> float(MMD().loss(source, source, source)) < 1e-6 < float(MMD().loss(source, source + 3.0, source))
    True
    """

    assumes_equal_shares = True

    def __init__(self, weight=1.0, n_bandwidths=5, *, prior=None):
        self.weight = weight
        self.prior = prior
        self.n_bandwidths = n_bandwidths

    def refuse(self, name: str, n_classes: int | None) -> None:
        """Raise for parameters out of range."""
        super().refuse(name, n_classes)
        if not (is_whole(self.n_bandwidths) and self.n_bandwidths >= 1 and self.n_bandwidths % 2):
            raise invalid_parameter("MMD", "n_bandwidths", "be an odd whole number of at least 1", self.n_bandwidths)

    def loss(
        self,
        source: torch.Tensor,
        target: torch.Tensor,
        outputs: torch.Tensor,
        *,
        network: nn.Module | None = None,
        progress: float = 1.0,
    ) -> torch.Tensor:
        """Biased squared discrepancy, the mean over the kernels."""
        import torch

        zero = without_spread(source, target)
        if zero is not None:
            return zero
        rows = torch.cat([source, target], dim=-2)
        rows = rows - rows.detach().mean(-2, keepdim=True)  # distances do not change, their rounding does
        squares = rows.square().sum(-1)
        n_source, n_target = source.shape[-2], target.shape[-2]
        mean = 2 * squares.detach().sum(-1)[..., None, None] / (n_source + n_target - 1)
        widest = -1 / (mean * 2 ** (self.n_bandwidths // 2)).clamp_min(torch.finfo(rows.dtype).tiny)
        distances = squares.unsqueeze(-1) + squares.unsqueeze(-2) - 2 * rows @ rows.mT
        kernel = total = (distances * widest).exp()
        for _ in range(self.n_bandwidths - 1):
            kernel = kernel.square()  # half the bandwidth, without another exponential
            total = total + kernel
        sign = torch.cat([rows.new_full((n_source,), 1 / n_source), rows.new_full((n_target,), -1 / n_target)])
        return ((total @ sign) * sign).sum(-1) / self.n_bandwidths
