"""What scoring costs: rows a second, memory over the size of a table, the start of the command, memory over calls.

    python -m benchmarks.scoring [--rounds 5] [--megabytes 200 600] [--part rates memory start growth]

The pipeline is BaselineScaler and TransferClassifier with its default network from scratch, 20 columns, six classes.

rates     probabilities of 1,000,000 rows that are in memory, one thread, beside the matrix products of the network
          alone, which no implementation can leave out; the ways in turn, median of the rounds
memory    the largest resident set of `sktransfer score TABLE --out`, for tables of two sizes
start     seconds of CPU and of the clock, from the start of the process to its end, of `sktransfer score` of 1,000 rows
growth    resident set before and after 10,000 calls of predict in eight threads, whose answers are compared, and
          50 fits
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.onnx import N_COLUMNS, pipeline_and_rows
from benchmarks.tables import make
from sktransfer import BaselineScaler, OnnxModel, TransferClassifier, export_onnx, make_pipeline, save

ROOT = Path(__file__).parents[1]
N_ROWS = 1_000_000
SHAPES = ((N_COLUMNS, 256), (256, 256), (256, 6))  # of the default network and its head
PARTS = ("rates", "memory", "start", "growth")
COMMAND = "import sys; from sktransfer.cli.main import main; code = main(sys.argv[1:])"
PEAK = (
    "; print([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1], "
    "sum(__import__('os').times()[:2]))"
)


def products(X: np.ndarray) -> None:
    """The matrix products of the network on all rows, some hundred at a time."""
    weights = [np.random.default_rng(2).normal(size=shape).astype(np.float32) for shape in SHAPES]
    for start in range(0, len(X), 256):
        rows = X[start : start + 256].astype(np.float32)
        for weight in weights:
            rows = rows @ weight


def rates(folder: Path, rounds: int) -> None:
    pipeline, rows = pipeline_and_rows()
    ours = make_pipeline(*(step for _, step in pipeline.steps))  # sktransfer's, in chunks
    onnx = OnnxModel(export_onnx(pipeline, folder / "m.onnx", X=rows))
    X = np.random.default_rng(1).normal(50.0, 3.0, size=(N_ROWS, N_COLUMNS))
    frame = pd.DataFrame(X)
    ways: dict[str, Callable[[], object]] = {
        "the matrix products alone": lambda: products(X),
        "pipeline, predict_proba": lambda: ours.predict_proba(X),
        "pipeline, predict": lambda: ours.predict(X),
        "pipeline, predict_proba, a frame": lambda: ours.predict_proba(frame),
        "OnnxModel, predict_proba": lambda: onnx.predict_proba(X),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if number:  # the first warms
                found[name].append(time.perf_counter() - began)
    first = found["the matrix products alone"]
    print("| way | rows a second | times the products |\n|---|---|---|")
    for name, times in found.items():
        ratio = statistics.median(a / b for a, b in zip(times, first, strict=True))
        print(f"| {name} | {N_ROWS / statistics.median(times):,.0f} | {ratio:.2f} |", flush=True)


def command(*arguments: str | Path) -> tuple[float, float, float]:
    """One run of the command: megabytes, CPU seconds, seconds."""
    path = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND + PEAK, *map(str, arguments)],
        env=path,
        capture_output=True,
        text=True,
        check=True,
    )
    memory, cpu = done.stdout.split()[-2:]
    return int(memory) * 1024 / 1e6, float(cpu), time.perf_counter() - began


def models(folder: Path) -> tuple[Path, Path]:
    """A pipeline of the columns of `benchmarks.tables`, as model file and as ONNX file."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(50, 10, (600, N_COLUMNS)), columns=[f"s{i}" for i in range(N_COLUMNS)])
    y = np.where(X["s0"] > 55, "leak", "normal")
    network = TransferClassifier(random_state=0, max_epochs=5)
    pipeline = make_pipeline(BaselineScaler(normal_label="normal"), network).fit(X, y)
    return Path(save(pipeline, folder / "m.skops")), export_onnx(pipeline, folder / "table.onnx", X=X)


def memory(folder: Path, megabytes: list[int]) -> None:
    found: dict[str, list[float]] = {"model file": [], "ONNX file": []}
    sizes = []
    for size in megabytes:
        table = folder / "plant.csv"
        n_rows = make(table, megabytes=size)
        sizes.append(table.stat().st_size / 1e6)
        for name, model in zip(found, models(folder), strict=True):
            peak, cpu, _ = command("score", model, table, "--out", folder / "out.csv")
            found[name].append(peak)
            print(
                f"{name}, {sizes[-1]:.0f} MB, {n_rows} rows: {peak:.0f} MB, {cpu:.1f} s of CPU with reading and writing"
            )
    for name, (small, large) in found.items():
        slope = (large - small) / (sizes[1] - sizes[0])
        print(f"{name}: {large + max(0.0, slope) * (5000 - sizes[1]):.0f} MB for 5000 MB, extrapolated")


def start(folder: Path, rounds: int) -> None:
    table = folder / "rows.csv"
    make(table, n_rows=1)
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:1001]))
    model, onnx = models(folder)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for number in range(rounds + 1):
        for name, given in (("model file", model), ("ONNX file", onnx)):
            result = command("score", given, table, "--out", folder / "out.csv")
            if number:
                found.setdefault(name, []).append(result)
    for name, results in found.items():
        peak, cpu, seconds = (statistics.median(values) for values in zip(*results, strict=True))
        print(f"sktransfer score, 1,000 rows, {name}: {cpu:.2f} s of CPU, {seconds:.2f} s, {peak:.0f} MB")


def growth() -> None:
    pipeline, rows = pipeline_and_rows()
    expected = pipeline.predict_proba(rows)
    wrong: list[int] = []

    def predict(n: int) -> None:
        wrong.append(sum(not np.array_equal(pipeline.predict_proba(rows), expected) for _ in range(n)))

    def eight(n: int) -> None:
        threads = [threading.Thread(target=predict, args=(n,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def fits(n: int) -> None:
        y = np.where(rows[:, 0] > 50, "leak", "normal")
        for seed in range(n):
            TransferClassifier(random_state=seed, max_epochs=1).fit(rows, y)

    eight(50)
    fits(5)
    for name, call in (("10,000 predicts in 8 threads", lambda: eight(1250)), ("50 fits", lambda: fits(50))):
        gc.collect()
        before = _resident()
        call()
        gc.collect()
        print(f"{name}: {_resident() - before:+.1f} MB")
    print(f"answers that differed: {sum(wrong)}")


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, nargs=2, default=[200, 600])
    parser.add_argument("--part", nargs="+", default=list(PARTS), choices=PARTS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of rows that are drawn far out
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "rates" in options.part:
            rates(folder, options.rounds)
        if "memory" in options.part:
            memory(folder, options.megabytes)
        if "start" in options.part:
            start(folder, options.rounds)
    if "growth" in options.part:
        growth()


if __name__ == "__main__":
    main()
