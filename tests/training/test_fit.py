"""What one fit does, against the same steps done by hand."""

import math

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sktransfer import FeatureExtractor, FineTuning, FromScratch, ProbeThenTune, TransferClassifier
from sktransfer.training.adamw import FusedAdamW
from tests.helpers import moons, small_backbone

SMALL = FromScratch(arguments={"hidden_layer_sizes": (8,), "dropout": 0.0})


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=5)


def weights_of(model):
    return {name: value.double().numpy() for name, value in model.module_.state_dict().items()}


def tuned(backbone, interpolation):
    X, y = moons(60)
    strategy = ProbeThenTune(tune_interpolation=interpolation, alpha=0.1, tune_rate=1.0)
    return TransferClassifier(backbone, strategy=strategy, max_epochs=4, lr=0.01, random_state=0).fit(X, y)


def test_a_quarter_of_the_way_is_counted_from_where_tuning_began(backbone):
    began, quarter, whole = (weights_of(tuned(backbone, share)) for share in (1e-9, 0.25, 1.0))
    for name, after in whole.items():
        np.testing.assert_allclose(quarter[name], began[name] + 0.25 * (after - began[name]), atol=1e-5)
    copies = backbone.copy_blocks()
    for block, copied in zip(tuned(backbone, 1e-9).module_.blocks, copies, strict=True):
        for (name, value), came in zip(block.state_dict().items(), copied.state_dict().values(), strict=True):
            torch.testing.assert_close(value, came, atol=1e-6, rtol=1e-6, msg=name)
    assert max(np.abs(whole[name] - began[name]).max() for name in whole) > 0.01


def test_from_scratch_the_whole_way_is_gone():
    half, whole = (weights_of(tuned(SMALL, share)) for share in (0.5, 1.0))
    for name, weight in whole.items():
        np.testing.assert_array_equal(half[name], weight)


class Nothing(Callback):
    """With a callback the optimizer is torch's."""


@pytest.mark.parametrize(("optimizer", "callbacks"), [(FusedAdamW, None), (torch.optim.AdamW, [Nothing()])])
def test_the_learning_rate_falls_by_a_cosine_over_all_steps_of_a_fit(monkeypatch, optimizer, callbacks):
    rates, step = [], optimizer.step

    def noted(self, *args, **kwargs):
        rates.append({group["lr"] for group in self.param_groups})
        return step(self, *args, **kwargs)

    monkeypatch.setattr(optimizer, "step", noted)
    X, y = moons(64)
    model = TransferClassifier(SMALL, max_epochs=5, batch_size=16, lr=0.02, callbacks=callbacks, random_state=0)
    model.fit(X, y)
    expected = [0.02 * 0.5 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    np.testing.assert_allclose([one for (one,) in rates], expected)


def test_training_ends_where_nothing_is_left_to_learn_unless_the_epochs_were_said():
    rng = np.random.default_rng(0)
    codes = np.arange(64) % 2
    X = rng.normal(size=(64, 3)) + 8.0 * codes[:, None]
    stopped = TransferClassifier(SMALL, lr=0.02, random_state=0).fit(X, codes)
    losses = [record["train_loss"] for record in stopped.history_]
    assert losses[-1] < 1e-3 <= min(losses[:-1])
    assert len(losses) < stopped._n_epochs(64)
    said = TransferClassifier(SMALL, lr=0.02, max_epochs=stopped._n_epochs(64), random_state=0).fit(X, codes)
    assert len(said.history_) == said.max_epochs


@pytest.mark.parametrize("n_rows", [31, 32])
def test_statistics_are_measured_again_on_twice_as_many_rows_as_features(backbone, n_rows):
    X, y = moons(n_rows)
    X = X + np.float64(1.5)
    assert backbone.n_features_out == 16
    model = TransferClassifier(backbone, strategy=FineTuning(), max_epochs=2, lr=0.01, random_state=0).fit(X, y)
    mean = FeatureExtractor(model.backbone_, standardize=False).fit_transform(X).astype(float).mean(axis=0)
    expected = mean if n_rows >= 2 * 16 else backbone.source.feature_mean
    np.testing.assert_allclose(model.backbone_.source.feature_mean, expected, atol=1e-4)
    assert torch.is_tensor(model.module_.head.output.weight)
