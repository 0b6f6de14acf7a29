"""Networks that a file may name: a table of standard layers and what callers register."""

import json
import pickle
import time
import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

import sktransfer.backbones.blocks  # noqa: F401  (registers the networks of the package, before a test looks which are new)
from sktransfer import MLP, Backbone, register_network
from sktransfer.networks.layers import KINDS
from sktransfer.networks.registry import _NETWORKS, Permute, build_empty, build_network, describe_network
from tests.helpers import small_backbone

# Every layer of the table with arguments other than its defaults, and the shape of one row that it takes.
LAYERS = {
    "Linear": (nn.Linear(6, 3, bias=False), (6,)),
    "Conv1d": (nn.Conv1d(2, 4, 3, stride=2, padding=1, dilation=2, groups=2, bias=False), (2, 12)),
    "BatchNorm1d": (nn.BatchNorm1d(6, eps=0.1, momentum=0.3), (6,)),
    "LayerNorm": (nn.LayerNorm(6, eps=0.1, elementwise_affine=True), (6,)),
    "Dropout": (nn.Dropout(0.7), (6,)),
    "Flatten": (nn.Flatten(1, 2), (2, 6)),
    "MaxPool1d": (nn.MaxPool1d(3, stride=2, padding=1, dilation=2), (2, 12)),
    "AvgPool1d": (nn.AvgPool1d(3, stride=2, padding=1), (2, 12)),
    "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d(4), (2, 12)),
    "AdaptiveMaxPool1d": (nn.AdaptiveMaxPool1d(4), (2, 12)),
    "Conv2d": (nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=2, groups=2, bias=False), (2, 9, 8)),
    "BatchNorm2d": (nn.BatchNorm2d(2, eps=0.1, momentum=0.3), (2, 5, 4)),
    "Dropout1d": (nn.Dropout1d(0.7), (2, 12)),
    "Dropout2d": (nn.Dropout2d(0.7), (2, 5, 4)),
    "Unflatten": (nn.Unflatten(1, (2, 3)), (6,)),
    "Permute": (Permute((0, 2, 1)), (2, 6)),
    "ConstantPad1d": (nn.ConstantPad1d((2, -1), 0.5), (2, 12)),
    "ReplicationPad1d": (nn.ReplicationPad1d((1, 2)), (2, 12)),
    "ZeroPad2d": (nn.ZeroPad2d((1, 0, 2, 1)), (2, 5, 4)),
    "MaxPool2d": (nn.MaxPool2d((3, 2), stride=2, padding=1, dilation=(2, 1)), (2, 9, 8)),
    "AvgPool2d": (nn.AvgPool2d(3, stride=2, padding=1, divisor_override=5), (2, 9, 8)),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d((2, 3)), (2, 9, 8)),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d(2), (2, 9, 8)),
    "ReLU6": (nn.ReLU6(), (6,)),
    "SELU": (nn.SELU(), (6,)),
    "Mish": (nn.Mish(), (6,)),
    "Hardsigmoid": (nn.Hardsigmoid(), (6,)),
    "Hardswish": (nn.Hardswish(), (6,)),
    "Softsign": (nn.Softsign(), (6,)),
    "Softmax": (nn.Softmax(1), (6,)),
    "LeakyReLU": (nn.LeakyReLU(0.3), (6,)),
    "ELU": (nn.ELU(0.7), (6,)),
    "ReLU": (nn.ReLU(), (6,)),
    "GELU": (nn.GELU(), (6,)),
    "SiLU": (nn.SiLU(), (6,)),
    "Tanh": (nn.Tanh(), (6,)),
    "Sigmoid": (nn.Sigmoid(), (6,)),
    "Softplus": (nn.Softplus(), (6,)),
    "Identity": (nn.Identity(), (6,)),
}
OPTIONS = {  # arguments that change numbers and that each layer's own constructor knows
    "GELU": nn.GELU(approximate="tanh"),
    "Softplus": nn.Softplus(beta=3.0, threshold=1.0),
    "LayerNorm": nn.LayerNorm(6, bias=False),
    "Conv1d": nn.Conv1d(2, 4, 3, padding=1, padding_mode="circular"),
    "MaxPool1d": nn.MaxPool1d(5, ceil_mode=True),
    "AvgPool1d": nn.AvgPool1d(3, padding=1, count_include_pad=False),
}


