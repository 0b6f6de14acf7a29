"""Scores found on the side of the rows against Hessians written out over all weights of the head."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from sktransfer.solvers.laplace import LaplaceApproximation, LaplacePath, log_likelihood
from sktransfer.solvers.logistic import ALPHAS, _Softmax, solve_softmax
from sktransfer.solvers.row_space import RowSpace


def problem(n_rows, n_classes, n_features, seed, spread=1.5):
    """Classes around their means, row weights, and a source head that half knows them."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(n_classes, n_features))
    codes = np.arange(n_rows) % n_classes
    features = means[codes] + spread * rng.normal(size=(n_rows, n_features))
    weight = rng.uniform(0.3, 2.0, size=n_rows)
    W0, b0 = means / 4 + 0.3 * rng.normal(size=means.shape), 0.1 * rng.normal(size=n_classes)
    return features, codes, weight, W0, b0


class Slow:
    """The problem over all weights of the head, one row of numbers a class; nothing is reduced or shared."""

    def __init__(self, features, codes, weight, W0, b0):
        self.rows = np.column_stack([features / np.sqrt(features.shape[1]), np.ones(len(features))])
        self.start, self.codes, self.weight = features @ W0.T + b0, codes, weight
        self.onehot = np.eye(len(b0))[codes]

    def likelihood(self, logits):
        return self.weight @ log_softmax(logits, axis=1)[np.arange(len(self.codes)), self.codes]

    def optimum(self, alpha, begin):
        shape = self.rows.shape[1], self.start.shape[1]

        def loss(flat):
            change = flat.reshape(shape)
            logits = self.start + self.rows @ change
            slope = self.rows.T @ (self.weight[:, None] * (softmax(logits, axis=1) - self.onehot)) + alpha * change
            return 0.5 * alpha * (change**2).sum() - self.likelihood(logits), slope.ravel()

        options = {"gtol": 1e-8, "ftol": 1e-15, "maxiter": 5000}
        return minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)

    def curvature_of(self, row, probabilities):
        p, r = probabilities[row], self.rows[row]
        return self.weight[row] * np.kron(np.outer(r, r), np.diag(p) - np.outer(p, p))

    def half_logdet_and_held_out(self, alpha, change):
        """Of the Hessian over the prior's; logits after a Newton step with an own Hessian for each row."""
        logits = self.start + self.rows @ change
        p = softmax(logits, axis=1)
        hessian = alpha * np.eye(change.size) + sum(self.curvature_of(i, p) for i in range(len(p)))
        half_logdet = 0.5 * (np.linalg.slogdet(hessian)[1] - change.size * np.log(alpha))
        held_out = logits.copy()
        for i, row in enumerate(self.rows):
            gradient = self.weight[i] * np.kron(row, p[i] - self.onehot[i])
            step = np.linalg.solve(hessian - self.curvature_of(i, p), gradient).reshape(change.shape)
            held_out[i] += row @ step
        return half_logdet, held_out

    def score(self, alpha, change):
        """Log evidence plus leave-one-out log-likelihood."""
        half_logdet, held_out = self.half_logdet_and_held_out(alpha, change)
        likelihood = self.likelihood(self.start + self.rows @ change)
        return likelihood - 0.5 * alpha * (change**2).sum() - half_logdet + self.likelihood(held_out)

    def choose(self):
        """The alpha with the best score, and the head's change there."""
        change, best = np.zeros((self.rows.shape[1], self.start.shape[1])), (-np.inf, None, None)
        for alpha in ALPHAS:
            change = self.optimum(alpha, change)
            best = max(best, (self.score(alpha, change), alpha, change), key=lambda found: found[0])
        return best[1:]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("n_rows", "n_classes", "n_features"), [(9, 9, 12), (15, 5, 8), (20, 4, 30), (12, 2, 6), (40, 3, 5)]
)
def test_auto_chooses_and_solves_as_a_slow_search_over_all_weights(n_rows, n_classes, n_features, seed):
    args = problem(n_rows, n_classes, n_features, seed, spread=1.0 + seed)
    alpha, change = Slow(*args).choose()
    solved = solve_softmax(*args, "auto")
    assert solved.alpha == alpha
    np.testing.assert_allclose(solved.weight - args[3], change.T[:, :-1] / np.sqrt(n_features), atol=1e-4)
    np.testing.assert_allclose(solved.bias - args[4], change.T[:, -1], atol=1e-4)


