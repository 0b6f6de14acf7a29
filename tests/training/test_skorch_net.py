"""Training by epochs: Ctrl-C ends it with nothing fitted, callbacks end it early with what they ask for."""

import os
import signal
import threading

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, r2_score, roc_auc_score
from skorch.callbacks import BatchScoring, Callback, EarlyStopping, EpochScoring, ProgressBar

from sktransfer import FineTuning, FromScratch, ProbeThenTune, TransferClassifier, TransferRegressor
from tests.helpers import moons

SMALL = FromScratch(arguments={"hidden_layer_sizes": (16, 8)})


@pytest.mark.usefixtures("listens")
@pytest.mark.parametrize("fitted_before", [True, False])
def test_ctrl_c_ends_the_fit_and_leaves_nothing_fitted(fitted_before):
    X, y = moons(200)
    model = TransferClassifier(SMALL, max_epochs=2, random_state=0)
    if fitted_before:
        model.fit(X, y)
    model.set_params(max_epochs=1_000_000)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    timer.join()
    assert not model.__sklearn_is_fitted__()
    assert not hasattr(model, "backbone_")


def press():
    os.kill(os.getpid(), signal.SIGINT)
    sum(range(10_000))  # the signal arrives between two of these


@pytest.mark.usefixtures("listens")
def test_ctrl_c_inside_a_callback_stops_early_as_in_skorch():
    class Presses(Callback):
        def on_epoch_end(self, net, **kwargs):
            press()

    model = TransferClassifier(SMALL, max_epochs=5, callbacks=[Presses()], random_state=0).fit(*moons(50))
    assert model.n_iter_ == 1
    assert model.predict(moons(50)[0]).shape == (50,)


@pytest.mark.usefixtures("listens")
@pytest.mark.parametrize("callbacks", [None, [Callback()]])
def test_ctrl_c_outside_of_a_callback_ends_the_fit_even_if_there_are_callbacks(callbacks):
    class Presses(FineTuning):
        def penalty(self, weights, source):
            press()
            return 0.0

    model = TransferClassifier(SMALL, strategy=Presses(), max_epochs=5, callbacks=callbacks, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*moons(50))
    assert not model.__sklearn_is_fitted__()


class Keeper(Callback):
    """Keeps the weights of every epoch."""

    def __init__(self):
        self.states = []

    def on_epoch_end(self, net, **kwargs):
        self.states.append({key: value.clone() for key, value in net.module_.state_dict().items()})


def test_early_stopping_stops_and_restores_the_best_weights():
    keeper = Keeper()
    stop = EarlyStopping(
        monitor="train_loss", patience=3, threshold=0.0, threshold_mode="abs", load_best=True, sink=str
    )
    model = TransferClassifier(SMALL, max_epochs=200, lr=0.5, batch_size=16, callbacks=[keeper, stop], random_state=0)
    model.fit(*moons(60))
    losses = [record["train_loss"] for record in model.history_]
    best = int(np.argmin(losses))
    assert model.n_iter_ == len(losses) == best + 3 + 1 < 200
    for key, value in model.module_.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), keeper.states[best][key].numpy())
    last = keeper.states[-1]["head.output.weight"].numpy()
    assert not np.array_equal(model.module_.head.output.weight.numpy(), last)


@pytest.mark.parametrize("strategy", [FineTuning(), ProbeThenTune()])
def test_a_stop_in_the_middle_of_the_first_epoch_keeps_the_weights_of_that_moment(strategy):
    class StopsAtTheSecondBatch(Callback):
        def on_batch_end(self, net, **kwargs):
            self.n_batches = getattr(self, "n_batches", 0) + 1
            if self.n_batches == 2:
                raise KeyboardInterrupt

    X, y = moons(200)
    backbone = TransferClassifier(SMALL, max_epochs=2, random_state=0).fit(X, y).backbone_
    stop = StopsAtTheSecondBatch()
    model = TransferClassifier(backbone, strategy=strategy, callbacks=[stop], max_epochs=5, random_state=0).fit(X, y)
    assert [record for record in model.history_ if "train_loss" in record] == []
    assert backbone.changed(model.module_.blocks) == [True, True]
    assert model.backbone_.changed(model.module_.blocks) == [False, False]  # what is handed on is what predicts


@pytest.mark.usefixtures("listens")
def test_ctrl_c_inside_a_callback_at_the_end_of_training_changes_nothing():
    class Presses(Callback):
        def on_train_end(self, net, **kwargs):
            press()

    model = TransferClassifier(SMALL, max_epochs=2, callbacks=[Presses()], random_state=0).fit(*moons(50))
    assert model.n_iter_ == 2


def outputs(model, X):
    """Of the fitted network, without anything that predict adds to it."""
    with torch.inference_mode():
        return model.module_.eval()(torch.as_tensor(X, dtype=torch.float32)).numpy()


