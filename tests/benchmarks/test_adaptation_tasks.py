"""The tasks of the adaptation benchmarks: no scored row is in a fit, groups stay whole, sizes are as published."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.adaptation_sets import DEVELOPMENT, FOLDERS, SCORED
from benchmarks.adaptation_tasks import Task, draw, draw_skewed, phm08, stacked, with_permuted_source

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
# tasks; rows or windows of the source and of the target of the first task; classes of its target
SIZES = {
    "cstr": (6, 1300, 260, 13),
    "hit": (6, 175, 175, 7),
    "gas": (7, 445, 1244, 6),
    "tep-rows": (4, 34_987, 10_212, 9),
    "tep-windows": (4, 1937, 650, 26),
    "mnist-usps": (1, 5000, 11_000, 10),
    "turbine": (3, 7411 + 7628, 7152, None),
}


@cache
def load(name, of):
    return list({"scored": SCORED, "development": DEVELOPMENT}[of][name](DATA))


def tasks_of(name, of="scored"):
    for folder in FOLDERS[name]:
        if not (DATA / folder).is_dir():
            pytest.skip(f"no folder {DATA / folder}")
    return load(name, of)


def toy(**changes):
    """Ten rows of two classes a machine; the row's number is its first column."""
    rng = np.random.default_rng(0)
    X = np.c_[np.arange(20.0), rng.normal(size=20)]
    y = np.arange(20) % 2
    given = {"X_source": X + 100, "y_source": y, "domain_source": np.ones(20, dtype=int), "X_target": X, "y_target": y}
    return Task(**({"set": "toy", "name": "toy", "normal_label": 0} | given | changes))


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.filterwarnings("ignore::sktransfer.exceptions.DataQualityWarning")
@pytest.mark.parametrize(
    ("name", "of"),
    [*((name, "scored") for name in SCORED), *((name, "development") for name in DEVELOPMENT)],
)
def test_scored_rows_are_in_no_fit_and_groups_stay_whole(name, of):
    task = tasks_of(name, of)[-1]
    for seed in range(2):
        part = draw(task, max(task.n_labels), seed)
        assert not set(part.scored) & (set(part.labelled) | set(part.unlabelled))
        assert not set(part.labelled) & set(part.unlabelled)
        before = stacked(task, part)
        other = task.X_target.copy()
        other[part.scored] = 1e6 * (1 + np.abs(other[part.scored]))
        changed_y = task.y_target.copy()
        changed_y[part.scored] = changed_y[part.scored][::-1] + 1
        after = stacked(replace(task, X_target=other, y_target=changed_y), part)
        np.testing.assert_array_equal(before.X, after.X)
        np.testing.assert_array_equal(before.y, after.y)
        if task.groups_target is not None:
            groups = task.groups_target
            assert not set(groups[part.scored]) & set(groups[part.labelled])
            assert not set(groups[part.unlabelled]) & set(groups[part.labelled])


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_sets(name):
    tasks = tasks_of(name)
    n_tasks, n_source, n_target, n_classes = SIZES[name]
    assert (len(tasks), len(tasks[0].y_source), len(tasks[0].y_target)) == (n_tasks, n_source, n_target)
    if n_classes is not None:
        assert len(np.unique(tasks[0].y_target)) == n_classes
    for task in tasks:
        assert len(task.X_source) == len(task.y_source) == len(task.domain_source)
        assert task.X_source.shape[1:] == task.X_target.shape[1:]
        if task.kind == "classification":
            assert set(task.y_target) <= set(task.y_source)
            assert min(task.y_source) == 0


@pytest.mark.shared_data
def test_engines_end_with_their_last_cycle():
    (task,) = tasks_of("cmapss")
    assert len(np.unique(task.groups_source)) == len(np.unique(task.groups_target)) == 100
    assert (task.y_target[task.last] == 0).all()
    assert task.last.sum() == 100
    part = draw(task, 5, 0)
    assert len(np.unique(task.groups_target[part.labelled])) == 5
    assert len(np.unique(task.groups_target[part.scored])) == 50
    assert set(np.unique(task.groups_target[part.unlabelled])).isdisjoint(task.groups_target[part.labelled])


@pytest.mark.shared_data
def test_development_targets_are_not_scored_targets():
    """Of the sets whose development tasks are other rows, not another direction."""
    for name in ("cstr", "gas"):
        scored = {row.tobytes() for task in tasks_of(name) for row in task.X_target}
        for task in tasks_of(name, "development"):
            assert not scored & {row.tobytes() for row in task.X_target}


def test_a_draw_takes_n_of_each_class_and_is_the_same_again():
    task = toy()
    part, again, other = draw(task, 3, 1), draw(task, 3, 1), draw(task, 3, 2)
    assert np.bincount(task.y_target[part.labelled]).tolist() == [3, 3]
    np.testing.assert_array_equal(part.labelled, again.labelled)
    assert part.labelled.tolist() != other.labelled.tolist()
    assert len(part.labelled) + len(part.unlabelled) == len(part.scored) == 10


