"""Augmentation in training: only where something learns, repeatable, and a search gives the same scores."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV
from torch import nn

from sktransfer import (
    MLP,
    Augmentation,
    Backbone,
    BatchedGridSearchCV,
    FineTuning,
    FromScratch,
    GradualUnfreezing,
    LinearHead,
    LinearProbing,
    MLPHead,
    ProbeThenTune,
    Strategy,
    TransferClassifier,
    TransferRegressor,
)
from sktransfer.backbones.inputs import Inputs
from sktransfer.networks.transfer_module import TransferModule
from sktransfer.preprocessing import front_ends
from sktransfer.training import skorch_net as _net
from sktransfer.training.frozen_features import FrozenFeatures
from sktransfer.training.plan import Plan, Rows
from sktransfer.training.tasks import Classification
from tests.helpers import moons, small_backbone
from tests.searches import FROZEN, both, grid, pipeline

CPU = torch.device("cpu")
ON_ROWS = {"jitter": 0.1, "scaling": 0.2, "channel_dropout": 0.2, "mixup": 0.5}
BACKBONE = small_backbone(max_epochs=2)


@pytest.fixture
def passes(monkeypatch):
    """Rows that went through the first block, by call."""
    seen, plain = [], TransferModule.features

    def features(self, x, start=0, stop=None):
        if start == 0:
            seen.append(len(x))
        return plain(self, x, start, stop)

    monkeypatch.setattr(TransferModule, "features", features)
    return seen


def weights_of(model):
    return [tensor.numpy() for tensor in model.module_.state_dict().values()]


def fitted(strategy, *, head=None, backbone=BACKBONE, n=60, **options):
    options = {"max_epochs": 3, "lr": 0.01, "batch_size": 16, "random_state": 0, **options}
    return TransferClassifier(backbone, head=head or MLPHead((6,)), strategy=strategy, **options).fit(*moons(n, 1))


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(weights_of(one), weights_of(other), strict=True))


@pytest.mark.parametrize("strategy", [FROZEN, LinearProbing(), LinearProbing(solver="sgd")], ids=repr)
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_frozen_features_are_computed_once_and_nothing_changes(passes, strategy, head):
    head = LinearHead() if head == "linear" else MLPHead((6,))
    plain = fitted(strategy, head=head)
    n_passes = len(passes)
    passes.clear()
    assert same(fitted(strategy & Augmentation(**ON_ROWS), head=head), plain)
    assert len(passes) == n_passes


def test_when_frozen_is_asked_for_the_blocks_run_for_every_batch(passes):
    plain = fitted(FROZEN)
    passes.clear()
    found = fitted(FROZEN & Augmentation(jitter=0.1, when_frozen=True))
    assert passes.count(15) == 3 * 4  # 3 epochs of 4 batches of 15 rows
    assert not same(found, plain)
    assert BACKBONE.changed(found.module_.blocks) == [False] * 3


def test_a_solved_head_has_no_batches_to_augment():
    for strategy in (LinearProbing(), ProbeThenTune(n_frozen_blocks="all")):
        model = TransferClassifier(BACKBONE, strategy=strategy & Augmentation(jitter=0.1, when_frozen=True))
        with pytest.raises(ValueError, match="its linear head is solved"):
            model.fit(*moons(40))


@pytest.mark.parametrize("amounts", [{name: amount} for name, amount in ON_ROWS.items()], ids=repr)
@pytest.mark.parametrize("first", [FineTuning(), FineTuning(2), ProbeThenTune(), GradualUnfreezing(1)], ids=repr)
def test_what_learns_sees_other_batches_and_a_fit_can_be_repeated(first, amounts):
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    model = fitted(first & Augmentation(**amounts))
    assert not same(model, fitted(first))
    assert same(model, fitted(first & Augmentation(**amounts)))
    assert not same(model, fitted(first & Augmentation(**amounts), random_state=1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_gradual_unfreezing_begins_as_without_and_is_augmented_from_the_first_thaw_on():
    loss = [
        [record["train_loss"] for record in fitted(GradualUnfreezing(2) & extra).history_]
        for extra in (Strategy(), Augmentation(jitter=1.0))
    ]
    assert loss[0][:2] == loss[1][:2]
    assert loss[0][2] != loss[1][2]


def test_a_step_is_that_of_the_batch_that_the_augmentation_makes():
    """One full batch of one epoch, against torch's own AdamW on the same batch."""
    X, y = moons(40)
    recipe = FromScratch(arguments={"hidden_layer_sizes": (6,), "batch_norm": False, "dropout": 0.0})
    backbone = recipe.build(4)
    seen = []

    class Watched(Augmentation):
        def augment(self, n_frozen, n_blocks):
            plain = super().augment(n_frozen, n_blocks)
            return lambda batch, draws: seen.append(plain(batch, draws)) or seen[-1]

    strategy = Watched(jitter=0.1, mixup=1.0)
    options = {"lr": 0.01, "batch_size": 40, "random_state": 0}
    start = TransferClassifier(backbone, strategy=FROZEN, max_epochs=1, **(options | {"lr": 1e-30})).fit(X, y)
    model = TransferClassifier(backbone, strategy=strategy, max_epochs=1, **options).fit(X, y)
    batch = seen[-1]
    assert batch.y.shape == (40, 3)
    network = torch.nn.Sequential(*start.backbone_.copy_blocks(), start.module_.head)
    network.requires_grad_(True)
    outputs = network(batch.X)
    loss = (-(batch.y * outputs.log_softmax(dim=1)).sum(dim=1) * batch.weight).mean()
    assert model.history_[0]["train_loss"] == pytest.approx(loss.item(), rel=1e-5)
    loss.backward()
    step = network[0][0].weight.detach() - model.module_.blocks[0][0].weight
    np.testing.assert_allclose(step, 0.01 * network[0][0].weight.grad.sign(), atol=1e-4)  # Adam's first step


