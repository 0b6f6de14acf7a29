"""A strategy answers questions; the neutral answers are the identities of their combinations."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sktransfer import (
    L2SP,
    Augmentation,
    FineTuning,
    GradualUnfreezing,
    LayerDecay,
    LinearProbing,
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


def test_the_neutral_strategy_freezes_slows_penalises_solves_and_changes_nothing():
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


@pytest.mark.parametrize("n_frozen_blocks", [1.5, "some", None, "1"])
def test_what_is_no_number_of_blocks_is_an_error_that_names_the_parameter(n_frozen_blocks):
    with pytest.raises((ValueError, TypeError), match="n_frozen_blocks"):
        count_frozen(n_frozen_blocks, 3)


def test_head_solvers_answer_their_alpha():
    probing, tuning = (HeadSolver(alpha, "lbfgs", calibrated=True) for alpha in ("auto", "weak"))
    assert [s.head_solver() for s in ALL] == [None, None, probing, None, None, None, tuning, None, None]
    assert LinearProbing(alpha=2).head_solver().alpha == ProbeThenTune(alpha=2).head_solver().alpha == 2.0
    assert LinearProbing(alpha=np.inf, solver="ridge").head_solver() == HeadSolver(np.inf, "ridge", calibrated=True)
    assert LinearProbing(solver="sgd").head_solver() is None


def test_parameters_are_reached_through_every_layer():
    model = TransferClassifier(strategy=LayerDecay(0.5) & L2SP(0.01) & FineTuning(1))
    assert model.get_params()["strategy__first__first__decay"] == 0.5
    model.set_params(strategy__first__first__decay=0.9, strategy__second__n_frozen_blocks=2)
    assert (model.strategy.lr_factor(1), model.strategy.n_frozen(0, 3)) == (0.9, 2)
    copied = clone(model)
    copied.set_params(strategy__first__second__alpha=5.0)
    assert (copied.strategy.first.second.alpha, model.strategy.first.second.alpha) == (5.0, 0.01)
    assert repr(clone(model)) == repr(model)
