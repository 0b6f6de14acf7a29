"""How long a head takes to solve, with the choice of its pull.

    OMP_NUM_THREADS=1 python -m benchmarks.probing

Random features, 9 classes, a weak source head; median of five repeats, one thread.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from sktransfer._solver import solve_softmax

N_CLASSES, N_FEATURES = 9, 256


def problem(n_rows: int) -> tuple[np.ndarray, ...]:
    """Features with one telling column a class, labels, weights, and a head that knows nothing of them."""
    rng = np.random.default_rng(0)
    features, codes = rng.normal(size=(n_rows, N_FEATURES)), np.arange(n_rows) % N_CLASSES
    features[np.arange(n_rows), codes * 20] += 3
    return features, codes, np.ones(n_rows), 0.02 * rng.normal(size=(N_CLASSES, N_FEATURES)), np.zeros(N_CLASSES)


def main() -> None:
    for n_rows in (9, 45, 180, 900, 9000):
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            solution = solve_softmax(*problem(n_rows), "auto")
            seconds.append(time.perf_counter() - began)
        print(
            f"{n_rows} rows: {statistics.median(seconds):.3f} s, pull {solution.pull:g}, {solution.n_iter} iterations"
        )


if __name__ == "__main__":
    main()
