"""Scores of frozen features against refits without each row and against the published formulas, written out."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.covariance import ledoit_wolf

from sktransfer.solvers.ridge import CLASS_ALPHAS
from sktransfer.solvers.transferability import left_out_codes, log_me, shrinkage_h_score


def problem(n_rows, n_features, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.r_[np.arange(n_classes), rng.integers(n_classes, size=n_rows - n_classes)]
    features = rng.normal(size=(n_rows, n_features)) + rng.normal(size=(n_classes, n_features))[codes]
    return features, codes, rng.uniform(0.3, 3.0, size=n_rows)


def refit(features, values, weight, alpha):
    """Minimum of ``sum_i w_i |y_i - r_i D|^2 + alpha |D|^2`` by its normal equations, for rows [f / sqrt(d), 1]."""
    rows = np.column_stack([features / np.sqrt(features.shape[1]), np.ones(len(features))])
    gram = rows.T @ (weight[:, None] * rows) + alpha * np.eye(rows.shape[1])
    return np.linalg.solve(gram, rows.T @ (weight[:, None] * values))


def by_refits(features, values, weight, units):
    """The outputs without each unit's rows, at the alpha of the grid with the least weighted error."""
    rows = np.column_stack([features / np.sqrt(features.shape[1]), np.ones(len(features))])
    best, least = None, np.inf
    for alpha in CLASS_ALPHAS:
        outputs = np.empty_like(values)
        for unit in np.unique(units):
            out = units == unit
            outputs[out] = rows[out] @ refit(features[~out], values[~out], weight[~out], alpha)
        error = (weight[:, None] * (values - outputs) ** 2).sum()
        if error < least:
            best, least = outputs, error
    return best


@pytest.mark.parametrize(("n_rows", "n_features"), [(30, 5), (12, 40)])
@pytest.mark.parametrize("grouped", [False, True])
def test_left_out_outputs_are_those_of_refits(n_rows, n_features, grouped):
    features, codes, weight = problem(n_rows, n_features)
    values = np.eye(3)[codes] - 1 / 3
    units = np.arange(n_rows) // 4 if grouped else np.arange(n_rows)
    groups = [np.flatnonzero(units == unit) for unit in np.unique(units)] if grouped else None
    np.testing.assert_allclose(
        left_out_codes(features, values, weight, groups), by_refits(features, values, weight, units), atol=1e-8
    )


def published_evidence(features, y, a, b):
    """Equation 2 of You et al. 2021: log evidence of y under m ~ N(0, I / a) and noise of precision b."""
    n, d = features.shape
    A = a * np.eye(d) + b * features.T @ features
    m = b * np.linalg.solve(A, features.T @ y)
    return 0.5 * (
        n * np.log(b) + d * np.log(a) - n * np.log(2 * np.pi)
        - b * np.sum((features @ m - y) ** 2) - a * m @ m - np.linalg.slogdet(A)[1]
    )  # fmt: skip


@pytest.mark.parametrize(("n_rows", "n_features"), [(40, 6), (15, 30)])
def test_logme_is_the_largest_published_evidence_a_row(n_rows, n_features):
    features, codes, _ = problem(n_rows, n_features, seed=1)
    values = np.eye(3)[codes]
    expected = []
    for column in values.T:
        starts = [(0.0, 0.0), (3.0, 1.0), (-3.0, 1.0), (5.0, 3.0)]

        def missing(at, y=column):
            return -published_evidence(features, y, *np.exp(at))

        exact = {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000}
        best = min(minimize(missing, start, method="Nelder-Mead", options=exact).fun for start in starts)
        expected.append(-best / n_rows)
    assert log_me(features, values) == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_logme_follows_the_published_fixed_point(seed):
    """The iteration of the authors' code, run to the end."""
    features, codes, _ = problem(50, 8, seed=seed)
    y = (codes == 1).astype(float)
    u, s, _ = np.linalg.svd(features, full_matrices=False)
    sigma, x2 = s**2, (u.T @ y) ** 2
    beside, a, b = y @ y - x2.sum(), 1.0, 1.0
    for _ in range(2000):
        t = a / b
        gamma = np.sum(sigma / (sigma + t))
        m2, res2 = np.sum(sigma * x2 / (t + sigma) ** 2), np.sum(x2 / (1 + sigma / t) ** 2) + beside
        a, b = gamma / m2, (50 - gamma) / res2
    assert log_me(features, y[:, None]) == pytest.approx(published_evidence(features, y, a, b) / 50, abs=1e-8)


@pytest.mark.parametrize(("n_rows", "n_features"), [(40, 6), (15, 30)])
def test_h_score_is_the_published_trace(n_rows, n_features):
    """tr(inv(S_a) (1 - a) S_z): S_a by Ledoit and Wolf, S_z the covariance of the class mean of a row."""
    features, codes, _ = problem(n_rows, n_features, seed=3)
    shrunk, alpha = ledoit_wolf(features)
    means = np.stack([features[codes == code].mean(axis=0) for code in codes])
    between = np.cov(means, rowvar=False, bias=True)
    expected = np.trace(np.linalg.pinv(shrunk) @ ((1 - alpha) * between))
    assert shrinkage_h_score(features, codes) == pytest.approx(expected, rel=1e-8)


def test_scores_do_not_follow_the_unit_of_the_features():
    features, codes, _ = problem(40, 6)
    values = np.eye(3)[codes]
    assert log_me(1e-4 * features, values) == pytest.approx(log_me(features, values), abs=1e-6)
    assert shrinkage_h_score(1e3 * features, codes) == pytest.approx(shrinkage_h_score(features, codes))


def test_constant_features_say_nothing():
    codes = np.arange(10) % 2
    assert shrinkage_h_score(np.ones((10, 4)), codes) == 0
    assert np.isfinite(log_me(np.zeros((10, 4)), np.eye(2)[codes]))
