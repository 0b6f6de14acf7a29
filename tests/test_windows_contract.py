"""What holds of every estimator of this package where X is windows: scikit-learn's battery knows tables only."""

import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
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
    OutOfRangeWarning,
    ProbeThenTune,
    TransferClassifier,
    TransferRegressor,
    Windows,
    make_pipeline,
)
from sktransfer.exceptions import DataQualityWarning
from tests.helpers import small_backbone

SMALL = FromScratch("cnn", {"widths": (4, 8), "kernel_size": 5, "strides": 2})
ANY_CHANNELS = FromScratch("cnn", {"widths": (4, 8), "kernel_size": 5, "strides": 2, "shared_channels": True})


def signals(n_windows=60, n_channels=2, length=64, seed=0):
    """Three classes of tones in noise, float32, and their frequencies."""
    rng = np.random.default_rng(seed)
    code = np.arange(n_windows) % 3
    frequency = 0.03 + 0.1 * code
    angle = 2 * np.pi * frequency[:, None] * np.arange(length) + rng.uniform(0, 6, (n_windows, 1))
    X = np.sin(angle)[:, None, :] * np.linspace(1, 2, n_channels)[:, None] + 0.3 * rng.normal(
        size=(n_windows, n_channels, length)
    )
    return X.astype(np.float32), np.array(["inner", "normal", "outer"])[code], frequency


X, y, frequency = signals()
X.flags.writeable = False
NEW = signals(30, seed=1)[0]


@pytest.fixture(scope="module")
def backbone():
    source, labels, _ = signals(150, seed=2)
    return (
        TransferClassifier(SMALL, max_epochs=15, lr=0.01, batch_size=32, random_state=0).fit(source, labels).backbone_
    )


@pytest.fixture(scope="module", params=["scratch", "probing", "fine-tuning", "any channels", "regressor", "extractor"])
def estimator(request, backbone):
    options = {"max_epochs": 3, "lr": 0.003, "batch_size": 16, "random_state": 0}
    return {
        "scratch": TransferClassifier(SMALL, **options),
        "probing": TransferClassifier(backbone, strategy=LinearProbing(), **options),
        "fine-tuning": TransferClassifier(backbone, strategy=FineTuning(n_frozen_blocks=1), **options),
        "any channels": TransferClassifier(ANY_CHANNELS, **options),
        "regressor": TransferRegressor(backbone, strategy=ProbeThenTune(), **options),
        "extractor": FeatureExtractor(backbone),
    }[request.param]


@pytest.fixture(scope="module")
def fitted(estimator):
    return fit(estimator)


def labels_of(estimator):
    return frequency if isinstance(estimator, TransferRegressor) else y


def answers(fitted, X):
    for method in ("predict_proba", "transform", "predict"):
        if hasattr(fitted, method):
            return getattr(fitted, method)(X)
    raise TypeError(fitted)


def fit(estimator, X=X, **params):
    return clone(estimator).fit(X, labels_of(estimator), **params)


def assert_near(found, expected, **tolerance):
    np.testing.assert_allclose(found, expected, **{"rtol": 1e-4, "atol": 1e-5, **tolerance})


def test_it_learns_to_tell_tones(backbone):
    assert TransferClassifier(backbone).fit(X[:12], y[:12]).score(X, y) > 0.9
    assert TransferClassifier(SMALL, max_epochs=20, lr=0.01, random_state=0).fit(X, y).score(X, y) > 0.9


def test_fitted_twice_and_cloned_it_gives_the_same(estimator):
    before = X.copy()
    fitted = fit(estimator)
    first = answers(fitted, NEW)
    assert np.array_equal(first, answers(fitted.fit(X, labels_of(estimator)), NEW))
    assert np.array_equal(first, answers(fit(clone(fitted)), NEW))
    assert np.array_equal(X, before)
    assert fitted.n_features_in_ == 2
    assert fitted.sampling_rate_ is None
    assert not hasattr(fitted, "feature_names_in_")


def test_a_window_gets_the_same_answer_alone_in_another_order_and_among_others(fitted):
    expected = answers(fitted, NEW)
    order = np.random.default_rng(3).permutation(len(NEW))
    assert_near(answers(fitted, NEW[order]), expected[order])
    assert_near(answers(fitted, NEW[7:8]), expected[7:8])
    assert_near(np.concatenate([answers(fitted, NEW[:11]), answers(fitted, NEW[11:])]), expected)


