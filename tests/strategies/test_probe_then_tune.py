"""Probe, then tune: the average of two networks, and a head that cannot be solved."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from sktransfer import FromScratch, LinearProbing, MLPHead, ProbeThenTune, TransferClassifier
from sktransfer.strategies.base import HeadSolver
from tests.helpers import moons, small_backbone


class Uncalibrated(LinearProbing):
    """The head that tuning begins from."""

    def head_solver(self):
        return HeadSolver("auto", "lbfgs")


def test_probe_then_tune_goes_part_of_the_way_from_the_probed_network():
    X, y = moons(60, seed=1, offset=0.5)
    backbone, params = small_backbone(max_epochs=2), {"lr": 0.01, "max_epochs": 5, "random_state": 0}
    half, whole = (
        TransferClassifier(backbone, strategy=ProbeThenTune(tune_interpolation=share), **params).fit(X, y)
        for share in (0.5, 1.0)
    )
    probed = TransferClassifier(backbone, strategy=Uncalibrated()).fit(X, y)
    start, end, middle = (dict(m.module_.state_dict()) for m in (probed, whole, half))
    moved = 0.0
    for key, value in middle.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (start[key] + end[key]) / 2, atol=1e-6, rtol=1e-4)
            moved += float((end[key] - start[key]).abs().sum())
    assert moved > 0.1


@pytest.mark.parametrize("params", [{"tune_rate": 0}, {"tune_interpolation": 0}, {"tune_interpolation": 1.5}])
def test_probe_then_tune_refuses_a_rate_or_interpolation_of_zero(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        TransferClassifier(small_backbone(max_epochs=1), strategy=ProbeThenTune(**params)).fit(*moons(40))


def test_probe_then_tune_trains_a_head_that_cannot_be_solved_on_frozen_blocks_first():
    model = TransferClassifier(
        small_backbone(max_epochs=1), strategy=ProbeThenTune(), head=MLPHead((4,)), max_epochs=3, random_state=0
    ).fit(*moons(40))
    assert [record["frozen_blocks"] for record in model.history_] == [3] * 3 + [0] * 3


X, y = moons(60)


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


def test_probe_then_tune_averages_with_the_probed_head_not_with_the_untrained_one(backbone):
    losses = []
    for share in (1.0, 0.01):
        strategy = ProbeThenTune(tune_interpolation=share, tune_rate=1e-6)
        head = MLPHead((16,), dropout=0.0)
        model = TransferClassifier(backbone, head=head, strategy=strategy, max_epochs=100, lr=0.01, random_state=0)
        losses.append(log_loss(y, model.fit(X, y).predict_proba(X)))
    assert losses[1] == pytest.approx(losses[0], abs=1e-3)


def test_from_scratch_nothing_is_averaged_with_random_weights():
    small = FromScratch(arguments={"hidden_layer_sizes": (16,)})
    models = [
        TransferClassifier(
            small, strategy=ProbeThenTune(tune_rate=1.0, tune_interpolation=share), max_epochs=3, random_state=0
        )
        for share in (0.5, 1.0)
    ]
    first, second = (model.fit(X, y).predict_proba(X) for model in models)
    np.testing.assert_array_equal(first, second)
