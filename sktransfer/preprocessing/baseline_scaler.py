"""BaselineScaler: centre and scale by rows in normal operating condition, each machine by its own.

::

    machine A: healthy rows --> centre, scale --+
    machine B: healthy rows --> centre, scale --+--> (x - centre) / scale --> signed log --> clip --> float32-safe

Most of the gap between two machines is offset and scale. Rows that are known to be healthy tell both without a
single fault label, and, unlike statistics of all rows, without assuming that faults are equally common everywhere.
Windows of sensor signals are scaled alike, each channel by all samples of the healthy windows.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sktransfer.preprocessing.window_scaler import INTERQUARTILE_RANGE
from sktransfer.utils.callbacks import CallbackSupport, FitTask, with_callbacks
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.chunks import in_parts
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.parameters import Interval, StrOptions
from sktransfer.validation.domains import check_domains
from sktransfer.validation.quality import (
    typical_runs,
    warn_of_dominant_values,
    warn_of_empty_channels,
    warn_of_far,
    warn_of_lost_digits,
    warn_of_quality,
    warn_of_stuck,
    words_of,
)
from sktransfer.validation.rows import column_names, refuse_unusable
from sktransfer.validation.windows import check_samples
from sktransfer.windows.windows import same_fields

# Nothing that is measured is larger, and its square still fits a float64.
_LARGEST_MEASUREMENT = 1e30
_LARGEST_FLOAT = float(np.finfo(np.float64).max)
_NAME = "BaselineScaler"


class BaselineScaler(Checksummed, CallbackSupport, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale each column or channel by its rows or windows in normal operating condition, each machine by its own.

    Takes rows of a table, or windows of shape (n_windows, n_channels, window_length): a channel is then scaled by all
    samples of the healthy windows, so that its level and its amplitude in a window survive. Below, a row stands for a
    window and a column for a channel.

    Parameters
    ----------
    normal_label : object, default=None
        The value of ``y`` that marks a healthy row. None: every row passed to ``fit`` is healthy, as in
        ``FrozenEstimator(BaselineScaler().fit(X_healthy))``.
    method : {"standard", "robust"}, default="standard"
        Mean and standard deviation, or median and interquartile range divided by 1.349 (equal to the standard
        deviation for a normal distribution).
    compress : bool, default=True
        Whether far values are compressed by ``sign(z) * log(1 + |z|)``. A fault can push a column hundreds of
        healthy standard deviations away, where a network has seen nothing; the logarithm keeps it near. It bends
        waves: False for signals whose spectrum matters, such as vibration.
    clip : float or None, default=20.0
        Largest absolute value of the output: healthy standard deviations, or their logarithm with `compress`. Without
        `compress` faults in training often lie beyond it, and clipped values look the same however far they were.
    missing : {"error", "impute"}, default="error"
        A NaN is an error, or becomes zero after scaling (the column's healthy centre).

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_domains, n_features), float64
        One row a domain, in the order of `domains_`.
    domains_ : ndarray of shape (n_domains,)
        Absolute values of ``sample_domain``; ``[0]`` if none was passed.
    n_normal_ : ndarray of shape (n_domains,)
        Healthy rows of each domain.
    typical_run_ : ndarray of shape (n_features,)
        Mean number of consecutive healthy rows (in windows: samples) without change in the slowest domain, by which a
        stuck sensor is told from a slow one; infinite for a column that never moved.
    missing_rule_ : str
        How a NaN is treated, in words.
    n_features_in_ : int
        Number of columns or channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.
    channel_names_in_ : tuple of length n_features_in_
        Names of the channels, if `X` was :class:`Windows` that know them.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : Scales by all rows; right where no healthy rows are known and the classes
        are about as common on every machine.
    WindowScaler : Scales each window by itself; right where the gain of the sensors is unknown.

    Notes
    -----
    Centre and scale are computed in float64 whatever the input. A column without spread while healthy gets the
    scale 1, so that it stays at zero until it moves. A scaler that was fitted on rows takes windows of the same
    channels, and the reverse.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import BaselineScaler
    >>> X = np.array([[1.0], [3.0], [10.0]])
    >>> y = np.array(["normal", "normal", "leak"])
    >>> BaselineScaler(normal_label="normal", compress=False).fit(X, y).transform(X).ravel()
    array([-1.,  1.,  8.])
    """

    _parameter_constraints: dict[str, Any] = {
        "normal_label": "no_validation",
        "method": [StrOptions({"standard", "robust"})],
        "compress": ["boolean"],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "missing": [StrOptions({"error", "impute"})],
    }

    def __init__(self, normal_label=None, *, method="standard", compress=True, clip=20.0, missing="error"):
        self.normal_label = normal_label
        self.method = method
        self.compress = compress
        self.clip = clip
        self.missing = missing

    @with_callbacks
    def fit(self, X, y=None, sample_domain=None):
        """Learn centre and scale from the healthy rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or array of shape (n_windows, n_channels, window_length)
            In physical units.
        y : array-like of shape (n_samples,), optional
            Labels of rows or windows; needed if `normal_label` is set, else ignored.
        sample_domain : array-like of shape (n_samples,), optional
            Machine, mode or batch of each row: whole numbers other than zero, positive for sources and negative
            for targets. Each domain is scaled by its own healthy rows.

        Returns
        -------
        self : BaselineScaler

        Raises
        ------
        ValueError
            If a domain has no healthy row, or `X` cannot be used, for example for values beyond 1e30.
        """
        self._validate_params()
        with FitTask(self, X, y, 0, fits_it=True):
            return self._fit(X, y, sample_domain)

    def _fit(self, X, y, sample_domain):
        X = self._check(X, reset=True)
        names = self._names(X)
        warn_of_quality(_NAME, X, names)
        healthy = _healthy(len(X), y, self.normal_label)
        domains = check_domains(sample_domain, len(X))
        self.domains_ = np.unique(domains)
        found = []
        for domain in self.domains_:
            ours = X[healthy & (domains == domain)]
            if len(ours) == 0:
                where = f" in sample_domain {domain}" if sample_domain is not None else ""
                raise ValueError(
                    f"BaselineScaler found no row with y == {self.normal_label!r}{where}; y holds "
                    f"{_first_labels(y)}. Set normal_label to the healthy label, or fit the scaler on healthy rows "
                    "only and pass FrozenEstimator(scaler)."
                )
            found.append((*_center_and_scale(ours, self.method, names), len(ours), typical_runs(ours)))
        self.center_, self.scale_, self.n_normal_, runs = (np.array(values) for values in zip(*found, strict=True))
        self.typical_run_ = runs.max(axis=0)
        self._warn_of_lost_digits(X, names)
        self.missing_rule_ = "healthy centre of the column" if self.missing == "impute" else "error"
        return self

    def fit_transform(self, X, y=None, sample_domain=None):
        """Fit, then transform the same rows. Parameters and errors are those of :meth:`fit`."""
        return self.fit(X, y, sample_domain).transform(X, sample_domain)

    def transform(self, X, sample_domain=None):
        """Scale rows or windows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or array of shape (n_windows, n_channels, window_length)
            In physical units.
        sample_domain : array-like of shape (n_samples,), optional
            As in ``fit``; may be left out if only one domain was fitted.

        Returns
        -------
        ndarray of the shape of `X`
            float64, or float32 if `X` is float32 (or 16-bit windows); healthy rows have mean 0 and standard deviation
            1 before compression. :class:`Windows` stay such.

        Raises
        ------
        ValueError
            If a domain was not seen in ``fit``.
        """
        check_is_fitted(self)
        given, X = X, self._check(X, reset=False)
        which = self._which_domain(sample_domain, len(X))
        names, words = self._names(X), words_of(X)
        self._warn_of_lost_digits(X, names)
        warn_of_stuck(_NAME, X, self.typical_run_, names)
        if X.ndim == 3 and self.missing == "impute":
            warn_of_empty_channels(_NAME, X, names)
        parts, beyond = list(in_parts(X)), np.empty(X.shape[:2], dtype=bool)
        found = np.empty(X.shape if len(parts) > 1 else 0, X.dtype)
        for part in parts:
            rows = which[part] if len(self.domains_) > 1 else slice(None)
            z = self._scaled(X[part], self.center_[rows], self.scale_[rows])
            far = np.abs(z) > self._credible()
            far = far if X.ndim == 2 else far.any(axis=2)
            z = self._clipped(z, names).astype(X.dtype, copy=False)
            if len(parts) == 1:  # no copy, which is slow where columns lie side by side in memory
                found, beyond = z, far
            else:
                found[part], beyond[part] = z, far
        warn_of_far(_NAME, beyond, names, words)
        return same_fields(given, found)

    def _check(self, X: Any, reset: bool) -> np.ndarray:
        return check_samples(
            self,
            X,
            reset=reset,
            allow_nan=self.missing == "impute",
            largest=_LARGEST_MEASUREMENT if reset else _LARGEST_FLOAT,
            remedy="Drop the row or window, or mark such values as missing.",
        )

    def _names(self, X: np.ndarray) -> list[Any]:
        return column_names(self, X.shape[1]) if X.ndim == 2 else list(range(X.shape[1]))

    def _scaled(self, X: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Distance from the centre in scales, in float64: an offset of 1e5 with unit spread is lost in float32."""
        if X.ndim == 3:
            center, scale = center[:, :, None], scale[:, :, None]
        z = X.astype(np.float64)
        with np.errstate(over="ignore"):  # what overflows is clipped, or refused later
            z -= center
            z /= scale
        if self.missing == "impute":
            np.nan_to_num(z, copy=False, nan=0.0, posinf=None, neginf=None)
        return np.sign(z) * np.log1p(np.abs(z)) if self.compress else z

    def _credible(self) -> float:
        """Largest scaled value that a sound sensor may show."""
        return min(self.clip or np.inf, np.log1p(1e4) if self.compress else 1e4)

    def _clipped(self, z: np.ndarray, names: list[Any]) -> np.ndarray:
        limit = _LARGEST_FLOAT if self.clip is None else self.clip
        np.clip(z, -limit, limit, out=z)
        if self.clip is None:
            remedy = "Set clip, so that such values stay usable."
            refuse_unusable(_NAME, z, lambda: names, largest=_LARGEST_MEASUREMENT, remedy=remedy)
        return z

    def _which_domain(self, sample_domain: Any, n_rows: int) -> np.ndarray:
        if sample_domain is None and len(self.domains_) > 1:
            raise ValueError(
                f"BaselineScaler was fitted on the domains {self.domains_.tolist()}; pass sample_domain to transform, "
                "or fit one scaler for the machine at hand."
            )
        if sample_domain is None or (len(self.domains_) == 1 and self.domains_[0] == 0):
            return np.zeros(n_rows, dtype=np.intp)
        domains = check_domains(sample_domain, n_rows)
        unknown = sorted(set(domains.tolist()) - set(self.domains_.tolist()))
        if unknown:
            raise ValueError(
                f"BaselineScaler has no baseline for sample_domain {unknown}; it was fitted on "
                f"{self.domains_.tolist()}. Fit it again with healthy rows of the new machine."
            )
        return np.searchsorted(self.domains_, domains)

    def _warn_of_lost_digits(self, X: np.ndarray, names: list[Any]) -> None:
        if X.dtype == np.float32:
            moved = np.where(np.isfinite(self.typical_run_), self.scale_, np.inf)
            warn_of_lost_digits(_NAME, self.center_, moved, names, words_of(X)[0])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "impute"
        tags.target_tags.required = self.normal_label is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _healthy(n: int, y: Any, normal_label: Any) -> np.ndarray:
    """Which of `n` rows or windows are healthy; all without a `normal_label`."""
    if normal_label is None:
        return np.ones(n, dtype=bool)
    if y is None:
        raise ValueError(f"BaselineScaler(normal_label={normal_label!r}) needs y to find the healthy rows, got y=None.")
    labels = np.asarray(y, dtype=object)
    if labels.shape != (n,):
        raise ValueError(f"BaselineScaler got y of shape {labels.shape}; expected ({n},), one label a row.")
    return np.array([label == normal_label for label in labels], dtype=bool)


def _first_labels(y: Any) -> str:
    """The first few labels, for messages."""
    values = sorted({str(value) for value in np.asarray(y, dtype=object)})
    return ", ".join(repr(v) for v in values[:8]) + (", ..." if len(values) > 8 else "")


def _center_and_scale(X: np.ndarray, method: str, names: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each column or channel of healthy rows or windows, in float64."""
    column, row = words_of(X)
    if X.ndim == 2:
        return _statistics(X.astype(np.float64, copy=False), method, names, column, row)
    moments = _moments(X) if method == "standard" else None
    if moments is not None:
        return moments[0], _without_rounding(*moments)
    found = [
        _statistics(X[:, j].reshape(-1, 1).astype(np.float64), method, names[j : j + 1], column, row)
        for j in range(X.shape[1])
    ]
    return np.concatenate([center for center, _ in found]), np.concatenate([scale for _, scale in found])


def _statistics(
    values: np.ndarray, method: str, names: list[Any], column: str, row: str
) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each column of `values`, which may hold NaN; a column without a value gets infinite scale."""
    empty = np.isnan(values).all(axis=0)
    if empty.any():
        warn_caller(
            f"BaselineScaler: the {column}s {[names[j] for j in np.flatnonzero(empty)]} hold no value in the healthy "
            f"{row}s; they are ignored (always zero after scaling)."
        )
        values = np.where(empty, 0.0, values)
    if method == "robust":
        low, center, high = np.nanpercentile(values, [25, 50, 75], axis=0)
        scale = (high - low) / INTERQUARTILE_RANGE
    else:
        center = np.nanmean(values, axis=0)
        squares = (values - center) ** 2
        scale = np.sqrt(np.nanmean(squares, axis=0))
        warn_of_dominant_values(_NAME, values, squares, names, column)
    return center, np.where(empty, np.inf, _without_rounding(center, scale))


def _without_rounding(center: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The scale, or 1 where it is below rounding: dividing by it would turn rounding errors into signals."""
    still = scale <= 10 * np.finfo(np.float64).eps * np.abs(center)
    return np.where(still | (scale == 0), 1.0, scale)


def _moments(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and standard deviation of each channel, a few windows at a time.

    None if a closer look is due: a sample is missing, or a single one makes up most of the spread.
    """
    n_samples, parts = len(windows) * windows.shape[2], list(in_parts(windows))
    center = sum(windows[part].sum(axis=(0, 2), dtype=np.float64) for part in parts) / n_samples
    total, largest = np.zeros(len(center)), np.zeros(len(center))
    for part in parts:
        squares = (windows[part] - center[:, None]) ** 2
        total += squares.sum(axis=(0, 2))
        largest = np.maximum(largest, squares.max(axis=(0, 2)))
    if np.isnan(center).any() or (largest > 0.9 * total).any():
        return None
    return center, np.sqrt(total / n_samples)
