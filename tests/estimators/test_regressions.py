"""Faults that a review found; each test failed before it was mended."""

import pickle
import stat

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss
from skorch.callbacks import EpochScoring
from torch import nn

from sktransfer import (
    L2SP,
    Backbone,
    FineTuning,
    FromScratch,
    LinearHead,
    LinearProbing,
    MLPHead,
    ProbeThenTune,
    TransferClassifier,
    TransferRegressor,
    register_network,
    save_backbone,
)
from sktransfer.exceptions import DataQualityWarning
from tests.helpers import moons, small_backbone

X, y = moons(60)


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


def test_probe_then_tune_averages_with_the_probed_head_not_with_the_untrained_one(backbone):
    losses = []
    for share in (1.0, 0.01):
        strategy = ProbeThenTune(tune_interpolation=share, tune_rate=1e-6)
        head = MLPHead((16,), dropout=0.0)
        model = TransferClassifier(backbone, head=head, strategy=strategy, max_epochs=100, lr=0.01, random_state=0)
        losses.append(log_loss(y, model.fit(X, y).predict_proba(X)))
    assert losses[1] == pytest.approx(losses[0], abs=1e-3)


def test_from_scratch_nothing_is_averaged_with_random_weights():
    small = FromScratch(arguments={"hidden_layer_sizes": (16,)})
    models = [
        TransferClassifier(
            small, strategy=ProbeThenTune(tune_rate=1.0, tune_interpolation=share), max_epochs=3, random_state=0
        )
        for share in (0.5, 1.0)
    ]
    first, second = (model.fit(X, y).predict_proba(X) for model in models)
    np.testing.assert_array_equal(first, second)


def test_callbacks_see_labels_without_weights_and_the_last_epoch():
    class Counter(EpochScoring):
        epochs = 0

        def on_epoch_end(self, net, **kwargs):
            self.epochs += 1
            return super().on_epoch_end(net, **kwargs)

    def accuracy(net, data, labels):
        return float(np.mean(np.concatenate([np.asarray(part) for part in labels]) >= 0)) if labels is not None else 0.0

    counter = Counter(accuracy, on_train=True, use_caching=False)
    small = FromScratch(arguments={"hidden_layer_sizes": (64,)})
    model = TransferClassifier(small, lr=0.02, batch_size=64, callbacks=[counter], random_state=0).fit(X, y)
    assert model.n_iter_ < 500  # ended by the loss
    assert counter.epochs == model.n_iter_


@pytest.mark.parametrize("weight", [None, [1.0] + [0.0] * 11])
def test_one_different_row_is_an_error_that_says_so(weight):
    rows = np.tile(X[:1], (12, 1)) if weight is None else X[:12]
    with pytest.raises(ValueError, match="at least 2 different rows"):
        TransferRegressor(FromScratch(arguments={"hidden_layer_sizes": (4,)})).fit(rows, np.ones(12), weight)


def test_labels_too_large_to_square_are_an_error_and_never_nan(backbone):
    with pytest.raises(ValueError, match="Change its unit"):
        TransferRegressor(backbone).fit(X, X[:, 0] * 1e160)


def test_an_imprinted_head_is_the_centre_where_it_is_asked_for(backbone):
    solved = {
        init: TransferClassifier(backbone, head=LinearHead(init=init), strategy=LinearProbing(alpha=1e6)).fit(X, y)
        for init in ("imprint", "random")
    }
    assert solved["imprint"].score(X, y) > 0.5
    np.testing.assert_allclose(solved["random"].predict_proba(X), 1 / 3, atol=1e-3)


def test_l2sp_pulls_new_classes_to_zero_and_known_ones_to_the_source(backbone):
    labels = np.where(y == "wear", "new", y)
    distances = []
    for alpha, beta in ((0.0, 1e3), (1e3, 0.0)):
        parameters = {"strategy": FineTuning() & L2SP(alpha, beta), "head": LinearHead(source_classes="same")}
        model = TransferClassifier(backbone, **parameters, max_epochs=200, lr=0.01, random_state=0).fit(X, labels)
        rows = dict(zip(model.classes_, model.module_.head.output.weight.numpy(), strict=True))
        source = dict(zip(backbone.source.classes, backbone.source.weight, strict=True))
        distances.append((np.abs(rows["new"]).max(), np.abs(rows["normal"] - source["normal"]).max()))
    assert distances[0][0] < 0.01 < distances[0][1]
    assert distances[1][1] < 0.01 < distances[1][0]


def test_a_backbone_file_has_the_permissions_of_any_new_file(backbone, tmp_path):
    (tmp_path / "plain").touch()
    file = save_backbone(backbone, tmp_path / "b.safetensors")
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@register_network("constants-outside-the-state")
class Constants(nn.Module):
    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.linear = nn.Linear(width, 5)
            self.register_buffer("phase", torch.linspace(0.0, 1.0, 5), persistent=False)
            self.register_buffer("mask", torch.tensor([True, False, True, True, False]))

        def forward(self, x):
            return (self.linear(x) + self.phase) * self.mask

    def __init__(self, n_features_in):
        super().__init__()
        self.block = self.Block(n_features_in)

    def forward(self, x):
        return self.block(x)


def test_networks_with_constants_and_truth_values_come_back():
    backbone = Backbone(Constants(np.int64(4)))
    loaded = pickle.loads(pickle.dumps(backbone))
    x = torch.ones(2, 4)
    with torch.no_grad():
        torch.testing.assert_close(loaded.copy_blocks()[0](x), backbone.copy_blocks()[0](x), rtol=0, atol=0)


def test_a_constructor_that_hides_its_arguments_cannot_be_registered():
    with pytest.raises(ValueError, match="name the arguments"):

        @register_network("hides")
        class Hides(nn.Module):
            def __init__(self, **options):
                super().__init__()


def test_other_column_names_than_the_backbones_are_a_warning(backbone):
    frame = pd.DataFrame(X, columns=list("abcd"))
    source = TransferClassifier(backbone, strategy=LinearProbing()).fit(frame, y).backbone_
    with pytest.warns(DataQualityWarning, match="first: 'q' where it had 'c'"):
        TransferClassifier(source, strategy=LinearProbing()).fit(frame.rename(columns={"c": "q"}), y)


def test_a_class_weight_for_a_class_that_a_fold_lacks_is_no_error(backbone):
    two = y != "wear"
    weights = {"normal": 1.0, "leak": 2.0, "wear": 3.0}
    model = TransferClassifier(backbone, strategy=LinearProbing(), class_weight=weights).fit(X[two], y[two])
    assert model.classes_.tolist() == ["leak", "normal"]


def test_small_batches_still_mean_about_a_thousand_steps():
    model = TransferClassifier(batch_size=1)
    assert model._n_epochs(12) == 167  # six batches of two rows
