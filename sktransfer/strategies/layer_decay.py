"""Layer decay, also called discriminative learning rates.

::

    X -> [block 1: learns] -> [block 2: learns] -> [head: learns] -> loss
          lr * decay^2         lr * decay           lr
"""

from sktransfer.strategies.base import Strategy
from sktransfer.utils.parameters import is_number


class LayerDecay(Strategy):
    """Fine-tuning in which the learning rate falls from the head to the input.

    The learning rate of each block is `decay` times that of the block above it. Lower blocks hold features that more
    machines share, so that they change less.

    Parameters
    ----------
    decay : float, default=0.5
        Factor from one block to the next below, relative to the head, in (0, 1].

    References
    ----------
    Howard and Ruder (2018). Universal language model fine-tuning for text classification. Proceedings of ACL,
    328-339. doi:10.18653/v1/P18-1031.

    Examples
    --------
    >>> from sktransfer import LayerDecay
    >>> [LayerDecay(0.5).lr_factor(depth) for depth in range(3)]
    [1.0, 0.5, 0.25]
    """

    def __init__(self, decay=0.5):
        self.decay = decay

    def lr_factor(self, depth: int) -> float:
        """``decay ** depth``.

        Raises
        ------
        ValueError
            If `decay` is not in (0, 1].
        """
        if not (is_number(self.decay) and 0 < self.decay <= 1):
            raise ValueError(f"LayerDecay got decay={self.decay!r}; it must be a number above 0 and at most 1.")
        return float(self.decay) ** depth
