"""DANN: the published ramp, the reversed gradient, and an adversary that moves and has an effect."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch import nn

from sktransfer import DANN
from sktransfer.adaptation.dann import ramp


def domains(n=60, d=4, seed=0, step=1.0):
    generator = torch.Generator().manual_seed(seed)
    source, target = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    return source, target + step


def classifier(alignment=None, d=4):
    torch.manual_seed(0)
    return (alignment or DANN()).network(d, 2).double()


def test_the_ramp_is_the_published_one():
    for p in (0.0, 0.1, 0.5, 1.0):
        assert ramp(p) == pytest.approx(2 / (1 + math.exp(-10 * p)) - 1)
    assert ramp(0.0) == 0
    assert ramp(1.0) == pytest.approx(0.9999, abs=1e-4)


def test_the_loss_is_the_cross_entropy_of_both_domains_each_a_half():
    (source, target), network = domains(), classifier()
    target = target[:7]
    with torch.no_grad():
        p_source, p_target = (torch.sigmoid(network(X)).numpy().ravel() for X in (source, target))
    expected = (-np.log(1 - p_source).mean() - np.log(p_target).mean()) / 2
    found = float(DANN().loss(source, target, target, network=network))
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("progress", [0.1, 0.5, 1.0])
def test_features_get_the_reversed_gradient_and_the_classifier_its_own(progress):
    (source, target), network = domains(), classifier()
    source.requires_grad_()
    DANN().loss(source, target, target, network=network, progress=progress).backward()
    found = [source.grad.clone(), *(parameter.grad.clone() for parameter in network.parameters())]
    source.grad = None
    network.zero_grad()
    logits = network(torch.cat([source, target])).squeeze(1)
    wanted = torch.cat([torch.zeros(60), torch.ones(60)]).double()
    nn.functional.binary_cross_entropy_with_logits(logits, wanted).backward()
    factor = 2 / (1 + math.exp(-10 * progress)) - 1
    torch.testing.assert_close(found[0], -factor * source.grad, rtol=1e-9, atol=1e-13)
    for mine, parameter in zip(found[1:], network.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter.grad, rtol=1e-9, atol=1e-13)


def test_the_adversary_moves_where_a_softmax_over_one_output_would_not():
    (source, target), network = domains(), classifier()
    source.requires_grad_()
    DANN().loss(source, target, target, network=network).backward()
    assert source.grad.abs().max() > 1e-6
    assert all(parameter.grad.abs().max() > 1e-6 for parameter in network.parameters())
    dead = nn.Sequential(*network, nn.Softmax(dim=1))  # the fault of another package: 1 for every row
    source.grad = None
    DANN().loss(source, target, target, network=dead).backward()
    assert source.grad.abs().max() == 0


def test_the_features_alone_see_the_reversal():
    """What else uses the features keeps its gradient."""
    source, target = domains()
    source.requires_grad_()
    network = classifier()
    (DANN().loss(source, target, target, network=network, progress=0.0) + source.sum()).backward()
    assert (source.grad == 1).all()  # the ramp begins at zero


def test_the_network_has_the_layers_asked_for():
    network = DANN(hidden_layer_sizes=(8, 3)).network(5, 2)
    assert [tuple(layer.weight.shape) for layer in network if isinstance(layer, nn.Linear)] == [(8, 5), (3, 8), (1, 3)]
    assert network(torch.randn(2, 6, 5)).shape == (2, 6, 1)


def test_without_its_network_it_says_what_is_missing():
    source, target = domains()
    with pytest.raises(ValueError, match=r"Pass network=DANN\(\)\.network"):
        DANN().loss(source, target, target)


def found_domain(source, target, net):
    """How well a classifier trained apart tells the domains by the features, by cross-validation."""
    with torch.no_grad():
        X = np.concatenate([net(source).numpy(), net(target).numpy()])
    y = np.repeat([0, 1], [len(source), len(target)])
    return cross_val_score(LogisticRegression(max_iter=1000), X, y, cv=5).mean()


def test_a_classifier_trained_apart_finds_the_domains_less_well_after_it():
    source, target = domains(200, step=torch.tensor([2.0, 0, 0, 0]))
    labels = torch.cat([source[:, 1], target[:, 1]]) > 0
    scores = {}
    for weight in (0.0, 1.0):
        torch.manual_seed(0)
        net, head = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double(), nn.Linear(3, 1).double()
        network = classifier(d=3)
        optimizer = torch.optim.Adam([*net.parameters(), *head.parameters(), *network.parameters()], lr=0.01)
        for step in range(400):
            a, b = net(source), net(target)
            logits = head(torch.cat([a, b])).squeeze(1)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.double())
            loss = loss + weight * DANN().loss(a, b, b, network=network, progress=step / 400)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right = ((logits > 0) == labels).double().mean()
        scores[weight] = found_domain(source, target, net), float(right)
    assert scores[0.0][0] > scores[1.0][0] + 0.1
    assert scores[1.0][0] < 0.65
    assert scores[1.0][1] > 0.9  # and the labels are still found
