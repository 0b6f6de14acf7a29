"""Networks as people write them: a chain becomes blocks with the same outputs, a branch is refused by its names."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as authors of networks write it)
from torch import nn

from sktransfer import FineTuning, TransferClassifier, from_module, load_backbone, register_network, save_backbone


def outputs(backbone, x):
    with torch.inference_mode():
        for block in backbone.copy_blocks():
            x = block(x)
    return x.numpy()


def settled(module):
    """Weights and statistics that are all different, as after training."""
    generator = torch.Generator().manual_seed(0)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.3).abs_() if tensor.ndim == 1 else None
    return module


def check(net, *shape, blocks=None, **options):
    """The blocks return what the module does in inference mode; the module is as it was, training mode included."""
    settled(net).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    attributes = set(vars(net))
    backbone = from_module(net, **options)
    if blocks is not None:
        assert backbone.blocks == blocks
    assert all(layer.training for layer in net.modules())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert set(vars(net)) == attributes
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(7, *shape)).astype(np.float32))
    with torch.inference_mode():
        expected = net.eval()(x).numpy()
    np.testing.assert_allclose(outputs(backbone, x), expected, rtol=1e-6, atol=1e-6)
    assert expected.std() > 0
    return backbone


class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(6, 3)
        self.fc1, self.fc2 = nn.Linear(4, 8), nn.Linear(8, 6)
        self.bn = nn.BatchNorm1d(8)

    def forward(self, x, scale=None):
        if scale is not None:
            x = x * scale
        x = F.dropout(F.relu(self.bn(self.fc1(x))), 0.3, training=self.training)
        return self.out(torch.tanh(self.fc2(x)))


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(3, 8, 5, padding=2), nn.Conv1d(8, 12, 3)
        self.bn1, self.bn2 = nn.BatchNorm1d(8), nn.BatchNorm1d(12)
        self.fc1, self.fc2 = nn.Linear(24, 16), nn.Linear(16, 4)

    def forward(self, x):
        x = F.max_pool1d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.adaptive_avg_pool1d(F.relu(self.bn2(self.conv2(x))), 2)
        x = x.view(x.size(0), -1)
        x = F.dropout(F.leaky_relu(self.fc1(x), 0.1), training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


class Digits(nn.Module):
    """The network of torch's own tutorial, for 16 x 16 pixels."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 6, 3)
        self.conv2_drop = nn.Dropout2d()
        self.fc1, self.fc2 = nn.Linear(24, 10), nn.Linear(10, 3)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 24)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(width, width, 3, padding=1), nn.BatchNorm1d(width)

    def forward(self, x):
        return F.relu(x + self.norm(self.conv(x)))


class ResidualNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv1d(2, 8, 3), nn.BatchNorm1d(8), nn.ReLU(inplace=True)
        self.layer1, self.layer2 = nn.Sequential(Residual(8), Residual(8)), Residual(8)
        self.avgpool, self.fc = nn.AdaptiveAvgPool1d(1), nn.Linear(8, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Listed(nn.Module):
    """Layers in lists, and one activation for all."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(2, 4, 3), nn.Conv1d(4, 4, 3)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(4), nn.BatchNorm1d(4)])
        self.act, self.fc = nn.GELU(), nn.Linear(4, 3)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = self.act(norm(conv(x)))
        return self.fc(self.act(x).mean(-1))


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU()), nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU())
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))

    def forward(self, x):
        return self.classifier(F.max_pool1d(self.features(x), 12))


NETS = {
    "rows": (Rows, (4,), ("fc1", "fc2", "out")),
    "windows": (Windows, (3, 40), ("conv1", "conv2", "fc1", "fc2")),
    "digits": (Digits, (1, 16, 16), ("conv1", "conv2", "fc1", "fc2")),
    "residual": (ResidualNet, (2, 30), ("conv1", "layer1", "layer2", "fc")),
    "lists": (Listed, (2, 20), ("convs.0", "convs.1", "fc")),
    "nested": (Nested, (2, 16), ("features", "classifier")),
}


@pytest.mark.parametrize("what", NETS)
def test_a_chain_becomes_blocks_with_the_same_outputs(what):
    make, shape, blocks = NETS[what]
    backbone = check(make(), *shape, blocks=blocks, input_shape=shape)
    assert from_module(make(), input_shape=shape, head="drop").n_features_out != backbone.n_features_out


@pytest.mark.parametrize(("what", "shape"), [("rows", None), ("windows", (3, None)), ("lists", (2, None))])
def test_what_the_first_layer_takes_is_what_the_backbone_takes(what, shape):
    backbone = from_module(NETS[what][0]())
    assert (backbone.inputs.shape, backbone.n_features_in) == (shape, 4 if shape is None else shape[0])


def test_a_network_with_functions_is_stored_and_learns(tmp_path):
    backbone = from_module(settled(Windows()), input_shape=(3, 40), classes=list("abcd"))
    loaded = load_backbone(save_backbone(backbone, tmp_path / "b.safetensors"))
    X = np.random.default_rng(0).normal(size=(8, 3, 40)).astype(np.float32)
    np.testing.assert_array_equal(outputs(loaded, torch.from_numpy(X)), outputs(backbone, torch.from_numpy(X)))
    clf = TransferClassifier(loaded, strategy=FineTuning(), max_epochs=1, random_state=0).fit(
        X, np.resize(["a", "e"], 8)
    )
    assert clf.predict_proba(X).shape == (8, 2)


def test_functions_before_the_first_layer_belong_to_it():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv1d(1, 4, 3), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(self.conv(x.unsqueeze(1)).amax(2))

    assert check(Flat(), 9, blocks=("conv", "fc"), input_shape=(9,)).n_features_in == 9
    within = nn.Sequential(
        nn.Sequential(nn.Conv1d(3, 4, 5), nn.AdaptiveAvgPool1d(2), nn.Unflatten(1, (2, 2)), nn.Flatten())
    )
    assert from_module(within).inputs.shape == (3, None)
    # neither the linear nor the convolution tells what a network takes that moves the axes first
    assert from_module(Flat()).inputs.shape is None


def test_weights_that_two_layers_share_are_copied_to_both():
    net = Rows()
    net.fc3 = nn.Linear(8, 6)
    net.fc3.weight = net.fc2.weight
    net.forward = lambda x: net.out(net.fc3(net.bn(net.fc1(x))))
    check(Listed(), 2, 20)
    shared = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    shared[2].weight = shared[0].weight
    check(shared, 4, blocks=("0", "2", "3"))


# ---- named blocks


def test_functions_between_named_blocks_belong_to_the_block_before():
    net = settled(Windows()).eval()
    names = ["conv1", "bn1", "conv2", "bn2", "fc1"]
    backbone = from_module(net, blocks=names, input_shape=(3, 40))
    assert backbone.blocks == tuple(names)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(7, 3, 40)).astype(np.float32))
    with torch.inference_mode():
        below = F.max_pool1d(F.relu(net.bn1(net.conv1(x))), 2)
        below = F.adaptive_avg_pool1d(F.relu(net.bn2(net.conv2(below))), 2)
        expected = net.fc1(below.flatten(1)).numpy()  # what follows the last named block is left out
    np.testing.assert_array_equal(outputs(backbone, x), expected)


def test_named_blocks_reach_into_modules_and_hold_branches():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.relu, self.head = ResidualNet(), nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            x = F.relu(self.net(x))
            return self.head(x) + self.relu(x)  # behind the blocks: left out

    net = settled(Whole()).eval()
    inner = ["net.conv1", "net.bn1", "net.relu", "net.layer1.0", "net.layer1.1", "net.layer2", "net.avgpool", "net.fc"]
    backbone = from_module(net, blocks=inner, input_shape=(2, 30))
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(7, 2, 30)).astype(np.float32))
    with torch.inference_mode():
        np.testing.assert_array_equal(outputs(backbone, x), net.net(x).numpy())
        backbone = from_module(net, blocks=["net", "relu"], input_shape=(2, 30))
        np.testing.assert_array_equal(outputs(backbone, x), net.relu(F.relu(net.net(x))).numpy())
    assert backbone.blocks == ("net", "relu")  # a function and a block of one name


def test_a_forward_that_torch_cannot_trace_is_said_and_named_blocks_are_taken_as_they_are():
    class Dependent(Rows):
        def forward(self, x):
            x = self.fc1(x)
            return self.out(self.fc2(x if x.sum() > 0 else -x))

    with pytest.raises(ValueError, match=r"cannot trace Dependent.forward\(\) \(.* control flow\)\. Name the blocks"):
        from_module(Dependent())
    with pytest.warns(UserWarning, match="taken as they are named") as caught:
        backbone = from_module(Dependent(), blocks=["fc1", "fc2"])
    assert caught[0].filename == __file__
    assert (backbone.blocks, backbone.n_features_out) == (("fc1", "fc2"), 6)


def test_a_registered_network_whose_forward_has_functions_keeps_them():
    @register_network("test-with-functions")
    class Registered(nn.Module):
        def __init__(self, width=8):
            super().__init__()
            self.lower, self.upper = nn.Linear(4, width), nn.Linear(width, 3)

        def forward(self, x):
            return self.upper(F.relu(self.lower(x)))

    assert check(Registered(), 4, blocks=("lower", "upper")).network["name"] == "sequential"


# ---- what is no chain


class Branches(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.act = nn.ReLU(inplace=True)
        self.own = forward

    def forward(self, x):
        return self.own(self, x)


def discarded(net, x):
    x = net.a(x)
    x.relu_()
    return net.b(x)


def discarded_at_the_end(net, x):
    x = net.a(x)
    x.relu_()
    return x


def discarded_module(net, x):
    x = net.a(x)
    net.act(x)
    return net.b(x)


def discarded_operator(net, x):
    x = y = net.a(x)
    y += 1
    return net.b(x)


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (lambda net, x: net.c(net.a(x) + net.b(x)), r"is no single path: add\(\) takes 'a' and 'b'\."),
        (lambda net, x: net.c(x + net.a(x)), r"add\(\) takes the input and 'a'\."),
        (lambda net, x: net.c(torch.cat([net.a(x), net.b(x)], 1)), r"cat\(1\) takes 'a' and 'b'\."),
        (lambda net, x: net.b(net.a(x) * net.scale), r"mul\(\) takes 'a' and 'scale'\."),
        (lambda net, x: net.b(net.scale), "'scale' takes nothing"),
        (lambda net, x: (net.a(x), net.b(x)), "returns more than one tensor"),
        (lambda net, x: {"y": net.a(x)}, "returns more than one tensor"),
        (lambda net, x: net.b(net.a(net.a(x))), "uses 'a' more than once"),
        (discarded, r"applies relu\(\) beside the path"),
        (discarded_at_the_end, r"applies relu\(\) beside the path"),
        (discarded_module, "applies 'act' beside the path"),
        (discarded_operator, r"applies add\(1\) beside the path"),
        (lambda net, x: [net.b(net.a(x)), net.c(x)][0], "applies 'c' beside the path"),
        (lambda net, x: net.b(F.linear(x, net.a.weight)), r"linear\(.* takes the input and 'a\.weight'\."),
        (lambda net, x: F.linear(x, torch.ones(4, 4)), "linear"),
    ],
)  # fmt: skip
def test_what_is_no_chain_is_refused_with_its_names(forward, words):
    with pytest.raises(ValueError, match=rf"from_module: Branches\.forward\(\).*{words}"):
        from_module(Branches(forward))


def test_a_tensor_that_a_branch_behind_the_blocks_has_changed_is_refused():
    def forward(net, x):
        x = net.a(x)
        changed = net.act(x)
        return net.c(net.b(x) + changed)

    with pytest.raises(ValueError, match="applies 'act' beside the path"):
        from_module(Branches(forward), blocks=["a", "b"])
    skip = Branches(lambda net, x: net.a(x) + net.c(net.b(net.a.weight[0] + x)))
    with pytest.raises(ValueError, match="no single path"):
        from_module(skip, blocks=["b"])
    below = Branches(lambda net, x: (lambda y: net.c(y) + net.b(y))(F.relu(net.a(x))))
    assert from_module(below, blocks=["a"]).blocks == ("a",)


def test_a_module_without_layers_is_refused():
    for module in (nn.Sequential(), Branches(lambda net, x: x)):
        with pytest.raises(ValueError, match=f"from_module: {type(module).__name__} has no layers"):
            from_module(module, head="drop")


def test_a_network_that_keeps_what_it_saw_is_not_changed():
    def forward(net, x):
        net.features = net.a(x)
        return net.b(net.features)

    net = Branches(forward)
    assert from_module(net).blocks == ("a", "b")
    assert not hasattr(net, "features")


def test_other_threads_run_their_networks_while_one_is_traced():
    net, other, x = Windows(), Windows().eval(), torch.ones(2, 3, 40)
    expected, called = other(x), nn.Module.__call__

    def run():
        return all(torch.equal(other(x), expected) for _ in range(500))

    def convert():
        return all(from_module(net, input_shape=(3, 40)).n_features_out == 4 for _ in range(20))

    with ThreadPoolExecutor(4) as pool:
        assert all(done.result() for done in [pool.submit(task) for task in (run, convert, convert, run)])
    assert nn.Module.__call__ is called
