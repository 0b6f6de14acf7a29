"""Heads that are solved together are those that are solved one by one."""

import numpy as np
import pytest

from sktransfer.solvers.evidence import LogEvidence
from sktransfer.solvers.logistic import ALPHAS, solve_softmax
from sktransfer.solvers.stacked_laplace import SoftmaxProblem, common_alpha, log_evidences, solve_softmax_stack


def problems():
    rng = np.random.default_rng(0)
    found = []
    for n, n_classes, d, size in [
        (13, 3, 40, 0.0),
        (20, 3, 40, 1.0),
        (17, 4, 40, 3.0),
        (2, 2, 40, 1.0),
        (160, 3, 40, 1.0),
    ]:
        codes = np.r_[np.arange(n_classes), rng.integers(n_classes, size=n - n_classes)]
        means = 0.3 * rng.normal(size=(n_classes, d))
        W0 = size * means + 0.1 * rng.normal(size=means.shape)
        weight = rng.integers(1, 4, size=n).astype(float)
        found.append(
            SoftmaxProblem(means[codes] + rng.normal(size=(n, d)), codes, weight, W0, 0.1 * np.arange(n_classes))
        )
    return found


@pytest.mark.parametrize("alpha", ["auto", 0.01, np.inf])
@pytest.mark.parametrize("calibrated", [False, True])
def test_stacked_heads_are_those_alone(alpha, calibrated):
    some = problems()
    for one, found in zip(some, solve_softmax_stack(some, alpha, calibrated), strict=True):
        expected = solve_softmax(one.features, one.codes, one.weight, one.W0, one.b0, alpha, calibrated)
        assert (found.alpha, found.temperature) == (expected.alpha, expected.temperature)
        # without a Newton step before it, L-BFGS stops at its tolerance
        atol = 1e-7 if calibrated or alpha == "auto" else 1e-4
        np.testing.assert_allclose(found.weight, expected.weight, atol=atol)
        np.testing.assert_allclose(found.bias, expected.bias, atol=atol)


def test_stacked_evidence_is_that_alone():
    some = problems()
    expected = [LogEvidence(p.features, p.codes, p.weight, len(p.b0))(p.W0, p.b0) for p in some]
    np.testing.assert_allclose(log_evidences(some), expected, atol=1e-9)


def test_the_common_alpha_of_copies_is_their_own():
    for one in problems()[:3]:
        own = solve_softmax(one.features, one.codes, one.weight, one.W0, one.b0, "auto").alpha
        assert common_alpha([one] * 3) == own
    assert common_alpha([problems()[-1]]) is None  # too many rows
    assert common_alpha(problems()) in ALPHAS
