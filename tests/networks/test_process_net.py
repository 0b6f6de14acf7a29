"""ProcessNet: its statistics against plain numpy loops, and laws over tags."""

import numpy as np
import pytest
import torch

from sktransfer import Backbone, FeatureExtractor, Inputs, TransferClassifier, load_backbone, save_backbone
from sktransfer.networks.process_net import ProcessNet, multiscale_statistics


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = ProcessNet(n_scales=4, width=16, n_code=6, n_features=10)
        for module in made.modules():  # statistics that are not those of a new network
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2.0)
    return made.eval()


def windows(n_windows=4, n_channels=3, length=48, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_windows, n_channels, length)).cumsum(axis=2) * 0.3
    return X.astype(np.float32)


def run(module, X):
    with torch.inference_mode():
        return module(torch.as_tensor(X)).numpy()


def near(found, expected, **tolerance):
    np.testing.assert_allclose(found, expected, **{"rtol": 1e-4, "atol": 1e-5, **tolerance})


def log_rms(values):
    return np.log(np.sqrt(np.mean(np.square(values))) + 0.02)


@pytest.mark.parametrize("length", [16, 17, 31, 48, 100])
def test_statistics_are_those_of_plain_loops(length):
    X = windows(2, 4, length).reshape(8, length)
    found = multiscale_statistics(torch.from_numpy(X), 6).numpy()
    assert found.shape == (8, 11)
    for x, row in zip(X.astype(np.float64), found, strict=True):
        eighth = length // 8
        means = [x[i * eighth : (i + 1) * eighth].mean() for i in range(length // eighth)]
        expected = [x.mean(), means[-1] - means[0], min(means), max(means), log_rms(x - x.mean())]
        for width in (1, 2, 4, 8, 16, 32):
            if 2 * width <= length:
                last = [
                    x[i + width : i + 2 * width].mean() - x[i : i + width].mean() for i in range(length - 2 * width + 1)
                ]
            expected.append(log_rms(last))
        near(row, expected, atol=1e-4)


def test_statistics_of_signals_that_are_known():
    t = np.arange(64.0, dtype=np.float32)
    still, ramp, zigzag = np.full(64, 2.0, np.float32), t / 8, np.where(t % 2 == 0, 1.0, -1.0).astype(np.float32)
    found = multiscale_statistics(torch.from_numpy(np.stack([still, ramp, zigzag])), 5).numpy()
    nothing = np.log(0.02)
    near(found[0], [2, 0, 2, 2, *[nothing] * 6])
    near(found[1, 1], 7.0)  # from the mean of the first eighth to that of the last: 56 samples
    near(found[1, 5:], np.log(np.array([1, 2, 4, 8, 16]) / 8 + 0.02))  # the means of a ramp lie `width` apart
    near(found[2], [0, 0, 0, 0, np.log(1.02), np.log(2.02), *[nothing] * 4])


def test_a_tag_has_its_statistics_and_a_code(network):
    X = windows()
    found = run(network.tag, X)
    assert found.shape == (4, 3, 5 + 4 + 6)
    statistics = multiscale_statistics(torch.from_numpy(X.reshape(12, 48)), 4)
    near(found[:, :, :9].reshape(12, 9), run(network.tag.normalize, statistics))
    near(run(network.tag, X[:, [1]]), found[:, [1]])  # tags do not know each other here


def test_the_order_of_tags_does_not_matter(network):
    X = windows()
    expected = run(network, X)
    assert expected.std() > 0.01
    near(run(network, X[:, [2, 0, 1]]), expected)
    assert np.abs(run(network, X[:, [0, 0, 1]]) - expected).max() > 1e-3


def test_any_number_of_tags_is_taken_and_one_that_is_repeated_says_nothing_new(network):
    X = windows(n_channels=1)
    one = run(network, X)
    for n in (2, 7, 52):
        near(run(network, np.repeat(X, n, axis=1)), one)
        assert run(network, windows(n_channels=n)).shape == (4, 10)


@pytest.mark.parametrize("length", [16, 17, 20, 63, 64, 500, 3000])
def test_windows_of_any_length_from_16_samples_are_taken(network, length):
    found = run(network, windows(length=length))
    assert found.shape == (4, 10)
    assert np.isfinite(found).all()


def test_windows_do_not_know_each_other_in_inference(network):
    X = windows()
    near(run(network, X[2:3]), run(network, X)[2:3])


def test_it_is_stored_by_name_and_used_by_estimators(network, tmp_path):
    backbone = Backbone(network, name="small", inputs=Inputs(shape=(None, None)))
    assert backbone.blocks == ("tag", "plant")
    assert backbone.network["name"] == "process"
    loaded = load_backbone(save_backbone(backbone, tmp_path / "small.safetensors"))
    X = windows(30)
    X[::2] += np.sin(np.arange(48)).astype(np.float32)
    expected = run(network, X)
    for b in (backbone, loaded):
        near(FeatureExtractor(b, standardize=False).fit_transform(X), expected)
    near(FeatureExtractor(loaded, block="tag", standardize=False).fit_transform(X), run(network.tag, X).reshape(30, -1))
    y = np.resize(["swing", "normal"], 30)
    first, second = (TransferClassifier(b, random_state=0).fit(X, y).predict_proba(X) for b in (backbone, loaded))
    near(first, second)
