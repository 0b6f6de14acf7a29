"""The main job, shared by the demo, the run on real data and the benchmarks: few labels on a new machine.

A `Target` is what an analyst has on the new machine. `compare` draws labels from it, fits every method on the same
draw and scores each on rows that no draw can touch.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import Backbone, BaselineScaler, FromScratch, SourceClassifier, TransferClassifier

Method = Callable[["Target", np.random.RandomState], BaseEstimator]


def _auc(y: np.ndarray, model: BaseEstimator, X: np.ndarray) -> float:
    return roc_auc_score(y, model.predict_proba(X)[:, 1])


METRICS = {
    "balanced accuracy": lambda y, model, X: balanced_accuracy_score(y, model.predict(X)),
    "accuracy": lambda y, model, X: accuracy_score(y, model.predict(X)),
    "AUC": _auc,
}


@dataclass
class Target:
    """What is known of the new machine.

    Parameters
    ----------
    name : str
        For tables.
    X_pool, y_pool : rows and labels that draws may label
    X_test, y_test : rows and labels for scoring only
    scaler : fitted transformer, or a transformer to be fitted on the labelled rows
        How the machine's rows are scaled; fitted on healthy rows where they are known.
    """

    name: str
    X_pool: np.ndarray
    y_pool: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    scaler: BaseEstimator
    metric: str = "balanced accuracy"
    extra: dict = field(default_factory=dict)


def healthy_scaler(X_healthy: np.ndarray, **options: object) -> FrozenEstimator:
    """A scaler fitted on healthy rows alone, which later fits leave as it is."""
    return FrozenEstimator(BaselineScaler(**options).fit(X_healthy))


def transfer(backbone: Backbone, **parameters: object) -> Method:
    """The machine's scaler, then the backbone with a new head."""
    return lambda target, state: make_pipeline(
        target.scaler, TransferClassifier(backbone, random_state=state, **parameters)
    )


def from_scratch(backbone: Backbone, **parameters: object) -> Method:
    """The same network without its pretraining."""
    return lambda target, state: make_pipeline(
        target.scaler, TransferClassifier(FromScratch.like(backbone), random_state=state, **parameters)
    )


def standard_scaled(backbone: Backbone) -> Method:
    """StandardScaler on the labelled rows in place of the healthy baseline."""
    return lambda target, state: make_pipeline(StandardScaler(), TransferClassifier(backbone, random_state=state))


def plain_baselines() -> dict[str, Method]:
    """What scikit-learn does with the labelled rows alone, on the same scaled rows."""
    return {
        "random forest": lambda target, state: make_pipeline(target.scaler, RandomForestClassifier(random_state=state)),
        # its default of 20 rows a leaf would refuse to split anything this small
        "gradient boosting": lambda target, state: make_pipeline(
            target.scaler, HistGradientBoostingClassifier(min_samples_leaf=2, max_iter=50, random_state=state)
        ),
        "logistic regression": lambda target, state: make_pipeline(target.scaler, LogisticRegression(max_iter=2000)),
    }


def source_as_it_is(backbone: Backbone) -> Method:
    """The source head without any label of the target: what a transfer must not fall below."""
    return lambda target, state: make_pipeline(target.scaler, SourceClassifier(backbone))


def draw_labels(y: np.ndarray, n_per_class: int, seed: int) -> np.ndarray:
    """Indices of `n_per_class` random rows of each class (all rows of a class that has fewer)."""
    rng = np.random.default_rng(seed)
    picks = [rng.permutation(np.flatnonzero(y == c))[:n_per_class] for c in np.unique(y)]
    return np.sort(np.concatenate(picks))


def draw_total(y: np.ndarray, n_total: int, seed: int) -> np.ndarray:
    """Indices of `n_total` random rows, whatever their class."""
    return np.sort(np.random.default_rng(seed).choice(len(y), size=n_total, replace=False))


def _take(X: np.ndarray | pd.DataFrame, rows: np.ndarray) -> np.ndarray | pd.DataFrame:
    return X.loc[X.index[rows]] if isinstance(X, pd.DataFrame) else X[rows]


