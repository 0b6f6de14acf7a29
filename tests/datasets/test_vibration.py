"""The simulated bearings and structures: their records against kinematics and signal theory computed here."""

import numpy as np
import pytest
from scipy import signal

from tests.vibration import RATE, RPM, at, envelope_spectrum, part, quiet, record, rolling


def test_orders_are_those_of_surfaces_that_roll(vibration):
    for n, ratio, angle in [(6, 0.3, 0.0), (9, 0.22, 15.0), (16, 0.16, 40.0)]:
        np.testing.assert_allclose(vibration.Bearing(n, ratio, angle).orders(), rolling(n, ratio, angle), rtol=1e-12)


def test_cage_slip_moves_both_races_and_keeps_their_sum(vibration):
    bearing = vibration.Bearing(9, 0.22, 15.0)
    exact, slipped = bearing.orders(), bearing.orders(0.02)
    assert slipped[0] == pytest.approx(0.98 * exact[0])
    assert slipped[1] == pytest.approx(exact[1] + 0.02 * exact[0])
    assert slipped[:2].sum() == pytest.approx(9)


@pytest.mark.parametrize("distributed", [False, True])
def test_outer_race_peaks_at_bpfo(vibration, distributed):
    bpfo = rolling(9, 0.22, 15.0)[0]
    x = record(quiet(vibration), "outer", distributed=distributed, position=0.0, rotating_load=0.0, extent=0.05)[0]
    orders, size = envelope_spectrum(x)
    band = (orders > 0.2) & (orders < 1.5 * bpfo)
    assert orders[band][np.argmax(size[band])] == pytest.approx(bpfo, rel=0.005)


def test_a_slipping_cage_is_seen(vibration):
    bearing = vibration.Bearing(9, 0.22, 15.0, slip=0.02)
    x = record(
        quiet(vibration, bearing=bearing), "outer", distributed=False, position=0.0, jitter=0.001, rotating_load=0.0
    )
    slip = quiet(vibration, bearing=bearing)._run(np.random.default_rng(1), RPM, 1.0, 4096).slip  # as in the record
    orders, size = envelope_spectrum(x[0])
    band = (orders > 0.2) & (orders < 1.5 * rolling(9, 0.22, 15.0)[0])
    assert 0.005 < slip <= 0.02
    assert orders[band][np.argmax(size[band])] == pytest.approx(rolling(9, 0.22, 15.0)[0] * (1 - slip), rel=0.002)


def test_inner_race_peaks_at_bpfi_with_shaft_sidebands(vibration):
    bpfi = rolling(9, 0.22, 15.0)[1]
    x = record(quiet(vibration), "inner", distributed=False, jitter=0.002, extent=0.05, scatter=0.05)[0]
    orders, size = envelope_spectrum(x)
    noise = np.median(size[orders < 12])
    for order in (1.0, bpfi - 1, bpfi, bpfi + 1):
        assert at(order, orders, size) > 20 * noise
    assert at(bpfi, orders, size) > at(bpfi + 0.5, orders, size) * 10
    assert at(bpfi, orders, size) > at(bpfi - 1, orders, size)


def test_ball_shows_twice_its_spin_and_the_cage(vibration):
    _, _, bsf, ftf = rolling(9, 0.22, 15.0)
    details = {
        "distributed": False,
        "jitter": 0.001,
        "extent": 0.05,
        "second_race": 1.0,
        "presence": 1.0,
        "scatter": 0.05,
    }
    orders, size = envelope_spectrum(record(quiet(vibration), "ball", **details)[0])
    noise = np.median(size[orders < 12])
    for order in (ftf, 2 * bsf - ftf, 2 * bsf, 2 * bsf + ftf):
        assert at(order, orders, size) > 10 * noise
    one_race = envelope_spectrum(record(quiet(vibration), "ball", **{**details, "second_race": 0.0})[0])
    share = [at(bsf, *pair) / at(2 * bsf, *pair) for pair in ((orders, size), one_race)]
    assert share[0] < 0.3 < share[1]  # hits on one race only come once a turn of the ball


def test_cage_shows_its_own_speed(vibration):
    ftf = rolling(9, 0.22, 15.0)[3]
    orders, size = envelope_spectrum(record(quiet(vibration), "cage", distributed=False, jitter=0.002, extent=0.02)[0])
    for k in (1, 2, 3):
        assert at(k * ftf, orders, size) > 3 * at((k + 0.5) * ftf, orders, size)


def test_random_slip_adds_up_like_a_random_walk(vibration):
    passes = part("bearing_faults").passes
    rng = np.random.default_rng(0)
    angles = [passes(rng, 4.0, 0.01, (0, 30)) for _ in range(800)]
    walks = np.array([angle[50] - angle[0] - 50 / 4.0 for angle in angles])
    assert walks.std() == pytest.approx(0.01 * np.sqrt(50) / 4.0, rel=0.1)
    assert abs(walks.mean()) < 0.002


def test_load_zone_is_stribeck_s(vibration):
    half = vibration.Bearing(9, 0.2, 0.0, load_factor=0.5, exponent=1.5)
    np.testing.assert_allclose(
        half.load(np.array([0.0, 0.125, 0.25, 0.5])), [1, np.cos(np.pi / 4) ** 1.5, 0, 0], atol=1e-12
    )
    assert vibration.Bearing(9, 0.2, 0.0, load_factor=2.0).load(0.5) == pytest.approx(0.5**1.5)


def test_an_impulse_rings_at_the_natural_frequency_and_decays_by_its_damping(vibration):
    path = part("path")
    one = path.Path(np.array([2_000.0]), np.array([0.02]), np.ones((1, 1)), 0.0, 1e9, 1e9, 0.1)
    n = 8_192
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    response = np.fft.irfft(path.impulse_spectrum([100.0], [1.0], n) * one.structure(frequency)[0], n)
    envelope = np.abs(signal.hilbert(response))
    first, last = 120, 320
    decay = np.log(envelope[first] / envelope[last]) / (last - first) * RATE
    assert decay == pytest.approx(2 * np.pi * 2_000.0 * 0.02, rel=0.02)
    crossings = np.count_nonzero(np.diff(np.signbit(response[first:last])))
    assert crossings == pytest.approx(2 * 2_000.0 * np.sqrt(1 - 0.02**2) * (last - first) / RATE, abs=1.01)


def test_an_impulse_between_samples_has_the_phase_of_its_instant(vibration):
    made = part("path").impulse_spectrum([40.3], [1.0], 256)
    exact = np.exp(-2j * np.pi * np.arange(129) / 256 * 40.3)
    assert np.abs(np.angle(made / exact)).max() < 0.02
    assert 0.9 < np.abs(made).min() <= np.abs(made).max() < 1.001