@pytest.mark.parametrize("source", [False, True])
@pytest.mark.parametrize("metric", ["accuracy", "neg_log_loss", "roc_auc"])
def test_epoch_scoring_scores_the_network_at_the_end_of_the_epoch(metric, source):
    X, y = moons(300)
    y = np.where(y == "wear", "leak", y) if metric == "roc_auc" else y
    backbone = TransferClassifier(SMALL, max_epochs=2, random_state=0).fit(*moons(100, seed=1)).backbone_
    scoring = EpochScoring(metric, on_train=True, use_caching=False, name="found")
    network, strategy = (backbone, FineTuning(n_frozen_blocks=1)) if source else (SMALL, FineTuning())
    model = TransferClassifier(network, strategy=strategy, max_epochs=3, callbacks=[scoring], random_state=0).fit(X, y)
    logits = outputs(model, X)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = {
        "accuracy": lambda: accuracy_score(y, model.classes_[logits.argmax(axis=1)]),
        "neg_log_loss": lambda: -log_loss(y, probabilities.astype(float)),
        "roc_auc": lambda: roc_auc_score(y == model.classes_[1], probabilities[:, 1]),
    }[metric]()
    # rounding may turn round one pair of the 22,500 that an area counts
    assert model.history_[-1]["found"] == pytest.approx(expected, abs=5e-5 if metric == "roc_auc" else 1e-5)
    # with the outputs that training had anyway: of weights that were still moving
    cached = EpochScoring(metric, on_train=True, name="found")
    again = TransferClassifier(**{**model.get_params(deep=False), "callbacks": [cached]}).fit(X, y)
    assert again.history_[-1]["found"] == pytest.approx(expected, abs=0.1)
    for one, other in zip(model.module_.state_dict().values(), again.module_.state_dict().values(), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())  # scoring changes nothing


def test_epoch_scoring_of_a_regressor_and_of_rows_of_the_callback():
    X, _ = moons(200)
    y = 100 + 50 * X[:, 0]

    def scored(net, rows, values):
        mine = net.predict(X.astype(np.float32)).ravel()
        theirs = net.predict(rows).ravel()
        np.testing.assert_allclose(np.sort(mine), np.sort(theirs), rtol=1e-5)
        return r2_score((y - y.mean()) / y.std(), mine)

    scoring = [
        EpochScoring("r2", on_train=True, use_caching=False),
        EpochScoring(scored, on_train=True, use_caching=False, name="own"),
    ]
    model = TransferRegressor(SMALL, max_epochs=4, callbacks=scoring, random_state=0).fit(X, y)
    assert model.history_[-1]["r2"] == pytest.approx(r2_score(y, model.predict(X)), abs=1e-5)
    assert model.history_[-1]["own"] == pytest.approx(model.history_[-1]["r2"], abs=1e-5)


def test_scoring_in_the_middle_of_an_epoch_leaves_training_as_it_was():
    X, y = moons(200)
    dropout = FromScratch(arguments={"hidden_layer_sizes": (16, 8), "dropout": 0.5})

    class Scores(Callback):
        def on_batch_end(self, net, **kwargs):
            self.found = net.predict(X.astype(np.float32))

    options = {"max_epochs": 2, "batch_size": 32, "random_state": 0}
    plain = TransferClassifier(dropout, callbacks=[Callback()], **options).fit(X, y)
    watched = TransferClassifier(dropout, callbacks=[Scores()], **options).fit(X, y)
    assert [r["train_loss"] for r in plain.history_] == [r["train_loss"] for r in watched.history_]
    batch = TransferClassifier(dropout, callbacks=[BatchScoring("accuracy", name="b", on_train=True)], **options)
    assert 0 < batch.fit(X, y).history_[-1]["b"] < 1


def test_skorchs_progress_bar_counts_the_batches(capsys):
    bar = ProgressBar(detect_notebook=False)
    TransferClassifier(SMALL, max_epochs=2, batch_size=32, callbacks=[bar], random_state=0).fit(*moons(200))
    assert "/7 [" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_a_callback_that_would_score_rows_that_nobody_holds_out_is_noticed():
    X, y = moons(60)
    with pytest.warns(UserWarning, match=r"\['EpochScoring'\] score validation rows, but fit holds out none"):
        TransferClassifier(SMALL, max_epochs=1, callbacks=[EpochScoring("accuracy")], random_state=0).fit(X, y)
    TransferClassifier(SMALL, max_epochs=1, callbacks=[EpochScoring("accuracy", on_train=True)]).fit(X, y)


X, y = moons(60)


def test_callbacks_see_labels_without_weights_and_the_last_epoch():
    class Counter(EpochScoring):
        epochs = 0

        def on_epoch_end(self, net, **kwargs):
            self.epochs += 1
            return super().on_epoch_end(net, **kwargs)

    def accuracy(net, data, labels):
        assert set(labels) == {0, 1, 2}
        return float(np.mean(net.predict(data) == labels))

    counter = Counter(accuracy, on_train=True, use_caching=False)
    small = FromScratch(arguments={"hidden_layer_sizes": (64,), "dropout": 0.0})
    model = TransferClassifier(small, lr=0.02, batch_size=64, callbacks=[counter], random_state=0).fit(X, y)
    assert model.n_iter_ < 500  # ended by the loss
    assert counter.epochs == model.n_iter_
