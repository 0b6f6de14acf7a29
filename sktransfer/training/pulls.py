"""What strategies add to the losses of stacked networks for their distance from the source.

::

    L2SP alone or combined --> sum of  strength / 2 * (weight - start)^2  for all networks at once
    any other penalty      --> asked network by network
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sktransfer.strategies.base import Combined, Strategy, adds_penalty
from sktransfer.strategies.l2sp import L2SP
from sktransfer.training.plan import Plan
from sktransfer.training.stacked_network import StackedNetwork


class Pulls:
    """Penalties of all networks, of shape (n_streams, n_networks).

    Parameters
    ----------
    network : StackedNetwork
    plans : sequence of Plan
        Of each network, all streams' networks one after the other.
    n_blocks : int
        Blocks of each network, frozen ones included.
    """

    def __init__(self, network: StackedNetwork, plans: Sequence[Plan], n_blocks: int):
        self.network, self.plans, self.n_blocks = network, plans, n_blocks
        self.any = any(adds_penalty(plan.strategy) for plan in plans)
        strengths = [_strengths(plan.strategy) for plan in plans]
        known = [pair for pair in strengths if pair is not None]
        self._terms = self._terms_of(known) if self.any and len(known) == len(plans) else None

    def __call__(self, n_frozen: int) -> torch.Tensor:
        """For networks whose blocks from `n_frozen` on learn."""
        above = self.n_blocks - n_frozen
        learning = {name: w for name, w in self.network.weights.items() if self.network.depths[name] <= above}
        if self._terms is None:
            return self._one_by_one(learning)
        parts = []
        for name, weight in learning.items():
            start, strength = self._terms[name]
            parts.append((strength * (weight - start).square()).flatten(2).sum(dim=2))
        return torch.stack(parts).sum(dim=0) / 2

    def _one_by_one(self, learning: dict[str, torch.Tensor]) -> torch.Tensor:
        parts = {name: w.flatten(0, 1).unbind() for name, w in learning.items()}
        like = next(iter(learning.values()))
        pulls: list[Any] = [
            plan.strategy.penalty({name: part[i] for name, part in parts.items()}, plan.source)
            for i, plan in enumerate(self.plans)
        ]
        pulls = [torch.as_tensor(alpha, dtype=like.dtype, device=like.device) for alpha in pulls]
        return torch.stack(pulls).view(self.network.size)

    def _terms_of(self, strengths: list[tuple[float, float]]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Of each weight, where it is pulled to and how strongly: to the source by alpha, new rows to zero by beta."""
        terms = {}
        for name, weight in self.network.weights.items():
            like = weight.detach()[0, 0]
            starts, factors = [], []
            for plan, (alpha, beta) in zip(self.plans, strengths, strict=True):
                start = plan.source.get(name)
                start = torch.full_like(like, torch.nan) if start is None else start
                known = torch.isfinite(start)
                starts.append(torch.where(known, start, torch.zeros_like(start)))
                factors.append(torch.full_like(like, beta).masked_fill_(known, alpha))  # in the weights' own format
            terms[name] = torch.stack(starts).view(weight.shape), torch.stack(factors).view(weight.shape)
        return terms


def _strengths(strategy: Strategy) -> tuple[float, float] | None:
    """Sums of alpha and of beta; None if something else than L2SP pulls."""
    if type(strategy) is Combined:
        first, second = _strengths(strategy.first), _strengths(strategy.second)
        return None if first is None or second is None else (first[0] + second[0], first[1] + second[1])
    if type(strategy).penalty is L2SP.penalty:
        return float(strategy.alpha), float(strategy.beta)
    return None if adds_penalty(strategy) else (0.0, 0.0)
