"""Networks from keras: the same outputs, and a clear word about what cannot be converted."""

import importlib
import json
import os
import subprocess
import sys
import zipfile
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
    ModelFileError,
    TransferClassifier,
    TransferRegressor,
    from_keras,
    from_module,
    load_backbone,
    save_backbone,
)
from sktransfer.keras_models import _import_keras
from tests.helpers import moons

try:
    keras = _import_keras()  # on its torch backend, as users get it
except ImportError:
    keras = None
pytestmark = [
    pytest.mark.skipif(keras is None, reason="needs keras: pip install 'sktransfer[keras]'"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # keras's own
]
if keras is not None:
    from keras import layers as kl

    pytest.importorskip("h5py", reason="needs h5py: pip install 'sktransfer[keras]'")

ROOT = Path(__file__).parents[1]
CLASSES = ["leak", "normal", "wear"]


def settle(model, seed=0):
    """Weights and statistics that are all different, as after training."""
    rng = np.random.default_rng(seed)
    drawn = [rng.normal(scale=0.4, size=w.shape) for w in model.get_weights()]
    paths = [weight.path for weight in model.weights]
    model.set_weights([abs(w) + 0.5 if "variance" in path else w for w, path in zip(drawn, paths, strict=True)])
    return model


def sequential(*layers, **options):
    return settle(keras.Sequential(list(layers), **options))


def mlp(name="pump"):
    return sequential(
        keras.Input((4,)),
        kl.Dense(16, activation="relu", name="dense_a"),
        kl.BatchNormalization(),
        kl.Dropout(0.3),
        kl.Dense(12, activation="tanh", name="dense_b"),
        kl.Dense(8, activation="elu", name="dense_c"),
        kl.Dense(3, activation="softmax", name="out"),
        name=name,
    )


def outputs(backbone, X):
    """What the blocks return, by torch."""
    x = torch.from_numpy(np.asarray(X, dtype=np.float32))
    with torch.inference_mode():
        for block in backbone.copy_blocks():
            x = block(x)
    return x.numpy()


def rows(model, n=6, length=64, seed=1):
    """Inputs as keras takes them, and as the backbone does."""
    shape = [length if size is None else size for size in model.inputs[0].shape[1:]]
    x = np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)
    return x, x if x.ndim == 2 else x.transpose(0, 2, 1)


