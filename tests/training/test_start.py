"""The start of a fit: which blocks are copied, and which features a head leaves out."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import (
    Backbone,
    FineTuning,
    FromScratch,
    Inputs,
    LinearHead,
    LinearProbing,
    ProbeThenTune,
    Source,
    TransferClassifier,
    load_backbone,
    save_backbone,
)
from sktransfer.training import start
from tests.helpers import moons

USED, N = 4, 6  # the last two columns have no weight in the source head
STRATEGIES = [
    LinearProbing(),
    LinearProbing(alpha=0.1),
    LinearProbing(solver="ridge"),
    LinearProbing(solver="sgd"),
    ProbeThenTune(),
    FineTuning(),
]


def backbone(n=N, unused=True):
    """A layer that passes its columns on, with a source head of the classes a, b, c."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, N))
    if unused:
        weight[:, USED:] = 0
    layer = nn.Linear(n, n)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(n))
        layer.bias.zero_()
    statistics = rng.normal(size=N), rng.uniform(0.5, 2.0, size=N)
    source = Source(*(s[:n] for s in statistics), weight[:, :n], rng.normal(size=3), np.array(["a", "b", "c"]))
    return Backbone(nn.Sequential(layer), inputs=Inputs(n=n), source=source)


def rows(classes=("a", "b", "c"), seed=1):
    """The last column alone tells the classes."""
    rng = np.random.default_rng(seed)
    codes = np.arange(30) % len(classes)
    X = rng.normal(size=(30, N))
    X[:, -1] = 5.0 * codes
    return X.astype(np.float32), np.array(classes)[codes]


def fitted(strategy, backbone, X, y, init="auto"):
    head = LinearHead(init=init)
    return TransferClassifier(backbone, head=head, strategy=strategy, max_epochs=3, random_state=0).fit(X, y)


@pytest.mark.parametrize("strategy", STRATEGIES[:3], ids=repr)
def test_a_solved_head_is_that_of_a_backbone_without_them(strategy):
    X, y = rows()
    found = fitted(strategy, backbone(), X, y, "source")
    without = fitted(strategy, backbone(USED), X[:, :USED], y, "source")
    np.testing.assert_allclose(found.predict_proba(X), without.predict_proba(X[:, :USED]), rtol=1e-4, atol=1e-5)
    assert found.score(X, y) < 0.8


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_they_change_nothing_where_the_source_head_is_obeyed(strategy):
    X, y = rows()
    model, moved = fitted(strategy, backbone(), X, y, "source"), X.copy()
    moved[:, USED:] = moved[::-1, USED:]  # other values, all of which it has seen
    if isinstance(strategy, LinearProbing):
        np.testing.assert_array_equal(model.predict_proba(moved), model.predict_proba(X))
    # layers that are tuned may mix their columns; the head itself answers as if these were not there
    np.testing.assert_array_equal(model.backbone_.source.weight[:, USED:], 0)
    assert model.score(X, y) < 0.8


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("a", "b", "new")])
@pytest.mark.parametrize("strategy", STRATEGIES[:2], ids=repr)
def test_they_are_used_where_the_labels_decide(strategy, classes):
    X, y = rows(classes)
    assert fitted(strategy, backbone(), X, y).score(X, y) == 1.0


def test_a_head_that_has_weight_everywhere_uses_all():
    X, y = rows()
    assert fitted(LinearProbing(), backbone(unused=False), X, y).score(X, y) == 1.0


def test_the_next_fit_knows_them_with_their_scale(tmp_path):
    X, y = rows()
    source = backbone().source
    after = fitted(LinearProbing(), backbone(), X, y, "source").backbone_
    loaded = load_backbone(save_backbone(after, tmp_path / "after.safetensors"))
    for known in (after.source, loaded.source):
        np.testing.assert_allclose(known.feature_scale, source.feature_scale, rtol=1e-6)
        np.testing.assert_array_equal(known.weight[:, USED:], 0)
    new, labels = rows(("p", "q", "r"), seed=2)
    assert fitted(LinearProbing(), loaded, new, labels).score(new, labels) == 1.0
    again = fitted(LinearProbing(alpha=np.inf), loaded, X, y)  # and the head answers as before
    np.testing.assert_array_equal(again.predict(X), fitted(LinearProbing(), backbone(), X, y, "source").predict(X))


@pytest.mark.parametrize(("strategy", "shared"), [(LinearProbing(), True), (ProbeThenTune(), False)])
def test_blocks_are_copied_only_where_something_may_train_them(strategy, shared, monkeypatch):
    backbone, seen = FromScratch(arguments={"hidden_layer_sizes": (4, 3)}).build(4), []
    begin = start.begin_head
    monkeypatch.setattr(start, "begin_head", lambda begun, *rest: (seen.append(begun), begin(begun, *rest)))
    TransferClassifier(backbone, strategy=strategy, max_epochs=1).fit(*moons(30))
    assert [a is b for a, b in zip(seen[0].module.blocks, backbone._modules, strict=True)] == [shared, shared]
