"""Temperatures against a minimiser and refits without each row."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from sktransfer.solvers.logistic import solve_softmax
from sktransfer.solvers.ridge import solve_ridge_classes
from sktransfer.solvers.temperature import choose_temperature


def problem(n_rows=24, n_classes=3, n_features=5, seed=0, spread=1.5, sharp=4.0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_classes, n_features))
    codes = np.arange(n_rows) % n_classes
    features = means[codes] + spread * rng.normal(size=(n_rows, n_features))
    weight = rng.uniform(0.5, 2.0, size=n_rows)
    W0 = sharp * (means + 0.5 * rng.normal(size=means.shape)) / n_features
    return features, codes, weight, W0, 0.1 * rng.normal(size=n_classes)


def likeliest_temperature(logits, codes, weight):
    def loss(u):
        log_p = log_softmax(logits / np.exp(u), axis=1)
        return -weight @ log_p[np.arange(len(codes)), codes] + 2.0 * u**2

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    return np.exp(found.x), -found.fun


@pytest.mark.parametrize("sharp", [0.5, 1.0, 4.0, 12.0])
def test_the_temperature_is_the_likeliest_under_its_prior(sharp):
    features, codes, weight, W0, b0 = problem(sharp=sharp)
    logits = features @ W0.T + b0
    temperature, score = choose_temperature(logits, np.eye(3)[codes], weight)
    expected, best = likeliest_temperature(logits, codes, weight)
    assert np.log(temperature) == pytest.approx(np.log(expected), abs=0.051)
    assert score == pytest.approx(best, abs=0.1)


def test_logits_that_are_not_finite_leave_the_temperature_at_one():
    assert choose_temperature(np.array([[np.nan, 1.0]]), np.eye(2)[[0]], np.ones(1)) == (1.0, -np.inf)


@pytest.mark.parametrize("solve", [solve_ridge_classes, lambda *args: solve_softmax(*args, calibrated=True)])
def test_an_infinite_alpha_keeps_the_source_head_and_its_temperature(solve):
    args = problem()
    solved = solve(*args, np.inf)
    np.testing.assert_array_equal(solved.weight, args[3])
    np.testing.assert_array_equal(solved.bias, args[4])
    assert solved.temperature == 1.0


@pytest.mark.parametrize("alpha", [0.03, 1.0])
@pytest.mark.parametrize("sharp", [1.0, 10.0])
def test_a_softmax_head_is_divided_by_the_temperature_of_refits(sharp, alpha):
    features, codes, weight, W0, b0 = args = problem(30, sharp=sharp)
    plain, calibrated = solve_softmax(*args, alpha), solve_softmax(*args, alpha, calibrated=True)
    logits = []
    for row in range(30):
        kept = np.arange(30) != row
        without = solve_softmax(features[kept], codes[kept], weight[kept], W0, b0, alpha)
        logits.append(features[row] @ without.weight.T + without.bias)
    expected, _ = likeliest_temperature(np.array(logits), codes, weight)
    assert plain.temperature == 1.0
    assert np.log(calibrated.temperature) == pytest.approx(np.log(expected), abs=0.2)  # one Newton step, grid
    np.testing.assert_allclose(calibrated.weight * calibrated.temperature, plain.weight, atol=1e-3)


def test_more_rows_take_the_temperature_of_five_folds_and_very_many_rows_none():
    calibrated = solve_softmax(
        *problem(400, n_classes=9, n_features=90, spread=3.0, sharp=60.0), "auto", calibrated=True
    )
    assert calibrated.temperature > 1.1  # the source head was far too sharp
    args = problem(2100, n_classes=9, n_features=90, spread=3.0, sharp=60.0)
    assert [solve_softmax(*args, alpha, calibrated=True).temperature for alpha in (1.0, "auto")] == [1.0, 1.0]
