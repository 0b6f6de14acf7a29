"""Randomness that belongs to one fit: nothing here moves a global generator.

``torch.manual_seed`` is shared by all threads of a process, so two fits in two threads would draw from each
other. Initial weights are therefore made under a lock. Dropout draws from generators of its own
(`training/dropout.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from sklearn.utils import check_random_state

from sktransfer.utils.locks import ForkableLock

if TYPE_CHECKING:  # a seed is drawn without it
    import torch

_Built = TypeVar("_Built")
# torch's generator is in a foreign state while a network is built: a fork waits until it is put back
_BUILD_LOCK = ForkableLock(awaited=True)


def draw_seed(random_state: object) -> int:
    """One 31-bit seed from an int, None, ``RandomState`` or numpy ``Generator``."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def build_seeded(build: Callable[[], _Built], seed: int) -> _Built:
    """Call `build` with torch's global CPU generator seeded, then put the generator back as it was."""
    import torch

    with _BUILD_LOCK:
        state = torch.random.get_rng_state()
        torch.random.default_generator.manual_seed(seed)
        try:
            return build()
        finally:
            torch.random.set_rng_state(state)


class Draws:
    """Random numbers of one training, from generators of its own.

    The few that a batch needs for its windows are drawn by numpy, so that every device gets the same; noise is drawn
    on the device.

    Parameters
    ----------
    seed : int
        At least 0.
    device : torch.device
        Where the numbers are wanted.
    """

    def __init__(self, seed: int, device: torch.device):
        import torch

        # not the seed alone: batches and dropout begin with it
        self._few = np.random.default_rng([seed, 1])
        self._noise = torch.Generator(device=device).manual_seed(int(self._few.integers(2**63 - 1)))
        self._device = device

    def uniform(self, *shape: int) -> torch.Tensor:
        """From 0 to 1, without 1; float64."""
        return self._on_device(self._few.random(shape))

    def normal(self, *shape: int) -> torch.Tensor:
        """Standard normal; float64."""
        return self._on_device(self._few.standard_normal(shape))

    def beta(self, alpha: float, n: int) -> torch.Tensor:
        """`n` numbers of Beta(alpha, alpha); float64."""
        return self._on_device(self._few.beta(alpha, alpha, n))

    def permutation(self, n: int) -> torch.Tensor:
        """The numbers below `n` in another order."""
        return self._on_device(self._few.permutation(n))

    def noise(self, like: torch.Tensor) -> torch.Tensor:
        """Standard normal, in the shape and floating-point type of `like`."""
        import torch

        return torch.empty_like(like).normal_(generator=self._noise)

    def _on_device(self, numbers: np.ndarray) -> torch.Tensor:
        import torch

        return torch.from_numpy(numbers).to(self._device)
