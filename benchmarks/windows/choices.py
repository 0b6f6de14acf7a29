"""What `ours.py` and `ours_process.py` chose, and on which rows: never on those that the table scores.

    python -m benchmarks.windows.choices ../shared/data [--of tep skab few-labels]

Tennessee Eastman: each mode once as the target that is scored, and its three sources among themselves: two of them to
the third. SKAB: recordings of one group among themselves, five folds of recordings. Few labels: what passes to the
features of "vibration", on the tasks of `development.py`.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.windows.loaders import tep
from benchmarks.windows.ours_process import skab_tags, tag_features
from benchmarks.windows.passing import few_label_choices
from benchmarks.windows.process import draw_labels, skab_recordings, thirds

SHRINKAGES = (0.1, 0.3, 0.6)
WEIGHTS = (1, 5, 20)
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


def tep_choices(folder: Path) -> dict[tuple[float, int], dict[int, list[float]]]:
    """Balanced accuracy of two source modes -> the third, by (shrinkage, weight) and labels a class.

    One number for each mode that the table scores: the mean over its three sources, each taken as the target once.
    """
    modes = tep(folder)
    rows = {mode: tag_features(windows) for mode, windows in modes.items()}
    triples = [[mode for mode in modes if mode != scored] for scored in modes]
    found: dict[tuple[float, int], dict[int, list[float]]] = {}
    for shrinkage in SHRINKAGES:
        for weight in WEIGHTS:
            of = {n: [_pseudo(modes, rows, triple, n, shrinkage, weight) for triple in triples] for n in (0, 5)}
            found[shrinkage, weight] = of
    return found


def _pseudo(modes, rows, triple, n, shrinkage, weight) -> float:
    scores = []
    for target in triple:
        sources = [mode for mode in triple if mode != target]
        early, rest = thirds(modes[target])
        labelled = np.tile(draw_labels(modes[target].y, early, n, 0), weight)
        X = np.concatenate([rows[mode] for mode in sources] + [rows[target][labelled]])
        y = np.concatenate([modes[mode].y for mode in sources] + [modes[target].y[labelled]])
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(X, y)
        scores.append(balanced_accuracy_score(modes[target].y[rest], model.predict(rows[target][rest])))
    return float(np.mean(scores))


def skab_choices(folder: Path) -> dict[str, dict[float, float]]:
    """AUC inside each group, recordings held out, by the strength C of the logistic regression."""
    found: dict[str, dict[float, float]] = {}
    for group, recordings in skab_recordings(folder).items():
        X = [skab_tags(recording) for recording in recordings]
        y = [recording.y[recording.reference :] for recording in recordings]
        found[group] = {strength: _inside(X, y, strength) for strength in STRENGTHS}
    return found


def _inside(X, y, strength) -> float:
    truth, scores = [], []
    for train, test in GroupKFold(min(5, len(X))).split(X, groups=np.arange(len(X))):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        model.fit(np.concatenate([X[i] for i in train])[::4], np.concatenate([y[i] for i in train])[::4])
        for i in test:
            truth.append(y[i])
            scores.append(model.predict_proba(X[i])[:, 1])
    return float(roc_auc_score(np.concatenate(truth), np.concatenate(scores)))


def print_tep(folder: Path) -> None:
    """Of `tep_choices`."""
    print("Tennessee Eastman, among the sources of modes 1, 2, 3, 4; balanced accuracy at 0 and at 5 labels a class")
    for (shrinkage, weight), scores in tep_choices(folder).items():
        print(
            f"  shrinkage {shrinkage}, weight {weight}: {np.round(scores[0], 3)}, {np.round(scores[5], 3)}", flush=True
        )


def print_skab(folder: Path) -> None:
    """Of `skab_choices`."""
    print("SKAB, recordings of one group among themselves, AUC by C")
    for group, scores in skab_choices(folder).items():
        print(f"  {group}: " + ", ".join(f"C={strength:g} {auc:.3f}" for strength, auc in scores.items()))


def print_few_labels(folder: Path) -> None:
    """Of `few_label_choices`."""
    print("Few labels, tasks that the table does not score; balanced accuracy, five draws")
    print(few_label_choices(folder).round(3).to_string())


PRINTED = {"tep": print_tep, "skab": print_skab, "few-labels": print_few_labels}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--of", nargs="+", choices=list(PRINTED), default=list(PRINTED))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in options.of:
        PRINTED[name](options.folder)


if __name__ == "__main__":
    main()
