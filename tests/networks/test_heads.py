"""The small new network on top."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import LinearHead, LinearProbing, MLPHead, TransferClassifier
from sktransfer.networks.head_modules import Standardize
from sktransfer.networks.heads import imprinted_rows
from sktransfer.training import start as start_room
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


def features_of(backbone, X):
    with torch.inference_mode():
        x = torch.from_numpy(X.astype(np.float32))
        for block in backbone._modules:
            x = block(x)
    return x.numpy().astype(np.float64)


def test_standardize_subtracts_the_mean_and_divides_by_the_scale():
    layer = Standardize(3)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    torch.testing.assert_close(layer(torch.from_numpy(x)), torch.from_numpy(x), rtol=0, atol=0)
    layer.mean.copy_(torch.tensor([1.0, -2.0, 0.5]))
    layer.scale.copy_(torch.tensor([2.0, 0.5, 4.0]))
    np.testing.assert_allclose(layer(torch.from_numpy(x)), (x - [1, -2, 0.5]) / [2, 0.5, 4], rtol=1e-6)
    assert list(layer.parameters()) == []
    assert set(layer.state_dict()) == {"mean", "scale"}


def test_imprinted_rows_are_unit_vectors_along_weighted_class_means():
    rng = np.random.default_rng(0)
    features, codes, weight = rng.normal(size=(30, 4)), rng.integers(3, size=30), rng.uniform(0.1, 2.0, size=30)
    rows = imprinted_rows(features, codes, weight, 3)
    for code in range(3):
        mean = np.average(features[codes == code], axis=0, weights=weight[codes == code])
        np.testing.assert_allclose(rows[code], mean / np.linalg.norm(mean))


def test_a_class_without_rows_or_with_a_mean_of_zero_gets_a_zero_row():
    features = np.array([[1.0, 2.0], [-1.0, -2.0], [3.0, 4.0]])
    rows = imprinted_rows(features, np.array([0, 0, 1]), np.array([1.0, 1.0, 0.0]), 3)
    np.testing.assert_array_equal(rows, np.zeros((3, 2)))


def test_a_linear_head_is_one_linear_layer():
    head = LinearHead().build(n_features=6, n_outputs=3)
    assert {key: tuple(value.shape) for key, value in head.state_dict().items()} == {
        "standardize.mean": (6,), "standardize.scale": (6,), "output.weight": (3, 6), "output.bias": (3,),
    }  # fmt: skip
    x = torch.randn(4, 6)
    torch.testing.assert_close(head(x), x @ head.output.weight.T + head.output.bias)


@pytest.mark.parametrize("sizes", [(8,), (8, 4), [5, 5, 5]])
def test_an_mlp_head_has_the_layers_asked_for(sizes):
    head = MLPHead(hidden_layer_sizes=sizes, dropout=0.3).build(n_features=6, n_outputs=2).eval()
    linears = [layer for layer in head.modules() if isinstance(layer, nn.Linear)]
    widths = [6, *sizes, 2]
    assert [(layer.in_features, layer.out_features) for layer in linears] == list(pairwise(widths))
    assert [layer.p for layer in head.modules() if isinstance(layer, nn.Dropout)] == [0.3] * len(sizes)
    x = h = torch.randn(4, 6)
    for layer in linears[:-1]:
        h = (h @ layer.weight.T + layer.bias).clamp_min(0.0)
    torch.testing.assert_close(head(x), linears[-1](h))


def test_features_are_standardised_by_whom_the_head_says(backbone):
    X, y = moons(50, seed=1, offset=0.5)
    features, source = features_of(backbone, X), backbone.source
    expected = {
        "auto": (source.feature_mean, source.feature_scale),
        "source": (source.feature_mean, source.feature_scale),
        "none": (np.zeros(16), np.ones(16)),
    }
    for normalize, (mean, scale) in expected.items():
        layer = (
            TransferClassifier(backbone, strategy=LinearProbing(), head=LinearHead(normalize=normalize))
            .fit(X, y)
            .module_.head.standardize
        )
        np.testing.assert_allclose(layer.mean, mean, atol=1e-6)
        np.testing.assert_allclose(layer.scale, scale, atol=1e-6)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=50)
    model = TransferClassifier(backbone, strategy=LinearProbing(), head=LinearHead(normalize="target")).fit(
        X, y, sample_weight=weight
    )
    mean = np.average(features, axis=0, weights=weight)
    np.testing.assert_allclose(model.module_.head.standardize.mean, mean, atol=1e-5)
    spread = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weight))
    scale = np.maximum(spread, 0.1 * np.median(spread[spread > 1e-8]))
    np.testing.assert_allclose(model.module_.head.standardize.scale, scale, rtol=1e-4)


def test_auto_is_the_target_where_the_backbone_knows_no_statistics(backbone):
    X, y = moons(50, seed=1)
    bare = backbone.describe(source=None)
    layer = TransferClassifier(bare, strategy=LinearProbing()).fit(X, y).module_.head.standardize
    np.testing.assert_allclose(layer.mean, features_of(backbone, X).mean(axis=0), atol=1e-5)
    with pytest.raises(ValueError, match="no feature statistics"):
        TransferClassifier(bare, strategy=LinearProbing(), head=LinearHead(normalize="source")).fit(X, y)


def test_initial_rows_that_need_nothing_from_the_source_do_not_use_it(backbone):
    X, y = moons(50, seed=1)
    other = backbone.describe(source=None)
    head = LinearHead(init="random", normalize="target")
    answers = [
        TransferClassifier(b, head=head, strategy=LinearProbing(alpha=1.0)).fit(X, y).predict_proba(X)
        for b in (backbone, other)
    ]
    np.testing.assert_allclose(*answers, atol=1e-9)


@pytest.mark.parametrize("head", [LinearHead(init="imprinted"), LinearHead(normalize="batch"), MLPHead(normalize="x")])
def test_a_misspelt_choice_is_an_error_that_lists_the_choices(backbone, head):
    with pytest.raises(ValueError, match=r"must be .*'auto', 'source'"):
        TransferClassifier(backbone, strategy=LinearProbing(), head=head, max_epochs=1).fit(*moons(40))


@pytest.mark.parametrize("head", [MLPHead(hidden_layer_sizes=(0,)), MLPHead(dropout=1.5), MLPHead((8, -1))])
def test_a_head_that_cannot_be_built_is_a_value_error(backbone, head):
    with pytest.raises(ValueError, match=r"hidden_layer_sizes|dropout"):
        TransferClassifier(backbone, strategy=LinearProbing(), head=head, max_epochs=1).fit(*moons(40))


def test_a_head_that_begins_holds_the_features_once(backbone, monkeypatch):
    X, y = moons(40_000)
    begin, peaks = start_room.begin_head, []

    def measured(start, rows, task):
        tracemalloc.start()
        begin(start, rows, task)
        peaks.append(tracemalloc.get_traced_memory()[1] / start.features.nbytes)
        tracemalloc.stop()
        known = start.backbone.source
        expected = (features_of(backbone, rows.X) - known.feature_mean) / known.feature_scale
        np.testing.assert_allclose(start.features, expected, rtol=1e-6, atol=1e-6)

    monkeypatch.setattr(start_room, "begin_head", measured)
    TransferClassifier(backbone, strategy=LinearProbing(), random_state=0).fit(X, y)
    assert len(peaks) == 1
    assert peaks[0] < 1.2
