"""Solved heads against minimisers and normal equations written out here."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from sktransfer.solvers.logistic import STRENGTHS, _Reduced, _Softmax, solve_softmax
from sktransfer.solvers.ridge import _RIDGE_STRENGTHS, solve_ridge


def problem(n_rows, n_features, n_classes=3, seed=0, zero_start=True):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_rows, n_features))
    codes = np.r_[np.arange(n_classes), rng.integers(n_classes, size=n_rows - n_classes)]
    weight = rng.uniform(0.2, 3.0, size=n_rows)
    W0, b0 = rng.normal(size=(n_classes, n_features)) * 0.3, rng.normal(size=n_classes)
    return (features, codes, weight, np.zeros_like(W0), np.zeros_like(b0)) if zero_start else (
        features, codes, weight, W0, b0
    )  # fmt: skip


def reference_softmax(features, codes, weight, W0, b0, alpha):
    """BFGS on ``sum_i w_i CE_i + a/2 (d |W - W0|^2 + |b - b0|^2)``, the documented objective in W and b."""
    n_classes, d = W0.shape

    def split(flat):
        return flat[: n_classes * d].reshape(n_classes, d), flat[n_classes * d :]

    def objective(flat):
        W, b = split(flat)
        log_p = log_softmax(features @ W.T + b, axis=1)
        value = -weight @ log_p[np.arange(len(codes)), codes]
        value += alpha / 2 * (d * ((W - W0) ** 2).sum() + ((b - b0) ** 2).sum())
        slope = weight[:, None] * (np.exp(log_p) - np.eye(n_classes)[codes])
        gradient_W, gradient_b = slope.T @ features + alpha * d * (W - W0), slope.sum(axis=0) + alpha * (b - b0)
        return value, np.r_[gradient_W.ravel(), gradient_b]

    start = np.r_[W0.ravel(), b0]
    return split(minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000}).x)


@pytest.mark.parametrize("alpha", [0.03, 1.0, 30.0])
@pytest.mark.parametrize("zero_start", [True, False])
@pytest.mark.parametrize(("n_rows", "n_features"), [(60, 4), (6, 12), (9, 8)])
def test_softmax_head_minimises_the_documented_objective(n_rows, n_features, zero_start, alpha):
    args = problem(n_rows, n_features, zero_start=zero_start)
    W, b = reference_softmax(*args, alpha)
    solved = solve_softmax(*args, alpha)
    np.testing.assert_allclose(solved.weight, W, atol=1e-4)
    np.testing.assert_allclose(solved.bias, b, atol=1e-4)
    assert solved.alpha == alpha


@pytest.mark.parametrize("solve", [solve_softmax, solve_ridge])
def test_an_infinite_pull_keeps_the_head_bit_for_bit(solve):
    features, codes, weight, W0, b0 = problem(20, 5, zero_start=False)
    labels = codes if solve is solve_softmax else np.eye(3)[codes]
    solved = solve(features, labels, weight, W0, b0, np.inf)
    np.testing.assert_array_equal(solved.weight, W0)
    np.testing.assert_array_equal(solved.bias, b0)


@pytest.mark.parametrize(("solve", "alpha"), [(solve_softmax, 1.0), (solve_ridge, 1.0), (solve_ridge, "auto")])
def test_a_weight_of_two_is_the_row_twice(solve, alpha):
    features, codes, _, W0, b0 = problem(12, 5, zero_start=False)
    labels = codes if solve is solve_softmax else np.random.default_rng(1).normal(size=(12, 3))
    counts = np.random.default_rng(2).integers(1, 4, size=12)
    weighted = solve(features, labels, counts.astype(float), W0, b0, alpha)
    copies = np.repeat(np.arange(12), counts)
    repeated = solve(features[copies], labels[copies], np.ones(len(copies)), W0, b0, alpha)
    assert weighted.alpha == repeated.alpha
    np.testing.assert_allclose(weighted.weight, repeated.weight, atol=2e-4)
    np.testing.assert_allclose(weighted.bias, repeated.bias, atol=2e-4)


def test_identical_rows_and_constant_features_are_no_trouble():
    features, codes, weight, W0, b0 = problem(30, 6)
    features[:, 2] = 0.0
    features[10:20] = features[:10]
    W, b = reference_softmax(features, codes, weight, W0, b0, 0.5)
    solved = solve_softmax(features, codes, weight, W0, b0, 0.5)
    np.testing.assert_allclose(solved.weight, W, atol=1e-4)
    np.testing.assert_allclose(solved.weight[:, 2], 0.0, atol=1e-12)
    np.testing.assert_allclose(solved.bias, b, atol=1e-4)


def log_evidence_by_integration(features, codes, weight, W0, b0, strength):
    """Two classes: only the difference of their changes counts, ``N(0, 2/a)`` in each of the two directions."""
    rows = np.column_stack([features / np.sqrt(features.shape[1]), np.ones(len(features))])
    start = (features @ W0.T + b0) @ np.array([-1.0, 1.0])
    grid, step = np.linspace(-9, 9, 401, retstep=True)
    u, v = np.meshgrid(grid, grid, indexing="ij")
    change = np.sqrt(2 / strength) * np.stack([u.ravel(), v.ravel()])
    logit = start[:, None] + rows @ change
    log_likelihood = -weight @ np.logaddexp(0.0, np.where(codes[:, None] == 1, -logit, logit))
    log_prior = -(u.ravel() ** 2 + v.ravel() ** 2) / 2 - np.log(2 * np.pi)
    return logsumexp(log_likelihood + log_prior) + 2 * np.log(step)


@pytest.mark.parametrize("strength", [0.3, 1.0, 10.0, 1000.0])
def test_evidence_equals_the_integral_over_all_heads(strength):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 1))
    codes = (features[:, 0] + rng.normal(size=40) > 0.3).astype(int)
    weight, W0, b0 = np.ones(40), np.array([[-0.2], [0.2]]), np.zeros(2)
    reduced = _Softmax(_Reduced(features).rows, features @ W0.T + b0, np.eye(2)[codes], weight)
    change, _ = reduced.solve(strength)
    evidence = reduced.log_evidence(change, strength, hessian_of(reduced, change, strength))
    expected = log_evidence_by_integration(features, codes, weight, W0, b0, strength)
    assert evidence == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("by", ["newton", "folds"])
def test_held_out_likelihood_is_near_that_of_refits_without_the_rows(strength, by):
    features, codes, weight, W0, b0 = problem(30, 4, zero_start=False)
    folds = np.empty(30, int)
    for code in range(3):
        folds[codes == code] = np.arange((codes == code).sum()) % 5
    groups = [np.arange(30) == row for row in range(30)] if by == "newton" else [folds == fold for fold in range(5)]
    expected = 0.0
    for out in groups:
        W, b = reference_softmax(features[~out], codes[~out], weight[~out], W0, b0, strength)
        log_p = log_softmax(features[out] @ W.T + b, axis=1)
        expected += weight[out] @ log_p[np.arange(out.sum()), codes[out]]
    reduced = _Softmax(_Reduced(features).rows, features @ W0.T + b0, np.eye(3)[codes], weight)
    if by == "folds":
        assert reduced._five_folds(strength, {})[0] == pytest.approx(expected, rel=1e-4)
        return
    change, _ = reduced.solve(strength)
    probabilities = softmax(reduced.start + reduced.rows @ change, axis=1)
    logits = reduced.leave_one_out(change, probabilities, hessian_of(reduced, change, strength))
    assert reduced.log_likelihood(logits) == pytest.approx(expected, rel=0.1)


def hessian_of(reduced, change, strength):
    """Hessian of loss plus pull by finite differences of the documented objective, on class contrasts."""
    n_directions, n_contrasts = reduced.rows.shape[1], reduced.contrasts.shape[1]

    def gradient(vector):
        on_classes = change + vector.reshape(n_contrasts, n_directions).T @ reduced.contrasts.T
        p = softmax(reduced.start + reduced.rows @ on_classes, axis=1)
        slope = reduced.rows.T @ (reduced.weight[:, None] * (p - reduced.onehot)) + strength * on_classes
        return (slope @ reduced.contrasts).T.ravel()

    size, step = n_directions * n_contrasts, 1e-5
    return np.array([(gradient(step * e) - gradient(-step * e)) / (2 * step) for e in np.eye(size)])


def test_the_hessian_is_the_derivative_of_the_gradient():
    features, codes, weight, W0, b0 = problem(30, 4, zero_start=False)
    reduced = _Softmax(_Reduced(features).rows, features @ W0.T + b0, np.eye(3)[codes], weight)
    change, _ = reduced.solve(1.0)
    ours = reduced._hessian(softmax(reduced.start + reduced.rows @ change, axis=1))
    ours[np.diag_indices_from(ours)] += 1.0
    np.testing.assert_allclose(ours, hessian_of(reduced, change, 1.0), atol=1e-5)


def test_auto_stays_near_a_source_head_that_explains_the_labels_and_leaves_one_that_does_not():
    rng = np.random.default_rng(0)
    features, W0, b0 = rng.normal(size=(60, 4)), rng.normal(size=(3, 4)) * 4, np.zeros(3)
    codes = (features @ W0.T).argmax(axis=1)
    kept = solve_softmax(features, codes, np.ones(60), W0, b0, "auto")
    assert kept.alpha == STRENGTHS.max()
    assert np.linalg.norm(kept.weight - W0) < 0.1 * np.linalg.norm(W0)
    left = solve_softmax(features, (codes + 1) % 3, np.ones(60), W0, b0, "auto")
    assert left.alpha < kept.alpha
    assert ((features @ left.weight.T + left.bias).argmax(axis=1) == (codes + 1) % 3).mean() > 0.9


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
    features, _, weight, W0, b0 = problem(n_rows, n_features, n_classes=2, zero_start=False)
    values = np.random.default_rng(5).normal(size=(n_rows, 2))
    expected = reference_ridge(features, values, weight, W0, b0, alpha)
    solved = solve_ridge(features, values, weight, W0, b0, alpha)
    np.testing.assert_allclose(solved.weight.T, expected[:-1], atol=1e-8)
    np.testing.assert_allclose(solved.bias, expected[-1], atol=1e-8)


def leave_one_out(features, values, W0, b0, strength):
    """Mean squared error of rows that refits have not seen."""
    errors = []
    for row in range(len(features)):
        kept = np.arange(len(features)) != row
        if np.isinf(strength):
            predicted = features[row] @ W0.T + b0
        else:
            solved = reference_ridge(features[kept], values[kept], np.ones(kept.sum()), W0, b0, strength)
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
    errors = [leave_one_out(features, values, W0, b0, strength) for strength in _RIDGE_STRENGTHS]
    solved = solve_ridge(features, values, np.ones(14), W0, b0, "auto")
    assert solved.alpha == _RIDGE_STRENGTHS[int(np.argmin(errors))]
