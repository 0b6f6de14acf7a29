"""VibrationNet: laws over channels, and the layout of the numbers it takes."""

import numpy as np
import pytest
import torch

from sktransfer import Backbone, EnvelopeSpectra, Inputs, Windows, load_backbone, save_backbone
from sktransfer.networks.vibration_net import VibrationNet
from sktransfer.preprocessing import envelope_spectra as envelope

SIZES = (envelope.N_VIEWS, envelope.N_LINES, envelope.N_AXIS, envelope.N_SCALARS)


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = VibrationNet(*SIZES, width=8, n_line_features=4, n_features=8)
        for module in made.modules():  # statistics that are not those of a new network
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2.0)
    return made.eval()


def numbers(n_windows=4, n_channels=3, seed=0):
    X = np.random.default_rng(seed).normal(size=(n_windows, n_channels, 256))
    known = Windows.of(X, sampling_rate=12_000, rpm=2000, orders=[3.58, 5.42, 2.36, 0.398])
    return torch.from_numpy(EnvelopeSpectra()(known))


def run(module, x):
    with torch.inference_mode():
        return module(x).numpy()


def near(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_order_of_channels_does_not_matter(network):
    x = numbers()
    expected = run(network, x)
    assert expected.std() > 0.01
    for order in ([2, 0, 1], [1, 0, 2]):
        near(run(network, x[:, order]), expected)
    assert np.abs(run(network, x[:, [0, 0, 1]]) - expected).max() > 1e-3


def test_any_number_of_channels_is_taken_and_one_that_is_repeated_says_nothing_new(network):
    x = numbers(n_channels=1)
    one = run(network, x)
    assert one.shape == (4, 12)
    for n in (2, 5, 11):
        near(run(network, x.expand(-1, n, -1)), one)
        assert run(network, numbers(n_channels=n)).shape == (4, 12)


def test_windows_do_not_know_each_other_in_inference(network):
    x = numbers()
    near(run(network, x[2:3]), run(network, x)[2:3])


def test_each_part_of_the_numbers_reaches_the_block_that_reads_it(network):
    views = network.views
    got = {}
    hooks = [
        getattr(views, name).register_forward_pre_hook(lambda module, args, name=name: got.__setitem__(name, args[0]))
        for name in ("line", "axis", "scalars")
    ]
    flat = torch.arange(envelope.N_NUMBERS, dtype=torch.float32)
    run(views, flat.expand(2, 3, -1).clone())
    for hook in hooks:
        hook.remove()
    place = {name.removeprefix("ch0_"): i for i, name in enumerate(
        EnvelopeSpectra().fit(np.random.default_rng(0).normal(size=(1, 1, 64))).get_feature_names_out()
    )}  # fmt: skip
    assert got["line"].shape == (6, 8, 75)
    assert got["line"][5, 2, 0] == place["band2_bpfo_1x-1shaft"]
    assert got["line"][0, 7, 74] == place["spectrum_shaft_6x"]
    assert got["axis"].shape == (6, 9, 128)  # and where a place is on the axis
    assert got["axis"][1, 6, 5] == place["whitened_axis5"]
    np.testing.assert_allclose(got["axis"][3, 8], np.linspace(-1, 1, 128), atol=1e-6)
    assert got["scalars"][0].tolist() == list(range(place["energy0"], 1667))


def test_features_of_channels_are_mean_and_largest_over_views(network):
    x = numbers(2, 1)
    views = network.views
    found = run(views, x)[:, 0]
    assert found.shape == (2, views.n_out)
    each = run(views.line, x[:, 0, :600].reshape(2, 8, 75))
    near(found[:, :8], each.max(axis=1))
    near(found[:, 8:16], each.mean(axis=1))
    near(found[:, -43:], run(views.scalars, x[:, 0, -43:]))


def test_it_is_stored_by_name(network, tmp_path):
    inputs = Inputs(shape=(None, None), front_end="envelope")
    backbone = Backbone(network, name="small", inputs=inputs)
    assert backbone.blocks == ("views", "channel", "pool")
    assert backbone.network["name"] == "vibration"
    loaded = load_backbone(save_backbone(backbone, tmp_path / "small.safetensors"))
    x = numbers()
    expected = run(network, x)
    for module in loaded.copy_blocks():
        x = torch.from_numpy(run(module, x))
    near(x.numpy(), expected)  # not to the bit: where weights lie in memory decides how products are summed


def test_scalars_that_pass_are_their_mean_and_largest_over_channels_and_change_nothing_else(network):
    with torch.random.fork_rng():
        passing = VibrationNet(*SIZES, width=8, n_line_features=4, n_features=8, n_passed=39).eval()
    passing.load_state_dict(network.state_dict())
    x = numbers()
    found = run(passing, x)
    assert found.shape == (4, 12 + 2 * 39)
    np.testing.assert_array_equal(found[:, :12], run(network, x))
    mean, variance = network.views.scalars.running_mean.numpy(), network.views.scalars.running_var.numpy()
    weight, bias = network.views.scalars.weight.detach().numpy(), network.views.scalars.bias.detach().numpy()
    standard = (x[:, :, -43:].numpy() - mean) / np.sqrt(variance + network.views.scalars.eps) * weight + bias
    near(found[:, 12:51], standard[:, :, :39].mean(axis=1))
    near(found[:, 51:], standard[:, :, :39].max(axis=1))
    for n in (1, 5):
        assert run(passing, numbers(n_channels=n)).shape == (4, 90)
