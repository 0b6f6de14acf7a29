"""Laws that every alignment keeps: shapes, few rows, gradients, stacks of fits, parameters."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sktransfer import DANN, MCC, MMD, DeepCORAL
from sktransfer.adaptation.alignment import Alignment

ALL = [DeepCORAL(), MMD(), MCC(), DANN(hidden_layer_sizes=(7,))]
EACH = pytest.mark.parametrize("alignment", ALL, ids=lambda alignment: type(alignment).__name__)


def batch(n_source=9, n_target=6, n_features=5, n_outputs=3, lead=(), seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((n_source, n_features), (n_target, n_features), (n_target, n_outputs))
    return [torch.randn(*lead, *shape, generator=generator, dtype=dtype) for shape in shapes]


def network_of(alignment, n_features=5, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    network = alignment.network(n_features, 3)
    return None if network is None else network.to(dtype)


@EACH
def test_the_loss_is_a_scalar_above_zero_of_the_features_dtype(alignment):
    for dtype in (torch.float32, torch.float64):
        loss = alignment.loss(*batch(dtype=dtype), network=network_of(alignment, dtype=dtype))
        assert loss.shape == ()
        assert loss.dtype == dtype
        assert loss > 0


@EACH
def test_one_call_for_many_fits_is_each_fit_alone(alignment):
    source, target, outputs = batch(lead=(2, 3))
    network = network_of(alignment)
    many = alignment.loss(source, target, outputs, network=network, progress=0.3)
    assert many.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            alone = alignment.loss(source[i, j], target[i, j], outputs[i, j], network=network, progress=0.3)
            torch.testing.assert_close(many[i, j], alone, rtol=1e-12, atol=1e-12)


@EACH
def test_gradients_of_many_fits_do_not_mix(alignment):
    rows = [part.requires_grad_() for part in batch(lead=(2,))]
    network = network_of(alignment)
    alignment.loss(*rows, network=network, progress=0.3)[0].backward()
    for part in rows:
        if part.grad is not None:
            assert (part.grad[1] == 0).all()
    assert any(part.grad is not None and part.grad[0].abs().sum() > 0 for part in rows)


@EACH
def test_the_gradient_is_finite_and_not_zero(alignment):
    rows = batch()
    part = rows[2 if isinstance(alignment, MCC) else 0].requires_grad_()
    alignment.loss(*rows, network=network_of(alignment)).backward()
    assert torch.isfinite(part.grad).all()
    assert part.grad.abs().max() > 1e-6


@EACH
@pytest.mark.parametrize(("n_source", "n_target"), [(1, 6), (9, 1), (1, 1), (2, 2), (3, 40)])
def test_any_number_of_rows_has_a_finite_loss_and_gradient(alignment, n_source, n_target):
    rows = [part.requires_grad_() for part in batch(n_source, n_target)]
    loss = alignment.loss(*rows, network=network_of(alignment))
    assert torch.isfinite(loss)
    assert loss.shape == ()
    if loss.requires_grad:
        loss.backward()
        assert all(torch.isfinite(part.grad).all() for part in rows if part.grad is not None)


@EACH
def test_fewer_than_two_rows_of_the_target_count_nothing(alignment):
    assert alignment.loss(*batch(n_target=1), network=network_of(alignment)) == 0
    assert alignment.loss(*batch(n_target=1, lead=(4,)), network=network_of(alignment)).tolist() == [0] * 4


@EACH
def test_features_that_do_not_vary_have_a_finite_loss_and_gradient(alignment):
    for value in (0.0, 3.0, 1e4):
        rows = [torch.full_like(part, value).requires_grad_() for part in batch(dtype=torch.float32)]
        loss = alignment.loss(*rows, network=network_of(alignment, dtype=torch.float32))
        loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(part.grad).all() for part in rows if part.grad is not None)


@EACH
def test_large_and_small_features_have_a_finite_loss_and_gradient(alignment):
    for scale in (1e-12, 1e-6, 1e6):
        rows = [(part * scale).requires_grad_() for part in batch(dtype=torch.float32)]
        loss = alignment.loss(*rows, network=network_of(alignment, dtype=torch.float32))
        loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(part.grad).all() for part in rows if part.grad is not None)


@EACH
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_makes_a_loss_that_is_not(alignment, value):
    rows = batch()
    rows[2 if isinstance(alignment, MCC) else 1][0, 0] = value
    assert not torch.isfinite(alignment.loss(*rows, network=network_of(alignment)))


@EACH
def test_the_order_of_rows_has_no_effect(alignment):
    source, target, outputs = batch()
    network, order = network_of(alignment), torch.tensor([3, 1, 5, 0, 2, 4])
    first = alignment.loss(source, target, outputs, network=network)
    again = alignment.loss(source.flip(0), target[order], outputs[order], network=network)
    torch.testing.assert_close(first, again, rtol=1e-12, atol=1e-12)


@EACH
def test_a_regressor_takes_what_needs_no_classes(alignment):
    if isinstance(alignment, MCC):
        with pytest.raises(ValueError, match=r"Fit got alignment=MCC.*a regressor has none"):
            alignment.refuse("Fit", n_classes=None)
    else:
        assert alignment.refuse("Fit", n_classes=None) is None
    assert alignment.refuse("Fit", n_classes=2) is None


@EACH
@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "much", True, None])
def test_a_weight_that_is_no_number_of_at_least_zero_is_refused(alignment, weight):
    wrong = clone(alignment).set_params(weight=weight)
    with pytest.raises(ValueError, match=f"'weight' parameter of {type(alignment).__name__}"):
        wrong.refuse("Fit", n_classes=3)


@EACH
def test_weights_from_zero_up_are_taken(alignment):
    for weight in (0, 0.0, 3, np.float32(0.5), np.int64(2)):
        assert clone(alignment).set_params(weight=weight).refuse("Fit", n_classes=3) is None


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        *((MMD(n_bandwidths=n), "n_bandwidths") for n in (0, 2, 1.0, -3, True, "5")),
        *((MCC(temperature=t), "temperature") for t in (0, -1, float("nan"), float("inf"), "warm")),
        *((DANN(hidden_layer_sizes=sizes), "hidden_layer_sizes") for sizes in ((), (0,), 100, (2.5,))),
    ],
)
def test_parameters_out_of_range_are_refused(wrong, parameter):
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of {type(wrong).__name__}"):
        wrong.refuse("Fit", n_classes=3)


@EACH
def test_an_alignment_is_a_bag_of_parameters(alignment):
    assert isinstance(alignment, Alignment)
    assert repr(clone(alignment)) == repr(alignment)
    assert copy.deepcopy(alignment).get_params() == alignment.get_params()
