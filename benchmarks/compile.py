"""Whether ``torch.compile`` pays for prediction.

    OMP_NUM_THREADS=1 python -m benchmarks.compile          (needs a C++ compiler)

A 4 x 256 network with BatchNorm and its head on 1,024 rows and on one row: the module as it is, compiled, and as
`predict` runs it. Median of seven rounds, one thread; and what the first compiled call costs.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from sktransfer import FromScratch, MLPHead, TransferClassifier


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000, 32)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (256,) * 4})
    model = TransferClassifier(recipe, head=MLPHead((64,)), max_epochs=1, random_state=0).fit(X, y)
    module = model.module_
    compiled = torch.compile(module)
    for n_rows, repeats in ((1_024, 30), (1, 500)):
        rows = X[:n_rows].copy()
        tensor = torch.from_numpy(rows)
        variants = {
            "module": lambda t=tensor: module(t),
            "compiled": lambda t=tensor: compiled(t),
            "predict_proba, checks included": lambda r=rows: model.predict_proba(r),
        }
        with torch.inference_mode():
            began = time.perf_counter()
            compiled(tensor)
            print(f"{n_rows} rows: the first compiled call takes {time.perf_counter() - began:.1f} s")
            times: dict[str, list[float]] = {name: [] for name in variants}
            for round_ in range(7):
                for name in sorted(variants, reverse=bool(round_ % 2)):
                    began = time.perf_counter()
                    for _ in range(repeats):
                        variants[name]()
                    times[name].append((time.perf_counter() - began) / repeats)
        for name, seconds in times.items():
            low, high = min(seconds) * 1e6, max(seconds) * 1e6
            print(f"  {name}: {statistics.median(seconds) * 1e6:,.0f} us ({low:,.0f} to {high:,.0f})")


if __name__ == "__main__":
    main()
