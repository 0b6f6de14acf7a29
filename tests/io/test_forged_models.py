"""Model files whose checksums are right, with something else in a random place.

Each is a ModelFileError or a model, in no time to speak of. ``SKTRANSFER_FUZZ=5000 python -m pytest
tests/io/test_forged_models.py`` tries many more.
"""

import copy
import os
import random
import time
import warnings

import pytest

from sktransfer import (
    BaselineScaler,
    FromScratch,
    ModelFileError,
    TransferClassifier,
    inspect_file,
    load,
    make_pipeline,
    save,
)
from tests.helpers import moons
from tests.io.forge import nodes, number, parts, write

N_FORGED = int(os.environ.get("SKTRANSFER_FUZZ", "40"))
LIMIT = 10.0  # seconds for one file, on a busy machine
HOSTILE = [
    None, True, -1, 10**9, 10**39, 0.5, float("nan"), "", "x" * 5000, "\x00", "../../x", "builtins", "dict", "numpy",
    "ndarray", [], [None], {}, {"__loader__": "JsonNode", "content": "[1, 2]"}, {"__loader__": 3},
    {"__loader__": "CachedNode", "__id__": 1}, number(10**9), number(None), number("a"), number(-1), "JsonNode",
    "ListNode", "DictNode", "NdArrayNode", "ObjectNode", "0.npy",
]  # fmt: skip


@pytest.fixture(scope="module")
def forged_from(tmp_path_factory):
    X, y = moons(40)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (4,)})
    model = make_pipeline(BaselineScaler(), TransferClassifier(recipe, max_epochs=1, random_state=0)).fit(X, y)
    folder = tmp_path_factory.mktemp("forged")
    return folder, parts(save(model, folder / "model.skops"))


def is_refused_or_read(path):
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for reader in (inspect_file, load):
            try:
                reader(path)
            except ModelFileError:
                pass
    assert time.monotonic() - began < LIMIT
    return True


def without_sums(schema):
    """As written by somebody who leaves the sums of the estimators out."""
    for node in nodes(schema):
        content = node.get("content")
        if node["__loader__"] == "DictNode" and "_checksum" in content:
            place = list(content).index("_checksum")
            del content["_checksum"], node["key_types"]["content"][place]
    return schema


@pytest.mark.parametrize("sealed", [True, False])
def test_a_forged_schema_is_refused_or_read(forged_from, sealed):
    folder, (schema, manifest, entries) = forged_from
    draw = random.Random(sealed)
    for _ in range(N_FORGED):
        changed = copy.deepcopy(schema) if sealed else without_sums(copy.deepcopy(schema))
        node = draw.choice(list(nodes(changed)))
        key = draw.choice(list(node))
        inner = node[key]
        if isinstance(inner, dict) and inner and draw.random() < 0.7:
            node, key = inner, draw.choice(list(inner))
        elif isinstance(inner, list) and inner and draw.random() < 0.7:
            node, key = inner, draw.randrange(len(inner))
        node[key] = copy.deepcopy(draw.choice(HOSTILE))
        assert is_refused_or_read(write(folder / "forged.skops", changed, manifest, entries))


def test_a_forged_array_is_refused_or_read(forged_from):
    folder, (schema, manifest, entries) = forged_from
    draw, arrays = random.Random(2), [name for name in entries if name.endswith(".npy")]
    for _ in range(N_FORGED):
        name = draw.choice(arrays)
        content = bytearray(entries[name])
        for _ in range(draw.randrange(1, 4)):
            content[draw.randrange(min(len(content), 128))] = draw.choice(b"(){}[]'\"0129,:<>fOSVU \n\\#\x00\xff")
        changed = {**entries, name: bytes(content[: draw.choice([None, 5, 60, 127])])}
        assert is_refused_or_read(write(folder / "forged.skops", schema, manifest, changed))


def test_a_forged_manifest_is_refused_or_read(forged_from):
    folder, (schema, manifest, entries) = forged_from
    draw = random.Random(3)
    for _ in range(N_FORGED):
        changed = copy.deepcopy(manifest)
        changed[draw.choice(list(changed))] = copy.deepcopy(draw.choice(HOSTILE))
        path = write(folder / "forged.skops", schema, changed, entries)
        assert is_refused_or_read(path)
        try:
            assert str(inspect_file(path))
        except ModelFileError:
            continue
