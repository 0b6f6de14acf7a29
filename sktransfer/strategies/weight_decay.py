"""Weight decay, decoupled from the gradient as in AdamW.

::

    X -> [blocks: learn] -> [head: learns] -> loss -> step of the optimizer
                                                         |
          matrices that learn:  w <- w - lr * weight_decay * w    (biases and normalisation do not decay)
"""

from sktransfer.strategies.base import Strategy
from sktransfer.utils.parameters import is_number


class WeightDecay(Strategy):
    """Matrices that learn shrink by a fraction of themselves in each step.

    Estimators use this strategy by default for a network that trains from scratch. A pretrained network would decay
    away from the source, so that it decays only where this strategy is asked for. :class:`sktransfer.L2SP` has a
    penalty towards the source in place of zero.

    Parameters
    ----------
    weight_decay : float, default=0.01
        Share of a weight that is taken away per step, relative to its learning rate; at least 0.

    References
    ----------
    Loshchilov and Hutter (2019). Decoupled weight decay regularization. International Conference on Learning
    Representations. arXiv:1711.05101.

    Examples
    --------
    >>> from sktransfer import LinearProbing, WeightDecay
    >>> (LinearProbing() & WeightDecay(0.1)).weight_decay_rate()
    0.1
    """

    def __init__(self, weight_decay=0.01):
        self.weight_decay = weight_decay

    def weight_decay_rate(self) -> float:
        """`weight_decay`.

        Raises
        ------
        ValueError
            If it is not a number of at least 0.
        """
        if not (is_number(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"WeightDecay got weight_decay={self.weight_decay!r}; it must be a number of at least 0.")
        return float(self.weight_decay)
