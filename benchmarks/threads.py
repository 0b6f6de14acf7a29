"""How many torch threads a fit should take, on a quiet machine and beside another job.

    python -m benchmarks.threads

Head-only training (10,000 rows, 5 epochs, 4 x 256 backbone) and prediction of 100,000 rows with `n_jobs` of 1 and 2.
The other job multiplies matrices with as many threads as the machine has cores. Median of five rounds, the variants in
turn within each.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np

from sktransfer import FromScratch, LinearProbing, MLPHead, TransferClassifier

BUSY = "import torch; a = torch.randn(1500, 1500)\nwhile True: a = torch.tanh(a @ a)"


def seconds(function) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def measure(models: dict[int, TransferClassifier], X: np.ndarray, y: np.ndarray, many: np.ndarray) -> None:
    times: dict[str, list[float]] = {}
    for round_ in range(5):
        for n_jobs in sorted(models, reverse=bool(round_ % 2)):
            model = models[n_jobs]
            times.setdefault(f"fit, {n_jobs} threads", []).append(seconds(lambda m=model: m.fit(X, y)))
            times.setdefault(f"predict, {n_jobs} threads", []).append(seconds(lambda m=model: m.predict(many)))
    for name in sorted(times):
        low, high = min(times[name]), max(times[name])
        print(f"  {name}: {statistics.median(times[name]):.2f} s ({low:.2f} to {high:.2f})")


def main() -> None:
    rng = np.random.default_rng(0)
    X, many = rng.normal(size=(10_000, 32)), rng.normal(size=(100_000, 32))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (256,) * 4})
    backbone = TransferClassifier(recipe, max_epochs=1, random_state=0).fit(X, y).backbone_
    models = {
        n_jobs: TransferClassifier(
            backbone, head=MLPHead((64,)), strategy=LinearProbing(), max_epochs=5, batch_size=256, n_jobs=n_jobs
        )
        for n_jobs in (1, 2)
    }
    print("quiet:")
    measure(models, X, y, many)
    print("beside another job:")
    with subprocess.Popen([sys.executable, "-c", BUSY]) as busy:
        try:
            time.sleep(5)  # torch is imported
            measure(models, X, y, many)
        finally:
            busy.kill()


if __name__ == "__main__":
    main()
