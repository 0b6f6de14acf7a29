"""Backbone files: what was saved comes back, and a write that fails leaves the file that was there."""

import dataclasses
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from sktransfer import (
    Backbone,
    FeatureExtractor,
    FromScratch,
    Inputs,
    LinearProbing,
    Source,
    TransferClassifier,
    load_backbone,
    save_backbone,
)
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


def numbers(backbone):
    """Everything a backbone answers with."""
    arrays = [weights[key] for weights in backbone.weights for key in sorted(weights)]
    return [a.tobytes() for a in [*arrays, *(v for v in vars(backbone.source).values() if v is not None)]]


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


def test_an_untrained_network_comes_back_too(tmp_path):
    saved = FromScratch(arguments={"hidden_layer_sizes": (6, 5), "dropout": 0.3}).build(3)
    loaded = load_backbone(save_backbone(saved, tmp_path / "b.safetensors"))
    assert FromScratch.like(loaded).arguments == {"hidden_layer_sizes": [6, 5], "dropout": 0.3}


def test_a_backbone_file_has_the_permissions_of_any_new_file(backbone, tmp_path):
    (tmp_path / "plain").touch()
    file = save_backbone(backbone, tmp_path / "b.safetensors")
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
