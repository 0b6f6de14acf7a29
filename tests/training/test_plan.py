"""The rules that a single fit and a stack of fits obey."""

import pytest
import torch

from sktransfer import LayerDecay, WeightDecay
from sktransfer.training.plan import Plan, average, groups


def make_plan(strategy, **changes):
    settings = {"max_epochs": 3, "lr": 0.1, "batch_size": 8, "seed": 0, "loss": None, "source": {}}
    return Plan(strategy, **(settings | changes))


def parameters(*leading):
    sizes = {0: {"head.weight": (3, 5), "head.bias": (3,)}, 1: {"top.weight": (5, 4)}, 2: {"low.scale": (4,)}}
    return [
        (depth, {name: torch.zeros(*leading, *size) for name, size in named.items()}) for depth, named in sizes.items()
    ]


@pytest.mark.parametrize("leading", [(), (2, 6)])
def test_groups_have_the_rate_of_their_depth_and_only_matrices_decay(leading):
    plan = make_plan(LayerDecay(0.5) & WeightDecay(0.01))
    found = groups(plan, parameters(*leading), n_stacked=len(leading))
    assert {options: [name for name, _ in named] for options, named in found.items()} == {
        (0.1, 0.01): ["head.weight"],
        (0.1, 0.0): ["head.bias"],
        (0.05, 0.01): ["top.weight"],
        (0.025, 0.0): ["low.scale"],
    }


def test_parameters_of_equal_rate_and_decay_share_a_group_and_keep_their_order():
    given = parameters()
    found = groups(make_plan(LayerDecay(1.0)), given)
    assert list(found) == [(0.1, 0.0)]
    tensors = [tensor for _, named in given for tensor in named.values()]
    assert all(one is other for (_, one), other in zip(found[0.1, 0.0], tensors, strict=True))


@pytest.mark.parametrize("interpolation", [0.0, 0.25, 0.5, 1.0])
def test_an_average_lies_on_the_straight_line_and_leaves_integers_alone(interpolation):
    before = {"weight": torch.tensor([[1.0, 2.0]]), "count": torch.tensor(3)}
    after = {"weight": torch.tensor([[5.0, -2.0]]), "count": torch.tensor(9)}
    found = average(before, after, interpolation)
    torch.testing.assert_close(found["weight"], torch.tensor([[1.0 + 4 * interpolation, 2.0 - 4 * interpolation]]))
    assert found["count"] == 3


@pytest.mark.parametrize("shape", [(4,), (4, 3)])
def test_the_average_of_a_stack_is_that_of_each_network_to_the_last_bit(shape):
    generator = torch.Generator().manual_seed(0)
    before, after = ({"w": torch.randn(2, 3, *shape, generator=generator)} for _ in range(2))
    shares = torch.tensor([[0.0, 0.3, 0.5], [0.7, 0.9, 1.0]], dtype=torch.float64)
    stacked = average(before, after, shares)["w"]
    for s in range(2):
        for k in range(3):
            alone = average({"w": before["w"][s, k]}, {"w": after["w"][s, k]}, float(shares[s, k]))["w"]
            assert torch.equal(stacked[s, k], alone)


def test_training_stops_below_its_loss_and_never_at_zero():
    assert make_plan(LayerDecay(1.0), stop_loss=1e-3).stopped(9e-4)
    assert not make_plan(LayerDecay(1.0), stop_loss=1e-3).stopped(1e-3)
    assert not make_plan(LayerDecay(1.0)).stopped(0.0)
