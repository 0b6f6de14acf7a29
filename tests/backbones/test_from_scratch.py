"""FromScratch: the untrained network of the same kind, the baseline without transfer."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from sktransfer import (
    Backbone,
    BatchedGridSearchCV,
    FeatureExtractor,
    FineTuning,
    FromScratch,
    LinearProbing,
    TransferClassifier,
    Windows,
    load_backbone,
)
from sktransfer.backbones import from_scratch
from tests.helpers import moons, small_backbone


def features(backbone, X=None):
    X = moons(20)[0] if X is None else X
    return FeatureExtractor(backbone, standardize=False).fit_transform(X)


def test_from_scratch_like_is_the_same_network_without_its_weights():
    backbone = small_backbone(max_epochs=2)
    recipe = FromScratch.like(backbone)
    built = recipe.build(4)
    assert [{k: a.shape for k, a in w.items()} for w in built.weights] == [
        {k: a.shape for k, a in w.items()} for w in backbone.weights
    ]
    assert built.blocks == backbone.blocks
    assert not np.array_equal(features(built), features(backbone))
    assert built.source is None
    wider = FromScratch.like(backbone).build(7)
    assert (wider.n_features_in, wider.n_features_out) == (7, 16)


def test_from_scratch_like_a_network_of_windows_has_its_front_end_and_learns():
    shipped = load_backbone("vibration")
    recipe = FromScratch.like(shipped)
    rng = np.random.default_rng(0)
    y = np.arange(16) % 2
    # an amplitude that swings 40 times a second, or not
    swing = 1 + y[:, None, None] * np.sin(2 * np.pi * 40 * np.arange(2048) / 12_000)
    X = Windows.of(rng.normal(size=(16, 2, 2048)) * swing, sampling_rate=12_000, rpm=1800)
    model = TransferClassifier(recipe, max_epochs=60, random_state=0).fit(X[:12], y[:12])
    assert model.score(X[12:], y[12:]) == 1.0
    assert (model.backbone_.inputs.front_end, model.backbone_.n_features_out) == ("envelope", 238)
    extractor = FeatureExtractor(recipe, random_state=3, standardize=False)
    features = extractor.fit_transform(X)
    torch_seeded = extractor.backbone_.copy_blocks()
    x = torch.from_numpy(shipped.prepare(X))
    with torch.inference_mode():
        for block in torch_seeded:
            x = block.eval()(x)
    np.testing.assert_allclose(features, x.numpy(), rtol=1e-4, atol=1e-4)
    other = FeatureExtractor(recipe, random_state=4, standardize=False).fit_transform(X)
    assert np.abs(other - features).max() > 0.01  # weights are drawn by random_state
    with pytest.raises(ValueError, match="these do not say their rate"):
        TransferClassifier(recipe).fit(np.asarray(X), y)


@pytest.mark.parametrize("strategy", [LinearProbing(), FineTuning()])
def test_a_fit_reads_the_file_of_its_backbone_once(monkeypatch, strategy):
    read = []
    monkeypatch.setattr(from_scratch, "load_backbone", lambda path: read.append(path) or load_backbone(path))
    X = np.random.default_rng(0).normal(size=(20, load_backbone("tep-process").n_features_in))
    model = TransferClassifier("tep-process", strategy=strategy, max_epochs=1).fit(X, np.arange(20) % 2)
    model.predict_proba(X)
    assert read == ["tep-process"]
    FeatureExtractor("tep-process").fit(X).transform(X)
    assert len(read) == 2


def test_a_network_from_scratch_is_built_once_a_fit(monkeypatch):
    built, build = [], FromScratch.build
    monkeypatch.setattr(FromScratch, "build", lambda self, *args: built.append(args) or build(self, *args))
    X = Windows.of(np.random.default_rng(0).normal(size=(12, 1, 512)), sampling_rate=1000)
    recipe = FromScratch.like(load_backbone("vibration"))
    TransferClassifier(recipe, max_epochs=1).fit(X, np.arange(12) % 2)
    assert built == [(1, (512,))]
    FeatureExtractor(recipe).fit(X).transform(X)
    assert len(built) == 2


def test_candidates_of_a_search_that_prepare_windows_differently_share_nothing():
    y = np.arange(12) % 2
    X = Windows.of(np.random.default_rng(0).normal(size=(12, 1, 256)), sampling_rate=1000)
    recipes = [FromScratch(), FromScratch.like(load_backbone("vibration"))]
    search = BatchedGridSearchCV(TransferClassifier(max_epochs=2, random_state=0), {"backbone": recipes}, cv=2)
    single = GridSearchCV(TransferClassifier(max_epochs=2, random_state=0), {"backbone": recipes}, cv=2)
    for by in (search, single):
        by.fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], single.cv_results_["mean_test_score"])


def test_from_scratch_like_a_sequential_and_only_some_of_its_blocks():
    backbone = Backbone(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), blocks=["0", "1"])
    built = FromScratch.like(backbone).build(4)
    assert (built.blocks, built.n_features_out) == (("0", "1"), 8)


def test_from_scratch_is_a_scikit_learn_object():
    recipe = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    assert clone(recipe).get_params() == recipe.get_params()
    assert TransferClassifier(recipe).get_params()["backbone__network"] == "auto"
    with pytest.raises(ValueError, match="Did you mean 'mlp'"):
        FromScratch(network="mpl").build(3)
