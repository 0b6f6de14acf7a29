"""Backbone files: what was saved comes back, and anything else is refused before it costs memory."""

import dataclasses
import json
import os
import pickle
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save as to_bytes
from torch import nn

from sktransfer import (
    Backbone,
    FeatureExtractor,
    FromScratch,
    Inputs,
    LinearProbing,
    ModelFileError,
    Source,
    TransferClassifier,
    load_backbone,
    persistence,
    save_backbone,
)
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


@pytest.fixture(scope="module")
def tiny():
    """A file of about two kilobytes, so that random damage hits every part of it."""
    torch.manual_seed(0)
    source = Source(np.zeros(3), np.ones(3), np.ones((2, 3)), np.zeros(2), np.array(["leak", "normal"]))
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    return Backbone(network, inputs=Inputs(names=("p", "T"), units=("bar", "K")), source=source)


def numbers(backbone):
    """Everything a backbone answers with."""
    arrays = [weights[key] for weights in backbone._weights for key in sorted(weights)]
    return [a.tobytes() for a in [*arrays, *(v for v in vars(backbone.source).values() if v is not None)]]


def write(path, tensors=None, protocol=str(persistence.PROTOCOL), **header):
    """A file whose checksum is right, as an attacker would write it."""
    tensors = tensors or {"block/block1/0.weight": np.zeros((4, 2), np.float32)}
    defaults = {
        "network": {"name": "mlp", "arguments": {"n_features_in": 2, "hidden_layer_sizes": [4], "batch_norm": False}},
        "blocks": ["block1"],
        "name": "forged",
        "provenance": {},
        "inputs": {"n": 2, "names": None, "units": None, "scaling": None},
        "source": None,
    }
    text = json.dumps({**defaults, **header})
    metadata = {"sktransfer": protocol, "backbone": text, "sha256": persistence._digest(protocol, text, tensors)}
    path.write_bytes(to_bytes(tensors, metadata=metadata))
    return path


def test_a_loaded_backbone_has_the_same_features_head_and_words(backbone, tmp_path):
    backbone = backbone.describe(
        name="pump_a",
        inputs=dataclasses.replace(backbone.inputs, names=tuple("abcd"), units=("bar",) * 4, scaling="healthy rows"),
        provenance={"data set": "moons", "rate_hz": 10.5, "ok": True, "runs": [1, 2]},
    )
    path = save_backbone(backbone, tmp_path / "pump_a.safetensors")
    assert path == tmp_path / "pump_a.safetensors"
    loaded = load_backbone(str(path))
    X, _ = moons(50, seed=4)
    extract = [FeatureExtractor(b).fit_transform(X) for b in (backbone, loaded)]
    np.testing.assert_array_equal(*extract)
    assert numbers(loaded) == numbers(backbone)
    for field in ("n", "names", "units", "scaling"):
        assert getattr(loaded.inputs, field) == getattr(backbone.inputs, field)
    np.testing.assert_array_equal(loaded.inputs.minimum, backbone.inputs.minimum)
    np.testing.assert_array_equal(loaded.inputs.maximum, backbone.inputs.maximum)
    assert (loaded.name, loaded.blocks, loaded.provenance) == (backbone.name, backbone.blocks, backbone.provenance)


