"""Backbones from keras: the old head, and what is done with them: fine-tuning, files, models without keras."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sktransfer import (
    FineTuning,
    Inputs,
    LinearProbing,
    MLPHead,
    TransferClassifier,
    TransferRegressor,
    from_keras,
    save_backbone,
)
from tests import keras_nets
from tests.helpers import moons
from tests.keras_nets import keras, kl, outputs, rows, sequential

pytestmark = keras_nets.MARKS
saved = keras_nets.saved  # the fixture

ROOT = Path(__file__).parents[2]
CLASSES = ["leak", "normal", "wear"]


def test_the_classic_recipe_is_three_lines(saved, monkeypatch):
    model, folder = saved
    monkeypatch.chdir(folder)
    X, y = moons(60)
    y = (y == "normal").astype(int)
    backbone = from_keras("pretrained_fault_detection_model.h5")
    head, strategy = MLPHead(hidden_layer_sizes=(64,), dropout=0.5), FineTuning(n_frozen_blocks=-2)
    clf = TransferClassifier(backbone, head=head, strategy=strategy, max_epochs=60, lr=0.02, random_state=0).fit(X, y)
    assert backbone.blocks == ("dense_a", "dense_b", "dense_c")
    assert clf.score(X, y) > 0.8
    moved = backbone.changed(clf.module_.blocks)
    assert moved == [False, True, True]
    # the frozen block is keras's first layers, to the last digit that float32 gives
    x, _ = rows(model)
    below = keras.Model(model.inputs, model.layers[2].output).predict(x, verbose=0)
    with torch.inference_mode():
        found = clf.module_.features(torch.from_numpy(x), stop=1).numpy()
    np.testing.assert_allclose(found, below, rtol=0, atol=1e-5)
    assert clone(clf).fit(X, y).predict(X).tolist() == clf.predict(X).tolist()


def test_windows_are_learned_with_a_network_from_keras():
    rng, y = np.random.default_rng(0), np.resize(["slow", "fast"], 40)
    phase, rate = rng.uniform(0, 6, size=(40, 1)), np.where(y == "slow", 0.2, 0.8)[:, None]
    X = np.stack([np.sin(rate * np.arange(64) + phase), 0.1 * rng.normal(size=(40, 64))], axis=1)
    model = sequential(keras.Input((None, 2)), kl.Conv1D(16, 7, activation="relu"), kl.GlobalMaxPool1D(), kl.Dense(2))
    clf = TransferClassifier(from_keras(model), random_state=0).fit(X[:20], y[:20])
    assert clf.score(X[20:], y[20:]) > 0.9
    assert clf.n_features_in_ == 2


def test_a_model_of_a_fixed_batch_takes_any_number_of_samples():
    model = sequential(keras.Input(batch_shape=(32, 4)), kl.Dense(8, activation="relu"), kl.Dense(2))
    x, X = rows(model, n=32)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(outputs(from_keras(model, head="block"), X), expected, rtol=0, atol=1e-5)


def test_a_saved_backbone_and_a_model_need_no_keras(saved, tmp_path):
    import joblib

    model, _ = saved
    X, y = moons(40)
    backbone = from_keras(model)
    file = save_backbone(backbone, tmp_path / "b.safetensors")
    np.savez(tmp_path / "x.npz", X=X.astype(np.float32), expected=outputs(backbone, X))
    joblib.dump(TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).fit(X, y), tmp_path / "m.joblib")
    code = (
        "import sys; sys.modules['keras'] = sys.modules['h5py'] = None; import joblib, numpy as np\n"
        "from sktransfer import FeatureExtractor, load_backbone\n"
        "x = np.load(sys.argv[2]); b = load_backbone(sys.argv[1]); joblib.load(sys.argv[3]).predict(x['X'])\n"
        "found = FeatureExtractor(b, standardize=False).fit(x['X']).transform(x['X'])\n"
        "print(abs(found - x['expected']).max(), 'torch' in sys.modules)"
    )
    arguments = [sys.executable, "-c", code, file, tmp_path / "x.npz", tmp_path / "m.joblib"]
    done = subprocess.run([*map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    difference, needs_torch = done.stdout.split()
    assert float(difference) < 1e-5
    assert needs_torch == "False"


@pytest.mark.parametrize("with_rows", [False, True])
def test_the_old_head_is_remembered_by_class_names(saved, with_rows):
    model, _ = saved
    x, X = rows(model, n=50)
    backbone = from_keras(model, classes=CLASSES, X=X if with_rows else None)
    source, features = backbone.source, outputs(backbone, X).astype(np.float64)
    if with_rows:
        np.testing.assert_allclose(source.feature_mean, features.mean(axis=0), atol=1e-6)
    logits = (features - source.feature_mean) / source.feature_scale @ source.weight.T + source.bias
    expected = np.log(model.predict(x, verbose=0))
    np.testing.assert_allclose(logits - logits.mean(1)[:, None], expected - expected.mean(1)[:, None], atol=1e-4)
    assert source.classes.tolist() == CLASSES
    # an infinite pull to the source is the source
    clf = TransferClassifier(backbone, strategy=LinearProbing(alpha=np.inf), random_state=0).fit(
        x, np.resize(CLASSES, 50)
    )
    assert (clf.predict(x) == np.array(CLASSES)[expected.argmax(1)]).all()


def test_a_single_sigmoid_output_is_a_head_of_two_classes():
    model = sequential(keras.Input((4,)), kl.Dense(8, activation="relu"), kl.Dense(1, activation="sigmoid"))
    x, X = rows(model)
    backbone = from_keras(model, classes=["healthy", "faulty"])
    logits = outputs(backbone, X) @ backbone.source.weight.T + backbone.source.bias
    probability = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    np.testing.assert_allclose(probability, model.predict(x, verbose=0)[:, 0], atol=1e-5)
    for classes in (["faulty"], ["a", "b", "c"], ["a", "a"], [["a", "b"]]):
        with pytest.raises(ValueError, match="last layer has 1 outputs, so 2 different names"):
            from_keras(model, classes=classes)


def test_a_regressor_begins_from_the_old_head():
    model = sequential(keras.Input((4,)), kl.Dense(8, activation="relu"), kl.Dense(1))
    x, X = rows(model, n=40)
    values = model.predict(x, verbose=0)[:, 0]
    backbone = from_keras(model, head="values")
    regressor = TransferRegressor(backbone, strategy=LinearProbing(alpha=1e9), random_state=0).fit(X, values)
    np.testing.assert_allclose(regressor.predict(X), values, atol=1e-3)
    assert from_keras(model).source is None


def test_a_last_layer_that_is_no_head_stays():
    features = sequential(keras.Input((4,)), kl.Dense(8, activation="relu", name="a"), kl.Dense(5, activation="relu"))
    assert from_keras(features).n_features_out == 5
    with pytest.raises(ValueError, match="does not end with a linear layer"):
        from_keras(features, classes=list("abcde"))
    with pytest.raises(ValueError, match="one linear layer"):
        from_keras(sequential(keras.Input((4,)), kl.Dense(2)))
    with pytest.raises(ValueError, match="head must be one of"):
        from_keras(features, head="keep")
    with pytest.raises(ValueError, match="head='block'"):
        from_keras(features, head="block", classes=list("abcde"))


def test_words_about_the_inputs_are_kept_and_the_model_is_left_as_it_was(saved):
    model, _ = saved
    before = [w.copy() for w in model.get_weights()]
    backbone = from_keras(
        model, name="rig", inputs=Inputs(names=tuple("abcd"), units=("bar",) * 4), provenance={"n": 1}
    )
    assert (backbone.name, backbone.inputs.names, backbone.inputs.n) == ("rig", tuple("abcd"), 4)
    assert backbone.provenance == {"keras": keras.__version__, "n": 1}
    X, y = moons(30)
    TransferClassifier(backbone, strategy=FineTuning(), max_epochs=1, random_state=0).fit(X, y)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert all(layer.trainable for layer in model.layers)
