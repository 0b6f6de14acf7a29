"""How well scores without labels of the target tell which classifier is best there.

    python -m benchmarks.label_free_scores ../shared/data [--draws 3] [--only cstr hit gas tep-rows] [--tasks 3]
                                                          [--development]

Candidates are fitted to four fifths of the source rows and of the target's rows, which have no label: a network with
no alignment and with each of four at a tenth of its usual weight and at the usual one, and logistic regression and
extra trees of the source rows, behind an `OTMapping` and alone. Each score sees the last fifth of both sides. The truth
is balanced accuracy on scored rows, which nothing has seen (inductive). Every machine is scaled by its own rows, on
tep-rows by its healthy ones. The draw is the seed of the fits.

Tables, mean over tasks and draws: weighted Kendall tau between score and truth over the candidates; the regret, which
is the truth of the best candidate minus that of the one with the highest score, in points. Beside the scores: accuracy
on held-out source rows, the regret of the default joint estimator, and that of a candidate taken at random.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import weightedtau
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from benchmarks.adaptation_sets import DEVELOPMENT, SCORED, tasks_of
from benchmarks.adaptation_tasks import UNLABELLED, Task, draw, stacked
from benchmarks.names import markdown
from sktransfer import (
    DANN,
    MCC,
    MMD,
    CircularValidation,
    DeepCORAL,
    DeepEmbeddedValidation,
    DomainAdaptationClassifier,
    ImportanceWeightedScorer,
    OTMapping,
    PredictionEntropyScorer,
    SoftNeighborhoodDensity,
    SourceTargetShuffleSplit,
    TransferClassifier,
)

SETS = ("cstr", "hit", "gas", "tep-rows")
SCORES = {
    "importance weighted": ImportanceWeightedScorer(),
    "deep embedded validation": DeepEmbeddedValidation(),
    "soft neighbourhood density": SoftNeighborhoodDensity(),
    "prediction entropy": PredictionEntropyScorer(),
    "circular validation": CircularValidation(),
}
SOURCE, DEFAULT, RANDOM = "accuracy on the source", "the default joint network", "a candidate at random"


class OfSource(ClassifierMixin, BaseEstimator):
    """`estimator` fitted to the source rows alone, behind a map of them to the target where `mapping` is given."""

    def __init__(self, estimator, mapping=None):
        self.estimator = estimator
        self.mapping = mapping

    def fit(self, X, y, sample_domain):
        """Fit to the rows with a positive `sample_domain`."""
        source = sample_domain > 0
        if self.mapping is not None:
            labels = np.where(source, y, UNLABELLED).astype(np.int64)
            self.mapping_ = clone(self.mapping).fit(X, labels, sample_domain=sample_domain)
            X = self.mapping_.transform(X, sample_domain=sample_domain)
        self.fitted_ = clone(self.estimator).fit(X[source], np.asarray(y)[source].astype(np.int64))
        self.classes_ = self.fitted_.classes_
        return self

    def predict_proba(self, X):
        """Of rows of the target."""
        return self.fitted_.predict_proba(X)

    def predict(self, X):
        """Of rows of the target."""
        return self.fitted_.predict(X)


def candidates(seed: int) -> dict[str, Any]:
    """Fits without a label of the target, the default first."""
    found: dict[str, Any] = {DEFAULT: DomainAdaptationClassifier(random_state=seed)}
    for kind in (DeepCORAL, MMD, MCC, DANN):
        usual = float(kind().weight)
        weights = (usual / 10,) if kind is MCC else (usual / 10, usual)  # the default has MCC's usual one
        for weight in weights:
            joint = DomainAdaptationClassifier(alignment=kind(weight=weight), random_state=seed)
            found[f"{kind.__name__}, weight {weight:g}"] = joint
    linear, trees = LogisticRegression(max_iter=2000), ExtraTreesClassifier(300, random_state=seed)
    found["network of the source"] = OfSource(TransferClassifier(random_state=seed))
    for name, plain in (("logistic regression", linear), ("extra trees", trees)):
        found[name] = OfSource(plain)
        found[f"OTMapping, {name}"] = OfSource(plain, OTMapping())
    return found


def run(task: Task, seed: int) -> Iterator[dict[str, Any]]:
    """A record for each candidate: the truth, and every score."""
    rows = stacked(task, draw(task, 0, seed))
    split = SourceTargetShuffleSplit(1, random_state=seed).split(rows.X, groups=rows.sample_domain)
    train, held_out = next(split)
    X, y, domain = (part[held_out] for part in (rows.X, rows.y, rows.sample_domain))
    source = domain > 0
    for name, candidate in candidates(seed).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = candidate.fit(rows.X[train], rows.y[train], sample_domain=rows.sample_domain[train])
            found = {score: of(fitted, X, y, sample_domain=domain) for score, of in SCORES.items()}
        found[SOURCE] = balanced_accuracy_score(y[source], fitted.predict(X[source]))
        truth = balanced_accuracy_score(rows.y_scored, fitted.predict(rows.X_scored))
        yield {"candidate": name, "truth": truth} | found


def judged(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tau and regret of each score over the candidates of one task and draw."""
    table = pd.DataFrame(records)
    truth = table["truth"].to_numpy()
    found = []
    for score in (SOURCE, *SCORES):
        values = table[score].to_numpy()
        # of equal scores any may be chosen
        chosen = truth[values == values.max()].mean()
        tau = np.nan if len(np.unique(values)) == 1 else weightedtau(truth, values).statistic
        found.append({"score": score, "tau": tau, "regret": 100 * (truth.max() - chosen)})
    default = float(truth[(table["candidate"] == DEFAULT).to_numpy()][0])
    found.append({"score": DEFAULT, "tau": np.nan, "regret": 100 * (truth.max() - default)})
    found.append({"score": RANDOM, "tau": 0.0, "regret": 100 * (truth.max() - truth.mean())})
    return found


def summary(found: list[dict[str, Any]]) -> pd.DataFrame:
    """By set and score: mean tau and its deviation over tasks and draws, mean and largest regret."""
    by = pd.DataFrame(found).groupby(["set", "score"], sort=False)
    return by.agg(
        tau=("tau", "mean"),
        spread=("tau", lambda values: values.std(ddof=0)),
        regret=("regret", "mean"),
        worst=("regret", "max"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--tasks", type=int, default=3, help="so many tasks of each set")
    parser.add_argument("--development", action="store_true", help="tasks for choices, in place of the scored ones")
    options = parser.parse_args()
    loaders = DEVELOPMENT if options.development else SCORED
    found: list[dict[str, Any]] = []
    for name in options.only or [name for name in SETS if name in loaders]:
        for task in tasks_of(options.folder, name, options.tasks, development=options.development):
            for seed in range(options.draws):
                found += [{"set": name} | one for one in judged(list(run(task, seed)))]
            print(f"  {name}, {task.name}: done", flush=True)
        own = [one for one in found if one["set"] == name]
        if own:
            print(markdown(summary(own)), flush=True)
    if found:
        print(markdown(summary([one | {"set": "all"} for one in found])), flush=True)


if __name__ == "__main__":
    main()
