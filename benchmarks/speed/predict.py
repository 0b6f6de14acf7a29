"""Rows of the table about prediction: one row, a million rows, process start, file size."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sktransfer
from benchmarks.speed.measure import OURS, Comparison, Result, interleave
from benchmarks.speed.net import PlainNet
from benchmarks.speed.peers import Recipe, skorch_net
from benchmarks.speed.problem import STANDARD, Problem, Settings, Size, make_problem, ours
from sktransfer import LinearProbing

ROOT = Path(__file__).resolve().parents[2]
SKORCH, MLP, TORCH = "skorch in Pipeline", "MLPClassifier in Pipeline", "torch and numpy alone"
OUR_PIPELINE = "ours, sktransfer.make_pipeline"
FILES = {OURS: "ours", OUR_PIPELINE: "ours_pipeline", SKORCH: "skorch", MLP: "mlp", TORCH: "torch"}


def our_pipelines(problem: Problem, settings: Settings) -> dict[str, Any]:
    """Our estimator in scikit-learn's pipeline and in ours."""
    made = {}
    for name, make in {OURS: make_pipeline, OUR_PIPELINE: sktransfer.make_pipeline}.items():
        model = ours(problem.backbone, settings, strategy=LinearProbing(), max_epochs=2)
        made[name] = make(StandardScaler(), model)
    return made


def fitted_pipelines(problem: Problem, settings: Settings, size: Size, frame: bool = False) -> dict[str, Any]:
    """Every pipeline, fitted for two epochs; `frame` fits ours on a table with column names."""
    pipelines: dict[str, Any] = our_pipelines(problem, settings)
    recipe = Recipe(epochs=2, device=settings.device)
    pipelines[SKORCH] = make_pipeline(StandardScaler(), skorch_net(problem, len(size.widths), recipe))
    pipelines[MLP] = make_pipeline(StandardScaler(), MLPClassifier((*size.widths, 64), max_iter=2, random_state=0))
    named = pd.DataFrame(problem.X, columns=[f"sensor{number}" for number in range(problem.X.shape[1])])
    for pipeline in pipelines.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            pipeline.fit(named if frame else problem.X, problem.y)
    return pipelines


def one_row(settings: Settings, size: Size = STANDARD) -> list[Result]:
    """predict_proba of one row, microseconds."""
    problem = make_problem(size.widths, settings.pick(2000, 200))
    pipelines = fitted_pipelines(problem, settings, size)
    row, calls = problem.X_test[:1], settings.pick(300, 20)
    network = PlainNet(problem.blocks(), problem.backbone.n_features_out, problem.n_classes).eval()

    def raw() -> np.ndarray:
        with torch.inference_mode():
            return torch.softmax(network(torch.from_numpy(row)), dim=1).numpy()

    def microseconds(call: Callable[[], Any]) -> tuple[float, None]:
        took = []
        for _ in range(calls):
            began = time.perf_counter()
            call()
            took.append(time.perf_counter() - began)
        return 1e6 * statistics.median(took), None

    methods = {name: partial(pipeline.predict_proba, row) for name, pipeline in pipelines.items()}
    methods["raw torch forward and softmax"] = raw
    interleave(methods, 1)  # warm
    samples, _ = interleave(methods, max(settings.repeats, settings.pick(7, 2)), measure=microseconds)
    comparisons = []
    for name in (OURS, OUR_PIPELINE):
        comparisons += [
            Comparison(MLP, "time", must=1, ours=name),
            Comparison(None, "value", aim=250, ours=name),
            Comparison(SKORCH, "faster", ours=name),
            Comparison("raw torch forward and softmax", "time", ours=name),
        ]
    what = f"predict_proba of one row in a pipeline, {size}, medians of {calls} calls"
    return [Result("one-row" + size.suffix, what, "us", samples, comparisons)]


