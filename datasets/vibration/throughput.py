"""How many windows a second one core makes: ``python -m datasets.vibration.throughput``.

Windows of 4096 samples of all faults; healthy references are made too, and not counted. The time is the processor's, so
that other jobs on the machine do not change the result; the simulator starts no threads.
"""

import time

import numpy as np

from datasets.vibration.corpus import samples


def rates(n=200, repeats=5, **settings):
    """Return windows a second of several runs, ndarray of shape (repeats,)."""
    samples(5, 0, **settings)
    seconds = []
    for seed in range(repeats):
        start = time.process_time()
        samples(n, seed, **settings)
        seconds.append(time.process_time() - start)
    return n / np.array(seconds)


def main():
    for title, settings in {
        "1 channel, no references": {"n_references": 0},
        "1 channel, 2 references": {"n_references": 2},
        "3 channels, 4 references": {"n_references": 4, "n_channels": 3},
        "1 channel, 2 references, a tenth at 50 to 1000 Hz": {"n_references": 2, "low_rate": 0.1},
    }.items():
        made = rates(**settings)
        spread = f"median of {len(made)}, {made.min():.0f} to {made.max():.0f}"
        print(f"{title}: {np.median(made):.0f} windows/s a core ({spread})")


if __name__ == "__main__":
    main()
