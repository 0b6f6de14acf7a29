"""Torch modules from elsewhere: their blocks do what forward() does, or a message says where they do not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as authors of networks write it)
from torch import nn

from sktransfer import (
    MLP,
    FineTuning,
    FromScratch,
    Inputs,
    LinearProbing,
    TransferClassifier,
    from_module,
    load_backbone,
    save_backbone,
)
from sktransfer.convert.source_head import split_head
from sktransfer.inference.predictor import blocks_in_numpy


def settled(module, seed=0):
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d):
            part.reset_parameters()
        elif isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
    return module


def image_net(n_outputs=3):
    layers = [
        nn.Conv2d(1, 4, 5), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, n_outputs),
    ]  # fmt: skip
    return settled(nn.Sequential(*layers))


class Net(nn.Module):
    """As authors write networks: children in any order, and functions between them where `functions` says so."""

    def __init__(self, *functions):
        super().__init__()
        self.functions = functions
        self.fc2 = nn.Linear(8, 3)
        self.unused = nn.Linear(5, 5)
        self.conv = nn.Conv1d(2, 4, 5)
        self.norm = nn.BatchNorm1d(4)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool1d(2), nn.Flatten())
        self.fc1 = nn.Linear(8, 8)
        settled(self)

    def forward(self, x):
        if "input" in self.functions:
            x = x * 2
        x = self.act(self.norm(self.conv(x)))
        x = self.pool(x) if "flatten" not in self.functions else F.adaptive_avg_pool1d(x, 2).flatten(1)
        x = self.fc1(x)
        x = F.relu(x) if "relu" in self.functions else x
        x = self.fc1(x) if "twice" in self.functions else x
        x = self.fc2(x)
        ends = {"softmax": lambda x: x.softmax(1), "log_softmax": lambda x: F.log_softmax(x, 1), "cube": lambda x: x**3}
        for name, function in ends.items():
            x = function(x) if name in self.functions else x
        return x


def run(blocks, X):
    with torch.inference_mode():
        for block in blocks:
            X = block(X)
    return X.numpy()


def samples(*shape, n=7):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32))


# ---- what becomes a block


def test_layers_without_weights_belong_to_the_layer_before():
    net, X = image_net(), samples(1, 28, 28)
    backbone = from_module(net, input_shape=(1, 28, 28), name="camera", provenance={"year": 2024})
    assert backbone.blocks == ("0", "4", "8", "11")
    assert (backbone.name, backbone.inputs.shape, backbone.n_features_out) == ("camera", (1, 28, 28), 3)
    assert backbone.provenance == {"year": 2024}
    np.testing.assert_array_equal(run(backbone.copy_blocks(), X), run([net.eval()], X))
    below = run(backbone.copy_blocks()[:2], X)
    np.testing.assert_array_equal(below, run(net.eval()[:8], X))  # convolution, pooling, flattening


def test_children_become_blocks_in_the_order_in_which_they_run_and_the_module_stays_as_it_was():
    net = Net().train()
    net.norm.eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    backbone = from_module(net)
    assert backbone.blocks == ("conv", "fc1", "fc2")
    assert backbone.inputs.shape == (2, None)
    assert (net.training, net.norm.training, net.act.training) == (True, False, True)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert not any(part._forward_hooks for part in net.modules())
    np.testing.assert_array_equal(run(backbone.copy_blocks(), samples(2, 99)), run([net.eval()], samples(2, 99)))


def test_named_blocks_keep_their_names_and_what_is_not_named_is_left_out(tmp_path):
    net = nn.Sequential()
    net.add_module("features", image_net()[:8])
    net.add_module("classifier", image_net()[8:])
    names = ["features.0", "features.1", "features.2", "features.3", "features.4"]
    inputs = Inputs(shape=(1, 28, 28))
    backbone = from_module(net, blocks=[*names, "features.5", "features.6", "features.7"], inputs=inputs)
    assert backbone.blocks[:5] == tuple(names)
    loaded = load_backbone(save_backbone(backbone, tmp_path / "b.safetensors"))
    assert loaded.blocks == backbone.blocks
    X = samples(1, 28, 28)
    np.testing.assert_array_equal(run(loaded.copy_blocks(), X), run([net.eval().features], X))
    assert from_module(net, input_shape=(1, 28, 28)).blocks == ("features", "classifier")


def test_a_registered_network_stays_itself():
    backbone = from_module(MLP(4, hidden_layer_sizes=(8, 6)))
    assert backbone.network["name"] == "mlp"
    assert backbone.blocks == ("block1", "block2")
    assert blocks_in_numpy(backbone, 2) is not None
    assert FromScratch.like(backbone).build(4).n_features_out == 6


# ---- the old head


def logits_of(backbone, X):
    source = backbone.source
    features = (run(backbone.copy_blocks(), X) - source.feature_mean) / source.feature_scale
    return features @ source.weight.T + source.bias


@pytest.mark.parametrize("with_samples", [False, True])
@pytest.mark.parametrize("end", [(), ("softmax",), ("log_softmax",)])
def test_the_last_linear_layer_is_remembered_by_class_names(end, with_samples):
    net, X = Net(*end), samples(2, 40, n=20)
    backbone = from_module(net, classes=["a", "b", "c"], X=X.numpy() if with_samples else None)
    assert (backbone.blocks, backbone.source.classes.tolist()) == (("conv", "fc1"), ["a", "b", "c"])
    expected = run([net.eval()], X)
    expected = np.log(expected) if end == ("softmax",) else expected
    found = logits_of(backbone, X)
    np.testing.assert_allclose(found - found.mean(1)[:, None], expected - expected.mean(axis=1)[:, None], atol=1e-4)
    if with_samples:
        assert abs(backbone.source.feature_mean).min() > 0


def test_a_head_inside_the_last_block_leaves_the_rest_of_it():
    X = samples(4)
    net = settled(
        nn.Sequential(nn.Linear(4, 8), nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2), nn.Sigmoid()))
    )
    backbone = from_module(net, head="drop")
    assert backbone.blocks == ("0",)  # ReLU without weights joins the block before
    np.testing.assert_array_equal(run(backbone.copy_blocks(), X), run([net[0], net[1][0]], X))
    deep = settled(nn.Sequential(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 1)))))
    backbone = from_module(deep, classes=["off", "on"])
    z = run([deep.eval()], X)[:, 0]
    np.testing.assert_allclose(np.diff(logits_of(backbone, X), axis=1)[:, 0], z, atol=1e-6)
    assert from_module(deep, head="values").source.weight.shape == (1, 8)
    assert from_module(deep).n_features_out == 1


def test_what_cannot_be_taken_off_is_an_error():
    with pytest.raises(ValueError, match="does not end with a linear layer"):
        from_module(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), classes=list("abcdefgh"))
    assert from_module(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), head="drop").n_features_out == 8
    with pytest.raises(ValueError, match="one linear layer"):
        from_module(nn.Sequential(nn.Linear(4, 8)), head="drop")
    with pytest.raises(ValueError, match="last layer has 3 outputs, so 3 different names"):
        from_module(Net(), classes=["a", "b"])
    with pytest.raises(ValueError, match="head must be one of"):
        from_module(Net(), head="peel")
    with pytest.raises(ValueError, match="which has no classes"):
        from_module(Net(), head="values", classes=["a", "b", "c"])
    for X in (np.zeros((5, 3, 40)), np.zeros((5, 2)), np.zeros((1, 2, 40)), np.full((5, 2, 40), np.nan)):
        with pytest.raises(ValueError, match=r"samples of shape \(2, None\)"):
            from_module(Net(), X=X)


def test_only_plain_linear_layers_are_taken_for_a_head():
    class Linear(nn.Linear):
        """Its forward could be anything."""

    assert split_head(Linear(2, 2)) is None
    assert split_head(nn.Sequential(nn.ReLU(), nn.Linear(2, 2), nn.Tanh())) is None
    assert split_head(nn.Sequential()) is None


# ---- what forward() does besides


@pytest.mark.parametrize(
    ("functions", "options", "words"),
    [
        (("input",), {}, "between the input and 'conv'"),
        (("relu",), {}, r"between 'fc1' and 'fc2' .*\(relu: as a layer, nn.ReLU\(\)\)"),
        (("flatten",), {}, r"between 'act' and 'fc1' .*it gets \(5, 4, 12\) and gives \(5, 8\)"),
        (("twice",), {}, "uses 'fc1' more than once"),
        (("log_softmax",), {}, "after 'fc2' .*applies log_softmax"),
        (("cube",), {"head": "drop"}, "after 'fc2' .*does something"),
        ((), {"blocks": ["fc1", "conv", "norm", "act", "pool"]}, "in the order"),
        ((), {"blocks": ["conv", "act"]}, "between 'conv' and 'act'"),
        ((), {"blocks": ["conv", "normm"]}, "'normm' matches no submodule"),
        ((), {"input_shape": (3, 40)}, r"does not run on samples of shape \(3, 40\)"),
        ((), {"input_shape": (2, 40), "inputs": Inputs(n=3)}, "n=3 and shape="),
    ],
)
def test_what_forward_does_between_the_blocks_is_said(functions, options, words):
    with pytest.raises(ValueError, match=words):
        from_module(Net(*functions), **options)


def test_flattening_between_children_is_recognised():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.Linear(2 * 6 * 6, 3)

        def forward(self, x):
            return self.fc(torch.relu_(self.conv(x)).flatten(1))

    with pytest.raises(ValueError, match=r"relu and flatten\(1\): as a layer, nn.ReLU\(\) and nn.Flatten\(\)"):
        from_module(Flat(), input_shape=(1, 8, 8))


def test_parts_that_are_no_single_path_are_refused():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)])

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    with pytest.raises(ValueError, match=r"calls none of \['layers'\]"):
        from_module(Listed())
    assert from_module(Listed(), blocks=["layers.0", "layers.1"]).n_features_out == 2

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.fc = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 2)

        def forward(self, x):
            return self.fc(self.lstm(x)[0][:, -1])

    with pytest.raises(ValueError, match="'lstm' returns a tuple"):
        from_module(Recurrent(), input_shape=(5, 4))
    for thing in (3, "net", nn.Linear):
        with pytest.raises(TypeError, match=r"from_module takes a torch nn\.Module"):
            from_module(thing)


# ---- in use


def test_images_are_learned_and_predicted_after_a_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    y = np.resize(["left", "right", "none"], 60)
    X = rng.normal(size=(60, 1, 12, 12)).astype(np.float32)
    X[y == "left", :, :, :6] += 1.5
    X[y == "right", :, :, 6:] += 1.5
    net = settled(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(5), nn.Flatten(), nn.Linear(16, 3)))
    backbone = from_module(net, input_shape=(1, 12, 12), head="drop")
    loaded = load_backbone(save_backbone(backbone, tmp_path / "b.safetensors"))
    for strategy in (LinearProbing(), FineTuning()):
        clf = TransferClassifier(loaded, strategy=strategy, max_epochs=20, lr=0.01, random_state=0).fit(X[::2], y[::2])
        assert clf.score(X[1::2], y[1::2]) > 0.9
        assert clf.n_features_in_ == 1
    with pytest.raises(ValueError, match="TransferClassifier"):
        clf.predict(X[:, :, :8])
    with pytest.raises(ValueError, match="TransferClassifier"):
        clf.predict(X[:, 0, 0])
