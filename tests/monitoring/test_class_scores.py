"""Scores of classifiers, by numbers that are known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sktransfer import OpenSetClassifier
from sktransfer.monitoring.class_scores import log_odds, open_set_score


def test_log_odds_are_of_the_normal_class_against_the_rest():
    proba = np.array([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    found = log_odds(proba, 0)
    np.testing.assert_allclose(found[:2], np.log([4.0, 0.25]))
    assert found[2] == pytest.approx(np.log(1e12))


@pytest.mark.parametrize("criterion", ["neighbors", "distance", "probability", "energy"])
def test_an_unknown_row_has_a_negative_score_and_a_known_healthy_one_has_not(criterion):
    """Also for energies, whose limits are negative."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(100, 2)) * 0.3 + centre for centre in ([3, 0], [0, 3])])
    y = np.repeat(["leak", "ok"], 100)
    model = OpenSetClassifier(LogisticRegression(C=100), criterion=criterion).fit(X, y)
    new = np.concatenate([rng.uniform(-6, 6, size=(200, 2)), X + 0.2 * rng.normal(size=X.shape)])
    proba, unlike = model.predict_proba(new), model.unlikeness(new)
    score = open_set_score(model, unlike, proba, 1)
    unknown = model.predict(new) == "unknown"
    assert 0.05 < unknown.mean() < 0.9
    assert (score[unknown] < 0).all()
    known_and_ok = ~unknown & (proba[:, 1] > 0.5)
    assert (score[known_and_ok] >= 0).all()
    limits = model.limits_[proba.argmax(axis=1)]
    assert (limits < 0).all() == (criterion == "energy")
