"""What features that belong to sensors say of them."""

import numpy as np

from sktransfer import HotellingT2, TransferDetector
from sktransfer.monitoring.explain_features import feature_effects

RNG = np.random.default_rng(0)


def test_a_single_column_that_was_moved_far_is_named_whatever_the_others_do():
    """The law of reconstruction-based contributions, which parts of the distance do not keep."""
    healthy = RNG.normal(size=(500, 3)) @ np.array([[1, 0.95, 0.9], [0, 0.3, 0.1], [0, 0, 0.4]])
    detector = TransferDetector().fit(healthy)
    moved = np.repeat(healthy[:60], 3, axis=0)
    column = np.tile(np.arange(3), 60)
    moved[np.arange(180), column] += 8.0
    assert (feature_effects(detector, moved).argmax(axis=1) == column).all()


def test_several_features_a_channel_are_summed_in_deviations():
    windows = RNG.normal(size=(60, 3, 32))
    detector = TransferDetector(false_alarm_rate=0.1).fit(windows)
    new = windows[:2] * [[[1], [3], [1]]]
    parts = HotellingT2().fit(detector._features(windows), 3, 1e-12).contributions(detector._features(new))
    expected = [[sum(max(part, 0) ** 0.5 for part in tag) for tag in row.reshape(3, -1)] for row in parts]
    np.testing.assert_allclose(feature_effects(detector, new), expected)
    assert (feature_effects(detector, new).argmax(axis=1) == 1).all()
