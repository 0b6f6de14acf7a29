"""Scores without labels of the target, against their formulas written out."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV

from sktransfer import (
    CircularValidation,
    DeepEmbeddedValidation,
    DomainAdaptationClassifier,
    FromScratch,
    ImportanceWeightedScorer,
    PredictionEntropyScorer,
    SoftNeighborhoodDensity,
    SourceTargetShuffleSplit,
)
from sktransfer.model_selection.label_free_scores import importance

SCORES = [
    PredictionEntropyScorer(),
    SoftNeighborhoodDensity(),
    ImportanceWeightedScorer(),
    DeepEmbeddedValidation(),
    CircularValidation(),
]


def machines(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X, domain = rng.normal(size=(2 * n, 3)), np.repeat([1, -1], n)
    y = (X[:, 0] > 0).astype(int)
    X[n:] += 0.5
    masked = np.where(domain < 0, -1, y)
    return X, y, masked, domain, LogisticRegression().fit(X[:n], y[:n])


def test_entropy_and_density_by_hand():
    X, _, _, domain, model = machines()
    p = model.predict_proba(X[domain < 0])
    assert PredictionEntropyScorer()(model, X, sample_domain=domain) == pytest.approx(
        np.mean([r @ np.log(r) for r in p])
    )
    entropies = []
    for i, row in enumerate(p):
        others = np.delete(np.arange(len(p)), i)
        cosine = np.array([row @ p[j] / np.linalg.norm(row) / np.linalg.norm(p[j]) for j in others])
        soft = np.exp(cosine / 0.05) / np.exp(cosine / 0.05).sum()
        entropies.append(-(soft * np.log(soft)).sum())
    assert SoftNeighborhoodDensity()(model, X, sample_domain=domain) == pytest.approx(np.mean(entropies))


def test_weighted_accuracy_and_its_control_variate_by_hand():
    X, y, masked, domain, model = machines()
    source = domain > 0
    weight = importance(X[source], X[~source])
    assert weight.mean() == pytest.approx(1)
    loss = (model.predict(X[source]) != y[source]).astype(float)
    assert ImportanceWeightedScorer()(model, X, masked) == pytest.approx(1 - (weight * loss).mean())
    eta = -np.cov(weight * loss, weight, ddof=0)[0, 1] / weight.var()
    expected = -((weight * loss).mean() + eta * weight.mean() - eta)
    assert DeepEmbeddedValidation()(model, X, masked) == pytest.approx(expected)


def test_weights_are_the_ratio_of_densities():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(4000, 1)), rng.normal(0.7, 1, size=(4000, 1))
    expected = np.exp(0.7 * source[:, 0] - 0.7**2 / 2)
    assert np.corrcoef(importance(source, target), expected)[0, 1] > 0.99


def test_the_way_back_by_hand():
    X, y, masked, domain, model = machines()
    back = LogisticRegression().fit(X[domain < 0], model.predict(X[domain < 0]))
    expected = balanced_accuracy_score(y[domain > 0], back.predict(X[domain > 0]))
    assert CircularValidation()(model, X, masked) == pytest.approx(expected)
    network = DomainAdaptationClassifier(
        FromScratch(arguments={"hidden_layer_sizes": (8,)}), max_epochs=3, random_state=0
    )
    network.fit(X, masked, sample_domain=domain)
    assert 0 <= CircularValidation()(network, X, masked, sample_domain=domain) <= 1


@pytest.mark.parametrize("score", SCORES, ids=lambda one: type(one).__name__)
def test_labels_of_the_target_are_not_looked_at(score):
    X, y, masked, domain, model = machines()
    assert score(model, X, masked, sample_domain=domain) == score(model, X, y, sample_domain=domain)
    assert score(model, X, masked) == score(model, X, y, sample_domain=domain)


@pytest.mark.parametrize("score", SCORES, ids=lambda one: type(one).__name__)
def test_they_choose_in_a_search_with_routing_and_without(score):
    X, _, masked, domain, _ = machines()

    class SourceOnly(LogisticRegression):
        def fit(self, X, y):
            return super().fit(X[y != -1], y[y != -1])

    split = SourceTargetShuffleSplit(2, sample_domain=domain, random_state=0)
    grid = {"C": [0.01, 1.0]}
    plain = GridSearchCV(SourceOnly(), grid, scoring=score, cv=split).fit(X, masked)
    assert np.isfinite(plain.cv_results_["mean_test_score"]).all()
    with config_context(enable_metadata_routing=True):
        routed = GridSearchCV(SourceOnly(), grid, scoring=score, cv=split).fit(X, masked, sample_domain=domain)
    np.testing.assert_allclose(routed.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])


def test_without_the_rows_that_it_needs_a_score_says_so():
    X, y, _, domain, model = machines()
    with pytest.raises(ValueError, match="SourceTargetShuffleSplit"):
        ImportanceWeightedScorer()(model, X, y)
    with pytest.raises(ValueError, match="needs target rows"):
        PredictionEntropyScorer()(model, X[domain > 0], sample_domain=domain[domain > 0])
    assert PredictionEntropyScorer()(model, X) < 0  # no source is needed: all rows are the target's