@pytest.mark.parametrize("shape", [(3, None), (3, 40)])
def test_a_backbone_of_windows_comes_back_with_its_shape(shape, tmp_path):
    network = nn.Sequential(nn.Conv1d(3, 4, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    loaded = load_backbone(save_backbone(Backbone(network, inputs=Inputs(shape=shape)), tmp_path / "b.safetensors"))
    assert (loaded.inputs.shape, loaded.n_features_in, loaded.n_features_out) == (shape, 3, 4)


@pytest.mark.parametrize("shape", [[3], "12", 3, [2, 2**30], [2, 2.5], [3, 4], [2, None, [1]]])
def test_an_absurd_shape_in_a_file_is_refused(shape, tmp_path):
    inputs = {"n": 2, "names": None, "units": None, "scaling": None, "shape": shape}
    with pytest.raises(ModelFileError):
        load_backbone(write(tmp_path / "b.safetensors", inputs=inputs))


@pytest.mark.parametrize(
    "classes",
    [np.array(["leak", "normal", "Übertemperatur"]), np.array([0, 3, 7]), np.array([False, True]),
     np.array(["b", "a"], dtype=object), np.array([0.0, 2.5])],
)  # fmt: skip
def test_classes_keep_their_kind_and_order(classes, tmp_path):
    n = len(classes)
    source = Source(np.zeros(3), np.ones(3), np.ones((n, 3)), np.zeros(n), classes)
    saved = save_backbone(Backbone(nn.Sequential(nn.Linear(2, 3)), source=source), tmp_path / "b.safetensors")
    loaded = load_backbone(saved).source.classes
    assert loaded.dtype.kind == classes.dtype.kind
    assert loaded.tolist() == classes.tolist()


def test_a_regression_source_and_no_source_come_back(tmp_path):
    for source in (Source(np.zeros(3), np.ones(3), np.ones((1, 3)), np.zeros(1)), None):
        saved = save_backbone(Backbone(nn.Sequential(nn.Linear(2, 3)), source=source), tmp_path / "b.safetensors")
        loaded = load_backbone(saved).source
        assert (loaded is None) == (source is None)
        assert source is None or (loaded.classes is None and loaded.weight.tolist() == [[1.0, 1.0, 1.0]])


def test_a_loaded_backbone_fits_as_the_saved_one(backbone, tmp_path):
    X, y = moons(40, seed=5)
    path = save_backbone(backbone, tmp_path / "b.safetensors")
    models = [
        TransferClassifier(b, strategy=LinearProbing(), random_state=0).fit(X, y)
        for b in (backbone, load_backbone(path), str(path), path)
    ]
    for model in models[1:]:
        np.testing.assert_array_equal(models[0].predict_proba(X), model.predict_proba(X))


def test_paths_may_hold_any_letters(tiny, tmp_path):
    path = tmp_path / "Motor-Prüfstand №3 泵.safetensors"
    assert numbers(load_backbone(save_backbone(tiny, path))) == numbers(tiny)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file_and_no_other(tiny, backbone, tmp_path, monkeypatch):
    path = save_backbone(tiny, tmp_path / "b.safetensors")
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    for target, name in ((os, "replace"), (os, "rename"), (Path, "replace"), (Path, "rename")):
        monkeypatch.setattr(target, name, full)
    with pytest.raises(OSError, match="No space left"):
        save_backbone(backbone, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_halfway_leaves_the_old_file_and_no_other(tiny, backbone, tmp_path, monkeypatch):
    path = save_backbone(tiny, tmp_path / "b.safetensors")
    before = path.read_bytes()

    def interrupted(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_backbone(backbone, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_only_a_backbone_that_can_be_named_is_written(tmp_path):
    class Unregistered(nn.Module):
        def __init__(self):
            super().__init__()
            self.lower = nn.Linear(2, 3)

        def forward(self, x):
            return self.lower(x)

    with pytest.raises(TypeError, match="register_network"):
        save_backbone(Backbone(Unregistered()), tmp_path / "b.safetensors")
    with pytest.raises(TypeError, match="backbone_"):
        save_backbone(TransferClassifier(), tmp_path / "b.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_flipped_bit_anywhere_is_an_error(tiny, tmp_path):
    path = save_backbone(tiny, tmp_path / "b.safetensors")
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for position, bit in zip(rng.integers(len(whole), size=300), rng.integers(8, size=300), strict=True):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            load_backbone(path)


def test_a_flipped_bit_in_the_protocol_number_is_an_error(tiny, tmp_path):
    path = save_backbone(tiny, tmp_path / "b.safetensors")
    whole = path.read_bytes()
    key = b'"sktransfer":"'
    assert whole.count(key) == 1
    for bit in range(8):
        damaged = bytearray(whole)
        damaged[whole.index(key) + len(key)] ^= 1 << bit
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            load_backbone(path)


def test_a_truncated_file_is_an_error(tiny, tmp_path):
    path = save_backbone(tiny, tmp_path / "b.safetensors")
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 9, *np.linspace(10, len(whole) - 1, 40).astype(int)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            load_backbone(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ModelFileError):
        load_backbone(path)


@pytest.mark.parametrize(
    "content",
    [b"speed;torque\n1,5;2,0\n" * 9, b"PK\x03\x04" + bytes(99), pickle.dumps({"weights": [1.0] * 99}), bytes(4096),
     to_bytes({"a": np.zeros(3)}), to_bytes({"a": np.zeros(3)}, metadata={"sktransfer": "one"}),
     to_bytes({"a": np.zeros(3)}, metadata={"sktransfer": "1"}),
     to_bytes({"a": np.zeros(3)}, metadata={"sktransfer": "1", "backbone": "[]", "sha256": "0"})],
    ids=["csv", "zip", "pickle", "zeros", "plain", "no number", "no backbone", "list"],
)  # fmt: skip
def test_a_file_of_another_kind_is_an_error(content, tmp_path):
    path = tmp_path / "b.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"b\.safetensors"):
        load_backbone(path)


def test_a_missing_file_and_a_folder_name_what_was_looked_for(tmp_path):
    for path in (tmp_path / "nowhere.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match=path.name):
            load_backbone(path)


def test_a_newer_protocol_is_refused_with_advice(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(persistence, "PROTOCOL", persistence.PROTOCOL + 1)
    path = save_backbone(tiny, tmp_path / "b.safetensors")
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match="Upgrade sktransfer"):
        load_backbone(path)


def test_an_honest_forgery_loads_so_that_the_next_tests_can_fail(tmp_path):
    tensors = {"block/block1/0.weight": np.ones((4, 2), np.float32), "block/block1/0.bias": np.zeros(4, np.float32)}
    assert load_backbone(write(tmp_path / "b.safetensors", tensors)).n_features_out == 4


MLP_OF = {"n_features_in": 2, "batch_norm": False}


@pytest.mark.parametrize(
    "header",
    [
        {"network": {"name": "mpl", "arguments": {}}},
        {"network": {"name": "mlp", "arguments": {**MLP_OF, "hidden_layer_sizes": [5]}}},
        {"network": {"name": "mlp", "arguments": {**MLP_OF, "hidden_layer_sizes": [4], "exec": "rm"}}},
        {"network": {"name": "mlp", "arguments": {**MLP_OF, "hidden_layer_sizes": "4"}}},
        {"network": {"name": "mlp", "arguments": None}},
        {"network": {"name": "sequential", "arguments": {"layers": [["block1", "Bilinear", {}]]}}},
        {"network": {"name": "sequential", "arguments": {"layers": [["block1"]]}}},
        {"network": {"name": "sequential", "arguments": {"layers": [["block1", "Linear", {"in_features": 2}]]}}},
        {"network": {"name": "os.system", "arguments": {"command": "true"}}},
        {"network": "mlp"},
        {"blocks": ["block9"]},
        {"blocks": []},
        {"blocks": "block1"},
        {"inputs": None},
        {"inputs": {"n": 3, "names": None, "units": None, "scaling": None}},
        {"inputs": {"n": 2, "names": None, "units": None, "scaling": None, "colour": "red"}},
        {"source": {"classes": ["a"], "classes_dtype": "U"}},
    ],
    ids=lambda header: json.dumps(header)[:60],
)
def test_a_header_that_does_not_fit_is_refused_although_its_checksum_is_right(header, tmp_path):
    tensors = {"block/block1/0.weight": np.ones((4, 2), np.float32), "block/block1/0.bias": np.zeros(4, np.float32)}
    path = write(tmp_path / "b.safetensors", tensors, **header)
    with pytest.raises(ModelFileError):
        load_backbone(path)


@pytest.mark.parametrize("sizes", [[10**9], [2**20] * 1000, [4] * 10**5, [1e300]])
def test_a_header_that_asks_for_absurd_sizes_is_refused_at_once(sizes, tmp_path):
    network = {"name": "mlp", "arguments": {"n_features_in": 2, "hidden_layer_sizes": sizes}}
    path = write(tmp_path / "b.safetensors", network=network)
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(ModelFileError):
        load_backbone(path)
    assert time.perf_counter() - begin < 5
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_header_of_absurd_length_is_refused_unread(tmp_path):
    (path := tmp_path / "b.safetensors").write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelFileError, match="header"):
        load_backbone(path)


def test_an_untrained_network_comes_back_too(tmp_path):
    saved = FromScratch(arguments={"hidden_layer_sizes": (6, 5), "dropout": 0.3}).build(3)
    loaded = load_backbone(save_backbone(saved, tmp_path / "b.safetensors"))
    assert FromScratch.like(loaded).arguments == {"hidden_layer_sizes": [6, 5], "dropout": 0.3}
