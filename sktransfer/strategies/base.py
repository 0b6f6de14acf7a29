"""The interface of all strategies: questions about what may change during ``fit``.

A strategy does not train. It answers questions, each of which has a neutral answer, and the fit asks them::

    question                     answer                                 neutral   combined by
    n_frozen(epoch, n_blocks)    number of blocks that are frozen          0      maximum
    lr_factor(depth)             learning rate relative to `lr`            1      product
    penalty(weights, source)     penalty towards the source                0      sum
    head_solver()                solver of the head before epoch 0        None    first that is not None
    interpolation()              fraction of the change that is kept       1      product
    weight_decay_rate()          weight decay of matrices                  0      sum
    augment(n_frozen, n_blocks)  function that changes batches            None    one after the other
    batch_norm()                 rows that the source's statistics weigh  None    first that is not None

Because the neutral answers are the identities of these combinations, strategies combine with ``&`` without
special cases, and the neutral strategy itself is full fine-tuning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from sklearn.base import BaseEstimator

from sktransfer.utils.parameters import is_whole

if TYPE_CHECKING:  # a stored model holds its strategy, and predicts without torch
    import torch

    from sktransfer.utils.random import Draws


class Batch(NamedTuple):
    """Rows of one step of training, which :meth:`Strategy.augment` may change.

    Parameters
    ----------
    X : tensor of shape (n_samples, ...)
        Rows or windows, as the estimator got them.
    y : tensor of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_outputs)
        Codes of classes, their probabilities, or standardised values.
    weight : tensor of shape (n_samples,)
        Weights of the samples.
    n_classes : int or None
        None for a regressor.
    """

    X: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    n_classes: int | None = None


# Makes another batch of the same size. It draws random numbers from the generators of the fit alone.
Augment = Callable[[Batch, "Draws"], Batch]


class HeadSolver(NamedTuple):
    """How the head is solved before the first epoch: the answer of :meth:`Strategy.head_solver`.

    Parameters
    ----------
    alpha : float, "auto" or "weak"
        Strength of the penalty towards the source head; ``"auto"`` chooses it from the labelled rows. See
        :class:`sktransfer.LinearProbing` for its scale. ``"weak"`` is 0.1 for a classifier, ``"auto"`` for a regressor.
    solver : {"lbfgs", "ridge"}
        See :class:`sktransfer.LinearProbing`.
    calibrated : bool
        Whether a classifier's head is divided by the temperature that is chosen from the labelled rows; a head that
        trains on, at its end.
    """

    alpha: float | str
    solver: str = "lbfgs"
    calibrated: bool = False


class Strategy(BaseEstimator):
    """The neutral strategy: all blocks and the head learn at the same rate from the first epoch on.

    To write a strategy, subclass it and override the answers that differ. :class:`sktransfer.FineTuning` and
    :class:`sktransfer.L2SP` are short examples.

    Examples
    --------
    >>> from sktransfer import LayerDecay, L2SP
    >>> both = LayerDecay(0.5) & L2SP(0.01)
    >>> both.lr_factor(2)
    0.25
    """

    def n_frozen(self, epoch: int, n_blocks: int) -> int:
        """How many blocks, counted from the input, stay frozen in `epoch` (0 is the first)."""
        return 0

    def lr_factor(self, depth: int) -> float:
        """Learning rate relative to the estimator's ``lr`` at `depth` (0 is the head, 1 the block below it)."""
        return 1.0

    def penalty(self, weights: Mapping[str, torch.Tensor], source: Mapping[str, torch.Tensor]) -> torch.Tensor | float:
        """Term that is added to the loss for the distance of the weights from those of the source.

        Parameters
        ----------
        weights : mapping of str to tensor
            The parameters that are not frozen. Names begin with the name of the block or with ``head``.
        source : mapping of str to tensor
            Values in the source of the parameters that came from it; NaN in rows of the head whose class it did not
            know.

        Returns
        -------
        tensor of shape () or float
        """
        return 0.0

    def head_solver(self) -> HeadSolver | None:
        """How the head is solved before the first epoch; None: it is not."""
        return None

    def interpolation(self) -> float:
        """Fraction of the way from the weights before the epochs to those after them; 1: all the way."""
        return 1.0

    def weight_decay_rate(self) -> float:
        """Fraction by which matrices that learn shrink in each step, divided by their learning rate."""
        return 0.0

    def augment(self, n_frozen: int, n_blocks: int) -> Augment | None:
        """Function that changes batches while `n_frozen` of `n_blocks` blocks are frozen; None: they do not change.

        Features of rows that change cannot be kept, so that frozen blocks then run for every batch.

        Returns
        -------
        callable or None
            ``augment(batch, draws)`` makes a :class:`Batch` of the same shape of `X`.
        """
        return None

    def batch_norm(self) -> float | None:
        """How many rows the source's BatchNorm statistics count as, where those of the rows of `fit` are mixed in.

        The statistics are measured before the head begins, and stay. 0: those of the rows of `fit` alone. None: those
        of the source alone, nothing is measured.
        """
        return None

    def __and__(self, other: Strategy) -> Strategy:
        if not isinstance(other, Strategy):
            return NotImplemented
        return Combined(self, other)