def test_many_windows_go_through_in_chunks_by_their_bytes(fitted, monkeypatch):
    expected = answers(fitted, NEW)
    monkeypatch.setattr("sktransfer._lean.CHUNK_BYTES", 4 * 2 * 64 * 8)  # eight windows
    assert_near(answers(fitted, NEW), expected)


def test_order_and_weights_of_training_windows_mean_what_they_mean_for_rows(estimator):
    if isinstance(estimator, FeatureExtractor):
        return
    labels, twice = labels_of(estimator), np.r_[np.arange(60), np.arange(10)]
    fitted = clone(estimator).fit(X[twice], labels[twice])
    weighted = fit(estimator, sample_weight=np.where(np.arange(60) < 10, 2.0, 1.0))
    assert_near(answers(weighted, NEW), answers(fitted, NEW))
    order = np.random.default_rng(4).permutation(60)
    assert_near(answers(clone(estimator).fit(X[order], labels[order]), NEW), answers(fit(estimator), NEW))


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.tolist(),
        lambda X: list(X),
        lambda X: X.astype(np.float64),
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=2)[:, :, ::2],
        Windows.of,
    ],
    ids=["lists", "list of arrays", "float64", "Fortran", "strided", "Windows"],
)
def test_the_kind_of_array_does_not_matter(estimator, fitted, change):
    expected = answers(fitted, NEW)
    assert_near(answers(fit(estimator, change(X)), change(NEW)), expected)


def test_memory_that_is_read_only_and_on_disk_is_left_alone(estimator, tmp_path):
    joblib.dump(X, tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    fitted = fit(estimator, mapped)
    assert np.array_equal(answers(fitted, mapped), answers(fit(estimator), X))


def test_whole_numbers_are_windows_too(estimator):
    counts = np.round(X * 1000).astype(np.int16)
    expected = answers(fit(estimator, counts.astype(np.float64)), counts.astype(np.float64))
    assert_near(answers(fit(estimator, counts), counts), expected)


def test_stored_it_gives_the_same_answers(estimator):
    fitted = fit(estimator, Windows.of(X, sampling_rate=100.0))
    new = Windows.of(NEW, sampling_rate=100.0)
    file = io.BytesIO()
    joblib.dump(fitted, file)
    file.seek(0)
    for loaded in (pickle.loads(pickle.dumps(fitted)), joblib.load(file)):
        assert np.array_equal(answers(loaded, new), answers(fitted, new))
        assert loaded.sampling_rate_ == 100.0
        with pytest.raises(ValueError, match=r"50 Hz.*100 Hz"):
            answers(loaded, Windows.of(NEW, sampling_rate=50.0))


def test_one_window_and_another_length_are_answered(fitted):
    assert len(answers(fitted, NEW[:1])) == 1
    assert answers(fitted, signals(5, length=50)[0]).shape == answers(fitted, NEW[:5]).shape


def test_one_window_cannot_be_fitted_to(backbone):
    with pytest.raises(ValueError, match="two classes, so at least 2 rows"):
        TransferClassifier(backbone).fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="at least 2 rows"):
        TransferRegressor(backbone).fit(X[:1], frequency[:1])
    assert FeatureExtractor(backbone).fit_transform(X[:1]).shape == (1, 16)


# ---- in scikit-learn's hands


def test_cross_validation_with_groups(backbone):
    groups = np.repeat(np.arange(10), 6)
    scores = cross_val_score(TransferClassifier(backbone), X, y, groups=groups, cv=GroupKFold(5))
    assert scores.shape == (5,)
    assert scores.mean() > 0.9


