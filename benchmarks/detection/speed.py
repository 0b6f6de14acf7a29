"""Seconds of one thread to fit to the features of 10,000 windows and to score 100,000 rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.detection.peers import DEFAULT, PEERS, STATISTICS
from sktransfer import TransferDetector

N_FITTED, N_SCORED, N_FEATURES = 10_000, 100_000, 24
OURS = (DEFAULT, "PrincipalComponents()")
TIMED = {"PyOD PCA": 5, "PyOD LOF": 1}  # the fastest, and the nearest in rank; how often


def seconds(folder: Path, draws: int) -> Iterator[pd.DataFrame]:
    """Median of five, of LOF one run, in time of the processor, which others on the machine do not slow down.

    Ours includes the threshold by blocks held out, PyOD's its own, which is in-sample.
    """
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(8, N_FEATURES))
    fitted, scored = (rng.normal(size=(n, 8)) @ mix + rng.normal(size=(n, N_FEATURES)) for n in (N_FITTED, N_SCORED))
    makers = {name: lambda name=name: TransferDetector(statistic=STATISTICS[name]) for name in OURS}
    makers |= {name: make for name, make in PEERS.items() if name in TIMED}
    found = []
    with threadpool_limits(1):
        for name, make in makers.items():
            times = []
            for _ in range(TIMED.get(name, 5)):
                begin = time.process_time()
                model = make()
                model.fit(fitted)
                middle = time.process_time()
                (model.score_samples if name in STATISTICS else model.distance)(scored)
                times.append((middle - begin, time.process_time() - middle))
            fit, score = np.median(times, axis=0)
            found.append({"detector": name, "fit, s": fit, "score, s": score, "both, s": fit + score})
    yield pd.DataFrame(found).set_index("detector")
