r"""EnvelopeSpectra: what a bearing, gear or shaft fault leaves in a window of vibration, as numbers of a fixed length.

::

    window (n_channels, length) --> bands, whole, whitened --> squared envelope spectra --> over background
                 |                                                                            |
                 |            orders of the bearing known --> largest value near h x order + m x modulation
                 |            always                      --> logarithmic axis of frequency, in orders if rpm is known
                 \-> band energies, kurtoses, level

No weights: a network on top learns what the numbers mean. Speed and geometry make the same fault look the same on
every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.fft import rfft

from sktransfer import _spectra

# Multiples h of an order and sidebands m of what modulates it: outer race by the shaft, inner race by the shaft as it
# turns through the load zone, balls by the cage, cage and shaft by nothing. Even multiples of the ball spin are the
# ball striking both races; the last family is the shaft itself, whose lines may lie near the others.
# McFadden & Smith, J. Sound Vib. 96 (1984), doi 10.1016/0022-460X(84)90595-9.
_FAMILIES = (
    (0, _spectra.combinations((1, 2, 3, 4, 5), (-1, 0, 1)), "shaft"),
    (1, _spectra.combinations((1, 2, 3, 4, 5), (-2, -1, 0, 1, 2)), "shaft"),
    (2, _spectra.combinations((1, 2, 3, 4, 6), (-2, -1, 0, 1, 2)), "cage"),
    (3, _spectra.combinations((1, 2, 3, 4), (0,)), "none"),
    (4, _spectra.combinations((1, 2, 3, 4, 5, 6), (0,)), "none"),
)
N_LINES = sum(len(pairs) for _, pairs, _ in _FAMILIES)
_BANDS = ((0.05, 0.24), (0.24, 0.43), (0.43, 0.62), (0.62, 0.81), (0.81, 1.0))
_OCTAVES, _PER_OCTAVE = 8, 16
N_AXIS = _OCTAVES * _PER_OCTAVE
N_VIEWS = len(_BANDS) + 3  # the bands, all of them as it is and whitened, and the plain spectrum
N_ENERGIES = 32
N_SCALARS = N_ENERGIES + len(_BANDS) + 6
N_NUMBERS = N_VIEWS * (N_LINES + N_AXIS) + N_SCALARS
LEVEL = N_NUMBERS - 4  # place of the logarithm of the deviation
_TOLERANCE = 0.009  # rollers slip: lines lie within about one percent of the kinematic orders
_LOWEST_ORDER, _LOWEST_CYCLES = 0.25, 3.0
_CHUNK = 256  # signals at a time: their spectra stay in the cache


class EnvelopeSpectra:
    """Windows of vibration as spectra of band envelopes, read where faults show.

    **Shape**

    - Input: ``(n_windows, n_channels, window_length)``
    - Output: ``(n_windows, n_channels, 1667)``, float32: for each of eight views (squared envelope spectra of five
      bands, of the whole signal and of the whitened signal; the plain spectrum) 75 readings at fault orders and 128 on
      a logarithmic axis, then 43 numbers of level, shape and band energies

    Where the orders of the bearing are unknown their readings are zero; where the speed is unknown the axis counts
    cycles per window in place of orders. One speed holds for a whole window: cut windows short enough that it does.
    """

    def __call__(self, X: Any) -> np.ndarray:
        """The numbers of `X`.

        Parameters
        ----------
        X : Windows or array of shape (n_windows, n_channels, window_length)
            In any unit. Its ``sampling_rate`` (Hz), ``rpm`` and ``orders`` are used where it has them; the speed needs
            the rate, and orders need the speed.

        Returns
        -------
        ndarray of shape (n_windows, n_channels, 1667), float32
        """
        n_windows, n_channels, length = X.shape
        rate, rpm, orders = (getattr(X, name, None) for name in ("sampling_rate", "rpm", "orders"))
        shaft = np.full(n_windows, np.nan)  # turns a window
        if rate is not None and rpm is not None:
            shaft = np.asarray(rpm, dtype=np.float64) / 60 * length / rate
        known = np.full((n_windows, 4), np.nan) if orders is None else np.asarray(orders, dtype=np.float64)
        signals = np.asarray(X).reshape(-1, length)
        shaft, known = np.repeat(shaft, n_channels), np.repeat(known, n_channels, axis=0)
        out = np.empty((len(signals), N_NUMBERS), dtype=np.float32)
        for start in range(0, len(signals), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._fill(out[part], signals[part].astype(np.float32), shaft[part], known[part])
        return out.reshape(n_windows, n_channels, N_NUMBERS)

    def _fill(self, out: np.ndarray, signals: np.ndarray, shaft: np.ndarray, orders: np.ndarray) -> None:
        level = signals.mean(axis=1, keepdims=True)
        signals = signals - level
        deviation = np.sqrt((signals**2).mean(axis=1, keepdims=True)) + 1e-12
        spectrum = rfft(signals / deviation * _spectra.tapered(signals.shape[1]), axis=1)
        center, half = _line_places(shaft, orders)
        axis, step = _axis_places(shaft, signals.shape[1])
        lines, axes = [], []
        for amplitude in _views(spectrum):
            found = _spectra.Lines(_spectra.over_background(amplitude))
            lines.append(found.read(center, half))
            axes.append(found.read(axis, step))
        width = N_VIEWS * N_LINES
        out[:, :width] = np.concatenate(lines, axis=1)
        out[:, width : width + N_VIEWS * N_AXIS] = np.concatenate(axes, axis=1)
        out[:, width + N_VIEWS * N_AXIS :] = _scalars(signals, spectrum, level, deviation, shaft, orders)


def _views(spectrum: np.ndarray) -> Any:
    """Amplitude spectra of one chunk of signals, one view after the other."""
    for low, high in _BANDS:
        yield _spectra.squared_envelope_spectrum(spectrum, low, high)
    yield _spectra.squared_envelope_spectrum(spectrum, 0.05, 1.0)
    yield _spectra.squared_envelope_spectrum(_spectra.whitened(spectrum), 0.02, 1.0)
    yield np.abs(spectrum).astype(np.float32, copy=False)


def _line_places(shaft: np.ndarray, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and half width of every reading at a fault order, in cycles per window; (n_signals, N_LINES)."""
    speeds = {"shaft": shaft, "cage": shaft * orders[:, 3], "none": np.zeros(len(shaft))}
    orders = np.column_stack([orders, np.where(np.isfinite(orders[:, 0]), 1.0, np.nan)])
    centers = []
    for kind, pairs, modulation in _FAMILIES:
        fault = shaft * orders[:, kind]
        centers.append(fault[:, None] * pairs[:, 0] + speeds[modulation][:, None] * pairs[:, 1])
    center = np.concatenate(centers, axis=1)
    return center, np.maximum(_TOLERANCE * center, 0.75)


