"""How long linear probing takes, and which of its solvers is the best on few labels.

    OMP_NUM_THREADS=1 python -m benchmarks.probing                      time alone, half a minute
    OMP_NUM_THREADS=1 python -m benchmarks.probing ../shared/data       and the solvers on the development tasks

Time: the whole fit of a ``TransferClassifier`` with its checks, features and choice of alpha, against scikit-learn's
``LogisticRegression`` on features that are there already; fits alternate, medians, one thread. Solvers: balanced
accuracy, log-loss, expected calibration error (15 bins) and seconds a fit on the tasks of `benchmarks/defaults.py`,
none of which a table scores.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline

from benchmarks.comparison import Progress, draw_labels, draw_total, table
from benchmarks.defaults import gas_development, tep_development
from benchmarks.tasks import RealTask, mlp
from sktransfer import Backbone, FeatureExtractor, LinearProbing, TransferClassifier

N_CLASSES, N_COLUMNS = 9, 53
METHODS: dict[str, Callable[[Backbone], Any]] = {
    "lbfgs (default)": lambda backbone: TransferClassifier(backbone, strategy=LinearProbing(), random_state=0),
    "ridge": lambda backbone: TransferClassifier(backbone, strategy=LinearProbing(solver="ridge"), random_state=0),
    "sgd": lambda backbone: TransferClassifier(backbone, strategy=LinearProbing(solver="sgd"), random_state=0),
    "LogisticRegression on features": lambda backbone: make_pipeline(
        FeatureExtractor(backbone), LogisticRegression(max_iter=1000)
    ),
}


def plant(seed: int = 0) -> tuple[Backbone, Callable[[int], tuple[np.ndarray, np.ndarray]]]:
    """A 4 x 256 network pretrained on a made-up plant, and rows of a shifted plant, balanced over nine classes."""
    truth = np.random.default_rng(seed).normal(size=(N_COLUMNS, N_CLASSES))
    X = np.random.default_rng(seed + 1).normal(size=(3000, N_COLUMNS))
    source = TransferClassifier(_scratch(), max_epochs=3, random_state=0).fit(X, (X @ truth).argmax(axis=1))

    def draw(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed + 2)
        rows = rng.normal(size=(20 * n_rows, N_COLUMNS))
        codes = ((rows + 0.3) @ truth + rng.normal(size=(20 * n_rows, N_CLASSES))).argmax(axis=1)
        index = draw_labels(codes, n_rows // N_CLASSES, seed)
        return rows[index] + 0.2, codes[index]

    return source.backbone_, draw


def _scratch() -> Any:
    return mlp(256, 256, 256, 256)


def measure_time() -> None:
    """One line for each number of rows."""
    backbone, draw = plant()
    for n_rows in (9, 45, 180, 900, 9000):
        X, y = draw(n_rows)
        features = FeatureExtractor(backbone).fit_transform(X)
        ours, theirs = [], []
        for _ in range(23 if n_rows <= 180 else 9):
            began = time.perf_counter()
            model = TransferClassifier(backbone, strategy=LinearProbing()).fit(X, y)
            between = time.perf_counter()
            LogisticRegression().fit(features, y)
            ours.append(between - began)
            theirs.append(time.perf_counter() - between)
        ours, theirs = ours[2:], theirs[2:]  # the first ones load libraries
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(
            f"{len(y):5d} rows: {1e3 * statistics.median(ours):6.1f} ms, LogisticRegression "
            f"{1e3 * statistics.median(theirs):6.1f} ms, ratio {ratio:.2f}; alpha {model.history_[0]['alpha']:.3g}, "
            f"{model.history_[0]['n_iter']} iterations"
        )


def scores_of(proba: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    """Balanced accuracy, log-loss and expected calibration error (15 bins of equal width)."""
    guess, sure = proba.argmax(axis=1), proba.max(axis=1)
    bins = np.minimum((15 * sure).astype(int), 14)
    gaps = [abs(np.sum((guess == codes)[bins == b]) - np.sum(sure[bins == b])) for b in range(15)]
    return {
        "balanced accuracy": balanced_accuracy_score(codes, guess),
        "log-loss": -np.mean(np.log(np.maximum(proba[np.arange(len(codes)), codes], 1e-12))),
        "calibration error": sum(gaps) / len(codes),
    }


def fit_and_score(task: RealTask, backbone: Backbone, index: np.ndarray, name: str) -> list[dict[str, Any]]:
    """Scores of one method on one draw; of a calibrated one also with a temperature of 1."""
    target, scaler = task.target, task.target.scaler
    X, y = scaler.transform(target.X_pool[index]), target.y_pool[index]
    began = time.perf_counter()
    model = METHODS[name](backbone).fit(X, y)
    seconds = time.perf_counter() - began
    rest = np.isin(target.y_test, model.classes_)
    if target.X_test is target.X_pool:
        rest[index] = False
    proba = model.predict_proba(scaler.transform(target.X_test[rest]))
    codes = np.searchsorted(model.classes_, target.y_test[rest])
    records = [{"method": name, "seconds": seconds, **scores_of(proba, codes)}]
    temperature = getattr(model, "history_", [{}])[0].get("temperature")
    if temperature is not None:
        plain = softmax(temperature * np.log(np.maximum(proba, 1e-300)), axis=1)
        records.append({"method": f"{name}, temperature 1", "seconds": seconds, **scores_of(plain, codes)})
    return records


def compare_solvers(
    tasks: list[RealTask], seeds: int, labels: list[int], draws: int, draw: Callable[..., np.ndarray]
) -> None:
    """One table for each score, means over tasks and seeds of the pretraining."""
    records = []
    bar = Progress(len(tasks) * seeds * len(labels) * draws * len(METHODS), tasks[0].name)
    for (number, task), seed in product(enumerate(tasks), range(seeds)):
        backbone = task.pretrain(seed)
        for n, k in product(labels, range(draws)):
            index = draw(task.target.y_pool, n, k)
            for name in METHODS:
                found = fit_and_score(task, backbone, index, name)
                records += [{"target": f"{number}, {seed}", "labels": n, "draw": k, **record} for record in found]
                bar.step()
    scores = pd.DataFrame(records)
    for score in ("balanced accuracy", "log-loss", "calibration error", "seconds"):
        print(f"\n{score}\n\n{table(scores.assign(score=scores[score]))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 2, 5, 20])
    parser.add_argument("--seeds", type=int, default=5, help="of pretraining")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    measure_time()
    if options.folder is not None:
        print(f"\nTennessee Eastman, seven development tasks, {options.draws} draws, labels a class")
        compare_solvers(tep_development(options.folder), options.seeds, options.labels, options.draws, draw_labels)
        print(f"\nGas sensors, three development tasks, {options.draws} draws, labels in all")
        compare_solvers(gas_development(options.folder), options.seeds, [20, 60], options.draws, draw_total)


if __name__ == "__main__":
    main()
