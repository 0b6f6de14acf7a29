"""Fine-tuning.

::

    X -> [blocks 1 .. n: frozen] -> [blocks n+1 ..: learn] -> [head: learns] -> loss
              |                           |                       |
              source's weights            begin at the            begins at the source head
                                          source's weights        for classes that it knew
"""

from sktransfer.strategies.base import Strategy, count_frozen


class FineTuning(Strategy):
    """All blocks above the first `n_frozen_blocks` and the head learn on the target rows.

    They begin at the weights of the source and share one learning rate.

    Parameters
    ----------
    n_frozen_blocks : int or "all", default=0
        Blocks that do not change, counted from the input. A negative number counts from the end, as in
        ``layers[:-2]``.

    References
    ----------
    Yosinski, Clune, Bengio and Lipson (2014). How transferable are features in deep neural networks?
    Advances in Neural Information Processing Systems 27. arXiv:1411.1792.

    Examples
    --------
    >>> from sktransfer import FineTuning
    >>> FineTuning(n_frozen_blocks=-1).n_frozen(epoch=0, n_blocks=3)
    2
    """

    def __init__(self, n_frozen_blocks=0):
        self.n_frozen_blocks = n_frozen_blocks

    def n_frozen(self, epoch: int, n_blocks: int) -> int:
        """The same number in every epoch.

        Raises
        ------
        ValueError
            If the backbone does not have that many blocks.
        """
        return count_frozen(self.n_frozen_blocks, n_blocks)