@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc_ovr"])
def test_a_search_scores_as_scikit_learns_and_shares_frozen_features(backbone, scoring):
    grid = [
        {"strategy": [LinearProbing(pull=0.1), LinearProbing(pull=10.0)]},
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
    from sktransfer import _features

    calls, run = [], _features.run_blocks
    monkeypatch.setattr(_features, "run_blocks", lambda module, X, *at: calls.append(len(X)) or run(module, X, *at))
    grid = {"strategy": [LinearProbing(pull=pull) for pull in (0.1, 1.0, 10.0)]}
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


# ---- without a backbone


@pytest.mark.parametrize(
    ("length", "kernel_size", "strides"), [(700, 7, 4), (130, 7, 2), (80, 5, 2), (20, 3, 1), (11, 3, 1)]
)
def test_no_backbone_means_a_cnn_that_fits_the_windows(length, kernel_size, strides):
    X, y, _ = signals(12, length=length)
    model = TransferClassifier(max_epochs=1, random_state=0).fit(X, y)
    network = model.backbone_.network
    assert (network["name"], network["arguments"]["kernel_size"]) == ("cnn", kernel_size)
    assert network["arguments"]["strides"] == strides
    assert model.backbone_.inputs.shape == (2, None)


def test_arguments_say_which_network_is_meant():
    wide = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    with pytest.raises(ValueError, match=r"dim 3.*its network 'mlp' takes rows of a table"):
        TransferClassifier(wide).fit(X, y)
    narrow = FromScratch(arguments={"widths": (4, 4), "dropout": 0.2})
    with pytest.raises(ValueError, match=r"its network 'cnn' takes windows.*SlidingWindows"):
        TransferClassifier(narrow).fit(X[:, 0], y)
    built = narrow.build(3, (64,))
    assert (built.n_features_out, built.network["arguments"]["dropout"]) == (8, 0.2)
    again = FromScratch.like(built).build(5, (64,))
    assert (again.inputs.shape, again.n_features_out) == ((5, None), 8)
    assert FromScratch().build(4).inputs.shape is None


def test_no_network_is_made_up_for_images():
    with pytest.raises(ValueError, match=r"knows no network for images of \(8, 8\) pixels"):
        TransferClassifier().fit(np.random.default_rng(0).normal(size=(4, 1, 8, 8)), [0, 1, 0, 1])


def test_images_go_the_same_way():
    from torch import nn

    rng = np.random.default_rng(0)
    images, digits = rng.normal(size=(40, 1, 9, 8)).astype(np.float32), np.arange(40) % 2
    images[digits == 1, 0, :, :4] += 2
    network = nn.Sequential(nn.Conv2d(1, 3, 3, stride=2), nn.ReLU(), nn.Flatten())
    backbone = Backbone(network, inputs=Inputs(shape=(1, 9, 8)))
    model = TransferClassifier(backbone).fit(images, digits)
    assert model.score(images, digits) > 0.9
    assert model.n_features_in_ == 1
    assert get_tags(model).input_tags.three_d_array is False
    assert FeatureExtractor(backbone).fit_transform(images).shape == (40, 3 * 4 * 3)
    with pytest.raises(ValueError, match=r"samples of 8 x 8 values a channel.*takes 9 x 8"):
        model.predict(images[:, :, :8])
    with pytest.raises(ValueError, match=r"shape \(40, 9, 8\).*takes 4 dimensions, \(n_samples, 1, 9, 8\)"):
        model.predict(images[:, 0])


# ---- what does not fit


def test_rows_for_a_backbone_of_windows_are_told_to_be_cut(estimator, fitted):
    for do in (lambda rows: fit(estimator, rows), lambda rows: answers(fitted, rows)):
        with pytest.raises(ValueError, match=r"shape \(60, 64\).*takes windows \(n_windows, n_channels, length\)"):
            do(X[:, 0])
        with pytest.raises(ValueError, match=r"takes windows.*SlidingWindows"):
            do(X[:, 0, 0])


def test_windows_for_a_backbone_of_rows_are_told_what_to_do():
    rows = small_backbone(max_epochs=1)
    for estimator in (TransferClassifier(rows), FeatureExtractor(rows)):
        with pytest.raises(ValueError, match=r"shape \(60, 2, 64\).*backbone 'fitted' takes rows.*LaggedWindows"):
            estimator.fit(X, y)
    fitted = TransferClassifier(rows).fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"array with dim 3.*takes rows of a table"):
        fitted.predict(X)


def test_other_channels_are_named_with_both_numbers(backbone):
    with pytest.raises(ValueError, match=r"windows of 3 channels, but its backbone 'fitted' takes 2"):
        TransferClassifier(backbone).fit(signals(n_channels=3)[0], y)
    fitted = TransferClassifier(backbone).fit(X, y)
    with pytest.raises(ValueError, match=r"windows of 1 channels, but was fitted to windows of 2"):
        fitted.predict(NEW[:, :1])


