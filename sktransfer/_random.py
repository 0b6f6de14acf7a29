"""Randomness that belongs to one fit: nothing here moves a global generator.

``torch.manual_seed`` is shared by all threads of a process, so two fits in two threads would draw from each
other. Initial weights are therefore made under a lock; dropout draws from generators of its own (`_dropout.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from sklearn.utils import check_random_state

_Built = TypeVar("_Built")
_BUILD_LOCK = threading.Lock()


def draw_seed(random_state: object) -> int:
    """One 31-bit seed from an int, None, ``RandomState`` or numpy ``Generator``."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def build_seeded(build: Callable[[], _Built], seed: int) -> _Built:
    """Call `build` with torch's global CPU generator seeded, then put the generator back as it was."""
    import torch  # a seed is drawn without it

    with _BUILD_LOCK:
        state = torch.random.get_rng_state()
        torch.random.default_generator.manual_seed(seed)
        try:
            return build()
        finally:
            torch.random.set_rng_state(state)
