"""A strategy answers questions; the neutral answers are the identities of their combinations."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sktransfer import (
    L2SP,
    Augmentation,
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
from sktransfer.strategies.base import Batch, HeadSolver, count_frozen
from sktransfer.utils.random import Draws
from tests.helpers import moons, small_backbone

ALL = [
    Strategy(), FineTuning(1), LinearProbing(), GradualUnfreezing(2), LayerDecay(0.5), L2SP(), ProbeThenTune(0.2),
    Augmentation(jitter=0.5), Augmentation(scaling=0.5, when_frozen=True),
]  # fmt: skip


def answers(strategy, n_blocks=3):
    weights = {"block1.w": torch.tensor([3.0, -1.0]), "head.b": torch.tensor([2.0])}
    source = {"block1.w": torch.tensor([1.0, 0.0])}
    return (
        [strategy.n_frozen(epoch, n_blocks) for epoch in range(8)],
        [strategy.lr_factor(depth) for depth in range(n_blocks + 1)],
        float(strategy.penalty(weights, source)),
        strategy.head_solver(),
        strategy.interpolation(),
        [augmented(strategy.augment(n_frozen, n_blocks)) for n_frozen in range(n_blocks + 1)],
    )


def augmented(augment):
    """What an answer makes of one batch."""
    batch = Batch(torch.ones(2, 3), torch.zeros(2, 1), torch.ones(2))
    return batch.X.tolist() if augment is None else augment(batch, Draws(0, torch.device("cpu"))).X.tolist()


def test_the_neutral_strategy_freezes_slows_pulls_probes_and_changes_nothing():
    assert answers(Strategy()) == ([0] * 8, [1.0] * 4, 0.0, None, 1.0, [[[1.0] * 3] * 2] * 4)


@pytest.mark.parametrize("strategy", ALL, ids=repr)
def test_the_neutral_strategy_is_the_identity_of_and(strategy):
    assert answers(Strategy() & strategy) == answers(strategy) == answers(strategy & Strategy())


@pytest.mark.parametrize("first", ALL, ids=repr)
@pytest.mark.parametrize("second", ALL, ids=repr)
def test_answers_combine_by_maximum_product_sum_and_first(first, second):
    frozen, rates, penalty, head_solver, share, _ = answers(first & second)
    a, b = answers(first), answers(second)
    assert frozen == [max(pair) for pair in zip(a[0], b[0], strict=True)]
    np.testing.assert_allclose(rates, np.multiply(a[1], b[1]))
    assert penalty == pytest.approx(a[2] + b[2])
    assert head_solver == (b[3] if a[3] is None else a[3])
    assert share == pytest.approx(a[4] * b[4])


def test_and_is_associative():
    first, second, third = LayerDecay(0.5) & Augmentation(jitter=1), FineTuning(1), L2SP(0.3) & Augmentation(scaling=1)
    assert answers((first & second) & third) == answers(first & (second & third))


def test_a_strategy_of_ones_own_takes_part():
    class Thaw(Strategy):
        def n_frozen(self, epoch, n_blocks):
            return n_blocks if epoch < 2 else 0

    model = TransferClassifier(small_backbone(max_epochs=1), strategy=Thaw() & LayerDecay(0.5), max_epochs=4)
    model.fit(*moons(40))
    assert [record["frozen_blocks"] for record in model.history_] == [3, 3, 0, 0]


@pytest.mark.parametrize(
    ("n_frozen_blocks", "expected"), [(0, 0), (2, 2), (3, 3), (-1, 2), (-3, 0), ("all", 3), (np.int64(1), 1)]
)
def test_frozen_blocks_count_from_the_input_and_negative_ones_as_in_a_slice(n_frozen_blocks, expected):
    layers = ["a", "b", "c"]
    assert count_frozen(n_frozen_blocks, 3) == expected
    assert n_frozen_blocks == "all" or len(layers[:n_frozen_blocks] if n_frozen_blocks else []) == expected
    assert FineTuning(n_frozen_blocks).n_frozen(epoch=7, n_blocks=3) == expected
    assert ProbeThenTune(n_frozen_blocks=n_frozen_blocks).n_frozen(epoch=0, n_blocks=3) == expected


@pytest.mark.parametrize("n_frozen_blocks", [4, -4, 100])
def test_more_frozen_blocks_than_there_are_is_an_error_with_the_range(n_frozen_blocks):
    with pytest.raises(ValueError, match="from -3 to 3"):
        count_frozen(n_frozen_blocks, 3)
    model = TransferClassifier(small_backbone(max_epochs=1), strategy=FineTuning(n_frozen_blocks))
    with pytest.raises(ValueError, match="3 blocks"):
        model.fit(*moons(40))


@pytest.mark.parametrize("n_frozen_blocks", [1.5, "some", None, "1"])
def test_what_is_no_number_of_blocks_is_an_error_that_names_the_parameter(n_frozen_blocks):
    with pytest.raises((ValueError, TypeError), match="n_frozen_blocks"):
        count_frozen(n_frozen_blocks, 3)


def test_gradual_unfreezing_thaws_a_block_every_so_many_epochs():
    assert [GradualUnfreezing(3).n_frozen(epoch, 2) for epoch in range(9)] == [2, 2, 2, 1, 1, 1, 0, 0, 0]
    for every in (0, -1):
        with pytest.raises(ValueError, match="every"):
            GradualUnfreezing(every).n_frozen(0, 2)


def test_gradual_unfreezing_is_what_happens_epoch_by_epoch():
    model = TransferClassifier(small_backbone(max_epochs=1), strategy=GradualUnfreezing(2), max_epochs=7)
    model.fit(*moons(40))
    assert [record["frozen_blocks"] for record in model.history_] == [3, 3, 2, 2, 1, 1, 0]


def test_layer_decay_is_a_power_of_the_depth():
    np.testing.assert_allclose([LayerDecay(0.3).lr_factor(depth) for depth in range(4)], 0.3 ** np.arange(4))
    for decay in (0, -0.5, 1.5):
        with pytest.raises(ValueError, match="decay"):
            LayerDecay(decay).lr_factor(1)


def test_rates_slow_the_blocks_down_and_not_the_head():
    """Adam's first step is the rate itself in every weight whose gradient is not zero."""
    X, y = moons(40)
    backbone = FromScratch(arguments={"hidden_layer_sizes": (6, 5), "batch_norm": False}).build(4)
    model = TransferClassifier(backbone, strategy=LayerDecay(0.25), lr=0.01, max_epochs=1, batch_size=40)
    model.fit(X, y)
    steps = [
        np.abs(after["0.weight"] - before["0.weight"]).max()
        for before, after in zip(backbone.weights, model.backbone_.weights, strict=True)
    ]
    np.testing.assert_allclose(steps, [0.01 * 0.25**2, 0.01 * 0.25], rtol=1e-3)


