"""The penalty of L2-SP against its formula, and its effect on a fit."""

import numpy as np
import pytest
import torch

from sktransfer import L2SP, FineTuning, LinearHead, TransferClassifier
from tests.helpers import moons, small_backbone


def test_l2sp_is_half_the_weighted_squared_distance():
    rng = np.random.default_rng(0)
    now = {name: rng.normal(size=shape) for name, shape in {"a": (3, 2), "b": (4,), "head.w": (2, 3)}.items()}
    source = {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}
    expected = 0.3 / 2 * sum(((now[k] - source[k]) ** 2).sum() for k in source) + 0.7 / 2 * (now["head.w"] ** 2).sum()
    found = L2SP(alpha=0.3, beta=0.7).penalty(
        {k: torch.tensor(v) for k, v in now.items()}, {k: torch.tensor(v) for k, v in source.items()}
    )
    assert float(found) == pytest.approx(expected)


def test_l2sp_acts_by_its_gradient_and_not_on_frozen_weights():
    weight = torch.tensor([3.0, 1.0], requires_grad=True)
    L2SP(alpha=0.5).penalty({"a": weight}, {"a": torch.tensor([1.0, 1.0])}).backward()
    assert weight.grad.tolist() == [1.0, 0.0]
    assert float(L2SP().penalty({}, {"a": torch.ones(2)})) == 0.0


@pytest.mark.parametrize("params", [{"alpha": -1}, {"beta": -1}, {"alpha": float("nan")}])
def test_l2sp_refuses_a_negative_strength(params):
    with pytest.raises(ValueError, match="L2SP"):
        L2SP(**params).penalty({}, {})


def test_l2sp_keeps_the_weights_nearer_to_the_source():
    backbone = small_backbone(max_epochs=2)
    X, y = moons(60, seed=1, offset=0.5)

    def distance(strategy):
        model = TransferClassifier(backbone, strategy=strategy, lr=0.01, max_epochs=10, random_state=0).fit(X, y)
        return sum(
            ((after[key] - before[key]) ** 2).sum()
            for before, after in zip(backbone.weights, model.backbone_.weights, strict=True)
            for key in before
        )

    free, pulled, held = (distance(s) for s in (FineTuning(), L2SP(alpha=1.0), L2SP(alpha=1000.0)))
    assert held < 0.3 * pulled < pulled < 0.7 * free


X, y = moons(60)


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


def test_l2sp_pulls_new_classes_to_zero_and_known_ones_to_the_source(backbone):
    labels = np.where(y == "wear", "new", y)
    distances = []
    for alpha, beta in ((0.0, 1e3), (1e3, 0.0)):
        parameters = {"strategy": FineTuning() & L2SP(alpha, beta), "head": LinearHead(source_classes="same")}
        model = TransferClassifier(backbone, **parameters, max_epochs=200, lr=0.01, random_state=0).fit(X, labels)
        rows = dict(zip(model.classes_, model.module_.head.output.weight.numpy(), strict=True))
        source = dict(zip(backbone.source.classes, backbone.source.weight, strict=True))
        distances.append((np.abs(rows["new"]).max(), np.abs(rows["normal"] - source["normal"]).max()))
    assert distances[0][0] < 0.01 < distances[0][1]
    assert distances[1][1] < 0.01 < distances[1][0]
