"""Smallest and largest value of each column, whatever the shape, order and type."""

import numpy as np
import pytest

from sktransfer.utils.column_extremes import column_extremes


@pytest.mark.parametrize("n_rows", [1, 2, 31, 100, 1001])
@pytest.mark.parametrize("n_columns", [1, 3, 20, 300, 600])
@pytest.mark.parametrize("order", ["C", "F"])
def test_columns_are_those_of_sorting(n_rows, n_columns, order):
    values = np.asarray(np.random.default_rng(n_rows).normal(size=(n_rows, n_columns)), order=order)
    values[np.random.default_rng(1).random(values.shape) < 0.05] = np.nan
    values[:, 0] = np.nan
    lowest, highest = column_extremes(values)
    for j in range(n_columns):
        numbers = sorted(values[~np.isnan(values[:, j]), j])
        expected = (numbers[0], numbers[-1]) if numbers else (np.nan, np.nan)
        np.testing.assert_array_equal((lowest[j], highest[j]), expected)


def test_channels_of_windows_and_of_single_samples():
    windows = np.random.default_rng(0).normal(size=(50, 4, 7)).astype(np.float32)
    lowest, highest = column_extremes(windows)
    by_channel = windows.transpose(1, 0, 2).reshape(4, -1)
    np.testing.assert_array_equal(lowest, by_channel.min(axis=1))
    np.testing.assert_array_equal(highest, by_channel.max(axis=1))
    assert lowest.dtype == np.float32
    np.testing.assert_array_equal(column_extremes(windows[:, :, :1])[1], windows[:, :, 0].max(axis=0))
