"""Frozen blocks are computed once, within a budget of memory, and nobody can tell from the result."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import (
    L2SP,
    Backbone,
    FineTuning,
    FromScratch,
    GradualUnfreezing,
    LayerDecay,
    LinearProbing,
    MLPHead,
    ProbeThenTune,
    Strategy,
    TransferClassifier,
    WeightDecay,
)
from sktransfer.networks.transfer_module import TransferModule
from sktransfer.training import frozen_features as _features
from sktransfer.training.frozen_features import FrozenFeatures
from tests.helpers import moons, small_backbone


class Refreezing(Strategy):
    """Trains the upper block first and freezes it afterwards, which no sensible strategy does."""

    def n_frozen(self, epoch, n_blocks):
        return n_blocks - 1 if epoch < 2 else n_blocks


STRATEGIES = [
    LinearProbing(),
    ProbeThenTune(n_frozen_blocks=2),
    ProbeThenTune(),
    FineTuning(2),
    FineTuning("all"),
    GradualUnfreezing(every=2),
    FineTuning(1) & LayerDecay(0.5),
    FineTuning(2) & L2SP(0.1),
    LinearProbing() & WeightDecay(0.1),
    Refreezing(),
]


@pytest.fixture(scope="module")
def backbone():
    return small_backbone()


@pytest.mark.parametrize("head", [None, MLPHead((8,), dropout=0.3)], ids=["linear", "mlp"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_cached_features_give_the_same_network(backbone, strategy, head, monkeypatch):
    X, y = moons(150, seed=3)
    model = TransferClassifier(backbone, head=head, strategy=strategy, max_epochs=6, batch_size=32, random_state=0)
    with_cache = model.fit(X, y).module_.state_dict()
    monkeypatch.setattr(_features, "BUDGET", 0)
    without = model.fit(X, y).module_.state_dict()
    for name, value in with_cache.items():
        torch.testing.assert_close(value, without[name], rtol=1e-5, atol=1e-6)


class Counting(nn.Module):
    """Counts the rows that pass."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.n_rows = 0

    def forward(self, x):
        self.n_rows += len(x)
        return torch.tanh(self.linear(x))


def passes(strategy, monkeypatch, budget=None, n_rows=60, max_epochs=6):
    """Rows that passed each of three blocks in a fit, per row of the data; probing the width took one row each."""
    X, y = moons(n_rows, seed=3)
    backbone = Backbone(nn.Sequential(Counting(4), Counting(4), Counting(4)))
    if budget is not None:
        monkeypatch.setattr(_features, "BUDGET", budget)
    counted = []
    copy_blocks = Backbone.copy_blocks
    monkeypatch.setattr(Backbone, "copy_blocks", lambda self: counted.append(copy_blocks(self)) or counted[-1])
    head = MLPHead((4,), normalize="none")
    model = TransferClassifier(backbone, head=head, strategy=strategy, max_epochs=max_epochs, batch_size=16)
    before = [block.n_rows for block in backbone._modules]
    model.fit(X, y)
    return [round((block.n_rows - was) / n_rows, 1) for block, was in zip(counted[0], before, strict=True)]


def test_frozen_blocks_see_each_row_once_and_others_once_an_epoch(monkeypatch):
    # the features of a head that is not standardised are measured once more at the end, for the next fit
    assert passes(FineTuning(3), monkeypatch) == [2, 2, 2]
    assert passes(FineTuning(2), monkeypatch) == [2, 2, 7]
    assert passes(FineTuning(0), monkeypatch) == [7, 7, 7]


def test_a_schedule_computes_each_depth_once(monkeypatch):
    # two epochs with three frozen blocks, two with two, two with one; each depth begins at the rows again
    expected = [3 + 1, 2 + 2 + 1, 1 + 4 + 1]
    assert passes(GradualUnfreezing(every=2), monkeypatch) == pytest.approx(expected, abs=0.15)


def test_beyond_the_budget_frozen_blocks_run_for_every_batch(monkeypatch):
    found = passes(FineTuning(2), monkeypatch, budget=60 * 4 * 4 - 1)
    assert found[0] == found[1] == pytest.approx(7, abs=0.1)  # and two rows to see how wide the features are


def test_outputs_are_kept_by_depth_and_dropped_when_the_block_changes():
    torch.manual_seed(0)
    blocks = [nn.Linear(3, 5), nn.Linear(5, 2), nn.Linear(2, 2)]
    module, X = TransferModule(blocks, nn.Identity(), ["a", "b", "c"]), np.ones((7, 3), np.float32)
    frozen, cpu = FrozenFeatures(X), torch.device("cpu")
    two = frozen.after(module, 2, cpu)
    torch.testing.assert_close(two, blocks[1](blocks[0](torch.ones(7, 3))).detach())
    assert frozen.after(module, 2, cpu) is two
    below = frozen.below(1)
    with torch.no_grad():
        blocks[1].bias += 1
    torch.testing.assert_close(below.after(module, 2, cpu), two + 1)
    assert frozen.after(module, 2, cpu) is two


def test_features_take_no_more_memory_than_themselves():
    """Chunks are written where they belong; joining them at the end would hold all of them twice."""
    module = FromScratch(arguments={"hidden_layer_sizes": (64,)}).build(8)
    net = TransferModule(module.copy_blocks(), nn.Identity(), module.blocks)
    X = np.zeros((50_000, 8), np.float32)
    kept = FrozenFeatures(X).after(net, 1, torch.device("cpu"))
    assert kept.untyped_storage().nbytes() == 50_000 * 64 * 4
    assert kept.is_contiguous()
