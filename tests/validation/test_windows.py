"""What is said of windows that cannot be used, in terms of channels and windows."""

import numpy as np
import pytest

from sktransfer import WindowScaler

X = np.random.default_rng(0).normal(size=(6, 2, 16))


def refused(X):
    with pytest.raises(ValueError, match="Input X contains") as error:
        WindowScaler().fit(X)
    return str(error.value)


def test_a_channel_with_gaps_in_every_window_is_not_called_empty():
    gaps = X.copy()
    gaps[:, 1, 3] = np.nan
    assert "NaN in channel 1 (6 windows). Drop these windows" in refused(gaps)


def test_an_empty_channel_is_to_be_dropped():
    empty = X.copy()
    empty[:, 1] = np.nan
    assert "NaN in channel 1 (6 windows). Drop the channels without any value" in refused(empty)


def test_infinity_is_told_from_missing_values():
    infinite = X.copy()
    infinite[2, 0, 5], infinite[3, 1, 5] = -np.inf, np.nan
    assert "infinity in channel 0 (1 window)" in refused(infinite)
