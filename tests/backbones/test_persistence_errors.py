"""Backbone files that are damaged, of another kind or forged are refused before they cost memory."""

import json
import os
import pickle
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_bytes
from torch import nn

from sktransfer import Backbone, Inputs, ModelFileError, load_backbone, save_backbone
from sktransfer.backbones import persistence, safetensors_file

ROOT = Path(__file__).resolve().parents[2]


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


def deep(n_levels):
    network = nn.Linear(2, 3)
    for _ in range(n_levels):
        network = nn.Sequential(network)
    return network


def without_numbers():
    layer = nn.Linear(2, 3)
    nn.init.constant_(layer.weight, np.nan)
    return layer


UNREADABLE = {
    "257 layers": lambda: Backbone(nn.Sequential(nn.Linear(2, 2), *[nn.ReLU() for _ in range(256)])),
    "18 levels": lambda: Backbone(deep(18)),
    "40,000 columns": lambda: Backbone(
        nn.Sequential(nn.Linear(40_000, 2)), inputs=Inputs(names=[f"a_rather_long_name_{i}" for i in range(40_000)])
    ),
    "NaN": lambda: Backbone(nn.Sequential(without_numbers())),
    "colours": lambda: Backbone(nn.Sequential(nn.Linear(2, 3)), name="\x1b[31mred"),
    "a list": lambda: Backbone(nn.Sequential(nn.Linear(2, 3)), name=["pump", "a"]),
    "deep provenance": lambda: Backbone(
        nn.Sequential(nn.Linear(2, 3)), provenance={"a": json.loads("[" * 90 + "]" * 90)}
    ),
    "units": lambda: Backbone(nn.Sequential(nn.Linear(2, 3)), inputs=Inputs(n=2, units=("bar",))),
}  # fmt: skip


@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_what_could_not_be_loaded_again_is_not_written(make, tiny, tmp_path):
    path = save_backbone(tiny, tmp_path / "b.safetensors")
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match=r"not written, because|cannot be stored, because"):
        save_backbone(make(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("what", ["257 layers", "18 levels"])
def test_a_pickle_that_could_not_be_loaded_again_is_not_made(what):
    with pytest.raises(ModelFileError, match="cannot be stored"):
        pickle.dumps(UNREADABLE[what]())


@pytest.mark.parametrize("names", [["a/b"], ["a", "a/b"], ["a/b", "a/b/c", "a"]])
def test_names_of_blocks_may_hold_a_slash(names, tmp_path):
    network = nn.Sequential()
    for name in names:
        network.add_module(name, nn.Linear(2, 2))
    backbone = Backbone(network)
    loaded = load_backbone(save_backbone(backbone, tmp_path / "b.safetensors"))
    assert loaded.blocks == tuple(names)
    for own, read in zip(backbone.weights, loaded.weights, strict=True):
        assert own.sha256 == read.sha256


def test_the_same_backbone_gives_the_same_bytes_in_every_process(tiny, tmp_path):
    whole = save_backbone(tiny, tmp_path / "b.safetensors").read_bytes()
    code = (
        "import sys; from sktransfer import load_backbone, save_backbone\n"
        "print(save_backbone(load_backbone(sys.argv[1]), sys.argv[2]).stat().st_size)"
    )
    for number in range(3):
        again, environment = tmp_path / f"{number}", {**os.environ, "PYTHONHASHSEED": str(number)}
        command = [sys.executable, "-c", code, tmp_path / "b.safetensors", again]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)
        assert again.read_bytes() == whole


def test_files_are_those_that_the_format_s_own_package_reads_and_writes(tiny, tmp_path):
    """The bytes are read and written here; the package safetensors is the independent reader and writer."""
    path = save_backbone(tiny, tmp_path / "b.safetensors")
    with safe_open(path, framework="numpy") as theirs:
        metadata, tensors = theirs.metadata(), {key: theirs.get_tensor(key) for key in theirs.keys()}
    ours = safetensors_file.from_bytes(bytearray(path.read_bytes()))
    assert ours[0] == metadata
    assert {key: (a.dtype, a.tolist()) for key, a in ours[1].items()} == {
        key: (a.dtype, a.tolist()) for key, a in tensors.items()
    }
    path.write_bytes(to_bytes(tensors, metadata=metadata))
    assert load_backbone(path).source.classes.tolist() == ["leak", "normal"]
    kinds = {dtype: np.arange(6).reshape(2, 3).astype(dtype) for dtype in ("f2", "f4", "f8", "i1", "i8", "u2", "?")}
    kinds |= {"nothing": np.zeros((0, 3)), "one": np.array(7.0)}
    read = from_safetensors(safetensors_file.to_bytes(kinds, {"a": "ä"}))
    assert {k: (a.dtype, a.shape, a.tolist()) for k, a in read.items()} == {
        k: (a.dtype, a.shape, a.tolist()) for k, a in kinds.items()
    }
    assert safetensors_file.from_bytes(to_bytes(kinds, metadata={"a": "ä"}))[0] == {"a": "ä"}


def test_a_file_that_is_overwritten_in_place_leaves_the_loaded_backbone_as_it_was(tiny, tmp_path):
    path = save_backbone(tiny, tmp_path / "b.safetensors")
    loaded = load_backbone(path)
    before = loaded.weights[0]["weight"].copy()
    with path.open("r+b") as stream:
        stream.truncate(100)  # a memory map would end the process here, by SIGBUS
    np.testing.assert_array_equal(loaded.weights[0]["weight"], before)
    with pytest.raises(ModelFileError):
        load_backbone(path)


@pytest.mark.skipif(os.name != "posix", reason="this system has no pipes and devices in its folders")
@pytest.mark.timeout(20)
def test_pipes_and_devices_are_not_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        with pytest.raises((FileNotFoundError, ModelFileError)):
            load_backbone(path)


@pytest.mark.skipif(os.name != "posix", reason="this system has other links")
def test_a_backbone_is_written_through_a_link(tiny, tmp_path):
    (tmp_path / "v1").mkdir()
    link = tmp_path / "current.safetensors"
    link.symlink_to("v1/b.safetensors")
    assert save_backbone(tiny, link) == link
    assert link.is_symlink()
    assert load_backbone(tmp_path / "v1" / "b.safetensors").n_features_out == 3
