"""Frozen means: no parameter and no buffer changes, and the block runs in inference mode."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sktransfer import (
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
)
from sktransfer.networks.transfer_module import TransferModule
from tests.helpers import moons, small_backbone


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


def bits(module):
    return {key: value.detach().numpy().tobytes() for key, value in module.state_dict().items()}


def bits_of(backbone):
    return [bits(module) for module in backbone._modules]


class Witness(Callback):
    """Looks at the network while it trains, because a fitted estimator shows the frozen blocks of its backbone."""

    def __init__(self):
        self.awake, self.after, self.n_steps = [], None, 0

    def on_grad_computed(self, net, named_parameters=None, **kwargs):
        module = net.module_
        self.n_steps += 1
        for depth, block in enumerate(module.blocks):
            modes = {layer.training for layer in block.modules() if not isinstance(layer, nn.BatchNorm1d)}
            with_gradient = any(p.grad is not None for p in block.parameters())
            self.awake.append((depth, module.n_frozen, modes, with_gradient))

    def on_train_end(self, net, **kwargs):
        self.after = [bits(block) for block in net.module_.blocks]


def make_module():
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5)) for _ in range(1)]
    blocks += [nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5), nn.ReLU())]
    return TransferModule(blocks, nn.Linear(5, 3), ["lower", "upper"])


def test_train_keeps_frozen_blocks_in_inference_mode():
    module = make_module().freeze(1).train()
    assert not any(layer.training for layer in module.blocks[0].modules())
    assert all(layer.training for layer in module.blocks[1].modules())
    assert module.head.training
    module.train()  # and again, as every training loop does
    assert not module.blocks[0][1].training


def test_frozen_blocks_learn_nothing_from_a_step_in_training_mode():
    module = make_module().freeze(1).train()
    before = bits(module.blocks[0]), bits(module.blocks[1])
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    module(torch.randn(8, 4)).square().sum().backward()
    optimizer.step()
    assert bits(module.blocks[0]) == before[0]
    changed = {key for key, value in bits(module.blocks[1]).items() if value != before[1][key]}
    assert {"0.weight", "1.running_mean", "1.running_var"} <= changed


def test_freezing_less_wakes_the_blocks_again():
    module = make_module().freeze(2).freeze(1)
    assert [all(p.requires_grad for p in block.parameters()) for block in module.blocks] == [False, True]
    module.freeze(0).train()
    assert all(p.requires_grad for p in module.parameters())
    assert all(layer.training for layer in module.modules())


@pytest.mark.parametrize(
    ("strategy", "head", "n_frozen"),
    [
        (LinearProbing(), MLPHead((8,)), 3),
        (FineTuning(0), None, 0),
        (FineTuning(1), None, 1),
        (FineTuning(2), MLPHead((8,)), 2),
        (FineTuning("all"), None, 3),
        (FineTuning(-1) & LayerDecay(0.5), None, 2),
        (GradualUnfreezing(every=100), None, 3),
        (GradualUnfreezing(every=2), None, 2),  # four epochs: 3, 3, 2, 2 blocks
        (ProbeThenTune(n_frozen_blocks=2), None, 2),
        (ProbeThenTune(n_frozen_blocks=1), MLPHead((8,)), 1),
    ],
)
def test_frozen_blocks_are_bit_identical_after_a_fit_and_the_others_are_not(backbone, strategy, head, n_frozen):
    witness, before = Witness(), bits_of(backbone)
    X, y = moons(80, seed=1, offset=0.5)
    TransferClassifier(
        backbone, strategy=strategy, head=head, max_epochs=4, batch_size=32, callbacks=[witness], random_state=0
    ).fit(X, y)
    assert witness.n_steps > 0
    for depth in range(3):
        same = {key: witness.after[depth][key] == before[depth][key] for key in before[depth]}
        if depth < n_frozen:
            assert all(same.values())
        else:
            assert not any(same[key] for key in ("0.weight", "1.weight", "1.bias"))
    for depth, frozen_now, modes, with_gradient in witness.awake:
        assert modes == {depth >= frozen_now}
        assert with_gradient == (depth >= frozen_now)


def test_statistics_of_the_source_stay_in_blocks_that_learn_and_move_where_there_is_no_source(backbone):
    X, y = moons(80, seed=1, offset=0.5)
    moved = []
    for start in (backbone, FromScratch.like(backbone)):
        keeper = Witness()
        model = TransferClassifier(start, strategy=FineTuning(), max_epochs=2, callbacks=[keeper], random_state=0)
        model.fit(X, y)
        fresh = bits_of(backbone) if start is backbone else bits_of(start.build(4))
        moved.append([keeper.after[d][k] != fresh[d][k] for d in range(3) for k in fresh[d] if "running" in k])
    assert not any(moved[0])
    assert all(moved[1])


@pytest.mark.parametrize("strategy", [LinearProbing(), GradualUnfreezing(1), ProbeThenTune(1.0), FineTuning()])
def test_the_callers_backbone_is_bit_identical_after_any_fit(backbone, strategy):
    before = bits_of(backbone)
    X, y = moons(80, seed=1, offset=0.5)
    model = TransferClassifier(backbone, strategy=strategy, max_epochs=4, lr=0.1, random_state=0).fit(X, y)
    model.predict(X)
    assert bits_of(backbone) == before
    assert [{key: a.tobytes() for key, a in w.items()} for w in backbone.weights] == before
    layers = [layer for module in backbone._modules for layer in module.modules()]
    assert not any(layer.training for layer in layers)
    assert not any(p.requires_grad for module in backbone._modules for p in module.parameters())


def test_frozen_features_from_the_cache_train_the_same_head_as_running_every_block():
    """A strategy whose frozen depth is 2 must equal one that runs all blocks with the first two held still."""

    class Held(Strategy):
        """No block is frozen, but only the head has a rate."""

        def lr_factor(self, depth):
            return 1.0 if depth == 0 else 0.0

    torch.manual_seed(0)
    net = nn.Sequential(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), nn.Sequential(nn.Linear(8, 8), nn.Tanh()))
    X, y = moons(60, seed=2)
    fits = [
        TransferClassifier(Backbone(net), strategy=s, max_epochs=6, lr=0.05, random_state=0).fit(X, y)
        for s in (FineTuning("all"), Held())
    ]
    np.testing.assert_allclose(fits[0].predict_proba(X), fits[1].predict_proba(X), atol=1e-5)


def test_a_row_gets_the_same_bits_alone_and_among_others(backbone):
    module = TransferModule(backbone.copy_blocks(), nn.Identity(), backbone.blocks).eval()
    X = np.random.default_rng(0).normal(size=(13, 4)).astype(np.float32)
    together = module.run(X)
    alone = np.concatenate([module.run(X[i : i + 1]) for i in range(13)])
    assert together.shape == (13, 16)
    np.testing.assert_array_equal(together, alone)


def test_features_stop_where_they_are_told(backbone):
    module = TransferModule(backbone.copy_blocks(), nn.Identity(), backbone.blocks).eval()
    x = torch.linspace(-1, 1, 20).reshape(5, 4)
    with torch.inference_mode():
        first = module.blocks[0](x)
        torch.testing.assert_close(module.features(x, stop=1), first, rtol=0, atol=0)
        torch.testing.assert_close(module.features(first, start=1), module.features(x), rtol=0, atol=0)
        torch.testing.assert_close(module.features(x, stop=0), x, rtol=0, atol=0)


def test_groups_go_from_the_head_down_and_name_every_parameter_once():
    module = make_module()
    groups = list(module.groups())
    assert [depth for depth, _ in groups] == [0, 1, 2]
    assert [next(iter(group)).split(".")[0] for _, group in groups] == ["head", "upper", "lower"]
    counted = [p for _, group in groups for p in group.values()]
    assert {id(p) for p in counted} == {id(p) for p in module.parameters()}
    assert len(counted) == len(list(module.parameters()))
