"""Sensor faults: each equals its formula on a known signal."""

import numpy as np
import pytest

from datasets.sensor_faults import AFFINE_FAULTS, SENSOR_FAULTS, affine, inject

N, ONSET = 300, 100
T = np.arange(N)
SINCE = np.arange(N - ONSET)


@pytest.fixture
def x():
    return np.array([np.sin(T / 9), np.cos(T / 17) + 0.01 * T, np.where(T % 50 < 25, -1.0, 1.0)])


def faulty(x, fault, severity=0.5, seed=3, **options):
    return inject(x, fault, np.random.default_rng(seed), severity, channel=1, onset=ONSET, **options)


@pytest.mark.parametrize("fault", SENSOR_FAULTS)
def test_nothing_changes_before_the_onset_nor_in_other_channels(x, fault):
    before = x.copy()
    y, record = faulty(x, fault)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(y[:, :ONSET], x[:, :ONSET])
    touched = {1, record.get("other")} if fault == "swapped" else {1}
    for channel in set(range(3)) - touched:
        np.testing.assert_array_equal(y[channel], x[channel])
    assert np.abs(y[1, ONSET:] - x[1, ONSET:]).max() > 0.05
    assert (record["fault"], record["channel"], record["onset"], record["severity"]) == (fault, 1, ONSET, 0.5)


@pytest.mark.parametrize("fault", SENSOR_FAULTS)
def test_same_generator_same_bytes(x, fault):
    assert faulty(x, fault)[0].tobytes() == faulty(x, fault)[0].tobytes()


@pytest.mark.parametrize(
    ("fault", "size", "shape"),
    [
        ("bias", 0.5 * 20**0.5, np.ones(N - ONSET)),
        ("drift_linear", 1.5 * 8**0.5, SINCE / (N - ONSET)),
        ("drift_quadratic", 1.5 * 8**0.5, (SINCE / (N - ONSET)) ** 2),
    ],
)
def test_what_is_added(x, fault, size, shape):
    y, record = faulty(x, fault)
    assert abs(record["size"]) == pytest.approx(size)
    np.testing.assert_allclose((y - x)[1, ONSET:], record["size"] * shape, atol=1e-12)


def test_a_drift_reaches_its_size_after_its_span(x):
    y, record = faulty(x, "drift_linear", span=50)
    assert (y - x)[1, ONSET + 50] == pytest.approx(record["size"])


def test_gain_turns_about_the_zero_of_the_instrument(x):
    y, record = faulty(x, "gain", zero=-4.0)
    np.testing.assert_allclose(y[1, ONSET:] + 4.0, record["size"] * (x[1, ONSET:] + 4.0))
    assert abs(np.log(record["size"])) == pytest.approx(0.3 + 1.2 * 0.5)


def test_stuck_holds_the_value_of_the_onset(x):
    assert set(faulty(x, "stuck")[0][1, ONSET:]) == {x[1, ONSET]}
    y, record = faulty(x, "stuck_noise", severity=1.0)
    assert y[1, ONSET:].mean() == pytest.approx(x[1, ONSET], abs=0.1)
    assert y[1, ONSET:].std() == pytest.approx(0.3, rel=0.15)
    assert record["size"] == pytest.approx(0.3)


def test_random_walk_grows_with_the_root_of_time():
    ends = []
    for seed in range(400):
        y, record = inject(np.zeros((1, 100)), "drift_walk", np.random.default_rng(seed), 0.5, channel=0, onset=0)
        ends.append([y[0, 24], y[0, 99]])
        steps = np.diff(y[0])
        assert steps.std() == pytest.approx(record["size"] / 10, rel=0.3)
    quarter, whole = np.std(ends, axis=0) / (1.5 * 6**0.5)
    assert (quarter, whole) == (pytest.approx(0.5, rel=0.1), pytest.approx(1.0, rel=0.1))


def test_spikes_are_rare_large_and_of_both_signs():
    y, record = inject(np.zeros((1, 20_000)), "spikes", np.random.default_rng(0), 1.0, onset=0)
    hit = y[0] != 0
    assert record["size"] == 15
    assert hit.mean() == pytest.approx(record["share"], rel=0.15)
    assert np.all((np.abs(y[0, hit]) >= 0.7 * 15) & (np.abs(y[0, hit]) <= 1.3 * 15))
    assert 0.4 < (y[0, hit] > 0).mean() < 0.6


def test_dropouts_read_one_value_in_short_runs(x):
    y, record = faulty(x, "dropouts")
    lost = y[1] != x[1]
    assert set(y[1, lost]) == {record["size"]}
    assert 4 <= abs(record["size"]) <= 12
    assert 0.3 * record["share"] < lost[ONSET:].mean() < 1.5 * record["share"]


def test_noise_bursts_begin_at_the_onset_and_leave_gaps():
    y, record = inject(np.zeros((1, 5_000)), "noise_burst", np.random.default_rng(1), 0.5, onset=1_000, span=500)
    on = y[0] != 0
    assert on[1_000:1_040].all()
    assert y[0, on].std() == pytest.approx(6**0.5, rel=0.1)
    assert record["size"] == pytest.approx(6**0.5)
    assert 0.1 < on[1_000:].mean() < 0.9


def test_quantised_readings_are_whole_steps_and_off_by_half_a_step_at_most(x):
    y, record = faulty(x, "quantisation")
    steps = y[1, ONSET:] / record["size"]
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert np.abs((y - x)[1]).max() <= record["size"] / 2 + 1e-12


def test_delay_reads_the_past(x):
    y, record = faulty(x, "delay")
    d = record["size"]
    assert d == round(2 + 0.5 * (0.2 * N - 2))
    np.testing.assert_array_equal(y[1, ONSET:], x[1, ONSET - d : N - d])


@pytest.mark.parametrize("seed", range(6))
def test_clipping_cuts_one_side(x, seed):
    y, record = faulty(x, "clipping", seed=seed)
    cut = np.minimum if record["side"] > 0 else np.maximum
    np.testing.assert_array_equal(y[1, ONSET:], cut(x[1, ONSET:], record["size"]))
    assert record["size"] == pytest.approx(record["side"] * 0.2)


def test_cross_talk_and_swapped(x):
    y, record = faulty(x, "cross_talk")
    np.testing.assert_allclose((y - x)[1, ONSET:], record["size"] * x[record["other"], ONSET:])
    assert abs(record["size"]) == pytest.approx(0.9)
    y, record = faulty(x, "swapped")
    np.testing.assert_array_equal(y[1, ONSET:], x[record["other"], ONSET:])
    np.testing.assert_array_equal(y[record["other"], ONSET:], x[1, ONSET:])


@pytest.mark.parametrize("fault", AFFINE_FAULTS)
def test_injecting_is_the_affine_law(x, fault):
    y, _ = faulty(x, fault)
    a, b, hold, _ = affine(fault, N, ONSET, np.random.default_rng(3), 0.5)
    np.testing.assert_array_equal(y[1], a * x[1] + b + hold * x[1, ONSET])


@pytest.mark.parametrize(
    ("fault", "options", "message"),
    [
        ("biass", {}, "biass"),
        ("bias", {"severity": 0.0}, r"\(0, 1\]"),
        ("bias", {"onset": N}, "onset"),
        ("swapped", {"x": np.zeros((1, N))}, "second"),
    ],
)
def test_what_cannot_be_injected_is_an_error(x, fault, options, message):
    settings = {"x": x, "severity": 0.5, "onset": ONSET} | options
    with pytest.raises(ValueError, match=message):
        inject(settings["x"], fault, np.random.default_rng(0), settings["severity"], onset=settings["onset"])
