"""AdaBN: BatchNorm measures the machine at hand instead of those of the source.

::

    X of the target -> [Linear] -> BatchNorm: (x - mean) / deviation -> ... -> features -> head
                                             |
                       of the rows of `fit`, layer after layer, mixed with `n_source` rows of the source
"""

from __future__ import annotations

from sktransfer.strategies.base import Strategy
from sktransfer.utils.parameters import is_number


class AdaBN(Strategy):
    """Statistics of BatchNorm are those of the rows of ``fit``, not those of the source; no weight changes.

    The layers are measured one after the other, from the input: each sees what comes through the layers below it with
    their new statistics. As a strategy of a :class:`sktransfer.TransferClassifier` it is done once, before the head
    begins, and what else the strategy asks for follows with these statistics kept: ``AdaBN() & ProbeThenTune()``. As
    the method of a :class:`sktransfer.SourceFreeClassifier` it needs no labels. Without a backbone, and for a network
    from scratch, it changes nothing: BatchNorm then measures the rows of ``fit`` anyway.

    Parameters
    ----------
    n_source : float, default=16
        Rows that the statistics of the source count as, at least 0: beside `n` rows of the target they have the weight
        ``n_source / (n_source + n)``. 0 replaces them, as published, however few the rows are.

    Raises
    ------
    ValueError
        At ``fit``, if `n_source` is not a number of at least 0, or the backbone has no BatchNorm.

    Notes
    -----
    NOTE[DIFF]: Li et al. replace the statistics (``n_source=0``). Five rows cannot replace what thousands measured, so
    both are mixed as Schneider et al. do. A channel that hardly moves among the rows keeps a tenth of the deviation it
    had in the source: divided by less, its noise would drown all others.
    Shares of classes are part of the statistics. Where the classes of the rows are not as common as those of the source
    were, such as rows that are nearly all healthy, the statistics move for that reason alone, and no label says so.

    References
    ----------
    Li, Wang, Shi, Hou and Liu (2018). Adaptive batch normalization for practical domain adaptation. Pattern Recognition
    80, 109-117. doi:10.1016/j.patcog.2018.03.005.
    Schneider, Rusak, Eck, Bringmann, Brendel and Bethge (2020). Improving robustness against common corruptions by
    covariate shift adaptation. Advances in Neural Information Processing Systems 33. arXiv:2006.16971.

    Examples
    --------
    >>> from sktransfer import AdaBN, ProbeThenTune
    >>> (AdaBN(n_source=0) & ProbeThenTune()).batch_norm()
    0.0
    """

    def __init__(self, n_source=16):
        self.n_source = n_source

    def batch_norm(self) -> float:
        """`n_source`.

        Raises
        ------
        ValueError
            If it is not a number of at least 0.
        """
        if not (is_number(self.n_source) and self.n_source >= 0):
            raise ValueError(f"AdaBN got n_source={self.n_source!r}; it must be a number of at least 0.")
        return float(self.n_source)
