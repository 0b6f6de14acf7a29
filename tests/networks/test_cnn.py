"""The network for windows of signals."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import CNN
from sktransfer.networks.registry import build_network, describe_network
from sktransfer.networks.transfer_module import TransferModule


def trained(*arguments, **options):
    """A network whose BatchNorm has other statistics and weights than it begins with."""
    torch.manual_seed(0)
    net = CNN(*arguments, **options)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.bias, -1, 1)
    n_channels = net.block1.input_shape[0] or 2
    net.train()(torch.randn(20, n_channels, 2 * net.receptive_field) * 2 + 1)
    return net.eval()


def convolve(x, state, name, stride):
    """Convolution and BatchNorm of one window (channels, length) by loops, in float64."""
    conv, norm = f"{name[0]}.", f"{name[1]}."
    weight = state[conv + "weight"]
    k = weight.shape[2]
    padded = np.pad(x, [(0, 0), (k // 2, k // 2)])
    ends = range(0, x.shape[1], stride)
    y = np.array([[np.sum(w * padded[:, i : i + k]) for i in ends] for w in weight])
    y = (y - state[norm + "running_mean"][:, None]) / np.sqrt(state[norm + "running_var"][:, None] + 1e-5)
    return y * state[norm + "weight"][:, None] + state[norm + "bias"][:, None]


def by_hand(net, x, kernel_stride):
    """Features of one window of a network with one convolution and residual blocks."""
    state = {key: value.numpy().astype(np.float64) for key, value in net.state_dict().items()}
    x = np.maximum(convolve(x, state, ("block1.layers.0", "block1.layers.1"), kernel_stride[0]), 0)
    for depth, stride in enumerate(kernel_stride[1:], start=2):
        block = f"block{depth}.layers."
        y = np.maximum(convolve(x, state, (block + "change.0", block + "change.1"), stride), 0)
        y = convolve(y, state, (block + "change.3", block + "change.4"), 1)
        short = np.stack([x[:, i : i + stride].mean(axis=1) for i in range(0, x.shape[1], stride)], axis=1)
        if block + "short.1.weight" in state:
            short = convolve(short, state, (block + "short.1", block + "short.2"), 1)
        x = np.maximum(y + short, 0)
    return np.concatenate([x.mean(axis=1), x.max(axis=1)])


@pytest.mark.parametrize(("widths", "strides"), [((3, 4), (2, 3)), ((3, 3, 5), (1, 2, 2)), ((4,), (3,))])
@pytest.mark.parametrize("length", [40, 41, 43])
def test_features_are_those_computed_by_loops(widths, strides, length):
    net = trained(2, widths, kernel_size=3, strides=strides)
    x = np.random.default_rng(0).normal(size=(3, 2, length)).astype(np.float32)
    expected = [by_hand(net, window.astype(np.float64), strides) for window in x]
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach(), expected, atol=1e-5)


def test_shared_channels_are_each_the_network_of_one_channel_then_mean_and_maximum():
    net = trained(None, (3, 4), kernel_size=3, strides=2, shared_channels=True)
    x = np.random.default_rng(0).normal(size=(2, 3, 30)).astype(np.float32)
    single = np.array([[by_hand(net, channel[None].astype(np.float64), (2, 2)) for channel in window] for window in x])
    expected = np.concatenate([single.mean(axis=1), single.max(axis=1)], axis=1)
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach(), expected, atol=1e-5)


def test_shared_channels_may_come_in_any_order_and_number():
    net = trained(None, (4, 8), shared_channels=True)
    x = torch.randn(5, 4, 200)
    torch.testing.assert_close(net(x[:, [2, 0, 3, 1]]), net(x), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(net(x[:, :3]), net(x))
    # a channel alone and the same channel several times are one
    torch.testing.assert_close(net(x[:, :1].repeat(1, 3, 1)), net(x[:, :1]), rtol=1e-5, atol=1e-6)
    own = trained(4, (4, 8))
    assert not torch.allclose(own(x[:, [2, 0, 3, 1]]), own(x))


@pytest.mark.parametrize("options", [{}, {"kernel_size": 3, "strides": (1, 2, 3)}, {"widths": (4,), "strides": 1}])
@pytest.mark.parametrize("shared", [False, True])
def test_any_length_down_to_the_receptive_field_gives_features_of_one_width(options, shared):
    net = trained(2, **options, shared_channels=shared)
    width = (4 if shared else 2) * options.get("widths", (32, 64, 128))[-1]
    for length in (net.receptive_field, net.receptive_field + 1, 1000):
        assert net(torch.randn(3, 2, length)).shape == (3, width)
    with pytest.raises(ValueError, match=f"windows of {net.receptive_field - 1}"):
        net(torch.randn(3, 2, net.receptive_field - 1))


@pytest.mark.parametrize(("kernel_size", "strides"), [(3, (1, 1)), (5, (2, 3, 1)), (7, (4, 4))])
def test_a_value_before_the_pooling_sees_as_many_samples_as_the_receptive_field_says(kernel_size, strides):
    net = CNN(1, (3,) * len(strides), kernel_size, strides).eval()
    for layer in net.modules():
        if isinstance(layer, nn.Conv1d):
            nn.init.uniform_(layer.weight, 0.1, 1)  # no ReLU hides anything
    net.get_submodule(f"block{len(strides)}").last = False
    x = torch.rand(1, 1, 4 * net.receptive_field, requires_grad=True)
    out = net(x)
    seen = torch.nonzero(torch.autograd.grad(out[0, 0, out.shape[2] // 2], x)[0][0, 0])
    assert seen.max() - seen.min() + 1 == net.receptive_field


@pytest.mark.parametrize("shape", [(3, 1, 700), (3, 700), (3, 2, 2, 700)])
def test_other_channels_or_dimensions_are_an_error(shape):
    with pytest.raises(ValueError, match=r"\(n_windows, 2, length\), got \(3,"):
        CNN(2)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": ()}, "'widths' parameter of CNN"),
        ({"widths": 8}, "'widths' parameter of CNN"),
        ({"kernel_size": 4}, "odd"),
        ({"strides": (2, 2)}, "one for each of the 3 widths"),
        ({"strides": 0}, "'strides' parameter of CNN"),
        ({"dropout": 1.0}, "'dropout' parameter of CNN"),
        ({"n_features_in": None}, "needs shared_channels=True"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        CNN(**{"n_features_in": 1, **arguments})


def test_described_and_built_again_it_has_the_same_outputs():
    net = trained(2, (4, 6), 5, strides=[2, 3], dropout=0.2)
    built = build_network(describe_network(net)).eval()
    built.load_state_dict(net.state_dict())
    x = torch.randn(4, 2, 90)
    torch.testing.assert_close(built(x), net(x), rtol=0, atol=0)
    assert [layer.p for layer in built.modules() if isinstance(layer, nn.Dropout1d)] == [0.2, 0.2]


def test_frozen_blocks_stay_while_the_others_learn():
    net = trained(1, (3, 4, 5), 3, 2, dropout=0.3)
    module = TransferModule(list(net.children()), nn.Linear(10, 1), net.block_names).train().freeze(2)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.randn(8, 1, 60)).square().mean().backward()
        optimizer.step()
    moved = {key.split(".")[1] for key, value in module.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"2", "weight", "bias"}  # the third block and the head