class Combined(Strategy):
    """Two strategies at once; made by ``first & second``.

    Parameters
    ----------
    first, second : Strategy
        Their answers combine by maximum (frozen blocks), product (rates, interpolation), sum (penalty, weight
        decay), the first that is not None (head solver, BatchNorm) and one after the other (augment).
    """

    def __init__(self, first: Strategy, second: Strategy):
        self.first = first
        self.second = second

    def n_frozen(self, epoch: int, n_blocks: int) -> int:
        """Maximum of both answers."""
        return max(self.first.n_frozen(epoch, n_blocks), self.second.n_frozen(epoch, n_blocks))

    def lr_factor(self, depth: int) -> float:
        """Product of both answers."""
        return self.first.lr_factor(depth) * self.second.lr_factor(depth)

    def penalty(self, weights: Mapping[str, torch.Tensor], source: Mapping[str, torch.Tensor]) -> Any:
        """Sum of both answers."""
        return self.first.penalty(weights, source) + self.second.penalty(weights, source)

    def head_solver(self) -> HeadSolver | None:
        """The first of both answers that is not None."""
        first = self.first.head_solver()
        return self.second.head_solver() if first is None else first

    def interpolation(self) -> float:
        """Product of both answers."""
        return self.first.interpolation() * self.second.interpolation()

    def weight_decay_rate(self) -> float:
        """Sum of both answers."""
        return self.first.weight_decay_rate() + self.second.weight_decay_rate()

    def augment(self, n_frozen: int, n_blocks: int) -> Augment | None:
        """Both functions, one after the other."""
        first, second = self.first.augment(n_frozen, n_blocks), self.second.augment(n_frozen, n_blocks)
        if first is None or second is None:
            return second if first is None else first
        return lambda batch, draws: second(first(batch, draws), draws)

    def batch_norm(self) -> float | None:
        """The first of both answers that is not None."""
        first = self.first.batch_norm()
        return self.second.batch_norm() if first is None else first


def count_frozen(n_frozen_blocks: int | str, n_blocks: int) -> int:
    """Turn the parameter ``n_frozen_blocks`` into a number of blocks counted from the input.

    Negative numbers count from the end, as in ``layers[:-2]``; ``"all"`` is all of them.

    Raises
    ------
    ValueError
        If there are not that many blocks, or if it is neither a whole number nor ``"all"``.
    """
    if n_frozen_blocks == "all":
        return n_blocks
    if not is_whole(n_frozen_blocks):
        raise ValueError(f"n_frozen_blocks must be a whole number or 'all'; got {n_frozen_blocks!r}.")
    number = int(n_frozen_blocks)
    count = number if number >= 0 else n_blocks + number
    if not 0 <= count <= n_blocks:
        raise ValueError(
            f"n_frozen_blocks={n_frozen_blocks!r} does not fit a backbone of {n_blocks} blocks; "
            f"use a number from {-n_blocks} to {n_blocks}, or 'all'."
        )
    return count


def adds_penalty(strategy: Strategy) -> bool:
    """Whether `strategy` may add a penalty to the loss."""
    if isinstance(strategy, Combined):
        return adds_penalty(strategy.first) or adds_penalty(strategy.second)
    return type(strategy).penalty is not Strategy.penalty