@pytest.mark.parametrize("alpha", ALPHAS[::2])
@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_rows_and_weights_give_the_same_determinant_and_leave_one_out_logits(alpha, spread):
    features, _, weight, W0, b0 = args = problem(14, 5, 20, seed=1, spread=spread)
    space, slow = RowSpace(features), Slow(*args)
    small = _Softmax(space.rows, slow.start, slow.onehot, weight)
    change, _ = small.solve(alpha)
    solved = space.solution(change, 1, W0, b0, alpha)
    on_weights = np.column_stack([(solved.weight - W0) * np.sqrt(20), solved.bias - b0]).T
    half_logdet, expected = slow.half_logdet_and_held_out(alpha, on_weights)
    logits = slow.start + space.rows @ change
    p = softmax(logits, axis=1)
    ours = LaplaceApproximation(space.rows @ space.rows.T / alpha, p, weight)
    assert ours.half_logdet() == pytest.approx(half_logdet)
    found = logits + ours.leave_one_out(weight[:, None] * (p - slow.onehot))
    np.testing.assert_allclose(
        log_softmax(found, axis=1), log_softmax(expected, axis=1), atol=1e-6 * np.abs(expected).max()
    )


def test_the_curvature_is_the_derivative_of_the_gradient():
    rng = np.random.default_rng(0)
    logits, direction, weight = rng.normal(size=(6, 4)), rng.normal(size=(6, 4)), rng.uniform(0.3, 2.0, size=6)
    ahead, behind = (weight[:, None] * softmax(logits + step * direction, axis=1) for step in (1e-5, -1e-5))
    approximation = LaplaceApproximation(np.eye(6), softmax(logits, axis=1), weight)
    np.testing.assert_allclose(approximation.times_curvature(direction), (ahead - behind) / 2e-5, atol=1e-8)


@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_the_path_of_newton_s_method_passes_through_the_optima(spread):
    features, codes, weight, W0, b0 = problem(14, 5, 20, seed=2, spread=spread)
    small = _Softmax(RowSpace(features).rows, features @ W0.T + b0, np.eye(5)[codes], weight)
    path = LaplacePath(small.rows, small.start, small.onehot, weight)
    for alpha in ALPHAS:
        change, _, n_steps = path.optimum(alpha)
        expected, _ = small.solve(alpha, tolerance=1e-9)
        expected -= expected.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(change - change.mean(axis=1, keepdims=True), expected, atol=1e-4)
        assert n_steps < 8


def log_evidence_by_integration(features, codes, weight, W0, b0, alpha):
    """Two classes: only the difference of their changes counts, ``N(0, 2/a)`` in each of the two directions."""
    rows = np.column_stack([features / np.sqrt(features.shape[1]), np.ones(len(features))])
    start = (features @ W0.T + b0) @ np.array([-1.0, 1.0])
    grid, step = np.linspace(-9, 9, 401, retstep=True)
    u, v = np.meshgrid(grid, grid, indexing="ij")
    change = np.sqrt(2 / alpha) * np.stack([u.ravel(), v.ravel()])
    logit = start[:, None] + rows @ change
    log_likelihood = -weight @ np.logaddexp(0.0, np.where(codes[:, None] == 1, -logit, logit))
    log_prior = -(u.ravel() ** 2 + v.ravel() ** 2) / 2 - np.log(2 * np.pi)
    return logsumexp(log_likelihood + log_prior) + 2 * np.log(step)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 10.0, 1000.0])
def test_evidence_equals_the_integral_over_all_heads(alpha):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 1))
    codes = (features[:, 0] + rng.normal(size=40) > 0.3).astype(int)
    weight, W0, b0 = np.ones(40), np.array([[-0.2], [0.2]]), np.zeros(2)
    onehot = np.eye(2)[codes]
    scored = LaplacePath(RowSpace(features).rows, features @ W0.T + b0, onehot, weight).score(alpha)
    evidence = scored.score - log_likelihood(scored.held_out, onehot, weight)
    expected = log_evidence_by_integration(features, codes, weight, W0, b0, alpha)
    assert evidence == pytest.approx(expected, abs=0.2)
