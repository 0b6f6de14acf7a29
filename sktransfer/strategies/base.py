"""What may change during ``fit``: the questions that every strategy answers.

A strategy knows nothing of training loops. It answers questions, each with a neutral answer, and the fit
asks them::

    question                     what it answers                  neutral   combined by
    n_frozen(epoch, n_blocks)    blocks that stay frozen             0      maximum
    lr_factor(depth)             rate relative to the head           1      product
    penalty(weights, source)     penalty towards the source          0      sum
    head_solver()                head solved before epoch 0         None    first that is not None
    interpolation()              how much of the change is kept      1      product
    weight_decay_rate()          decay of matrices                   0      sum
    augment(n_frozen, n_blocks)  how batches are changed            None    one after the other

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
    """What a step of training sees: what :meth:`Strategy.augment` changes.

    Parameters
    ----------
    X : tensor of shape (n_samples, ...)
        Rows or windows, as the estimator got them.
    y : tensor of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_outputs)
        Codes of classes, their probabilities, or standardised values.
    weight : tensor of shape (n_samples,)
        Weights of the samples.
    n_classes : int or None
        None: a regressor trains.
    """

    X: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    n_classes: int | None = None


# Makes another batch of the same size; what it draws, it draws from the fit's own generators.
Augment = Callable[[Batch, "Draws"], Batch]


class HeadSolver(NamedTuple):
    """How the head alone is solved before the first epoch: what :meth:`Strategy.head_solver` answers.

    Parameters
    ----------
    alpha : float or "auto"
        Strength of the pull to the source head; ``"auto"`` chooses it from the labelled rows.
    solver : {"lbfgs", "ridge"}
        See :class:`sktransfer.LinearProbing`.
    calibrated : bool
        Whether a classifier's head is divided by the temperature that the labelled rows advise. What trains on
        after the probe finds its own.
    """

    alpha: float | str
    solver: str = "lbfgs"
    calibrated: bool = False


class Strategy(BaseEstimator):
    """The neutral strategy: everything learns at the same rate from the first epoch on.

    Subclass it and override the answers that differ; ``FineTuning`` and ``L2SP`` are short examples.

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
        """What is added to the loss for distance from the source.

        Parameters
        ----------
        weights : mapping of str to tensor
            The parameters that learn now. Names begin with the block's name or with ``head``.
        source : mapping of str to tensor
            The source's values of those that came from it; NaN in rows of the head whose class it did not know.
        """
        return 0.0

    def head_solver(self) -> HeadSolver | None:
        """How the head alone is solved first; None: it is not."""
        return None

    def interpolation(self) -> float:
        """How far the weights go from where training by epochs began to where it ended; 1: all the way."""
        return 1.0

    def weight_decay_rate(self) -> float:
        """Share by which matrices that learn shrink in each step, relative to their learning rate."""
        return 0.0

    def augment(self, n_frozen: int, n_blocks: int) -> Augment | None:
        """How batches are changed while `n_frozen` of `n_blocks` blocks are frozen; None: not at all.

        Frozen features of rows that change cannot be kept: the blocks then run for every batch.

        Returns
        -------
        callable or None
            ``augment(batch, draws)`` makes a :class:`Batch` of the same shape of `X`.
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
        decay), the first that is not None (head solver) and one after the other (augment).
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
        """The first answer, and then the second."""
        first, second = self.first.augment(n_frozen, n_blocks), self.second.augment(n_frozen, n_blocks)
        if first is None or second is None:
            return second if first is None else first
        return lambda batch, draws: second(first(batch, draws), draws)


def count_frozen(n_frozen_blocks: int | str, n_blocks: int) -> int:
    """Turn ``n_frozen_blocks`` into a number of blocks counted from the input.

    Negative numbers count from the end, as in ``layers[:-2]``; ``"all"`` is all of them.

    Raises
    ------
    ValueError
        If there are not that many blocks.
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
