"""A fit depends on the weighted set of rows and on nothing else."""

from collections import Counter

import numpy as np
import pytest

from sktransfer import TransferClassifier
from sktransfer.training import rows as _rows
from sktransfer.training.rows import merge_copies
from tests.helpers import moons, small_backbone


def table(n_rows=60, n_values=3, seed=0):
    """Rows with many exact copies."""
    rng = np.random.default_rng(seed)
    return rng.integers(n_values, size=(n_rows, 3)).astype(np.float32), rng.integers(2, size=n_rows), rng


def mass(rows):
    """Total weight of each distinct pair of row and label: what canonical form must not change."""
    total = Counter()
    for x, y, weight in zip(rows[0], rows[1], rows[2], strict=True):
        total[(*np.asarray(x).tolist(), *np.ravel(y).tolist())] += float(weight)
    return total


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_weight_of_three_is_the_row_three_times():
    X, y, rng = table()
    counts = rng.integers(1, 5, size=len(X))
    repeated = merge_copies(np.repeat(X, counts, axis=0), np.repeat(y, counts), np.ones(counts.sum()))
    assert_same(merge_copies(X, y, counts.astype(float)), repeated)


def test_the_order_of_the_rows_does_not_count():
    X, y, rng = table()
    weight = rng.integers(1, 9, size=len(X)).astype(float)
    order = rng.permutation(len(X))
    assert_same(merge_copies(X, y, weight), merge_copies(X[order], y[order], weight[order]))


def test_copies_are_merged_and_their_weights_summed():
    X, y, rng = table()
    weight = rng.integers(1, 9, size=len(X)).astype(float)
    merged = merge_copies(X, y, weight)
    assert len(merged.X) == len(mass((X, y, weight))) < len(X)
    assert mass(merged) == mass((X, y, weight))


def test_equal_columns_with_another_label_are_another_row():
    merged = merge_copies(np.ones((4, 2), np.float32), np.array([0, 1, 0, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert mass(merged) == {(1.0, 1.0, 0): 4.0, (1.0, 1.0, 1): 6.0}


def test_rows_of_weight_zero_are_dropped():
    X, y, rng = table()
    weight = rng.integers(0, 2, size=len(X)).astype(float)
    assert_same(merge_copies(X, y, weight), merge_copies(X[weight > 0], y[weight > 0], weight[weight > 0]))


def test_minus_zero_is_zero():
    X = np.array([[0.0, 1.0], [-0.0, 1.0]], np.float32)
    merged = merge_copies(X, np.array([0, 0]), np.array([1.0, 2.0]))
    assert len(merged.X) == 1
    assert merged.weight.tolist() == [3.0]
    values = merge_copies(X, np.array([[0.0], [-0.0]]), np.ones(2))
    assert len(values.X) == 1


def test_rows_of_windows_are_merged_too():
    X = np.zeros((3, 2, 4), np.float32)
    X[1, 1, 3] = 1.0
    merged = merge_copies(X, np.zeros(3, int), np.ones(3))
    assert merged.X.shape == (2, 2, 4)
    assert sorted(merged.weight.tolist()) == [1.0, 2.0]


def test_float_labels_of_several_outputs_are_compared_whole():
    y = np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 2.0]])
    merged = merge_copies(np.zeros((3, 1), np.float32), y, np.ones(3))
    assert mass(merged) == {(0.0, 1.0, 2.0): 2.0, (0.0, 1.0, 3.0): 1.0}


def test_whole_number_labels_of_several_outputs_keep_their_order():
    """Equal rows whose labels differ only in a few leading bits still come in one order and merge."""
    y = np.array([[i, j] for i in range(20) for j in range(20)] * 2, float)
    X, order = np.zeros((len(y), 1), np.float32), np.random.default_rng(0).permutation(len(y))
    first, second = merge_copies(X, y, np.ones(len(y))), merge_copies(X[order], y[order], np.ones(len(y)))
    assert_same(first, second)
    assert len(first.X) == 400


@pytest.fixture
def collisions(monkeypatch):
    """Every row has the same projection."""
    monkeypatch.setattr(_rows, "_project", lambda rows: np.zeros(len(rows)))


@pytest.mark.usefixtures("collisions")
def test_rows_of_one_projection_never_merge_if_they_differ():
    X, y, rng = table()
    weight = rng.integers(1, 9, size=len(X)).astype(float)
    merged = merge_copies(X, y, weight)
    assert mass(merged) == mass((X, y, weight))
    assert len(merged.X) == len(mass(merged))


@pytest.mark.usefixtures("collisions")
def test_the_order_of_rows_of_one_projection_does_not_count_either():
    X, y, rng = table()
    weight = rng.integers(1, 9, size=len(X)).astype(float)
    order = rng.permutation(len(X))
    assert_same(merge_copies(X, y, weight), merge_copies(X[order], y[order], weight[order]))


def test_the_caller_s_arrays_are_not_changed():
    X, y, rng = table()
    weight = rng.random(len(X))
    copies = X.copy(), y.copy(), weight.copy()
    merge_copies(X, y, weight)
    assert_same((X, y, weight), copies)


@pytest.mark.parametrize("from_backbone", [True, False])
def test_a_fit_takes_weights_as_repeats_and_any_order(from_backbone):
    X, y = moons(50, seed=3)
    rng = np.random.default_rng(0)
    counts, order = rng.integers(0, 4, size=50), rng.permutation(50)
    backbone = small_backbone(max_epochs=5) if from_backbone else None
    model = TransferClassifier(backbone, max_epochs=2, random_state=0)
    weighted = model.fit(X, y, sample_weight=counts).predict_proba(X)
    repeated = model.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts)).predict_proba(X)
    shuffled = model.fit(X[order], y[order], sample_weight=counts[order]).predict_proba(X)
    np.testing.assert_array_equal(weighted, repeated)
    np.testing.assert_array_equal(weighted, shuffled)
