"""By tag, pooled or both: which features of "process" should a head get?

    python -m benchmarks.tags ../shared/data [--of scored|development] [--strategy default|probing] [--draws 5]

Windows of four sets with 1, 5 and 20 labels a class; what is labelled, scored and a source is said in
`benchmarks/tag_tasks.py`. The default was chosen on the sets of ``--of development``, none of whose rows are scored.
Balanced accuracy; the mean over tasks of a set, and over sets, with the deviation over draws of the labels.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.tag_tasks import DEVELOPMENT, SCORED, Loader, Part, TagTask
from sktransfer import Backbone, FeatureExtractor, LinearProbing, Strategy, TransferClassifier, load_backbone

LABELS = (1, 5, 20)
BLOCKS = {"by default, which is block='tag'": "auto", "block='pooled'": "pooled", "block='both'": "both"}
STRATEGIES: dict[str, Strategy | None] = {"default": None, "probing": LinearProbing()}
# From the labelled windows (X, y) and a seed to the predicted classes of the scored ones.
Method = Callable[[Part, int], np.ndarray]


@cache
def process() -> Backbone:
    """The shipped backbone, read once."""
    return load_backbone("process")


def ours(task: TagTask, strategy: Strategy | None, with_source: bool) -> dict[str, Method]:
    """A classifier for each `block`; `with_source` each begins with what it learned of the source."""

    def method(block: str) -> Method:
        @cache
        def begun() -> dict[str, Any]:
            if not with_source or task.source is None:
                return {"backbone": process(), "block": block}
            source = TransferClassifier(process(), block=block, strategy=strategy, random_state=0).fit(*task.source)
            return {"backbone": source.backbone_}  # what was fitted with a block stays with it

        def predict(labelled: Part, seed: int) -> np.ndarray:
            model = TransferClassifier(**begun(), strategy=strategy, random_state=seed)
            return model.fit(*labelled).predict(task.scored[0])

        return predict

    ending = ", source first" if with_source else ""
    return {f"{name}{ending}": method(block) for name, block in BLOCKS.items()}


def mlp_on_features(task: TagTask, strategy: Strategy | None) -> dict[str, Method]:
    """Features by tag, standardised by machine, into an MLP that is fitted to the source and then to the labels.

    The features of the target are standardised by those of its windows that may be labelled, without their labels.
    """
    extractor = FeatureExtractor(process(), block="tag")
    scaler = StandardScaler().fit(extractor.fit_transform(task.pool[0]))

    @cache
    def begun() -> tuple[Backbone, np.ndarray]:
        X, y = task.source or task.pool
        rows = StandardScaler().fit_transform(extractor.transform(X))
        source = TransferClassifier(random_state=0).fit(rows, y)
        return source.backbone_, scaler.transform(extractor.transform(task.scored[0]))

    def predict(labelled: Part, seed: int) -> np.ndarray:
        backbone, scored = begun()
        model = TransferClassifier(backbone, strategy=strategy, random_state=seed)
        return model.fit(scaler.transform(extractor.transform(labelled[0])), labelled[1]).predict(scored)

    return {"features by tag, standardised by machine, MLP, source first": predict}


def statistics(X: np.ndarray) -> np.ndarray:
    """Mean, deviation, least, most, mean step and end minus start of each tag, (n_windows, 6 * n_tags)."""
    steps = np.abs(np.diff(X, axis=2)).mean(axis=2)
    of_level = [X.mean(axis=2), X.std(axis=2), X.min(axis=2), X.max(axis=2)]
    return np.concatenate([*of_level, steps, X[:, :, -1] - X[:, :, 0]], axis=1)


def peers(task: TagTask, with_source: bool) -> dict[str, Method]:
    """Logistic regression and extra trees on features by tag and on plain statistics by tag.

    `with_source` they are fitted to source and labelled windows together, which then weigh as much as the source's.
    """
    rows: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "features by tag": lambda X: FeatureExtractor(process(), block="tag").fit_transform(X),
        "six statistics by tag": statistics,
    }
    models: dict[str, Callable[[int], Any]] = {
        "logistic regression": lambda seed: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        "extra trees": lambda seed: ExtraTreesClassifier(100, random_state=seed, n_jobs=1),
    }

    def method(make: Callable[[np.ndarray], np.ndarray], model: Callable[[int], Any]) -> Method:
        kept = cache(lambda which: make({"scored": task.scored, "source": task.source}[which][0]))

        def predict(labelled: Part, seed: int) -> np.ndarray:
            X, y, weight = make(labelled[0]), labelled[1], np.ones(len(labelled[1]))
            if with_source and task.source is not None:
                weight = np.r_[np.ones(len(task.source[1])), np.full(len(y), len(task.source[1]) / len(y))]
                X, y = np.concatenate([kept("source"), X]), np.r_[task.source[1], y]
            made = model(seed)
            last = f"{made.steps[-1][0]}__" if hasattr(made, "steps") else ""
            return made.fit(X, y, **{f"{last}sample_weight": weight}).predict(kept("scored"))

        return predict

    ending = ", source and target" if with_source else ""
    return {
        f"{name} + {of}{ending}": method(make, model) for name, make in rows.items() for of, model in models.items()
    }


def run(
    folder: Path, sets: dict[str, Loader], strategy: Strategy | None, draws: int, n_tasks: int, alone: bool
) -> pd.DataFrame:
    """Columns set, task, method, labels, draw, score."""
    found = []
    for name, load in sets.items():
        for number, task in enumerate(load(folder)):
            if number >= n_tasks:
                break
            methods = ours(task, strategy, False) | peers(task, False)
            if task.source is not None and not alone:
                methods |= ours(task, strategy, True) | mlp_on_features(task, strategy) | peers(task, True)
            for label, method in methods.items():
                for n in LABELS:
                    for seed in range(draws):
                        score = balanced_accuracy_score(task.scored[1], method(task.draw(n, seed), seed))
                        found.append((name, task.name, label, n, seed, score))
            print(f"{name}, {task.name}: done", flush=True)
    return pd.DataFrame(found, columns=["set", "task", "method", "labels", "draw", "score"])


def table(scores: pd.DataFrame) -> str:
    """Mean and deviation over draws of the mean over tasks; a column a set and number of labels, and the mean of sets.

    Methods that need a source are averaged over the sets that have one.
    """
    by_draw = scores.groupby(["method", "set", "labels", "draw"], sort=False)["score"].mean()
    over_sets = by_draw.groupby(["method", "labels", "draw"], sort=False).mean()
    columns = {name: by_draw.xs(name, level="set") for name in scores["set"].unique()} | {"mean of sets": over_sets}
    lines = ["| set | method | " + " | ".join(f"{n} a class" for n in LABELS) + " |", "|---" * (2 + len(LABELS)) + "|"]
    for name, values in columns.items():
        for method in scores["method"].unique():
            cells = []
            for n in LABELS:
                drawn = values.get((method, n))
                cells.append("-" if drawn is None else f"{drawn.mean():.3f} ± {drawn.std(ddof=0):.3f}")
            if set(cells) != {"-"}:
                lines.append(f"| {name} | {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--of", choices=("scored", "development"), default="scored")
    parser.add_argument("--sets", nargs="+", help="some of them")
    parser.add_argument("--strategy", choices=STRATEGIES, default="default")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=99, help="at most so many of a set")
    parser.add_argument("--alone", action="store_true", help="no source: half of the time")
    parser.add_argument("--out", type=Path, help="a file for the single scores, as CSV")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = {"scored": SCORED, "development": DEVELOPMENT}[options.of]
    chosen = {name: load for name, load in sets.items() if options.sets is None or name in options.sets}
    scores = run(options.folder, chosen, STRATEGIES[options.strategy], options.draws, options.tasks, options.alone)
    if options.out is not None:
        scores.to_csv(options.out, index=False)
    print(f"\nStrategy {options.strategy}, {options.draws} draws\n\n{table(scores)}")


if __name__ == "__main__":
    main()
