"""Alarms against a state machine that walks sample by sample, and against counted budgets."""

import itertools
import json
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest

from sktransfer import Alarms, DataQualityWarning
from sktransfer.monitoring.alarm_state import AlarmState
from sktransfer.monitoring.segments import days_watched, segments

MINUTE, DAY = 60.0, 1440


def fitted(threshold=0.0, mean=0.0, std=1.0, **parameters):
    """Alarms whose threshold is known, of scores a minute."""
    alarms = Alarms(**parameters)
    alarms.threshold_, alarms.mean_, alarms.std_, alarms.max_gap_ = threshold, mean, std, 3 * MINUTE
    return alarms


def walk(scores, on, off, threshold=0.0, back=0.0, k_of_n=None):
    """One sample after the other, as a controller does it."""
    state, found, low, high, last = False, [], 0, 0, []
    for score in scores:
        low = low + 1 if score < threshold else 0
        high = high + 1 if score >= back else 0
        last = [*last, score < threshold][-(k_of_n[1] if k_of_n else 1) :]
        begins = low >= on if k_of_n is None else (sum(last) >= k_of_n[0] and score < threshold)
        if begins:
            state = True
        elif high >= off:
            state = False
        found.append(state)
    return np.array(found)


def test_the_deadband_is_in_deviations_of_the_healthy_scores():
    scores = np.array([-1, 0.5, 0.5, 1.5, 1.5, -1, 2.5])
    state = fitted(std=2.0, on_delay=1, off_delay=1, deadband=0.5).transform(scores, time=np.arange(7) * MINUTE)
    assert state.tolist() == [True, True, True, False, False, True, False]  # back from 1.0 on


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ({"on_delay": 1, "off_delay": 1}, {"on": 1, "off": 1}),
        ({"on_delay": 3, "off_delay": 4}, {"on": 3, "off": 4}),
        ({"on_delay": 2, "off_delay": 3, "deadband": 0.7}, {"on": 2, "off": 3, "back": 0.7}),
        ({"k_of_n": (3, 5), "off_delay": 2}, {"on": 0, "off": 2, "k_of_n": (3, 5)}),
    ],
)
def test_states_are_those_of_a_controller_that_walks(seed, parameters, arguments):
    scores = np.random.default_rng(seed).normal(size=400).cumsum() / 3
    state = fitted(**parameters).transform(scores, time=np.arange(400) * MINUTE)
    np.testing.assert_array_equal(state, walk(scores, **arguments))


def test_nothing_looks_across_a_gap_or_from_machine_to_machine():
    scores = np.full(6, -1.0)
    one = fitted(on_delay=4, off_delay=1)
    time = np.arange(6) * MINUTE
    assert one.transform(scores, time=time).tolist() == [False] * 3 + [True] * 3
    late = np.where(np.arange(6) >= 3, time + 3600, time)
    assert not one.transform(scores, time=late).any()
    assert not one.transform(scores, time=time, machine=[1, 1, 1, 2, 2, 2]).any()
    # machines that take turns
    turns = one.transform(np.repeat(scores, 2), time=np.repeat(time, 2), machine=np.tile(["a", "b"], 6))
    assert turns.reshape(6, 2).T.tolist() == [[False] * 3 + [True] * 3] * 2
    # nor do the samples before a gap count for the end of an alarm
    behind = fitted(on_delay=2, off_delay=2).transform([-1, -1, 1, 1, 1.0], time=[0, 60, 120, 9999, 10059.0])
    assert behind.tolist() == [False, True, True, True, False]


def test_the_order_of_machines_in_the_table_does_not_matter():
    rng = np.random.default_rng(0)
    scores, time = rng.normal(size=300), np.tile(np.arange(100) * MINUTE, 3)
    machine = np.repeat(["a", "b", "c"], 100)
    one = fitted(on_delay=2, off_delay=3)
    state = one.transform(scores, time=time, machine=machine)
    mixed = np.lexsort((machine, time))
    np.testing.assert_array_equal(one.transform(scores[mixed], time=time[mixed], machine=machine[mixed]), state[mixed])


