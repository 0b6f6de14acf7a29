"""Probe, then tune (LP-FT).

::

    1. X -> [blocks: frozen] -> features -> [head: solved]
    2. X -> [blocks 1 .. n: frozen] -> [blocks n+1 ..: learn] -> [head: learns from there] -> loss
                                            lr * tune_rate            lr * tune_rate
    3. weights = (1 - tune_interpolation) * weights after 1 + tune_interpolation * weights after 2
    4. head / temperature of the solved head's held-out logits
"""

from sktransfer.strategies.base import HeadSolver, Strategy, count_frozen
from sktransfer.strategies.linear_probing import check_alpha
from sktransfer.utils.parameters import is_number


class ProbeThenTune(Strategy):
    """First solve the head on the frozen backbone, then fine-tune all of it at a small rate (LP-FT).

    A random head distorts the features in the first steps of fine-tuning; a solved head does not. The result lies
    between the network before and the network after tuning (WiSE-FT), which keeps more of the source's knowledge.
    Estimators use this strategy by default when they have a backbone.

    Parameters
    ----------
    tune_rate : float, default=0.3
        Learning rate of the second step, relative to the estimator's ``lr``.
    tune_interpolation : float, default=0.5
        Weight of the tuned network in the average of the probed and the tuned one, in (0, 1]; 1 is plain LP-FT.
    n_frozen_blocks : int or "all", default=0
        Blocks that stay frozen in the second step too; see :class:`sktransfer.FineTuning`.
    alpha : "weak", "auto" or float, default="weak"
        Strength of the penalty towards the source head in the first step; of the scale of
        :class:`sktransfer.LinearProbing`. ``"weak"``: 0.1 for a classifier, which scores as well as a chosen one once
        everything is tuned, and chosen for a regressor. ``"auto"``: chosen from the labelled rows, as there.

    Notes
    -----
    A classifier's probabilities are divided by the temperature of the solved head, chosen as in
    :class:`sktransfer.LinearProbing`. Tuning makes the network more certain than that, so that they remain too certain,
    but less so than without.

    References
    ----------
    Kumar, Raghunathan, Jones, Ma and Liang (2022). Fine-tuning can distort pretrained features and underperform
    out-of-distribution. International Conference on Learning Representations. arXiv:2202.10054.
    Wortsman, Ilharco, Kim, Li, Kornblith, Roelofs, Gontijo Lopes, Hajishirzi, Farhadi, Namkoong and Schmidt (2022).
    Robust fine-tuning of zero-shot models. Proceedings of CVPR, 7959-7971. arXiv:2109.01903.

    Examples
    --------
    >>> from sktransfer import ProbeThenTune
    >>> ProbeThenTune(tune_rate=0.1).lr_factor(depth=2)
    0.1
    """

    def __init__(self, tune_rate=0.3, tune_interpolation=0.5, n_frozen_blocks=0, alpha="weak"):
        self.tune_rate = tune_rate
        self.tune_interpolation = tune_interpolation
        self.n_frozen_blocks = n_frozen_blocks
        self.alpha = alpha

    def n_frozen(self, epoch: int, n_blocks: int) -> int:
        """The same number in every epoch of the second step."""
        return count_frozen(self.n_frozen_blocks, n_blocks)

    def lr_factor(self, depth: int) -> float:
        """`tune_rate` at every depth.

        Raises
        ------
        ValueError
            If `tune_rate` is not a number above 0.
        """
        if not (is_number(self.tune_rate) and self.tune_rate > 0):
            raise ValueError(f"ProbeThenTune got tune_rate={self.tune_rate!r}; it must be a number above 0.")
        return float(self.tune_rate)

    def head_solver(self) -> HeadSolver:
        """`alpha` for the first step; the temperature of the solved head divides what comes of the second."""
        return HeadSolver(check_alpha(type(self).__name__, self.alpha, ("weak", "auto")), calibrated=True)

    def interpolation(self) -> float:
        """`tune_interpolation`.

        Raises
        ------
        ValueError
            If it is not in (0, 1].
        """
        if not (is_number(self.tune_interpolation) and 0 < self.tune_interpolation <= 1):
            raise ValueError(
                f"ProbeThenTune got tune_interpolation={self.tune_interpolation!r}; it must be above 0 and at most 1."
            )
        return float(self.tune_interpolation)
