"""Windows a second of one core's time: ``OMP_NUM_THREADS=1 python -m datasets.process.throughput``."""

import time

import numpy as np

from datasets.process import samples


def measure(n=128, repeats=5, n_tags=(20, 20), length=200):
    """Windows a second of processor time in each of `repeats` pieces of `n` windows, shape (repeats,)."""
    rates = []
    for k in range(repeats):
        begin = time.process_time()
        samples(n, seed=1, length=length, n_tags=n_tags, start=k * n)
        rates.append(n / (time.process_time() - begin))
    return np.array(rates)


if __name__ == "__main__":
    rates = measure()
    print(
        f"{np.median(rates):.0f} windows a second of processor time: median of {len(rates)}, {rates.min():.0f} at least"
    )
