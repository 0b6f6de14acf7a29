"""Softmax heads against minimisers and refits written out here."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from sktransfer.solvers.laplace import log_likelihood
from sktransfer.solvers.logistic import _LAPLACE_ROWS, ALPHAS, _Softmax, solve_softmax
from sktransfer.solvers.ridge import solve_ridge
from sktransfer.solvers.row_space import RowSpace


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
def test_an_infinite_alpha_keeps_the_head_bit_for_bit(solve):
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


@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("by", ["newton", "folds"])
def test_held_out_likelihood_is_near_that_of_refits_without_the_rows(alpha, by):
    features, codes, weight, W0, b0 = problem(30, 4, zero_start=False)
    folds = np.empty(30, int)
    for code in range(3):
        folds[codes == code] = np.arange((codes == code).sum()) % 5
    groups = [np.arange(30) == row for row in range(30)] if by == "newton" else [folds == fold for fold in range(5)]
    expected = 0.0
    for out in groups:
        W, b = reference_softmax(features[~out], codes[~out], weight[~out], W0, b0, alpha)
        log_p = log_softmax(features[out] @ W.T + b, axis=1)
        expected += weight[out] @ log_p[np.arange(out.sum()), codes[out]]
    onehot = np.eye(3)[codes]
    found = _Softmax(RowSpace(features).rows, features @ W0.T + b0, onehot, weight)
    if by == "folds":
        assert found._five_folds(alpha).score == pytest.approx(expected, rel=1e-4)
    else:
        held_out = found.score(alpha).held_out
        assert log_likelihood(held_out, onehot, weight) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_auto_of_more_rows_has_the_best_log_likelihood_of_five_folds(seed):
    """Three classes and four features: few unknowns make no difference."""
    n_rows = 2 * _LAPLACE_ROWS
    features, codes, weight, W0, b0 = problem(n_rows, 4, seed=seed, zero_start=False)
    codes = np.where(np.random.default_rng(seed).random(n_rows) < 0.8, (features @ W0.T + b0).argmax(axis=1), codes)
    fold_of = np.empty(n_rows, int)
    for code in range(3):
        fold_of[codes == code] = np.arange((codes == code).sum()) % 5

    def score(alpha):
        total = 0.0
        for fold in range(5):
            kept = fold_of != fold
            W, b = reference_softmax(features[kept], codes[kept], weight[kept], W0, b0, alpha)
            log_p = log_softmax(features[~kept] @ W.T + b, axis=1)
            total += weight[~kept] @ log_p[np.arange((~kept).sum()), codes[~kept]]
        return total

    scores = {alpha: score(alpha) for alpha in ALPHAS[::2]}
    chosen = solve_softmax(features, codes, weight, W0, b0, "auto").alpha
    assert scores[chosen] == pytest.approx(max(scores.values()), abs=0.02)


def test_features_too_large_to_choose_alpha_are_an_error_for_few_and_for_many_rows():
    for n_rows in (20, 2 * _LAPLACE_ROWS):
        features, *rest = problem(n_rows, 4)
        for alpha, calibrated in (("auto", False), (1.0, True)):
            with pytest.raises(ValueError, match="orders of magnitude"):
                solve_softmax(1e9 * features, *rest, alpha, calibrated)


def test_auto_stays_near_a_source_head_that_explains_the_labels_and_leaves_one_that_does_not():
    rng = np.random.default_rng(0)
    features, W0, b0 = rng.normal(size=(60, 4)), rng.normal(size=(3, 4)) * 4, np.zeros(3)
    codes = (features @ W0.T).argmax(axis=1)
    kept = solve_softmax(features, codes, np.ones(60), W0, b0, "auto")
    assert kept.alpha == ALPHAS.max()
    assert np.linalg.norm(kept.weight - W0) < 0.1 * np.linalg.norm(W0)
    left = solve_softmax(features, (codes + 1) % 3, np.ones(60), W0, b0, "auto")
    assert left.alpha < kept.alpha
    assert ((features @ left.weight.T + left.bias).argmax(axis=1) == (codes + 1) % 3).mean() > 0.9
