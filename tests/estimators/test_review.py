"""Findings of a review, kept as laws: what was wrong once stays right."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.pipeline
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from sktransfer import (
    BatchedGridSearchCV,
    FeatureExtractor,
    FineTuning,
    FromScratch,
    LinearProbing,
    OutOfRangeWarning,
    Pipeline,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.inference.predictor import blocks_in_numpy
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


@pytest.fixture
def short_chunks(monkeypatch):
    monkeypatch.setattr(Pipeline, "chunk_rows", 100)


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("frame", [False, True])
def test_chunks_of_frames_keep_one_index(frame):
    X = np.random.default_rng(0).normal(size=(250, 3))
    X = pd.DataFrame(X, columns=list("abc"), index=np.arange(250) * 2) if frame else X
    steps = [("scale", StandardScaler())]
    ours = Pipeline(steps).set_output(transform="pandas").fit(X).transform(X)
    theirs = sklearn.pipeline.Pipeline(steps).set_output(transform="pandas").fit(X).transform(X)
    pd.testing.assert_frame_equal(ours, theirs)


class TwoAnswers(ClassifierMixin, BaseEstimator):
    """Predicts labels and, beside them, something else: not one output a row."""

    def __init__(self, model=None):
        self.model = model

    def fit(self, X, y):
        self.model.fit(X, y)
        self.fitted_ = True
        return self

    def predict(self, X):
        return self.model.predict(X), len(X)


@pytest.mark.usefixtures("short_chunks")
def test_rows_are_counted_once_where_chunks_turn_out_not_to_go(backbone):
    X, y = moons(250)
    pipe = Pipeline([("last", TwoAnswers(TransferClassifier(backbone, strategy=LinearProbing())))]).fit(X, y)
    with pytest.warns(OutOfRangeWarning, match="250 of 250 rows"):
        pipe.predict(X * 1e4)


class Pieces(BaseEstimator):
    """A step that notes how many rows come at once."""

    def __init__(self, seen=None):
        self.seen = seen

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        self.seen.append(len(X))
        return X


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("model", [TransferClassifier, TransferRegressor])
def test_scores_are_those_of_predictions_in_chunks(backbone, model):
    X, y = moons(250)
    y = y if model is TransferClassifier else X[:, 0]
    weight = np.random.default_rng(0).uniform(size=250)
    steps = [("pieces", Pieces([])), ("last", model(backbone, strategy=LinearProbing()))]
    pipe = Pipeline(steps).fit(X, y)
    expected = sklearn.pipeline.Pipeline.score(pipe.set_params(pieces__seen=[]), X, y, sample_weight=weight)
    pipe.set_params(pieces__seen=[])
    assert pipe.score(X, y, sample_weight=weight) == pytest.approx(expected)
    assert pipe.named_steps["pieces"].seen == [100, 100, 50]


def products(program):
    """Bytes of the arrays of a program, those it shares left out."""
    arrays = [part for step in program._steps for part in step[1:] if isinstance(part, np.ndarray)]
    return sum(array.nbytes for array in arrays)


def test_heads_on_one_backbone_hold_its_products_once(backbone):
    X, y = moons(90)
    first, second = (
        TransferClassifier(backbone.describe(name=name), strategy=LinearProbing()).fit(X, y) for name in "ab"
    )
    bodies = [model._predictor.network._below for model in (first, second)]
    assert bodies[0] is bodies[1] is blocks_in_numpy(backbone, 3)
    assert products(first._predictor.network) < products(bodies[0]) / 3
    tuned = TransferClassifier(backbone, strategy=FineTuning(2), max_epochs=1, random_state=0).fit(X, y)
    assert tuned._predictor.network._below is not bodies[0]
    module = tuned.module_
    rows = as_rows(X)
    np.testing.assert_allclose(tuned._outputs(X)[0], module.run(rows), atol=1e-4)


def as_rows(X):
    return np.ascontiguousarray(X, dtype=np.float32)


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


@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_a_search_says_as_often_as_scikit_learns_that_rows_are_far(backbone, scoring):
    X, y = moons(120)
    X[0] = 1e4
    model = TransferClassifier(backbone, strategy=LinearProbing(alpha=1.0))
    counts = []
    for kind in (BatchedGridSearchCV, GridSearchCV):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            kind(model, {"strategy__alpha": [0.1, 1.0]}, cv=3, scoring=scoring, refit=False).fit(X, y)
        counts.append(sum(issubclass(w.category, OutOfRangeWarning) for w in caught))
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("alpha", [np.int64(1), np.float32(1), 1])
def test_a_pull_may_be_any_number(alpha):
    assert LinearProbing(alpha=alpha).head_solver().alpha == 1.0


def test_rows_too_large_to_choose_a_pull_are_an_error_that_says_so(backbone):
    X, y = moons(200)
    with pytest.raises(ValueError, match="orders of magnitude"):
        TransferClassifier(backbone, strategy=LinearProbing()).fit(X * 1e12, y)


def test_parameters_set_after_a_fit_do_not_change_what_an_extractor_returns(backbone):
    X, _ = moons(20)
    extractor = FeatureExtractor(backbone).fit(X)
    before = extractor.transform(X)
    extractor.set_params(block=backbone.blocks[0], standardize=False)
    np.testing.assert_array_equal(extractor.transform(X), before)
    assert extractor.fit(X).transform(X).shape == (20, 32)


def test_a_backbone_that_cannot_tell_its_columns_says_how_to():
    from torch import nn

    from sktransfer import Backbone

    with pytest.raises(ValueError, match=r"inputs=Inputs\(n="):
        Backbone(nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))


def test_a_chunk_with_rows_too_many_is_an_error(short_chunks):
    class Doubles(Pieces):
        def transform(self, X):
            return np.repeat(X, 2, axis=0) if len(X) == 50 else X

    X = np.zeros((250, 2))
    pipe = Pipeline([("doubles", Doubles())]).fit(X)
    with pytest.raises(ValueError, match="300 outputs for 250 rows"):
        pipe.transform(X)


def test_untrained_networks_of_one_recipe_share_nothing():
    X, y = moons(60)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    one, other = (TransferClassifier(recipe, max_epochs=1, random_state=seed).fit(X, y) for seed in (0, 1))
    assert one._predictor.network._below is not other._predictor.network._below
