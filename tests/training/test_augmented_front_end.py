"""Ahead of a front end, raw windows are augmented, and it gets the fields of each; kept features are as without."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

from sktransfer import (
    MLP,
    Augmentation,
    Backbone,
    BatchedGridSearchCV,
    FineTuning,
    GradualUnfreezing,
    LinearProbing,
    MLPHead,
    ProbeThenTune,
    TransferClassifier,
    Windows,
)
from sktransfer.backbones.inputs import Inputs
from sktransfer.networks.vibration_net import VibrationNet
from sktransfer.preprocessing import front_ends as front_end
from sktransfer.training.rows import merge_copies

N = 40


class Same(FineTuning):
    """Batches are "augmented", and stay what they are."""

    def augment(self, n_frozen, n_blocks):
        return lambda batch, draws: batch


@pytest.fixture
def spied(monkeypatch):
    """A backbone whose front end keeps a few samples of a window, times its speed; and the windows it was given."""
    given = []

    class Spy:
        def __call__(self, X):
            if len(X) > 1:  # one measures a backbone
                given.append(X.copy())
            speed = getattr(X, "rpm", None)
            return np.asarray(X)[:, 0, :16] * (1.0 if speed is None else 1 + speed[:, None] / N)

    monkeypatch.setitem(front_end._FRONT_ENDS, "spy", Spy)
    backbone = Backbone(MLP(16, hidden_layer_sizes=(8, 8)), inputs=Inputs(shape=(2, None), front_end="spy"))
    given.clear()
    return backbone, given


def windows_and_labels(n=N):
    """Windows that can be told by their speed, and by the orders of their bearing."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = (rng.normal(size=(n, 2, 64)) + y[:, None, None] * np.hanning(64)).astype(np.float32)
    number = rng.permutation(n).astype(float)
    return Windows.of(X, sampling_rate=64.0, rpm=number, orders=number[:, None] + np.arange(4)), y


def fitted(backbone, strategy, X=None, y=None, weight=None, **options):
    if X is None:
        X, y = windows_and_labels()
    options = {"max_epochs": 3, "lr": 0.01, "batch_size": 10, "random_state": 0, **options}
    return TransferClassifier(backbone, strategy=strategy, **options).fit(X, y, sample_weight=weight)


def weights_of(model):
    return [tensor.numpy() for tensor in model.module_.state_dict().values()]


def test_the_front_end_gets_augmented_raw_windows_with_their_own_speed_and_orders(spied):
    backbone, given = spied
    X, y = windows_and_labels()
    fitted(backbone, FineTuning() & Augmentation(time_shift=0.5), X, y)
    np.testing.assert_array_equal(given[0], X)  # once a fit, as they came
    batches = given[1:]
    assert [len(batch) for batch in batches] == [10] * 3 * 4
    place, shifts = {speed: i for i, speed in enumerate(X.rpm)}, []
    for batch in batches:
        assert batch.sampling_rate == 64.0
        for window, speed, orders in zip(np.asarray(batch), batch.rpm, batch.orders, strict=True):
            raw = np.asarray(X)[place[speed]]
            (by,) = [by for by in range(64) if np.array_equal(np.roll(raw, by, axis=1), window)]
            shifts.append(by)
            np.testing.assert_array_equal(orders, X.orders[place[speed]])
    assert len(set(shifts)) > 40
    for epoch in range(3):  # all windows, each once
        speeds = np.concatenate([batch.rpm for batch in batches[4 * epoch : 4 * epoch + 4]])
        assert sorted(speeds) == sorted(X.rpm)


