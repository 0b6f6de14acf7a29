"""Layers are read off a description as torch would build them, or not at all."""

import pytest
import torch
from torch import nn

from sktransfer import MLP, Backbone, FromScratch, LinearHead, MLPHead
from sktransfer.backbones.blocks import find_blocks, layers_of_modules
from sktransfer.inference.predictor import blocks_in_numpy
from sktransfer.networks.layers import fits, layers_of, width_after
from sktransfer.networks.registry import build_network, describe_network

NESTED = nn.Sequential(nn.Sequential(nn.Linear(3, 5), nn.Sequential(nn.Tanh(), nn.Linear(5, 4, bias=False))), nn.ELU())


@pytest.mark.parametrize(
    ("network", "names"),
    [
        (MLP(3, (8, 4), dropout=0.2), ["block1", "block2"]),
        (MLP(3, (8, 4), batch_norm=False), ["block1"]),
        (MLP(3), ["block1", "block2", "block3"]),
        (NESTED, ["0", "1"]),
        (NESTED, ["0.0", "0.1", "1"]),
        (nn.Sequential(nn.Linear(2, 2), nn.GELU("tanh"), nn.LeakyReLU(0.2), nn.BatchNorm1d(2)), ["0", "1", "2", "3"]),
    ],
)
def test_layers_of_a_description_are_those_of_the_modules(network, names):
    modules = find_blocks(network, names)
    layers = layers_of(describe_network(network), names)
    assert layers == layers_of_modules(modules)
    for block, module in zip(layers, modules, strict=True):
        arrays = {key: value.numpy() for key, value in module.state_dict().items()}
        assert fits(block, arrays)
        assert not fits(block, {**arrays, "more": next(iter(arrays.values()), torch.zeros(1).numpy())})
        assert not arrays or not fits(block, {key: value[..., None] for key, value in arrays.items()})


def test_widths_follow_the_layers_and_wrong_ones_are_an_error():
    layers = layers_of(
        {"name": "mlp", "arguments": {"n_features_in": 3, "hidden_layer_sizes": [8, 4]}}, ["block1", "block2"]
    )
    assert width_after(layers, 3) == 4
    with pytest.raises(ValueError, match="Linear takes 3 columns and gets 5"):
        width_after(layers, 5)
    assert width_after((), 7) == 7


GOOD = {"name": "mlp", "arguments": {"n_features_in": 3, "hidden_layer_sizes": [8]}}
LINEAR = {"in_features": 3, "out_features": 2, "bias": True}


@pytest.mark.parametrize(
    "description",
    [
        None,
        "mlp",
        {"name": "mlp"},
        {"name": "mpl", "arguments": {}},
        *({"name": "mlp", "arguments": {**GOOD["arguments"], **change}} for change in (
            {"exec": 1}, {"hidden_layer_sizes": "8"}, {"hidden_layer_sizes": []}, {"hidden_layer_sizes": [8.0]},
            {"hidden_layer_sizes": [True]}, {"hidden_layer_sizes": [2**21]}, {"hidden_layer_sizes": [2] * 300},
            {"n_features_in": None}, {"n_features_in": 0}, {"dropout": 1.0}, {"dropout": "0"}, {"batch_norm": 1})),
        *({"name": "sequential", "arguments": {"layers": layers}} for layers in (
            None, [["block1"]], [["block1", "Bilinear", {}]], [["block1", "Linear", {"in_features": 3}]],
            [["block1", "Linear", {**LINEAR, "device": "cuda"}]],
            [["block1", "Linear", LINEAR], ["block1", "ReLU", {}]],
            [["block1", "Conv1d", {}]], [["block1", ["Linear"], LINEAR]], [["block.1", "Linear", LINEAR]],
            [["block1", "Sequential", LINEAR]], [["block1", "Linear", [3, 2]]])),
    ],
)  # fmt: skip
def test_what_is_unknown_or_out_of_bounds_is_left_to_torch(description):
    assert layers_of(description, ["block1"]) is None


@pytest.mark.parametrize("names", [[], ["block2"], ["block1", "block1"], [1], ["block1.9"], [""]])
def test_blocks_that_are_not_there_are_left_to_torch(names):
    assert layers_of(GOOD, ["block1"]) is not None
    assert layers_of(GOOD, names) is None


@pytest.mark.parametrize(
    "layer",
    [nn.LayerNorm(3), nn.BatchNorm1d(3, track_running_stats=False), nn.Flatten(), nn.PReLU(), nn.Linear(3, 3).double()],
)
def test_layers_that_numpy_does_not_compute_stay_with_torch(layer):
    backbone = Backbone(nn.Sequential(nn.Linear(3, 3), nn.Sequential(layer)), blocks=["0"])
    assert blocks_in_numpy(backbone, 1) is not None
    modules = [nn.Linear(3, 3), layer]
    layers = layers_of_modules(modules)
    assert layers is None or not fits(layers[1], {k: v.numpy() for k, v in layer.state_dict().items()})


def test_a_hook_keeps_a_network_with_torch():
    network = nn.Sequential(nn.Linear(2, 2))
    network[0].register_forward_hook(lambda module, args, output: output * 2)
    backbone = Backbone(network)
    assert blocks_in_numpy(backbone, 1) is None


def test_a_layer_that_occurs_twice_is_computed_twice():
    relu = nn.Tanh()
    network = nn.Sequential(nn.Linear(3, 3), relu, nn.Linear(3, 3), relu).eval()
    backbone = Backbone(network)
    assert backbone.blocks == ("0", "1", "2", "3")
    x = torch.linspace(-2, 2, 12).reshape(4, 3)
    built = build_network(describe_network(network))
    built.load_state_dict(network.state_dict())
    expected = network(x).detach().numpy()
    for found in (blocks_in_numpy(backbone, 4).run(x.numpy()), built(x).detach().numpy()):
        assert abs(found - expected).max() < 1e-6


@pytest.mark.parametrize("head", [LinearHead(), MLPHead((6,)), MLPHead((6, 5), dropout=0.1)])
def test_layers_of_a_head_fit_the_module_that_it_builds(head):
    arrays = {key: value.numpy() for key, value in head.build(7, 3).state_dict().items()}
    assert fits(head.layers(7, 3), arrays)
    assert not fits(head.layers(7, 4), arrays)
    assert width_after((head.layers(7, 3),), 7) == 3


def test_the_layers_of_a_head_of_somebody_elses_are_unknown():
    class Doubled(LinearHead):
        """Builds something else."""

    assert Doubled().layers(7, 3) is None


def test_untrained_networks_are_read_as_well():
    assert blocks_in_numpy(FromScratch().build(5), 3) is not None
