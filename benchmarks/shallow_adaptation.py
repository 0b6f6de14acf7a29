"""Maps of rows and plain estimators: published numbers reproduced, and ours beside skada's and POT's own.

    python -m benchmarks.shallow_adaptation ../shared/data [--draws 10] [--only a1 skewed gas shifted] [--seeds 5]

a1: the reactor's published protocol. Source and target are cut into five folds (in order, each class by itself), fold f
is left out of both, each machine is scaled by its own rows, and the target rows that are scored are those that the map
knows (transductive; no label of theirs is used). Accuracy. skewed: 20 healthy rows and one of each fault, transductive,
balanced accuracy. gas: batch 1 to seven later ones, no labels, accuracy, transductive. shifted: skada's generated data,
accuracy on all target rows, transductive. All settings are defaults, but for what stands in a row's name.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from benchmarks.adaptation_sets import DEVELOPMENT, SCORED
from benchmarks.adaptation_tasks import Task, draw, draw_skewed
from benchmarks.names import markdown
from sktransfer import CORAL, DomainAdaptationClassifier, OTMapping, SubspaceAlignment, TransferClassifier

PARTS = ("a1", "skewed", "gas", "shifted")
SHIFTS = ("covariate_shift", "target_shift", "conditional_shift", "subspace")

# (source rows, source labels, target rows) -> predicted labels of the target rows
Method = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def mapped(adapter: Any, estimator: Any) -> Method:
    """An estimator fitted to mapped source rows."""

    def predict(X: np.ndarray, y: np.ndarray, X_target: np.ndarray) -> np.ndarray:
        if adapter is None:
            return estimator.fit(X, y).predict(X_target)
        domain = np.repeat([1, -1], [len(X), len(X_target)])
        labels = np.r_[y, np.full(len(X_target), -1)]
        rows = adapter.fit_transform(np.r_[X, X_target], labels, sample_domain=domain)
        return estimator.fit(rows[domain > 0], y).predict(rows[domain < 0])

    return predict


def theirs(name: str, estimator: Any, **settings: Any) -> Method:
    """A class of skada or POT in front of the same estimator."""

    def predict(X: np.ndarray, y: np.ndarray, X_target: np.ndarray) -> np.ndarray:
        if name.startswith("POT"):
            import ot

            transport = ot.da.EMDTransport(metric="cityblock", **settings).fit(Xs=X, Xt=X_target)
            return estimator.fit(transport.transform(Xs=X), y).predict(X_target)
        with sklearn.config_context(enable_metadata_routing=True):  # put back afterwards
            import skada

            domain = np.repeat([1, -1], [len(X), len(X_target)])
            labels = np.r_[y, np.full(len(X_target), -1)]
            pipe = skada.make_da_pipeline(getattr(skada, name)(**settings), estimator)
            pipe.fit(np.r_[X, X_target], labels, sample_domain=domain)
            return pipe.predict(X_target, sample_domain=np.full(len(X_target), -1))

    return predict


def _logistic(C: float = 1.0) -> LogisticRegression:
    return LogisticRegression(C=C, max_iter=5000)


METHODS: dict[str, Method] = {
    "logistic regression": mapped(None, _logistic()),
    "logistic regression(C=10)": mapped(None, _logistic(10)),
    "SubspaceAlignment()": mapped(SubspaceAlignment(), _logistic()),
    "CORAL()": mapped(CORAL(), _logistic()),
    "OTMapping()": mapped(OTMapping(), _logistic()),
    "OTMapping(), logistic regression(C=10)": mapped(OTMapping(), _logistic(10)),
    "OTMapping(prior='estimate')": mapped(OTMapping(prior="estimate"), _logistic()),
    "OTMapping('sqeuclidean')": mapped(OTMapping("sqeuclidean"), _logistic()),
    "POT EMDTransport(metric='cityblock')": theirs("POT", _logistic()),
    "skada SubspaceAlignmentAdapter": theirs("SubspaceAlignmentAdapter", _logistic()),
    "skada CORALAdapter": theirs("CORALAdapter", _logistic()),
    "skada OTMappingAdapter": theirs("OTMappingAdapter", _logistic()),
}
SVMS: dict[str, Method] = {
    "linear SVC": mapped(None, SVC(kernel="linear")),
    "OTMapping(), linear SVC": mapped(OTMapping(), SVC(kernel="linear")),
    "CORAL(), linear SVC": mapped(CORAL(), SVC(kernel="linear")),
}


def _joint(X: np.ndarray, y: np.ndarray, X_target: np.ndarray) -> np.ndarray:
    """A network on source rows and unlabelled target rows."""
    domain = np.repeat([1, -1], [len(X), len(X_target)])
    labels = np.r_[y, np.full(len(X_target), -1)]
    model = DomainAdaptationClassifier(random_state=0)
    return model.fit(np.r_[X, X_target], labels, sample_domain=domain).predict(X_target)


NETWORKS: dict[str, Method] = {
    "OTMapping(), extra trees": mapped(OTMapping(), ExtraTreesClassifier(random_state=0)),
    "OTMapping(), TransferClassifier()": mapped(OTMapping(), TransferClassifier(random_state=0)),
    "DomainAdaptationClassifier()": _joint,
}


def folds(y: np.ndarray, n_splits: int = 5) -> list[np.ndarray]:
    """Rows that stay in, of each fold."""
    return [kept for kept, _ in StratifiedKFold(n_splits).split(np.zeros(len(y)), y)]


def a1(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The protocol of the reactor's paper, with each machine scaled by mean and deviation, and by its range."""
    for task in (DEVELOPMENT if options.development else SCORED)["cstr"](folder):
        for i, (kept, kept_target) in enumerate(zip(folds(task.y_source), folds(task.y_target), strict=True)):
            for scaler in (StandardScaler(), MinMaxScaler()):
                X, X_target = (
                    scaler.fit_transform(task.X_source[kept]),
                    scaler.fit_transform(task.X_target[kept_target]),
                )
                scaling = "min-max: " if isinstance(scaler, MinMaxScaler) else ""
                for name, score in _scores(
                    SVMS | METHODS | NETWORKS, X, task.y_source[kept], X_target, task.y_target[kept_target], options
                ):
                    yield {"part": "a1", "task": task.name, "draw": i, "method": scaling + name, "score": score}
        print(f"  a1, {task.name}: done", flush=True)