@pytest.mark.parametrize("filter", ["none", "ewma", "cusum"])
@pytest.mark.parametrize("budget", [0.2, 1.0])
def test_the_budget_is_kept_on_later_healthy_days(filter, budget):
    rng = np.random.default_rng(0)
    days = 60
    time = np.arange(days * DAY) * MINUTE
    alarms = Alarms(alarms_per_day=budget, filter=filter).fit(rng.normal(size=days * DAY), time=time)
    assert alarms.n_days_ == pytest.approx(days)
    assert alarms.false_alarms_per_day_ <= budget
    later = [
        alarms.report(rng.normal(size=days * DAY), np.zeros(days * DAY), time=time)["false_alarms_per_day"]
        for _ in range(3)
    ]
    assert 0.3 * budget < np.mean(later) < 2 * budget


def test_a_budget_leaves_room_for_one_more_alarm_and_the_root_of_their_count():
    scores = np.random.default_rng(3).normal(size=20 * DAY)
    time = np.arange(len(scores)) * MINUTE
    counts = {allowed: Alarms(alarms_per_day=allowed / 20).fit(scores, time=time) for allowed in (1, 3, 20)}
    n = {allowed: round(one.false_alarms_per_day_ * one.n_days_) for allowed, one in counts.items()}
    # the largest n with n + 1 + sqrt(n + 1) at most as many as are allowed; thresholds come in steps
    assert n[1] == n[3] == 0
    assert 12 <= n[20] <= 15


def test_filters_are_their_recursions():
    scores = np.random.default_rng(0).normal(size=50)
    ewma, mean, expected = fitted(mean=0.3, filter="ewma", smoothing=0.2), 0.3, []
    for score in scores:
        mean = 0.2 * score + 0.8 * mean
        expected.append(mean)
    np.testing.assert_allclose(ewma._filtered(scores, ewma._at_rest(0.0).level), expected)
    cusum = fitted(mean=0.3, std=2.0, filter="cusum", slack=0.25)
    total, expected = 0.0, []
    for score in scores:
        total = max(0.0, total + (0.3 - score) - 0.5)
        expected.append(-total)
    np.testing.assert_allclose(cusum._filtered(scores, cusum._at_rest(0.0).level), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "parameters",
    [
        {"on_delay": 3, "off_delay": 4, "deadband": 0.2},
        {"k_of_n": (3, 5), "off_delay": 2},
        {"k_of_n": (1, 1), "off_delay": 1},
        {"filter": "ewma", "on_delay": 2, "off_delay": 3},
        {"filter": "cusum", "on_delay": 1, "off_delay": 6, "slack": 0.1},
    ],
)
def test_scores_in_pieces_give_the_alarms_of_one_piece(parameters, seed):
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.choice([1.0, 1.0, 1.0, 2.0, 5.0], 300)) * MINUTE  # five minutes are a gap
    time, machine = np.tile(time, 2), np.repeat(["a", "b"], 300)
    scores = np.sin(np.arange(600) / 15) + 0.5 * rng.normal(size=600)
    order = np.argsort(time, kind="stable")
    time, machine, scores = time[order], machine[order], scores[order]
    one = fitted(-4.0 if parameters.get("filter") == "cusum" else 0.0, mean=0.1, std=0.7, **parameters)
    whole, last = one.update(scores, time=time, machine=machine)
    assert 0.05 < whole.mean() < 0.95
    cuts, found, states = [0, *np.sort(rng.choice(600, 12, replace=False)), 600], [], None
    for start, stop in itertools.pairwise(cuts):
        rows = slice(start, stop)
        if states is not None:  # what a job keeps in a file
            states = {name: AlarmState.from_dict(json.loads(json.dumps(of.as_dict()))) for name, of in states.items()}
        on, states = one.update(scores[rows], time=time[rows], machine=machine[rows], states=states)
        found.append(on)
    np.testing.assert_array_equal(np.concatenate(found), whole)
    assert states == last  # to the last bit
    np.testing.assert_array_equal(whole, one.transform(scores, time=time, machine=machine))


def test_a_score_that_is_not_later_than_what_was_seen_is_refused():
    one = fitted()
    states = one.update([0.0, 0.0], time=[0.0, MINUTE], machine=["a", "a"])[1]
    with pytest.raises(ValueError, match="machine 'a' is not later"):
        one.update([0.0], time=[MINUTE], machine=["a"], states=states)
    assert set(one.update([0.0], time=[MINUTE], machine=["b"], states=states)[1]) == {"a", "b"}


