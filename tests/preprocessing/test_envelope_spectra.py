"""EnvelopeSpectra against plain loops, signals with known lines, and its laws."""

import numpy as np
import pytest

from sktransfer import BearingGeometry, EnvelopeSpectra, Windows
from sktransfer.exceptions import DataQualityWarning
from sktransfer.preprocessing import envelope_spectra as envelope
from tests.envelopes import noise

RATE = 12_000.0  # Hz
BEARING = BearingGeometry(9, 7.94, 39.04)
FRONT = EnvelopeSpectra()
NAMES = EnvelopeSpectra().fit(np.random.default_rng(0).normal(size=(1, 1, 64))).get_feature_names_out()
PLACE = {name.removeprefix("ch0_"): i for i, name in enumerate(NAMES)}
LINES, AXIS = slice(0, 600), slice(600, 1624)


def known(X, rpm=1797.0, orders=BEARING, rate=RATE):
    return Windows.of(X, sampling_rate=rate, rpm=rpm, orders=orders)


def knocks(frequency, length=4096, rate=RATE, resonance=3400.0, seed=0):
    """A resonance in Hz that is struck `frequency` times a second, in some noise."""
    t = np.arange(length) / rate
    since = t % (1 / frequency)
    ring = np.exp(-900 * since) * np.sin(2 * np.pi * resonance * since)
    return (ring + 0.1 * np.random.default_rng(seed).normal(size=length))[None, None]


# ---- the numbers, each written out


def reference(x, turns, orders):
    """Every number of a signal by name, in float64 and plain loops; `turns` of the shaft a window."""
    n = len(x)
    mean, deviation = x.mean(), x.std()
    z = (x - mean) / deviation
    ramp = n // 20
    taper = np.ones(n)
    taper[:ramp] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)
    taper[n - ramp :] = taper[:ramp][::-1]
    S = np.fft.rfft(z * taper)
    half = len(S) - 1
    edges = [0.05, 0.24, 0.43, 0.62, 0.81, 1.0]
    bands = [(f"band{i}", S, edges[i], edges[i + 1]) for i in range(5)]
    views = {}
    for name, spectrum, low, high in [*bands, ("whole", S, 0.05, 1.0), ("whitened", S / np.abs(S), 0.02, 1.0)]:
        first, last = int(low * half), int(high * half)
        padded = np.zeros(4 * n, dtype=complex)
        padded[: last - first + 1] = spectrum[first : last + 1]
        squared = np.abs(np.fft.ifft(padded)) ** 2
        views[name] = np.abs(np.fft.rfft(squared))[: last - first + 1] / squared.sum()
    views["spectrum"] = np.abs(S)
    found = {}
    for view, amplitude in views.items():
        logarithm = np.log(amplitude)
        logarithm[0] = logarithm[1]
        padded = np.pad(logarithm, 16, mode="symmetric")
        ratios = np.clip([logarithm[i] - padded[i : i + 33].mean() for i in range(len(logarithm))], -4, 8)

        def read(center, half_width, ratios=ratios):
            if not 0.75 <= center <= len(ratios) - 1:
                return 0.0
            reach = next((w for w in (0, 1, 4, 13) if 2 * half_width <= 2 * w + 1), 13)
            middle = round(center)
            return ratios[max(0, middle - reach) : middle + reach + 1].max()

        families = [
            ("bpfo", orders[0], (1, 2, 3, 4, 5), 1, 1.0, "shaft"),
            ("bpfi", orders[1], (1, 2, 3, 4, 5), 2, 1.0, "shaft"),
            ("bsf", orders[2], (1, 2, 3, 4, 6), 2, orders[3], "cage"),
            ("ftf", orders[3], (1, 2, 3, 4), 0, 0.0, ""),
            ("shaft", 1.0, (1, 2, 3, 4, 5, 6), 0, 0.0, ""),
        ]
        for line, order, harmonics, most, side, of in families:
            for h in harmonics:
                for m in range(-most, most + 1):
                    center = turns * (h * order + m * side)
                    name = f"{view}_{line}_{h}x" + (f"{m:+d}{of}" if m else "")
                    found[name] = read(center, max(0.009 * center, 0.75))
        for k in range(128):
            place = 0.25 * turns * 2 ** (k / 16)
            found[f"{view}_axis{k}"] = read(place, place * (2 ** (1 / 32) - 1))
    energy = np.abs(S[1:]) ** 2
    edge = [int(e) - 1 for e in np.linspace(1, half + 1, 33)]
    for i in range(32):
        found[f"energy{i}"] = np.log(energy[edge[i] : edge[i + 1]].sum() / energy.sum() + 1e-6)
    found["kurtosis"] = np.log(np.mean(z**4))
    found["crest"] = np.log(np.abs(z).max())
    found["deviation"], found["level"] = np.log(deviation), np.arcsinh(mean / deviation)
    found["turns"], found["known"] = np.log2(turns) / 4, 1.0
    return found


