"""What the checks of quality cost."""

import tracemalloc

import numpy as np

from sktransfer.validation.quality import warn_of_quality


def test_looking_at_many_rows_copies_none_of_them():
    X = np.random.default_rng(0).normal(size=(50_000, 10))
    tracemalloc.start()
    try:
        warn_of_quality("Estimator", X, list("abcdefghij"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * X.nbytes