def test_l2sp_is_half_the_weighted_squared_distance():
    rng = np.random.default_rng(0)
    now = {name: rng.normal(size=shape) for name, shape in {"a": (3, 2), "b": (4,), "head.w": (2, 3)}.items()}
    source = {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}
    expected = 0.3 / 2 * sum(((now[k] - source[k]) ** 2).sum() for k in source) + 0.7 / 2 * (now["head.w"] ** 2).sum()
    found = L2SP(alpha=0.3, beta=0.7).penalty(
        {k: torch.tensor(v) for k, v in now.items()}, {k: torch.tensor(v) for k, v in source.items()}
    )
    assert float(found) == pytest.approx(expected)


def test_l2sp_pulls_by_its_gradient_and_not_what_is_frozen():
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


def test_probes_answer_their_pull():
    probing, tuning = HeadSolver("auto", "lbfgs", calibrated=True), HeadSolver("auto", "lbfgs", calibrated=False)
    assert [s.head_solver() for s in ALL] == [None, None, probing, None, None, None, tuning, None, None]
    assert LinearProbing(alpha=2).head_solver().alpha == ProbeThenTune(alpha=2).head_solver().alpha == 2.0
    assert LinearProbing(alpha=np.inf, solver="ridge").head_solver() == HeadSolver(np.inf, "ridge", calibrated=True)
    assert LinearProbing(solver="sgd").head_solver() is None


@pytest.mark.parametrize("alpha", [-1, "some", None, True, float("nan")])
@pytest.mark.parametrize("strategy", [LinearProbing, ProbeThenTune])
def test_a_pull_that_is_none_is_refused(strategy, alpha):
    with pytest.raises(ValueError, match=f"{strategy.__name__} got alpha"):
        strategy(alpha=alpha).head_solver()


class Uncalibrated(LinearProbing):
    """The probe that tuning begins from."""

    def head_solver(self):
        return HeadSolver("auto", "lbfgs")


def test_probe_then_tune_goes_its_share_of_the_way_from_the_probed_network():
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
def test_probe_then_tune_refuses_a_rate_or_share_of_nothing(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        TransferClassifier(small_backbone(max_epochs=1), strategy=ProbeThenTune(**params)).fit(*moons(40))


def test_probe_then_tune_trains_a_head_that_cannot_be_solved_on_frozen_blocks_first():
    model = TransferClassifier(
        small_backbone(max_epochs=1), strategy=ProbeThenTune(), head=MLPHead((4,)), max_epochs=3, random_state=0
    ).fit(*moons(40))
    assert [record["frozen_blocks"] for record in model.history_] == [3] * 3 + [0] * 3


def test_parameters_are_reached_through_every_layer():
    model = TransferClassifier(strategy=LayerDecay(0.5) & L2SP(0.01) & FineTuning(1))
    assert model.get_params()["strategy__first__first__decay"] == 0.5
    model.set_params(strategy__first__first__decay=0.9, strategy__second__n_frozen_blocks=2)
    assert (model.strategy.lr_factor(1), model.strategy.n_frozen(0, 3)) == (0.9, 2)
    copied = clone(model)
    copied.set_params(strategy__first__second__alpha=5.0)
    assert (copied.strategy.first.second.alpha, model.strategy.first.second.alpha) == (5.0, 0.01)
    assert repr(clone(model)) == repr(model)
