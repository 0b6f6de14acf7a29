"""Where a head begins is worked out once a fit."""

import dataclasses

import numpy as np
import pytest

from sktransfer import L2SP, FineTuning, LinearHead, LinearProbing, ProbeThenTune, TransferClassifier, TransferRegressor
from sktransfer.backbones.source import Source
from sktransfer.training.head_start import HeadStart
from sktransfer.training.tasks import Classification, Regression
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


@pytest.mark.parametrize("strategy", [LinearProbing(), ProbeThenTune() & L2SP(0.1), FineTuning()], ids=repr)
def test_the_source_is_matched_and_rescaled_once_a_fit(backbone, monkeypatch, strategy):
    calls = []

    def counted(owner, name):
        plain = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda self, *args: calls.append(name) or plain(self, *args))

    counted(Classification, "match")
    counted(Classification, "source_rows")
    X, y = moons(60)
    plain = Source.rescaled
    rescaled = []
    monkeypatch.setattr(Source, "rescaled", lambda self, *args: rescaled.append(self) or plain(self, *args))
    TransferClassifier(backbone, strategy=strategy, max_epochs=2, random_state=0).fit(X, y)
    assert calls == ["match", "source_rows"]
    assert sum(source is backbone.source for source in rescaled) == 1


def test_a_head_start_cannot_be_changed(backbone):
    start = HeadStart("auto", "none", *(np.zeros(1),) * 6)
    with pytest.raises(dataclasses.FrozenInstanceError):
        start.init = "random"


def test_the_features_that_are_used_are_those_to_which_an_obeyed_source_head_gives_weight():
    weight = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, -1.0, 0.0, 2.0]])
    source = Source(np.zeros(4), np.ones(4), weight, np.zeros(2), np.array(["a", "b"]))
    task = Classification(np.array(["a", "b"]), None)
    assert task.used_features("source", source, 4).tolist() == [False, True, False, True]
    assert task.used_features("auto", source, 4).all()
    assert task.used_features("source", dataclasses.replace(source, weight=np.zeros((2, 4))), 4).all()
    assert task.used_features("source", None, 4).all()
    assert Regression(np.zeros(1), np.ones(1)).used_features("source", source, 4).all()


def test_a_solved_head_under_an_infinite_penalty_is_the_source_s(backbone):
    X, _ = moons(60)
    source = TransferRegressor(backbone, strategy=LinearProbing(), random_state=0).fit(X, X[:, 0]).backbone_
    model = TransferRegressor(source, strategy=LinearProbing(alpha=np.inf), random_state=0).fit(X + 1, X[:, 1])
    np.testing.assert_allclose(model.backbone_.source.weight, source.source.weight, rtol=1e-5, atol=1e-6)


X, y = moons(60)


def test_an_imprinted_head_is_the_centre_where_it_is_asked_for(backbone):
    solved = {
        init: TransferClassifier(backbone, head=LinearHead(init=init), strategy=LinearProbing(alpha=1e6)).fit(X, y)
        for init in ("imprint", "random")
    }
    assert solved["imprint"].score(X, y) > 0.5
    np.testing.assert_allclose(solved["random"].predict_proba(X), 1 / 3, atol=1e-3)