@pytest.mark.parametrize(("length", "rpm"), [(2048, 1797.0), (3000, 6011.0)])
def test_every_number_is_what_its_name_says(length, rpm):
    x = knocks(3.58 * rpm / 60, length)[0, 0] * 3 + 0.7
    numbers = FRONT(known(x[None, None], rpm))[0, 0]
    expected = reference(x, rpm / 60 * length / RATE, BEARING.orders)
    assert list(PLACE) != list(expected)  # an order of their own
    assert set(PLACE) - set(expected) == {f"kurtosis_band{i}" for i in range(5)}
    for name, value in expected.items():
        assert numbers[PLACE[name]] == pytest.approx(value, abs=2e-3), name


def test_the_documented_slices_hold_what_they_say():
    kinds = [name.removeprefix("ch0_") for name in NAMES]
    assert len(set(kinds)) == len(kinds) == 1667 == envelope.N_NUMBERS
    views = [f"band{i}" for i in range(5)] + ["whole", "whitened", "spectrum"]
    assert [name.split("_")[0] for name in kinds[LINES]] == np.repeat(views, 75).tolist()
    assert [name.split("_")[0] for name in kinds[AXIS]] == np.repeat(views, 128).tolist()
    families = ["bpfo"] * 15 + ["bpfi"] * 25 + ["bsf"] * 25 + ["ftf"] * 4 + ["shaft"] * 6
    assert [name.split("_")[1] for name in kinds[75:150]] == families
    assert kinds[1624:1656] == [f"energy{i}" for i in range(32)]
    assert kinds[1656:1661] == [f"kurtosis_band{i}" for i in range(5)]
    assert kinds[1661:] == ["kurtosis", "crest", "deviation", "level", "turns", "known"]
    assert kinds[envelope.LEVEL] == "deviation"


def test_fourth_moments_of_bands_are_two_for_noise_one_for_a_tone_and_large_for_knocks():
    t = np.arange(4096) / 4096
    band = slice(PLACE["kurtosis_band0"], PLACE["kurtosis_band4"] + 1)
    of_noise = np.exp(FRONT(noise(50, 1, 4096))[:, 0, band]).mean(axis=0)
    np.testing.assert_allclose(of_noise, 2.0, atol=0.25)  # a little more: the ends are tapered
    tone = (np.sin(2 * np.pi * 600 * t) + 1e-3 * noise(1, 1, 4096))[0, 0][None, None]
    assert np.exp(FRONT(tone)[0, 0, PLACE["kurtosis_band1"]]) == pytest.approx(1.0, abs=0.1)
    assert np.exp(FRONT(knocks(50.0, 4096))[0, 0, PLACE["kurtosis_band2"]]) > 4


# ---- signals with known lines


