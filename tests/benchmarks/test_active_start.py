"""benchmarks.active_start and benchmarks.open_set: pools, budgets and faults are what their pages say."""

import numpy as np
import pytest

from benchmarks.active_start import BUDGETS, METHODS, Plant
from benchmarks.adaptation_tasks import Task
from benchmarks.open_set import DEAL, of_classes
from tests.helpers import small_backbone


def task(n=2400, seed=0):
    """A machine in four columns with a healthy class 0 and two faults, runs of twenty rows."""
    rng = np.random.default_rng(seed)
    y = np.repeat(rng.permutation(np.arange(n // 20) % 3), 20)
    X = rng.normal(size=(n, 4)) + 8 * np.eye(4)[y] * (y > 0)[:, None]
    none = np.empty((0, 4)), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return Task("made up", "one", *none, X, y, groups_target=np.arange(n) // 20, normal_label=0)


@pytest.fixture(scope="module")
def plants():
    backbone = small_backbone(0, max_epochs=8)
    return {rare: Plant(task(), backbone, 0, rare) for rare in (True, False)}


def test_pools_are_as_rare_as_they_say_and_share_no_row_with_what_is_scored(plants):
    assert np.mean(plants[True].y == 0) == pytest.approx(0.95, abs=0.01)
    assert np.unique(plants[False].y, return_counts=True)[1].max() <= 150
    for plant in plants.values():
        assert len(plant.y_healthy) == 60
        assert not plant.y_healthy.any()
        own = {tuple(row) for part in (plant.X, plant.X_healthy) for row in part}
        assert len(own) == len(plant.X) + 60
        assert not own & {tuple(row) for row in plant.X_scored}
        inside = {int(group) for group in plant.groups}
        assert len(inside) <= 60  # half of the runs


@pytest.mark.parametrize("name", METHODS)
def test_a_budget_is_so_many_different_rows_and_faults_are_found_by_asking(plants, name):
    budgets = [3 * n for n in BUDGETS[:3]]
    found = [list(METHODS[name](plants[True], budgets)) for _ in range(2)]
    for n, first, second in zip(budgets, *found, strict=True):
        assert len(set(first.tolist())) == n
        np.testing.assert_array_equal(first, second)
    if name.startswith("suggest"):
        assert set(plants[True].y[found[0][0]]) >= {1, 2}


def test_each_fault_is_left_out_by_one_of_the_seeds():
    faults = np.arange(1, 9)
    assert sorted(np.concatenate([faults[seed % DEAL :: DEAL] for seed in range(4)])) == faults.tolist()


def test_a_share_is_the_mean_of_classes():
    assert of_classes(np.array([True, True, True, False]), np.array([0, 0, 0, 1])) == 0.5
