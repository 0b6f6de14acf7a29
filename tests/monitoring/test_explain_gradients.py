"""Integrated gradients: complete, right for linear networks, and refused where there are none."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sktransfer import (
    BaselineScaler,
    TransferClassifier,
    TransferDetector,
    TransferRegressor,
    explain_sensors,
    make_pipeline,
)
from sktransfer.monitoring.explain_gradients import integrated_gradients


def labelled(seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(300, 4)) * [10, 1, 2, 5] + [100, 0, 20, 5], columns=list("abcd"))
    y = np.repeat(["normal", "leak", "wear"], 100)
    X.loc[y == "leak", "b"] += 5
    X.loc[y == "wear", "a"] -= 50
    return X, y


@pytest.fixture(scope="module")
def classifier():
    X, y = labelled()
    return make_pipeline(BaselineScaler("normal"), TransferClassifier(max_epochs=20, random_state=0)).fit(X, y)


def test_attributions_sum_to_the_log_odds_less_those_of_the_baseline(classifier):
    X, _ = labelled(1)
    found = explain_sensors(classifier, X.iloc[[150, 250]], method="gradients")
    for sample, row in enumerate((150, 250)):
        own = found[found["sample"] == sample]
        code = list(classifier.classes_).index(own["class"].iloc[0])
        center = pd.DataFrame(classifier[0].center_, columns=X.columns)
        both = classifier.predict_log_proba(pd.concat([X.iloc[[row]], center]))
        odds = both[:, code] - np.log(np.exp(np.delete(both, code, axis=1)).sum(axis=1))
        assert abs(own["effect"].sum() - (odds[0] - odds[1])) < 0.02 * abs(odds[0] - odds[1])
    assert found.groupby("sample").first()["sensor"].tolist() == ["b", "a"]


def test_attributions_sum_to_the_change_of_the_value_in_the_unit_of_y():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = 100 + 50 * X[:, 0] - 20 * X[:, 1]
    model = TransferRegressor(max_epochs=20, random_state=0).fit(X, y)
    zero = np.zeros_like(X[:6])
    found = integrated_gradients(model, "regressor", X[:6], zero, np.zeros(6, dtype=int))
    np.testing.assert_allclose(found.sum(axis=1), model.predict(X[:6]) - model.predict(zero), rtol=0.02, atol=0.5)


def test_what_has_no_gradients_is_refused(classifier):
    X, y = labelled()
    for other in (LogisticRegression(), TransferDetector()):
        pipe = make_pipeline(BaselineScaler(), other).fit(X, y)
        with pytest.raises(TypeError, match="has no gradients here"):
            explain_sensors(pipe, X.iloc[:2], method="gradients")
    whitened = make_pipeline(BaselineScaler(whiten=True), TransferClassifier(max_epochs=2)).fit(X, y)
    with pytest.raises(ValueError, match="do not keep one column a sensor"):
        explain_sensors(whitened, X.iloc[:2], method="gradients")
