"""Statistics of BatchNorm on other rows, against torch's own running statistics and against numpy."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer.networks.batch_norm import measure_batch_norm
from sktransfer.networks.process_net import TagNet


def network(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5)),
        nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU()),
    )
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean.uniform_(-1, 1)
            layer.running_var.uniform_(0.5, 2)
    return net.eval()


def statistics(net):
    layers = [layer for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    return [(layer.running_mean.numpy().copy(), layer.running_var.numpy().copy()) for layer in layers]


def by_torch(net, X):
    """Running statistics that torch measures on all rows as one batch, one layer after the other."""
    net = copy.deepcopy(net).eval()
    for layer in net.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.reset_running_stats()
            layer.momentum = None
            layer.train()
            with torch.no_grad():
                net(torch.from_numpy(X))
            layer.eval()
    return statistics(net)


def rows(n=40, seed=1, shape=(4,)):
    return (np.random.default_rng(seed).normal(size=(n, *shape)) * 3 + 2).astype(np.float32)


def test_replaced_statistics_are_those_that_torch_measures_on_all_rows_at_once(monkeypatch):
    X = rows()
    for chunk in (7, 1000):
        monkeypatch.setattr("sktransfer.networks.batch_norm.chunk_of", lambda _, chunk=chunk: chunk)
        net = network()
        measure_batch_norm("a", list(net), X, np.ones(len(X)), 0)
        for found, expected in zip(statistics(net), by_torch(network(), X), strict=True):
            np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(found[1], expected[1], rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 32), (5, 40)])
def test_a_network_of_tags_measures_every_tag_of_every_window(shape):
    torch.manual_seed(0)
    net = TagNet(shape[0], pooled=True).eval()
    X = rows(12, shape=shape)
    expected = by_torch(net, X)
    measure_batch_norm("a", [net.tag, net.tags], X, np.ones(len(X)), 0)
    for found, right in zip(statistics(net), expected, strict=True):
        np.testing.assert_allclose(found[0], right[0], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(found[1], np.maximum(right[1], 0.01), rtol=1e-3)


def test_a_weight_of_three_is_the_row_three_times_in_a_network_of_tags_too():
    for make, shape in ((lambda: list(network()), (4,)), (lambda: [TagNet(3).eval().tag], (3, 32))):
        X, weight = rows(9, shape=shape), np.arange(1.0, 10.0)
        torch.manual_seed(0)
        weighted = nn.Sequential(*make())
        copied = copy.deepcopy(weighted)
        measure_batch_norm("a", list(weighted), X, weight, 4)
        repeated = np.repeat(X, weight.astype(int), axis=0)
        measure_batch_norm("a", list(copied), repeated, np.ones(len(repeated)), 4)
        for a, b in zip(statistics(weighted), statistics(copied), strict=True):
            np.testing.assert_allclose(a[0], b[0], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(a[1], b[1], rtol=1e-5)


def test_statistics_of_the_source_count_as_so_many_rows():
    X, net = rows(30), network()
    layer, linear = net[0][1], net[0][0]
    before = statistics(net)[0]
    with torch.no_grad():
        inputs = linear(torch.from_numpy(X)).double().numpy()
    measure_batch_norm("a", list(net), X, np.ones(30), 10)
    np.testing.assert_allclose(layer.running_mean, 0.25 * before[0] + 0.75 * inputs.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(layer.running_var, 0.25 * before[1] + 0.75 * inputs.var(axis=0, ddof=1), rtol=1e-4)


def test_a_channel_that_does_not_move_keeps_a_tenth_of_the_deviation_of_the_source():
    net, X = network(), np.repeat(rows(1), 20, axis=0)
    before = statistics(net)
    measure_batch_norm("a", list(net), X, np.ones(20), 0)
    for now, then in zip(statistics(net), before, strict=True):
        np.testing.assert_allclose(np.sqrt(now[1]), 0.1 * np.sqrt(then[1]), rtol=1e-5)


def test_no_weight_moves_and_the_blocks_are_in_inference_mode():
    net = network()
    before = {name: value.clone() for name, value in net.named_parameters()}
    net.train()
    measure_batch_norm("a", list(net), rows(), np.ones(40), 0)
    assert all(torch.equal(before[name], value) for name, value in net.named_parameters())
    assert not any(part.training for block in net for part in block.modules())


def test_a_network_without_statistics_is_an_error_that_names_it():
    plain = [nn.Linear(4, 3), nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.ReLU())]
    with pytest.raises(ValueError, match=r"AdaBN: backbone 'pump' has no BatchNorm"):
        measure_batch_norm("pump", plain, rows(), np.ones(40), 0)
