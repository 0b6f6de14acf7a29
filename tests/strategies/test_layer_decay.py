"""Rates fall with the depth below the head."""

import numpy as np
import pytest

from sktransfer import FromScratch, LayerDecay, TransferClassifier
from tests.helpers import moons


def test_layer_decay_is_a_power_of_the_depth():
    np.testing.assert_allclose([LayerDecay(0.3).lr_factor(depth) for depth in range(4)], 0.3 ** np.arange(4))
    for decay in (0, -0.5, 1.5):
        with pytest.raises(ValueError, match="decay"):
            LayerDecay(decay).lr_factor(1)


def test_rates_slow_the_blocks_down_and_not_the_head():
    """Adam's first step is the rate itself in every weight whose gradient is not zero."""
    X, y = moons(40)
    backbone = FromScratch(arguments={"hidden_layer_sizes": (6, 5), "batch_norm": False}).build(4)
    model = TransferClassifier(backbone, strategy=LayerDecay(0.25), lr=0.01, max_epochs=1, batch_size=40)
    model.fit(X, y)
    steps = [
        np.abs(after["0.weight"] - before["0.weight"]).max()
        for before, after in zip(backbone.weights, model.backbone_.weights, strict=True)
    ]
    np.testing.assert_allclose(steps, [0.01 * 0.25**2, 0.01 * 0.25], rtol=1e-3)
