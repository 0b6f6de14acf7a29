"""The network for rows of a table."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import MLP
from sktransfer.networks.registry import build_network, describe_network


def test_a_block_is_linear_batch_norm_relu_dropout_by_hand():
    torch.manual_seed(0)
    net = MLP(3, hidden_layer_sizes=(5, 4), dropout=0.4)
    net.train()(torch.randn(50, 3) * 2 + 1)  # statistics other than zero and one
    net.eval()
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    h = x.astype(np.float64)
    for block in (net.block1, net.block2):
        state = {key: value.numpy().astype(np.float64) for key, value in block.state_dict().items()}
        h = h @ state["0.weight"].T
        h = (h - state["1.running_mean"]) / np.sqrt(state["1.running_var"] + 1e-5) * state["1.weight"] + state["1.bias"]
        h = np.maximum(h, 0.0)
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach(), h, atol=1e-5)


@pytest.mark.parametrize(("sizes", "batch_norm"), [((8,), True), ((8, 4), False), ([3, 3, 3], True)])
def test_blocks_and_widths_are_those_asked_for(sizes, batch_norm):
    net = MLP(6, hidden_layer_sizes=sizes, batch_norm=batch_norm)
    assert net.block_names == [f"block{i}" for i in range(1, len(sizes) + 1)]
    assert [net.get_submodule(name)[0].out_features for name in net.block_names] == list(sizes)
    assert any(isinstance(layer, nn.BatchNorm1d) for layer in net.modules()) == batch_norm
    assert net.eval()(torch.zeros(2, 6)).shape == (2, sizes[-1])


def test_no_layer_is_an_error():
    with pytest.raises(ValueError, match="non-empty sequence of integers"):
        MLP(3, hidden_layer_sizes=())


def test_arguments_given_by_place_and_by_name_describe_the_same_network():
    by_place, by_name = (
        MLP(3, (8, 4), 0.1, False),
        MLP(n_features_in=3, hidden_layer_sizes=[8, 4], dropout=0.1, batch_norm=False),
    )
    assert describe_network(by_place) == describe_network(by_name)
    assert describe_network(by_place)["arguments"]["hidden_layer_sizes"] == [8, 4]


def test_described_and_built_again_it_has_the_same_outputs():
    torch.manual_seed(0)
    net = MLP(5, hidden_layer_sizes=(8, 4), dropout=0.2).eval()
    built = build_network(describe_network(net)).eval()
    assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in net.state_dict().items()}
    built.load_state_dict(net.state_dict())
    x = torch.randn(9, 5)
    torch.testing.assert_close(built(x), net(x), rtol=0, atol=0)
    assert [layer.p for layer in built.modules() if isinstance(layer, nn.Dropout)] == [0.2, 0.2]
