"""The optimizer without bookkeeping moves weights as torch's own does, to the last bit."""

from functools import partial

import pytest
import torch

from sktransfer.training.adamw import Moments, step_of_adamw


def groups(seed):
    generator = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(shape, generator=generator).requires_grad_(True) for shape in ((7, 5), (7,), (3, 7), (3,))]
    return [
        {"params": [tensors[0], tensors[2]], "lr": 0.01, "weight_decay": 0.1},
        {"params": [tensors[1], tensors[3]], "lr": 0.003, "weight_decay": 0.0},
    ], tensors


def moments_of(group):
    return [Moments(p.detach(), partial(getattr, p, "grad")) for p in group["params"]]


@pytest.mark.parametrize("frozen_for", [0, 4])
def test_steps_are_those_of_torch_bit_by_bit(frozen_for):
    mine, my_tensors = groups(0)
    theirs, their_tensors = groups(0)
    moments, reference = [moments_of(group) for group in mine], torch.optim.AdamW(theirs, fused=True)
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        gradients = [torch.randn(t.shape, generator=generator) for t in my_tensors]
        for mine_one, their_one in zip(my_tensors, their_tensors, strict=True):
            mine_one.grad = their_one.grad = None
        for place, gradient in enumerate(gradients):
            # a tensor that begins to learn later counts its steps from there
            if place > 0 or step >= frozen_for:
                my_tensors[place].grad, their_tensors[place].grad = gradient.clone(), gradient.clone()
        for group, other, parts in zip(mine, reference.param_groups, moments, strict=True):
            group["lr"] = other["lr"] = group["lr"] * 0.9
            step_of_adamw(parts, group["lr"], group["weight_decay"])
        reference.step()
    for one, other in zip(my_tensors, their_tensors, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(my_tensors[0], groups(0)[1][0])


def test_nothing_moves_without_a_gradient():
    mine, tensors = groups(0)
    before = [t.detach().clone() for t in tensors]
    for group in mine:
        step_of_adamw(moments_of(group), group["lr"], group["weight_decay"])
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
