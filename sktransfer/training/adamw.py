"""AdamW by torch's fused kernel, for single fits and for stacks.

``torch.optim.AdamW`` calls the same kernel. Around each step it does bookkeeping that costs more than the arithmetic of
a small network, and its first use in a process imports torch's compiler.
"""

from __future__ import annotations

import torch
from torch.optim.adamw import adamw


class FusedAdamW:
    """What ``torch.optim.AdamW(groups, fused=True)`` does to its parameters, to the last bit.

    Parameters
    ----------
    groups : list of dict
        ``params`` (tensors with a ``grad``), ``lr`` and ``weight_decay`` of each group. ``lr`` may be changed between
        steps. A parameter without a gradient does not move, and its steps are not counted.

    References
    ----------
    Loshchilov and Hutter (2019). Decoupled weight decay regularization. International Conference on Learning
    Representations. arXiv:1711.05101.
    """

    def __init__(self, groups: list[dict]):
        self.param_groups = groups
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        # weights, first and second moment, number of steps
        self._state = {
            id(p): (p.detach(), torch.zeros_like(p), torch.zeros_like(p), torch.zeros((), device=p.device))
            for p in self._parameters
        }

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def step(self) -> None:
        """One step."""
        for group in self.param_groups:
            learning = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not learning:
                continue
            weights, first, second, n_steps = zip(*(self._state[id(p)] for p in learning), strict=True)
            adamw(
                list(weights),
                [p.grad for p in learning],
                list(first),
                list(second),
                [],
                list(n_steps),
                fused=True,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=1e-8,
                maximize=False,
            )
