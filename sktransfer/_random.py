"""Randomness that belongs to one fit: nothing here moves a global generator.

``torch.manual_seed`` is shared by all threads of a process, so two fits in two threads would draw from each
other. Initial weights are therefore made under a lock, and dropout draws from a private generator.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn

_Built = TypeVar("_Built")
_BUILD_LOCK = threading.Lock()


def draw_seed(random_state: object) -> int:
    """One 31-bit seed from an int, None, ``RandomState`` or numpy ``Generator``."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def build_seeded(build: Callable[[], _Built], seed: int) -> _Built:
    """Call `build` with torch's global CPU generator seeded, then put the generator back as it was."""
    with _BUILD_LOCK:
        state = torch.random.get_rng_state()
        torch.random.default_generator.manual_seed(seed)
        try:
            return build()
        finally:
            torch.random.set_rng_state(state)


@contextmanager
def private_dropout(module: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """While open, every ``nn.Dropout`` in `module` draws from `generator` instead of the global one.

    The mask covers whole channels in ``Dropout1d`` and its kin, as in torch.
    """
    layers = [m for m in module.modules() if isinstance(m, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d)]

    def forward_of(layer: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(x: torch.Tensor) -> torch.Tensor:
            if not layer.training or layer.p == 0:
                return x
            shape = x.shape if isinstance(layer, nn.Dropout) else (*x.shape[:2], *(1,) * (x.ndim - 2))
            keep = 1.0 - float(layer.p)
            mask = torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(keep, generator=generator)
            # p = 1 keeps nothing; the mask is zero and must not be divided by zero
            return x * (mask.div_(keep) if keep > 0 else mask)

        return forward

    for layer in layers:
        layer.__dict__["forward"] = forward_of(layer)  # found before the method of the class
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]
