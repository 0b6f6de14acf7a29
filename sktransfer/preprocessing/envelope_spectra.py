r"""EnvelopeSpectra: windows of vibration as a fixed number of readings at which bearing, gear and shaft faults show.

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
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sktransfer.exceptions import DataQualityWarning
from sktransfer.preprocessing.fault_orders import N_AXIS, N_LINES, axis_bins, line_bins, reading_names
from sktransfer.preprocessing.spectra import (
    Lines,
    band_energies,
    kurtosis_of_band,
    over_background,
    squared_envelope_spectrum,
    tapered,
    whitened,
)
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.counted_warnings import CountedWarning, warn_of
from sktransfer.utils.precision import least_spread
from sktransfer.validation.quality import warn_of_quality
from sktransfer.validation.windows import check_fields, check_windows, count_dimensions

_NAME = "EnvelopeSpectra"
_BANDS = ((0.05, 0.24), (0.24, 0.43), (0.43, 0.62), (0.62, 0.81), (0.81, 1.0))
N_VIEWS = len(_BANDS) + 3  # the bands, all of them as it is and whitened, and the plain spectrum
_VIEWS = (*(f"band{i}" for i in range(len(_BANDS))), "whole", "whitened", "spectrum")
N_ENERGIES = 32
N_SCALARS = N_ENERGIES + len(_BANDS) + 6
N_NUMBERS = N_VIEWS * (N_LINES + N_AXIS) + N_SCALARS
_KURTOSES = tuple(f"kurtosis_band{i}" for i in range(len(_BANDS)))
_SCALARS = (*_KURTOSES, "kurtosis", "crest", "deviation", "level", "turns", "known")
LEVEL = N_NUMBERS - 4  # index of the logarithm of the deviation
_CHUNK = 256  # signals at a time: their spectra stay in the cache
_LEAST_LENGTH = 32  # samples: below 64, neighbouring bands of energy share a bin


class EnvelopeSpectra(Checksummed, TransformerMixin, BaseEstimator):
    """Windows of vibration as spectra of band envelopes, read where faults show.

    The numbers that the backbone "vibration" is fed, for any other estimator. Nothing is learned in ``fit``. The gain
    of the sensor enters by one number alone, and its offset by another.

    Attributes
    ----------
    n_features_in_ : int
        Number of channels.
    channel_names_in_ : tuple of length n_features_in_
        Names of the channels, if `X` was :class:`Windows` that know them.
    window_fields_ : dict of str to str
        Whether ``"all"``, ``"some"`` or ``"none"`` of the windows of ``fit`` knew their ``sampling_rate``, ``rpm`` and
        ``orders``. ``transform`` warns of windows that know less, or more.

    See Also
    --------
    BearingGeometry : Fault orders of a bearing from its dimensions.

    Notes
    -----
    Sampling rate, speed and bearing are taken from :class:`Windows` that know them. Each channel becomes 1667 numbers,
    float32; :meth:`get_feature_names_out` names each:

    =============  ====================================================================================================
    ``0:600``      eight views times 75 readings at fault orders; reading `l` of view `v` is number ``75 * v + l``
    ``600:1624``   eight views times 128 readings on a logarithmic axis; ``600 + 128 * v + k``
    ``1624:1656``  logarithm of the share of energy in each of 32 equally wide bands from 0 to half the rate
    ``1656:1661``  logarithm of the normalised fourth moment of each of five bands, ``log(2)`` for noise
    ``1661``       logarithm of the kurtosis, ``log(3)`` for noise
    ``1662``       logarithm of the crest factor
    ``1663``       logarithm of the standard deviation, the only number that depends on the gain
    ``1664``       inverse hyperbolic sine of mean over standard deviation
    ``1665``       a fourth of the binary logarithm of the turns a window; 0 where the speed is unknown
    ``1666``       1 where speed and all orders are known, else 0
    =============  ====================================================================================================

    *Views* are amplitude spectra, as the natural logarithm over the mean logarithm of the 33 bins around, from -4 to
    8; noise alone gives values around 0: 0 to 4 are squared envelopes of five bands (from 5, 24, 43, 62 and 81 to 100 %
    of half the rate), 5 of the signal from 5 % on, 6 of the whitened signal, 7 the plain spectrum.

    *Readings at fault orders* are the largest value around ``h * order + m * modulation``, in the 3, 9 or 27 bins (of
    one cycle a window) that cover 0.9 % of it either side, or 27 where these are too few:

    =========  ==========================  =================  ==============
    ``0:15``   BPFO, h = 1 to 5            m = -1, 0, 1       of the shaft
    ``15:40``  BPFI, h = 1 to 5            m = -2 to 2        of the shaft
    ``40:65``  BSF, h = 1, 2, 3, 4, 6      m = -2 to 2        of the cage
    ``65:69``  FTF, h = 1 to 4
    ``69:75``  the shaft, h = 1 to 6
    =========  ==========================  =================  ==============

    All are 0 where the speed (``rpm`` or ``sampling_rate``) or the order is unknown (those of the shaft where the BPFO
    is, those of the BSF where the FTF is), and where the frequency lies outside the spectrum of the view.

    *The axis* has 16 points an octave: ``0.25 * 2**(k / 16)`` orders of the shaft, or ``3 * 2**(k / 16)`` cycles a
    window where the speed is unknown. One speed holds for a whole window: cut windows short enough that it does.

    Speeds and orders that are not positive count as unknown, with a warning. A constant channel gives finite numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import BearingGeometry, EnvelopeSpectra, Windows
    >>> bearing = BearingGeometry(n_rollers=9, roller_diameter=7.94, pitch_diameter=39.04)
    >>> noise = np.random.default_rng(0).normal(size=(4, 2, 2048))
    >>> X = Windows.of(noise, sampling_rate=12_000, rpm=1797, orders=bearing)
    >>> spectra = EnvelopeSpectra().fit(X)
    >>> spectra.transform(X).shape
    (4, 3334)
    >>> names = spectra.get_feature_names_out()
    >>> str(names[1]), str(names[3334 - 4])
    ('ch0_band0_bpfo_1x', 'ch1_deviation')
    """

    def fit(self, X, y=None):
        """Check the windows; nothing is learned.

        Parameters
        ----------
        X : Windows or array of shape (n_windows, n_channels, window_length)
            At least 32 samples long.
        y : None
            Ignored.

        Returns
        -------
        self : EnvelopeSpectra

        Raises
        ------
        ValueError
            If `X` cannot be used, such as for NaN or windows that are too short.
        """
        warn_of_quality(_NAME, self._check(X, reset=True), [])
        return self

    def transform(self, X):
        """The numbers of each window.

        Parameters
        ----------
        X : Windows or array of shape (n_windows, n_channels, window_length)
            Of as many channels as those of ``fit``; rate and length may be others.

        Returns
        -------
        ndarray of shape (n_windows, n_channels * 1667), float32

        Raises
        ------
        ValueError
            If `X` cannot be used.
        """
        check_is_fitted(self)
        windows = self._check(X, reset=False)
        return self(windows).reshape(len(windows), -1)

    def get_feature_names_out(self, input_features=None):
        """Names of the numbers, such as ``"ch0_band3_bpfo_2x"`` or ``"ch1_whitened_bpfi_1x-2shaft"``.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the channels; None: those of ``fit`` where the windows knew them, else ch0, ch1, ...

        Returns
        -------
        ndarray of str objects of shape (n_channels * 1667,)

        Raises
        ------
        ValueError
            If there are not as many names as channels.
        """
        check_is_fitted(self)
        n = self.n_features_in_
        known = getattr(self, "channel_names_in_", None) if input_features is None else input_features
        channels = [f"ch{j}" for j in range(n)] if known is None else list(known)
        if len(channels) != n:
            raise ValueError(
                f"{_NAME}.get_feature_names_out got {len(channels)} names of channels, but was fitted to windows of "
                f"{n} channels. Pass one a channel; input_features should have length equal to their number."
            )
        return np.array([f"{channel}_{name}" for channel in channels for name in _names()], dtype=object)

    def _check(self, X: Any, reset: bool) -> np.ndarray:
        if count_dimensions(X) != 3:
            raise ValueError(
                f"{_NAME} got X of {count_dimensions(X)} dimensions, but takes windows (n_windows, n_channels, "
                "window_length): cut the recordings with SlidingWindows."
            )
        windows = check_windows(self, X, reset=reset)
        _shape(windows)
        check_fields(self, windows, reset=reset)
        return windows

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __call__(self, X: Any) -> np.ndarray:
        """The numbers of `X`, without a fit: as a front end of a backbone.

        Parameters
        ----------
        X : Windows or array of shape (n_windows, n_channels, window_length)
            In any unit. The speed is used where the rate is known, orders where the speed is.

        Returns
        -------
        ndarray of shape (n_windows, n_channels, 1667), float32
        """
        n_windows, n_channels, length = _shape(X)
        rate, rpm, orders = (getattr(X, name, None) for name in ("sampling_rate", "rpm", "orders"))
        shaft = np.full(n_windows, np.nan)  # turns a window
        if rate is not None:
            shaft = _known("rpm", rpm, (n_windows,)) / 60 * length / rate
        known = _known("a fault order", orders, (n_windows, 4))
        signals = np.asarray(X).reshape(-1, length)
        shaft, known = np.repeat(shaft, n_channels), np.repeat(known, n_channels, axis=0)
        out = np.empty((len(signals), N_NUMBERS), dtype=np.float32)
        for start in range(0, len(signals), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._fill(out[part], signals[part], shaft[part], known[part])
        return out.reshape(n_windows, n_channels, N_NUMBERS)

    def _fill(self, out: np.ndarray, signals: np.ndarray, shaft: np.ndarray, orders: np.ndarray) -> None:
        given = signals.dtype
        level = signals.mean(axis=1, keepdims=True, dtype=np.float64)  # float32 would lose digits beside a large one
        signals = (signals - level).astype(np.float32, copy=False)
        deviation = np.sqrt((signals**2).mean(axis=1, keepdims=True))
        rounding = (deviation <= least_spread(level, given)).astype(np.float32)  # of a constant signal
        signals *= 1 - rounding
        deviation = deviation * (1 - rounding) + 1e-12
        spectrum = rfft(signals / deviation * tapered(signals.shape[1]), axis=1)
        center, half = line_bins(shaft, orders)
        axis, step = axis_bins(shaft)
        lines, axes = [], []
        for amplitude in _views(spectrum):
            found = Lines(over_background(amplitude))
            lines.append(found.read(center, half))
            axes.append(found.read(axis, step))
        width = N_VIEWS * N_LINES
        out[:, :width] = np.concatenate(lines, axis=1)
        out[:, width : width + N_VIEWS * N_AXIS] = np.concatenate(axes, axis=1)
        out[:, width + N_VIEWS * N_AXIS :] = _scalars(signals, spectrum, level, deviation, shaft, orders)


def _names() -> list[str]:
    """Names of the numbers of one channel, in their order."""
    readings = [f"{view}_{name}" for names in reading_names() for view in _VIEWS for name in names]
    return [*readings, *(f"energy{i}" for i in range(N_ENERGIES)), *_SCALARS]


def _shape(X: Any) -> tuple[int, int, int]:
    """Shape of windows that are long enough."""
    shape = np.shape(X)
    if len(shape) != 3:
        raise ValueError(f"{_NAME} takes windows (n_windows, n_channels, window_length), got X of shape {shape}.")
    if shape[2] < _LEAST_LENGTH:
        raise ValueError(
            f"{_NAME} got windows of {shape[2]} samples, but needs at least {_LEAST_LENGTH}: shorter ones hold no "
            "spectra of bands. Cut longer windows."
        )
    return shape


def _known(what: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Speeds or orders, NaN where they are unknown or not positive and finite; a warning counts the latter."""
    if values is None:
        return np.full(shape, np.nan)
    values = np.asarray(values, dtype=np.float64)
    wrong = (values <= 0) | np.isinf(values)
    count = int(wrong.reshape(len(values), -1).any(axis=1).sum())
    text = f"{_NAME}: {what} is not positive and finite in {{count}} of {{total}} windows; it counts as unknown there."
    warn_of(CountedWarning(text, DataQualityWarning, count, len(values)))
    return np.where(wrong, np.nan, values)


def _views(spectrum: np.ndarray) -> Any:
    """Amplitude spectra of one chunk of signals, one view after the other."""
    for low, high in _BANDS:
        yield squared_envelope_spectrum(spectrum, low, high)
    yield squared_envelope_spectrum(spectrum, 0.05, 1.0)
    yield squared_envelope_spectrum(whitened(spectrum), 0.02, 1.0)
    yield np.abs(spectrum).astype(np.float32, copy=False)


def _scalars(signals, spectrum, level, deviation, shaft, orders) -> np.ndarray:
    kurtoses = [kurtosis_of_band(spectrum, low, high) for low, high in _BANDS]
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
    return np.column_stack([band_energies(spectrum, N_ENERGIES), *columns])