def test_scores_of_another_rate_than_those_of_fit_are_said_to_be():
    healthy = np.random.default_rng(0).normal(size=30 * DAY)
    alarms = Alarms(alarms_per_day=1.0).fit(healthy, time=np.arange(30 * DAY) * MINUTE)
    assert alarms.max_gap_ == 3 * MINUTE
    with pytest.warns(DataQualityWarning, match="step of time of these 50 scores, 3600 s, is a gap, longer than 180"):
        assert not alarms.transform(np.full(50, -9.0), time=np.arange(50) * 3600.0).any()


def test_a_slow_drift_is_found_sooner_by_sums_than_by_single_scores():
    rng = np.random.default_rng(1)
    healthy, time = rng.normal(size=30 * DAY), np.arange(30 * DAY) * MINUTE
    drift = rng.normal(size=2 * DAY) - np.linspace(0, 2, 2 * DAY)
    delays = {}
    for name in ("none", "ewma", "cusum"):
        alarms = Alarms(alarms_per_day=0.1, filter=name).fit(healthy, time=time)
        delays[name] = alarms.report(drift, np.ones(2 * DAY), time=time[: 2 * DAY])["delay"]
    assert max(delays["ewma"], delays["cusum"]) < 0.8 * delays["none"]


def test_the_report_counts_faults_delays_and_false_alarms():
    scores = np.array([0, -1, -1, 0, 0, 0, -1, -1, -1, 0, 0, 0, 0, 0.0])
    truth = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0])
    found = fitted(-0.5, on_delay=2, off_delay=2).report(scores, truth, time=np.arange(14) * MINUTE)
    assert found["n_faults"] == 2
    assert found["missed"] == 1
    assert found["delay"] == 2 * MINUTE  # from sample 5 to sample 7
    assert found["false_alarms"] == 1  # at sample 2
    healthy_minutes = 5 + 2 + 1
    assert found["false_alarms_per_day"] == pytest.approx(DAY / healthy_minutes)


def test_datetimes_and_seconds_are_one():
    scores = np.random.default_rng(0).normal(size=200)
    stamps = pd.date_range("2026-03-28 22:00", periods=200, freq="min", tz="Europe/Berlin")
    one = fitted(on_delay=2, off_delay=3)
    expected = one.transform(scores, time=np.arange(200) * MINUTE)
    for time in (stamps, stamps.tz_localize(None).to_numpy(), [str(stamp) for stamp in stamps]):
        np.testing.assert_array_equal(one.transform(scores, time=time), expected)


def test_too_few_days_are_said():
    rng = np.random.default_rng(0)
    with pytest.warns(DataQualityWarning, match=r"on at least 10 days of healthy scores, and there are 1\."):
        alarms = Alarms(alarms_per_day=0.1).fit(rng.normal(size=DAY), time=np.arange(DAY) * MINUTE)
    assert alarms.false_alarms_per_day_ == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Alarms(alarms_per_day=2.0).fit(rng.normal(size=DAY), time=np.arange(DAY) * MINUTE)


def test_a_file_answers_as_before(tmp_path):
    scores, time = np.random.default_rng(0).normal(size=20 * DAY), np.arange(20 * DAY) * MINUTE
    alarms = Alarms().fit(scores, time=time)
    joblib.dump(alarms, tmp_path / "alarms.joblib")
    again = joblib.load(tmp_path / "alarms.joblib")
    np.testing.assert_array_equal(again.transform(scores - 2, time=time), alarms.transform(scores - 2, time=time))


