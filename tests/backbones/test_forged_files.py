"""Backbone files whose checksum is right, written by somebody who means no good.

Each is refused by a `ModelFileError`, or is a backbone that can be shown, stored and loaded again; in no time and
memory to speak of. ``SKTRANSFER_FUZZ=20000 python -m pytest tests/backbones/test_forged_files.py`` tries many more.
"""

import copy
import json
import os
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import Backbone, FromScratch, Inputs, ModelFileError, Source, load_backbone, save_backbone
from sktransfer.backbones import persistence
from sktransfer.backbones.safetensors_file import from_bytes, to_bytes
from sktransfer.backbones.work import cost
from sktransfer.networks.layers import KINDS
from sktransfer.networks.registry import _layer_class

N_FORGED = int(os.environ.get("SKTRANSFER_FUZZ", "150"))  # for each network
LIMIT = 5.0  # seconds for one file, on a busy machine

DEEP = json.loads("[" * 500 + "]" * 500)
HOSTILE = [
    None, True, False, 0, 1, -1, 3, 2**20, 2**31, 2**63, 10**39, 0.5, -0.5, 1e300, float("nan"), float("inf"), "", "a",
    "\x1b[31mred\x1b[0m", "\u202eelif", "a\nb", "\x00", "x" * 5000, "block1",
    [], [None], [1], [1, 2], [2**20] * 3, ["a"],
    ["a", "a"], [[]], {}, {"a": 1}, {"0": None}, DEEP, {"name": "mlp", "arguments": {}},
    [["0", "AdaptiveAvgPool1d", {"output_size": 2**20}]],
]  # fmt: skip


def _rows():
    source = Source(np.zeros(3), np.ones(3), np.ones((2, 3)), np.zeros(2), np.array(["leak", "normal"]))
    inputs = Inputs(
        names=("p", "T"), units=("bar", "K"), minimum=np.zeros(2, np.float32), maximum=np.ones(2, np.float32)
    )
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    return Backbone(network, inputs=inputs, source=source, provenance={"rate_hz": 10, "runs": [1]})


def _mlp():
    return FromScratch(arguments={"hidden_layer_sizes": (4, 3)}).build(2)


def _windows():
    layers = nn.Conv1d(2, 3, 5), nn.BatchNorm1d(3), nn.MaxPool1d(2), nn.AdaptiveAvgPool1d(1), nn.Flatten()
    return Backbone(nn.Sequential(*layers), inputs=Inputs(shape=(2, None), sampling_rate=(10.0, 20.0)))


def _images():
    layers = nn.ZeroPad2d(1), nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.AdaptiveMaxPool2d(1), nn.Flatten()
    return Backbone(nn.Sequential(*layers), inputs=Inputs(shape=(1, 9, 9)))


def _cnn():
    return FromScratch(arguments={"widths": [2, 3]}).build(2, (256,))


def _process():
    small = {"n_scales": 2, "width": 4, "n_code": 2, "n_features": 3}
    return FromScratch("process", small, ["tag", "plant"], Inputs(shape=(None, None))).build(2)


NETWORKS = [_rows, _mlp, _windows, _images, _cnn, _process]


def _parts(file):
    """Header and arrays of a backbone file."""
    metadata, tensors = from_bytes(bytearray(file.read_bytes()))
    return json.loads(metadata["backbone"]), tensors


def _write(path, header, tensors, protocol="1"):
    """A file with the right checksum."""
    text = header if isinstance(header, str) else json.dumps(header)
    metadata = {"sktransfer": protocol, "backbone": text, "sha256": persistence._digest(protocol, text, tensors)}
    path.write_bytes(to_bytes(tensors, metadata))
    return path


def _places(value, so_far=()):
    """Paths to all that is in a JSON value."""
    yield so_far
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from _places(part, (*so_far, key))


def _changed(header, place, value):
    header = copy.deepcopy(header)
    if not place:
        return value
    part = header
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return header


def _load(path):
    """The backbone, or None if it is refused; anything else than a ModelFileError, or a long time, fails."""
    begin, found, said = time.process_time(), None, ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = load_backbone(path)
        except ModelFileError as error:
            said = str(error)
    assert time.process_time() - begin < LIMIT
    assert "\x1b" not in said
    return found


