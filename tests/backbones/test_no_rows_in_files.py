"""What a saved backbone holds of the rows it was trained on: statistics and the range of each column, and no row.

::

    file --every field of the header, every tensor--> as listed here, nothing else
         --bytes--> no value of a row, in any format, but the smallest and the largest of a column
"""

import json

import numpy as np
import pytest
from safetensors import safe_open

from sktransfer import (
    SHOT,
    FromScratch,
    Inputs,
    SourceFreeClassifier,
    TransferClassifier,
    TransferRegressor,
    save_backbone,
)

N_ROWS, N_COLUMNS = 300, 5
FIELDS = {
    "network": {"name", "arguments"},
    "blocks": None,
    "name": None,
    "provenance": {"fitted_from", "n_samples"},
    "inputs": {"n", "names", "units", "scaling"},
    "source": {"classes", "classes_dtype"},
}
LAYER = ["0.weight", "1.bias", "1.num_batches_tracked", "1.running_mean", "1.running_var", "1.weight"]
TENSORS = [
    *(f"block/{block}/{name}" for block in ("block1", "block2") for name in LAYER),
    *(f"inputs/{name}" for name in ("maximum", "minimum")),
    *(f"source/{name}" for name in ("bias", "feature_mean", "feature_scale", "weight")),
]


@pytest.fixture(scope="module")
def rows():
    # numbers of many digits, none of which occurs by chance
    rng = np.random.default_rng(7)
    X = rng.normal(size=(N_ROWS, N_COLUMNS)) * 1.37 + 11.113
    return X, np.where(X[:, 0] + X[:, 1] > 22.2, "leak", "normal")


@pytest.fixture(scope="module")
def backbones(rows):
    X, y = rows
    small = FromScratch(arguments={"hidden_layer_sizes": (16, 8)})
    source = TransferClassifier(small, max_epochs=5, random_state=0).fit(X[:200], y[:200]).backbone_
    free = SourceFreeClassifier(source, SHOT(), max_epochs=5, random_state=0, guard=False).fit(X[200:])
    return {
        "from scratch": source,
        "tuned": TransferClassifier(source, max_epochs=5, random_state=0).fit(X[200:], y[200:]).backbone_,
        "source-free": free.backbone_,
        "regression": TransferRegressor(small, max_epochs=5, random_state=0).fit(X, X[:, 2] * 3.3).backbone_,
    }


def formats(value):
    """The bytes in which a number may stand in a file; texts of at least six digits."""
    single, double = np.float32(value), np.float64(value)
    numbers = [
        np.array(v, dtype=f"{order}f{size}").tobytes() for v, size in ((single, 4), (double, 8)) for order in "<>"
    ]
    texts = [repr(float(double)), str(single), f"{double:.6f}", f"{double:.8g}", f"{double:.6e}"]
    return numbers + [text.encode() for text in texts if len(text) >= 7]


def leaked(content, X):
    """Cells of `X` that are found in `content`, as (row, column)."""
    return {
        (i, j) for i, row in enumerate(X) for j, value in enumerate(row) if any(f in content for f in formats(value))
    }


def extremes(X):
    return {(int(i), j) for j in range(X.shape[1]) for i in (X[:, j].argmin(), X[:, j].argmax())}


@pytest.mark.parametrize("name", ["from scratch", "tuned", "source-free", "regression"])
def test_a_file_holds_what_is_listed_here_and_no_row(backbones, rows, name, tmp_path):
    X, _ = rows
    path = save_backbone(backbones[name], tmp_path / "b.safetensors")
    with safe_open(path, "numpy") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}
    header = json.loads(metadata["backbone"])
    assert set(metadata) == {"sktransfer", "backbone", "sha256"}
    assert set(header) == set(FIELDS)
    for field, inner in FIELDS.items():
        if name != "regression" or field != "source":
            assert inner is None or set(header[field]) == inner, field
    assert sorted(tensors) == TENSORS
    # nothing is as long as there are rows
    lengths = {length for tensor in tensors.values() for length in tensor.shape}
    assert lengths <= {16, 8, N_COLUMNS, 2, 1}
    # the only values of rows in the file are the smallest and the largest of each column
    assert leaked(path.read_bytes(), X) <= extremes(X) | extremes(X[:200]) | extremes(X[200:])


def test_the_range_of_each_column_is_values_of_training_rows(backbones, rows, tmp_path):
    X, _ = rows
    content = save_backbone(backbones["from scratch"], tmp_path / "b.safetensors").read_bytes()
    assert leaked(content, X[:200]) == extremes(X[:200])


def test_a_file_without_the_range_holds_no_value_of_any_row(backbones, rows, tmp_path):
    X, _ = rows
    backbone = backbones["from scratch"]
    other = backbone.describe(inputs=Inputs(n=N_COLUMNS))
    assert leaked(save_backbone(other, tmp_path / "b.safetensors").read_bytes(), X) == set()


@pytest.mark.parametrize("way", ["weight", "text", "double"])
def test_a_row_that_is_put_into_a_file_is_found(backbones, rows, tmp_path, way):
    X, _ = rows
    backbone, row = backbones["from scratch"], X[17]
    if way == "text":
        path = save_backbone(backbone.describe(provenance={"note": row.tolist()}), tmp_path / "b.safetensors")
        content = path.read_bytes()
    else:
        blocks = backbone.copy_blocks()
        import torch

        with torch.no_grad():
            blocks[0][0].weight[3] = torch.from_numpy(row)
        other = backbone.with_blocks(
            blocks, [True, False], name="leaking", inputs=backbone.inputs, source=backbone.source, provenance={}
        )
        content = save_backbone(other, tmp_path / "b.safetensors").read_bytes()
        if way == "double":
            content = content + row.astype(">f8").tobytes()
    found = leaked(content, X) - extremes(X[:200])
    assert found == {(17, j) for j in range(N_COLUMNS)} - extremes(X[:200])
