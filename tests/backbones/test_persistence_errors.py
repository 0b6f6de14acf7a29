"""Backbone files that are damaged, of another kind or forged are refused before they cost memory."""

import json
import pickle
import time
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

from sktransfer import ModelFileError, load_backbone, save_backbone
from sktransfer.backbones import persistence


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


@pytest.mark.parametrize("shape", [[3], "12", 3, [2, 2**30], [2, 2.5], [3, 4], [2, None, [1]]])
def test_an_absurd_shape_in_a_file_is_refused(shape, tmp_path):
    inputs = {"n": 2, "names": None, "units": None, "scaling": None, "shape": shape}
    with pytest.raises(ModelFileError):
        load_backbone(write(tmp_path / "b.safetensors", inputs=inputs))


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