def _is_sound(backbone, path):
    """Whether a backbone that was loaded can be shown, stored and loaded again."""
    inputs = backbone.inputs
    assert isinstance(backbone.name, str)
    assert "\x1b" not in repr(backbone) + backbone.name
    assert all(isinstance(name, str) for name in backbone.blocks)
    for field in ("names", "units"):
        assert getattr(inputs, field) is None or inputs.n in (None, len(getattr(inputs, field)))
    again = load_backbone(save_backbone(backbone, path))
    return again.n_features_out == backbone.n_features_out and again.provenance == backbone.provenance


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda make: make.__name__[1:])
def parts(request, tmp_path_factory):
    return _parts(save_backbone(request.param(), tmp_path_factory.mktemp("whole") / "b.safetensors"))


def test_a_forged_header_is_refused_or_sound(parts, tmp_path):
    header, tensors = parts
    rng, places, refused = np.random.default_rng(0), list(_places(header)), 0
    cases = [(place, value) for place in places for value in HOSTILE]
    for number in rng.permutation(len(cases))[:N_FORGED]:
        place, value = cases[number]
        loaded = _load(_write(tmp_path / "b.safetensors", _changed(header, place, value), tensors))
        refused += loaded is None
        # a NaN in the provenance is what it is; it equals nothing
        if loaded is not None and value == value:
            assert _is_sound(loaded, tmp_path / "again.safetensors"), (place, value)
    assert refused > 0.6 * min(N_FORGED, len(cases))


def test_forged_arrays_are_refused_or_sound(parts, tmp_path):
    header, tensors = parts
    changes = {
        "left out": lambda a: None,
        "flat": lambda a: a.reshape(-1, 1),
        "longer": lambda a: np.concatenate([a.ravel(), a.ravel()]),
        "empty": lambda a: a.ravel()[:0],
        "NaN": lambda a: np.full_like(a, np.nan) if a.dtype.kind == "f" else None,
        "whole numbers": lambda a: a.astype(np.int64) if a.dtype.kind == "f" else None,
        "truth values": lambda a: a.astype(bool),
        "half": lambda a: a.astype(np.float16),
    }
    loaded = []
    for name in tensors:
        for what, change in changes.items():
            forged = {**tensors, name: change(tensors[name])}
            forged = {key: array for key, array in forged.items() if array is not None}
            if (backbone := _load(_write(tmp_path / "b.safetensors", header, forged))) is not None:
                assert _is_sound(backbone, tmp_path / "again.safetensors"), (name, what)
                loaded.append((name.rpartition(".")[2].rpartition("/")[2], what))
    # a number of another type is taken where no shape and no meaning changes
    assert {what for _, what in loaded} <= {"half", "whole numbers", "truth values", "left out", "flat"}
    assert {name for name, what in loaded if what in ("left out", "flat")} <= {
        "num_batches_tracked",
        "minimum",
        "maximum",
    }
    extra = {**tensors, "block/nowhere/weight": np.zeros(3, np.float32)}
    assert _load(_write(tmp_path / "b.safetensors", header, extra)) is None


def _nested(depth):
    """A header with lists in lists, as text: Python cannot write it."""
    return '{"provenance": ' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize(
    "text",
    [_nested(100), _nested(5_000), _nested(400_000), '{"a": ' + "9" * 5_000 + "}", '{"a": ' + "9" * 900_000 + "}",
     '{"name": "a", "name": "b"}', '"' + "\\ud800" + '"', "[]", "null", "", "{", "\ufeff{}", '{"a": 1e999999}'],
    ids=["deep 100", "deep 5000", "deep 400000", "digits 5000", "digits 900000", "twice", "half a character", "list",
         "null", "empty", "cut", "mark", "infinite"],
)  # fmt: skip
def test_a_text_that_breaks_readers_is_refused(text, parts, tmp_path):
    assert _load(_write(tmp_path / "b.safetensors", text, parts[1])) is None


def test_keys_that_occur_twice_are_refused(parts, tmp_path):
    header, tensors = parts
    text = json.dumps(header)
    for twice in (f'{text[:-1]}, "name": "other"}}', text.replace('"inputs": {', '"inputs": {"n": 7, "n": 2, ', 1)):
        assert _load(_write(tmp_path / "b.safetensors", twice, tensors)) is None


@pytest.mark.parametrize("protocol", ["²", "1" * 5000, "-1", "1.0", " 1", "", "\u0661"])
def test_a_protocol_that_is_no_number_is_refused(protocol, parts, tmp_path):
    assert _load(_write(tmp_path / "b.safetensors", *parts, protocol=protocol)) is None


