"""A stacked network is its networks side by side: outputs, gradients and running statistics of each."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import MLPHead
from sktransfer.networks.transfer_module import TransferModule
from sktransfer.training.dropout import draw_integers, dropout_generator, dropout_threshold, private_dropout
from sktransfer.training.stacked_network import StackedNetwork, pad, shape_of, shapes_of

N_STREAMS, N_NETWORKS, N_ROWS, WIDTH = 2, 3, 7, 5
RATES = [0.0, 0.3, 0.8]

LAYERS = {
    "linear": lambda rate: [nn.Linear(WIDTH, 4)],
    "linear without bias": lambda rate: [nn.Linear(WIDTH, 4, bias=False)],
    "two linear": lambda rate: [nn.Linear(WIDTH, 6), nn.Linear(6, 4)],
    "batch norm": lambda rate: [nn.Linear(WIDTH, 4, bias=False), nn.BatchNorm1d(4)],
    "batch norm first": lambda rate: [nn.BatchNorm1d(WIDTH, eps=0.1, momentum=0.4), nn.Linear(WIDTH, 4)],
    "dropout": lambda rate: [nn.Linear(WIDTH, 4), nn.Dropout(rate)],
    "dropout first": lambda rate: [nn.Dropout(rate), nn.Linear(WIDTH, 4), nn.Dropout(rate / 2)],
    "one activation twice": lambda rate: [nn.Linear(WIDTH, 4), tanh := nn.Tanh(), nn.Linear(4, 4), tanh],
    "nested": lambda rate: [nn.Sequential(nn.Linear(WIDTH, 4), nn.Sequential(nn.Tanh())), nn.Dropout(rate)],
    **{
        type(layer).__name__: lambda rate, layer=layer: [nn.Linear(WIDTH, 4), layer]
        for layer in (
            nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(), nn.GELU(), nn.SiLU(), nn.Tanh(), nn.Sigmoid(), nn.Softplus(),
            nn.Identity(),
        )
    },
}  # fmt: skip


def networks(layers, *, keep_statistics, shared):
    """``[fold_batch][network]``: one block of these layers and an MLP head, all weights and constants random."""
    torch.manual_seed(0)
    made = []
    for _ in range(N_STREAMS * N_NETWORKS):
        rate = RATES[len(made) % N_NETWORKS]
        block = nn.Sequential(*copy.deepcopy(layers(rate)))
        head = MLPHead((6,), dropout=rate).build(4, 2)
        module = TransferModule([block], head, ["block"], keep_statistics=keep_statistics).double()
        first = not shared or len(made) % N_NETWORKS == 0
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.data.copy_(torch.rand_like(tensor) + 0.1)
        if not first:
            module.head.standardize.load_state_dict(made[-1].head.standardize.state_dict())
        made.append(module)
    return [made[s * N_NETWORKS : (s + 1) * N_NETWORKS] for s in range(N_STREAMS)]


def levels(place, width):
    """The same draws that `private_dropout` makes for a fold_batch whose seed is its number."""
    return torch.stack([draw_integers((N_ROWS, width), dropout_generator(s, place, "cpu")) for s in range(N_STREAMS)])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("keep_statistics", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_gradients_and_statistics_are_those_of_the_networks(kind, shared, keep_statistics, training):
    modules = networks(LAYERS[kind], keep_statistics=keep_statistics, shared=shared)
    state = [{k: v.clone() for k, v in module.state_dict().items()} for fold_batch in modules for module in fold_batch]
    stacked = StackedNetwork(modules, 0)
    stacked.training, stacked.random_integers = training, levels
    x = torch.randn(N_STREAMS, N_ROWS, WIDTH, dtype=torch.float64)
    outputs = stacked(x, 0)
    assert outputs.shape == (N_STREAMS, N_NETWORKS, N_ROWS, 2)
    outputs.square().sum().backward()
    before = iter(state)
    for s, fold_batch in enumerate(modules):
        for k, module in enumerate(fold_batch):
            for key, value in next(before).items():
                torch.testing.assert_close(module.state_dict()[key], value, rtol=0, atol=0)  # not touched by stacking
            with private_dropout(module, s, torch.device("cpu")):
                alone = module.train(training)(x[s])
            alone.square().sum().backward()
            torch.testing.assert_close(outputs[s, k], alone, rtol=1e-12, atol=1e-12)
            named = {name: value for _, group in module.groups() for name, value in group.items()}
            assert set(stacked.weights) == set(named)
            for name, weight in named.items():
                torch.testing.assert_close(stacked.weights[name].grad[s, k], weight.grad, rtol=1e-11, atol=1e-12)
            for name, value in module.blocks[0].named_buffers():
                torch.testing.assert_close(stacked.buffers[f"block.{name}"][s, k], value, rtol=1e-12, atol=1e-12)


def test_a_stack_begins_at_any_block_that_learns():
    torch.manual_seed(0)
    sizes = [(5, 4), (4, 6), (6, 3)]
    modules = [
        [TransferModule([nn.Linear(*size) for size in sizes], nn.Linear(3, 2), "abc").double() for _ in range(2)]
    ]
    stacked = StackedNetwork(modules, 1)
    x = torch.randn(1, N_ROWS, 4, dtype=torch.float64)
    assert set(stacked.weights) == {f"{name}.{key}" for name in ("b", "c", "head") for key in ("weight", "bias")}
    assert [stacked.depths[f"{name}.weight"] for name in ("head", "c", "b")] == [0, 1, 2]
    for k in range(2):
        torch.testing.assert_close(stacked(x, 1)[0, k], modules[0][k](x[0], 1), rtol=1e-12, atol=1e-12)
        later = modules[0][k].features(x[0], 1, 2)
        torch.testing.assert_close(stacked(later[None], 2)[0, k], modules[0][k](later, 2), rtol=1e-12, atol=1e-12)


def test_the_state_of_one_network_is_a_copy():
    modules = networks(LAYERS["batch norm"], keep_statistics=False, shared=True)
    stacked = StackedNetwork(modules, 0)
    state = stacked.state_of(1, 2)
    module = modules[1][2]
    torch.testing.assert_close(state["block.0.weight"], module.blocks[0][0].weight.detach(), rtol=0, atol=0)
    torch.testing.assert_close(state["block.1.running_var"], module.blocks[0][1].running_var, rtol=0, atol=0)
    with torch.no_grad():
        stacked.weights["block.0.weight"].zero_()
    assert state["block.0.weight"].abs().sum() > 0


@pytest.mark.parametrize("rate", [0.0, 1e-6, 0.25, 0.5, 0.999999, 1.0])
def test_every_rate_keeps_what_dropout_alone_keeps(rate):
    modules = [[TransferModule([nn.Dropout(p)], nn.Linear(64, 1), ["drop"]).double() for p in (rate, 0.5)]]
    stacked = StackedNetwork(modules, 0)
    drawn = draw_integers((4000, 64), dropout_generator(0, 0, "cpu"))
    stacked.training, stacked.random_integers = True, lambda place, width: drawn[None]
    dropped = stacked._steps[0][0](torch.ones(1, 4000, 64, dtype=torch.float64))[0, 0].T
    threshold, factor = dropout_threshold(rate) if rate else (32_768, 1.0)
    np.testing.assert_array_equal(dropped.numpy(), np.where(drawn.numpy() < threshold, factor, 0.0))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(1, 1, 1),
        nn.LayerNorm(3),
        nn.PReLU(),
        nn.RReLU(),
        nn.Dropout1d(),
        nn.AlphaDropout(),
        nn.BatchNorm1d(3, affine=False),
        nn.BatchNorm1d(3, track_running_stats=False),
        nn.BatchNorm1d(3, momentum=None),
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
        type("Mine", (nn.Linear,), {})(3, 3),
        type("Order", (nn.Sequential,), {})(nn.Linear(3, 3)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_cannot_be_stacked_are_named_so(layer):
    assert shape_of(layer) is None
    assert shape_of(nn.Sequential(nn.Linear(3, 3), layer)) is None
    why = shapes_of([nn.Linear(3, 3), layer])
    assert why.endswith(("cannot be stacked", "neither a known layer nor a plain nn.Sequential"))


def test_networks_that_share_weights_or_carry_hooks_are_not_stacked():
    plain, hooked, patched = nn.Linear(3, 3), nn.Linear(3, 3), nn.ReLU()
    hooked.register_forward_hook(lambda *args: None)
    patched.forward = torch.sin
    assert type(shapes_of([plain, nn.Linear(3, 3)])) is tuple
    assert shapes_of([plain, plain]) == "two layers of its network share weights"
    assert shapes_of([nn.Sequential(plain, nn.ReLU(), plain)]) == "two layers of its network share weights"
    assert shapes_of([plain, hooked]) == "a Linear of its network carries hooks or another forward"
    assert shapes_of([plain, patched]) == "a ReLU of its network carries hooks or another forward"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (nn.Linear(3, 4), nn.Linear(3, 4), True),
        (nn.Linear(3, 4), nn.Linear(3, 4, bias=False), False),
        (nn.Linear(3, 4), nn.Linear(4, 3), False),
        (nn.Dropout(0.1), nn.Dropout(0.9), True),
        (nn.BatchNorm1d(3), nn.BatchNorm1d(3, eps=0.1), False),
        (nn.BatchNorm1d(3), nn.BatchNorm1d(3, momentum=0.2), False),
        (nn.LeakyReLU(0.1), nn.LeakyReLU(0.2), False),
        (nn.ReLU(), nn.Tanh(), False),
        (nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU(), nn.ReLU()), False),
        (MLPHead((4,), dropout=0.1).build(3, 2), MLPHead((4,), dropout=0.2).build(3, 2), True),
        (MLPHead((4,)).build(3, 2), MLPHead((4,)).build(3, 3), False),
    ],
)
def test_networks_stack_if_only_numbers_differ(one, other, same):
    assert (shape_of(one) == shape_of(other)) is same


def test_padding_adds_rows_of_zeros():
    a, b = torch.ones(2, 3), torch.full((4, 3), 2.0)
    padded = pad([a, b])
    assert padded.shape == (2, 4, 3)
    assert padded[0].sum() == 6
    assert padded[1].sum() == 24
