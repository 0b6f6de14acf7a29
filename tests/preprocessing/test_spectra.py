"""The arithmetic of envelope spectra against scipy's analytic signal and plain loops."""

import numpy as np
import pytest
from scipy import signal

from sktransfer.preprocessing import spectra as _spectra
from tests.envelopes import noise


@pytest.mark.parametrize("depth", [0.1, 0.5, 1.0])
def test_amplitude_modulation_is_one_line_of_the_depths_size(depth):
    n, carrier, modulation = 2048, 350, 23  # cycles a window; the carrier is at 0.34 of half the rate
    t = np.arange(n) / n
    x = (1 + depth * np.cos(2 * np.pi * modulation * t)) * np.sin(2 * np.pi * carrier * t)
    found = _spectra.squared_envelope_spectrum(np.fft.rfft(x[None]), 0.24, 0.43)[0]
    # (1 + d cos)^2 = 1 + d^2/2 + 2 d cos + d^2/2 cos of twice the angle; a cosine's amplitude is half in rfft / n
    expected = np.zeros(len(found))
    expected[modulation] = depth / (1 + depth**2 / 2)
    expected[2 * modulation] = depth**2 / 4 / (1 + depth**2 / 2)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("length", [256, 1000, 1001, 2048])
@pytest.mark.parametrize(("low", "high"), [(0.05, 0.24), (0.43, 0.62), (0.05, 0.9)])
def test_squared_envelope_spectra_are_those_of_scipys_analytic_signal(length, low, high):
    x = np.random.default_rng(1).normal(size=length)
    spectrum = np.fft.rfft(x)
    half = len(spectrum) - 1
    bins = np.arange(len(spectrum))
    first, last = int(low * half), int(high * half)
    band = np.fft.irfft(np.where((bins >= first) & (bins <= last), spectrum, 0), length)
    # twice as many samples: the square of a wide band has frequencies beyond half the rate
    squared = np.abs(signal.hilbert(signal.resample(band, 2 * length))) ** 2
    expected = np.abs(np.fft.rfft(squared - squared.mean())) / len(squared) / squared.mean()
    found = _spectra.squared_envelope_spectrum(spectrum[None], low, high)[0]
    assert len(found) == last - first + 1
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-5, atol=1e-6)


def test_background_is_the_mean_logarithm_of_33_bins():
    amplitude = np.random.default_rng(2).rayleigh(size=(3, 200)).astype(np.float32)
    amplitude[1] *= np.linspace(1, 1000, 200, dtype=np.float32)
    amplitude[2, 90] = 1e9
    found = _spectra.over_background(amplitude)
    for row, ratios in zip(amplitude.astype(np.float64), found, strict=True):
        logarithm = np.log(row)
        logarithm[0] = logarithm[1]  # frequency zero is no line
        padded = np.concatenate([logarithm[15::-1], logarithm, logarithm[:-17:-1]])  # mirrored at both ends
        expected = [logarithm[i] - padded[i : i + 33].mean() for i in range(200)]
        np.testing.assert_allclose(ratios, np.clip(expected, -4, 8), atol=1e-4)
    assert found[2, 90] == 8


def test_noise_alone_is_at_the_background_whatever_its_colour():
    coloured = signal.lfilter([1], [1, -0.9], noise(40, 1, 4096), axis=2)
    for X in (noise(40, 1, 4096), coloured):
        spectrum = np.fft.rfft(X[:, 0], axis=1)
        found = _spectra.over_background(np.abs(spectrum))
        assert abs(found[:, 20:].mean()) < 0.02


@pytest.mark.parametrize(
    ("half_width", "reach"), [(0.4, 0), (0.75, 1), (1.5, 1), (1.6, 4), (4.5, 4), (9.0, 13), (99, 13)]
)
def test_readings_are_the_largest_values_around(half_width, reach):
    ratios = np.random.default_rng(3).normal(size=(4, 200))
    center = np.random.default_rng(4).uniform(13, 186, size=(4, 150))
    found = _spectra.Lines(ratios).read(center, np.full(center.shape, half_width))
    for i in range(4):
        for j in range(150):
            middle = round(center[i, j])
            assert found[i, j] == ratios[i, middle - reach : middle + reach + 1].max()


def test_at_the_ends_of_a_spectrum_some_of_the_farthest_bins_may_be_missing():
    ratios, center = np.random.default_rng(3).normal(size=(1, 60)), np.arange(1.0, 60)[None]
    for half_width, least, reach in ((0.75, 1, 1), (4.0, 1, 4), (13.0, 4, 13)):
        found = _spectra.Lines(ratios).read(center, np.full(center.shape, half_width))[0]
        for middle, value in enumerate(found, start=1):
            assert value <= ratios[0, max(0, middle - reach) : middle + reach + 1].max()
            assert value >= ratios[0, max(0, middle - least) : middle + least + 1].max()


def test_readings_outside_the_spectrum_or_nowhere_are_zero():
    lines = _spectra.Lines(np.full((1, 50), 7.0))
    center = np.array([[-3.0, 0.0, 0.74, 0.75, 49.0, 49.01, 1e9, np.nan, np.inf]])
    assert lines.read(center, np.where(np.isnan(center), np.nan, 1.0)).tolist() == [[0, 0, 0, 7, 7, 0, 0, 0, 0]]