def _listed(**arrays):
    """The head of a file with these arrays."""
    entries = {
        name: dict(zip(("dtype", "shape", "data_offsets"), entry, strict=True)) for name, entry in arrays.items()
    }
    return json.dumps(entries).encode()


@pytest.mark.parametrize(
    "head",
    [b"{}", b"[]", b"[" * 100_000, b'{"__metadata__": 1}', b'{"__metadata__": {"sktransfer": 1}}', b'{"a": 1}',
     b"\xff\xfe",
     b'{"a": {"dtype": "F32"}}', _listed(a=("F32", [1], [0, 8])), _listed(a=("F32", [-1], [0, 4])),
     _listed(a=("F8_E4M3", [8], [0, 8])), _listed(a=(["F32"], [2], [0, 8])), _listed(a=("F32", [1], [4, 8])),
     _listed(a=("F32", [1], [0, 4]), b=("F32", [2], [0, 8])), _listed(a=("F32", [True, 2], [0, 8])),
     _listed(a=("F32", [2], [0, 8]))[:-1] + b", " + _listed(a=("F32", [2], [0, 8]))[1:],
     _listed(a=("F32", [7], [0, 8])).replace(b"7", b"9" * 6000),
     _listed(a=("U8", [0, 10**14, 2**48 - 1], [0, 0]), b=("U8", [8], [0, 8]))],
    ids=lambda head: head[:50].decode("latin1"),
)  # fmt: skip
def test_a_list_of_arrays_that_lies_is_refused(head, tmp_path):
    path = tmp_path / "b.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))
    assert _load(path) is None


# ---- files that would take all memory, or never end

