"""Time and memory of scoring a large table in chunks.

    OMP_NUM_THREADS=1 python -m benchmarks.pipeline [--rows 1000000]

A DataFrame of 50 columns through a scaler and a network of 2 x 64: scikit-learn's pipeline, the same loop written by
hand over 16,384 rows, and ours for several chunks. Best of two calls; memory is the largest that Python's allocator
held beside the table, as a share of the table.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import sklearn.pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.tasks import mlp
from sktransfer import BaselineScaler, LinearProbing, Pipeline, TransferClassifier


def seconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(2):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def share_of_memory(call: Callable[[], object], n_bytes: int) -> float:
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / n_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(options.rows, 50)), columns=[f"c{i}" for i in range(50)])
    few, y = X[:300], np.resize([0, 1, 2], 300)
    backbone = TransferClassifier(mlp(64, 64), max_epochs=2, random_state=0).fit(few, y).backbone_
    for scaler in (StandardScaler(), BaselineScaler()):
        network = TransferClassifier(backbone, strategy=LinearProbing())
        theirs = sklearn.pipeline.make_pipeline(scaler, network).fit(few, y)
        ours = Pipeline(theirs.steps)

        def by_hand(pipe: sklearn.pipeline.Pipeline = theirs) -> np.ndarray:
            return np.concatenate([pipe.predict_proba(X.iloc[i : i + 16_384]) for i in range(0, len(X), 16_384)])

        print(f"{type(scaler).__name__}, {options.rows} rows")
        calls = {"scikit-learn": lambda: theirs.predict_proba(X), "by hand": by_hand}  # noqa: B023
        for name, call in calls.items():
            print(f"  {name}: {seconds(call):.2f} s, {share_of_memory(call, 8 * X.size):.2f} of the table")
        for chunk in (2048, 8192, 16_384, 32_768, 65_536):
            ours.chunk_rows = chunk
            call = lambda: ours.predict_proba(X)  # noqa: B023, E731
            print(f"  chunks of {chunk}: {seconds(call):.2f} s, {share_of_memory(call, 8 * X.size):.2f} of the table")


if __name__ == "__main__":
    main()
