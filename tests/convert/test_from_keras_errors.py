"""A clear word about networks and files of keras that cannot be converted, and about keras that is not there."""

import importlib
import json
import os
import sys
import zipfile

import pytest
import torch

from sktransfer import ModelFileError, from_keras, from_module
from tests import keras_nets
from tests.keras_nets import keras, kl, mlp, sequential, settle

pytestmark = keras_nets.MARKS
saved = keras_nets.saved  # the fixture


# ---- networks


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