def test_regression_mixes_its_values():
    X, _ = moons(80)
    strategy = FineTuning() & Augmentation(jitter=0.05, mixup=0.4)
    options = {"max_epochs": 30, "lr": 0.01, "random_state": 0}
    model = TransferRegressor(strategy=strategy, **options).fit(X, np.column_stack([X[:, 0], -X[:, 1]]))
    assert model.predict(X).shape == (80, 2)
    assert model.score(X, np.column_stack([X[:, 0], -X[:, 1]])) > 0.7


def test_parameters_are_reached_by_a_grid_and_a_search_gives_the_scores_of_scikit_learn():
    strategy = FineTuning() & Augmentation()
    candidates = grid(
        strategy__second__jitter=[0.0, 0.5], strategy__first=[FROZEN, FineTuning(1)], strategy__second__mixup=[0, 1.0]
    )
    found = both(pipeline(strategy=strategy), candidates)
    frozen = ["n_frozen_blocks='all'" in str(params) for params in found.cv_results_["params"]]
    zero = [set(params.values()) >= {0.0} and 0.5 not in params.values() and 1.0 not in params.values()
            for params in found.cv_results_["params"]]  # fmt: skip
    expected = ["stacked" if off or nothing else "alone" for off, nothing in zip(frozen, zero, strict=True)]
    assert found.cv_results_["how"].tolist() == expected
    assert set(expected) == {"alone", "stacked"}


def test_a_candidate_that_fails_is_nan_in_a_search():
    candidates = {"strategy": [FineTuning(), FineTuning() & Augmentation(crop=0.1)]}
    for kind in (GridSearchCV, BatchedGridSearchCV):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = kind(TransferClassifier(BACKBONE, max_epochs=1), candidates, cv=2, refit=False).fit(*moons(60))
        assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


def test_the_head_that_learns_first_is_augmented_where_that_is_asked_for(passes):
    fitted(ProbeThenTune() & Augmentation(jitter=0.1))
    assert passes.count(15) == 3 * 4  # of the second step: 3 epochs of 4 batches of 15 rows
    passes.clear()
    fitted(ProbeThenTune() & Augmentation(jitter=0.1, when_frozen=True))
    assert passes.count(15) == 2 * 3 * 4