def score_once(target: Target, method: Method, index: np.ndarray, seed: int) -> float:
    """Fit `method` on the labelled rows `index` and score it on the test rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = method(target, np.random.RandomState(seed)).fit(_take(target.X_pool, index), target.y_pool[index])
        rest = np.ones(len(target.y_test), dtype=bool)
        if target.X_test is target.X_pool:  # one set of rows: what was not drawn is scored
            rest[index] = False
        return METRICS[target.metric](target.y_test[rest], model, _take(target.X_test, rest))


def compare(
    target: Target,
    methods: dict[str, Method],
    n_labels: Sequence[int],
    n_draws: int,
    *,
    draw: Callable[[np.ndarray, int, int], np.ndarray] = draw_labels,
    n_jobs: int = 2,
    title: str = "",
) -> pd.DataFrame:
    """Score every method on the same draws of the labels.

    Returns
    -------
    DataFrame with the columns method, labels, draw, score
    """
    jobs = [(name, n, seed) for n in n_labels for seed in range(n_draws) for name in methods]
    bar = Progress(len(jobs), title or target.name)
    runner = Parallel(n_jobs=n_jobs, return_as="generator", backend="threading" if n_jobs == 1 else "loky")
    scores = runner(
        delayed(_score_job)(target, methods[name], draw(target.y_pool, n, seed), seed) for name, n, seed in jobs
    )
    records = []
    for (name, n, seed), score in zip(jobs, scores, strict=True):
        records.append({"target": target.name, "method": name, "labels": n, "draw": seed, "score": score})
        bar.step()
    return pd.DataFrame(records)


def _score_job(target: Target, method: Method, index: np.ndarray, seed: int) -> float:
    return score_once(target, method, index, seed)


def over_seeds(
    target: Target,
    backbones: Sequence[Backbone],
    methods: Callable[[Backbone], dict[str, Method]],
    *arguments: object,
    **options: object,
) -> pd.DataFrame:
    """Compare the methods that each of the backbones, one a pretraining seed, gives; column "seed" tells them apart."""
    parts = [
        compare(target, methods(backbone), *arguments, **options).assign(seed=seed)
        for seed, backbone in enumerate(backbones)
    ]
    return pd.concat(parts)


def spread_over_seeds(scores: pd.DataFrame) -> str:
    """Of each method that was pretrained several times: mean, lowest and highest mean over the seeds, by labels."""
    pretrained = scores[scores["seed"].notna()]
    means = pretrained.groupby(["method", "labels", "seed"], sort=False)["score"].mean()
    found = means.groupby(["method", "labels"], sort=False).agg(["mean", "min", "max"])
    cells = found.apply(lambda row: f"{row['mean']:.3f} ({row['min']:.3f} to {row['max']:.3f})", axis=1)
    return markdown(cells.unstack("labels"))


def table(scores: pd.DataFrame) -> str:
    """Mean and standard deviation over draws and pretraining seeds (targets averaged first), one row a method."""
    scores = scores.assign(seed=scores["seed"].fillna(-1) if "seed" in scores else -1)
    per_draw = scores.groupby(["method", "labels", "draw", "seed"], sort=False)["score"].mean().reset_index()
    grouped = per_draw.groupby(["method", "labels"], sort=False)["score"]
    cells = (grouped.mean().map("{:.3f}".format) + " ± " + grouped.std(ddof=0).map("{:.3f}".format)).unstack("labels")
    return markdown(cells.loc[list(dict.fromkeys(per_draw["method"]))])


def markdown(cells: pd.DataFrame) -> str:
    """A table of strings, one row a method, one column a number of labels."""
    cells = cells.reindex(columns=sorted(cells.columns)).fillna("-")
    head = ["labels a class", *[str(c) for c in cells.columns]]
    lines = [head, *[[str(name), *row] for name, row in zip(cells.index, cells.to_numpy().tolist(), strict=True)]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    rows = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    rows.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(rows)


class Progress:
    """A line on the terminal that shows how far a loop is; plain lines where there is no terminal."""

    def __init__(self, total: int, title: str):
        self.total, self.title, self.done, self.began, self.shown = total, title, 0, time.monotonic(), 0.0

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        now, last = time.monotonic(), self.done == self.total
        tty = sys.stderr.isatty()
        if not last and now - self.shown < (0.2 if tty else 15):
            return
        self.shown = now
        rest = (now - self.began) / self.done * (self.total - self.done)
        text = f"{self.title}: {self.done}/{self.total} fits, about {rest:.0f} s left"
        print(f"\r{text:<78}" if tty else text, end="\n" if last or not tty else "", file=sys.stderr, flush=True)
