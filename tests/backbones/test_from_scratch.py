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
    register_network,
)
from sktransfer.backbones import from_scratch
from sktransfer.networks.registry import _NETWORKS, build_network
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


class _Mixing(nn.Module):
    """Any number of channels; its first layer with weights is a convolution of two (a signal and its steps)."""

    def __init__(self, length: int | None):
        super().__init__()
        self.first = nn.Conv1d(2, 4, 3)
        self.length = length

    def forward(self, x):
        if self.length not in (None, x.shape[2]):
            raise ValueError("another length")
        both = torch.stack([x, x.flip(2)], dim=2).flatten(0, 1)
        return self.first(both).mean(2).reshape(*x.shape[:2], -1).amax(1)


@register_network("tests-from-scratch-mixing")
class Mixing(nn.Module):
    def __init__(self, length=None):
        super().__init__()
        self.whole = _Mixing(length)

    def forward(self, x):
        return self.whole(x)


# every registered network of windows, and what it is made with; a front end's windows are cut long enough for it
OF_WINDOWS = {
    "cnn": lambda: FromScratch("cnn"),
    "cnn, any channels": lambda: FromScratch("cnn", {"shared_channels": True}),
    "process": lambda: FromScratch("process", {"width": 8}),
    "process-tags": lambda: FromScratch("process-tags", {"width": 8}),
    "process-tags, pooled": lambda: FromScratch("process-tags", {"width": 8, "pooled": True}),
    "vibration": lambda: FromScratch("vibration", {"n_views": 2, "n_lines": 3, "n_axis": 16, "n_scalars": 2}),
    "of another": lambda: FromScratch("tests-from-scratch-mixing"),
    "of another, one length": lambda: FromScratch("tests-from-scratch-mixing", {"length": 64}),
    "like process": lambda: FromScratch.like(load_backbone("process")),
    "like vibration": lambda: FromScratch.like(load_backbone("vibration")),
    "like one from scratch": lambda: FromScratch.like(FromScratch("process", {"width": 8}).build(8, (64,))),
}


def test_every_registered_network_of_windows_is_tried_here():
    ours = {name for name, cls in _NETWORKS.items() if cls.__module__.startswith("sktransfer.")}
    assert ours - {"mlp"} <= {recipe().network for recipe in OF_WINDOWS.values()}


@pytest.mark.parametrize("n_channels", [1, 2, 3, 8])
@pytest.mark.parametrize("recipe", OF_WINDOWS.values(), ids=OF_WINDOWS)
def test_a_network_of_windows_from_scratch_predicts_for_the_channels_that_it_was_fitted_to(recipe, n_channels):
    recipe = recipe()
    length = {"cnn": 640, "vibration": 40}.get(recipe.network, 64) if recipe.inputs is None else 512
    X = np.random.default_rng(0).normal(size=(12, n_channels, length))
    X = Windows.of(X, sampling_rate=1000)
    model = TransferClassifier(recipe, max_epochs=1, random_state=0).fit(X, np.arange(12) % 2)
    x = torch.from_numpy(model.backbone_.prepare(X)).float()
    with torch.inference_mode():
        for block in model.backbone_.copy_blocks():
            x = block(x)
        head = model.module_.head
        expected = torch.softmax(head(x), dim=1).numpy()
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-4, atol=1e-5)
    again = TransferClassifier(model.backbone_, strategy=LinearProbing()).fit(X, np.arange(12) % 2)
    assert again.predict(X).shape == (12,)
    other = np.zeros((2, n_channels + 1, length))
    with pytest.raises(ValueError, match=f"{n_channels + 1} features|{n_channels + 1} channels"):
        model.predict(Windows.of(other, sampling_rate=1000))


@pytest.mark.parametrize("name", ["tep-process", "process", "vibration"])
def test_from_scratch_like_a_shipped_backbone_takes_as_many_columns_or_channels_as_it_is_given(name):
    backbone = load_backbone(name)
    for n in (1, 5):
        lengths = () if backbone.inputs.shape is None else (512,)
        built = FromScratch.like(backbone).build(n, lengths)
        assert built.n_features_in == (n if name == "tep-process" else None)
        assert built.n_dimensions == backbone.n_dimensions


def test_networks_for_any_number_of_channels_say_so():
    sizes = {"n_views": 2, "n_lines": 3, "n_axis": 16, "n_scalars": 2}
    for name, arguments, shape in (("process", {}, (None, None)), ("vibration", sizes, (None, 2 * 3 + 2 * 16 + 2))):
        for n_channels in (2, 3):
            built = FromScratch(name, arguments).build(n_channels, (40,))
            assert (built.inputs.shape, built.n_features_in) == (shape, None)
        network = build_network({"name": name, "arguments": arguments})
        assert Backbone(network).inputs.shape == shape


def test_from_scratch_like_a_network_of_a_fixed_number_of_channels_refuses_others_at_fit():
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    recipe = FromScratch.like(Backbone(net))
    X, y = np.random.default_rng(0).normal(size=(8, 2, 20)), np.arange(8) % 2
    assert TransferClassifier(recipe, max_epochs=1).fit(X, y).predict(X).shape == (8,)
    with pytest.raises(ValueError, match="windows of 3 channels, but its backbone 'from scratch' takes 2"):
        TransferClassifier(recipe, max_epochs=1).fit(np.repeat(X, 2, axis=1)[:, :3], y)
    rows = FromScratch.like(Backbone(nn.Sequential(nn.Linear(4, 8), nn.ReLU())))
    with pytest.raises(ValueError, match="5 features"):
        TransferClassifier(rows, max_epochs=1).fit(np.zeros((8, 5)), y)


def test_what_is_trained_without_any_argument_is_written_out_in_full():
    X, y = moons(60)
    default = TransferClassifier(max_epochs=2, random_state=0).fit(X, y).backbone_
    spelled = FromScratch("mlp", {"hidden_layer_sizes": [256, 256], "dropout": 0.1})
    same = TransferClassifier(spelled, max_epochs=2, random_state=0).fit(X, y).backbone_
    np.testing.assert_array_equal(features(default, X), features(same, X))
    # files name it in full: they must not follow a default that moves
    assert default.network["arguments"] == {
        "n_features_in": 4,
        "hidden_layer_sizes": [256, 256],
        "dropout": 0.1,
    }


def test_arguments_fill_in_what_the_default_leaves_to_them():
    assert FromScratch(arguments={"hidden_layer_sizes": (8,)}).build(2).network["arguments"] == {
        "n_features_in": 2,
        "hidden_layer_sizes": [8],
        "dropout": 0.1,
    }
    named = FromScratch("mlp", {"hidden_layer_sizes": (8,)}).build(2)
    assert named.network["arguments"] == {"n_features_in": 2, "hidden_layer_sizes": [8]}


def test_a_network_described_before_the_default_had_dropout_is_built_as_it_was_written():
    written = {"name": "mlp", "arguments": {"n_features_in": 3}}
    blocks = build_network(written)
    assert [layer.out_features for layer in blocks.modules() if isinstance(layer, nn.Linear)] == [256, 256, 256]
    assert not any(layer.p for layer in blocks.modules() if isinstance(layer, nn.Dropout))


def test_untrained_networks_of_one_recipe_share_nothing():
    X, y = moons(60)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (8,)})
    one, other = (TransferClassifier(recipe, max_epochs=1, random_state=seed).fit(X, y) for seed in (0, 1))
    assert one._predictor.network._below is not other._predictor.network._below