def assert_same(model, backbone=None, tolerance=1e-5, **options):
    x, X = rows(model)
    backbone = from_keras(model, head="block", **options) if backbone is None else backbone
    expected = model.predict(x, verbose=0)
    assert abs(expected).max() > 1e-3
    np.testing.assert_allclose(outputs(backbone, X), expected, rtol=0, atol=tolerance)
    return backbone


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The model of the recipe, and its two files."""
    folder, model = tmp_path_factory.mktemp("keras"), mlp()
    for name in ("pretrained_fault_detection_model.h5", "pretrained_fault_detection_model.keras"):
        model.save(folder / name)
    return model, folder


# ---- the same outputs


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_a_file_of_rows_has_keras_s_outputs_in_torch_and_in_numpy(saved, ending):
    model, folder = saved
    backbone = from_keras(folder / f"pretrained_fault_detection_model{ending}", head="block")
    assert_same(model, backbone)
    x, _ = rows(model)
    numpy_outputs = from_keras(str(folder / f"pretrained_fault_detection_model{ending}")).program(3).run(x)
    below = keras.Model(model.inputs, model.get_layer("dense_c").output)
    np.testing.assert_allclose(numpy_outputs, below.predict(x, verbose=0), rtol=0, atol=1e-5)
    assert backbone.blocks == ("dense_a", "dense_b", "dense_c", "out")
    assert backbone.provenance["file"] == f"pretrained_fault_detection_model{ending}"
    assert (backbone.name, backbone.n_features_in) == ("pump", 4)


def as_keras_2_wrote(layer, name, **config):
    return {"class_name": layer, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning")  # keras's own, of such files
def test_a_file_in_the_layout_of_keras_2_is_read(tmp_path):
    import h5py

    model = sequential(
        keras.Input((64, 3)),
        kl.Conv1D(8, 5, strides=2, activation="relu", name="conv"),
        kl.BatchNormalization(name="norm"),
        kl.Flatten(name="flat"),
        kl.Dropout(0.5, name="drop"),
        kl.Dense(2, name="out"),
    )
    model.save(tmp_path / "old.h5")
    shape, zeros = {"batch_input_shape": [None, 64, 3]}, {"class_name": "Zeros", "config": {}}
    conv = {"filters": 8, "kernel_size": [5], "strides": [2], "padding": "valid", "data_format": "channels_last"}
    layers = [
        {"class_name": "InputLayer", "config": {**shape, "sparse": False, "ragged": False, "name": "conv_input"}},
        as_keras_2_wrote(
            "Conv1D", "conv", **shape, **conv, dilation_rate=[1], activation="relu", bias_initializer=zeros
        ),
        as_keras_2_wrote("BatchNormalization", "norm", axis=[2], momentum=0.99, epsilon=0.001, beta_initializer=zeros),
        as_keras_2_wrote("Flatten", "flat", data_format="channels_last"),
        as_keras_2_wrote("Dropout", "drop", rate=0.5, noise_shape=None, seed=None),
        as_keras_2_wrote("Dense", "out", units=2, activation="linear", bias_initializer=zeros),
    ]
    with h5py.File(tmp_path / "old.h5", "a") as file:
        config = {"class_name": "Sequential", "config": {"name": "old", "layers": layers}}
        file.attrs.update(model_config=json.dumps(config), keras_version="2.15.0", backend="tensorflow")
    assert_same(model, from_keras(tmp_path / "old.h5", head="block"))
    assert from_keras(tmp_path / "old.h5").blocks == ("conv",)


def window_layers(length):
    return [
        keras.Input((length, 3)),
        kl.ZeroPadding1D((2, 1)),
        kl.Conv1D(8, 5, padding="same", activation="relu", name="conv_a"),
        kl.BatchNormalization(epsilon=0.01),
        kl.MaxPooling1D(2),
        kl.Conv1D(6, 4, padding="same", name="conv_b"),  # an even kernel pads unevenly
        kl.LeakyReLU(negative_slope=0.1),
        kl.SpatialDropout1D(0.2),
        kl.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="gelu", name="conv_c"),
        kl.AveragePooling1D(3, 1, padding="same"),
        kl.Conv1D(4, 3, strides=2, groups=2, use_bias=False, activation="silu", name="conv_d"),
        kl.BatchNormalization(scale=False, center=False),
        kl.Cropping1D((1, 0)),
    ]


def test_convolutions_paddings_strides_dilations_and_flatten_keep_their_numbers():
    tail = [kl.Flatten(), kl.Dense(10, activation="selu", name="dense"), kl.Dense(2, name="out")]
    model = sequential(*window_layers(64), *tail)
    backbone = assert_same(model)
    assert backbone.blocks == ("conv_a", "conv_b", "conv_c", "conv_d", "dense", "out")
    assert backbone.inputs.shape == (3, 64)


@pytest.mark.parametrize("length", [None, 64])
@pytest.mark.parametrize("pool", ["GlobalAveragePooling1D", "GlobalMaxPooling1D"])
def test_global_pooling_takes_any_length_where_keras_does(pool, length, tmp_path):
    model = sequential(*window_layers(length), getattr(kl, pool)(), kl.Dense(3, activation="sigmoid"))
    backbone = assert_same(model)
    assert backbone.inputs.shape == (3, length)
    if length is None:
        x, X = rows(model, length=101)
        loaded = load_backbone(save_backbone(backbone, tmp_path / "b.safetensors"))
        np.testing.assert_allclose(outputs(loaded, X), model.predict(x, verbose=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("strides", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [2, 3, 6])
def test_same_padding_follows_the_length(strides, size):
    model = sequential(
        keras.Input((64, 2)),
        kl.Conv1D(3, size, strides=strides, padding="same"),
        kl.MaxPooling1D(size, strides=strides, padding="same"),
        kl.Flatten(),
    )
    assert_same(model)


def test_what_depends_on_the_length_asks_for_it():
    model = sequential(
        keras.Input((None, 2)), kl.Conv1D(3, 4, strides=3, padding="same", name="c"), kl.GlobalMaxPool1D()
    )
    with pytest.raises(ValueError, match=r"'c' \(Conv1D\).*window_length="):
        from_keras(model)
    assert assert_same(model, window_length=64).inputs.shape == (2, 64)
    fixed = sequential(keras.Input((32, 2)), kl.Conv1D(3, 4), kl.GlobalMaxPool1D())
    with pytest.raises(ValueError, match=r"window_length=64, but model .* takes 32"):
        from_keras(fixed, window_length=64)


def test_shapes_are_changed_as_keras_changes_them():
    model = sequential(
        keras.Input((24,)),
        kl.Reshape((8, 3)),
        kl.Conv1D(5, 3),
        kl.Permute((2, 1)),
        kl.Dense(7),  # on every step
        kl.LayerNormalization(),
        kl.Reshape((-1, 5)),
        kl.Conv1D(4, 3),
        kl.Reshape((20,)),
        kl.LayerNormalization(),
        kl.Dense(3),
    )
    assert_same(model)
    assert_same(sequential(keras.Input((24,)), kl.Reshape((24, 1)), kl.Conv1D(4, 5), kl.GlobalAveragePooling1D()))
    # one channel or one step: the order of the numbers is the same either way
    assert_same(sequential(keras.Input((64, 1)), kl.MaxPool1D(4), kl.Flatten(), kl.Dense(3)))
    assert_same(sequential(keras.Input((64, 5)), kl.GlobalMaxPool1D(keepdims=True), kl.Flatten(), kl.Dense(3)))


ACTIVATIONS = (
    "relu relu6 leaky_relu elu selu gelu silu mish tanh sigmoid hard_sigmoid hard_silu softplus softsign softmax linear"
)


@pytest.mark.parametrize("activation", ACTIVATIONS.split())
def test_activations_are_keras_s(activation):
    model = sequential(keras.Input((4,)), kl.Dense(9), kl.Activation(activation), kl.Dense(3, activation=activation))
    assert_same(model)


def test_activation_layers_are_keras_s():
    for layer in (
        kl.ReLU(), kl.ReLU(max_value=6.0), kl.ReLU(negative_slope=0.3), kl.LeakyReLU(0.4), kl.ELU(0.7), kl.Softmax(),
        kl.GaussianNoise(0.1), kl.ActivityRegularization(),
    ):  # fmt: skip
        assert_same(sequential(keras.Input((4,)), kl.Dense(9), layer, kl.Dense(3, activation=kl.LeakyReLU(0.2))))
    assert_same(sequential(keras.Input((64, 3)), kl.Conv1D(4, 3, activation="softmax"), kl.Softmax(), kl.Flatten()))


def test_a_functional_model_with_models_inside_is_followed_along_its_path():
    inner = keras.Sequential([keras.Input((16,)), kl.Dense(8, activation="relu", name="x_y_z"), kl.Dropout(0.1)])
    inputs = keras.Input((4,), name="rows")
    x = kl.Dense(16, activation="relu", name="first")(inputs)
    outputs = kl.Dense(2, name="x_y_z")(inner(kl.BatchNormalization()(x)))
    backbone = assert_same(settle(keras.Model(inputs, outputs, name="functional")))
    assert backbone.blocks == ("first", "x_y_z", "x_y_z__2")
    # a part of a larger model: what else hangs on its layers does not matter
    part = keras.Model(inputs, x, name="part")
    assert assert_same(part).blocks == ("first",)


# ---- the head, and what is done with the backbone


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
    moved = backbone.moved(clf.module_.blocks)
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
    clf = TransferClassifier(backbone, strategy=LinearProbing(pull=np.inf), random_state=0).fit(
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
    regressor = TransferRegressor(backbone, strategy=LinearProbing(pull=1e9), random_state=0).fit(X, values)
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


# ---- what cannot be converted


UNKNOWN = {
    "LSTM": (lambda: [keras.Input((64, 2)), kl.LSTM(4, name="it"), kl.Dense(3)], "it"),
    "Conv2D": (lambda: [keras.Input((8, 8, 1)), kl.Conv2D(4, 3, name="it"), kl.Flatten(), kl.Dense(3)], "model"),
    "UpSampling1D": (lambda: [keras.Input((64, 2)), kl.UpSampling1D(2, name="it"), kl.Flatten(), kl.Dense(3)], "it"),
    "axis": (lambda: [keras.Input((64, 2)), kl.BatchNormalization(axis=1, name="it"), kl.Flatten(), kl.Dense(3)], "it"),
    "data_format": (
        lambda: [keras.Input((64, 2)), kl.MaxPool1D(2, data_format="channels_first", name="it"), kl.Flatten()], "it"
    ),
    "AveragePooling1D": (
        lambda: [keras.Input((63, 2)), kl.AveragePooling1D(2, padding="same", name="it"), kl.Flatten()], "it"
    ),
    "max_value": (lambda: [keras.Input((4,)), kl.Dense(3), kl.ReLU(max_value=2.0, name="it"), kl.Dense(2)], "it"),
    "threshold": (lambda: [keras.Input((4,)), kl.Dense(3), kl.ReLU(threshold=1.0, name="it"), kl.Dense(2)], "it"),
    "exponential": (lambda: [keras.Input((4,)), kl.Dense(3, activation="exponential", name="it"), kl.Dense(2)], "it"),
    "Dense or Conv1D": (lambda: [keras.Input((4,)), kl.BatchNormalization()], "model"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_has_no_equal_is_an_error_that_names_the_layer(what):
    layers, name = UNKNOWN[what]
    with pytest.raises(ValueError, match=r"from_keras|layer") as caught:
        from_keras(sequential(*layers(), name="model"))
    assert f"'{name}'" in str(caught.value)
    assert what in str(caught.value) or name == "model"


def two_inputs():
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], kl.Dense(3)(kl.Concatenate(name="both")([a, b])))


def skip_connection():
    a = keras.Input((4,))
    return keras.Model(a, kl.Dense(3)(kl.Add(name="both")([a, kl.Dense(4)(a)])))


def shared_layer():
    a, layer = keras.Input((4,)), kl.Dense(4, name="both")
    return keras.Model(a, kl.Dense(3)(layer(layer(a))))


def operation():
    a = keras.Input((4,))
    return keras.Model(a, kl.Dense(3)(keras.ops.abs(a)))


def subclassed():
    class Own(keras.Model):
        """Its call could do anything."""

    return Own(name="both")


@pytest.mark.parametrize(
    ("make", "words"),
    [(two_inputs, "2 inputs"), (skip_connection, r"'both' \(Add\)"), (shared_layer, "'both' twice"),
     (operation, r"\(Absolute\)"), (subclassed, "is a Own"),
     (lambda: keras.Sequential([kl.Dense(3)]), "has not been built")],
)  # fmt: skip
def test_what_is_no_single_path_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        from_keras(make())


def test_a_layer_of_somebody_else_is_refused_even_under_a_known_name():
    class Dense(kl.Dense):
        def call(self, x):
            return 2 * super().call(x)

    with pytest.raises(ValueError, match=r"\(Dense\) cannot be converted"):
        from_keras(sequential(keras.Input((4,)), Dense(3), kl.Dense(2)))


def test_a_model_that_computes_something_else_than_its_layers_is_found_out():
    class Twice(keras.Sequential):
        def call(self, inputs, training=None, mask=None):
            return 2 * super().call(inputs, training=training, mask=mask)

    with pytest.raises(ValueError, match="does not return what keras's"):
        from_keras(settle(Twice([keras.Input((4,)), kl.Dense(3), kl.Dense(2)])))


def test_what_is_no_keras_model_is_refused():
    with pytest.raises(TypeError, match="got Linear"):
        from_keras(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="Use from_keras"):
        from_module(mlp())


# ---- files


def test_files_that_are_no_models_say_what_they_are(saved, tmp_path):
    model, folder = saved
    h5, zipped = (folder / f"pretrained_fault_detection_model{ending}" for ending in (".h5", ".keras"))
    with pytest.raises(FileNotFoundError, match=r"nothing\.h5"):
        from_keras(tmp_path / "nothing.h5")
    with pytest.raises(ModelFileError, match="is a folder"):
        from_keras(tmp_path)
    for name, content, words in (
        ("a.h5", b"not a model", "is not an HDF5 file"),
        ("a.h5", h5.read_bytes()[:3000], "no keras model that can be read"),
        ("a.h5", zipped.read_bytes(), "is not an HDF5 file"),
        ("a.keras", h5.read_bytes(), "is not a keras file"),
        ("a.keras", zipped.read_bytes()[:-30], "no keras model that can be read"),
        ("a.keras", b"", "no keras model that can be read"),
        ("a.onnx", b"", "a.onnx is neither"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError, match=words):
            from_keras(tmp_path / name)
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ModelFileError, match="weights and no model"):
        from_keras(tmp_path / "a.weights.h5")


def forged(zipped, path, change):
    """The file with another description of its model."""
    with zipfile.ZipFile(zipped) as old, zipfile.ZipFile(path, "w") as new:
        for item in old.namelist():
            content = old.read(item)
            if item == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            new.writestr(item, content)
    return path


def test_code_in_a_file_is_never_run(saved, tmp_path):
    _, folder = saved
    zipped = folder / "pretrained_fault_detection_model.keras"
    for home, kind in (("os", "system"), ("builtins", "exec"), ("keras.layers", "Lambda"), ("pickle", "loads")):
        change = {"module": home, "class_name": kind, "config": {}, "registered_name": None}
        file = forged(zipped, tmp_path / "a.keras", lambda c, change=change: c["config"]["layers"].append(change))
        with pytest.raises(ModelFileError, match=f"needs code that is not keras's: {kind}"):
            from_keras(file)
    file = forged(zipped, tmp_path / "a.keras", lambda c: c["config"].update(layers=[{"class_name": "Nothing"}]))
    with pytest.raises(ModelFileError, match="cannot read"):
        from_keras(file)
    with_code = sequential(keras.Input((4,)), kl.Lambda(lambda x: x), kl.Dense(3))
    for name in ("lambda.h5", "lambda.keras"):
        with_code.save(tmp_path / name)
        with pytest.raises(ModelFileError, match="Code of a file is never run"):
            from_keras(tmp_path / name)


def test_keras_runs_on_torch_unless_somebody_chose_otherwise_and_its_absence_is_said(saved, monkeypatch):
    assert keras.backend.backend() == "torch"
    monkeypatch.setattr(keras, "__version__", "2.15.0")
    with pytest.raises(ImportError, match=r"found 2\.15\.0"):
        from_keras(saved[0])
    seen = []

    def absent(name):
        seen.append(os.environ.get("KERAS_BACKEND"))
        raise ImportError(name)

    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(importlib, "import_module", absent)
    for chosen in (None, "jax"):
        monkeypatch.setenv("KERAS_BACKEND", chosen) if chosen else monkeypatch.delenv("KERAS_BACKEND", raising=False)
        with pytest.raises(ImportError, match=r"pip install 'sktransfer\[keras\]'"):
            from_keras(saved[1] / "pretrained_fault_detection_model.keras")
        assert os.environ.get("KERAS_BACKEND") == chosen
    assert seen == ["torch", "jax"]
