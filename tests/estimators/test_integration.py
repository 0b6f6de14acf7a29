"""Inside scikit-learn: pipelines, searches, meta-estimators, metadata, callbacks."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, TunedThresholdClassifierCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from sktransfer import (
    L2SP,
    BaselineScaler,
    FeatureExtractor,
    FineTuning,
    FromScratch,
    LayerDecay,
    LinearProbing,
    MLPHead,
    ProbeThenTune,
    TransferClassifier,
    TransferRegressor,
)
from tests.helpers import moons, small_backbone

SMALL = FromScratch(arguments={"hidden_layer_sizes": (16, 8)})
GRID = {
    "transferclassifier__strategy": [LinearProbing(), FineTuning(n_frozen_blocks=2)],
    "transferclassifier__head": [None, MLPHead(hidden_layer_sizes=(8,), dropout=0.5)],
}


@pytest.fixture(scope="module")
def backbone():
    return small_backbone()


@pytest.fixture
def rows():
    return moons(90, seed=1)


def pipeline_of(backbone, **params):
    params = {"max_epochs": 3, "random_state": 0, **params}
    return make_pipeline(BaselineScaler(compress=False), TransferClassifier(backbone, **params))


def test_a_pipeline_is_its_steps_in_a_row(backbone, rows):
    X, y = rows
    pipeline = pipeline_of(backbone, strategy=LinearProbing()).fit(X, y)
    scaled = BaselineScaler(compress=False).fit(X).transform(X)
    by_hand = TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).fit(scaled, y)
    np.testing.assert_array_equal(pipeline.predict_proba(X), by_hand.predict_proba(scaled))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_over_strategies_and_heads(backbone, rows, n_jobs):
    X, y = rows
    search = GridSearchCV(pipeline_of(backbone, max_epochs=5), GRID, cv=3, n_jobs=n_jobs).fit(X, y)
    table = search.cv_results_
    assert len(table["params"]) == 4
    assert np.isfinite(table["mean_test_score"]).all()
    assert search.best_score_ > 0.7
    assert search.best_estimator_[-1].backbone is backbone
    for params, score in zip(table["params"], table["mean_test_score"], strict=True):
        alone = clone(pipeline_of(backbone, max_epochs=5)).set_params(**params)
        assert cross_val_score(alone, X, y, cv=3).mean() == pytest.approx(score)


def test_a_grid_search_reaches_inside_a_strategy_and_a_recipe(backbone, rows):
    X, y = rows
    model = TransferClassifier(backbone, strategy=FineTuning(), max_epochs=2, random_state=0)
    search = GridSearchCV(model, {"strategy__n_frozen_blocks": [0, -1, "all"]}, cv=3).fit(X, y)
    frozen = search.best_estimator_.history_[0]["frozen_blocks"]
    assert frozen == {0: 0, -1: 2, "all": 3}[search.best_params_["strategy__n_frozen_blocks"]]
    combined = clone(model).set_params(strategy=LayerDecay(0.5) & L2SP(0.01))
    search = GridSearchCV(combined, {"strategy__first__decay": [0.9], "strategy__second__alpha": [0.1]}, cv=3).fit(X, y)
    assert search.best_estimator_.strategy.lr_factor(1) == 0.9
    assert model.strategy.n_frozen_blocks == 0
    sizes = {"backbone__arguments": [{"hidden_layer_sizes": (4,)}, {"hidden_layer_sizes": (6, 5)}]}
    search = GridSearchCV(TransferClassifier(SMALL, max_epochs=2, random_state=0), sizes, cv=3).fit(X, y)
    assert search.best_estimator_.backbone_.n_features_out in (4, 5)


def test_transfer_against_no_transfer_is_one_parameter(backbone, rows):
    X, y = rows
    search = GridSearchCV(TransferClassifier(max_epochs=5, random_state=0), {"backbone": [SMALL, backbone]}, cv=3).fit(
        X, y
    )
    assert search.best_params_["backbone"] is backbone


def test_groups_of_one_recording_stay_together(backbone, rows):
    X, y = rows
    scores = cross_val_score(
        TransferClassifier(backbone, strategy=LinearProbing()), X, y, cv=GroupKFold(3), groups=np.arange(90) // 10
    )
    assert scores.shape == (3,)
    assert (scores > 0.6).all()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(backbone, rows, method):
    X, y = rows
    calibrated = CalibratedClassifierCV(
        TransferClassifier(backbone, strategy=LinearProbing()), method=method, cv=3
    ).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1.0)
    assert calibrated.score(X, y) > 0.8
    after = CalibratedClassifierCV(
        FrozenEstimator(TransferClassifier(backbone, strategy=LinearProbing()).fit(X, y)), method=method
    ).fit(X, y)
    assert after.score(X, y) > 0.8


def test_a_tuned_threshold(backbone, rows):
    X, y = rows
    faulty = np.where(y == "normal", "normal", "fault")
    recall = make_scorer(lambda true, said: (said[true == "fault"] == "fault").mean())
    plain = TransferClassifier(backbone, strategy=LinearProbing(alpha=30.0)).fit(X, faulty)
    tuned = TunedThresholdClassifierCV(clone(plain), scoring=recall, cv=3).fit(X, faulty)
    assert tuned.best_threshold_ > 0.5  # of "normal"
    assert recall(plain, X, faulty) <= recall(tuned, X, faulty) >= 0.97


def test_stacking_bagging_and_importance(backbone, rows):
    X, y = rows
    model = TransferClassifier(backbone, strategy=LinearProbing(), random_state=0)
    stacked = StackingClassifier([("net", model), ("line", LogisticRegression())], cv=3).fit(X, y)
    assert stacked.score(X, y) > 0.8
    bagged = BaggingClassifier(model, n_estimators=3, random_state=0).fit(X, y)
    assert bagged.score(X, y) > 0.8
    assert all(member.backbone is backbone for member in bagged.estimators_)
    X_test, y_test = moons(300, seed=2)
    importance = permutation_importance(model.fit(X, y), X_test, y_test, n_repeats=3, random_state=0).importances_mean
    assert importance[:3].min() > importance[3] + 0.1  # the fourth column says nothing


def test_features_under_any_estimator(backbone, rows):
    X, y = rows
    X_test, y_test = moons(400, seed=2)
    with_features = make_pipeline(FeatureExtractor(backbone), LogisticRegression()).fit(X, y)
    without = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    assert with_features.score(X_test, y_test) > without.score(X_test, y_test) + 0.1


def test_a_frozen_scaler_keeps_the_healthy_baseline(backbone, rows):
    X, y = rows
    scaler = BaselineScaler().fit(X[y == "normal"])
    pipeline = make_pipeline(FrozenEstimator(scaler), TransferClassifier(backbone, strategy=LinearProbing())).fit(X, y)
    np.testing.assert_array_equal(pipeline[0].center_, scaler.center_)
    z = scaler.transform(X)
    np.testing.assert_array_equal(
        pipeline.predict_proba(X), TransferClassifier(backbone, strategy=LinearProbing()).fit(z, y).predict_proba(z)
    )


@pytest.mark.parametrize(
    "model",
    [
        TransferClassifier(
            SMALL, head=MLPHead((8,)), strategy=LayerDecay(0.3) & ProbeThenTune(), class_weight={"a": 2}
        ),
        TransferRegressor(SMALL, lr=0.1),
        FeatureExtractor(SMALL, block="block1"),
        BaselineScaler("normal", clip=None),
    ],
    ids=lambda model: type(model).__name__,
)
def test_clones_have_equal_parameters_of_their_own(model):
    copied = clone(model)
    for name, value in model.get_params().items():
        assert repr(copied.get_params()[name]) == repr(value)
        if hasattr(value, "get_params"):
            assert copied.get_params()[name] is not value


def test_frames_in_frames_out_and_names_are_kept(backbone, rows):
    X, y = rows
    frame = pd.DataFrame(X, columns=["p", "T", "flow", "rpm"])
    pipeline = make_pipeline(BaselineScaler(), FeatureExtractor(backbone)).set_output(transform="pandas")
    features = pipeline.fit_transform(frame)
    assert list(features.columns) == [f"featureextractor{i}" for i in range(16)]
    assert list(pipeline[0].transform(frame).columns) == ["p", "T", "flow", "rpm"]
    assert list(pipeline.get_feature_names_out()) == list(features.columns)
    whole = pipeline_of(backbone).set_output(transform="pandas").fit(frame, y)
    assert whole[-1].feature_names_in_.tolist() == ["p", "T", "flow", "rpm"]
    assert whole[-1].backbone_.inputs.names == ("p", "T", "flow", "rpm")
    np.testing.assert_array_equal(whole.predict(frame), pipeline_of(backbone).fit(X, y).predict(X))


def test_the_html_picture_shows_parameters_and_no_weights(backbone, rows):
    X, y = rows
    for model in (pipeline_of(backbone, strategy=LayerDecay(0.7)), pipeline_of(backbone).fit(X, y)):
        page = estimator_html_repr(model)
        assert "TransferClassifier" in page
        assert "tensor(" not in page
        assert len(page) < 100_000
    assert "Backbone(" in repr(model[-1])


def test_row_weights_are_routed_through_a_pipeline(backbone, rows):
    X, y = rows
    weight = np.random.default_rng(0).uniform(0.1, 3.0, size=len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        model = TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).set_fit_request(
            sample_weight=True
        )
        routed = make_pipeline(BaselineScaler(), model).fit(X, y, sample_weight=weight).predict_proba(X)
    plain = make_pipeline(BaselineScaler(), TransferClassifier(backbone, strategy=LinearProbing(), random_state=0))
    by_name = plain.fit(X, y, transferclassifier__sample_weight=weight).predict_proba(X)
    np.testing.assert_array_equal(routed, by_name)
    assert np.abs(by_name - plain.fit(X, y).predict_proba(X)).max() > 1e-4


def test_scikit_learns_progress_bars_see_every_epoch(rows, capsys):
    callback = pytest.importorskip("sklearn.callback", reason=f"scikit-learn {sklearn.__version__} has no callbacks")
    X, y = rows
    model = TransferClassifier(SMALL, max_epochs=4, random_state=0)
    plain = make_pipeline(BaselineScaler(), clone(model)).fit(X, y)
    bars = make_pipeline(BaselineScaler(), clone(model)).set_callbacks(callback.ProgressBar(max_propagation_depth=None))
    bars.fit(X, y)
    np.testing.assert_array_equal(bars.predict_proba(X), plain.predict_proba(X))
    assert "TransferClassifier" in capsys.readouterr().out
    search = GridSearchCV(make_pipeline(BaselineScaler(), model), {"transferclassifier__lr": [0.01, 0.001]}, cv=2)
    search.set_callbacks(callback.ProgressBar()).fit(X, y)
    assert len(search.cv_results_["params"]) == 2


def test_a_callback_of_scikit_learn_sees_one_task_an_epoch_and_may_stop_the_fit(rows):
    pytest.importorskip("sklearn.callback", reason=f"scikit-learn {sklearn.__version__} has no callbacks")

    class Counts:
        def __init__(self):
            self.ended = []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            self.ended.append(context.task_name)
            return self.ended.count("epoch") == 3

    counts = Counts()
    model = TransferClassifier(SMALL, max_epochs=10, random_state=0).set_callbacks(counts).fit(*rows)
    assert counts.ended == ["epoch"] * 3 + ["fit"]
    assert model.n_iter_ == 3
