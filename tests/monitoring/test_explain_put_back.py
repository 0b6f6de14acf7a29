"""Put-back of sensors and of pieces of windows, against values that are known by formula."""

import itertools
import math

import numpy as np
import pytest

from sktransfer.monitoring import explain_put_back
from sktransfer.monitoring.explain_put_back import put_back_effects, segments

RNG = np.random.default_rng(0)


def quadratic(M):
    return lambda values, rows: np.einsum("ni,ij,nj->n", values, M, values)


def test_of_a_quadratic_evidence_both_sides_together_are_twice_the_shapley_value():
    A = RNG.normal(size=(4, 4))
    M, x = A @ A.T, RNG.normal(size=(1, 4))
    ask, zero = quadratic(M), np.zeros((1, 4))
    taken, alone = [], []
    for j in range(4):
        without, only = x.copy(), zero.copy()
        without[0, j], only[0, j] = 0, x[0, j]
        taken.append(ask(x, None)[0] - ask(without, None)[0])
        alone.append(ask(only, None)[0])
    shapley = np.zeros(4)
    for order in itertools.permutations(range(4)):
        z = zero.copy()
        for j in order:
            before = ask(z, None)[0]
            z[0, j] = x[0, j]
            shapley[j] += (ask(z, None)[0] - before) / math.factorial(4)
    np.testing.assert_allclose(np.add(taken, alone) / 2, shapley)
    np.testing.assert_allclose(put_back_effects(ask, x, [zero])[0], np.maximum(taken, alone))


def test_sensors_that_say_the_same_are_seen_and_so_are_those_that_are_unusual_together():
    x, zero = np.array([[5.0, 5.0, 0.0]]), np.zeros((1, 3))
    either = put_back_effects(lambda v, _: v.max(axis=1), x, [zero])[0]
    both = put_back_effects(lambda v, _: v[:, :2].min(axis=1), x, [zero])[0]
    np.testing.assert_allclose([either, both], [[5, 5, 0], [5, 5, 0]])


def test_signed_effects_keep_the_sign_of_the_larger_side():
    x, zero = np.array([[1.0, 2.0]]), np.zeros((1, 2))

    def ask(v, _):
        return -3 * v[:, 0] + v[:, 1]

    np.testing.assert_allclose(put_back_effects(ask, x, [zero], signed=True), [[-3, 2]])


def test_effects_are_means_over_references():
    x, references = np.array([[4.0, 1.0]]), [np.zeros((1, 2)), np.full((1, 2), 2.0)]
    np.testing.assert_allclose(put_back_effects(lambda v, _: v.sum(axis=1), x, references), [[3, 0]])


@pytest.mark.parametrize("most", [1, 7, 4096])
def test_parts_do_not_matter_and_each_sample_is_asked_as_itself(most, monkeypatch):
    monkeypatch.setattr(explain_put_back, "_MOST", most)
    x, factor = RNG.normal(size=(5, 3)), np.arange(1.0, 6.0)
    found = put_back_effects(lambda v, rows: factor[rows] * v.sum(axis=1), x, [np.zeros((5, 3))])
    np.testing.assert_allclose(found, factor[:, None] * x, atol=1e-12)


@pytest.mark.parametrize(("start", "end"), [(0, 20), (20, 50), (60, 100), (0, 100)])
def test_the_stretch_that_counts_is_returned(start, end):
    x = np.ones((2, 2, 100))

    def ask(v, rows):
        return v[:, 1, start:end].sum(axis=1)

    found = segments(ask, x, [np.zeros_like(x)], np.array([0, 1]), np.array([1, 1]), 10)
    np.testing.assert_array_equal(found, [[start, start], [end, end]])


def test_a_sensor_that_does_not_count_has_the_whole_window_and_short_windows_have_pieces_of_one():
    x = np.ones((1, 2, 5))
    found = segments(
        lambda v, _: v[:, 1, 3:].sum(axis=1), x, [np.zeros_like(x)], np.array([0, 0]), np.array([0, 1]), 12
    )
    np.testing.assert_array_equal(found, [[0, 3], [5, 5]])
