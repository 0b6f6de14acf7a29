"""Estimators of windows in scikit-learn's hands: cross-validation, searches, pipelines, tags; and with a front end."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.utils import get_tags

from sktransfer import (
    Backbone,
    BatchedGridSearchCV,
    FeatureExtractor,
    FineTuning,
    FromScratch,
    Inputs,
    LinearProbing,
    TransferClassifier,
    TransferRegressor,
    Windows,
    make_pipeline,
)
from tests import tones
from tests.helpers import small_backbone
from tests.tones import NEW, X, assert_near, signals, y

backbone = tones.backbone  # the fixture


def test_cross_validation_with_groups(backbone):
    groups = np.repeat(np.arange(10), 6)
    scores = cross_val_score(TransferClassifier(backbone), X, y, groups=groups, cv=GroupKFold(5))
    assert scores.shape == (5,)
    assert scores.mean() > 0.9


@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc_ovr"])
def test_a_search_scores_as_scikit_learns_and_shares_frozen_features(backbone, scoring):
    grid = [
        {"strategy": [LinearProbing(alpha=0.1), LinearProbing(alpha=10.0)]},
        {"strategy": [FineTuning(n_frozen_blocks="all"), FineTuning(n_frozen_blocks=1)], "lr": [0.001, 0.002]},
    ]
    model, options = TransferClassifier(backbone, max_epochs=2, random_state=0), {"cv": 3, "scoring": scoring}
    windows = Windows.of(X, sampling_rate=100.0)
    ours = BatchedGridSearchCV(model, grid, **options).fit(windows, y)
    theirs = GridSearchCV(model, grid, **options).fit(windows, y)
    assert_near(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=0.03)
    # what trains convolutions trains alone, heads on frozen ones together
    assert ours.cv_results_["how"].tolist() == ["solved"] * 2 + ["stacked", "alone"] * 2
    assert ours.best_estimator_.sampling_rate_ == 100.0


def test_frozen_blocks_run_once_for_all_candidates(backbone, monkeypatch):
    from sktransfer.training import frozen_features as _features

    calls, run = [], _features.run_blocks
    monkeypatch.setattr(_features, "run_blocks", lambda module, X, *at: calls.append(len(X)) or run(module, X, *at))
    grid = {"strategy": [LinearProbing(alpha=alpha) for alpha in (0.1, 1.0, 10.0)]}
    BatchedGridSearchCV(TransferClassifier(backbone), grid, cv=3, refit=False).fit(X, y)
    assert sorted(calls) == [20] * 3 + [40] * 3


def test_a_grid_over_backbones_of_rows_and_windows_fails_where_it_must(backbone):
    search = BatchedGridSearchCV(TransferClassifier(), {"backbone": [small_backbone(max_epochs=1), backbone]}, cv=2)
    with pytest.warns(FitFailedWarning, match="rows of a table"):
        search.fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [True, False]


class Halve(TransformerMixin, BaseEstimator):
    """Windows of half the amplitude."""

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return X / 2


def test_pipelines_walk_through_windows_in_chunks(backbone, monkeypatch):
    model = make_pipeline(Halve(), TransferClassifier(backbone)).fit(Windows.of(X, sampling_rate=100.0), y)
    expected = model.predict_proba(Windows.of(NEW, sampling_rate=100.0))
    score = model.score(Windows.of(X, sampling_rate=100.0), y)
    seen = []
    monkeypatch.setattr(type(model), "chunk_bytes", NEW[:8].nbytes)
    monkeypatch.setattr(Halve, "transform", lambda self, X: seen.append((len(X), X.sampling_rate)) or X / 2)
    assert_near(model.predict_proba(Windows.of(NEW, sampling_rate=100.0)), expected)
    assert seen == [(8, 100.0)] * 3 + [(6, 100.0)]
    assert model.score(Windows.of(X, sampling_rate=100.0), y) == score


def test_features_go_into_any_estimator(backbone):
    features = FeatureExtractor(backbone).fit(X).transform(NEW)
    assert features.shape == (30, 16)
    assert features.dtype == np.float32
    assert make_pipeline(FeatureExtractor(backbone), LogisticRegression()).fit(X, y).score(X, y) > 0.9
    assert len(FeatureExtractor(backbone).fit(X).get_feature_names_out()) == 16


def test_features_of_an_earlier_block_belong_to_one_length(backbone):
    extractor = FeatureExtractor(backbone, block="block1").fit(X)
    assert extractor.transform(NEW).shape == (30, 4 * 32)
    with pytest.raises(ValueError, match=r"block 'block1' returns 160 features.*128"):
        extractor.transform(signals(5, length=80)[0])


def test_tags_say_what_x_may_be(backbone):
    def kinds(estimator):
        tags = get_tags(estimator).input_tags
        return tags.two_d_array, tags.three_d_array

    assert kinds(TransferClassifier()) == kinds(FeatureExtractor()) == (True, True)
    assert kinds(TransferClassifier(backbone)) == kinds(FeatureExtractor(backbone)) == (False, True)
    assert kinds(TransferRegressor(FromScratch("mlp"))) == (True, False)
    assert kinds(BatchedGridSearchCV(TransferClassifier(backbone), {"lr": [1.0]})) == (False, True)


# ---- front ends


@pytest.fixture
def turned(monkeypatch):
    """Backbones whose front end multiplies windows by their speed and returns rows; and what it was given."""
    given = []

    def prepare(self, X):
        speed = getattr(X, "rpm", None)
        given.append((len(X), None if speed is None else speed.copy()))
        return np.asarray(X)[:, 0, :16] * (1.0 if speed is None else speed[:, None])

    from sktransfer import MLP

    monkeypatch.setattr(Backbone, "prepare", prepare)
    return Backbone(MLP(16, hidden_layer_sizes=(8,)), inputs=Inputs(shape=(2, None))), given


def test_a_front_end_gets_windows_with_all_they_know(turned, monkeypatch):
    backbone, given = turned
    speed = np.linspace(1, 2, 60)
    windows = Windows.of(X, rpm=speed)
    given.clear()
    model = TransferClassifier(backbone).fit(windows, y)
    (known,) = (rpm for _, rpm in given if rpm is not None)  # all else is how backbones are measured
    np.testing.assert_array_equal(known, speed)
    given.clear()
    monkeypatch.setattr("sktransfer.utils.chunks.CHUNK_BYTES", 4 * 2 * 64 * 40)  # forty windows
    found = model.predict_proba(windows)
    np.testing.assert_array_equal(np.concatenate([rpm for _, rpm in given]), speed)
    # the same by hand: rows times speed, in the network and the head
    features = model.module_.run_features(X[:, 0, :16] * speed[:, None].astype(np.float32))
    logits = model.module_.run(X[:4, 0, :16] * speed[:4, None].astype(np.float32)).astype(np.float64)
    assert features.shape == (60, 8)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert_near(found[:4], shares / shares.sum(axis=1, keepdims=True))
    assert_near(FeatureExtractor(backbone, standardize=False).fit_transform(windows).shape, (60, 8))


def test_searches_prepare_the_windows_of_each_fold(turned):
    backbone, _ = turned
    windows, grid = (
        Windows.of(X, rpm=np.linspace(1, 2, 60)),
        {"strategy": [LinearProbing(alpha=p) for p in (0.1, 10.0)]},
    )
    ours = BatchedGridSearchCV(TransferClassifier(backbone), grid, cv=3).fit(windows, y)
    theirs = GridSearchCV(TransferClassifier(backbone), grid, cv=3).fit(windows, y)
    assert_near(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert ours.cv_results_["how"].tolist() == ["solved"] * 2


def test_a_front_end_that_returns_no_numbers_is_named(turned):
    backbone, _ = turned
    with pytest.raises(ValueError, match="front end of the backbone returned values that are not finite"):
        TransferClassifier(backbone).fit(Windows.of(X, rpm=np.nan), y)
