"""AdamW by torch's fused kernel, without the bookkeeping that ``torch.optim`` does around it in every step.

For networks this small the bookkeeping costs several times the arithmetic. The kernel is the same, and so is every bit
of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.optim.adamw import adamw


class Moments:
    """One tensor that the optimizer moves, with what it remembers of it.

    Parameters
    ----------
    weights : tensor
        Changed in place.
    gradient : callable
        Returns the gradient of `weights`, or None where nothing learns now.
    """

    def __init__(self, weights: torch.Tensor, gradient: Callable[[], torch.Tensor | None]):
        self.weights, self.gradient = weights, gradient
        self.first, self.second = torch.zeros_like(weights), torch.zeros_like(weights)
        self.n_steps = torch.zeros((), device=weights.device)


def step_of_adamw(parts: Sequence[Moments], lr: float, decay: float) -> None:
    """Move all `parts` that have a gradient one step.

    References
    ----------
    Loshchilov and Hutter (2019). Decoupled weight decay regularization. International Conference on Learning
    Representations. arXiv:1711.05101.
    """
    pairs = [(part, gradient) for part in parts if (gradient := part.gradient()) is not None]
    if not pairs:
        return
    adamw(
        [part.weights for part, _ in pairs],
        [gradient for _, gradient in pairs],
        [part.first for part, _ in pairs],
        [part.second for part, _ in pairs],
        [],
        [part.n_steps for part, _ in pairs],
        fused=True,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=lr,
        weight_decay=decay,
        eps=1e-8,
        maximize=False,
    )