def test_a_transductive_draw_scores_what_is_not_labelled():
    task = toy()
    part = draw(task, 2, 0, transductive=True)
    np.testing.assert_array_equal(part.unlabelled, part.scored)
    assert len(part.scored) == 16
    fixed = toy(pool=np.arange(20) < 12, scored=np.arange(20) >= 14)
    part = draw(fixed, 2, 0, transductive=True)
    assert part.scored.tolist() == [14, 15, 16, 17, 18, 19]
    assert set(part.scored) <= set(part.unlabelled)
    assert len(part.unlabelled) == 12 - 4 + 6


@pytest.mark.parametrize(("count", "n", "expected"), [("first", 5, [0, 1, 2, 3, 4]), ("total", 5, 5), ("group", 2, 8)])
def test_what_a_number_of_labels_counts(count, n, expected):
    task = toy(
        count=count, pool=np.arange(20) < 16, scored=np.arange(20) >= 16, groups_target=np.repeat(np.arange(5), 4)
    )
    labelled = draw(task, n, 0).labelled
    if isinstance(expected, list):
        assert labelled.tolist() == expected
    else:
        assert len(labelled) == expected
    if count == "group":
        assert all((task.groups_target[labelled] == group).sum() == 4 for group in set(task.groups_target[labelled]))


def test_rows_of_a_fit_come_in_order_with_masked_labels():
    task = toy(groups_target=np.repeat(np.arange(10), 2))
    part = draw(task, 2, 0)
    rows = stacked(task, part, "none")
    assert rows.sample_domain.tolist() == [1] * 20 + [-1] * 10
    assert rows.y[20:].tolist() == [*task.y_target[part.labelled], *[-1] * len(part.unlabelled)]
    np.testing.assert_array_equal(rows.X[20:, 0], np.r_[part.labelled, part.unlabelled])
    np.testing.assert_array_equal(rows.labelled[0][:, 0], part.labelled)
    np.testing.assert_array_equal(rows.unlabelled[:, 0], part.unlabelled)
    np.testing.assert_array_equal(rows.source[0], task.X_source)
    np.testing.assert_array_equal(rows.X_scored[:, 0], part.scored)
    assert rows.known.sum() == 20 + len(part.labelled)
    np.testing.assert_array_equal(rows.groups[20:], task.groups_target[np.r_[part.labelled, part.unlabelled]])


def test_scaling_by_own_rows_is_each_machine_at_mean_zero_and_deviation_one():
    task = toy()
    rows = stacked(task, draw(task, 2, 0), "own")
    for domain in (1, -1):
        of = rows.X[rows.sample_domain == domain]
        np.testing.assert_allclose(of.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(of.std(axis=0), 1)
    source = stacked(task, draw(task, 2, 0), "source")
    part = draw(task, 2, 0)
    z = (task.X_target[part.scored] - task.X_source.mean(axis=0)) / task.X_source.std(axis=0)
    np.testing.assert_allclose(source.X_scored, z)


def test_scaling_by_healthy_rows_takes_the_known_ones():
    healthy = np.isin(np.arange(20), (0, 2, 4, 6))
    task = toy(pool=np.arange(20) < 12, scored=np.arange(20) >= 12, healthy_target=healthy)
    rows = stacked(task, draw(task, 1, 0), "healthy")
    z = (task.X_target[12:] - task.X_target[healthy].mean(axis=0)) / task.X_target[healthy].std(axis=0)
    np.testing.assert_allclose(rows.X_scored, np.sign(z) * np.log1p(np.abs(z)))
    labelled_only = replace(task, healthy_target=None)
    part = draw(labelled_only, 3, 0)
    of = part.labelled[task.y_target[part.labelled] == 0]
    z = (task.X_target[12:] - task.X_target[of].mean(axis=0)) / task.X_target[of].std(axis=0)
    np.testing.assert_allclose(stacked(labelled_only, part, "healthy").X_scored, np.sign(z) * np.log1p(np.abs(z)))


def test_a_scaling_without_healthy_rows_is_an_error():
    task = toy(normal_label=None)
    with pytest.raises(ValueError, match="no row of the source is known to be healthy"):
        stacked(task, draw(task, 2, 0), "healthy")
    with pytest.raises(ValueError, match="no row of the target"):
        stacked(toy(), draw(toy(), 0, 0), "healthy")
    with pytest.raises(ValueError, match="scaling is one of"):
        stacked(task, draw(task, 2, 0), "both")


def test_a_skewed_draw_is_healthy_for_the_most_part():
    y = np.repeat(np.arange(3), [40, 10, 10])
    task = toy(X_target=np.zeros((60, 2)), y_target=y)
    part = draw_skewed(task, 0)
    assert np.bincount(y[part.unlabelled]).tolist() == [20, 1, 1]
    assert len(part.labelled) == 0


def test_a_permuted_source_keeps_rows_and_shares():
    task = toy()
    other = with_permuted_source(task, 0)
    assert sorted(other.y_source) == sorted(task.y_source)
    assert other.y_source.tolist() != task.y_source.tolist()
    np.testing.assert_array_equal(other.X_source, task.X_source)


def test_late_predictions_cost_more():
    """exp(10 / 10) - 1 for ten cycles late, exp(13 / 13) - 1 for thirteen early."""
    assert phm08(np.array([50.0]), np.array([60.0])) == pytest.approx(np.e - 1)
    assert phm08(np.array([50.0, 50.0]), np.array([37.0, 50.0])) == pytest.approx(np.e - 1)
