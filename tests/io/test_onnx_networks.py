"""Networks as ONNX nodes: what torch computes of the same weights, block by block."""

import numpy as np
import pytest
import torch
from torch import nn

from sktransfer import CNN, Backbone, FeatureExtractor, Inputs, export_onnx, load_backbone
from sktransfer.networks.process_net import ProcessNet, TagNet
from tests.helpers import width_free_backbone
from tests.io.test_onnx_layers import settled
from tests.onnx_pipelines import run

NETWORKS = {
    "cnn": lambda: CNN(3),
    "cnn of two strides": lambda: CNN(3, widths=(6, 6, 8), kernel_size=3, strides=(1, 3, 2), dropout=0.3),
    "cnn, channels shared": lambda: CNN(None, widths=(4, 4, 6), kernel_size=5, strides=2, shared_channels=True),
    "process": lambda: ProcessNet(n_scales=5, width=8, n_code=3, n_features=7),
    "process by tag": lambda: TagNet(3, n_scales=3, width=8, n_code=3),
    "process by tag and pooled": lambda: TagNet(3, pooled=True, n_scales=7, width=8, n_code=3, n_features=7),
}


@pytest.mark.parametrize("n_left", [0, 1, 2])
@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_give_what_torch_gives(name, n_left, tmp_path):
    length = 16 if n_left == 1 and "process" in name else 641
    X = np.random.default_rng(0).normal(size=(7, 3, length)).astype(np.float32)
    network = settled(NETWORKS[name](), (3, length))
    names = list(dict(network.named_children()))
    if n_left >= len(names) or (n_left, name) == (1, "process by tag and pooled"):
        pytest.skip("there is no such block, or the extractor refuses to cut here")
    block = names[len(names) - 1 - n_left]
    backbone = Backbone(network, inputs=Inputs(shape=(3, None)))
    extractor = FeatureExtractor(backbone, block=block, standardize=False).fit(X)
    (found,) = run(export_onnx(extractor, tmp_path / "a.onnx", X=X), X.astype(np.float64))
    with torch.no_grad():
        expected = torch.from_numpy(X)
        for part in names[: names.index(block) + 1]:
            expected = getattr(network, part)(expected)
    np.testing.assert_allclose(found, expected.flatten(1).numpy(), rtol=2e-5, atol=2e-6)


def test_the_shipped_network_of_rows_gives_what_torch_gives(tmp_path):
    backbone = load_backbone("tep-process")
    X = np.random.default_rng(0).normal(size=(50, backbone.n_features_in)).astype(np.float32)
    (found,) = run(export_onnx(FeatureExtractor(backbone).fit(X), tmp_path / "a.onnx"), X.astype(np.float64))
    with torch.no_grad():
        expected = nn.Sequential(*backbone.copy_blocks()).eval()(torch.from_numpy(X)).numpy()
    expected = (expected - backbone.source.feature_mean) / backbone.source.feature_scale
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_network_of_somebody_else_is_an_error_that_names_it(tmp_path):
    X = np.random.default_rng(0).normal(size=(5, 2))
    extractor = FeatureExtractor(width_free_backbone()).fit(X)
    with pytest.raises(ValueError, match=r"the network '.*' of backbone .* has no ONNX nodes here; known are \['cnn'"):
        export_onnx(extractor, tmp_path / "a.onnx", X=X)
    assert list(tmp_path.iterdir()) == []
