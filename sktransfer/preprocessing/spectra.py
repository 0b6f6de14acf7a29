"""Squared envelope spectra of bands, and reading lines and axes from them: the arithmetic of :class:`EnvelopeSpectra`.

::

    windows --rfft--> band --ifft--> analytic signal --| |^2--> squared envelope --rfft--> log amplitude
                                                                                  --> less its neighbourhood
                                                                                  --> largest value near a frequency
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.fft import ifft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

_NEIGHBOURHOOD = 33  # bins whose mean log amplitude is the background of the one in the middle
_WIDTHS = (1, 3, 9, 27)  # bins over which a reading may take the largest value
_TINY = 1e-12


def squared_envelope_spectrum(spectrum: np.ndarray, low: float, high: float) -> np.ndarray:
    """Amplitude spectrum of the squared envelope of a band.

    The analytic signal of the band is made at the band's own rate, so that a narrow band costs little. One bin is
    one cycle per window, whatever the band. Antoni, J. Sound Vib. 304 (2007), doi 10.1016/j.jsv.2007.02.029.

    Parameters
    ----------
    spectrum : ndarray of shape (n_signals, n_bins)
        ``rfft`` of the signals.
    low, high : float
        Edges of the band as shares of half the sampling rate.

    Returns
    -------
    ndarray of shape (n_signals, n_envelope_bins), float32
        Relative to the mean of the squared envelope; the bin of frequency zero is zero.
    """
    n_bins = spectrum.shape[1]
    first, last = int(low * (n_bins - 1)), max(int(high * (n_bins - 1)), int(low * (n_bins - 1)) + 2)
    band = spectrum[:, first : last + 1]
    # a squared envelope has twice the band's width
    analytic = ifft(band, n=next_fast_len(2 * band.shape[1]), axis=1)
    envelope = analytic.real**2 + analytic.imag**2
    mean = envelope.mean(axis=1, keepdims=True)
    found = rfft(envelope - mean, axis=1)[:, : band.shape[1]]
    amplitude = np.abs(found) / (envelope.shape[1] * mean + _TINY)
    return amplitude.astype(np.float32, copy=False)


def over_background(amplitude: np.ndarray) -> np.ndarray:
    """Logarithm of the amplitudes less the mean logarithm of their neighbours; noise alone has zero mean."""
    logarithm = np.log(amplitude + _TINY)
    logarithm[:, 0] = logarithm[:, min(1, logarithm.shape[1] - 1)]
    logarithm -= uniform_filter1d(logarithm, _NEIGHBOURHOOD, axis=1, mode="reflect")
    return np.clip(logarithm, -4.0, 8.0, out=logarithm)


class Lines:
    """Log amplitudes over background, from which the largest value within a tolerance of any frequency is read.

    Parameters
    ----------
    ratios : ndarray of shape (n_signals, n_bins)
        From :func:`over_background`.
    """

    def __init__(self, ratios: np.ndarray):
        self.n_bins = ratios.shape[1]
        levels = [ratios]
        for width in _WIDTHS[:-1]:
            levels.append(_wider(levels[-1], width))
        self._levels = np.stack(levels)

    def read(self, center: np.ndarray, half_width: np.ndarray) -> np.ndarray:
        """Largest value within `half_width` bins of `center`; 0 where that lies outside the spectrum or is NaN.

        The width read is the smallest of 1, 3, 9 and 27 bins around the nearest bin that covers twice `half_width`; 27
        if none does.

        Parameters
        ----------
        center, half_width : ndarray of shape (n_signals, n_readings)
            In bins, which are cycles per window.
        """
        outside = ~((center >= 0.75) & (center <= self.n_bins - 1))
        bins = np.rint(np.where(outside, 0.0, center)).astype(np.intp)
        widths = np.asarray(_WIDTHS) / 2
        level = np.searchsorted(widths, np.where(outside, 0.0, half_width)).clip(0, len(_WIDTHS) - 1)
        found = self._levels[level, np.arange(len(center))[:, None], bins]
        found[outside] = 0.0
        return found


def _wider(level: np.ndarray, step: int) -> np.ndarray:
    """Running maximum over three times the width: three looks at the narrower one, `step` apart, are enough.

    Less than `step` bins from an end, up to half the narrower width of bins at that end is left out.
    """
    wider = level.copy()
    np.maximum(wider[:, step:], level[:, :-step], out=wider[:, step:])
    np.maximum(wider[:, :-step], level[:, step:], out=wider[:, :-step])
    return wider


def band_energies(spectrum: np.ndarray, n_bands: int) -> np.ndarray:
    """Logarithm of each band's share of the energy, shape (n_signals, n_bands), the bands equally wide."""
    power = spectrum.real**2 + spectrum.imag**2
    edges = np.linspace(1, power.shape[1], n_bands + 1).astype(int)
    sums = np.add.reduceat(power, np.minimum(edges[:-1], power.shape[1] - 1), axis=1)
    share = sums / (sums.sum(axis=1, keepdims=True) + _TINY)
    return np.log(share + 1e-6).astype(np.float32, copy=False)


def kurtosis_of_band(spectrum: np.ndarray, low: float, high: float) -> np.ndarray:
    """Logarithm of the band's normalised fourth moment, E|z|^4 / (E|z|^2)^2, which is 2 for noise; (n_signals,)."""
    n_bins = spectrum.shape[1]
    band = spectrum[:, int(low * (n_bins - 1)) : int(high * (n_bins - 1)) + 2]
    analytic = ifft(band, n=next_fast_len(band.shape[1]), axis=1)
    power = analytic.real**2 + analytic.imag**2
    mean = power.mean(axis=1)
    return np.log((power * power).mean(axis=1) / (mean**2 + _TINY**2) + 1e-3)


def whitened(spectrum: np.ndarray) -> np.ndarray:
    """Cepstrum pre-whitening: the spectrum with all amplitudes set to one.

    This removes resonances, gears and tones, and leaves impulses: Randall & Antoni, Mech. Syst. Signal Process. 25
    (2011), doi 10.1016/j.ymssp.2010.07.017.
    """
    return spectrum / (np.abs(spectrum) + _TINY)


def tapered(length: int, edges: float = 0.05) -> np.ndarray:
    """Tukey window, so that the ends of a window of signal make no lines."""
    ramp = max(int(length * edges), 1)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / ramp)
    return np.concatenate([rise, np.ones(max(length - 2 * ramp, 0)), rise[::-1]])[:length].astype(np.float32)


def grid(octaves: float, per_octave: int, lowest: float) -> np.ndarray:
    """Frequencies of a logarithmic axis, from `lowest`."""
    return lowest * 2.0 ** (np.arange(int(octaves * per_octave)) / per_octave)


def combinations(harmonics: Sequence[int], sidebands: Sequence[int]) -> np.ndarray:
    """All pairs of a harmonic and a sideband, shape (n_pairs, 2)."""
    return np.array([(h, m) for h in harmonics for m in sidebands], dtype=np.float64)