@pytest.fixture
def registry(monkeypatch):
    for name in list(_NETWORKS):
        monkeypatch.setitem(_NETWORKS, name, _NETWORKS[name])
    before = set(_NETWORKS)
    yield
    for name in set(_NETWORKS) - before:
        del _NETWORKS[name]


def rebuilt(network):
    """Described, written as a file would, built again, with the weights copied."""
    torch.manual_seed(1)
    built = build_network(json.loads(json.dumps(describe_network(network))))
    shapes = [{key: value.shape for key, value in net.state_dict().items()} for net in (built, network)]
    assert shapes[0] == shapes[1]
    built.load_state_dict(network.state_dict())
    return built


def assert_same_outputs(first, second, shape):
    torch.manual_seed(2)
    x = torch.randn(8, *shape)
    for mode in (False, True):
        torch.manual_seed(3)
        a = first.train(mode)(x)
        torch.manual_seed(3)
        torch.testing.assert_close(a, second.train(mode)(x), rtol=0, atol=0)


def test_the_table_above_is_the_table_of_the_package():
    assert set(LAYERS) == set(KINDS)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_of_the_table_comes_back_with_its_arguments(kind):
    layer, shape = LAYERS[kind]
    network = nn.Sequential(layer)
    assert_same_outputs(rebuilt(network), network, shape)


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_that_change_numbers_come_back_or_the_layer_is_not_named(kind):
    network = nn.Sequential(OPTIONS[kind])
    if describe_network(network) is not None:
        assert_same_outputs(rebuilt(network), network, LAYERS[kind][1])


def test_nested_sequentials_keep_their_names():
    network = nn.Sequential()
    network.add_module("filter", nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU()))
    network.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(8, 5)))
    built = rebuilt(network)
    assert [key for key, _ in built.named_modules()] == [key for key, _ in network.named_modules()]
    assert_same_outputs(built, network, (2, 12))


def test_what_is_not_in_the_table_has_no_description():
    class Linear(nn.Linear):
        """Not torch's, although it bears its name."""

    class Sequence(nn.Sequential):
        """Not a plain one: its forward could be anything."""

    assert describe_network(nn.Sequential(nn.Bilinear(2, 2, 2))) is None
    assert describe_network(nn.Sequential(nn.Sequential(nn.ReLU(), nn.PReLU()))) is None
    assert describe_network(nn.Sequential(Linear(2, 2))) is None
    assert describe_network(Sequence(nn.Linear(2, 2))) is None
    assert describe_network(nn.Linear(2, 2)) is None


def test_a_registered_network_is_described_by_its_arguments(registry):
    @register_network("pump")
    class Pump(nn.Module):
        def __init__(self, n_features_in, width=4, *, slope=0.1):
            super().__init__()
            self.lower = nn.Sequential(nn.Linear(n_features_in, width), nn.LeakyReLU(slope))

        def forward(self, x):
            return self.lower(x)

    network = Pump(3, slope=0.5)
    assert describe_network(network) == {"name": "pump", "arguments": {"n_features_in": 3, "slope": 0.5}}
    assert_same_outputs(rebuilt(network), network, (3,))
    assert Backbone(network).n_features_out == 4


def test_a_subclass_is_not_taken_for_its_parent_unless_it_is_registered_too(registry):
    class Wider(MLP):
        def __init__(self, n_features_in, factor):
            super().__init__(n_features_in, hidden_layer_sizes=(4 * factor,))

    assert describe_network(Wider(3, 2)) is None
    registered = register_network("wider")(Wider)
    network = registered(3, factor=2)
    assert describe_network(network) == {"name": "wider", "arguments": {"n_features_in": 3, "factor": 2}}
    assert_same_outputs(rebuilt(network), network, (3,))
    assert describe_network(MLP(3, (8,)))["name"] == "mlp"