def test_a_network_of_shared_channels_transfers_to_other_channels():
    source = TransferClassifier(ANY_CHANNELS, max_epochs=15, lr=0.01, random_state=0).fit(X, y).backbone_
    assert source.inputs.shape == (None, None)
    other, labels, _ = signals(30, n_channels=3, seed=5)
    fitted = TransferClassifier(source).fit(other, labels)
    assert fitted.score(*signals(60, n_channels=3, seed=6)[:2]) > 0.8
    assert_near(fitted.predict_proba(other[:, [2, 0, 1]]), fitted.predict_proba(other), atol=1e-3)
    with pytest.raises(ValueError, match="fitted to windows of 3"):
        fitted.predict(NEW)


def test_windows_shorter_than_the_receptive_field_name_both_lengths(estimator, fitted):
    # one convolution of 5 at stride 2, two of 5 after it: 5 + 2 * 4 + 4 * 4 samples
    for do in (lambda short: fit(estimator, short), lambda short: answers(fitted, short)):
        with pytest.raises(ValueError, match=r"at least 29 samples.*got windows of 28"):
            do(X[:, :, :28])
    fit(estimator, X[:, :, :29])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: np.where(np.arange(2)[:, None] == 1, np.nan, X), r"NaN in channel 1 \(60 windows\)"),
        (lambda X: np.where(np.arange(60)[:, None, None] == 3, np.inf, X), r"infinity in channel 0 \(1 windows\), 1"),
        (lambda X: X * 1e18, r"values beyond 1e\+15 in channel 0 \(60 windows\), 1"),
        (lambda X: X[:, :, :0], r"shape \(60, 2, 0\).*at least one channel and one sample"),
        (lambda X: X[:, :0], r"shape \(60, 0, 64\).*at least one channel"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: [*X[1:], X[0, :, :9]], "one length.*SlidingWindows"),
        (lambda X: X.astype(str), "text"),
        (lambda X: X + 1j, "Complex data not supported"),
    ],
    ids=["NaN", "infinite", "huge", "no samples", "no channels", "no windows", "ragged", "text", "complex"],
)
def test_what_is_no_signal_is_named(estimator, fitted, change, message):
    with pytest.raises(ValueError, match=message):
        fit(estimator, change(X))
    with pytest.raises(ValueError, match=message):
        answers(fitted, change(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X * np.array([1, 0])[:, None], "channel 1 is 0 in every sample"),
        (lambda X: np.where(np.arange(60)[:, None, None] < 5, X[:, :, :1], X), "not change within 5 of 60 windows"),
        (lambda X: np.where(np.arange(64) % 20 == 3, -9999.0, X), "holds the value -9999 in 6% of the samples"),
    ],
    ids=["dead", "stuck", "sentinel"],
)
def test_channels_that_look_wrong_are_a_warning(backbone, change, message):
    with pytest.warns(DataQualityWarning, match=message):
        model = TransferClassifier(backbone).fit(change(X.astype(np.float64)), y)
    assert np.isfinite(model.predict_proba(NEW)).all()


def test_good_channels_are_no_warning(backbone):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TransferClassifier(backbone).fit(X, y).predict(X)


def test_windows_far_outside_the_seen_range_of_a_channel_are_never_certain(backbone):
    model = TransferClassifier(backbone).fit(X, y)
    low, high = model.backbone_.inputs.minimum, model.backbone_.inputs.maximum
    source = signals(150, seed=2)[0]
    np.testing.assert_array_equal(low, np.minimum(X.min(axis=(0, 2)), source.min(axis=(0, 2))))
    np.testing.assert_array_equal(high, np.maximum(X.max(axis=(0, 2)), source.max(axis=(0, 2))))
    new = NEW.copy()
    new[4, 0, 10] = (high[0] + low[0]) / 2 + 20 * (high[0] - low[0])  # 40 half-ranges, 20 times what is tolerated
    with pytest.warns(OutOfRangeWarning, match="1 of 30"):
        found = model.predict_proba(new)
    assert 1 / 3 - 0.01 < found[4].max() < 1 / 3 + 2 / 3 / 20 + 0.01
    assert_near(np.delete(found, 4, axis=0), np.delete(model.predict_proba(NEW), 4, axis=0))


