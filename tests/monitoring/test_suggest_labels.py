"""suggest_labels: one of each kind, the unsure ones, one of a group before a second; and what it refuses."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline as plain_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktransfer import (
    BaselineScaler,
    DataQualityWarning,
    LinearProbing,
    OpenSetClassifier,
    TransferClassifier,
    TransferDetector,
    make_pipeline,
    suggest_labels,
)
from sktransfer.monitoring.suggest_labels import _Groups, _spread
from tests.helpers import moons, small_backbone

FAULTS = np.array([[9.0, 0, 0, 0], [0, -9, 0, 0], [0, 0, 9, 9]])


def detector(**parameters):
    return TransferDetector(**parameters).fit(np.random.default_rng(0).normal(size=(500, 4)))


def watched(counts=(60, 8, 3), n_healthy=100, seed=1):
    """Healthy rows, and rows of three faults, one of which is on most of the time; kind 0 is healthy."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat([0, 1, 2, 3], [n_healthy, *counts])
    X = rng.normal(size=(len(kinds), 4))
    X[kinds > 0] += FAULTS[kinds[kinds > 0] - 1]
    return X, kinds


def two_classes(n=400, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 2)) * [2, 1]
    return X, np.where(X[:, 0] > 0, "leak", "normal")


@pytest.mark.parametrize("seed", range(10))
def test_the_first_alarms_are_one_of_each_fault_though_one_is_on_most_of_the_time(seed):
    X, kinds = watched()
    found = suggest_labels(detector(), X, 3, random_state=seed)
    assert sorted(kinds[found]) == [1, 2, 3]


@pytest.mark.parametrize("seed", range(3))
def test_a_sensor_that_is_high_and_one_that_is_low_are_two_kinds(seed):
    X = np.random.default_rng(1).normal(size=(80, 4))
    X[:60, 1] += 9
    X[60:, 1] -= 9
    assert sorted(suggest_labels(detector(), X, 2, random_state=seed) >= 60) == [False, True]


def test_only_alarms_are_shown():
    X, _ = watched()
    model = detector()
    found = suggest_labels(model, X, 40, random_state=0)
    assert found.dtype.kind == "i"
    assert len(set(found.tolist())) == 40
    assert (model.predict(X[found]) == -1).all()


def test_a_classifier_asks_where_it_is_unsure():
    X, y = two_classes(60)
    model = LogisticRegression().fit(X, y)
    pool = two_classes(2000, seed=1)[0]
    found = suggest_labels(model, pool, 20, random_state=0)
    margin = np.abs(model.decision_function(pool))
    assert np.median(margin[found]) < np.median(margin) / 3


