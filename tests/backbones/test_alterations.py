"""What a file would lose is refused by name: hooks, a forward of the object's own, layers changed afterwards."""

import io
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sktransfer import (
    Backbone,
    FeatureExtractor,
    FromScratch,
    Inputs,
    LinearProbing,
    ModelFileError,
    TransferClassifier,
    from_module,
    load_backbone,
    register_network,
    save_backbone,
)
from tests.helpers import moons


def double(module, args, output):
    return 2 * output


def halve_input(module, args):
    return (args[0] / 2,)


@register_network("altered-in-its-constructor")
class Doubling(nn.Module):
    """A class that makes its hooks itself may be stored: the file's network has them, too."""

    def __init__(self, width=3):
        super().__init__()
        self.lower = nn.Sequential(nn.Linear(2, width), nn.ReLU())
        self.upper = nn.Sequential(nn.Linear(width, width), nn.Dropout(0.2))
        self.lower.register_forward_hook(double)

    def forward(self, x):
        return self.upper(self.lower(x))


def hooked(network, layer):
    layer.register_forward_hook(double)
    return network


def pre_hooked(network, layer):
    layer.register_forward_pre_hook(halve_input)
    return network


def own_forward(network, layer):
    layer.forward = lambda x, inner=layer.forward: 3 * inner(x)
    return network


def spectral(network, layer):
    nn.utils.spectral_norm(layer)
    return network


CHANGES = {
    hooked: "layer '0' carries a forward hook",
    pre_hooked: "layer '0' carries a forward pre-hook",
    own_forward: "layer '0' carries a forward of its own",
    spectral: "do not fit|pre-hook",
}


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU())


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_a_layer_does_beside_its_class_is_computed_here_and_refused_in_a_file(change, tmp_path):
    network = plain()
    change(network, network[0])
    backbone = Backbone(network)
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    expected = network.eval()(torch.from_numpy(x)).detach().numpy()
    extractor = FeatureExtractor(backbone).fit(x)
    np.testing.assert_allclose(extractor.transform(x), expected, atol=1e-6)
    np.testing.assert_allclose(clone(extractor).fit(x).transform(x), expected, atol=1e-6)
    path = save_backbone(Backbone(plain()), tmp_path / "b.safetensors")
    before = path.read_bytes()
    for store in (lambda: save_backbone(backbone, path), lambda: pickle.dumps(backbone),
                  lambda: joblib.dump(extractor, io.BytesIO())):  # fmt: skip
        with pytest.raises(ModelFileError, match=f"cannot be stored.*({CHANGES[change]})"):
            store()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("change", [hooked, own_forward], ids=lambda change: change.__name__)
def test_a_classifier_on_such_a_network_is_not_stored_either(change):
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
    change(network, network[0])
    X, y = moons(60)
    model = TransferClassifier(Backbone(network), strategy=LinearProbing(), random_state=0).fit(X, y)
    with pytest.raises(ModelFileError, match="layer '0' carries"):
        joblib.dump(model, io.BytesIO())


def test_weights_that_a_hook_computes_are_refused_at_once():
    network = plain()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(network[0])
    with pytest.raises(ValueError, match="remove_weight_norm"):
        Backbone(network)


def test_a_parametrization_is_refused_in_a_file(tmp_path):
    network = plain()
    nn.utils.parametrizations.weight_norm(network[0])
    with pytest.raises(TypeError, match="cannot be named in a file"):
        save_backbone(Backbone(network, inputs=Inputs(n=2)), tmp_path / "b.safetensors")


def test_the_network_of_such_a_backbone_has_no_twin_from_scratch():
    network = plain()
    backbone = Backbone(hooked(network, network[0]))
    with pytest.raises(ModelFileError, match="forward hook"):
        FromScratch.like(backbone)


@pytest.mark.parametrize("change", [hooked, pre_hooked, own_forward], ids=lambda change: change.__name__)
def test_what_runs_around_the_blocks_is_refused(change):
    network = plain()
    change(network, network)
    with pytest.raises(ValueError, match="the network, a Sequential, carries a forward"):
        Backbone(network)
    with pytest.raises(ValueError, match="the network, a Sequential, carries a forward"):
        from_module(network)
    nested = nn.Sequential(plain(), nn.Linear(3, 2))
    change(nested, nested[0])
    with pytest.raises(ValueError, match="submodule '0' carries a forward"):
        Backbone(nested, blocks=["0.0", "0.1"])
    with pytest.raises(ModelFileError, match="layer '0' carries a forward"):
        pickle.dumps(Backbone(nested, blocks=["0", "1"]))  # there it is part of a block


def test_a_hook_on_what_is_left_out_does_not_matter(tmp_path):
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    network[2].register_forward_hook(double)
    save_backbone(Backbone(network, blocks=["0", "1"]), tmp_path / "b.safetensors")


def test_hooks_that_a_constructor_makes_are_stored(tmp_path):
    backbone = Backbone(Doubling())
    loaded = load_backbone(save_backbone(backbone, tmp_path / "b.safetensors"))
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_array_equal(*(FeatureExtractor(b).fit_transform(x) for b in (backbone, loaded)))


def _other_layer(network):
    network.lower[1] = nn.Tanh()


def _other_rate(network):
    network.upper[1].p = 0.7


def _one_hook_more(network):
    network.lower.register_forward_hook(halve_output)


def _no_hook(network):
    network.lower._forward_hooks.clear()


def halve_output(module, args, output):
    return output / 2


@pytest.mark.parametrize(
    ("change", "said"),
    [(_other_layer, "layer 'lower.1' is another"), (_other_rate, "layer 'upper.1'.*was changed"),
     (_one_hook_more, "layer 'lower' carries a forward hook"), (_no_hook, "layer 'lower' carries no hook")],
)  # fmt: skip
def test_a_registered_network_that_was_changed_after_it_was_made_is_refused(change, said, tmp_path):
    network = Doubling()
    change(network)
    with pytest.raises(ModelFileError, match=said):
        save_backbone(Backbone(network), tmp_path / "b.safetensors")
    assert list(tmp_path.iterdir()) == []


@register_network("with-a-number-of-its-own")
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.lower = Scaling()

    def forward(self, x):
        return self.lower(x)


class Scaling(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.factor = nn.Linear(2, 3), 1.0

    def forward(self, x):
        return self.factor * self.layer(x)


def test_a_number_that_only_the_object_knows_is_found_by_what_the_network_returns(tmp_path):
    network = Scaled()
    save_backbone(Backbone(network), tmp_path / "b.safetensors")
    network.lower.factor = 2.0
    with pytest.raises(ModelFileError, match="returns something else"):
        save_backbone(Backbone(network), tmp_path / "b.safetensors")
