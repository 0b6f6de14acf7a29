"""Training by epochs: Ctrl-C ends it with nothing fitted, callbacks end it early with what they ask for."""

import os
import signal
import threading

import numpy as np
import pytest
from skorch.callbacks import Callback, EarlyStopping

from sktransfer import FineTuning, FromScratch, ProbeThenTune, TransferClassifier
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
