"""Numpy or torch is decided once; products of shared blocks are held once; rows are looked at once."""

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import Backbone, FeatureExtractor, FineTuning, LinearProbing, MLPHead, TransferClassifier
from sktransfer.estimators import base
from sktransfer.inference.predictor import Predictor, blocks_in_numpy
from sktransfer.networks.transfer_module import TransferModule
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=3)


@pytest.fixture(scope="module")
def fitted(backbone):
    return TransferClassifier(backbone, head=MLPHead((8,)), max_epochs=2, random_state=0).fit(*moons(60, seed=1))


def test_backbones_share_products_as_far_as_they_share_weights(backbone):
    upper = TransferClassifier(backbone, strategy=FineTuning(2), max_epochs=1, random_state=0).fit(*moons(60)).backbone_
    assert [a is b for a, b in zip(upper.weights, backbone.weights, strict=True)] == [True, True, False]
    for n_blocks in (1, 2):
        assert blocks_in_numpy(upper, n_blocks) is blocks_in_numpy(backbone, n_blocks)
    assert blocks_in_numpy(upper, 3) is not blocks_in_numpy(backbone, 3)
    assert blocks_in_numpy(backbone.describe(name="other"), 3) is blocks_in_numpy(backbone, 3)


def test_products_go_with_the_weights(backbone):
    upper = TransferClassifier(backbone, strategy=FineTuning(2), max_epochs=1, random_state=0).fit(*moons(60)).backbone_
    held = weakref.ref(blocks_in_numpy(upper, 3))
    kept = weakref.ref(blocks_in_numpy(backbone, 3))
    del upper
    gc.collect()
    assert held() is None
    assert kept() is blocks_in_numpy(backbone, 3)


def test_a_predictor_of_a_module_or_of_its_arrays_is_the_same(fitted):
    module = fitted.module_
    first = Predictor(fitted.backbone_, fitted._predictor.head, 3, module=module)
    second = Predictor(fitted.backbone_, fitted._predictor.head, 3, first.arrays)
    found = []
    for predictor in (first, second):
        used = predictor.outputs("Test", moons(30)[0], "cpu", None, refuse=None, use=lambda *part: found.append(part))
        assert used == "cpu"
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert first.module_on("cpu") is module
    state = second.module_on("cpu").state_dict()
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


def test_a_network_in_float64_is_computed_in_float64(fitted):
    blocks = [block.double() for block in fitted.backbone_.copy_blocks()]
    head = fitted._predictor.head.build(fitted.backbone_.n_features_out, 3).double()
    module = TransferModule(blocks, head, fitted.backbone_.blocks).eval()
    X, found = moons(30)[0].clip(-2, 2), []
    predictor = Predictor(fitted.backbone_, fitted._predictor.head, 3, module=module)
    assert predictor.network is None
    predictor.outputs("Test", X, "cpu", None, refuse=None, use=lambda *part: found.append(part))
    with torch.inference_mode():
        np.testing.assert_allclose(found[0][1], module(torch.from_numpy(X)).numpy(), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.OutOfRangeWarning")
def test_rows_out_of_range_are_neither_checked_nor_converted_again(fitted, monkeypatch):
    def fail(*args, **kwargs):
        pytest.fail("looked at twice")

    X = moons(30)[0]
    X[3] *= 100
    expected = fitted.predict_proba(X)
    monkeypatch.setattr(base, "check_rows", fail)
    monkeypatch.setattr(base, "to_float32", fail)
    np.testing.assert_array_equal(fitted.predict_proba(X), expected)
    assert expected[3].max() < 0.5
    with pytest.raises(pytest.fail.Exception, match="twice"):
        fitted.predict_proba(np.where(np.arange(30)[:, None] == 5, np.nan, X))


@pytest.mark.parametrize("last", [nn.LayerNorm(5), nn.ReLU()], ids=["torch alone", "numpy"])
@pytest.mark.parametrize("n_rows", [1, 64, 1025, 2500])
def test_features_are_those_of_the_blocks_in_chunks_of_any_number(last, n_rows):
    X = moons(n_rows, seed=2)[0].astype(np.float32)
    backbone = Backbone(nn.Sequential(nn.Linear(4, 5), last, nn.Linear(5, 2)), blocks=["0", "1"])
    with torch.inference_mode():
        expected = last(backbone.copy_blocks()[0](torch.from_numpy(X))).numpy()
    found = FeatureExtractor(backbone).fit(X).transform(X)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_torch_computes_where_the_device_is_not_the_cpu(fitted, monkeypatch):
    X = moons(30)[0]
    expected = fitted.predict_proba(X)
    monkeypatch.setattr("sktransfer.inference.predictor.is_cpu", lambda device: False)
    monkeypatch.setattr(type(fitted._predictor.network), "run", lambda self, rows: pytest.fail("computed in numpy"))
    np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-6)


def products(program):
    """Bytes of the arrays of a program, those it shares left out."""
    arrays = [part for step in program._steps for part in step[1:] if isinstance(part, np.ndarray)]
    return sum(array.nbytes for array in arrays)


def as_rows(X):
    return np.ascontiguousarray(X, dtype=np.float32)


def test_heads_on_one_backbone_hold_its_products_once(backbone):
    X, y = moons(90)
    first, second = (
        TransferClassifier(backbone.describe(name=name), strategy=LinearProbing()).fit(X, y) for name in "ab"
    )
    bodies = [model._predictor.network._below for model in (first, second)]
    assert bodies[0] is bodies[1] is blocks_in_numpy(backbone, 3)
    assert products(first._predictor.network) < products(bodies[0]) / 3
    tuned = TransferClassifier(backbone, strategy=FineTuning(2), max_epochs=1, random_state=0).fit(X, y)
    assert tuned._predictor.network._below is not bodies[0]
    module = tuned.module_
    rows = as_rows(X)
    np.testing.assert_allclose(tuned._outputs(X)[0], module.run(rows), atol=1e-4)
