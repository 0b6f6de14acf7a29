"""MMD against double loops over rows and bandwidths, and its laws."""

import math

import numpy as np
import pytest
import torch

from sktransfer import MMD


def features(n, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def loss(source, target, n_bandwidths=5):
    source, target = torch.as_tensor(source), torch.as_tensor(target)
    return float(MMD(n_bandwidths=n_bandwidths).loss(source, target, target))


def by_loops(source, target, bandwidths):
    rows = [*source, *target]
    apart = [((a - b) ** 2).sum() for i, a in enumerate(rows) for b in rows[:i]]
    mean = sum(apart) / len(apart)

    def kernel(a, b):
        return sum(math.exp(-((a - b) ** 2).sum() / (mean * s)) for s in bandwidths) / len(bandwidths)

    def average(A, B):
        return sum(kernel(a, b) for a in A for b in B) / (len(A) * len(B))

    return average(source, source) + average(target, target) - 2 * average(source, target)


@pytest.mark.parametrize(("n", "bandwidths"), [(1, (1,)), (3, (0.5, 1, 2)), (5, (0.25, 0.5, 1, 2, 4))])
def test_the_loss_is_the_biased_estimate_over_all_pairs_and_bandwidths(n, bandwidths):
    source, target = features(7), features(5, seed=1) + 0.7
    assert loss(source, target, n) == pytest.approx(by_loops(source, target, bandwidths), rel=1e-10)


def test_equal_samples_have_no_loss_and_others_more():
    source = features(20)
    assert loss(source, source) == pytest.approx(0, abs=1e-14)
    assert loss(source, np.repeat(source, 3, axis=0)) == pytest.approx(0, abs=1e-14)
    losses = [loss(source, source + step) for step in (0.1, 0.5, 1.0, 2.0, 5.0)]
    assert losses == sorted(losses)
    assert losses[0] > 0


def test_rotating_moving_or_scaling_both_domains_changes_nothing():
    source, target = features(9), features(8, seed=1) + 1
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    first = loss(source, target)
    assert loss(source @ rotation + 3, target @ rotation + 3) == pytest.approx(first, rel=1e-10)
    assert loss(source * 100, target * 100) == pytest.approx(first, rel=1e-10)
    assert loss(target, source) == pytest.approx(first, rel=1e-10)


def test_a_common_offset_does_not_cost_the_digits_of_float32():
    source, target = features(9), features(8, seed=1) + 1
    exact = loss(source, target)
    assert loss(np.float32(source + 1000), np.float32(target + 1000)) == pytest.approx(exact, rel=1e-3)


def test_the_gradient_holds_the_bandwidths_constant():
    source, target = (torch.tensor(features(n, seed=n)) for n in (6, 5))
    rows = torch.cat([source, target])
    mean = torch.pdist(rows).square().mean()
    source.requires_grad_()
    MMD().loss(source, target, target).backward()
    expected = source.detach().clone().requires_grad_()

    def average(A, B):
        squares = (A[:, None] - B[None]).square().sum(-1)
        return sum(torch.exp(-squares / (mean * s)).mean() for s in (0.25, 0.5, 1, 2, 4)) / 5

    (average(expected, expected) + average(target, target) - 2 * average(expected, target)).backward()
    torch.testing.assert_close(source.grad, expected.grad, rtol=1e-9, atol=1e-13)


def test_steps_against_the_gradient_bring_the_domains_together():
    source, target = torch.tensor(features(20)), torch.tensor(features(15, seed=1) + 2)
    before = MMD().loss(source, target, target)
    for _ in range(500):
        target.requires_grad_()
        (gradient,) = torch.autograd.grad(MMD().loss(source, target, target), target)
        target = (target - 5 * gradient).detach()
    assert MMD().loss(source, target, target) < 0.1 * before
    assert (source.mean(0) - target.mean(0)).norm() < 1  # 4 at the beginning
