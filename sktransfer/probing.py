"""Linear probing.

::

    X -> [block 1: frozen] -> [block 2: frozen] -> features -> [head: learns] -> loss
                                                                  |
                                            pulled to the source head where there is one
"""

from sktransfer.strategy import Strategy


class LinearProbing(Strategy):
    """Only the head learns; the backbone stays as it is.

    A linear head is solved exactly: the loss is convex, and few labels need no learning rate. Where classes were
    known to the source, the head is pulled to the source head, so that one label a class already does no harm.
    An :class:`sktransfer.MLPHead` trains for ``max_epochs`` on the frozen features.

    Parameters
    ----------
    pull : "auto" or float, default="auto"
        Strength of the pull to the source's rows (of new classes: to their mean); 0: none.
        ``"auto"`` chooses one between 0.001 and 1 from the labelled rows alone, by their evidence and leave-one-out
        likelihood; infinity keeps the source head as it is.

    Notes
    -----
    With standardised features ``f``, source head ``W_s`` and pull ``a`` the head minimises::

        sum_i w_i * cross_entropy(W f_i + b, y_i) + a / 2 * (d |W - W_s|^2 + |b - b_s|^2)

    where ``d`` is the number of features: ``a`` is the precision of a Gaussian prior on the change of a logit for an
    average row, so one value means the same for every backbone.

    References
    ----------
    Li, Grandvalet and Davoine (2018). Explicit inductive bias for transfer learning with convolutional networks.
    Proceedings of ICML, 2825-2834. arXiv:1802.01483.
    Kuzborskij and Orabona (2013). Stability and hypothesis transfer learning. Proceedings of ICML, 942-950.

    Examples
    --------
    >>> from sktransfer import LinearProbing
    >>> LinearProbing().n_frozen(epoch=0, n_blocks=3)
    3
    """

    def __init__(self, pull="auto"):
        self.pull = pull

    def n_frozen(self, epoch: int, n_blocks: int) -> int:
        """All blocks, always."""
        return n_blocks

    def probe(self) -> float | str:
        """The strength of the pull."""
        return check_pull(type(self).__name__, self.pull)


def check_pull(who: str, pull: object) -> float | str:
    """`pull` if it is ``"auto"`` or a number of at least 0."""
    if pull == "auto":
        return "auto"
    if isinstance(pull, int | float) and not isinstance(pull, bool) and pull >= 0:
        return float(pull)
    raise ValueError(f"{who} got pull={pull!r}; it must be 'auto' or a number of at least 0.")
