"""Which windows go with which network: channels, values and sampling rates, and the network that is made for them."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import get_tags

from sktransfer import (
    Backbone,
    BatchedGridSearchCV,
    FeatureExtractor,
    FromScratch,
    Inputs,
    LinearProbing,
    OutOfRangeWarning,
    TransferClassifier,
    Windows,
)
from sktransfer.exceptions import DataQualityWarning
from tests import tones
from tests.helpers import small_backbone
from tests.tones import ANY_CHANNELS, NEW, SMALL, X, answers, assert_near, signals, y

backbone = tones.backbone  # the fixture


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


def test_what_has_no_shape_is_named_by_its_dimensions():
    with pytest.raises(ValueError, match=r"got X of 2 dimensions, but its network 'cnn' takes windows"):
        TransferClassifier(FromScratch("cnn")).fit([[1.0, 2.0], [3.0, 4.0]], [0, 1])
    with pytest.raises(ValueError, match=r"got X of shape \(2, 2\), but its network 'cnn' takes windows"):
        TransferClassifier(FromScratch("cnn")).fit(np.eye(2), [0, 1])


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
    fitted = TransferClassifier(backbone, max_epochs=2).fit(X, y)
    with pytest.raises(ValueError, match=r"windows of 1 channel, but was fitted to windows of 2"):
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X * np.array([1, 0])[:, None], r"the channels \[1\] do not change in any window"),
        (lambda X: np.where(np.arange(60)[:, None, None] < 5, X[:, :, :1], X), "not change within 5 of 60 windows"),
        (lambda X: np.where(np.arange(64) % 20 == 3, -9999.0, X), r"\(-9999 in 6%\)', .*hold one value"),
    ],
    ids=["dead", "stuck", "sentinel"],
)
def test_channels_that_look_wrong_are_a_warning(backbone, change, message):
    with pytest.warns(DataQualityWarning, match=message):
        model = TransferClassifier(backbone, max_epochs=2).fit(change(X.astype(np.float64)), y)
    assert np.isfinite(model.predict_proba(NEW)).all()


def test_good_channels_are_no_warning(backbone):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TransferClassifier(backbone, max_epochs=2).fit(X, y).predict(X)


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