@pytest.mark.parametrize(
    ("scores", "options", "words"),
    [
        ([0.0, np.nan], {"time": [0, 1]}, "1 of 2 scores are NaN"),
        ([0.0, 1.0], {"time": [0, 1, 2]}, r"time of shape \(3,\); expected \(2,\)"),
        ([0.0, 1.0], {"time": [1, 0]}, "time runs backwards at sample 1. Sort"),
        ([0.0, 1.0, 2.0], {"time": [1, 5, 0], "machine": ["a", "a", "a"]}, "backwards at sample 2 of machine"),
        ([0.0, 1.0], {"time": [0, 1], "machine": [1]}, r"machine of shape \(1,\)"),
        ([0.0, 1.0], {"time": [0, np.nan]}, "1 of 2 times are missing"),
        ([0.0, 1.0], {"time": np.array(["2026-01-01", "NaT"], dtype="datetime64[s]")}, "1 of 2 times are missing"),
        ([[0.0], [1.0]], {"time": [0, 1]}, r"scores of shape \(2, 1\)"),
        ([0.0], {"time": [0]}, "at least 2 healthy scores"),
    ],
)
def test_what_cannot_be_used_is_an_error(scores, options, words):
    with pytest.raises(ValueError, match=words):
        Alarms().fit(scores, **options)


def test_time_that_runs_backwards_is_an_error_when_alarms_are_asked_for_too():
    one = fitted(on_delay=2, off_delay=3)
    for ask in (one.transform, lambda scores, time: one.report(scores, [0, 1, 1], time=time)):
        with pytest.raises(ValueError, match="Alarms: time runs backwards at sample 2"):
            ask([0.0, -1.0, -1.0], time=[0.0, 60.0, 30.0])


def test_an_alarm_that_is_on_when_data_stop_is_on_when_they_come_again_and_is_no_second_one():
    one = fitted(on_delay=2, off_delay=3)
    scores, time = np.array([-1.0] * 4 + [-1, 1, 1, 1, 1]), np.arange(9) * MINUTE
    time[4:] += 100 * MINUTE
    state = one.transform(scores, time=time)
    assert state.tolist() == [False, True, True, True, True, True, True, False, False]
    found = one.report(scores, np.ones(9), time=time)
    assert (found["n_faults"], found["missed"], found["false_alarms"]) == (2, 0, 0)
    assert found["delay"] == MINUTE / 2  # a minute to the first fault, none to the second
    assert one.report(scores, np.zeros(9), time=time)["false_alarms"] == 1
    # on another machine it is another one
    machine = ["a"] * 4 + ["b"] * 5
    assert one.transform(scores, time=time, machine=machine).tolist() == [False, True, True, True] + [False] * 5


@pytest.mark.parametrize("filter", ["none", "ewma", "cusum"])
def test_fit_counts_alarms_as_transform_raises_them(filter):
    """Whatever the gaps: the alarms that begin on the healthy scores are those that fit has counted."""
    rng = np.random.default_rng(4)
    scores = np.convolve(rng.normal(size=4000), np.ones(20) / 4, mode="same")
    time = np.cumsum(np.where(rng.random(4000) < 0.03, 1000.0, 1.0)) * MINUTE
    machine = np.repeat(["a", "b"], 2000)
    one = Alarms(alarms_per_day=5.0, on_delay=2, off_delay=30, filter=filter).fit(scores, time=time, machine=machine)
    on = one.transform(scores, time=time, machine=machine)
    begins = on & ~np.concatenate([[False], on[:-1] & (machine[1:] == machine[:-1])])
    assert begins.sum() == round(one.false_alarms_per_day_ * one.n_days_) > 5


def test_wrong_parameters_are_errors():
    for parameters in ({"k_of_n": (3, 2)}, {"k_of_n": (1,)}, {"on_delay": 0}, {"filter": "median"}, {"smoothing": 0}):
        with pytest.raises(ValueError, match=next(iter(parameters))):
            Alarms(**parameters).fit([0.0, 1.0], time=[0, 1])


def test_segments_and_days():
    seconds = np.array([0, 60, 120, 1000, 1060.0])
    assert segments("A", seconds, None, None).tolist() == [0, 0, 0, 1, 1]
    assert segments("A", seconds, None, 2000.0).tolist() == [0] * 5
    minutes = days_watched(seconds, np.array([0, 0, 0, 1, 1])) * 1440
    np.testing.assert_allclose(minutes, 1)
    uneven = days_watched(np.array([0.0, 60, 300, 360]), np.zeros(4, dtype=int)) * 1440
    np.testing.assert_allclose(uneven, [1, 4, 1, 1])
