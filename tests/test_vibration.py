"""The simulated machines: their records against kinematics, rotor dynamics and signal theory computed here."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

ROOT = Path(__file__).resolve().parents[1]
RATE, RPM = 20_000.0, 1_500.0
HZ = RPM / 60.0
FAULTY = ["inner", "outer", "ball", "cage", "lubrication", "gear_wear", "gear_tooth", "unbalance", "misalignment"]
FAULTY += ["looseness", "rub", "broken_bar", "eccentricity", "cavitation", "vane"]


@pytest.fixture(scope="module", autouse=True)
def repository_root_importable():
    """`datasets` belongs to the source tree and is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        if getattr(sys.modules.get("datasets"), "__file__", "") != str(ROOT / "datasets" / "__init__.py"):
            for name in [name for name in sys.modules if name.split(".")[0] == "datasets"]:
                patch.delitem(sys.modules, name)  # the Hugging Face package of that name, if it is installed
        yield


@pytest.fixture(scope="module")
def vibration(repository_root_importable):
    return importlib.import_module("datasets.vibration")


def part(name):
    return importlib.import_module(f"datasets.vibration.{name}")


def quiet(vibration, fault=None, seed=0, **fixed):
    """A machine without tones, stray impacts, offset, clipping and change of speed: noise of unit power is left."""
    given = {"sampling_rate": RATE, "n_channels": 1, "bearing": vibration.Bearing(9, 0.22, 15.0, load_factor=0.4)}
    given |= {"wander": 0.0, "full_scale": 1e4, "bits": 40, "rpm": RPM} | fixed
    n = given["n_channels"]
    given |= {"gain": np.ones(n), "offset": np.zeros(n)}
    machine = vibration.Machine.draw(np.random.default_rng(seed), fault, **given)
    lines = replace(machine.lines, amplitude=np.zeros_like(machine.lines.amplitude))
    return replace(machine, lines=lines, noise=replace(machine.noise, impacts=0.0, foreign=0.0, modulation=0.0))


def record(machine, fault, snr=30.0, seconds=4.0, seed=1, **details):
    common = {"seconds": seconds, "load": 1.0, "rpm": RPM, "snr": snr}
    return machine.record(np.random.default_rng(seed), fault, 1.0, **common, **details)


def spectrum(x):
    """Orders and amplitudes of lines (a cosine of amplitude a gives a)."""
    window = signal.windows.flattop(x.shape[-1])
    return np.fft.rfftfreq(x.shape[-1], 1 / RATE) / HZ, 2 * np.abs(np.fft.rfft(x * window)) / window.sum()


def envelope_spectrum(x):
    squared = np.abs(signal.hilbert(x - x.mean())) ** 2
    return np.fft.rfftfreq(len(x), 1 / RATE) / HZ, np.abs(np.fft.rfft(squared - squared.mean()))


def at(order, orders, values, width=0.02):
    return values[np.abs(orders - order) <= width].max()


def rolling(n, ratio, angle):
    """Orders of BPFO, BPFI, BSF, FTF from surface speeds: pitch diameter 1, shaft speed 1, no sliding."""
    inner, outer = (1 - ratio * np.cos(np.radians(angle))) / 2, (1 + ratio * np.cos(np.radians(angle))) / 2
    centre = inner / 2  # half of the inner race's surface speed
    cage = centre / 0.5
    spin = cage * outer / (ratio / 2)  # against the cage, roller and outer race move alike at their contact
    return n * cage, n * (1 - cage), spin, cage


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
    orders, size = envelope_spectrum(record(quiet(vibration, "gear_tooth", teeth=25), "gear_tooth")[0])
    for k in (1, 2, 3, 4):
        assert at(k, orders, size) > 5 * at(k + 0.5, orders, size)


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
