"""Which alphas are tried, when the search ends, and which rows choose."""

import numpy as np
import pytest

from sktransfer.solvers import logistic
from sktransfer.solvers.laplace import AlphaScore
from sktransfer.solvers.logistic import _Softmax, solve_softmax

GRID = [1.0, 10**-0.5, 0.1, 10**-1.5, 0.01, 10**-2.5, 0.001]


def problem(n_rows, n_classes=2):
    rng = np.random.default_rng(0)
    codes = np.arange(n_rows) % n_classes
    rows = rng.normal(size=(n_rows, 3))
    return _Softmax(rows, np.zeros((n_rows, n_classes)), np.eye(n_classes)[codes], np.ones(n_rows))


def chosen(monkeypatch, scores, n_rows=20):
    """The alpha that is chosen if these are the scores of the alphas in their order, and the alphas that were tried."""
    tried = []

    def score(self, alpha, begin=None):
        tried.append(alpha)
        return AlphaScore(scores[len(tried) - 1], alpha, 3, None, None)

    monkeypatch.setattr(_Softmax, "score", score)
    best = problem(n_rows).choose_alpha()
    assert best.n_iter == 3 * len(tried)
    return best.alpha, tried


@pytest.mark.parametrize("place", range(7))
def test_every_half_decade_from_one_to_a_thousandth_may_be_chosen(monkeypatch, place):
    scores = [-abs(i - place) for i in range(7)]
    alpha, tried = chosen(monkeypatch, scores)
    assert alpha == pytest.approx(GRID[place])
    np.testing.assert_allclose(tried, GRID)


def test_many_rows_try_whole_decades(monkeypatch):
    alpha, tried = chosen(monkeypatch, [0.0, 1.0, 0.5, 0.2], n_rows=151)
    np.testing.assert_allclose(tried, [1.0, 0.1, 0.01, 0.001])
    assert alpha == pytest.approx(0.1)
    assert len(chosen(monkeypatch, [0.0] * 7, n_rows=150)[1]) == 7


@pytest.mark.parametrize(("drop", "n_tried"), [(9.9, 7), (10.1, 3)])
def test_the_search_ends_ten_nats_below_the_best(monkeypatch, drop, n_tried):
    alpha, tried = chosen(monkeypatch, [0.0, 2.0, 2.0 - drop, 2.5, 0.0, 0.0, 0.0])
    assert len(tried) == n_tried
    assert alpha == pytest.approx(GRID[3] if n_tried == 7 else GRID[1])


def test_beyond_two_thousand_rows_as_many_of_each_class_choose(monkeypatch):
    rng = np.random.default_rng(0)
    codes = np.sort(rng.permutation(np.repeat([0, 1, 2], [2400, 500, 300])))
    features = rng.normal(size=(len(codes), 2)) + codes[:, None]
    seen = []
    plain = _Softmax.score

    def score(self, alpha, begin=None):
        seen.append(tuple(self.onehot.sum(axis=0).astype(int)))
        return plain(self, alpha, begin)

    monkeypatch.setattr(_Softmax, "score", score)
    solution = solve_softmax(features, codes, np.ones(len(codes)), np.zeros((3, 2)), np.zeros(3), "auto", True)
    assert set(seen) == {(1200, 500, 300)}
    assert solution.temperature == 1.0  # no row is held out beyond
    assert solution.alpha in logistic.ALPHAS