def drawn(folder: Path, name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Skewed draws of the reactor, and the whole batches of the gas sensors."""
    loaders = DEVELOPMENT if options.development else SCORED
    for task in loaders["cstr" if name == "skewed" else "gas"](folder):
        for i in range(options.draws if name == "skewed" else 1):  # of gas all rows are scored: nothing is drawn
            rows = _rows(task, name, i)
            X, X_target = (
                StandardScaler().fit_transform(task.X_source),
                StandardScaler().fit_transform(task.X_target[rows]),
            )
            metric = balanced_accuracy_score if name == "skewed" else accuracy_score
            for method, score in _scores(METHODS, X, task.y_source, X_target, task.y_target[rows], options, metric):
                yield {"part": name, "task": task.name, "draw": i, "method": method, "score": score}
        print(f"  {name}, {task.name}: done", flush=True)


def _rows(task: Task, name: str, seed: int) -> np.ndarray:
    return draw_skewed(task, seed).scored if name == "skewed" else draw(task, 0, seed, transductive=True).scored


def shifted(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Generated data of skada: four shifts."""
    with sklearn.config_context():  # importing skada turns metadata routing on
        from skada.datasets import make_shifted_datasets
    for shift in SHIFTS:
        for seed in range(options.seeds):
            X, y, domain = make_shifted_datasets(20, 20, shift=shift, noise=0.3, random_state=seed)
            of = domain > 0
            for method, score in _scores(METHODS, X[of], y[of], X[~of], y[~of], options, accuracy_score):
                yield {"part": f"shifted, {shift}", "task": shift, "draw": seed, "method": method, "score": score}
        print(f"  shifted, {shift}: done", flush=True)


def _scores(methods, X, y, X_target, y_target, options, metric=accuracy_score) -> Iterator[tuple[str, float]]:
    for name, method in methods.items():
        if options.methods is None or name in options.methods:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield name, float(metric(y_target, method(X, y, X_target)))


def table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Percent: mean over tasks and draws, its deviation over draws, and the worst task."""
    scores = pd.DataFrame(records)
    scores["score"] *= 100
    keys = ["part", "method"]
    found = scores.groupby(keys, sort=False)["score"].mean().to_frame("mean")
    found["spread of draws"] = scores.groupby([*keys, "draw"], sort=False)["score"].mean().groupby(keys).std(ddof=0)
    found["worst task"] = scores.groupby([*keys, "task"], sort=False)["score"].mean().groupby(keys).min()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--methods", nargs="+", default=None)
    parser.add_argument("--development", action="store_true", help="tasks for choices, in place of the scored ones")
    options = parser.parse_args()
    runs = {
        "a1": lambda: a1(options.folder, options),
        "skewed": lambda: drawn(options.folder, "skewed", options),
        "gas": lambda: drawn(options.folder, "gas", options),
        "shifted": lambda: shifted(options),
    }
    for part in options.only:
        records = list(runs[part]())
        if records:
            print(markdown(table(records)), flush=True)


if __name__ == "__main__":
    main()