@pytest.mark.parametrize("rpm", [1200.0, 1797.0, 3000.0])
def test_a_struck_resonance_stands_out_at_its_order_and_nowhere_else(rpm):
    numbers = FRONT(known(knocks(BEARING.orders[0] * rpm / 60), rpm))[0, 0]
    for view in ("band2", "whole"):  # 3.4 kHz lies in the third band
        for h in (1, 2, 3):
            assert numbers[PLACE[f"{view}_bpfo_{h}x"]] > 2.3
        for other in ("bpfi_1x", "bsf_1x", "bsf_2x", "ftf_1x", "shaft_1x"):  # 2 BPFI is 3 BPFO within a percent
            assert numbers[PLACE[f"{view}_{other}"]] < 1.2
    axis = numbers[PLACE["band2_axis0"] : PLACE["band2_axis127"] + 1]
    assert axis[61:63].max() > axis[30:58].max()  # 0.25 * 2**(61.4 / 16) = 3.58


def test_speed_and_rate_do_not_matter_where_the_turns_of_a_window_are_the_same():
    X = noise(4, 1, 1024)
    first = FRONT(known(X, rpm=1500.0, rate=10_000.0))
    np.testing.assert_array_equal(FRONT(known(X, rpm=750.0, rate=5_000.0)), first)
    assert (FRONT(known(X, rpm=750.0, rate=10_000.0))[:, :, LINES] != first[:, :, LINES]).any()


def test_unknown_orders_leave_all_but_their_readings():
    X = noise()
    full, none = FRONT(known(X)), FRONT(known(X, orders=None))
    assert (none[:, :, LINES] == 0).all()
    np.testing.assert_array_equal(none[:, :, 600:1666], full[:, :, 600:1666])
    assert (full[:, :, 1666] == 1).all()
    assert (none[:, :, 1666] == 0).all()
    one = FRONT(known(X, orders=[np.nan, 5.4, np.nan, 0.4]))
    family = np.array([name.split("_")[1] if i < 600 else "" for i, name in enumerate(PLACE)])
    for line in ("bpfo", "bsf", "shaft"):
        assert (one[:, :, family == line] == 0).all()
    for line in ("bpfi", "ftf"):
        assert (one[:, :, family == line] != 0).any()


def test_an_unknown_speed_makes_the_axis_one_of_cycles_a_window():
    n, cycles, k = 4096, 12, 32  # 3 * 2**(32 / 16) = 12
    t = np.arange(n) / n
    X = ((1 + 0.5 * np.cos(2 * np.pi * cycles * t)) * np.sin(2 * np.pi * 700 * t) + 0.05 * noise(1, 1, n)[0, 0])[
        None, None
    ]
    plain = FRONT(X)
    axis = plain[0, 0, PLACE["band1_axis0"] : PLACE["band1_axis127"] + 1]
    assert axis[k] > 2
    assert axis.argmax() in (k - 1, k, k + 1)
    assert (plain[:, :, LINES] == 0).all()
    assert plain[0, 0, PLACE["turns"]] == plain[0, 0, PLACE["known"]] == 0
    for X_ in (Windows.of(X, sampling_rate=RATE, orders=BEARING), Windows.of(X, rpm=1797.0, orders=BEARING)):
        np.testing.assert_array_equal(FRONT(X_), plain)


def test_speed_may_be_unknown_for_some_windows():
    X = noise()
    some = FRONT(known(X, rpm=[1797, np.nan, 1797, np.nan, 1797]))
    np.testing.assert_array_equal(some[::2], FRONT(known(X))[::2])
    np.testing.assert_array_equal(some[1::2], FRONT(X)[1::2])


@pytest.mark.parametrize("value", [0.0, -1800.0, np.inf])
def test_a_speed_or_order_that_cannot_be_counts_as_unknown_with_a_warning(value):
    X = noise()
    with pytest.warns(
        DataQualityWarning, match="rpm is not positive and finite in 2 of 5 windows; it counts as unknown"
    ):
        found = FRONT(known(X, rpm=[1797, value, 1797, value, 1797]))
    np.testing.assert_array_equal(found, FRONT(known(X, rpm=[1797, np.nan, 1797, np.nan, 1797])))
    with pytest.warns(DataQualityWarning, match="a fault order is not positive and finite in 5 of 5 windows"):
        found = FRONT(known(X, orders=[3.5, 5.4, value, 0.4]))
    np.testing.assert_array_equal(found, FRONT(known(X, orders=[3.5, 5.4, np.nan, 0.4])))


