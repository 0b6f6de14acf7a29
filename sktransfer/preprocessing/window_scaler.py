"""WindowScaler: each window and channel by itself.

::

    window, channel --> minus its own centre --> divided by its own scale --> float32 or float64, same shape
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from sktransfer.preprocessing.windows_out import WindowsOut
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.chunks import in_parts
from sktransfer.utils.parameters import StrOptions
from sktransfer.utils.precision import least_spread
from sktransfer.validation.quality import warn_of_flat_channels
from sktransfer.validation.windows import channel_names, check_samples, is_windows
from sktransfer.windows.windows import same_fields

INTERQUARTILE_RANGE = 1.3489795003921634  # of a normal distribution with unit standard deviation


class WindowScaler(Checksummed, OneToOneFeatureMixin, WindowsOut, BaseEstimator):
    """Centre and scale each channel of each window by its own samples.

    Right where the gain of the sensors differs between recordings or is unknown (another amplifier, another
    mounting) and the *shape* of the signal tells the fault, as the impacts of a bearing do. Wrong where level or
    amplitude tell it, as in a drifting tag or an unbalanced rotor: both are gone after it. There, and where healthy
    windows of the machine are known, use :class:`BaselineScaler`.

    Parameters
    ----------
    method : {"standard", "robust", "center"}, default="standard"
        ``"standard"``: mean and standard deviation. ``"robust"``: median and interquartile range divided by 1.349
        (equal to the standard deviation for a normal distribution; the standard deviation where the range is zero),
        which impacts hardly move. ``"center"``: the mean alone, which keeps the amplitude.

    Attributes
    ----------
    n_features_in_ : int
        Number of channels.
    channel_names_in_ : tuple of length n_features_in_
        Names of the channels, if `X` was :class:`Windows` that know them.

    See Also
    --------
    BaselineScaler : Scales each channel by the healthy windows of its machine.

    Notes
    -----
    Nothing is learned in ``fit``, so no window tells anything of another. A channel without spread in a window becomes
    zeros there, and a warning counts such windows. Rows of a table are taken as windows of one channel: one row of
    ``n_features`` samples.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import WindowScaler
    >>> X = np.array([[[1.0, 3.0, 1.0, 3.0]], [[10.0, 30.0, 10.0, 30.0]]])
    >>> WindowScaler().fit_transform(X).tolist()
    [[[-1.0, 1.0, -1.0, 1.0]], [[-1.0, 1.0, -1.0, 1.0]]]
    """

    _parameter_constraints: dict[str, Any] = {"method": [StrOptions({"standard", "robust", "center"})]}

    def __init__(self, method="standard"):
        self.method = method

    def fit(self, X, y=None):
        """Check the windows; nothing is learned.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, window_length)
        y : None
            Ignored.

        Returns
        -------
        self : WindowScaler

        Raises
        ------
        ValueError
            If `X` cannot be used, such as for NaN.
        """
        self._validate_params()
        self._check(X, reset=True)
        return self

    def transform(self, X):
        """Scale windows.

        Parameters
        ----------
        X : array of shape (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of the shape of `X`
            float64, or float32 if `X` is float32 or has 16 bits; computed in float64. :class:`Windows` stay such.

        Raises
        ------
        ValueError
            If `X` cannot be used.
        """
        check_is_fitted(self)
        windows = self._check(X, reset=False)
        found, flat = np.empty_like(windows), np.zeros(windows.shape[:2], dtype=bool)
        for part in in_parts(windows):
            found[part], flat[part] = _scaled(windows[part].astype(np.float64), self.method, windows.dtype)
        if not is_windows(X):
            return found[:, 0]
        if self.method != "center":
            warn_of_flat_channels("WindowScaler", flat, channel_names(windows, self))
        return same_fields(X, found)

    def _check(self, X: Any, reset: bool) -> np.ndarray:
        checked = check_samples(self, X, reset=reset, largest=np.finfo(np.float64).max)
        return checked if checked.ndim == 3 else checked[:, None]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _scaled(z: np.ndarray, method: str, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scale float64 windows, which came as `dtype`, in place.

    Returns
    -------
    z : ndarray of shape (n_windows, n_channels, window_length)
    flat : ndarray of shape (n_windows, n_channels), bool
        Whether the channel does not change in the window.
    """
    if method == "robust":
        low, center, high = np.percentile(z, [25, 50, 75], axis=2, keepdims=True)
    else:
        center = z.mean(axis=2, keepdims=True)
    # dividing by a spread of rounding errors would turn them into signals
    least = least_spread(np.abs(z).max(axis=2, keepdims=True), dtype)
    deviation = z.std(axis=2, keepdims=True)
    z -= center
    if method == "center":
        return z, np.zeros(z.shape[:2], dtype=bool)
    scale = deviation
    if method == "robust":
        scale = np.where(high - low > least, (high - low) / INTERQUARTILE_RANGE, deviation)
    flat = scale <= least
    z /= np.where(flat, 1.0, scale)
    z[flat[:, :, 0]] = 0.0
    return z, flat[:, :, 0]
