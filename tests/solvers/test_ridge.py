"""Least-squares heads against normal equations and refits without each row."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from sktransfer.solvers.ridge import CLASS_ALPHAS, RIDGE_ALPHAS, solve_ridge, solve_ridge_classes


def plain_problem(n_rows, n_features, n_classes=3, seed=0, zero_start=True):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_rows, n_features))
    codes = np.r_[np.arange(n_classes), rng.integers(n_classes, size=n_rows - n_classes)]
    weight = rng.uniform(0.2, 3.0, size=n_rows)
    W0, b0 = rng.normal(size=(n_classes, n_features)) * 0.3, rng.normal(size=n_classes)
    return (features, codes, weight, np.zeros_like(W0), np.zeros_like(b0)) if zero_start else (
        features, codes, weight, W0, b0
    )  # fmt: skip


def reference_ridge(features, values, weight, W0, b0, alpha):
    """Normal equations of ``sum_i w_i |y_i - f_i W - b|^2 + a (d |W - W0|^2 + |b - b0|^2)``."""
    n_rows, d = features.shape
    rows, start = np.column_stack([features, np.ones(n_rows)]), np.column_stack([W0, b0]).T
    penalty = alpha * np.diag(np.r_[np.full(d, float(d)), 1.0])
    gram = rows.T @ (weight[:, None] * rows) + penalty
    return np.linalg.solve(gram, rows.T @ (weight[:, None] * values) + penalty @ start)


@pytest.mark.parametrize("alpha", [0.01, 1.0, 100.0])
@pytest.mark.parametrize(("n_rows", "n_features"), [(50, 4), (6, 12)])
def test_ridge_head_solves_the_normal_equations(n_rows, n_features, alpha):
    features, _, weight, W0, b0 = plain_problem(n_rows, n_features, n_classes=2, zero_start=False)
    values = np.random.default_rng(5).normal(size=(n_rows, 2))
    expected = reference_ridge(features, values, weight, W0, b0, alpha)
    solved = solve_ridge(features, values, weight, W0, b0, alpha)
    np.testing.assert_allclose(solved.weight.T, expected[:-1], atol=1e-8)
    np.testing.assert_allclose(solved.bias, expected[-1], atol=1e-8)


def leave_one_out(features, values, W0, b0, alpha):
    """Mean squared error of rows that refits have not seen."""
    errors = []
    for row in range(len(features)):
        kept = np.arange(len(features)) != row
        if np.isinf(alpha):
            predicted = features[row] @ W0.T + b0
        else:
            solved = reference_ridge(features[kept], values[kept], np.ones(kept.sum()), W0, b0, alpha)
            predicted = np.r_[features[row], 1.0] @ solved
        errors.append((values[row] - predicted) ** 2)
    return np.mean(errors)


@pytest.mark.parametrize("noise", [0.0, 0.5, 2.0, 20.0])
@pytest.mark.parametrize("n_features", [3, 20])
def test_ridge_auto_has_the_smallest_leave_one_out_error_of_refits(noise, n_features):
    rng = np.random.default_rng(7)
    features, W0, b0 = rng.normal(size=(14, n_features)), rng.normal(size=(1, n_features)), np.zeros(1)
    truth = W0 + rng.normal(size=W0.shape) * 0.5
    values = features @ truth.T + noise * rng.normal(size=(14, 1))
    errors = [leave_one_out(features, values, W0, b0, alpha) for alpha in RIDGE_ALPHAS]
    solved = solve_ridge(features, values, np.ones(14), W0, b0, "auto")
    assert solved.alpha == RIDGE_ALPHAS[int(np.argmin(errors))]


def problem(n_rows=24, n_classes=3, n_features=5, seed=0, spread=1.5, sharp=4.0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_classes, n_features))
    codes = np.arange(n_rows) % n_classes
    features = means[codes] + spread * rng.normal(size=(n_rows, n_features))
    weight = rng.uniform(0.5, 2.0, size=n_rows)
    W0 = sharp * (means + 0.5 * rng.normal(size=means.shape)) / n_features
    return features, codes, weight, W0, 0.1 * rng.normal(size=n_classes)


def codes_on_the_scale_of_logits(features, codes, weight, W0, b0):
    """Centred codes over their regression on the source head's centred logits."""
    start = features @ W0.T + b0
    start = start - start.mean(axis=1, keepdims=True)
    centered = np.eye(len(b0))[codes] - 1 / len(b0)
    root = np.repeat(np.sqrt(weight), len(b0))
    slope = np.linalg.lstsq((root * start.ravel())[:, None], root * centered.ravel(), rcond=None)[0][0]
    return centered / slope


def held_out_scores(features, codes, weight, W0, b0, alpha):
    values = codes_on_the_scale_of_logits(features, codes, weight, W0, b0)
    W0, b0 = W0 - W0.mean(axis=0), b0 - b0.mean()
    scores = []
    for row in range(len(codes)):
        kept = np.arange(len(codes)) != row
        scores.append(
            np.r_[features[row], 1.0] @ reference_ridge(features[kept], values[kept], weight[kept], W0, b0, alpha)
        )
    return np.array(scores)


def likeliest_temperature(logits, codes, weight):
    def loss(u):
        log_p = log_softmax(logits / np.exp(u), axis=1)
        return -weight @ log_p[np.arange(len(codes)), codes] + 2.0 * u**2

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    return np.exp(found.x), -found.fun


@pytest.mark.parametrize("alpha", [0.01, 0.3, 10.0])
@pytest.mark.parametrize(("n_rows", "n_features"), [(24, 5), (9, 14)])
def test_ridge_classes_solve_the_normal_equations_at_the_temperature_of_refits(n_rows, n_features, alpha):
    features, codes, weight, W0, b0 = args = problem(n_rows, n_features=n_features)
    values = codes_on_the_scale_of_logits(*args)
    expected = reference_ridge(features, values, weight, W0 - W0.mean(axis=0), b0 - b0.mean(), alpha)
    temperature, _ = likeliest_temperature(held_out_scores(*args, alpha), codes, weight)
    solved = solve_ridge_classes(*args, alpha)
    assert np.log(solved.temperature) == pytest.approx(np.clip(np.log(temperature), -1.5, 1.5), abs=0.051)
    found = np.column_stack([solved.weight, solved.bias]).T * solved.temperature
    np.testing.assert_allclose(found - found.mean(axis=1, keepdims=True), expected, atol=1e-8)


@pytest.mark.parametrize("spread", [0.3, 1.5, 5.0])
def test_ridge_classes_choose_the_alpha_that_makes_refits_likeliest(spread):
    args = problem(spread=spread, seed=3)
    scores = [likeliest_temperature(held_out_scores(*args, a), args[1], args[2])[1] for a in CLASS_ALPHAS]
    chosen = solve_ridge_classes(*args, "auto").alpha
    assert scores[list(CLASS_ALPHAS).index(chosen)] == pytest.approx(max(scores), abs=0.02)


def test_ridge_classes_without_a_source_head_learn_from_the_codes_alone():
    features, codes, weight, W0, b0 = problem(60, spread=0.5)
    solved = solve_ridge_classes(features, codes, weight, np.zeros_like(W0), np.zeros_like(b0), "auto")
    assert ((features @ solved.weight.T + solved.bias).argmax(axis=1) == codes).mean() > 0.95
