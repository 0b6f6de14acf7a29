"""Linear probing.

::

    X -> [block 1: frozen] -> [block 2: frozen] -> features -> [head: solved] -> loss
                                                                  |
                       alpha / 2 * squared distance from the source head, if there is one -> loss
"""

from sktransfer.strategies.base import Augment, HeadSolver, Strategy
from sktransfer.utils.parameters import InvalidParameterError, is_number

SOLVERS = "lbfgs", "ridge", "sgd"


class LinearProbing(Strategy):
    """Only the head learns; the backbone does not change.

    A linear head is solved to its optimum: the problem is convex, and has no learning rate or number of epochs to
    choose. A penalty holds the head to the source head where the source knew the classes, so that one label a class
    does no harm. An :class:`sktransfer.MLPHead` trains for ``max_epochs`` on the frozen features.

    Parameters
    ----------
    alpha : "auto" or float, default="auto"
        Strength of the penalty towards the source head (rows of new classes: towards the mean of its rows); 0: none.
        Infinity keeps the source head as it is. ``"auto"`` chooses from the labelled rows alone. With ``"lbfgs"`` it
        lies between 0.001 and 1 and has the best evidence plus leave-one-out likelihood up to 150 rows, and the best
        likelihood of five folds (of 2,000 rows at most) for more. With ``"ridge"`` it lies between 0.001 and 100 and
        has the best leave-one-out likelihood. A regressor's lies between 0.001 and 1,000, or is infinite, and has the
        smallest leave-one-out error. The scale is given in the Notes; the `alpha` of :class:`sktransfer.L2SP` has
        another.
    solver : {"lbfgs", "ridge", "sgd"}, default="lbfgs"
        How a classifier's head is found. ``"lbfgs"``: cross-entropy, the best from one to ten labels a class.
        ``"ridge"``: one-vs-rest least squares on class codes in closed form, for hundreds of rows and many searches.
        ``"sgd"``: cross-entropy by epochs on the frozen features, from the source head and without a penalty, for very
        many rows. A regressor's head is found by least squares with the first two.

    Notes
    -----
    With standardised features ``f``, source head ``W_s, b_s`` and row weights ``w`` the head minimises::

        sum_i w_i * cross_entropy(W f_i + b, y_i) + alpha / 2 * (d |W - W_s|^2 + |b - b_s|^2)

    where ``d`` is the number of features. The solver divides the features by the square root of ``d``, which multiplies
    the squared distance of ``W`` by ``d``. ``alpha`` is therefore the precision of a Gaussian prior on the change of a
    logit for an average row, and one value means the same for every backbone. ``"ridge"`` has squared distances from
    the class codes, in units of the source's logits, in place of the cross-entropy.

    Probabilities are calibrated: the solved head is divided by the temperature under which the rows are most likely by
    held-out logits, with a prior around 1. With ``"lbfgs"`` these are leave-one-out logits up to 150 rows, and those of
    five folds up to 2,000 rows; more rows leave little to correct and keep a temperature of 1. With ``"ridge"`` they
    are leave-one-out logits. All rows take part in the final head. ``"sgd"`` keeps a temperature of 1, too: it stops
    short of the optimum that leave-one-out logits need.

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
        """`alpha` and `solver`; None with ``"sgd"``, which trains by epochs.

        Raises
        ------
        ValueError
            If `alpha` is not ``"auto"`` or a number of at least 0, `solver` is unknown, or ``"sgd"`` has an `alpha`.
        """
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

    It takes the place of the head solver where the head cannot be solved, such as an :class:`sktransfer.MLPHead`.

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


def check_alpha(name: str, alpha: object, words: tuple[str, ...] = ("auto",)) -> float | str:
    """Return `alpha` if it is one of `words` or a number of at least 0, the latter as a float.

    Raises
    ------
    ValueError
        If it is anything else; the message begins with `name`, the name of the strategy.
    """
    if isinstance(alpha, str) and alpha in words:
        return alpha
    if is_number(alpha) and alpha >= 0:  # type: ignore[operator]
        return float(alpha)  # type: ignore[arg-type]
    raise ValueError(
        f"{name} got alpha={alpha!r}; it must be {' or '.join(map(repr, words))} or a number of at least 0."
    )
