"""What a process that only scores pays: an ONNX file beside the joblib file of the same pipeline.

    python -m benchmarks.onnx

Cold start: from the start of a process until 1,000 rows of 20 columns are scored, and the most memory that it held,
median of nine rounds, the ways in turn within each; files are in the page cache. The pipeline is BaselineScaler and
TransferClassifier with the default network from scratch, of six classes. Rows a second stand in `benchmarks.scoring`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import numpy as np

from sktransfer import BaselineScaler, OnnxModel, TransferClassifier, export_onnx, make_pipeline

ROOT = Path(__file__).parents[1]
N_COLUMNS = 20
_MEMORY = "print([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1])"
WAYS = {
    "numpy alone": "import numpy as np; np.load('X.npy')",
    "onnxruntime": (
        "import numpy as np; from sktransfer import OnnxModel; OnnxModel('m.onnx').predict(np.load('X.npy'))"
    ),
    "onnxruntime, rows in a frame": (
        "import numpy as np, pandas as pd; from sktransfer import OnnxModel; "
        "OnnxModel('m.onnx').predict(pd.DataFrame(np.load('X.npy')))"
    ),
    "joblib": "import numpy as np, joblib; joblib.load('m.joblib').predict(np.load('X.npy'))",
    "import of scikit-learn, nothing scored": "import sklearn.pipeline, sklearn.preprocessing, sklearn.linear_model",
    "import of torch, nothing scored": "import torch",
}


def pipeline_and_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(50.0, 3.0, size=(1000, N_COLUMNS))
    y = np.array([f"fault-{k}" for k in range(5)])[np.argmax(X[:, :5], axis=1)]
    y[X[:, :5].max(axis=1) < 54] = "normal"
    model = make_pipeline(BaselineScaler(normal_label="normal"), TransferClassifier(random_state=0, max_epochs=20))
    return model.fit(X, y), X


def cold(code: str, folder: str) -> tuple[float, float]:
    """Seconds until the process has ended, and the most memory that it held, in MB."""
    path = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": ""}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {_MEMORY}"], cwd=folder, env=path, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - began, int(done.stdout.split()[-1]) * 1024 / 1e6


def cold_starts(folder: str) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for round_ in range(10):
        for name in sorted(WAYS, reverse=bool(round_ % 2)):
            result = cold(WAYS[name], folder)
            if round_:  # the first reads from the disk
                found[name].append(result)
    for name, results in found.items():
        seconds, memory = zip(*results, strict=True)
        low, high = min(seconds), max(seconds)
        print(f"{name}: {statistics.median(seconds):.2f} s ({low:.2f} to {high:.2f}), {max(memory):.0f} MB")
    times = {name: statistics.median(seconds for seconds, _ in results) for name, results in found.items()}
    print(f"onnxruntime over joblib: {times['onnxruntime'] / times['joblib']:.3f}")


def main() -> None:
    warnings.simplefilter("ignore")  # of rows that are drawn far out
    pipeline, X = pipeline_and_rows()
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(pipeline, f"{folder}/m.joblib")
        began = time.perf_counter()
        model = OnnxModel(export_onnx(pipeline, f"{folder}/m.onnx", X=X))
        print(f"export and comparison: {time.perf_counter() - began:.2f} s; {model.manifest_['compared']}")
        np.save(f"{folder}/X.npy", X)
        sizes = {name: Path(folder, name).stat().st_size for name in ("m.onnx", "m.joblib")}
        print(f"bytes: {sizes}")
        cold_starts(folder)


if __name__ == "__main__":
    main()
