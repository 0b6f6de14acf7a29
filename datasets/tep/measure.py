"""What a random forest gets within mode 4, and from the other modes on mode 4.

    python datasets/tep/measure.py

Prints balanced accuracy over all labels, row by row, for raw rows and for rows centred and scaled by the
healthy rows of their own mode. Runs are never split: within mode 4, five folds over runs; across modes, the
forest learns every run of the source modes. Scaling of mode 4 uses the healthy rows of the training runs
only, or, across modes, of half of the healthy runs, which are then left out of the test.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import StratifiedGroupKFold

if __package__ in (None, ""):  # run as a script: make the repository root importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from datasets.tep import load_tep

TARGET, SOURCES = 4, (1, 2, 3)


def forest():
    """Return the classifier that is measured."""
    return RandomForestClassifier(100, min_samples_leaf=2, n_jobs=1, random_state=0)


def scale(X, healthy):
    """Centre and scale `X` (n_samples, 53) by the mean and deviation of the rows `healthy`.

    Valves that a mode holds still have no deviation of their own; they are centred only.
    """
    deviation = healthy.std(axis=0)
    return (X - healthy.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1.0)


def within(X, y, groups, *, scaled):
    """Return the out-of-fold predictions of five folds over runs."""
    predicted = np.empty(len(y), dtype=object)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(X, y, groups):
        Z = scale(X, X[train][y[train] == "normal"]) if scaled else X
        predicted[test] = forest().fit(Z[train], y[train]).predict(Z[test])
    return predicted


def across(sources, target, *, scaled):
    """Return true and predicted labels of the target, for a forest that learned the sources."""
    X, y, groups, _ = target
    healthy_runs = np.unique(groups[y == "normal"])
    kept_for_scaling = np.isin(groups, healthy_runs[::2])
    blocks = [scale(S, S[t == "normal"]) if scaled else S for S, t, _, _ in sources]
    Z = scale(X, X[kept_for_scaling]) if scaled else X
    model = forest().fit(np.vstack(blocks), np.concatenate([t for _, t, _, _ in sources]))
    return y[~kept_for_scaling], model.predict(Z[~kept_for_scaling])


def line(name, truth, predicted):
    """Return one line of the report."""
    return f"{name:<38} {balanced_accuracy_score(truth, predicted):.3f}"


def main():
    """Print the numbers of the README."""
    target = load_tep(TARGET, as_frame=False)
    X, y, groups, _ = target
    recalls = {}
    for scaled in (False, True):
        recalls[scaled] = within(X, y, groups, scaled=scaled)
        print(line(f"within mode 4, {'scaled' if scaled else 'raw'}", y, recalls[scaled]), flush=True)
    try:
        sources = {mode: load_tep(mode, as_frame=False) for mode in SOURCES}
    except FileNotFoundError as error:
        print(f"across modes: not measured. {error}")
        sources = {}
    cases = [(f"mode {mode} -> mode 4", [sources[mode]]) for mode in sources]
    if sources:
        cases.append(("modes 1 + 2 + 3 -> mode 4", list(sources.values())))
    columns = {"within mode 4": (y, recalls[False])}
    for name, chosen in cases:
        for scaled in (False, True):
            truth, predicted = across(chosen, target, scaled=scaled)
            columns[name] = (truth, predicted)
            print(line(f"{name}, {'scaled' if scaled else 'raw'}", truth, predicted), flush=True)
    print(f"\nrecall of each label: {', '.join(columns)} (across: scaled)")
    labels = np.unique(y)
    table = [recall_score(truth, found, labels=labels, average=None) for truth, found in columns.values()]
    for label, *values in zip(labels, *table, strict=True):
        print(f"{label:<42}", "  ".join(f"{value:.2f}" for value in values))


if __name__ == "__main__":
    main()
