"""MCC against the steps of the paper in numpy, and its laws."""

import numpy as np
import pytest
import torch

from sktransfer import MCC


def logits(n=12, k=4, seed=0, scale=3.0):
    return scale * np.random.default_rng(seed).normal(size=(n, k))


def loss(outputs, **parameters):
    outputs = torch.as_tensor(outputs)
    return float(MCC(**parameters).loss(outputs, outputs, outputs))


def by_the_paper(Z, temperature):
    """Equations 2 to 6: probability rescaling, uncertainty reweighting, class correlation, category normalisation."""
    n, k = Z.shape
    E = np.exp(Z / temperature)
    P = E / E.sum(axis=1, keepdims=True)
    H = np.array([-sum(p * np.log(p) for p in row) for row in P])
    W = np.diag(n * (1 + np.exp(-H)) / (1 + np.exp(-H)).sum())
    C = P.T @ W @ P
    C = C / C.sum(axis=1, keepdims=True)
    return sum(abs(C[i, j]) for i in range(k) for j in range(k) if i != j) / k


@pytest.mark.parametrize("temperature", [1.0, 2.5, 10.0])
def test_the_loss_is_that_of_the_paper(temperature):
    assert loss(logits(), temperature=temperature) == pytest.approx(by_the_paper(logits(), temperature), rel=1e-10)


def test_the_default_temperature_is_that_of_the_paper():
    assert loss(logits()) == pytest.approx(by_the_paper(logits(), 2.5), rel=1e-10)


def test_sure_rows_confuse_nothing_and_unsure_ones_everything():
    assert loss(200 * np.eye(5)) == pytest.approx(0, abs=1e-12)
    assert loss(np.zeros((7, 5))) == pytest.approx(4 / 5)


def test_a_class_that_no_row_has_is_defined():
    outputs = torch.zeros(6, 3)
    outputs[:, 0], outputs[:, 2] = 5000.0, -5000.0
    outputs.requires_grad_()
    value = MCC().loss(outputs, outputs, outputs)
    value.backward()
    assert 0 <= value <= 1
    assert torch.isfinite(outputs.grad).all()


def test_shifting_all_outputs_of_a_row_changes_nothing():
    assert loss(logits() + np.arange(12.0)[:, None]) == pytest.approx(loss(logits()), rel=1e-10)


def test_the_source_is_not_looked_at():
    Z = torch.as_tensor(logits())
    a, b = torch.zeros(1, 2), torch.full((3, 2), torch.nan)
    assert MCC().loss(a, b, Z) == MCC().loss(b, a, Z)


def test_the_gradient_holds_the_weights_of_rows_constant():
    Z = torch.tensor(logits()).requires_grad_()
    MCC().loss(Z, Z, Z).backward()
    again = Z.detach().clone().requires_grad_()
    P = torch.softmax(again / 2.5, dim=1)
    H = -(P * P.log()).sum(1)
    C = P.T @ torch.diag((1 + torch.exp(-H)).detach()) @ P
    (1 - (torch.diagonal(C) / C.sum(1)).mean()).backward()
    torch.testing.assert_close(Z.grad, again.grad, rtol=1e-10, atol=1e-14)


def test_steps_against_the_gradient_make_rows_sure():
    Z = torch.tensor(logits(scale=0.5)).requires_grad_()
    before = torch.softmax(Z, dim=1).amax(1).mean()
    for _ in range(300):
        (gradient,) = torch.autograd.grad(MCC().loss(Z, Z, Z), Z)
        Z = (Z - 20 * gradient).detach().requires_grad_()
    assert torch.softmax(Z, dim=1).amax(1).mean() > before + 0.3
