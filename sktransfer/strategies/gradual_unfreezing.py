"""Gradual unfreezing.

::

    epoch 0 .. k-1     X -> [block 1: frozen] -> [block 2: frozen] -> [head: learns] -> loss
    epoch k .. 2k-1    X -> [block 1: frozen] -> [block 2: learns] -> [head: learns] -> loss
    epoch 2k ..        X -> [block 1: learns] -> [block 2: learns] -> [head: learns] -> loss
"""

from sktransfer.strategies.base import Strategy
from sktransfer.utils.parameters import is_whole


class GradualUnfreezing(Strategy):
    """Fine-tuning that begins with the head alone and thaws one more block every `every` epochs.

    The last block thaws first, the first block last. Once all blocks are thawed, the rest of the epochs train all of
    them.

    Parameters
    ----------
    every : int, default=5
        Epochs between two unfreezings, at least 1.

    References
    ----------
    Howard and Ruder (2018). Universal language model fine-tuning for text classification. Proceedings of ACL,
    328-339. doi:10.18653/v1/P18-1031.

    Examples
    --------
    >>> from sktransfer import GradualUnfreezing
    >>> [GradualUnfreezing(every=2).n_frozen(epoch, n_blocks=2) for epoch in range(6)]
    [2, 2, 1, 1, 0, 0]
    """

    def __init__(self, every=5):
        self.every = every

    def n_frozen(self, epoch: int, n_blocks: int) -> int:
        """All blocks at first, one less every `every` epochs.

        Raises
        ------
        ValueError
            If `every` is not an integer of at least 1.
        """
        if not is_whole(self.every) or self.every < 1:
            raise ValueError(f"GradualUnfreezing got every={self.every!r}; it must be an integer of at least 1 epoch.")
        return max(0, n_blocks - epoch // int(self.every))
