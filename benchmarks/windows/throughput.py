"""How long features of windows take on one core, every method in the same run."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits


def windows_of_noise(n_windows: int = 10_000, length: int = 2048) -> np.ndarray:
    """Noise (n_windows, 1, length), float32: neither method looks at what is in the windows to decide its work."""
    return np.random.default_rng(0).standard_normal((n_windows, 1, length), dtype=np.float32)


def throughput(methods: dict[str, Callable], n_windows: int = 10_000, length: int = 2048, repeats: int = 5) -> dict:
    """Seconds of each method on the same windows: median, smallest and largest of `repeats`.

    One thread. Each method is called once on 64 windows first, which compiles what it compiles; the order of the
    methods turns round from one repeat to the next.

    Parameters
    ----------
    methods : dict of callables
        Windows in, features out; fitted already.
    """
    import torch

    X, seconds = windows_of_noise(n_windows, length), {name: [] for name in methods}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            for method in methods.values():
                method(X[:64])
            for repeat in range(repeats):
                for name in list(methods)[:: 1 if repeat % 2 == 0 else -1]:
                    start = perf_counter()
                    methods[name](X)
                    seconds[name].append(perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return {
        name: {"median": float(np.median(s)), "smallest": min(s), "largest": max(s), "repeats": repeats}
        for name, s in seconds.items()
    }
