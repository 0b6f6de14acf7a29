"""Functions in forward(): each becomes layers with the same outputs, or none."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (as authors of networks write it)
from torch import nn

from sktransfer import from_module


class Between(nn.Module):
    """A function between a convolution and a linear layer, or a convolution of images."""

    def __init__(self, function, width, image=False):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 4, 3) if image else nn.Conv1d(2, 4, 3)
        self.fc = nn.Linear(width, 3)
        self.function = function

    def forward(self, x):
        return self.fc(self.function(self, self.conv(x)))


def outputs(backbone, x):
    with torch.inference_mode():
        for block in backbone.copy_blocks():
            x = block(x)
    return x.numpy()


def check(net, *shape, **options):
    """The blocks return what the module does, for any number of samples."""
    backbone = from_module(net, input_shape=shape, **options)
    net.eval()
    for n in (1, 5):
        x = torch.from_numpy(np.random.default_rng(n).normal(size=(n, *shape)).astype(np.float32))
        with torch.inference_mode():
            expected = net(x).numpy()
        assert n == 1 or expected.std() > 0
        np.testing.assert_allclose(outputs(backbone, x), expected.reshape(n, -1), rtol=0, atol=1e-6)
    return backbone


def last_axis(function):
    return lambda net, x: function(x).flatten(1)


# After the convolution a window has 4 channels and 10 samples.
WINDOWS = {
    "relu": (last_axis(F.relu), 40),
    "torch.relu": (last_axis(torch.relu), 40),
    ".relu": (lambda net, x: x.relu().flatten(1), 40),
    "relu_": (last_axis(F.relu_), 40),
    "in place": (last_axis(lambda x: F.relu(x, inplace=True)), 40),
    "input=": (last_axis(lambda x: F.relu(input=x)), 40),
    "relu6": (last_axis(F.relu6), 40),
    "tanh": (last_axis(torch.tanh), 40),
    "sigmoid": (last_axis(F.sigmoid), 40),
    "softmax": (last_axis(lambda x: F.softmax(x, dim=-1)), 40),
    ".softmax": (last_axis(lambda x: x.softmax(1)), 40),
    "log_softmax": (last_axis(lambda x: F.log_softmax(x, 1)), 40),
    "gelu": (last_axis(lambda x: F.gelu(x, approximate="tanh")), 40),
    "leaky_relu": (last_axis(lambda x: F.leaky_relu(x, 0.2)), 40),
    "elu": (last_axis(lambda x: F.elu(x, alpha=0.5)), 40),
    "selu": (last_axis(torch.selu), 40),
    "silu": (last_axis(F.silu), 40),
    "mish": (last_axis(F.mish), 40),
    "hardsigmoid": (last_axis(F.hardsigmoid), 40),
    "hardswish": (last_axis(F.hardswish), 40),
    "softplus": (last_axis(lambda x: F.softplus(x, beta=2)), 40),
    "softsign": (last_axis(F.softsign), 40),
    "dropout": (lambda net, x: F.dropout(x, 0.5, net.training).flatten(1), 40),
    "dropout1d": (lambda net, x: F.dropout1d(x, training=net.training).flatten(1), 40),
    "a module made in forward": (last_axis(lambda x: nn.ReLU()(x)), 40),
    "max_pool1d": (last_axis(lambda x: F.max_pool1d(x, 3, stride=2, padding=1)), 20),
    "avg_pool1d": (last_axis(lambda x: F.avg_pool1d(x, 2, stride=1, count_include_pad=False)), 36),
    "global avg_pool1d": (last_axis(lambda x: F.avg_pool1d(x, x.size(2))), 4),
    "global max_pool1d": (last_axis(lambda x: F.max_pool1d(x, kernel_size=x.shape[-1])), 4),
    "adaptive_avg_pool1d": (last_axis(lambda x: F.adaptive_avg_pool1d(x, 3)), 12),
    "adaptive_max_pool1d": (last_axis(lambda x: F.adaptive_max_pool1d(x, 3)), 12),
    "pad": (last_axis(lambda x: F.pad(x, (2, 0))), 48),
    "mean": (lambda net, x: x.mean(-1), 4),
    "torch.mean": (lambda net, x: torch.mean(x, dim=2), 4),
    "mean, keepdim": (lambda net, x: x.mean(2, keepdim=True).squeeze(2), 4),
    "mean of channels": (lambda net, x: x.mean(1), 10),
    "amax": (lambda net, x: x.amax(-1), 4),
    "max[0]": (lambda net, x: torch.max(x, 2)[0], 4),
    "max.values": (lambda net, x: x.max(dim=-1).values, 4),
    "flatten": (lambda net, x: torch.flatten(x, start_dim=1), 40),
    "view(n, -1)": (lambda net, x: x.view(x.size(0), -1), 40),
    "view((n, -1))": (lambda net, x: x.view((x.shape[0], -1)), 40),
    "view(-1, k)": (lambda net, x: x.view(-1, 40), 40),
    "view(-1, product)": (lambda net, x: x.view(-1, x.size(1) * x.size(2)), 40),
    "view(n, c, -1)": (lambda net, x: x.view(x.size(0), x.size(1), -1).flatten(1), 40),
    "view(n, 2, 20)": (lambda net, x: x.view(-1, 2, 20).mean(2), 2),
    "reshape": (lambda net, x: x.reshape(x.size()[0], -1), 40),
    "torch.reshape": (lambda net, x: torch.reshape(x, (x.shape[0], -1)), 40),
    "reshape(shape=)": (lambda net, x: x.reshape(shape=(-1, 40)), 40),
    "transpose": (lambda net, x: x.transpose(1, 2).flatten(1), 40),
    "transpose(-1, -2)": (lambda net, x: torch.transpose(x, -1, -2).flatten(1), 40),
    "permute": (lambda net, x: x.permute(0, 2, 1).contiguous().view(x.size(0), -1), 40),
    "unsqueeze(1)": (lambda net, x: F.max_pool2d(x.unsqueeze(1), 2).flatten(1), 10),
    "unsqueeze(2)": (lambda net, x: F.adaptive_avg_pool2d(x.unsqueeze(2), (1, 5)).flatten(1), 20),
    "unsqueeze(-1)": (lambda net, x: F.avg_pool2d(x.unsqueeze(-1), (5, 1)).squeeze(-1).flatten(1), 8),
    "squeeze": (lambda net, x: F.adaptive_avg_pool1d(x, 1).squeeze(-1), 4),
    "squeeze(1)": (lambda net, x: F.avg_pool2d(x.unsqueeze(1), (4, 1)).squeeze(1).squeeze(1), 10),
}  # fmt: skip


@pytest.mark.parametrize("what", WINDOWS)
def test_a_function_of_windows_becomes_layers_with_the_same_outputs(what):
    function, width = WINDOWS[what]
    backbone = check(Between(function, width), 2, 12)
    assert backbone.blocks == ("conv", "fc")


# After the convolution an image has 4 channels and 6 x 6 pixels.
IMAGES = {
    "max_pool2d": (last_axis(lambda x: F.max_pool2d(x, 2)), 36),
    "avg_pool2d": (last_axis(lambda x: F.avg_pool2d(x, 2, ceil_mode=True)), 36),
    "adaptive_avg_pool2d": (last_axis(lambda x: F.adaptive_avg_pool2d(x, (2, 3))), 24),
    "adaptive_max_pool2d": (last_axis(lambda x: F.adaptive_max_pool2d(x, 1)), 4),
    "dropout2d": (lambda net, x: F.dropout2d(x, training=net.training).flatten(1), 144),
    "mean": (lambda net, x: x.mean([2, 3]), 4),
    "mean of the last axes": (lambda net, x: x.mean((-2, -1)), 4),
    "amax": (lambda net, x: torch.amax(x, (-1, -2)), 4),
    "squeeze twice": (lambda net, x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1), 4),
    "squeeze(3)": (lambda net, x: F.adaptive_avg_pool2d(x, (6, 1)).squeeze(3).flatten(1), 24),
    "flatten(2)": (lambda net, x: x.flatten(2).mean(-1), 4),
    "view of pixels": (lambda net, x: x.view(x.size(0), x.size(1), -1).mean(2), 4),
    "view(-1, product)": (lambda net, x: x.view(-1, x.size(1) * x.size(2) * x.size(3)), 144),
    "sizes unpacked": (lambda net, x: (lambda n, c, h, w: x.reshape(n, c * h * w))(*map(x.size, range(4))), 144),
}


@pytest.mark.parametrize("what", IMAGES)
def test_a_function_of_images_becomes_layers_with_the_same_outputs(what):
    function, width = IMAGES[what]
    check(Between(function, width, image=True), 2, 8, 8)


NO_LAYER = {
    "mul": last_axis(lambda x: x * 2),
    "add": last_axis(lambda x: x + x),
    "pow": last_axis(lambda x: x**2),
    "abs": last_axis(torch.abs),
    "getitem": lambda net, x: x[:, :, 0],
    "getitem of max": lambda net, x: x.max(2)[1],
    "max": lambda net, x: x.max(),
    "dropout": last_axis(F.dropout),  # draws in inference, too
    "torch.dropout": last_axis(lambda x: torch.dropout(x, 0.5, True)),
    "softmax": last_axis(lambda x: F.softmax(x, 1, dtype=torch.float64)),
    "max_pool1d": last_axis(lambda x: F.max_pool1d(x, x.size(1))),
    "avg_pool1d": last_axis(lambda x: F.avg_pool1d(x, x.size(2), padding=2)),
    "view": lambda net, x: x.view(5, -1),
    "view of channels": lambda net, x: x.view(x.size(1), -1),
    "transpose": lambda net, x: x.transpose(0, 1).flatten(1),
    "permute": lambda net, x: x.permute(1, 0, 2).flatten(1),
    "unsqueeze": lambda net, x: x.unsqueeze(0).flatten(1),
    "squeeze()": lambda net, x: x.squeeze().flatten(1),
    "pad": last_axis(lambda x: F.pad(x, (1, 1), mode="reflect")),
    "mean": lambda net, x: x.mean((1, 2)),
}


@pytest.mark.parametrize("what", NO_LAYER)
def test_a_function_that_is_no_layer_is_refused_by_its_name(what):
    name = what.removeprefix("torch.").split(".")[0].split("(")[0].split(" ")[0]
    with pytest.raises(ValueError, match=rf"Between.forward\(\) applies {name}\(.* between 'conv' and 'fc'"):
        from_module(Between(NO_LAYER[what], 4), input_shape=(2, 12))


@pytest.mark.parametrize(
    "function",
    [
        lambda net, x: x.squeeze(-1).flatten(1),  # changes nothing where the axis has more than one element
        lambda net, x: x.view(-1, 20).view(x.size(0), -1),  # two rows a sample for a while
    ],
)
def test_what_depends_on_the_shape_is_an_error_and_never_another_output(function):
    with pytest.raises(ValueError, match="the blocks do not take samples of shape"):
        from_module(Between(function, 40), input_shape=(2, 12))


def test_dropout_of_a_function_drops_while_a_network_is_trained():
    first, _ = from_module(Between(WINDOWS["dropout"][0], 40), input_shape=(2, 12)).copy_blocks()
    dropped = first.train()(torch.ones(8, 2, 12))
    assert 0.2 < (dropped == 0).float().mean() < 0.8


@pytest.mark.parametrize("end", [lambda x: x.squeeze(-1), lambda x: x.squeeze(), lambda x: torch.squeeze(x, 1)])
def test_a_single_output_stays_a_column(end):
    class Regressor(nn.Module):
        def __init__(self):
            super().__init__()
            self.lower, self.upper = nn.Linear(4, 8), nn.Linear(8, 1)

        def forward(self, x):
            return end(self.upper(F.relu(self.lower(x))))

    backbone = check(Regressor(), 4)
    assert backbone.n_features_out == 1
    assert from_module(Regressor(), head="values").source.weight.shape == (1, 8)
