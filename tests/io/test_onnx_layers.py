"""Layers as ONNX nodes: what torch computes of the same layers."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import Backbone, FeatureExtractor, Inputs, export_onnx
from sktransfer.networks.registry import Permute
from tests.onnx_pipelines import run

ROWS = [
    nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Tanh(), nn.Sigmoid(),
    nn.Softplus(2.0, 1.5), nn.Dropout(0.5), nn.Identity(),
]  # fmt: skip
ALONG_TIME = [
    [nn.Conv1d(3, 4, 5, stride=2, padding=1, dilation=2), nn.Flatten()],
    [nn.Conv1d(3, 6, 3, groups=3, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten()],
    [nn.Conv1d(3, 4, 3), nn.MaxPool1d(3, 2, 1, ceil_mode=True), nn.GELU(), nn.AdaptiveMaxPool1d(1), nn.Flatten()],
    [nn.Conv1d(3, 4, 3), nn.MaxPool1d(2, dilation=2), nn.Dropout1d(0.5), nn.Flatten()],
    [nn.Conv1d(3, 4, 2), nn.AvgPool1d(4, 4, 2), nn.Flatten(), nn.Linear(24, 3), nn.BatchNorm1d(3), nn.Tanh()],
    [nn.Conv1d(3, 4, 2), nn.AvgPool1d(4, 4, 2, count_include_pad=False), nn.Flatten()],
    [nn.Sequential(nn.Conv1d(3, 4, 3), nn.Sequential(nn.SiLU(), nn.AvgPool1d(5, 3))), nn.Flatten()],
]


def settled(network, shape):
    """The network in inference mode, its BatchNorm with statistics that are neither 0 nor 1."""
    torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.normal_(layer.bias)
    network.train()(torch.randn(64, *shape) * 2 + 1)
    return network.eval()


def compare(network, shape, tmp_path, inputs=None):
    settled(network, shape)
    X = np.random.default_rng(0).normal(1, 2, size=(20, *shape)).astype(np.float32)
    extractor = FeatureExtractor(Backbone(network, inputs=inputs), standardize=False).fit(X)
    (found,) = run(export_onnx(extractor, tmp_path / "a.onnx", X=X), X.astype(np.float64))
    with torch.no_grad():
        expected = network(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("layer", ROWS, ids=str)
def test_rows_give_what_torch_gives(layer, tmp_path):
    network = nn.Sequential(nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5), layer, nn.Linear(5, 3), layer)
    compare(network, (4,), tmp_path)


@pytest.mark.parametrize("layers", ALONG_TIME, ids=lambda layers: type(layers[1]).__name__ + str(len(layers)))
def test_windows_give_what_torch_gives(layers, tmp_path):
    compare(nn.Sequential(*layers), (3, 24), tmp_path, Inputs(shape=(3, 24)))


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([nn.Conv1d(3, 4, 3, padding="same"), nn.Flatten()], "'Conv1d' with"),
        ([nn.Conv1d(3, 4, 3, padding=1, padding_mode="reflect"), nn.Flatten()], "padding_mode='reflect'"),
        ([nn.Conv1d(3, 4, 3), nn.AdaptiveAvgPool1d(5), nn.Flatten()], "adaptive pooling to 5 places"),
        ([nn.Conv1d(3, 4, 3), nn.Softsign(), nn.Flatten()], "'Softsign' has no ONNX nodes here; known are"),
        ([nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4, track_running_stats=False), nn.Flatten()], "without statistics"),
        ([Permute((0, 2, 1)), nn.Flatten()], "'Permute' has no ONNX nodes here"),
    ],
    ids=lambda case: str(len(case)),
)
def test_other_layers_are_errors_and_write_nothing(layers, said, tmp_path):
    X = np.random.default_rng(0).normal(size=(6, 3, 24)).astype(np.float32)
    backbone = Backbone(nn.Sequential(*layers).eval(), inputs=Inputs(shape=(3, 24)))
    with pytest.raises(ValueError, match="export_onnx: .*" + said):
        export_onnx(FeatureExtractor(backbone).fit(X), tmp_path / "a.onnx", X=X)
    assert list(tmp_path.iterdir()) == []