@pytest.mark.parametrize("form", [Windows, np.ndarray], ids=["Windows", "ndarray"])
def test_batches_that_stay_what_they_are_give_the_fit_without_augmentation(spied, form):
    backbone, given = spied
    X, y = windows_and_labels()
    X, y = X[np.r_[0:N, 0:5]].view(form), y[np.r_[0:N, 0:5]]  # copies are merged
    weight = np.r_[0.0, np.linspace(1, 2, N + 4)]
    plain = fitted(backbone, FineTuning(), X, y, weight)
    assert len(given) == 1
    found = fitted(backbone, Same(), X, y, weight)
    assert len(given) == 2 + 3 * 4
    for one, other in zip(weights_of(found), weights_of(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.predict_proba(X), plain.predict_proba(X), rtol=0, atol=1e-6)


def test_the_same_holds_for_the_shipped_front_end():
    rng = np.random.default_rng(1)
    X = Windows.of(rng.normal(size=(12, 1, 512)), sampling_rate=12_000, rpm=1750, orders=[3.58, 5.42, 2.36, 0.4])
    X, y = X.astype(np.float32), np.array(["inner", "outer", "ball"] * 4)
    network = VibrationNet(n_views=8, n_lines=75, n_axis=128, n_scalars=43, width=4)
    backbone = Backbone(network, inputs=Inputs(shape=(None, None), front_end="envelope"))
    options = {"max_epochs": 1, "lr": 1e-4, "batch_size": 6}
    plain, found = (fitted(backbone, strategy, X, y, **options) for strategy in (FineTuning(), Same()))
    np.testing.assert_allclose(found.predict_proba(X), plain.predict_proba(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize("first", [FineTuning(1), ProbeThenTune()], ids=repr)
def test_a_fit_can_be_repeated_and_leaves_the_global_generators_alone(spied, first):
    backbone, _ = spied
    strategy = first & Augmentation(jitter=0.3, scaling=0.2, crop=0.3, mixup=0.5)
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    one, again, other = (fitted(backbone, strategy, random_state=seed) for seed in (0, 0, 1))
    assert all(map(np.array_equal, weights_of(one), weights_of(again)))
    assert not all(map(np.array_equal, weights_of(one), weights_of(other)))
    assert not all(map(np.array_equal, weights_of(one), weights_of(fitted(backbone, first))))
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)


def test_while_all_is_frozen_the_front_end_runs_once(spied):
    backbone, given = spied
    plain = fitted(backbone, LinearProbing(), head=MLPHead((4,)))
    given.clear()
    found = fitted(backbone, LinearProbing() & Augmentation(time_shift=0.5), head=MLPHead((4,)))
    assert len(given) == 1
    assert all(map(np.array_equal, weights_of(found), weights_of(plain)))
    given.clear()
    model = fitted(backbone, GradualUnfreezing(2) & Augmentation(time_shift=0.5), max_epochs=3)
    assert model.history_[1]["frozen_blocks"] == len(backbone.blocks) > model.history_[2]["frozen_blocks"]
    assert len(given) == 1 + 4  # the last epoch's batches


def test_a_change_that_the_front_end_cannot_take_is_named(spied):
    backbone, _ = spied

    class Wrong(FineTuning):
        def augment(self, n_frozen, n_blocks):
            return lambda batch, draws: batch._replace(X=batch.X * np.inf)

    with pytest.raises(ValueError, match="Augmentation: the front end of the backbone returned values"):
        fitted(backbone, Wrong())


def test_raw_windows_follow_the_canonical_rows():
    rng = np.random.default_rng(0)
    X, y = rng.integers(2, size=(60, 3)).astype(np.float32), rng.integers(2, size=60)
    weight = rng.integers(0, 4, size=60).astype(float)
    raw = Windows.of(np.concatenate([X, rng.normal(size=(60, 5))], axis=1)[:, None], rpm=X @ [1, 2, 4], orders=range(4))
    plain, found = merge_copies(X, y, weight), merge_copies(X, y, weight, raw)
    for one, other in zip(plain[:3], found[:3], strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(found.X) < 20  # copies
    np.testing.assert_array_equal(found.raw[:, 0, :3], found.X)
    np.testing.assert_array_equal(found.raw.rpm, found.X @ [1, 2, 4])
    order = rng.permutation(60)  # which copy is kept does not depend on the order
    np.testing.assert_array_equal(merge_copies(X[order], y[order], weight[order], raw[order]).raw, found.raw)


def test_in_a_search_such_candidates_train_alone(spied):
    backbone, _ = spied
    X, y = windows_and_labels()
    strategies = [FineTuning() & Augmentation(crop=0.3), LinearProbing(), FineTuning() & Augmentation()]
    model = TransferClassifier(backbone, max_epochs=2, lr=1e-4, random_state=0)
    ours = BatchedGridSearchCV(model, {"strategy": strategies}, cv=2).fit(X, y)
    theirs = GridSearchCV(model, {"strategy": strategies}, cv=2).fit(X, y)
    assert ours.cv_results_["how"].tolist() == ["alone", "solved", "stacked"]
    np.testing.assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-6)
