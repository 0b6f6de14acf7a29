"""Deep CORAL against its formula by loops, and its invariances."""

import numpy as np
import pytest
import torch

from sktransfer import DeepCORAL


def features(n, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) @ np.random.default_rng(seed + 50).normal(size=(d, d))


def loss(source, target):
    source, target = torch.as_tensor(source), torch.as_tensor(target)
    return float(DeepCORAL().loss(source, target, target))


def by_loops(source, target):
    """Covariances entry by entry."""
    d = source.shape[1]
    covariances = []
    for X in (source, target):
        means = [sum(column) / len(column) for column in X.T]
        C = [[sum((x[i] - means[i]) * (x[j] - means[j]) for x in X) / (len(X) - 1) for j in range(d)] for i in range(d)]
        covariances.append(C)
    C_s, C_t = covariances
    difference = sum((C_s[i][j] - C_t[i][j]) ** 2 for i in range(d) for j in range(d))
    return difference / sum(C_s[i][j] ** 2 + C_t[i][j] ** 2 for i in range(d) for j in range(d))


@pytest.mark.parametrize(("n", "m"), [(30, 20), (5, 40), (2, 2), (4, 4), (5, 4)])
def test_the_loss_is_the_relative_distance_of_the_covariances(n, m):
    source, target = features(n), features(m, seed=1)
    assert loss(source, target) == pytest.approx(by_loops(source, target), rel=1e-10)


def test_the_published_loss_is_this_one_times_the_size_of_the_covariances():
    source, target = features(30), features(20, seed=1)
    C_s, C_t = np.cov(source.T), np.cov(target.T)
    published = ((C_s - C_t) ** 2).sum() / (4 * 4**2)
    assert loss(source, target) * ((C_s**2).sum() + (C_t**2).sum()) / 64 == pytest.approx(published, rel=1e-10)


def test_rotating_moving_or_scaling_both_domains_changes_nothing():
    source, target = features(30), features(20, seed=1)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    first = loss(source, target)
    assert loss(source @ rotation, target @ rotation) == pytest.approx(first, rel=1e-10)
    assert loss(source + 5, target - 7) == pytest.approx(first, rel=1e-10)
    assert loss(source * 1e3, target * 1e3) == pytest.approx(first, rel=1e-10)
    assert loss(target, source) == pytest.approx(first, rel=1e-10)


def test_equal_covariances_have_no_loss_and_opposite_ones_the_largest():
    source = features(30)
    assert loss(source, -source[::-1].copy()) == pytest.approx(0, abs=1e-14)
    assert loss(source[:3], -source[:3]) == pytest.approx(0, abs=1e-14)  # fewer rows than features
    apart = np.zeros((2, 4, 2))
    apart[0, :, 0], apart[1, :, 1] = (1, -1, 2, -2), (1, -1, 2, -2)
    assert loss(*apart) == pytest.approx(1)


def test_the_gradient_does_not_change_the_scale_of_the_features():
    """Differentiating along the features themselves: the loss of features times 1 + e is the same."""
    source, target = (torch.tensor(features(n, seed=n)).requires_grad_() for n in (8, 6))
    DeepCORAL().loss(source, target, target).backward()
    along = (source.grad * source.detach()).sum() + (target.grad * target.detach()).sum()
    assert float(along) == pytest.approx(0, abs=1e-14)
    assert source.grad.abs().max() > 1e-3


def test_the_gradient_is_that_of_the_formula():
    source, target = torch.tensor(features(8)), torch.tensor(features(6, seed=1))
    assert torch.autograd.gradcheck(
        lambda a, b: DeepCORAL().loss(a, b, b), (source.requires_grad_(), target.requires_grad_())
    )
