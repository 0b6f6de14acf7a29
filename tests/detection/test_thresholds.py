"""Thresholds: rates that are kept, by counting."""

import numpy as np
import pytest

from sktransfer import HotellingT2
from sktransfer.detection.thresholds import (
    healthy_blocks,
    held_out_distances,
    p_values,
    rows_needed,
    share_between,
    threshold,
)


def test_a_row_like_the_healthy_ones_is_above_the_threshold_as_often_as_asked():
    rng = np.random.default_rng(0)
    for n, rate in ((99, 0.05), (500, 0.01), (37, 0.1)):
        above = []
        for _ in range(4000):
            drawn = rng.exponential(size=n + 1)
            above.append(drawn[-1] > threshold(drawn[:-1], rate)[0])
        attained = threshold(np.arange(n), rate)[1]
        assert attained <= rate
        assert np.mean(above) == pytest.approx(attained, abs=4 * np.sqrt(rate / 4000))


def test_too_few_rows_give_the_largest_distance_and_say_what_it_stands_for():
    assert threshold(np.array([3.0, 1.0, 2.0]), 0.01) == (3.0, 0.25)
    assert rows_needed(0.01) == 99
    assert rows_needed(0.001) == 999
    assert threshold(np.arange(99.0), 0.01) == (98.0, 0.01)
    assert threshold(np.arange(98.0), 0.01) == (97.0, 1 / 99)


def test_p_values_count_the_healthy_rows_that_are_as_far():
    healthy = np.array([1.0, 2.0, 2.0, 5.0])
    found = p_values(healthy, np.array([0.0, 2.0, 3.0, 9.0]))
    np.testing.assert_allclose(found, [5 / 5, 4 / 5, 2 / 5, 1 / 5])


def test_blocks_are_neighbours_or_whole_groups():
    assert [part.tolist() for part in healthy_blocks("A", 5, 2, None)] == [[0, 1, 2], [3, 4]]
    assert len(healthy_blocks("A", 3, 5, None)) == 3
    groups = np.array(["b", "a", "b", "c", "a", "c"])
    parts = healthy_blocks("A", 6, 2, groups)
    assert [part.tolist() for part in parts] == [[0, 1, 2, 4], [3, 5]]
    with pytest.raises(ValueError, match="all rows are of one group"):
        healthy_blocks("A", 6, 2, np.zeros(6))
    with pytest.raises(ValueError, match=r"groups of shape \(5,\); expected \(6,\)"):
        healthy_blocks("A", 6, 2, np.zeros(5))


def test_distances_are_those_from_the_other_blocks():
    F = np.random.default_rng(0).normal(size=(40, 3))
    blocks = healthy_blocks("A", 40, 4, None)
    found = held_out_distances(HotellingT2(), F, None, 1e-12, blocks)
    alone = HotellingT2().fit(np.delete(F, blocks[2], axis=0)).distance(F[blocks[2]])
    np.testing.assert_array_equal(found[blocks[2]], alone)


def test_the_share_of_variance_between_blocks_is_that_of_an_analysis_of_variance():
    rng = np.random.default_rng(0)
    level = np.repeat(rng.normal(size=(4, 3)) * [1, 5, 0], 25, axis=0)
    F = np.column_stack([level + rng.normal(size=(100, 3)), np.full(100, 7.0)])
    blocks = np.array_split(np.arange(100), 4)
    within = np.mean([F[block].var(axis=0) for block in blocks], axis=0)[:3]
    assert share_between(F, blocks) == pytest.approx(np.mean(1 - within / F[:, :3].var(axis=0)))
    assert share_between(rng.normal(size=(1000, 20)), np.array_split(np.arange(1000), 5)) < 0.01
    assert share_between(F, np.array_split(np.arange(100), 11)) == 0.0  # nine rows
    assert share_between(np.ones((100, 2)), blocks) == 0.0
