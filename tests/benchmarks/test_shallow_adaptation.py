"""The published protocol of the reactor is the one of the benchmark: the number without adaptation, to the digit."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.adaptation_sets import FOLDERS, SCORED
from benchmarks.shallow_adaptation import folds

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.shared_data
@pytest.mark.skipif(not all((DATA / one).is_dir() for one in FOLDERS["cstr"]), reason="needs the benchmark data")
def test_the_published_accuracies_without_adaptation():
    found = []
    for task in SCORED["cstr"](DATA):
        scores = []
        for kept, kept_target in zip(folds(task.y_source), folds(task.y_target), strict=True):
            X = StandardScaler().fit_transform(task.X_source[kept])
            X_target = StandardScaler().fit_transform(task.X_target[kept_target])
            model = SVC(kernel="linear").fit(X, task.y_source[kept])
            scores.append(model.score(X_target, task.y_target[kept_target]))
        found.append(100 * np.mean(scores))
    np.testing.assert_allclose(found, [97.69, 97.31, 92.02, 85.10, 62.98, 59.81], atol=0.005)
