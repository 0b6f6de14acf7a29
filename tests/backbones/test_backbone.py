"""Backbone: immutable, shared by clones, and never what the caller goes on training."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sktransfer import (
    MLP,
    Backbone,
    FeatureExtractor,
    FineTuning,
    FromScratch,
    Inputs,
    LinearProbing,
    Source,
    TransferClassifier,
)
from sktransfer.backbones.check_input import compare_columns
from sktransfer.exceptions import DataQualityWarning, ModelFileError
from sktransfer.inference.predictor import blocks_in_numpy
from sktransfer.utils.checksums import seal
from tests.helpers import moons, small_backbone, width_free_backbone


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU()), nn.Sequential(nn.Linear(6, 5), nn.Tanh())
    )


def state(module):
    return {key: value.detach().clone().numpy().tobytes() for key, value in module.state_dict().items()}


def features(backbone, X=None):
    X = moons(20)[0] if X is None else X
    return FeatureExtractor(backbone, standardize=False).fit_transform(X)


class Skips(nn.Module):
    """Its forward does more than its children show."""

    def __init__(self):
        super().__init__()
        self.lower = nn.Linear(4, 4)
        self.upper = nn.Linear(4, 4)

    def forward(self, x):
        return x + self.upper(self.lower(x))


def test_the_caller_s_network_is_copied_and_left_as_it_was():
    net = network().train()
    before = state(net)
    backbone = Backbone(net)
    TransferClassifier(backbone, strategy=FineTuning(), max_epochs=2, random_state=0).fit(*moons(40))
    assert state(net) == before
    assert all(layer.training for layer in net.modules())
    assert all(p.requires_grad for p in net.parameters())
    held = features(backbone)
    with torch.no_grad():
        net[0][0].weight.fill_(0.0)
        net[0][1].running_mean.fill_(9.0)
    np.testing.assert_array_equal(features(backbone), held)


def test_a_network_in_training_mode_is_compared_and_left_in_training_mode():
    net = MLP(4, hidden_layer_sizes=(5,), dropout=0.5).train()
    before = state(net)
    Backbone(net)
    assert state(net) == before
    assert all(layer.training for layer in net.modules())


@pytest.mark.parametrize("copied", [clone, copy.copy, copy.deepcopy])
def test_copies_are_the_backbone_itself(copied):
    backbone = Backbone(network())
    assert copied(backbone) is backbone
    model = TransferClassifier(backbone)
    assert clone(model).backbone is backbone
    assert copy.deepcopy(model).backbone is backbone


def test_copied_blocks_may_be_trained_without_the_backbone():
    backbone = Backbone(network())
    before = [state(module) for module in backbone._modules]
    with torch.no_grad():
        for block in backbone.copy_blocks():
            for p in block.parameters():
                p.add_(1.0)
    assert [state(module) for module in backbone._modules] == before


def test_blocks_are_found_by_dotted_names_in_the_order_given():
    net = network()
    backbone = Backbone(net, blocks=["0.0", "0.1", "0.2", "1.0"])
    X = moons(20)[0].astype(np.float32)
    with torch.inference_mode():
        expected = net.eval()[1][0](net[0](torch.from_numpy(X)))
    np.testing.assert_allclose(features(backbone, X), expected, atol=1e-6)
    assert backbone.blocks == ("0.0", "0.1", "0.2", "1.0")
    assert (backbone.n_features_in, backbone.n_features_out) == (4, 5)


def test_layers_outside_the_blocks_are_left_out():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    assert Backbone(net, blocks=["0", "1"]).n_features_out == 8
    assert Backbone(net, blocks=["0", "1"]).nbytes == 4 * (4 * 8 + 8)


@pytest.mark.parametrize(
    ("blocks", "words"), [(["0", "blok2"], "blok2"), ([], "at least one"), (["0", "0"], "once"), (["0.7"], "0.7")]
)
def test_blocks_that_are_not_there_are_an_error_that_names_them(blocks, words):
    with pytest.raises(ValueError, match=words):
        Backbone(network(), blocks=blocks)


def test_a_misspelt_block_names_the_nearest_known_one():
    with pytest.raises(ValueError, match=r"(?i)did you mean 'block1'"):
        Backbone(MLP(4, hidden_layer_sizes=(5, 5)), blocks=["blok1"])


def test_a_network_whose_forward_does_more_than_its_children_is_refused():
    with pytest.raises(ValueError, match="do not reproduce"):
        Backbone(Skips())
    assert Backbone(Skips(), blocks=["lower", "upper"]).n_features_out == 4


def test_what_is_no_module_or_no_table_of_features_is_refused():
    with pytest.raises(TypeError, match="ndarray"):
        Backbone(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="n_features_out"):
        Backbone(nn.Sequential(nn.Linear(4, 6), nn.Unflatten(1, (2, 3))))


@pytest.mark.parametrize(
    "source",
    [
        Source(np.zeros(3), np.ones(3)),
        Source(np.zeros(5), np.ones(4)),
        Source(np.zeros(5), np.ones(5), np.ones((2, 4)), np.zeros(2), np.array(["a", "b"])),
        Source(np.zeros(5), np.ones(5), np.ones((2, 5)), np.zeros(3), np.array(["a", "b"])),
        Source(np.zeros(5), np.ones(5), np.ones((2, 5)), np.zeros(2), np.array(["a", "b", "c"])),
    ],
    ids=["mean", "scale", "weight", "bias", "classes"],
)
def test_a_source_that_does_not_fit_the_features_is_refused(source):
    with pytest.raises(ValueError, match="source"):
        Backbone(network(), source=source)


def test_columns_are_read_off_the_first_linear_layer_and_free_where_there_is_none():
    assert Backbone(network()).n_features_in == 4
    assert width_free_backbone().n_features_in is None
    assert Backbone(nn.Sequential(nn.Tanh()), inputs=Inputs(n=3)).n_features_out == 3


def window_network(pool):
    torch.manual_seed(0)
    return nn.Sequential(nn.Sequential(nn.Conv1d(3, 4, 33), nn.ReLU()), nn.Sequential(pool, nn.Flatten()))


def test_windows_of_any_length_are_measured_by_the_first_convolution():
    backbone = Backbone(window_network(nn.AdaptiveAvgPool1d(2)))
    assert backbone.inputs.shape == (3, None)  # 16 samples would be too few for 33 weights
    assert (backbone.n_features_in, backbone.n_features_out) == (3, 8)
    assert repr(backbone) == "Backbone('backbone', 2 blocks, 3 x any -> 8 features)"
    assert blocks_in_numpy(backbone, 2) is None
    for copied in (pickle.loads(pickle.dumps(backbone)), backbone.describe(name="other")):
        assert (copied.inputs.shape, copied.n_features_out) == ((3, None), 8)


def test_features_that_depend_on_the_length_ask_for_the_length():
    with pytest.raises(ValueError, match="no other length, or return another number of features"):
        Backbone(window_network(nn.MaxPool1d(2)))
    backbone = Backbone(window_network(nn.MaxPool1d(2)), inputs=Inputs(shape=(3, 40)))
    assert (backbone.n_features_in, backbone.n_features_out) == (3, 4 * 4)
    with pytest.raises(ValueError, match=r"samples of shape \(3, 20\).*inputs=Inputs\(shape=...\)"):
        Backbone(window_network(nn.MaxPool1d(2)), inputs=Inputs(shape=(3, 20)))


def test_images_are_measured_and_a_table_s_layers_on_them_stay_with_torch():
    network = nn.Sequential(nn.Conv2d(1, 2, 5, stride=2), nn.Flatten())
    backbone = Backbone(network, inputs=Inputs(shape=(1, 28, 20)))
    assert (backbone.n_features_in, backbone.n_features_out) == (1, 2 * 12 * 8)
    assert Backbone(nn.Sequential(nn.Conv2d(1, 2, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten())).inputs.shape[0] == 1
    tall = Backbone(nn.Sequential(nn.Linear(4, 3), nn.Flatten()), inputs=Inputs(shape=(5, 4)))
    assert (tall.n_features_out, blocks_in_numpy(tall, 2)) == (15, None)


@pytest.mark.parametrize("shape", [(3,), (3, 0), (3, -1), (3, 2.0), ("3", 4), (True, 4), (2**20, 2**20)])
def test_what_is_no_shape_of_a_sample_is_refused(shape):
    with pytest.raises(ValueError, match="Inputs: "):
        Inputs(shape=shape)


def test_a_shape_gives_the_number_of_channels_and_contradicts_another():
    assert Inputs(shape=[3, None]) == Inputs(n=3, shape=(3, None))
    with pytest.raises(ValueError, match="n=4 and shape="):
        Inputs(n=4, shape=(3, None))


def test_describe_changes_words_and_shares_weights():
    backbone = Backbone(network(), name="pump_a")
    other = backbone.describe(name="pump_b", inputs=Inputs(n=4, names=tuple("abcd")), provenance={"rate_hz": 1})
    assert (other.name, other.inputs.names, other.provenance) == ("pump_b", tuple("abcd"), {"rate_hz": 1})
    assert (backbone.name, backbone.inputs.names, backbone.provenance) == ("pump_a", None, {})
    assert all(a is b for a, b in zip(other.weights, backbone.weights, strict=True))
    with pytest.raises(TypeError, match="blocks"):
        backbone.describe(blocks=["0"])


def test_repr_tells_name_blocks_widths_and_classes():
    assert repr(Backbone(network(), name="a")) == "Backbone('a', 2 blocks, 4 columns -> 5 features)"
    assert repr(small_backbone(max_epochs=1)).endswith("4 columns -> 16 features, 3 classes)")
    assert "any number of columns" in repr(width_free_backbone())


@pytest.mark.parametrize(
    "make", [lambda: Backbone(network()), lambda: small_backbone(max_epochs=2), width_free_backbone]
)
def test_a_pickled_backbone_has_the_same_features(make):
    backbone = make()
    loaded = pickle.loads(pickle.dumps(backbone))
    np.testing.assert_array_equal(features(loaded), features(backbone))
    assert repr(loaded) == repr(backbone)
    assert not any(p.requires_grad for module in loaded._modules for p in module.parameters())


def test_a_network_without_a_name_cannot_be_pickled_and_the_message_helps():
    with pytest.raises(TypeError, match="register_network"):
        pickle.dumps(Backbone(Skips(), blocks=["lower", "upper"], name="pump"))
    with pytest.raises(TypeError, match="register_network"):
        FromScratch.like(Backbone(Skips(), blocks=["lower", "upper"]))


def test_retrained_shares_frozen_weights_and_copies_the_others():
    backbone = small_backbone(max_epochs=2)
    fit = TransferClassifier(backbone, strategy=FineTuning(2), max_epochs=2, random_state=0).fit(*moons(60, seed=1))
    after = fit.backbone_
    assert [a is b for a, b in zip(after.weights, backbone.weights, strict=True)] == [True, True, False]
    assert [a is b for a, b in zip(after._modules, backbone._modules, strict=True)] == [True, True, False]
    assert after.weights[2]["0.weight"].tobytes() != backbone.weights[2]["0.weight"].tobytes()
    assert np.shares_memory(after.weights[2]["0.weight"], after._modules[2][0].weight.numpy())


def test_width_and_order_of_columns_are_compared_by_name():
    backbone = Backbone(network(), name="pump_a").describe(inputs=Inputs(n=4, names=("p", "q", "T", "n")))
    compare_columns("Model", backbone, 4, None)
    compare_columns("Model", backbone, 4, np.array(["p", "q", "T", "n"], dtype=object))
    with pytest.raises(ValueError, match="another order"):
        compare_columns("Model", backbone, 4, ["q", "p", "T", "n"])
    with pytest.raises(ValueError, match=r"3 features.*'pump_a'.*pretrained on 4.*Missing: \['n'\]"):
        compare_columns("Model", backbone, 3, ["p", "q", "T"])


def test_a_backbone_is_immutable_and_a_newer_format_is_refused():
    backbone = small_backbone(max_epochs=2)
    with pytest.raises(AttributeError, match="describe"):
        backbone.name = "other"
    assert backbone.describe(name="other").name == "other"
    state = seal({**backbone.__getstate__(), "format": 99})
    with pytest.raises(ModelFileError, match="format 99"):
        object.__new__(Backbone).__setstate__(state)


def test_a_source_of_another_type_is_refused():
    with pytest.raises(TypeError, match="Source as source, got dict"):
        Backbone(nn.Sequential(nn.Linear(3, 2)), source={"classes": ["a"]})


def test_a_backbone_that_cannot_tell_its_columns_says_how_to():
    from torch import nn

    from sktransfer import Backbone

    with pytest.raises(ValueError, match=r"inputs=Inputs\(n="):
        Backbone(nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))


X, y = moons(60)


@pytest.fixture(scope="module")
def backbone():
    return small_backbone(max_epochs=10)


def test_other_column_names_than_the_backbones_are_a_warning(backbone):
    frame = pd.DataFrame(X, columns=list("abcd"))
    source = TransferClassifier(backbone, strategy=LinearProbing()).fit(frame, y).backbone_
    with pytest.warns(DataQualityWarning, match="first: 'q' where it had 'c'"):
        TransferClassifier(source, strategy=LinearProbing()).fit(frame.rename(columns={"c": "q"}), y)
