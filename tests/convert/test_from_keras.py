"""Networks from keras: every layer that is known gives the same outputs."""

import json

import numpy as np
import pytest

from sktransfer import from_keras, load_backbone, save_backbone
from sktransfer.inference.predictor import blocks_in_numpy
from tests import keras_nets
from tests.keras_nets import keras, kl, outputs, rows, sequential, settle

pytestmark = keras_nets.MARKS
saved = keras_nets.saved  # the fixture


def assert_same(model, backbone=None, tolerance=1e-5, **options):
    x, X = rows(model)
    backbone = from_keras(model, head="block", **options) if backbone is None else backbone
    expected = model.predict(x, verbose=0)
    assert abs(expected).max() > 1e-3
    np.testing.assert_allclose(outputs(backbone, X), expected, rtol=0, atol=tolerance)
    return backbone


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_a_file_of_rows_has_keras_s_outputs_in_torch_and_in_numpy(saved, ending):
    model, folder = saved
    backbone = from_keras(folder / f"pretrained_fault_detection_model{ending}", head="block")
    assert_same(model, backbone)
    x, _ = rows(model)
    numpy_outputs = blocks_in_numpy(from_keras(str(folder / f"pretrained_fault_detection_model{ending}")), 3).run(x)
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