def _axis_places(shaft: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for the axis, whose steps are its own tolerance."""
    known = np.isfinite(shaft)
    lowest = np.where(known, _LOWEST_ORDER * np.where(known, shaft, 1.0), _LOWEST_CYCLES)
    axis = lowest[:, None] * _spectra.grid(_OCTAVES, _PER_OCTAVE, 1.0)
    return axis, axis * (2 ** (0.5 / _PER_OCTAVE) - 1)


def _scalars(signals, spectrum, level, deviation, shaft, orders) -> np.ndarray:
    kurtoses = [_spectra.kurtosis_of_band(spectrum, low, high) for low, high in _BANDS]
    standard = signals / deviation
    squares = standard * standard
    crest = np.log(np.sqrt(squares.max(axis=1)) + 1e-3)
    known = np.isfinite(shaft)
    columns = [
        *kurtoses,
        np.log((squares * squares).mean(axis=1) + 1e-3),
        crest,
        np.log(deviation[:, 0]),
        np.arcsinh(level[:, 0] / deviation[:, 0]),
        np.where(known, np.log2(np.where(known, shaft, 1.0)) / 4, 0.0),
        np.isfinite(orders).all(axis=1) & known,
    ]
    return np.column_stack([_spectra.band_energies(spectrum, N_ENERGIES), *columns])
