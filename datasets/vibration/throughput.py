"""How many windows a second one core makes: ``python -m datasets.vibration.throughput``.

Windows of 4096 samples in one channel, all faults, with two healthy references each; the references are not counted.
"""

import time

import numpy as np

from datasets.vibration.corpus import samples


def rates(n=200, repeats=5, **settings):
    """Return windows a second of several runs, ndarray of shape (repeats,)."""
    samples(5, 0, **settings)
    seconds = []
    for seed in range(repeats):
        start = time.perf_counter()
        samples(n, seed, **settings)
        seconds.append(time.perf_counter() - start)
    return n / np.array(seconds)


def main():
    for title, settings in {
        "1 channel, no references": {"n_references": 0},
        "1 channel, 2 references": {"n_references": 2},
        "3 channels, 4 references": {"n_references": 4, "n_channels": 3},
        "1 channel, 2 references, a tenth at 50 to 1000 Hz": {"n_references": 2, "low_rate": 0.1},
    }.items():
        made = rates(**settings)
        print(f"{title}: {np.median(made):.0f} windows/s (median of {len(made)}, {made.min():.0f} to {made.max():.0f})")


if __name__ == "__main__":
    main()
