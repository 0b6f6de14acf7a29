"""Linear probing.

::

    X -> [block 1: frozen] -> [block 2: frozen] -> features -> [head: learns] -> loss
                                                                  |
                                            pulled to the source head where there is one
"""

from sktransfer.strategies.base import Augment, HeadSolver, Strategy
from sktransfer.utils.parameters import InvalidParameterError, is_number

SOLVERS = "lbfgs", "ridge", "sgd"


class LinearProbing(Strategy):
    """Only the head learns; the backbone stays as it is.

    A linear head is solved exactly: the problem is convex, and few labels need no learning rate. Where classes were
    known to the source, the head is pulled to the source head, so that one label a class already does no harm.
    An :class:`sktransfer.MLPHead` trains for ``max_epochs`` on the frozen features.

    Parameters
    ----------
    alpha : "auto" or float, default="auto"
        Strength of the pull to the source's rows (of new classes: to their mean); 0: none.
        ``"auto"`` chooses one from the labelled rows alone: with ``"lbfgs"`` between 0.001 and 1 by their evidence and
        leave-one-out likelihood, with ``"ridge"`` between 0.001 and 100 by leave-one-out likelihood. Infinity keeps the
        source head as it is.
    solver : {"lbfgs", "ridge", "sgd"}, default="lbfgs"
        How a classifier's head is found. ``"lbfgs"``: cross-entropy, the best from one to ten labels a class.
        ``"ridge"``: one-vs-rest least squares on class codes in closed form, for hundreds of rows and many searches.
        ``"sgd"``: cross-entropy by epochs on the frozen features, from the source head and without a pull, for very
        many rows. A regressor's head is least squares with the first two.

    Notes
    -----
    With standardised features ``f``, source head ``W_s`` and pull ``a`` the head minimises::

        sum_i w_i * cross_entropy(W f_i + b, y_i) + a / 2 * (d |W - W_s|^2 + |b - b_s|^2)

    where ``d`` is the number of features: ``a`` is the precision of a Gaussian prior on the change of a logit for an
    average row, so one value means the same for every backbone. ``"ridge"`` has squared distances from the class
    codes, brought to the scale of the source's logits, in place of the cross-entropy.

    Probabilities are calibrated: the solved head is divided by the temperature under which each row is most likely
    by its leave-one-out logits (of more than 600 unknowns: five folds, up to 2,000 rows), with a prior around 1. No
    row is held out from the head. ``"sgd"`` keeps a temperature of 1: its end is no optimum around which to leave a
    row out, and very many rows leave little to correct.

    References
    ----------
    Li, Grandvalet and Davoine (2018). Explicit inductive bias for transfer learning with convolutional networks.
    Proceedings of ICML, 2825-2834. arXiv:1802.01483.
    Kuzborskij and Orabona (2013). Stability and hypothesis transfer learning. Proceedings of ICML, 942-950.
    Guo, Pleiss, Sun and Weinberger (2017). On calibration of modern neural networks. Proceedings of ICML, 1321-1330.
    arXiv:1706.04599.

    Examples
    --------
    >>> from sktransfer import LinearProbing
    >>> LinearProbing().n_frozen(epoch=0, n_blocks=3)
    3
    """

    def __init__(self, alpha="auto", solver="lbfgs"):
        self.alpha = alpha
        self.solver = solver

    def n_frozen(self, epoch: int, n_blocks: int) -> int:
        """All blocks, always."""
        return n_blocks

    def head_solver(self) -> HeadSolver | None:
        """Pull and solver; None with ``"sgd"``, which trains by epochs."""
        alpha = check_alpha(type(self).__name__, self.alpha)
        if self.solver not in SOLVERS:
            raise InvalidParameterError(
                f"The 'solver' parameter of {type(self).__name__} must be one of {', '.join(map(repr, SOLVERS))}. "
                f"Got {self.solver!r} instead."
            )
        if self.solver != "sgd":
            return HeadSolver(alpha, self.solver, calibrated=True)
        if alpha != "auto":
            raise ValueError(
                f"{type(self).__name__} got alpha={self.alpha!r} with solver='sgd', which trains by epochs and knows "
                "no penalty. Leave alpha='auto', or take solver='lbfgs'."
            )
        return None


class HeadFirst(LinearProbing):
    """Train the head by epochs on frozen blocks, before another strategy trains the blocks as well.

    It stands in for :meth:`Strategy.head_solver` where the head cannot be solved, as an :class:`sktransfer.MLPHead`.

    Parameters
    ----------
    then : Strategy
        The strategy that trains afterwards. Its augmentation applies here, too.
    """

    def __init__(self, then: Strategy):
        super().__init__()
        self.then = then

    def augment(self, n_frozen: int, n_blocks: int) -> Augment | None:
        """The answer of `then`."""
        return self.then.augment(n_frozen, n_blocks)


def check_alpha(who: str, alpha: object) -> float | str:
    """`alpha` if it is ``"auto"`` or a number of at least 0."""
    if alpha == "auto":
        return "auto"
    if is_number(alpha) and alpha >= 0:  # type: ignore[operator]
        return float(alpha)  # type: ignore[arg-type]
    raise ValueError(f"{who} got alpha={alpha!r}; it must be 'auto' or a number of at least 0.")
