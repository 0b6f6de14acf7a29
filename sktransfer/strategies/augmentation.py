"""Augmentation: rows and windows that are a little different in every epoch.

::

    batch --crop--> --time shift--> --scaling--> --jitter--> --channel dropout--> --mixup--> [blocks] -> [head] -> loss
                    labels and weights stay those of the batch, until mixup mixes them as it mixes the windows
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sktransfer.strategies.base import Strategy
from sktransfer.utils.parameters import is_number

if TYPE_CHECKING:
    from sktransfer.strategies.base import Augment


class Augmentation(Strategy):
    """Each batch is changed at random before the network sees it, as long as at least one block learns.

    It says nothing of what learns: ``FineTuning(2) & Augmentation(jitter=0.1)`` does, and on its own everything
    learns. While all blocks are frozen it is off, because features of frozen blocks are computed once and kept;
    predictions are never augmented.

    Parameters
    ----------
    jitter : float, default=0.0
        Standard deviation of Gaussian noise that is added to every number, in units of `X` as the estimator gets it
        (behind :class:`sktransfer.BaselineScaler`: standard deviations of healthy operation).
    scaling : float, default=0.0
        Standard deviation of the factor, Gaussian with mean 1, by which each channel of each window (each number of a
        row) is multiplied; no unit.
    time_shift : float, default=0.0
        Largest shift in time, to either side, as a share of the window's length; from 0 to 0.5. All channels of a
        window move alike by a whole number of samples, and what leaves at one end comes back at the other. Windows
        only.
    crop : float, default=0.0
        Largest share of a window's length that is cut away, below 1; the rest is stretched to the full length by
        linear interpolation. Frequencies sink by the share that was cut. Windows only.
    channel_dropout : float, default=0.0
        Probability, below 1, that a channel of a window (a column of a row) is set to zero. What is left is not
        scaled up, and a window that would lose every channel keeps all of them.
    mixup : float, default=0.0
        Parameter ``alpha`` of the distribution Beta(alpha, alpha) of the share at which each window is mixed with
        another one of its batch; 0: not at all. Labels (probabilities of the classes, or values) and sample weights
        are mixed at the same share.
    when_frozen : bool, default=False
        Whether batches are augmented while all blocks are frozen, too. Then no features are kept, and the blocks run
        for every batch. A head that is solved has no batches: that needs an :class:`sktransfer.MLPHead` or
        ``LinearProbing(solver="sgd")``.

    Notes
    -----
    Shifts are circular because no sample is lost or repeated: spectra and moments of a window stay what they were,
    and no stretch stands still, which would look like a stuck sensor. The price is one jump where the ends meet.

    Numbers are drawn from generators of the fit, seeded by its ``random_state``. Those of whole windows are the same on
    every device; the noise of `jitter` is drawn where the batch is, and differs between CPU and CUDA.

    Where a backbone begins with a front end (``"envelope"`` of the shipped ``"vibration"``), windows are turned into
    its inputs once, before training, and a strategy that would augment them is an error at ``fit``. Augment such
    windows in a transformer before the estimator.

    In a :class:`sktransfer.BatchedGridSearchCV` a candidate with augmentation trains alone. Callbacks see batches as
    the network does; with `mixup` their labels are probabilities.

    References
    ----------
    Um, Pfister, Pichler, Endo, Lang, Hirche, Fietzek and Kulic (2017). Data augmentation of wearable sensor data for
    Parkinson's disease monitoring using convolutional neural networks. Proceedings of ICMI, 216-220.
    doi:10.1145/3136755.3136817. (jitter, scaling)
    Le Guennec, Malinowski and Tavenard (2016). Data augmentation for time series classification using convolutional
    neural networks. ECML/PKDD workshop on advanced analytics and learning on temporal data. (crop)
    Wen, Sun, Yang, Song, Gao, Wang and Xu (2021). Time series data augmentation for deep learning: a survey.
    Proceedings of IJCAI, 4653-4660. doi:10.24963/ijcai.2021/631. (time shift)
    Vincent, Larochelle, Bengio and Manzagol (2008). Extracting and composing robust features with denoising
    autoencoders. Proceedings of ICML, 1096-1103. doi:10.1145/1390156.1390294. (channel dropout)
    Zhang, Cisse, Dauphin and Lopez-Paz (2018). mixup: beyond empirical risk minimization. International Conference on
    Learning Representations. arXiv:1710.09412.

    Examples
    --------
    >>> from sktransfer import Augmentation, FineTuning
    >>> strategy = FineTuning(n_frozen_blocks=2) & Augmentation(jitter=0.1, mixup=0.2)
    >>> strategy.n_frozen(epoch=0, n_blocks=3)
    2
    >>> strategy.augment(n_frozen=3, n_blocks=3) is None  # off: all blocks are frozen
    True
    """

    def __init__(
        self,
        jitter=0.0,
        scaling=0.0,
        time_shift=0.0,
        crop=0.0,
        channel_dropout=0.0,
        mixup=0.0,
        when_frozen=False,
    ):
        self.jitter = jitter
        self.scaling = scaling
        self.time_shift = time_shift
        self.crop = crop
        self.channel_dropout = channel_dropout
        self.mixup = mixup
        self.when_frozen = when_frozen

    def augment(self, n_frozen: int, n_blocks: int) -> Augment | None:
        """The change; None if there is none, or if all blocks are frozen and it is not `when_frozen`."""
        amounts = self._amounts()
        if not any(amounts.values()) or (n_frozen == n_blocks and not self.when_frozen):
            return None
        from sktransfer.strategies.augmentation_ops import Change

        return Change(**amounts)

    def _amounts(self) -> dict[str, float]:
        """The amounts by name.

        Raises
        ------
        ValueError
            If one is out of its range.
        """
        for name, last, words in (
            ("jitter", math.inf, "a finite number of at least 0"),
            ("scaling", math.inf, "a finite number of at least 0"),
            ("time_shift", 0.5, "a share of the window's length from 0 to 0.5"),
            ("crop", 1.0, "a share of the window's length of at least 0 and below 1"),
            ("channel_dropout", 1.0, "a probability of at least 0 and below 1"),
            ("mixup", math.inf, "a finite number of at least 0"),
        ):
            value = getattr(self, name)
            good = is_number(value) and 0 <= value <= last and (value < last or name == "time_shift")
            if not good:
                raise ValueError(f"Augmentation got {name}={value!r}; it must be {words}.")
        if not isinstance(self.when_frozen, bool):
            raise ValueError(f"Augmentation got when_frozen={self.when_frozen!r}; it must be True or False.")
        return {name: float(value) for name, value in vars(self).items() if name != "when_frozen"}