# ---- laws


@pytest.mark.parametrize("gain", [1e-6, 0.02, 37.0, 1e6])
def test_the_gain_moves_one_number(gain):
    X = known(noise() + knocks(107.0, 2048))
    first, second = FRONT(X), FRONT(X * gain)
    np.testing.assert_allclose(second[:, :, envelope.LEVEL] - first[:, :, envelope.LEVEL], np.log(gain), atol=1e-4)
    rest = np.arange(1667) != envelope.LEVEL
    np.testing.assert_allclose(second[:, :, rest], first[:, :, rest], atol=1e-3)


@pytest.mark.parametrize("offset", [-3.0, 20.0])
def test_the_offset_moves_another(offset):
    X = known(noise())
    first, second = FRONT(X), FRONT(X + offset)
    place = PLACE["level"]
    expected = np.arcsinh((np.asarray(X).mean(axis=2) + offset) / np.asarray(X).std(axis=2))
    np.testing.assert_allclose(second[:, :, place], expected, atol=1e-4)
    rest = np.arange(1667) != place
    np.testing.assert_allclose(second[:, :, rest], first[:, :, rest], atol=2e-3)


def test_numbers_are_the_same_alone_among_others_and_in_any_chunk(monkeypatch):
    X = known(noise(9, 3, 1024), rpm=np.linspace(600, 3000, 9))
    together = FRONT(X)
    for i in (0, 4, 8):
        np.testing.assert_allclose(FRONT(X[i : i + 1])[0], together[i], atol=1e-5)
    monkeypatch.setattr(envelope, "_CHUNK", 5)
    np.testing.assert_allclose(FRONT(X), together, atol=1e-5)


def test_channels_do_not_know_each_other():
    bearings = [BEARING, BearingGeometry(8, 6.746, 28.499), BearingGeometry(12, 7.0, 50.0), BEARING]
    X = known(noise(4, 3, 1024), rpm=[1797, 900, 3000, 1200], orders=bearings)
    found = FRONT(X)
    order = [2, 0, 1]
    np.testing.assert_allclose(FRONT(X[:, order]), found[:, order], atol=1e-5)
    np.testing.assert_allclose(FRONT(X[:, 1:2]), found[:, 1:2], atol=1e-5)


@pytest.mark.parametrize("length", [64, 65, 100, 127, 999, 1024])
@pytest.mark.parametrize("level", [0.0, 0.1, -5.0, 1e12])
def test_a_constant_channel_gives_finite_numbers_and_leaves_the_others_alone(length, level):
    X = noise(2, 2, length)
    first = FRONT(known(X))
    X[0, 1] = level
    found = FRONT(known(X))
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 100
    np.testing.assert_allclose(found[:, 0], first[:, 0], atol=1e-5)


def test_whole_numbers_are_taken_as_they_are():
    counts = np.round(noise() * 3000).astype(np.int16)
    expected = FRONT(counts.astype(np.float64))
    np.testing.assert_array_equal(FRONT(counts), expected)
    np.testing.assert_array_equal(EnvelopeSpectra().fit_transform(counts), expected.reshape(5, -1))


def test_a_large_offset_in_double_precision_costs_no_digits():
    X = np.random.default_rng(3).normal(size=(3, 1, 1024))
    near, far = (EnvelopeSpectra()(Windows.of(X + offset, sampling_rate=12_000)) for offset in (0.0, 1e6))
    same = np.delete(np.arange(near.shape[2]), envelope.LEVEL + 1)  # the offset is a number of its own
    np.testing.assert_allclose(far[:, :, same], near[:, :, same], atol=2e-3)