def test_near_duplicates_are_shown_once():
    X, y = two_classes(60)
    model = LogisticRegression(C=0.1).fit(X, y)
    pool = two_classes(50, seed=1)[0]
    copies = np.repeat(pool, 20, axis=0) + 1e-6 * np.random.default_rng(2).normal(size=(1000, 2))
    found = suggest_labels(model, copies, 25, random_state=0)
    assert len(set((found // 20).tolist())) == 25


def test_distances_are_those_of_explicit_gradients():
    """Drawn rows leave less than any of ten random choices, in the space that nobody builds."""
    rng = np.random.default_rng(0)
    F, P = rng.normal(size=(80, 3)), rng.dirichlet(np.ones(4), size=80)
    A = P - np.eye(4)[P.argmax(axis=1)]
    explicit = np.einsum("nk,nd->nkd", A, F).reshape(80, -1)

    def left(rows):
        return np.square(explicit[:, None] - explicit[None, rows]).sum(axis=2).min(axis=1).sum()

    none = np.empty(0, dtype=np.int64)
    alone = _Groups(None, none)
    ours = np.mean(
        [
            left(_spread(F, A, np.ones(80, dtype=bool), none, alone, 8, np.random.default_rng(seed)))
            for seed in range(10)
        ]
    )
    others = [left(rng.choice(80, 8, replace=False)) for _ in range(10)]
    assert ours < min(others)


def test_a_labelled_row_is_not_shown_again_nor_what_is_like_it():
    X, kinds = watched()
    for known in (np.flatnonzero(kinds == 1)[:1], np.flatnonzero(kinds == 1)):
        for given in (known, np.isin(np.arange(len(X)), known), known.tolist()):
            found = suggest_labels(detector(), X, 2, labelled=given, random_state=0)
            assert sorted(kinds[found]) == [2, 3]
    every = np.flatnonzero(kinds == 1)
    found = suggest_labels(detector(), X, 11, labelled=every, random_state=0)
    assert not set(found.tolist()) & set(every.tolist())


def test_one_of_each_group_before_a_second_one():
    X, _ = watched(counts=(60, 0, 0), n_healthy=0)
    runs = np.array([f"run {i}" for i in np.arange(60) // 10])
    model = detector()
    assert len(set(runs[suggest_labels(model, X, 6, groups=runs, random_state=0)])) == 6
    counts = pd.Series(runs[suggest_labels(model, X, 9, groups=runs, random_state=0)]).value_counts()
    assert sorted(counts) == [1, 1, 1, 2, 2, 2]
    found = suggest_labels(model, X, 5, groups=runs, labelled=[0], random_state=0)
    assert set(runs[found]) == {f"run {i}" for i in range(1, 6)}
    alone = np.where(np.arange(60) < 59, "run 0", "run 1")
    assert 59 in suggest_labels(model, X, 2, groups=alone, random_state=0)


def test_a_number_gives_the_same_rows_and_nothing_is_changed():
    X, _ = watched()
    model, before = detector(), X.copy()
    state = np.random.get_state()[1].copy()
    first = suggest_labels(model, X, 10, random_state=3)
    np.testing.assert_array_equal(first, suggest_labels(model, X, 10, random_state=3))
    assert set(first.tolist()) != set(suggest_labels(model, X, 10, random_state=4).tolist())
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_frames_give_the_same_rows_as_arrays():
    X, _ = watched()
    names = list("abcd")
    healthy = np.random.default_rng(0).normal(size=(500, 4))
    arrays = suggest_labels(make_pipeline(BaselineScaler(), TransferDetector()).fit(healthy), X, 9, random_state=0)
    for frame in (pd.DataFrame(X, columns=names), pl.DataFrame(X, schema=names)):
        model = make_pipeline(BaselineScaler(), TransferDetector()).fit(type(frame)(healthy, **_named(frame, names)))
        np.testing.assert_array_equal(suggest_labels(model, frame, 9, random_state=0), arrays)


def _named(frame, names):
    return {"columns": names} if isinstance(frame, pd.DataFrame) else {"schema": names}


def test_windows_and_networks_are_taken():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3, 64))
    X[100:110, 0] += 8
    X[110:, 2] *= 9
    model = TransferDetector(false_alarm_rate=0.05).fit(X[:80])
    found = suggest_labels(model, X[90:], 2, random_state=0) + 90
    assert sorted(int(row) // 10 for row in found) == [10, 11]

    X, y = moons(300)
    classifier = TransferClassifier(small_backbone(0, max_epochs=8), strategy=LinearProbing(), random_state=0)
    few = np.concatenate([np.flatnonzero(y == name)[:8] for name in np.unique(y)])
    model = make_pipeline(StandardScaler().fit(X), classifier).fit(X[few], y[few])
    found = suggest_labels(model, X, 20, labelled=few, random_state=0)
    probabilities = np.sort(model.predict_proba(X), axis=1)
    margin = probabilities[:, -1] - probabilities[:, -2]
    assert margin[found].mean() < margin.mean() - 0.1
    # an open-set classifier is its classifier
    inside = OpenSetClassifier(model[-1], cv=2).fit(model[0].transform(X[few]), y[few])
    again = suggest_labels(plain_pipeline(model[0], inside), X, 20, labelled=few, random_state=0)
    np.testing.assert_array_equal(again, found)


def test_fewer_than_asked_are_said():
    X, kinds = watched()
    n_alarms = int((detector().predict(X) < 0).sum())
    with pytest.warns(DataQualityWarning, match=rf"500 rows are asked for, and X holds {n_alarms} alarms without"):
        assert len(suggest_labels(detector(), X, 500)) == n_alarms
    model = LogisticRegression().fit(X, kinds)
    with pytest.warns(DataQualityWarning, match=rf"500 rows are asked for, and X holds {len(X) - 2} rows without a"):
        found = suggest_labels(model, X, 500, labelled=[0, 1])
    assert sorted(found) == list(range(2, len(X)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        suggest_labels(model, X, len(X))


def test_bad_input_is_an_error_that_says_what_came():
    X, kinds = watched()
    model = detector()
    with pytest.raises(ValueError, match=r"none of the 50 rows is an alarm: the lowest score is .* larger false_alarm"):
        suggest_labels(detector(false_alarm_rate=0.002), np.random.default_rng(7).normal(size=(50, 4)) / 3, 5)
    with pytest.raises(ValueError, match=r"all 171 rows of X have a label \(labelled holds 171\)"):
        suggest_labels(LogisticRegression().fit(X, kinds), X, 5, labelled=np.arange(171))
    for n in (0, -1, 2.5, True, "3"):
        with pytest.raises(ValueError, match="expected a whole number of rows, at least 1"):
            suggest_labels(model, X, n)
    with pytest.raises(ValueError, match=r"groups of shape \(3,\); expected \(171,\)"):
        suggest_labels(model, X, 5, groups=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"mask labelled of shape \(2,\); expected \(171,\)"):
        suggest_labels(model, X, 5, labelled=[True, False])
    for wrong in ([171], [-1], [0.5], [[1]]):
        with pytest.raises(ValueError, match="whole numbers from 0 to 170"):
            suggest_labels(model, X, 5, labelled=wrong)
    with pytest.raises(TypeError, match=r"TransferDetector, a classifier with predict_proba, .*got LinearSVC"):
        suggest_labels(LinearSVC().fit(X, kinds), X, 5)
    with pytest.raises(TypeError, match="got StandardScaler"):
        suggest_labels(plain_pipeline(StandardScaler()).fit(X), X, 5)


@pytest.mark.parametrize("estimator", [TransferDetector(), LogisticRegression(), TransferClassifier()])
def test_an_estimator_that_is_not_fitted_is_said(estimator):
    for model in (estimator, plain_pipeline(StandardScaler(), estimator)):
        with pytest.raises(NotFittedError, match=rf"suggest_labels: this {type(estimator).__name__} is not fitted yet"):
            suggest_labels(model, watched()[0], 5)


def test_missing_values_are_an_error():
    X, kinds = watched()
    gone = X.copy()
    gone[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        suggest_labels(detector(), gone, 5)
    takes_it = HistGradientBoostingClassifier(max_iter=2).fit(X, kinds)
    with pytest.raises(ValueError, match=r"X contains NaN in 1 of 171 rows \(first: \[3\]\).*Impute"):
        suggest_labels(takes_it, gone, 5)
