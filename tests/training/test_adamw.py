"""The optimizer without bookkeeping moves weights as torch's own does, to the last bit."""

import pytest
import torch

from sktransfer.training.adamw import FusedAdamW


def groups(seed):
    generator = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(shape, generator=generator).requires_grad_(True) for shape in ((7, 5), (7,), (3, 7), (3,))]
    return [
        {"params": [tensors[0], tensors[2]], "lr": 0.01, "weight_decay": 0.1},
        {"params": [tensors[1], tensors[3]], "lr": 0.003, "weight_decay": 0.0},
    ], tensors


@pytest.mark.parametrize("frozen_for", [0, 4])
def test_steps_are_those_of_torch_bit_by_bit(frozen_for):
    mine, my_tensors = groups(0)
    theirs, their_tensors = groups(0)
    optimizer, reference = FusedAdamW(mine), torch.optim.AdamW(theirs, fused=True)
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        gradients = [torch.randn(t.shape, generator=generator) for t in my_tensors]
        optimizer.zero_grad()
        reference.zero_grad()
        for number, gradient in enumerate(gradients):
            # a tensor that begins to learn later counts its steps from there
            if number > 0 or step >= frozen_for:
                my_tensors[number].grad, their_tensors[number].grad = gradient.clone(), gradient.clone()
        for group, other in zip(optimizer.param_groups, reference.param_groups, strict=True):
            group["lr"] = other["lr"] = group["lr"] * 0.9
        optimizer.step()
        reference.step()
    for one, other in zip(my_tensors, their_tensors, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(my_tensors[0], groups(0)[1][0])


def test_nothing_moves_without_a_gradient():
    mine, tensors = groups(0)
    before = [t.detach().clone() for t in tensors]
    optimizer = FusedAdamW(mine)
    optimizer.zero_grad()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))
