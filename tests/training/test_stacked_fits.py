"""Fits that train together end with the weights that each has alone."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sktransfer import (
    L2SP,
    Backbone,
    FineTuning,
    FromScratch,
    GradualUnfreezing,
    LayerDecay,
    LinearHead,
    LinearProbing,
    MLPHead,
    ProbeThenTune,
    TransferClassifier,
    TransferRegressor,
    WeightDecay,
)
from sktransfer.model_selection.last_step import Note
from sktransfer.model_selection.shared_starts import SharedStarts
from sktransfer.training import stacked_fits
from sktransfer.training.stacked_fits import make_stacks, stack_key, train_stack
from tests.helpers import computing_in, moons
from tests.searches import FROZEN, HEAD, SMALL, VALUES, X, Y, backbone


@pytest.fixture
def stacked(monkeypatch):
    """The networks that were stacked, in order."""
    made = []

    class Kept(stacked_fits.StackedNetwork):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(stacked_fits, "StackedNetwork", Kept)
    return made


class Fold(NamedTuple):
    """Rows, labels and other arguments of a fit."""

    X: Any
    y: Any
    params: dict[str, Any]


def fold(rows=slice(None), labels=Y, **params):
    return Fold(X[rows], labels[rows], params)


def noted(estimator, one):
    return Note(estimator, one.X, one.y, one.params, id(one.X))


def train(estimators, folds):
    """Fits of all estimators on all folds, trained; and their stacks."""
    fits, groups = [], {}
    with SharedStarts() as starts:
        for estimator in estimators:
            for one in folds:
                fits.append((estimator, one, starts.start(noted(estimator, one))))
                groups.setdefault(stack_key(fits[-1][2]), []).append(fits[-1][2])
        assert not [why for why in groups if isinstance(why, str)]
        stacks = [stack for group in groups.values() for stack in make_stacks(group)]
        for stack in stacks:
            train_stack(stack, lambda n_fits, share: None)
    return fits, stacks


def outputs_of(fit, X):
    """Outputs of the fitted estimator."""
    return fit.estimator._set_fitted(fit.finish())._outputs(X)[0]


def state_after(networks, stacks, fit):
    for network, stack in zip(networks, stacks, strict=True):
        for s, batch in enumerate(stack):
            for k, one in enumerate(batch):
                if one is fit:
                    return network.state_of(s, k)
    raise LookupError


def losses_of(history):
    return [record["train_loss"] for record in history if "train_loss" in record]


def weights_of(fitted):
    named = {name: value for _, group in fitted.module_.groups() for name, value in group.items()}
    for name, block in zip(fitted.module_.names, fitted.module_.blocks, strict=True):
        named |= {f"{name}.{key}": value for key, value in block.named_buffers()}
    return named


class Lasso(L2SP):
    """A pull that only its own method knows."""

    def penalty(self, weights, source):
        return self.alpha * sum((w - source.get(name, torch.zeros(()))).abs().nansum() for name, w in weights.items())


CLASSIFIERS = {
    "heads": {"strategy": FROZEN, "head": HEAD},
    "full fine-tuning": {"strategy": FineTuning(), "head": HEAD},
    "part of the network": {"strategy": FineTuning(2)},
    "gradual unfreezing": {"strategy": GradualUnfreezing(1), "max_epochs": 5},
    "probed, averaged": {"strategy": ProbeThenTune(0.5, 0.4)},
    "probed in epochs, averaged": {"strategy": ProbeThenTune(0.5, 0.4), "head": HEAD},
    "layer decay": {"strategy": LayerDecay(0.5)},
    "L2-SP": {"strategy": L2SP(0.5, 0.1)},
    "L2-SP on new classes": {"strategy": L2SP(0.5, 0.1), "head": LinearHead(init="imprint")},
    "L2-SP twice": {"strategy": L2SP(0.5, 0.1) & FineTuning(1) & L2SP(0.0, 0.7), "head": HEAD},
    "a pull of one's own": {"strategy": FineTuning(2) & Lasso(0.05)},
    "weight decay": {"strategy": FineTuning() & WeightDecay(3.0)},
    "from scratch": {"backbone": SMALL, "head": HEAD},
    "class weights": {"strategy": FROZEN, "class_weight": {"leak": 0.0, "normal": 2.0, "wear": 1.0}},
}


def assert_same_as_alone(stacked, fits, stacks):
    """Weights, statistics, losses and outputs of each fit, beside a fit of its own."""
    for estimator, one, fit in fits:
        alone = clone(estimator).fit(one.X, one.y, **one.params)
        losses = losses_of(alone.history_)
        np.testing.assert_allclose(losses_of(fit.history), losses, rtol=1e-9)
        state, expected = state_after(stacked, stacks, fit), weights_of(alone)
        assert {"head.output.weight", "head.output.bias"} <= set(state) <= set(expected)
        for name, value in state.items():
            # a head that was solved first is divided by its temperature when the fit is finished
            value = value / fit.start.temperature if name.startswith("head.output") else value
            torch.testing.assert_close(value, expected[name].detach(), rtol=1e-8, atol=1e-10, check_dtype=False)
        np.testing.assert_allclose(outputs_of(fit, X), alone._outputs(X)[0], rtol=1e-8, atol=1e-9)
        assert [sorted(record) for record in fit.history] == [sorted(record) for record in alone.history_]
        assert fit.estimator.n_iter_ == alone.n_iter_


@pytest.mark.parametrize("case", CLASSIFIERS)
def test_weights_and_losses_are_those_of_fits_alone(stacked, case):
    options = {"backbone": backbone(), "max_epochs": 3, "batch_size": 16, **CLASSIFIERS[case]}
    estimators = [
        TransferClassifier(**{**options, "lr": lr, "random_state": seed}) for seed in (0, 1) for lr in (0.003, 0.03)
    ]
    weight = np.random.default_rng(0).uniform(0.1, 2, len(X))
    folds = [fold(slice(0, 60), sample_weight=weight[:60]), fold(slice(30, 90)), fold(slice(0, 90))]
    with computing_in(np.float64):
        fits, stacks = train(estimators, folds)
        assert sorted(sum(map(len, stack)) for stack in stacks) == [4, 8]  # four batches an epoch, and six
        assert_same_as_alone(stacked, fits, stacks)


def test_each_stops_when_nothing_is_left_to_learn(stacked):
    labels = np.where(X[:, 0] > 0, "normal", "leak")
    rows = X + 8 * (labels == "leak")[:, None]
    one = Fold(rows, labels, {})
    base = TransferClassifier(backbone(), head=HEAD, strategy=FROZEN, random_state=0)
    with computing_in(np.float64):
        fits, stacks = train([clone(base).set_params(lr=lr) for lr in (0.03, 0.3, 0.1)], [one])
        assert len(stacks) == 1
        assert_same_as_alone(stacked, fits, stacks)
    assert len({len(fit.history) for _, _, fit in fits}) == 3  # each in an epoch of its own


@pytest.mark.parametrize("labels", [VALUES[:, 0], VALUES])
def test_regressors(stacked, labels):
    base = TransferRegressor(backbone(), strategy=FineTuning(1), max_epochs=3, batch_size=16, random_state=0)
    estimators = [clone(base).set_params(lr=lr) for lr in (0.003, 0.03)]
    with computing_in(np.float64):
        fits, stacks = train(estimators, [fold(slice(0, 60), labels), fold(slice(0, 90), labels)])
        assert_same_as_alone(stacked, fits, stacks)


def test_folds_of_unequal_size_train_in_one_stack(stacked):
    estimator = TransferClassifier(backbone(), head=HEAD, strategy=FROZEN, max_epochs=2, batch_size=30, random_state=0)
    with computing_in(np.float64):
        fits, stacks = train([estimator], [fold(slice(0, 89)), fold(slice(0, 90)), fold(slice(0, 61))])
        assert [[len(batch) for batch in stack] for stack in stacks] == [[1, 1, 1]]
        assert_same_as_alone(stacked, fits, stacks)


@pytest.mark.parametrize("lr", [1e30, 1e9])
@pytest.mark.filterwarnings("ignore:.*too large for these rows")
def test_one_that_diverges_leaves_the_others_alone_to_the_bit(lr):
    good = TransferClassifier(backbone(), strategy=FineTuning(), max_epochs=6, lr=0.01, random_state=0)
    outputs, errors = [], []
    for last in (lr, 0.02):
        fits, stacks = train([clone(good).set_params(lr=rate) for rate in (0.003, 0.01, last)], [fold()])
        assert len(stacks) == 1
        outputs.append([outputs_of(fit, X) for _, _, fit in fits[:2]])
        errors.append([fit.error is not None for _, _, fit in fits])
    np.testing.assert_array_equal(*outputs)
    assert errors == [[False, False, True], [False, False, False]]


def test_the_error_is_that_of_the_fit_alone():
    bad = TransferClassifier(backbone(), strategy=FineTuning(), max_epochs=6, lr=1e30, random_state=0)
    with pytest.raises(ValueError, match="diverged") as alone:
        clone(bad).fit(X, Y)
    (_, _, fit), _ = train([bad, clone(bad).set_params(lr=0.01)], [fold()])[0]
    assert str(fit.error) == str(alone.value)


def test_fits_of_one_stack_agree_in_all_that_is_shared():
    def key(estimator, one=None):
        with SharedStarts() as starts:
            return stack_key(starts.start(noted(estimator, one or fold())))

    base = TransferClassifier(backbone(), head=HEAD, strategy=FROZEN, max_epochs=3, batch_size=30, random_state=0)
    same = [
        {"lr": 0.5},
        {"head__dropout": 0.9},
        {"class_weight": "balanced"},
        {"random_state": 1},
        {"strategy": FROZEN & WeightDecay(0.5)},
        {"strategy": LinearProbing() & L2SP(0.5)},
    ]
    other = [
        {"head": MLPHead((9,))},
        {"max_epochs": 4},
        {"batch_size": 20},
        {"strategy": FineTuning(1)},
        {"strategy": GradualUnfreezing(1)},
    ]
    assert [key(clone(base).set_params(**change)) == key(base) for change in same] == [True] * len(same)
    assert [key(clone(base).set_params(**change)) == key(base) for change in other] == [False] * len(other)
    assert key(base, fold(slice(0, 70))) == key(base)  # three batches, too
    scratch = clone(base).set_params(backbone=SMALL, strategy=None)
    assert key(scratch, fold(slice(0, 70))) != key(scratch)  # BatchNorm would measure the padding


def test_backbones_of_one_shape_with_other_names_or_dropout_below_do_not_mix(stacked):
    def built(names, rate):
        torch.manual_seed(0)
        lower = [nn.Linear(4, 6), *([nn.Dropout(rate)] if rate else [])]
        parts = {names[0]: nn.Sequential(*lower), names[1]: nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.5))}
        network = nn.Sequential()
        for name, part in parts.items():
            network.add_module(name, part)
        return Backbone(network)

    networks = [built("ab", 0.0), built("ac", 0.0), built("ab", 0.3)]
    estimators = [
        TransferClassifier(b, strategy=FineTuning(1) & L2SP(0.9), max_epochs=2, lr=0.01, random_state=0)
        for b in networks
    ]
    with computing_in(np.float64):
        fits, stacks = train(estimators, [fold()])
        assert len(stacks) == 3
        assert_same_as_alone(stacked, fits, stacks)


def test_stacks_are_cut_to_what_a_cache_holds(monkeypatch):
    estimators = [
        TransferClassifier(backbone(), head=HEAD, strategy=FROZEN, max_epochs=1, lr=lr, random_state=0)
        for lr in np.linspace(0.001, 0.1, 10)
    ]
    whole = train(estimators, [fold(slice(0, 60)), fold(slice(30, 90))])
    n_bytes = 4 * sum(p.nbytes for p in whole[0][0][2].start.module.head.parameters())
    monkeypatch.setattr(stacked_fits, "_STACK_BYTES", 4 * n_bytes)
    cut = train(estimators, [fold(slice(0, 60)), fold(slice(30, 90))])
    assert [[len(batch) for batch in stack] for stack in whole[1]] == [[10, 10]]
    assert [[len(batch) for batch in stack] for stack in cut[1]] == [[4], [4], [2]] * 2
    for (_, _, a), (_, _, b) in zip(whole[0], cut[0], strict=True):
        np.testing.assert_allclose(outputs_of(a, X), outputs_of(b, X), rtol=1e-4, atol=1e-5)


def test_untrained_networks_of_one_seed_share_rows_and_others_do_not():
    recipe = FromScratch(arguments={"hidden_layer_sizes": (5,)})
    networks = [(recipe, 0), (clone(recipe), 0), (recipe, 1), (None, 0), (recipe, None), (recipe, None)]
    one = fold()
    with SharedStarts() as starts:
        fits = [
            starts.start(noted(TransferClassifier(network, strategy=FROZEN, max_epochs=1, random_state=seed), one))
            for network, seed in networks
        ]
    assert len({fit.fold_batch for fit in fits}) == 5
    assert fits[0].fold_batch == fits[1].fold_batch


def test_class_weights_share_rows_and_features():
    one = fold()
    weights, base = (None, "balanced", {"leak": 2.0, "normal": 1.0, "wear": 1.0}), TransferClassifier(backbone())
    base.set_params(head=HEAD, strategy=FROZEN, random_state=0)
    with SharedStarts() as starts:
        fits = [starts.start(noted(clone(base).set_params(class_weight=weight), one)) for weight in weights]
    assert len({fit.fold_batch for fit in fits}) == 1
    assert len({fit.rows.weight.tobytes() for fit in fits}) == 3


def test_rows_keep_their_labels():
    rows, labels = moons(50, 3)
    one = Fold(rows, labels, {})
    with SharedStarts() as starts:
        fit = starts.start(noted(TransferClassifier(SMALL, max_epochs=1, random_state=0), one))
    found = {tuple(row): label for row, label in zip(fit.rows.X, fit.estimator.classes_[fit.rows.y], strict=True)}
    assert found == {tuple(row): label for row, label in zip(rows.astype(np.float32), labels, strict=True)}
