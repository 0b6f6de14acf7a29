"""Columns whose differences a type does not hold, against counts of different values."""

import numpy as np
import pytest

from sktransfer.utils.precision import merged_columns


@pytest.mark.parametrize("kind", ["f8", "i8", "u4", "i4"])
def test_a_counter_of_a_billion_is_merged_and_a_small_one_is_not(kind):
    counter = np.arange(1000)
    X = np.stack([counter, counter + 10**9, counter + 10**6], axis=1).astype(kind)
    n_left = [len(np.unique(column)) for column in X.astype(np.float32).T]
    assert n_left[0] == n_left[2] == 1000 > 50 > n_left[1]
    assert merged_columns([X], np.float32).tolist() == [1]
    assert merged_columns([X[:500], X[500:]], np.float32).tolist() == [1]
    assert merged_columns([X], np.float64).tolist() == []


def test_what_the_type_holds_or_nobody_can_see_is_no_loss():
    rng = np.random.default_rng(0)
    constant = np.full(500, 1e5)
    X = np.stack(
        [
            constant,
            constant * (1 + 1e-16 * rng.integers(-3, 4, 500)),  # a constant with rounding errors
            constant + 0.5 * rng.integers(0, 2, 500),  # two values that float32 tells apart
            rng.normal(size=500) * 1e5,
            np.linspace(0, 1e9, 500),
            np.full(500, np.nan),
        ],
        axis=1,
    )
    assert merged_columns([X], np.float32).tolist() == []
    assert merged_columns([X.astype(np.float32)], np.float32).tolist() == []
    assert merged_columns([np.zeros((0, 3))], np.float32).tolist() == []


def test_neighbours_that_differ_by_less_than_a_step_are_merged_and_nan_is_left_out():
    rng = np.random.default_rng(0)
    X = 1e5 + 0.001 * rng.normal(size=(500, 2))
    X[::7, 0] = np.nan
    assert merged_columns([X], np.float32).tolist() == [0, 1]
    big = np.arange(100)[:, None] + 2**60
    assert merged_columns([big], np.float64).tolist() == [0]


def test_a_few_large_rows_among_many_are_seen():
    X = np.full(100_000, 1e9) + np.arange(100_000) % 50
    assert merged_columns([X[:, None]], np.float32).tolist() == [0]
    X[77_777] = 0.0  # the range is no longer small for float32
    assert merged_columns([X[:, None]], np.float32).tolist() == []


def test_a_column_that_rarely_changes_is_looked_at_as_a_whole():
    X = np.full(100_000, 1e9)
    X[50_001:50_010] += np.arange(9)  # between the rows that are looked at first
    assert merged_columns([X[:, None]], np.float32).tolist() == [0]


@pytest.mark.parametrize(("n_lost", "merged"), [(5, []), (15, [0])])
def test_one_change_in_a_hundred_must_get_lost(n_lost, merged):
    steps = np.full(1000, 110.0)
    steps[:: 1000 // n_lost][:n_lost] = 1e-3
    column = 1e9 + np.cumsum(steps)[:, None]
    assert merged_columns([column], np.float32).tolist() == merged
