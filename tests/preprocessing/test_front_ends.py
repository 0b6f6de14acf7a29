"""Backbones with a front end: windows in, the numbers of EnvelopeSpectra to the first block."""

import io

import joblib
import numpy as np
import pytest
import torch

from sktransfer import (
    Backbone,
    EnvelopeSpectra,
    FeatureExtractor,
    FineTuning,
    Inputs,
    LinearProbing,
    ModelFileError,
    TransferClassifier,
    Windows,
    load_backbone,
    save_backbone,
)
from sktransfer.networks.vibration_net import VibrationNet
from sktransfer.preprocessing import envelope_spectra as envelope
from sktransfer.preprocessing.front_ends import front_end

SIZES = (envelope.N_VIEWS, envelope.N_LINES, envelope.N_AXIS, envelope.N_SCALARS)
RATES = (50.0, 100_000.0)  # Hz


def untrained(**sizes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = VibrationNet(*SIZES, **sizes)
    inputs = Inputs(shape=(None, None), front_end="envelope", sampling_rate=RATES)
    return Backbone(network, name="small", inputs=inputs)


@pytest.fixture(scope="module")
def backbone():
    return untrained(width=8, n_line_features=4, n_features=8)


def windows(n=30, n_channels=2, length=256, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, n_channels, length)).astype(np.float32)
    X[1::2] += np.sin(np.arange(length) * 0.9)
    return Windows.of(X, sampling_rate=12_000, rpm=np.linspace(900, 3000, n), orders=[3.58, 5.42, 2.36, 0.398])


Y = np.resize(["normal", "hum"], 30)


@pytest.mark.parametrize(
    ("name", "hint"), [("envelop", " Did you mean 'envelope'?"), ("Envelope", " Did you mean"), ("wavelet", "")]
)
def test_an_unknown_front_end_is_an_error_with_the_nearest_known(name, hint):
    message = f"Unknown front end '{name}'.{hint}"
    for make in (front_end, lambda name: Backbone(VibrationNet(*SIZES), inputs=Inputs(shape=(2, 64), front_end=name))):
        with pytest.raises(ValueError, match=r"Known are \['envelope'\]") as caught:
            make(name)
        assert str(caught.value).startswith(message)


def test_a_file_that_names_an_unknown_front_end_is_refused(backbone, tmp_path):
    path = save_backbone(backbone, tmp_path / "b.safetensors")
    content = path.read_bytes()
    assert content.count(b"envelope") == 1
    path.write_bytes(content.replace(b"envelope", b"envelopf"))
    with pytest.raises(ModelFileError):
        load_backbone(path)


def test_the_first_block_gets_what_the_front_end_returns(backbone):
    X = windows()
    numbers = EnvelopeSpectra()(X)
    np.testing.assert_array_equal(backbone.prepare(X), numbers)
    x = torch.from_numpy(numbers)
    with torch.inference_mode():
        for module in backbone.copy_blocks():
            x = module(x)
    found = FeatureExtractor(backbone, standardize=False).fit_transform(X)
    np.testing.assert_allclose(found, x.numpy(), rtol=1e-4, atol=1e-5)
    bare = Windows.of(np.asarray(X), sampling_rate=12_000)
    plain = FeatureExtractor(backbone, standardize=False).fit(X).transform(bare)
    assert np.abs(plain - found).max() > 1e-3  # without speed and orders the numbers are others


def test_it_says_what_it_takes(backbone):
    assert repr(backbone) == "Backbone('small', 3 blocks, any x any -> 12 features)"
    assert (backbone.n_dimensions, backbone.n_features_in) == (3, None)
    described = backbone.describe(name="other")
    np.testing.assert_array_equal(described.prepare(windows()), backbone.prepare(windows()))


@pytest.mark.parametrize("strategy", [LinearProbing(), FineTuning(n_frozen_blocks=1)])
def test_saved_and_loaded_it_predicts_the_same(backbone, tmp_path, strategy):
    X, new = windows(), windows(seed=1)
    options = {"strategy": strategy, "max_epochs": 2, "lr": 0.001, "random_state": 0}
    expected = TransferClassifier(backbone, **options).fit(X, Y)
    loaded = load_backbone(save_backbone(backbone, tmp_path / "small.safetensors"))
    assert loaded.inputs.front_end == "envelope"
    assert loaded.inputs.sampling_rate == RATES
    again = TransferClassifier(loaded, **options).fit(X, Y)
    np.testing.assert_allclose(again.predict_proba(new), expected.predict_proba(new), atol=1e-4)
    file = io.BytesIO()
    joblib.dump(expected, file)
    file.seek(0)
    np.testing.assert_allclose(joblib.load(file).predict_proba(new), expected.predict_proba(new), atol=1e-5)
    # what a fit leaves behind has the front end too
    left = load_backbone(save_backbone(expected.backbone_, tmp_path / "left.safetensors"))
    np.testing.assert_array_equal(left.prepare(new), backbone.prepare(new))


def test_it_learns_from_what_the_front_end_shows():
    model = TransferClassifier(untrained(), strategy=LinearProbing()).fit(windows(), Y)
    assert model.score(windows(seed=1), Y) > 0.9


def test_windows_without_a_rate_or_with_another_are_refused(backbone):
    X = windows()
    with pytest.raises(
        ValueError, match="backbone 'small' takes windows sampled at 50 to 100000 Hz, and these do not"
    ) as e:
        TransferClassifier(backbone, strategy=LinearProbing()).fit(np.asarray(X), Y)
    assert "Windows.of(X, sampling_rate=...)" in str(e.value)
    fitted = TransferClassifier(backbone, strategy=LinearProbing()).fit(X, Y)
    with pytest.raises(ValueError, match="these do not say their rate"):
        fitted.predict(np.asarray(X))
    with pytest.raises(ValueError, match="sampled at 20 Hz, but its backbone 'small' takes 50 to 100000 Hz"):
        FeatureExtractor(backbone).fit(Windows.of(X, sampling_rate=20))


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.OutOfRangeWarning")
def test_windows_that_are_too_short_or_flat_are_an_error_or_finite(backbone):
    X = windows()
    fitted = TransferClassifier(backbone, strategy=LinearProbing()).fit(X, Y)
    with pytest.raises(ValueError, match="EnvelopeSpectra got windows of 16 samples, but needs at least 32"):
        fitted.predict(X[:, :, :16])
    assert np.isfinite(fitted.predict_proba(X[:, :, :64])).all()
    assert np.isfinite(fitted.predict_proba(X * 0)).all()
    assert len(fitted.predict(X[:1])) == 1
    assert np.isfinite(FeatureExtractor(backbone).fit(X).transform(X[:, [0, 1]])).all()