def test_a_name_belongs_to_one_class(registry):
    class Other(nn.Module):
        pass

    with pytest.raises(ValueError, match="'mlp' already belongs to MLP"):
        register_network("mlp")(Other)
    assert _NETWORKS["mlp"] is MLP


@pytest.mark.parametrize("name", ["sequential"])
def test_the_name_of_plain_sequentials_cannot_be_taken(registry, name):
    class Other(nn.Module):
        pass

    with pytest.raises(ValueError, match=name):
        register_network(name)(Other)


def test_an_unknown_name_is_an_error_with_the_nearest_known_one():
    with pytest.raises(ValueError, match=r"'mpl'.*Did you mean 'mlp'"):
        build_network({"name": "mpl", "arguments": {}})
    with pytest.raises(ValueError, match="register_network"):
        build_network({"name": "subprocess.run", "arguments": {}})
    with pytest.raises(ValueError, match="Bilinear"):
        build_network({"name": "sequential", "arguments": {"layers": [["0", "Bilinear", {}]]}})


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_features_in": 2, "hidden_layer_sizes": [10**9]},
        {"n_features_in": 10**9, "hidden_layer_sizes": [2]},
        {"n_features_in": 2, "hidden_layer_sizes": [2] * 10**5},
        {"n_features_in": 2, "hidden_layer_sizes": [float("nan")]},
        {"n_features_in": -(10**9)},
    ],
)
@pytest.mark.parametrize("build", [build_network, build_empty])
def test_bounds_are_refused_before_anything_is_allocated(arguments, build):
    tracemalloc.start()
    begin = time.perf_counter()
    with pytest.raises(ValueError, match="refused"):
        build({"name": "mlp", "arguments": arguments})
    assert time.perf_counter() - begin < 1
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_an_endless_nesting_is_refused():
    layers = ["0", "Linear", {"in_features": 2, "out_features": 2}]
    for _ in range(40):
        layers = ["0", "Sequential", {"layers": [layers]}]
    with pytest.raises(ValueError, match="too large"):
        build_network({"name": "sequential", "arguments": {"layers": [layers]}})


def test_an_empty_network_has_shapes_and_no_memory():
    network = build_empty({"name": "mlp", "arguments": {"n_features_in": 2**20, "hidden_layer_sizes": [2**20]}})
    assert all(value.is_meta for value in network.state_dict().values())
    assert network.block1[0].weight.shape == (2**20, 2**20)


@pytest.mark.parametrize("length", [1, 15])
def test_windows_too_short_for_the_process_network_are_an_error(length):
    net = build_network({"name": "process", "arguments": {"n_features": 8}}).eval()
    with pytest.raises(ValueError, match=rf"at least 16 samples, got \(2, 3, {length}\)"):
        net(torch.zeros(2, 3, length))
    assert net(torch.zeros(2, 3, 16)).shape == (2, 8)


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


@register_network("constants-outside-the-state")
class Constants(nn.Module):
    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.linear = nn.Linear(width, 5)
            self.register_buffer("phase", torch.linspace(0.0, 1.0, 5), persistent=False)
            self.register_buffer("mask", torch.tensor([True, False, True, True, False]))

        def forward(self, x):
            return (self.linear(x) + self.phase) * self.mask

    def __init__(self, n_features_in):
        super().__init__()
        self.block = self.Block(n_features_in)

    def forward(self, x):
        return self.block(x)


def test_networks_with_constants_and_truth_values_come_back():
    backbone = Backbone(Constants(np.int64(4)))
    loaded = pickle.loads(pickle.dumps(backbone))
    x = torch.ones(2, 4)
    with torch.no_grad():
        torch.testing.assert_close(loaded.copy_blocks()[0](x), backbone.copy_blocks()[0](x), rtol=0, atol=0)


def test_a_constructor_that_hides_its_arguments_cannot_be_registered():
    with pytest.raises(ValueError, match="name the arguments"):

        @register_network("hides")
        class Hides(nn.Module):
            def __init__(self, **options):
                super().__init__()
