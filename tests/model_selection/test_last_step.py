"""The steps before the last one are fitted once a fold, and every pipeline owns the steps that it is scored with."""

import threading

import numpy as np
import pytest
import sklearn.pipeline
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import BatchedGridSearchCV, LinearProbing, TransferClassifier
from tests.helpers import moons, small_backbone
from tests.searches import LR, X, Y, both, grid, how, model, pipeline

FITTED = []


class Counted(StandardScaler):
    """Counts its fits."""

    def fit(self, X, y=None, sample_weight=None):
        FITTED.append(len(X))
        return super().fit(X, y, sample_weight)


class Locked(StandardScaler):
    """Holds what cannot be copied once it is fitted."""

    def fit(self, X, y=None, sample_weight=None):
        self.lock_ = threading.Lock()
        return super().fit(X, y, sample_weight)


def test_equal_steps_are_fitted_once_a_fold():
    FITTED.clear()
    candidates = {"counted__with_mean": [True, False], **grid(lr=LR)}
    BatchedGridSearchCV(make_pipeline(Counted(), model()), candidates, cv=3, refit=False).fit(X, Y)
    assert FITTED == [60] * 6


def test_a_later_step_does_not_fit_the_earlier_ones_again():
    FITTED.clear()
    steps = Pipeline([("first", Counted()), ("second", StandardScaler()), ("net", model())])
    candidates = {"second__with_mean": [True, False], "net__lr": LR}
    BatchedGridSearchCV(steps, candidates, cv=2, refit=False).fit(X, Y)
    assert FITTED == [45] * 2


def test_a_step_that_cannot_be_copied_is_fitted_by_each_candidate():
    assert how(both(make_pipeline(Locked(), model()), grid(lr=LR))) == {"stacked"}


def test_a_pipeline_that_is_scored_shares_no_step_with_another():
    seen = []

    def keeps(estimator, X, y):
        seen.append(estimator)
        return estimator.score(X, y)

    given = pipeline()
    BatchedGridSearchCV(given, grid(lr=LR), cv=2, scoring=keeps, refit=False).fit(X, Y)
    assert len({id(one[0]) for one in (*seen, given)}) == len({id(one[-1]) for one in (*seen, given)}) == 5
    for one in seen:
        assert one.memory is None
        assert "fit" not in vars(one[-1])
    np.testing.assert_array_equal([one[-1].lr for one in seen], np.repeat(LR, 2))


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


class Certain(sklearn.pipeline.Pipeline):
    """A pipeline with a mind of its own."""

    def predict(self, X, **params):
        return np.where(self.predict_proba(X)[:, 0] > 0.9, self.classes_[0], self.classes_[1])


def test_a_pipeline_of_somebody_elses_is_searched_as_usual(backbone):
    X, y = moons(120)
    y = np.where(y == "normal", "normal", "fault")
    pipe = Certain([("scale", StandardScaler()), ("last", TransferClassifier(backbone, strategy=LinearProbing()))])
    grid = {"last__strategy__alpha": [0.1, 1.0]}
    ours, theirs = (kind(pipe, grid, cv=3).fit(X, y) for kind in (BatchedGridSearchCV, GridSearchCV))
    np.testing.assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert set(ours.cv_results_["how"]) == {"alone"}
    assert type(ours.best_estimator_) is Certain