_BOMBS = {
    "adaptive pooling": ((1, 16), [["0", "AdaptiveAvgPool1d", {"output_size": 2**20}]] * 1),
    "adaptive pooling of many channels": (
        (512, 16), [["0", "AdaptiveMaxPool1d", {"output_size": 2**20}],
                    ["1", "Flatten", {"start_dim": 1, "end_dim": -1}]]),
    "adaptive pooling of images": ((1, 8, 8), [["0", "AdaptiveAvgPool2d", {"output_size": [2**14, 2**14]}]]),
    "padding": ((64, 16), [["0", "ConstantPad1d", {"padding": [2**20, 2**20], "value": 0.0}]]),
    "padding of images": ((1, 8, 8), [["0", "ZeroPad2d", {"padding": [2**14] * 4}]]),
    "padding again and again": (
        (1, 16), [[str(i), "ReplicationPad1d", {"padding": [2**20, 2**20]}] for i in range(40)]),
    "a long window that slides": (
        (1, 16), [["0", "ConstantPad1d", {"padding": [2**20, 2**20], "value": 0.0}],
                  ["1", "AvgPool1d", {"kernel_size": [2**20], "stride": [1], "padding": [0], "ceil_mode": False,
                                      "count_include_pad": True}]]),
    "a long maximum that slides": (
        (1, 16), [["0", "ConstantPad1d", {"padding": [2**19, 2**19], "value": 0.0}],
                  ["1", "MaxPool1d", {"kernel_size": 2**19, "stride": 1, "padding": 0, "dilation": 1,
                                      "return_indices": False, "ceil_mode": False}]]),
    "a window of an image that slides": (
        (1, 8, 8), [["0", "ZeroPad2d", {"padding": [1024] * 4}],
                    ["1", "AvgPool2d", {"kernel_size": 1024, "stride": 1, "padding": 0, "ceil_mode": False,
                                        "count_include_pad": True, "divisor_override": None}]]),
    "a window of any length": ((2**20, None), [["0", "Identity", {}]]),
    "a sample too large": ((1, 2**25), [["0", "Identity", {}]]),
    "many layers": ((1, 16), [[str(i), "ReLU", {}] for i in range(20_000)]),
    "layers in layers": (
        (1, 16), [[str(i), "Sequential", {"layers": [[str(j), "Softplus", {"beta": 1.0, "threshold": 20.0}]
                                                     for j in range(200)]}] for i in range(40)]),
}  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="this system does not tell the memory of a process")
@pytest.mark.parametrize("name", _BOMBS)
def test_a_small_file_cannot_ask_for_much(name, tmp_path):
    import resource

    shape, layers = _BOMBS[name]
    header = {
        "network": {"name": "sequential", "arguments": {"layers": layers}},
        "blocks": [key for key, _, _ in layers],
        "name": "bomb",
        "provenance": {},
        "inputs": {"n": shape[0], "names": None, "units": None, "scaling": None, "shape": list(shape)},
        "source": None,
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    backbone = _load(_write(tmp_path / "b.safetensors", header, {}))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
    assert backbone is None


def test_rows_of_a_billion_columns_are_refused(tmp_path):
    header, _ = _parts(save_backbone(_rows(), tmp_path / "whole.safetensors"))
    layers = [["0", "Softsign", {}]]
    for n in (2**24, 2**40):
        inputs = {"n": n, "names": None, "units": None, "scaling": None}
        network = {"name": "sequential", "arguments": {"layers": layers}}
        forged = {**header, "network": network, "blocks": ["0"], "inputs": inputs, "source": None}
        backbone = _load(_write(tmp_path / "b.safetensors", forged, {}))
        assert backbone is None or n == 2**24


def test_the_networks_that_are_shipped_are_far_from_the_limits(tmp_path):
    for name in ("process", "vibration", "tep-process"):
        path = save_backbone(load_backbone(name), tmp_path / f"{name}.safetensors")  # loads it as an untrusted file
        assert load_backbone(path).n_features_out == load_backbone(name).n_features_out


def test_a_network_for_images_of_common_size_is_within_the_limits(tmp_path):
    """The first half of ResNet-18, on images of 224 x 224 pixels, without its shortcuts."""
    layers, width = [nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for n_out, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers += [nn.Conv2d(width, n_out, 3, stride, 1), nn.BatchNorm2d(n_out), nn.ReLU()]
        width = n_out
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    backbone = Backbone(network, inputs=Inputs(shape=(3, 224, 224)))
    assert load_backbone(save_backbone(backbone, tmp_path / "b.safetensors")).n_features_out == 256


@pytest.mark.parametrize("kind", KINDS)
def test_the_cost_of_a_layer_is_at_least_what_it_returns(kind):
    """No layer of the table falls through the net: compared with what torch returns."""
    choices = {
        "Linear": [(4, 7)], "Conv1d": [(2, 3, 3), (2, 4, 3, 2, 5, 2, 2), (2, 3, 3, 1, "same")], "BatchNorm1d": [(2,)],
        "Conv2d": [(2, 3, 3), (2, 3, (1, 3), 2, (4, 0)), (2, 3, 3, 1, "valid")], "BatchNorm2d": [(2,)],
        "LayerNorm": [(4,)], "Unflatten": [(1, (1, 2))], "Permute": [((0, 2, 1),)], "ConstantPad1d": [((7, 3), 0.0)],
        "ReplicationPad1d": [((1, 9),)], "ZeroPad2d": [(1,), ((1, 2, 3, 4),)], "Softmax": [(1,)],
        "MaxPool1d": [(2,), (3, 2, 1, 1, False, True)], "MaxPool2d": [(2,), ((3, 2), (2, 1), 1, 1, False, True)],
        "AvgPool1d": [(2,), (3, 1, 1, True)], "AvgPool2d": [(2,), ((3, 2), 2, 1, True)],
        "AdaptiveAvgPool1d": [(9,)], "AdaptiveAvgPool2d": [((9, None),)],
        "AdaptiveMaxPool1d": [(9,)], "AdaptiveMaxPool2d": [((None, 9),)],
    }  # fmt: skip
    x = torch.zeros(1, 2, 4, 4) if kind.endswith("2d") else torch.zeros(1, 2, 4)
    for arguments in choices.get(kind, [()]):
        layer = _layer_class(kind)(*arguments).eval()
        n_out = layer(x).numel()
        values, work = cost(layer, tuple(x.shape))
        assert n_out <= values <= 4 * max(n_out, x.numel())
        assert work >= n_out


def test_multiplications_of_products_are_those_of_the_textbook():
    assert cost(nn.Linear(5, 7), (3, 5)) == (21, 3 * 5 * 7)
    assert cost(nn.Conv1d(4, 6, 3), (2, 4, 10)) == (2 * 6 * 8, 2 * 6 * 8 * 4 * 3)
    assert cost(nn.Conv2d(4, 6, (3, 5), stride=2, padding=1, groups=2), (1, 4, 9, 11)) == (
        max(6 * 5 * 5, 4 * 11 * 13), 6 * 5 * 5 * 2 * 15)  # fmt: skip