@contextmanager
def stored_models(problem: Problem, settings: Settings, frame: bool) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with every model as its users store it, and the file name by method."""
    pipelines = fitted_pipelines(problem, settings, STANDARD, frame)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {}
        for method, pipeline in pipelines.items():
            files[method] = FILES[method]
            joblib.dump(pipeline, folder / f"{files[method]}.joblib")
        network = PlainNet(problem.blocks(), problem.backbone.n_features_out, problem.n_classes)
        scaler = StandardScaler().fit(problem.X)
        stored = {
            "weights": network.state_dict(),
            "sizes": [problem.X.shape[1], *STANDARD.widths],
            "n_classes": problem.n_classes,
            "mean": torch.from_numpy(scaler.mean_),
            "scale": torch.from_numpy(scaler.scale_),
            "device": settings.device,
        }
        torch.save(stored, folder / "torch.pt")
        yield folder, {**files, TORCH: FILES[TORCH]}


def child(*arguments: Any) -> dict:
    """The last line that the child printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.speed.child", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"The benchmark's process {arguments[:2]} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def million_rows(settings: Settings) -> list[Result]:
    """Predict on a table of 1,000,000 rows and 50 columns in float64; each call in a fresh process."""
    rows = settings.pick(1_000_000, 20_000)
    problem = make_problem(STANDARD.widths, settings.pick(2000, 200), n_inputs=50)
    with stored_models(problem, settings, frame=True) as (folder, files):
        methods = {
            method: partial(child, "million", file, folder, rows) for method, file in files.items() if method != MLP
        }
        samples, _ = interleave(methods, settings.repeats, measure=lambda call: (call(), None))
    times = {name: [figure["seconds"] for figure in figures] for name, figures in samples.items()}
    shares = {name: [figure["share"] for figure in figures] for name, figures in samples.items()}
    in_time, in_memory = [], []
    for name in (OURS, OUR_PIPELINE):
        in_time += [Comparison(TORCH, "time", must=1.2, ours=name), Comparison(SKORCH, "faster", ours=name)]
        in_memory += [
            Comparison(TORCH, "value", must=0.25, ours=name),
            Comparison(SKORCH, "value", ours=name),
        ]
    sizes = [50, *STANDARD.widths, 64, problem.n_classes]
    flops = {OURS: 2.0 * rows * sum(a * b for a, b in pairwise(sizes))}
    notes = [f"{TORCH}: scale, cast, forward and argmax in chunks of 4,096 rows."]
    what = f"predict on a {rows:,} x 50 float64 table in a pipeline"
    return [
        Result("million", f"{what}: time", "s", times, in_time, notes, flops=flops),
        Result("million", f"{what}: extra peak memory", "of the data", shares, in_memory),
    ]


def process_start(settings: Settings) -> list[Result]:
    """From the start of a process to its first prediction, and what the package adds to an import."""
    problem = make_problem(STANDARD.widths, settings.pick(2000, 200))

    def first_prediction(call: Callable[[], dict]) -> tuple[float, None]:
        began = time.time()
        return call()["predicted_at"] - began, None

    repeats = max(settings.repeats, settings.pick(7, 1))
    with stored_models(problem, settings, frame=False) as (folder, files):
        methods = {method: partial(child, "start", file, folder) for method, file in files.items()}
        samples, _ = interleave(methods, repeats, measure=first_prediction)
    imports = [child("import") for _ in range(repeats)]
    comparisons = [
        Comparison(peer, sense, must, ours=name)
        for name in (OURS, OUR_PIPELINE)
        for peer, sense, must in ((TORCH, "time", 1.2), (SKORCH, "faster", None), (MLP, "time", None))
    ]
    notes = [f"{TORCH}: state dict and scaling constants, without scikit-learn."]
    import_samples = {
        OURS: [figure["import"] for figure in imports],
        "ours, first use of an estimator, torch being there": [figure["first use"] for figure in imports],
        "import torch alone": [figure["torch"] for figure in imports],
    }
    import_comparisons = [
        Comparison(None, "value", must=0.5),
        Comparison(None, "value", ours="ours, first use of an estimator, torch being there"),
        Comparison(None, "value", ours="import torch alone"),
    ]
    return [
        Result("start", "process start to first prediction from a file", "s", samples, comparisons, notes),
        Result("start", "import sktransfer beyond scikit-learn", "s", import_samples, import_comparisons),
    ]


def file_size(settings: Settings) -> list[Result]:
    """Size of a pipeline's joblib file against the weights in it."""
    problem = make_problem(STANDARD.widths, settings.pick(2000, 200))
    network = PlainNet(problem.blocks(), problem.backbone.n_features_out, problem.n_classes)
    weights = sum(tensor.nbytes for tensor in network.state_dict().values())
    with stored_models(problem, settings, frame=False) as (folder, files):
        sizes = {
            method: [float((folder / f"{file}.joblib").stat().st_size)]
            for method, file in files.items()
            if method != TORCH
        }
    sizes["the weights alone"] = [float(weights)]
    bar = 1.2 * weights + 30_000
    comparisons = [
        Comparison(None, "value", must=bar),
        Comparison("the weights alone", "time"),
        Comparison(SKORCH, "time"),
    ]
    what = "joblib file of the pipeline, head-only fit"
    return [Result("size", what, "B", sizes, comparisons, [f"must: 1.2 x {weights:,} bytes of weights + 30 kB"])]
