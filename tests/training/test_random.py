"""Randomness belongs to one fit: nothing moves a global generator, and nothing else moves a fit."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sktransfer import (
    FeatureExtractor,
    FineTuning,
    FromScratch,
    LinearProbing,
    MLPHead,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.training.dropout import private_dropout
from sktransfer.utils.random import build_seeded, draw_seed
from tests.helpers import moons, small_backbone

RECIPE = FromScratch(arguments={"hidden_layer_sizes": (16, 8), "dropout": 0.3})

CPU = torch.device("cpu")


def generators():
    return torch.random.get_rng_state().tolist(), repr(np.random.get_state())


def models():
    backbone = small_backbone(max_epochs=2)
    return [
        TransferClassifier(RECIPE, max_epochs=3, random_state=0),
        TransferClassifier(backbone, strategy=LinearProbing(), random_state=0),
        TransferClassifier(backbone, strategy=FineTuning(), head=MLPHead((8,)), max_epochs=3, random_state=0),
        TransferClassifier(backbone, strategy=FineTuning(), max_epochs=3, random_state=np.random.default_rng(0)),
        FeatureExtractor(RECIPE, random_state=0),
    ]


@pytest.mark.parametrize("number", range(5))
def test_global_generators_are_as_found_after_fit_and_predict(number):
    model, (X, y) = models()[number], moons(60)
    before = generators()
    model.fit(X, y)
    assert generators() == before
    getattr(model, "predict_proba", getattr(model, "transform", None))(X)
    assert generators() == before


def test_global_generators_are_as_found_after_a_fit_that_fails():
    X, y = moons(60)
    before = generators()
    with pytest.raises(ValueError, match="NaN"):
        TransferClassifier(RECIPE, random_state=0).fit(np.where(X > 2, np.nan, X), y)
    with pytest.raises(ValueError, match="diverged"):
        TransferClassifier(RECIPE, lr=1e30, max_epochs=3, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="dropout"):
        TransferClassifier(RECIPE, head=MLPHead(dropout=7), max_epochs=1, random_state=0).fit(X, y)
    assert generators() == before


def test_torch_is_not_moved_without_a_random_state_either():
    before = generators()[0]
    TransferClassifier(RECIPE, max_epochs=2).fit(*moons(60))
    assert generators()[0] == before


def test_global_generators_do_not_move_a_fit():
    X, y = moons(60)
    answers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        answers.append(TransferClassifier(RECIPE, max_epochs=3, random_state=0).fit(X, y).predict_proba(X))
    np.testing.assert_array_equal(*answers)


def test_a_seed_decides_and_another_seed_decides_otherwise():
    X, y = moons(60)
    fits = [
        TransferClassifier(RECIPE, max_epochs=3, random_state=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert np.abs(fits[0] - fits[2]).max() > 1e-3


def test_seeds_come_from_every_kind_of_random_state():
    assert draw_seed(3) == draw_seed(3) == draw_seed(np.random.RandomState(3))
    assert draw_seed(3) != draw_seed(4)
    generator = np.random.default_rng(0)
    assert draw_seed(generator) == draw_seed(np.random.default_rng(0))
    assert draw_seed(generator) != draw_seed(np.random.default_rng(0))  # it moved on
    assert 0 <= draw_seed(None) < 2**31


def test_a_seeded_build_draws_the_same_weights_and_puts_the_generator_back():
    before = generators()
    first, second = (build_seeded(lambda: nn.Linear(4, 4), 7) for _ in range(2))
    torch.testing.assert_close(first.weight, second.weight, rtol=0, atol=0)
    with pytest.raises(ZeroDivisionError):
        build_seeded(lambda: torch.rand(3) / (1 // 0), 7)
    assert generators() == before


def test_seeded_builds_in_four_threads_do_not_draw_from_each_other():
    def build():
        first = torch.rand(3)
        time.sleep(0.01)  # room for another thread to draw
        return torch.cat([first, torch.rand(3)]).tolist()

    expected = [build_seeded(build, seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda seed: build_seeded(build, seed), range(4))) == expected


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Dropout(0.3), (200, 50)), (nn.Dropout1d(0.3), (200, 50, 4)), (nn.Dropout2d(0.3), (200, 50, 2, 2))],
)
def test_private_dropout_draws_from_its_generator_alone(layer, shape):
    x, masks, before = torch.ones(shape), [], generators()
    network = nn.Sequential(layer).train()
    for seed in (5, 5, 6):
        with private_dropout(network, seed, CPU):
            masks.append(network(x))
    assert generators() == before
    torch.testing.assert_close(masks[0], masks[1], rtol=0, atol=0)
    assert not torch.equal(masks[0], masks[2])
    kept = (masks[0] != 0).double()
    assert kept.mean().item() == pytest.approx(0.7, abs=0.03)
    # rates are multiples of 1 / 65,536
    assert sorted(masks[0].unique().tolist()) == pytest.approx([0.0, 1 / 0.7], rel=2e-5)
    flat = kept.reshape(200, 50, -1)
    assert torch.equal(flat, flat[:, :, :1].expand_as(flat))  # whole channels, as in torch


def test_private_dropout_is_nothing_in_inference_and_all_at_one():
    x = torch.randn(5, 5)
    with private_dropout(net := nn.Sequential(nn.Dropout(0.9)).eval(), 0, CPU):
        torch.testing.assert_close(net(x), x, rtol=0, atol=0)
    with private_dropout(net := nn.Sequential(nn.Dropout(1.0)).train(), 0, CPU):
        assert torch.equal(net(x), torch.zeros(5, 5))


def test_private_dropout_leaves_the_layers_as_they_were_even_after_an_error():
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    with pytest.raises(RuntimeError, match="shape"), private_dropout(network, 0, CPU):
        network(torch.ones(1, 3))
    assert type(network[1]) is nn.Dropout
    torch.manual_seed(0)
    first = network.train()(torch.ones(50, 2))
    assert not torch.equal(first, network(torch.ones(50, 2)))  # torch's own generator draws again


@pytest.mark.parametrize("number", range(4))
def test_fits_in_four_threads_are_the_fits_one_after_the_other(number):
    X, y = moons(60)
    model = models()[number]

    def fit(seed):
        return clone(model).set_params(random_state=seed).fit(X, y).predict_proba(X)

    seeds = [0, 1, 2, 3] * 3
    one_after_the_other = [fit(seed) for seed in seeds[:4]]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(fit, seeds))
    for seed, found in zip(seeds, at_once, strict=True):
        np.testing.assert_array_equal(found, one_after_the_other[seed])


def test_predictions_of_one_model_in_four_threads_are_the_same():
    X, _ = moons(3000)
    model = TransferRegressor(RECIPE, max_epochs=1, random_state=0).fit(X, X[:, 0])
    expected = model.predict(X)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: model.predict(X), range(12)):
            np.testing.assert_array_equal(found, expected)


class _ByList(nn.Module):
    """Reaches its dropout by a list of its own and not by its name."""

    def __init__(self):
        super().__init__()
        self.fc, self.drop = nn.Linear(4, 16), nn.Dropout(0.9)
        self.ops = [self.fc, self.drop]

    def forward(self, x):
        for op in self.ops:
            x = op(x)
        return x


def test_dropout_draws_however_a_network_reaches_it():
    torch.manual_seed(0)
    layer = _ByList()
    x = torch.ones(50, 4)
    layer.train()
    state = torch.get_rng_state()
    with private_dropout(layer, 3, torch.device("cpu")):
        first = layer(x)
        assert (first == 0).float().mean() > 0.7
    with private_dropout(layer, 3, torch.device("cpu")):
        assert torch.equal(layer(x), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert type(layer.drop) is nn.Dropout
    assert not hasattr(layer.drop, "generator")
