"""Statistics of features, and the source head on other statistics."""

import numpy as np
import pytest

from sktransfer.backbones.source import Source, feature_statistics


def test_a_feature_that_hardly_varies_gets_a_tenth_of_the_median_deviation():
    rng = np.random.default_rng(0)
    scales = np.array([1e-3, 0.5, 1.0, 2.0, 0.0, 0.15])
    features, weight = rng.normal(size=(400, 6)) * scales, rng.uniform(0.5, 2.0, size=400)
    mean, scale = feature_statistics(features, weight)
    own_mean = (weight[:, None] * features).sum(axis=0) / weight.sum()
    own = np.sqrt((weight[:, None] * (features - own_mean) ** 2).sum(axis=0) / weight.sum())
    floor = 0.1 * np.median(own[[0, 1, 2, 3, 5]])  # the constant one does not count
    np.testing.assert_allclose(mean, own_mean)
    np.testing.assert_allclose(scale, [floor, *own[1:4], floor, own[5]])
    assert own[0] < floor < own[5]


def test_features_that_are_all_constant_get_a_scale_of_one():
    np.testing.assert_array_equal(feature_statistics(np.ones((5, 3)), np.ones(5))[1], 1.0)


def test_a_rescaled_head_gives_the_same_outputs_on_features_standardised_otherwise():
    rng = np.random.default_rng(1)
    source = Source(rng.normal(size=3), rng.uniform(0.5, 2, 3), rng.normal(size=(2, 3)), rng.normal(size=2))
    mean, scale, raw = rng.normal(size=3), rng.uniform(0.5, 2, 3), rng.normal(size=(7, 3))
    other = source.rescaled(mean, scale)
    outputs = (raw - source.feature_mean) / source.feature_scale @ source.weight.T + source.bias
    np.testing.assert_allclose((raw - mean) / scale @ other.weight.T + other.bias, outputs)


def test_a_source_of_other_widths_is_refused():
    with pytest.raises(ValueError, match="ask for"):
        Source(np.zeros(3), np.ones(3), np.zeros((2, 4)), np.zeros(2)).check(3)
