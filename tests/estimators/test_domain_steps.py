"""`sample_domain` through pipelines, searches and cross-validation, with scikit-learn's routing off and on."""

import numpy as np
import pytest
import sklearn
import sklearn.pipeline
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_score, cross_validate
from sklearn.preprocessing import StandardScaler

from sktransfer import (
    BaselineScaler,
    BatchedGridSearchCV,
    DeepCORAL,
    DomainAdaptationClassifier,
    FromScratch,
    Pooled,
    make_pipeline,
)
from sktransfer.estimators.domain_steps import takes_domain

SMALL = FromScratch(arguments={"hidden_layer_sizes": (8,)})


def machines(n_rows=60, seed=0):
    """Two sources and a target, each with an offset and unit of its own; a third of the target's rows has a label."""
    rng = np.random.default_rng(seed)
    domain = np.repeat([1, 2, -1], n_rows)
    X = rng.normal(size=(3 * n_rows, 4))
    y = np.where(X[:, 0] + X[:, 1] > 0, "leak", "normal").astype(object)
    y[2 * n_rows + n_rows // 3 :] = None
    X = X * np.abs(domain)[:, None] * 3 + 100.0 * domain[:, None]
    return X, y, domain


def adapted(**parameters):
    return DomainAdaptationClassifier(SMALL, **{"max_epochs": 2, "lr": 0.01, "random_state": 0} | parameters)


def by_hand(X, y, domain, X_new, **parameters):
    scaler = BaselineScaler("normal").fit(X, y, sample_domain=domain)
    model = adapted(**parameters).fit(scaler.transform(X, sample_domain=domain), y, sample_domain=domain)
    return model.predict_proba(scaler.transform(X_new, sample_domain=np.full(len(X_new), -1)))


@pytest.mark.parametrize("routing", [False, True])
def test_a_pipeline_hands_domains_to_each_step_that_takes_them(routing):
    X, y, domain = machines()
    expected = by_hand(X, y, domain, X[120:])
    with sklearn.config_context(enable_metadata_routing=routing):
        pipeline = make_pipeline(BaselineScaler("normal"), "passthrough", adapted()).fit(X, y, sample_domain=domain)
        np.testing.assert_allclose(pipeline.predict_proba(X[120:]), expected, atol=1e-6)
        named = pipeline.predict_proba(X, sample_domain=domain)
        score = pipeline.score(X[:120], y[:120], sample_domain=domain[:120])
    np.testing.assert_allclose(named[120:], expected, atol=1e-6)
    right = pipeline.classes_[named[:120].argmax(axis=1)] == y[:120]
    assert score == pytest.approx(right.mean())
    many = np.tile(np.arange(len(X)), 200)  # beyond one chunk
    with sklearn.config_context(enable_metadata_routing=routing):
        found = pipeline.predict_proba(X[many], sample_domain=domain[many])
    np.testing.assert_allclose(found, named[many], atol=1e-6)


def test_domains_reach_steps_inside_steps_and_what_the_caller_names_himself():
    X, y, domain = machines()
    expected = by_hand(X, y, domain, X[120:])
    inner = make_pipeline(BaselineScaler("normal"))
    nested = make_pipeline(inner, adapted()).fit(X, y, sample_domain=domain)
    np.testing.assert_allclose(nested.predict_proba(X, sample_domain=domain)[120:], expected, atol=1e-6)
    steps = [("scale", BaselineScaler("normal")), ("model", adapted())]
    theirs = sklearn.pipeline.Pipeline(steps).fit(X, y, scale__sample_domain=domain, model__sample_domain=domain)
    np.testing.assert_array_equal(theirs.predict_proba(X[120:]), expected)
    plain = make_pipeline(BaselineScaler(), LogisticRegression())  # the last step takes none
    labels = np.where(X[:, 0] > 0, 1, 0)
    z = BaselineScaler().fit_transform(X, sample_domain=domain)
    plain.fit(X, labels, sample_domain=domain)
    np.testing.assert_allclose(
        plain.predict_proba(X, sample_domain=domain), LogisticRegression().fit(z, labels).predict_proba(z), atol=1e-9
    )
    found = make_pipeline(StandardScaler(), BaselineScaler()).fit_transform(X, sample_domain=domain)
    z = BaselineScaler().fit_transform(StandardScaler().fit_transform(X), sample_domain=domain)
    np.testing.assert_allclose(found, z)


def test_domains_that_no_step_takes_are_an_error():
    X, _, domain = machines()
    labels = np.where(X[:, 0] > 0, 1, 0)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.raises(ValueError, match=r"Pipeline.fit got sample_domain, but none of its steps \['standardscaler'"):
        pipeline.fit(X, labels, sample_domain=domain)
    with pytest.raises(ValueError, match=r"Pipeline.predict got sample_domain, but none of its steps"):
        pipeline.fit(X, labels).predict(X, sample_domain=domain)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("search", [GridSearchCV, BatchedGridSearchCV])
@pytest.mark.parametrize("in_pipeline", [True, False])
def test_searches_slice_domains(routing, search, in_pipeline):
    """Validation rows are labelled rows of the target; its other rows and the sources train in each split."""
    X, y, domain = machines()
    fold = np.full(len(X), -1)
    fold[120:140] = np.resize([0, 1], 20)
    splits = list(PredefinedSplit(fold).split())
    if not in_pipeline:
        X = BaselineScaler("normal").fit_transform(X, y, sample_domain=domain)
    name = "domainadaptationclassifier__" if in_pipeline else ""
    model = make_pipeline(BaselineScaler("normal"), adapted()) if in_pipeline else adapted()
    grid = {f"{name}alignment": [DeepCORAL(0.1), DeepCORAL(10.0)]}
    with sklearn.config_context(enable_metadata_routing=routing):
        found = search(model, grid, cv=splits, error_score="raise").fit(X, y, sample_domain=domain)
        scores = cross_val_score(model, X, y, cv=splits, params={"sample_domain": domain})
    assert len(scores) == 2
    for number, alignment in enumerate(grid[f"{name}alignment"]):
        for k, (train, test) in enumerate(splits):
            if in_pipeline:
                p = by_hand(X[train], y[train], domain[train], X[test], alignment=alignment)
            else:
                one = adapted(alignment=alignment).fit(X[train], y[train], sample_domain=domain[train])
                p = one.predict_proba(X[test])
            right = np.array(["leak", "normal"])[p.argmax(axis=1)] == y[test]
            assert found.cv_results_[f"split{k}_test_score"][number] == pytest.approx(right.mean())
    assert found.best_estimator_.predict(X[120:]).shape == (60,)
    if search is BatchedGridSearchCV:
        assert set(found.cv_results_["how"]) == {"stacked"}


def test_a_pooled_estimator_takes_domains_in_a_pipeline_and_in_cross_validation():
    X, y, domain = machines()
    model = make_pipeline(BaselineScaler("normal"), Pooled(LogisticRegression()))
    fold = np.full(len(X), -1)
    fold[120:140] = np.resize([0, 1], 20)
    splits = list(PredefinedSplit(fold).split())
    found = cross_validate(model, X, y, cv=splits, params={"sample_domain": domain}, error_score="raise")
    assert found["test_score"].mean() >= 0.7


def test_a_frozen_scaler_gets_domains_as_it_would_itself():
    X = np.random.default_rng(0).normal(size=(60, 2))
    domains = np.repeat([1, -1], 30)
    X[30:] += 10
    scaler = BaselineScaler().fit(X, sample_domain=domains)
    assert takes_domain(FrozenEstimator(scaler), "transform")
    assert not takes_domain(FrozenEstimator(StandardScaler().fit(X)), "transform")
    pipeline = make_pipeline(FrozenEstimator(scaler), LogisticRegression()).fit(X, domains > 0)
    found = pipeline.predict_proba(X, sample_domain=domains)
    own = pipeline[-1].predict_proba(scaler.transform(X, sample_domain=domains))
    np.testing.assert_allclose(found, own)
