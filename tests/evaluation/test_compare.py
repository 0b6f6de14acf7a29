"""compare: paired draws, no scored row in a fit, restart, bad input."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import compare

FEW = {"random forest": None, "gradient boosting": None}
NONE = {**FEW, "logistic regression": None}
OTHER = {**NONE, "other": DummyClassifier()}


class Spy(ClassifierMixin, BaseEstimator):
    """Notes the rows of its fits and predictions, which carry their number in the first column."""

    seen: list = []

    def __init__(self, name="spy"):
        self.name = name

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.rows_ = np.asarray(X)[:, 0].astype(int)
        return self

    def predict(self, X):
        Spy.seen.append((self.name, self.rows_, np.asarray(X)[:, 0].astype(int)))
        return np.full(len(X), self.classes_[0])


class Stop(KeyboardInterrupt):
    pass


class Interrupted(Spy):
    left = 0

    def fit(self, X, y):
        if Interrupted.left == 0:
            raise Stop
        Interrupted.left -= 1
        return super().fit(X, y)


def numbered(n=60, n_classes=3, n_groups=12):
    rng = np.random.default_rng(0)
    X = np.column_stack([np.arange(n), rng.normal(size=(n, 2))])
    groups = np.arange(n) % n_groups
    return X, np.array([f"class {k}" for k in groups % n_classes]), groups


def test_all_methods_of_a_draw_get_the_same_rows_and_never_a_scored_one():
    X, y, groups = numbered()
    Spy.seen.clear()
    results = compare(Spy(), X, y, groups=groups, n_labels=(1, 3), n_draws=4, baselines={"other": Spy("other")})
    own = [entry for entry in Spy.seen if entry[0] == "spy"]
    other = [entry for entry in Spy.seen if entry[0] == "other"]
    assert len(own) == len(other) == 8
    for (_, rows, scored), (_, rows_2, scored_2) in zip(own, other, strict=True):
        np.testing.assert_array_equal(rows, rows_2)
        np.testing.assert_array_equal(scored, scored_2)
        assert not set(groups[rows]) & set(groups[scored])
    for k, n in enumerate([1, 3] * 4):
        assert pd.Series(y[own[k][1]]).value_counts().tolist() == [n] * 3
    for few, many in zip(own[::2], own[1::2], strict=True):
        assert set(few[1]) <= set(many[1])
    assert results.frame.shape == (2 * 4 * 5, 5)


def test_scores_are_those_of_a_loop_by_hand():
    X = numbered()[0]
    y = np.where(X[:, 1] > 0, "a", "b")
    Spy.seen.clear()
    model = LogisticRegression()
    results = compare(
        make_pipeline(StandardScaler(), model), X, y, n_labels=3, n_draws=3, baselines={"spy": Spy(), **FEW}
    )
    scores = results.frame.query("method == 'LogisticRegression'")["score"].tolist()
    for score, (_, rows, scored) in zip(scores, Spy.seen, strict=True):
        fitted = make_pipeline(StandardScaler(), model).fit(X[rows], y[rows])
        assert score == pytest.approx(balanced_accuracy_score(y[scored], fitted.predict(X[scored])))
    # the default baselines are behind the same scaler, so one of them is the estimator itself
    same = results.frame.query("method == 'logistic regression'")["score"].tolist()
    assert same == pytest.approx(scores)


def test_a_restart_makes_only_the_fits_that_are_missing(tmp_path):
    X, y, groups = numbered()
    options = {"groups": groups, "n_labels": (1, 2), "n_draws": 5, "memory": str(tmp_path)}

    baselines = OTHER
    Interrupted.left = 7
    with pytest.raises(Stop):
        compare(Interrupted(), X, y, baselines=baselines, **options)
    Interrupted.left, Spy.seen = 100, []
    results = compare(Interrupted(), X, y, baselines=baselines, **options)
    assert 100 - Interrupted.left == 10 - 7
    without = compare(Spy(), X, y, baselines=baselines, **{**options, "memory": None})
    assert results.frame["score"].tolist() == without.frame["score"].tolist()


def test_wrong_lengths_one_group_and_one_class_are_one_sentence_each():
    X, y, groups = numbered()
    with pytest.raises(ValueError, match=r"groups of shape \(59,\); expected \(60,\)"):
        compare(Spy(), X, y, groups=groups[1:])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare(Spy(), X, y[1:])
    with pytest.raises(ValueError, match="all rows are of one group"):
        compare(Spy(), X, y, groups=np.zeros(60), cv=[(np.arange(30), np.arange(30, 60))])
    with pytest.raises(ValueError, match="needs rows of at least two classes; y holds"):
        compare(Spy(), X, np.full(60, "a"))
    with pytest.raises(ValueError, match="X_source without y_source"):
        compare(Spy(), X, y, X_source=X)
    with pytest.raises(ValueError, match="nothing to compare 'Spy' with"):
        compare(Spy(), X, y, baselines=None)
    with pytest.raises(ValueError, match="'estimator' parameter of compare must be a classifier or a regressor"):
        compare("forest", X, y)
    with pytest.raises(ValueError, match=r"the classes \['leak'\] lie in one group each"):
        compare(Spy(), X, np.where(groups == 3, "leak", "ok"), groups=groups)
    with pytest.raises(ValueError, match="label_by='group'\\) needs groups"):
        compare(Spy(), X, y, label_by="group")
    with pytest.raises(ValueError, match=r"cv gives a split with 60 rows on both sides \(first: \[0, 1, 2, 3, 4\]\)"):
        compare(Spy(), X, y, cv=[(np.arange(60), np.arange(60))])
    with pytest.raises(ValueError, match="'n_labels' parameter of compare must hold whole numbers of at least 1"):
        compare(Spy(), X, y, n_labels=(0, 1))


def test_a_class_with_few_rows_is_drawn_whole_and_said_once():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 2)), np.where(np.arange(300) < 6, "leak", "normal")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        results = compare(DummyClassifier(), X, y, n_labels=(2, 5), n_draws=5, baselines=OTHER)
    assert [str(one.message).split(";")[0] for one in said] == [
        "compare: there are fewer than 5 rows to draw from in the classes ['leak']"
    ]
    assert results.frame["score"].tolist() == [0.5] * 20


def test_memory_asks_for_estimators_that_can_be_pickled(tmp_path):
    class Local(Spy):
        pass

    X, y, _ = numbered()
    with pytest.raises(ValueError, match="'Local' cannot be pickled"):
        compare(Local(), X, y, n_labels=1, memory=str(tmp_path))
