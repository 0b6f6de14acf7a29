"""Intervals against a bootstrap by hand, and against what they promise."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error, r2_score, root_mean_squared_error

from sktransfer.evaluation.intervals import gains_of, replicate_scores, units_of
from sktransfer.evaluation.metrics import metric_of


def test_the_interval_of_a_gain_is_that_of_a_direct_bootstrap_over_draws():
    rng = np.random.default_rng(0)
    scores = rng.normal([[0.8], [0.7], [0.5]], 0.1, size=(3, 12))
    gains = gains_of(scores, 0, np.random.default_rng(1))
    for rival in (1, 2):
        difference = scores[0] - scores[rival]
        again = [rng.choice(difference, 12).mean() for _ in range(20_000)]
        # a bootstrap of n values has sqrt((n - 1) / n) of the standard error of their mean
        half = stats.t.ppf(0.975, 11) * np.sqrt(12 / 11) * np.std(again)
        found = gains.each[rival]
        assert found.value == pytest.approx(difference.mean())
        assert (found.value - found.low, found.high - found.value) == pytest.approx((half, half), rel=0.06)
        assert half == pytest.approx(stats.t.ppf(0.975, 11) * stats.sem(difference), rel=0.03)
    assert gains.best == 1
    assert gains.over_best.value == gains.each[1].value


def test_replicates_are_scores_on_resampled_groups():
    rng = np.random.default_rng(0)
    metric = metric_of(None, 3)
    true, predicted, groups = (rng.integers(k, size=90) for k in (3, 3, 8))
    unit, n_units = units_of(90, groups, rng)
    sums = metric.sums(true, predicted, unit, n_units)
    again = replicate_scores(sums[None, None], metric, 5, np.random.default_rng(7))[:, 0, 0]
    drawn = np.random.default_rng(7).multinomial(8, np.full(8, 1 / 8), size=5)
    for score, times in zip(again, drawn, strict=True):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in range(8) for _ in range(times[g])])
        assert score == pytest.approx(balanced_accuracy_score(true[rows], predicted[rows]))


@pytest.mark.parametrize(
    ("name", "score"),
    [
        (None, lambda y, p: -mean_absolute_error(y, p)),
        ("neg_root_mean_squared_error", lambda y, p: -root_mean_squared_error(y, p)),
        ("r2", r2_score),
    ],
)
@pytest.mark.parametrize("shape", [(40,), (40, 2)])
def test_scores_of_sums_are_scikit_learns(name, score, shape):
    rng = np.random.default_rng(0)
    true, unit = rng.normal(3.0, size=shape), rng.integers(6, size=40)
    predicted = true + rng.normal(size=shape)
    metric = metric_of(name, 0)
    assert metric.score(metric.sums(true, predicted, unit, 6).sum(axis=0)) == pytest.approx(score(true, predicted))


def test_a_prediction_of_an_unknown_class_is_wrong_and_a_missing_class_is_left_out():
    metric = metric_of(None, 3)
    sums = metric.sums(np.array([0, 0, 1]), np.array([0, -1, 1]), np.zeros(3, dtype=int), 1)
    assert metric.score(sums.sum(axis=0)) == pytest.approx(0.75)


def coverage(truth, rng, n_times=300, n_draws=10):
    """How often the interval of the gain over the best holds the true one, and how often it claims a false gain."""
    held = claimed = 0
    for _ in range(n_times):
        shared = rng.normal(0, 0.05, size=n_draws)
        scores = truth[:, None] + shared + rng.normal(0, 0.05, size=(len(truth), n_draws))
        found = gains_of(scores, 0, rng, np.broadcast_to(scores, (400, *scores.shape))).over_best
        true_gain = truth[0] - truth[1:].max()
        held += found.low <= true_gain <= found.high
        claimed += found.low > 0 or found.high < 0
    return held / n_times, claimed / n_times


@pytest.mark.parametrize("n_rivals", [1, 8])
def test_equal_methods_are_told_apart_in_one_of_twenty_cases_however_many_are_compared(n_rivals):
    held, claimed = coverage(np.full(n_rivals + 1, 0.7), np.random.default_rng(0))
    assert held >= 0.93
    assert claimed <= 0.07


def test_the_interval_holds_the_true_gain_where_one_rival_is_the_best():
    held, _ = coverage(np.array([0.8, 0.7, 0.69, 0.6, 0.5]), np.random.default_rng(0))
    assert held >= 0.93


def test_shared_groups_widen_the_interval_that_draws_alone_make_too_short():
    """All draws score the same eight groups: draws alone know nothing of how groups differ."""
    rng, metric = np.random.default_rng(0), metric_of("accuracy", 2)
    held = {"draws": 0, "groups": 0}
    for _ in range(100):
        better = rng.normal(0.0, 0.2, size=8)  # of the group, true mean gain zero
        true, unit = np.zeros(400, dtype=int), np.repeat(np.arange(8), 50)
        predicted = [[rng.random(400) < 0.5 + sign * better[unit] / 2 for _ in range(10)] for sign in (1, -1)]
        sums = np.array([[metric.sums(true, p.astype(int), unit, 8) for p in method] for method in predicted])
        scores = metric.score(sums.sum(axis=2))
        for name, again in (("draws", None), ("groups", replicate_scores(sums, metric, 400, rng))):
            found = gains_of(scores, 0, rng, again).each[1]
            held[name] += found.low <= 0 <= found.high
    assert held["draws"] < 60
    assert held["groups"] >= 88


def test_many_rows_are_joined_to_units_of_one_size_and_groups_stay_whole():
    rng = np.random.default_rng(0)
    unit, n_units = units_of(5000, None, rng)
    assert n_units == 500
    assert set(np.bincount(unit)) == {10}
    groups = np.repeat(np.arange(1200), 3)
    unit, n_units = units_of(3600, groups, rng)
    assert n_units == 500
    assert all(len(set(unit[groups == g])) == 1 for g in range(0, 1200, 37))


def test_a_draw_in_which_a_fit_failed_is_left_out_of_its_pair():
    scores = np.array([[0.9, 0.8, 0.7, 0.9, 0.8, 0.7], [0.5, np.nan, 0.4, 0.5, 0.6, 0.6]])
    gains = gains_of(scores, 0, np.random.default_rng(0))
    assert gains.each[1].value == pytest.approx(np.nanmean(scores[0] - scores[1]))
    assert np.isfinite([gains.each[1].low, gains.each[1].high]).all()


def test_one_draw_has_no_interval():
    gains = gains_of(np.array([[0.9], [0.5]]), 0, np.random.default_rng(0))
    assert (gains.over_best.low, gains.over_best.high) == (-np.inf, np.inf)


def test_the_lower_end_is_the_least_over_all_rivals_and_the_upper_end_covers_all_of_them():
    rng = np.random.default_rng(0)
    scores = 0.7 + rng.normal(0, 0.01, size=(3, 10))
    scores[1] -= 0.10
    scores[2] += rng.normal(0, 0.3, size=10) - 0.25  # worse on average, and nobody knows by how much
    gains = gains_of(scores, 0, rng)
    assert gains.best == 1
    assert gains.over_best.low == pytest.approx(gains.each[2].low)
    assert gains.over_best.low < gains.each[1].low
