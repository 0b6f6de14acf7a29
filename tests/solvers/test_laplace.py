"""Scores found on the rows' side against Hessians written out over all weights of the head."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from sktransfer import FromScratch, LinearProbing, ProbeThenTune, TransferClassifier
from sktransfer.solvers.laplace import RowCurvature, RowPath
from sktransfer.solvers.logistic import STRENGTHS, _Reduced, _Softmax, solve_softmax
from sktransfer.training import fit as training
from tests.helpers import moons


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

    def optimum(self, strength, begin):
        shape = self.rows.shape[1], self.start.shape[1]

        def loss(flat):
            change = flat.reshape(shape)
            logits = self.start + self.rows @ change
            slope = self.rows.T @ (self.weight[:, None] * (softmax(logits, axis=1) - self.onehot)) + strength * change
            return 0.5 * strength * (change**2).sum() - self.likelihood(logits), slope.ravel()

        options = {"gtol": 1e-8, "ftol": 1e-15, "maxiter": 5000}
        return minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)

    def curvature_of(self, row, probabilities):
        p, r = probabilities[row], self.rows[row]
        return self.weight[row] * np.kron(np.outer(r, r), np.diag(p) - np.outer(p, p))

    def score(self, strength, change):
        """Log evidence plus leave-one-out log-likelihood, a Newton step with an own Hessian for each row."""
        logits = self.start + self.rows @ change
        p = softmax(logits, axis=1)
        hessian = strength * np.eye(change.size) + sum(self.curvature_of(i, p) for i in range(len(p)))
        half_logdet = 0.5 * (np.linalg.slogdet(hessian)[1] - change.size * np.log(strength))
        held_out = logits.copy()
        for i, row in enumerate(self.rows):
            gradient = self.weight[i] * np.kron(row, p[i] - self.onehot[i])
            step = np.linalg.solve(hessian - self.curvature_of(i, p), gradient).reshape(change.shape)
            held_out[i] += row @ step
        evidence = self.likelihood(logits) - 0.5 * strength * (change**2).sum() - half_logdet
        return evidence + self.likelihood(held_out)

    def choose(self):
        """The strength with the best score, and the head's change there."""
        change, best = np.zeros((self.rows.shape[1], self.start.shape[1])), (-np.inf, None, None)
        for strength in STRENGTHS:
            change = self.optimum(strength, change)
            best = max(best, (self.score(strength, change), strength, change), key=lambda found: found[0])
        return best[1:]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("n_rows", "n_classes", "n_features"), [(9, 9, 12), (15, 5, 8), (20, 4, 30), (12, 2, 6), (40, 3, 5)]
)
def test_auto_chooses_and_solves_as_a_slow_search_over_all_weights(n_rows, n_classes, n_features, seed):
    args = problem(n_rows, n_classes, n_features, seed, spread=1.0 + seed)
    strength, change = Slow(*args).choose()
    solved = solve_softmax(*args, "auto")
    assert solved.alpha == strength
    np.testing.assert_allclose(solved.weight - args[3], change.T[:, :-1] / np.sqrt(n_features), atol=1e-4)
    np.testing.assert_allclose(solved.bias - args[4], change.T[:, -1], atol=1e-4)


@pytest.mark.parametrize("strength", STRENGTHS[::2])
@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_rows_and_weights_give_the_same_determinant_and_leave_one_out_logits(strength, spread):
    features, codes, weight, W0, b0 = problem(14, 5, 20, seed=1, spread=spread)
    reduced = _Softmax(_Reduced(features).rows, features @ W0.T + b0, np.eye(5)[codes], weight)
    change, _ = reduced.solve(strength)
    logits = reduced.start + reduced.rows @ change
    p = softmax(logits, axis=1)
    hessian = reduced._hessian(p)
    hessian[np.diag_indices_from(hessian)] += strength
    ours = RowCurvature(reduced.rows @ reduced.rows.T / strength, p, weight)
    size = len(hessian)
    assert ours.half_logdet() == pytest.approx(0.5 * (np.linalg.slogdet(hessian)[1] - size * np.log(strength)))
    found = logits + ours.leave_one_out(weight[:, None] * (p - reduced.onehot))
    expected = reduced.leave_one_out(change, p, hessian)
    np.testing.assert_allclose(
        log_softmax(found, axis=1), log_softmax(expected, axis=1), atol=1e-6 * np.abs(expected).max()
    )


@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_the_path_of_newton_s_method_passes_through_the_optima(spread):
    features, codes, weight, W0, b0 = problem(14, 5, 20, seed=2, spread=spread)
    reduced = _Softmax(_Reduced(features).rows, features @ W0.T + b0, np.eye(5)[codes], weight)
    path = RowPath(reduced.rows, reduced.start, reduced.onehot, weight)
    for strength in STRENGTHS:
        change, _, n_steps = path.optimum(strength)
        expected, _ = reduced.solve(strength, tolerance=1e-9)
        expected -= expected.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(change - change.mean(axis=1, keepdims=True), expected, atol=1e-4)
        assert n_steps < 8


@pytest.mark.parametrize(("strategy", "shared"), [(LinearProbing(), True), (ProbeThenTune(), False)])
def test_blocks_are_copied_only_where_something_may_train_them(strategy, shared, monkeypatch):
    backbone, seen = FromScratch(arguments={"hidden_layer_sizes": (4, 3)}).build(4), []
    begin = training.begin_head
    monkeypatch.setattr(training, "begin_head", lambda assembly, *rest: (seen.append(assembly), begin(assembly, *rest)))
    TransferClassifier(backbone, strategy=strategy, max_epochs=1).fit(*moons(30))
    assert [a is b for a, b in zip(seen[0].module.blocks, backbone._modules, strict=True)] == [shared, shared]
