"""Pooled: weights by machine, checked by hand and against fits with these weights."""

import io

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktransfer import Pooled


@parametrize_with_checks([Pooled(LogisticRegression()), Pooled(Ridge())])
def test_estimator_passes_scikit_learns_checks(estimator, check):
    check(estimator)


def machines(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X, domain = rng.normal(size=(n, 3)), np.resize([1, 1, 2, -1], n)
    y = (X[:, 0] + 0.3 * (domain < 0) * X[:, 1] > 0).astype(int)
    return X, y, domain


@pytest.mark.parametrize(("target_weight", "share"), [("auto", 0.5), (0.2, 0.2)])
def test_each_machine_has_its_share_of_the_weights(target_weight, share):
    X, y, domain = machines()
    model = Pooled(LogisticRegression(), target_weight=target_weight).fit(X, y, sample_domain=domain)
    parts = {1: (1 - share) / 2, 2: (1 - share) / 2, -1: share}
    weight = np.array([parts[d] / (domain == d).sum() * len(y) for d in domain])
    expected = LogisticRegression().fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.estimator_.coef_, expected.coef_, rtol=1e-6)
    assert not np.allclose(model.estimator_.coef_, LogisticRegression().fit(X, y).coef_, rtol=1e-3)


def test_rows_without_a_label_are_left_out():
    X, y, domain = machines()
    hidden = np.flatnonzero(domain < 0)[3:]
    masked = y.copy()
    masked[hidden] = -1
    kept = masked != -1
    model = Pooled(LogisticRegression()).fit(X, masked, sample_domain=domain)
    expected = Pooled(LogisticRegression()).fit(X[kept], y[kept], sample_domain=domain[kept])
    np.testing.assert_array_equal(model.estimator_.coef_, expected.estimator_.coef_)
    assert model.classes_.tolist() == [0, 1]
    texts = np.array(["ok", "leak"], dtype=object)[y]
    texts[hidden] = None
    assert Pooled(LogisticRegression()).fit(X, texts, sample_domain=domain).classes_.tolist() == ["leak", "ok"]


def test_weights_of_rows_count_within_their_machine():
    X, y, domain = machines()
    weight = np.where(domain == 1, 5.0, 1.0)  # of a whole machine: no change
    plain = Pooled(LogisticRegression()).fit(X, y, sample_domain=domain)
    weighted = Pooled(LogisticRegression()).fit(X, y, sample_domain=domain, sample_weight=weight)
    np.testing.assert_allclose(plain.estimator_.coef_, weighted.estimator_.coef_, rtol=1e-6)
    weight[np.flatnonzero(domain == 1)[0]] = 50
    other = Pooled(LogisticRegression()).fit(X, y, sample_domain=domain, sample_weight=weight)
    assert not np.allclose(plain.estimator_.coef_, other.estimator_.coef_, rtol=1e-3)


def test_an_estimator_without_weights_gets_rows_several_times():
    X, y, domain = machines(64)  # 32, 16 and 16 rows: shares of a quarter, a quarter and a half
    model = Pooled(KNeighborsClassifier(3)).fit(X, y, sample_domain=domain)
    copies = {1: 1, 2: 2, -1: 4}
    assert model.estimator_.n_samples_fit_ == sum(copies[d] for d in domain)
    with pytest.raises(ValueError, match="KNeighborsClassifier"):
        Pooled(KNeighborsClassifier(3)).fit(X, y, sample_domain=domain, sample_weight=np.ones(64))


def test_the_last_step_of_a_pipeline_gets_the_weights():
    X, y, domain = machines()
    pipe = Pooled(make_pipeline(StandardScaler(), LogisticRegression())).fit(X, y, sample_domain=domain)
    scaled = StandardScaler().fit_transform(X)
    expected = Pooled(LogisticRegression()).fit(scaled, y, sample_domain=domain)
    np.testing.assert_allclose(pipe.estimator_[-1].coef_, expected.estimator_.coef_, rtol=1e-6)


def test_regression_of_frames():
    X, _, domain = machines()
    values = np.where(domain < 0, np.nan, X[:, 0] * 2)
    values[np.flatnonzero(domain < 0)[:4]] = 1.0
    model = Pooled(Ridge(), unlabelled_label=np.nan)
    model.fit(pd.DataFrame(X, columns=list("abc")), pd.Series(values), sample_domain=domain)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert is_regressor(model)
    assert is_classifier(Pooled(LogisticRegression()))
    assert not hasattr(model, "predict_proba")


def test_domains_go_through_searches_and_cross_validation_without_routing():
    X, y, domain = machines(120)
    search = GridSearchCV(Pooled(LogisticRegression()), {"estimator__C": [0.1, 10], "target_weight": [0.3, 0.7]}, cv=3)
    search.fit(X, y, sample_domain=domain)
    assert set(search.best_params_) == {"estimator__C", "target_weight"}
    scores = cross_val_score(Pooled(LogisticRegression()), X, y, params={"sample_domain": domain})
    assert scores.min() > 0.6


def test_a_file_answers_as_before():
    X, y, domain = machines()
    model = Pooled(ExtraTreesClassifier(5, random_state=0)).fit(X, y, sample_domain=domain)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample_domain": np.ones(60, dtype=int)}, "no target rows"),
        ({"sample_domain": -np.ones(60, dtype=int)}, "no source rows"),
        ({"y": np.where(np.arange(60) == 0, -1, 1)}, "source rows carry unlabelled_label=-1"),
        ({"y": np.ones(59, dtype=int)}, "inconsistent numbers of samples"),
        ({"sample_domain": np.resize(["A", "B"], 60)}, "target_domain"),
    ],
)
def test_who_is_who_must_be_said(change, words):
    X, y, domain = machines()
    given = {"y": y, "sample_domain": domain} | change
    with pytest.raises(ValueError, match=words):
        Pooled(LogisticRegression()).fit(X, given["y"], sample_domain=given["sample_domain"])