# ---- sampling rates


def limited(backbone, *rates):
    return backbone.describe(name="pump", inputs=Inputs(shape=(2, None), sampling_rate=rates))


@pytest.mark.parametrize("estimator", [TransferClassifier, FeatureExtractor])
def test_rates_outside_those_that_a_backbone_takes_are_refused(backbone, estimator):
    model = estimator(limited(backbone, 5_000, 20_000))
    with pytest.raises(ValueError, match=r"sampled at 25600 Hz.*'pump' takes 5000 to 20000 Hz.*SlidingWindows"):
        model.fit(Windows.of(X, sampling_rate=25_600), y)
    with pytest.raises(ValueError, match=r"do not say their rate.*Windows.of\(X, sampling_rate=...\)"):
        model.fit(X, y)
    fitted = model.fit(Windows.of(X, sampling_rate=12_000), y)
    assert fitted.sampling_rate_ == 12_000
    assert len(answers(fitted, Windows.of(NEW, sampling_rate=12_001))) == 30  # clocks are no better
    with pytest.raises(ValueError, match=r"sampled at 10000 Hz, but was fitted to windows sampled at 12000 Hz"):
        answers(fitted, Windows.of(NEW, sampling_rate=10_000))
    with pytest.raises(ValueError, match="do not say their rate"):
        answers(fitted, NEW)


def test_a_backbone_without_limits_takes_plain_arrays_and_one_rate(backbone):
    fitted = TransferClassifier(backbone).fit(Windows.of(X, sampling_rate=100), y)
    assert fitted.backbone_.inputs.sampling_rate is None
    assert np.array_equal(fitted.predict(NEW), fitted.predict(Windows.of(NEW, sampling_rate=100)))
    with pytest.raises(ValueError, match="fitted to windows sampled at 100 Hz"):
        fitted.predict(Windows.of(NEW, sampling_rate=200))


def test_a_network_from_scratch_takes_the_rate_it_was_trained_at(tmp_path):
    from sktransfer import load_backbone, save_backbone

    source = TransferClassifier(SMALL, max_epochs=1).fit(Windows.of(X, sampling_rate=100), y).backbone_
    for backbone in (source, load_backbone(save_backbone(source, tmp_path / "b.safetensors"))):
        assert backbone.inputs.sampling_rate == (100.0, 100.0)
        with pytest.raises(ValueError, match=r"sampled at 200 Hz.*takes 100 Hz"):
            TransferClassifier(backbone).fit(Windows.of(X, sampling_rate=200), y)


def test_a_grid_over_backbones_checks_the_rate_for_each(backbone):
    grid = {"backbone": [backbone, limited(backbone, 5_000, 20_000)]}
    search = BatchedGridSearchCV(TransferClassifier(strategy=LinearProbing()), grid, cv=2, refit=False)
    with pytest.warns(FitFailedWarning, match="takes 5000 to 20000 Hz"):
        search.fit(Windows.of(X, sampling_rate=100), y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


@pytest.mark.parametrize("rates", [5.0, (1, 2, 3), (2, 1), (0, 1), (1, np.inf), ("a", "b"), (np.nan, 1)])
def test_what_is_no_pair_of_rates_is_refused(rates):
    with pytest.raises(ValueError, match="sampling_rate is the lowest and the highest rate in Hz"):
        Inputs(shape=(1, None), sampling_rate=rates)


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
    monkeypatch.setattr("sktransfer._lean.CHUNK_BYTES", 4 * 2 * 64 * 40)  # forty windows
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
    windows, grid = Windows.of(X, rpm=np.linspace(1, 2, 60)), {"strategy": [LinearProbing(pull=p) for p in (0.1, 10.0)]}
    ours = BatchedGridSearchCV(TransferClassifier(backbone), grid, cv=3).fit(windows, y)
    theirs = GridSearchCV(TransferClassifier(backbone), grid, cv=3).fit(windows, y)
    assert_near(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert ours.cv_results_["how"].tolist() == ["solved"] * 2


def test_a_front_end_that_returns_no_numbers_is_named(turned):
    backbone, _ = turned
    with pytest.raises(ValueError, match="front end of the backbone returned values that are not finite"):
        TransferClassifier(backbone).fit(Windows.of(X, rpm=np.nan), y)
