"""Probe, then tune: the average of two networks, and a head that cannot be solved."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from sktransfer import FromScratch, LinearProbing, MLPHead, ProbeThenTune, TransferClassifier, TransferRegressor
from sktransfer.strategies.base import HeadSolver
from tests.helpers import moons, small_backbone


class Uncalibrated(LinearProbing):
    """The head that tuning begins from."""

    def head_solver(self):
        return HeadSolver(0.1, "lbfgs")


def undivided(model):
    """The weights before the head was divided by its temperature."""
    temperature = model.history_[0]["temperature"]
    return {
        key: value * temperature if key.startswith("head.output") else value
        for key, value in model.module_.state_dict().items()
    }


def test_probe_then_tune_goes_part_of_the_way_from_the_probed_network():
    X, y = moons(60, seed=1, offset=0.5)
    backbone, params = small_backbone(max_epochs=2), {"lr": 0.01, "max_epochs": 5, "random_state": 0}
    half, whole = (
        TransferClassifier(backbone, strategy=ProbeThenTune(tune_interpolation=share), **params).fit(X, y)
        for share in (0.5, 1.0)
    )
    probed = TransferClassifier(backbone, strategy=Uncalibrated()).fit(X, y)
    start, end, middle = (undivided(m) for m in (probed, whole, half))
    moved = 0.0
    for key, value in middle.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (start[key] + end[key]) / 2, atol=1e-6, rtol=1e-4)
            moved += float((end[key] - start[key]).abs().sum())
    assert moved > 0.1


def test_the_tuned_head_is_divided_by_the_temperature_that_the_solved_one_would_have():
    X, y = moons(60, seed=1, offset=0.5)
    backbone, params = small_backbone(max_epochs=2), {"max_epochs": 2, "random_state": 0}
    model = TransferClassifier(backbone, strategy=ProbeThenTune(), **params).fit(X, y)
    probed = TransferClassifier(backbone, strategy=LinearProbing(alpha=0.1)).fit(X, y)
    assert model.history_[0]["alpha"] == 0.1
    assert model.history_[0]["temperature"] == probed.history_[0]["temperature"] != 1.0
    # tuned by next to nothing, it answers as the calibrated probe
    still = TransferClassifier(backbone, strategy=ProbeThenTune(tune_rate=1e-9), **params).fit(X, y)
    np.testing.assert_allclose(still.predict_proba(X), probed.predict_proba(X), atol=1e-5)


def test_weak_is_a_tenth_for_a_classifier_and_chosen_for_a_regressor():
    X, y = moons(60)
    backbone, params = small_backbone(max_epochs=1), {"max_epochs": 1, "random_state": 0}
    answers = [
        TransferClassifier(backbone, strategy=ProbeThenTune(alpha=alpha), **params).fit(X, y).predict_proba(X)
        for alpha in ("weak", 0.1)
    ]
    np.testing.assert_array_equal(*answers)
    values = [
        TransferRegressor(backbone, strategy=ProbeThenTune(alpha=alpha), **params).fit(X, X[:, 0]).predict(X)
        for alpha in ("weak", "auto")
    ]
    np.testing.assert_array_equal(*values)
    with pytest.raises(ValueError, match="'weak' or 'auto' or a number"):
        TransferClassifier(backbone, strategy=ProbeThenTune(alpha="strong"), **params).fit(X, y)
    with pytest.raises(ValueError, match="must be 'auto' or a number"):
        TransferClassifier(backbone, strategy=LinearProbing(alpha="weak")).fit(X, y)


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
