"""# Question: five labels a class on a plant mode that the network never saw: what is transfer worth?

`make demo`, or from the root of the repository::

    python examples/01_five_labels_a_class.py

The shipped backbone was pretrained on operating modes 1, 2 and 3 of a simulated Tennessee Eastman plant. The target
is mode 4: a few labelled rows and some hours of healthy operation. Scores are on runs that no draw can touch.
"""

# %% Setting
import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from benchmarks.comparison import (
    Target,
    compare,
    draw_labels,
    from_scratch,
    healthy_scaler,
    plain_baselines,
    standard_scaled,
    table,
    transfer,
)
from datasets.tep import load_tep
from sktransfer import (
    FineTuning,
    LinearProbing,
    MLPHead,
    ProbeThenTune,
    SourceClassifier,
    TransferClassifier,
    load_backbone,
    save,
)
from sktransfer.cli.main import main as sktransfer

N_HEALTHY = 100  # rows, five hours of normal operation
LABELS = (1, 2, 5, 10, 20, 50)


# %% The target: half of the runs may be labelled, the other half is for scoring
def load_target(seed=0):
    """Mode 4 as a `Target`, the frame of its test runs, and its healthy rows."""
    X, y, groups, _ = load_tep(4)
    y, rng = np.asarray(y), np.random.default_rng(seed)
    pool = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        runs = rng.permutation(np.unique(groups[y == label]))
        pool |= np.isin(groups, runs[: len(runs) // 2])
    healthy = np.flatnonzero(pool & (y == "normal"))
    healthy = X.iloc[np.sort(rng.choice(healthy, N_HEALTHY, replace=False))]
    return Target("mode 4", X[pool], y[pool], X[~pool], y[~pool], healthy_scaler(healthy))


# %% The main job: a search over frozen depth and heads, as an analyst would write it
def search(target, backbone, n_labels=5, seed=0):
    """The fitted search on `n_labels` rows a class."""
    index = draw_labels(target.y_pool, n_labels, seed)
    pipe = make_pipeline(target.scaler, TransferClassifier(backbone, random_state=0))
    grid = {
        "transferclassifier__strategy": [LinearProbing(), FineTuning(n_frozen_blocks=2), ProbeThenTune()],
        "transferclassifier__head": [None, MLPHead(hidden_layer_sizes=(64,), dropout=0.5)],
    }
    cv = min(5, n_labels)
    searched = GridSearchCV(pipe, grid, cv=cv, scoring="balanced_accuracy", n_jobs=2, verbose=1)
    return searched.fit(target.X_pool.iloc[index], target.y_pool[index])


def plot(scores, source_score, file):
    """Mean score against labels a class, with the spread over draws."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
    for number, (name, part) in enumerate(scores.groupby("method", sort=False)):
        grouped = part.groupby("labels")["score"]
        mean, spread = grouped.mean(), grouped.std(ddof=0)
        main = name.startswith("transfer")
        axes.plot(mean.index, mean, marker="o", color=f"C{number}", label=name, lw=2.5 if main else 1.3)
        axes.fill_between(mean.index, mean - spread, mean + spread, color=f"C{number}", alpha=0.15, lw=0)
    axes.axhline(source_score, color="0.4", ls="--", lw=1, label="source network as it is, no label")
    axes.set_xscale("log")
    axes.set_xticks(LABELS, [str(n) for n in LABELS])
    axes.minorticks_off()
    axes.set_xlabel("labelled rows a class")
    axes.set_ylabel("balanced accuracy on unseen runs")
    axes.set_title("Tennessee Eastman, modes 1, 2, 3 to mode 4, 13 classes")
    axes.legend(fontsize=8, loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=130)


# %% Answer
def main():
    parser = argparse.ArgumentParser(description="Five labels a class on a new operating mode.")
    parser.add_argument("--out", type=Path, default=ROOT / "demo-output")
    parser.add_argument("--labels", type=int, nargs="+", default=list(LABELS))
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()

    backbone = load_backbone("tep-process")
    target = load_target()
    print(f"backbone: {backbone}")
    print(f"target: {len(target.y_pool)} rows to draw labels from, {len(target.y_test)} rows of other runs to score on")
    predicted = make_pipeline(target.scaler, SourceClassifier(backbone)).predict(target.X_test)
    source_score = balanced_accuracy_score(target.y_test, predicted)
    print(f"source network as it is, no label: balanced accuracy {source_score:.3f}; recall by class:")
    recall = {str(label): (predicted[target.y_test == label] == label).mean() for label in np.unique(target.y_test)}
    print("  " + ", ".join(f"{label.split('-')[0]} {value:.2f}" for label, value in recall.items()) + "\n")

    searched = search(target, backbone)
    best = {key.split("__")[1]: value for key, value in searched.best_params_.items()}
    score = balanced_accuracy_score(target.y_test, searched.predict(target.X_test))
    print(f"search with 5 labels a class: best {best}, {score:.3f} on unseen runs")

    methods = {
        "transfer (default)": transfer(backbone),
        "transfer, linear probing": transfer(backbone, strategy=LinearProbing()),
        "same network from scratch": from_scratch(backbone),
        "StandardScaler in place of BaselineScaler": standard_scaled(backbone),
        **plain_baselines(),
    }
    scores = compare(target, methods, options.labels, options.draws, title="comparison")
    print(f"\nbalanced accuracy on unseen runs, mean ± standard deviation over {options.draws} draws of the labels:\n")
    print(table(scores))
    plot(scores, source_score, options.out / "label_efficiency.png")

    model, rows, result = (options.out / name for name in ("mode4.skops", "new_rows.csv", "scored.csv"))
    save(searched.best_estimator_, model, normal_label="normal")
    target.X_test.iloc[::50].to_csv(rows, index=False)
    sktransfer(["score", str(model), str(rows), "--out", str(result)])  # the command, which a scheduler would run
    print(
        f"\nwrote label_efficiency.png, {model.name} ({model.stat().st_size / 1e6:.2f} MB) and {result.name} "
        f"to {options.out.name}/ in {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
