"""The simulated gears, rotors, motors, pumps and recorders: their records against numbers computed here."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from tests.vibration import FAULTY, HZ, RATE, RPM, at, envelope_spectrum, part, quiet, record, spectrum


@pytest.mark.parametrize("fault", FAULTY)
@pytest.mark.parametrize("snr", [-15.0, 10.0])
def test_snr_is_as_asked_next_to_the_fault_and_smaller_elsewhere(vibration, fault, snr):
    machine = quiet(vibration, fault, n_channels=3)
    faulty = record(machine, fault, snr=snr, seconds=1.0, channel=1).astype(float)
    healthy = record(machine, "healthy", seconds=1.0)  # the same noise: it is drawn before the fault
    added = np.mean((faulty - healthy) ** 2, axis=1)
    ratio = added / np.mean(healthy.astype(float) ** 2, axis=1)
    assert 10 * np.log10(ratio[1]) == pytest.approx(snr, abs=0.7)
    assert np.argmax(added) == 1


def test_noise_has_the_gain_s_power(vibration):
    machine = quiet(vibration, n_channels=2)
    machine = replace(machine, gain=np.array([0.5, 3.0]), offset=np.array([0.0, 7.0]))
    levels = [machine.record(np.random.default_rng(k), seconds=1.0, load=1.0, rpm=RPM) for k in range(30)]
    rms = np.sqrt(np.mean(np.var(levels, axis=2), axis=0))
    np.testing.assert_allclose(rms, [0.5, 3.0], rtol=0.1)
    np.testing.assert_allclose(np.mean(levels, axis=(0, 2)), [0.0, 7.0], atol=0.05)


def test_lines_of_the_healthy_machine_turn_with_it_and_grow_with_its_speed(vibration):
    machine = quiet(vibration)
    lines = replace(machine.lines, amplitude=np.zeros_like(machine.lines.amplitude))
    lines.amplitude[0, 0] = 50.0
    machine = replace(machine, lines=lines)
    sizes = []
    for speed in (RPM, 0.5 * RPM):
        x = machine.record(np.random.default_rng(0), seconds=4.0, load=1.0, rpm=speed)[0]
        sizes.append(at(speed / RPM, *spectrum(x)))
    assert sizes[0] == pytest.approx(50.0, rel=0.35)  # a line varies by a tenth between runs
    assert sizes[1] / sizes[0] == pytest.approx(0.25, rel=0.02)  # the force of an unbalance: square of the speed


def test_unbalance_grows_linearly_with_severity(vibration):
    machine = replace(quiet(vibration), fault_level=20.0)
    sizes = []
    for severity in (0.25, 0.5, 1.0):
        x = machine.record(np.random.default_rng(3), "unbalance", severity, seconds=4.0, load=1.0, rpm=RPM)[0]
        sizes.append(at(1.0, *spectrum(x)))
    np.testing.assert_allclose(np.array(sizes) / sizes[-1], [0.25, 0.5, 1.0], rtol=0.03)
    level = np.std(machine.record(np.random.default_rng(3), seconds=4.0, load=1.0, rpm=RPM))
    assert sizes[-1] / np.sqrt(2) / level == pytest.approx(10.0, rel=0.1)  # fault_level is 20 dB


def test_misalignment_is_seen_at_twice_the_speed(vibration):
    orders, size = spectrum(record(quiet(vibration), "misalignment")[0])
    assert at(2.0, orders, size) > 100 * np.median(size[orders < 10])


def test_worn_gear_has_sidebands_at_the_shaft_s_speed(vibration):
    machine = quiet(vibration, "gear_wear", teeth=25)
    orders, size = spectrum(record(machine, "gear_wear", snr=60.0, depth=0.6, index=0.0)[0])
    mesh = at(25.0, orders, size)
    for side in (24.0, 26.0):
        assert at(side, orders, size) / mesh == pytest.approx(
            0.3, rel=0.05
        )  # half the depth of an amplitude modulation
    assert at(25.5, orders, size) < 0.05 * mesh


def test_a_damaged_tooth_comes_once_a_turn(vibration):
    machine = quiet(vibration, "gear_tooth", teeth=25)
    orders, size = envelope_spectrum(record(machine, "gear_tooth")[0])
    for k in (1, 2, 3, 4):
        assert at(k, orders, size) > 5 * at(k + 0.5, orders, size)
    run = machine._run(np.random.default_rng(0), RPM, 1.0, 20_000)
    excitation = part("gear_faults").tooth(np.random.default_rng(0), machine, run, 1.0)
    instants = excitation.instants
    np.testing.assert_allclose(np.diff(instants[(instants > 0) & (instants < len(run.time))]), RATE / HZ, rtol=0.01)
    strongest = np.sort(excitation.motion**2)[::-1]
    assert strongest[: len(strongest) // 6].sum() > 0.95 * strongest.sum()  # a few of 25 teeth make all of it


def test_broken_bar_has_sidebands_at_the_pole_pass_frequency(vibration):
    motor = vibration.Motor(line=50.0, poles=4, slip=0.04, bars=28)
    machine = quiet(vibration, motor=motor, rpm=RPM * 0.96)
    rng = np.random.default_rng(0)
    x = machine.record(rng, "broken_bar", seconds=10.0, load=1.0, rpm=RPM * 0.96, snr=20.0)[0]
    window = signal.windows.hann(len(x))
    hertz, size = np.fft.rfftfreq(len(x), 1 / RATE), np.abs(np.fft.rfft(x * window))
    noise = np.median(size[(hertz > 15) & (hertz < 40)])
    for line in (24.0 - 4.0, 24.0 + 4.0):  # 24 Hz shaft, 2 x slip x 50 Hz
        assert size[np.abs(hertz - line) < 0.15].max() > 20 * noise
        assert size[np.abs(hertz - (line + 24.0) / 2) < 0.15].max() < 20 * noise


def test_eccentricity_raises_twice_the_line_frequency(vibration):
    motor = vibration.Motor(line=60.0, poles=4, slip=0.03, bars=28)
    x = record(quiet(vibration, motor=motor), "eccentricity")[0]
    orders, size = spectrum(x)
    assert orders[np.argmax(size)] * HZ == pytest.approx(120.0, abs=0.3)


def test_vanes_and_cavitation_follow_the_impeller(vibration):
    machine = quiet(vibration, "vane", vanes=6)
    orders, size = spectrum(record(machine, "vane")[0])
    assert at(6.0, orders, size) > 50 * np.median(size[orders < 20])
    x = record(machine, "cavitation", rate=0.2, by_vane=0.9)[0]
    orders, size = envelope_spectrum(x)
    assert at(6.0, orders, size) > 4 * np.median(size[orders < 12])
    assert np.mean(x**4) / np.mean(x**2) ** 2 > 3.5  # bubbles are not Gaussian


@pytest.mark.parametrize("part", [2, 3])
def test_rub_shows_multiples_of_a_fraction_of_the_speed(vibration, part):
    orders, size = spectrum(record(quiet(vibration), "rub", part=part)[0])
    noise = np.median(size[orders < 10])
    assert all(at(k / part, orders, size) > 10 * noise for k in range(1, 2 * part + 1))
    assert at(0.42, orders, size) < 10 * noise


def test_looseness_shows_many_harmonics(vibration):
    orders, size = spectrum(record(quiet(vibration), "looseness")[0])
    noise = np.median(size[orders < 10])
    assert all(at(k, orders, size) > 10 * noise for k in range(1, 6))


def test_wander_changes_the_speed_and_not_its_mean(vibration):
    run = part("rotation").Run.draw(
        np.random.default_rng(2), rpm=RPM, load=1.0, wander=0.01, sampling_rate=RATE, n_total=100_000, n_samples=90_000
    )
    speed = np.diff(run.turns) * RATE * 60.0
    assert 0.003 < speed.std() / RPM < 0.03
    assert abs(speed.mean() / RPM - 1.0) < 0.02
    np.testing.assert_allclose(np.interp(run.instants([5.0]), np.arange(100_000), run.turns), 5.0)


def test_the_recorder_rounds_and_clips(vibration):
    machine = replace(quiet(vibration), full_scale=2.0, bits=6, gain=np.array([3.0]))
    x = machine.record(np.random.default_rng(0), n_samples=5_000) / 3.0
    steps = x / (4.0 / 2**6)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    assert np.abs(x).max() == pytest.approx(2.0)


def test_mistakes_are_named(vibration):
    rng = np.random.default_rng(0)
    machine = quiet(vibration, teeth=0, vanes=0)
    with pytest.raises(ValueError, match="fault='outter'; known are"):
        machine.record(rng, "outter", n_samples=10)
    with pytest.raises(ValueError, match="needs teeth"):
        machine.record(rng, "gear_wear", n_samples=10)
    with pytest.raises(ValueError, match="channel=1; the machine has 1"):
        machine.record(rng, "inner", n_samples=10, channel=1)
    with pytest.raises(ValueError, match="either seconds or n_samples"):
        machine.record(rng)
    with pytest.raises(ValueError, match="does not show at 200 Hz"):
        vibration.Machine.draw(rng, sampling_rate=200.0, low_rate=True).record(rng, "inner", n_samples=10)
    with pytest.raises(ValueError, match=r"got \['speed'\]"):
        vibration.Machine.draw(rng, speed=3.0)
    with pytest.raises(ValueError, match=r"got faults \['outter'\]"):
        vibration.samples(1, 0, faults=["outter"])
    with pytest.raises(ValueError, match="does not show at 200 Hz"):
        vibration.samples(1, 0, faults=["inner"], sampling_rate=200.0)


def test_the_example_of_the_geometry_runs(vibration):
    doctest = importlib.import_module("doctest")
    result = doctest.testmod(part("geometry"))
    assert result.attempted > 0
    assert result.failed == 0
