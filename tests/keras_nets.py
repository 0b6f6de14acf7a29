"""Shared by the tests of keras models: keras itself, a small network, and its outputs in keras and in torch."""

import numpy as np
import pytest
import torch

from sktransfer.convert.from_keras import _import_keras

try:
    keras = _import_keras()  # on its torch backend, as users get it
except ImportError:
    keras = kl = None
MARKS = [
    pytest.mark.skipif(keras is None, reason="needs keras: pip install 'sktransfer[keras]'"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # keras's own
]
if keras is not None:
    from keras import layers as kl

    pytest.importorskip("h5py", reason="needs h5py: pip install 'sktransfer[keras]'")


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


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The model of the recipe, and its two files."""
    folder, model = tmp_path_factory.mktemp("keras"), mlp()
    for name in ("pretrained_fault_detection_model.h5", "pretrained_fault_detection_model.keras"):
        model.save(folder / name)
    return model, folder