@pytest.mark.parametrize("n_frozen", [0, 1])
def test_the_loop_takes_windows_as_it_takes_rows(n_frozen):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2, 64)).astype(np.float32), np.arange(40) % 2
    X[y == 1] += np.sin(np.arange(64, dtype=np.float32))  # a tone that a shift does not hide

    def train(extra):
        torch.manual_seed(0)
        blocks = [nn.Sequential(nn.Conv1d(2, 8, 9), nn.ReLU()), nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten())]
        module = TransferModule(blocks, LinearHead().build(8, 2), ["conv", "pool"]).eval()
        frozen = FrozenFeatures(X)
        rows = Rows(frozen.rows(CPU), torch.from_numpy(y), torch.ones(40))
        loss = Classification.loss
        plan = Plan(FineTuning(n_frozen) & extra, 60, 0.02, 10, seed=0, loss=loss, source={}, n_classes=2)
        records = _net.train(module, frozen, rows, plan)
        return records[-1]["train_loss"], module(torch.from_numpy(X)).argmax(dim=1).numpy()

    everything = Augmentation(**ON_ROWS, time_shift=0.5, crop=0.2)
    loss, found = train(everything)
    assert n_frozen or (found == y).mean() > 0.9
    assert (loss, found.tolist()) == (train(everything)[0], train(everything)[1].tolist())
    assert loss > train(Strategy())[0]  # mixed labels and noise leave something to be wrong about


@pytest.fixture
def behind_a_front_end(monkeypatch):
    """A backbone whose front end keeps a few samples of each window."""
    monkeypatch.setitem(front_ends._FRONT_ENDS, "short", lambda: lambda X: np.asarray(X)[:, 0, :16])
    return Backbone(
        MLP(16, hidden_layer_sizes=(8, 8)), name="pump_a", inputs=Inputs(shape=(2, None), front_end="short")
    )


def fitted_to_windows(backbone, strategy, **options):
    X, y = np.random.default_rng(0).normal(size=(40, 2, 64)).astype(np.float32), np.arange(40) % 2
    options = {"max_epochs": 3, "batch_size": 10, "random_state": 0, **options}
    return TransferClassifier(backbone, strategy=strategy, **options).fit(X, y)


@pytest.mark.parametrize(
    ("strategy", "head"),
    [
        (FineTuning() & Augmentation(time_shift=0.5), None),
        (ProbeThenTune() & Augmentation(jitter=0.1), MLPHead((4,))),
        (GradualUnfreezing(2) & Augmentation(mixup=0.2), None),
        (LinearProbing() & Augmentation(jitter=0.1, when_frozen=True), MLPHead((4,))),
    ],
)
def test_windows_of_a_backbone_with_a_front_end_are_not_augmented(behind_a_front_end, strategy, head):
    with pytest.raises(
        ValueError, match=r"front end 'short' of backbone 'pump_a'.*Augment the windows in a transformer"
    ):
        fitted_to_windows(behind_a_front_end, strategy, head=head)


@pytest.mark.parametrize("amounts", [{}, {"time_shift": 0.5}])
def test_an_augmentation_that_is_off_is_no_error_with_a_front_end(behind_a_front_end, amounts):
    plain, found = (
        fitted_to_windows(behind_a_front_end, strategy, head=MLPHead((4,)))
        for strategy in (LinearProbing(), LinearProbing() & Augmentation(**amounts))
    )
    assert all(map(np.array_equal, weights_of(found), weights_of(plain)))


def test_a_search_says_of_a_candidate_why_it_cannot_be_augmented(behind_a_front_end):
    X, y = np.random.default_rng(0).normal(size=(40, 2, 64)).astype(np.float32), np.arange(40) % 2
    strategies = [LinearProbing(), FineTuning() & Augmentation(crop=0.3)]
    search = BatchedGridSearchCV(TransferClassifier(behind_a_front_end, max_epochs=2), {"strategy": strategies}, cv=2)
    with pytest.warns(FitFailedWarning, match="Augment the windows in a transformer"):
        search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]
