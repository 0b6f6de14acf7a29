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

from sktransfer.preprocessing.baseline import (
    check_domains,
    healthy_ones,
    scaled,
    some_values,
    statistics_of_rows,
    statistics_of_windows,
)
from sktransfer.utils.callbacks import CallbackSupport, FitTask, with_callbacks
from sktransfer.utils.parameters import Interval, StrOptions
from sktransfer.validation import quality as _quality
from sktransfer.validation import window_quality as _window_quality
from sktransfer.validation.rows import check_rows, column_names, refuse_larger_than
from sktransfer.validation.window_quality import chunks, is_windows
from sktransfer.validation.windows import check_windows
from sktransfer.windows.windows import same_fields

# Nothing that is measured is larger, and its square still fits a float64.
_LARGEST_MEASUREMENT = 1e30
_WHO = "BaselineScaler"


class BaselineScaler(CallbackSupport, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
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
        `compress` faults in training often lie beyond it, and what is clipped looks the same however far it is.
    missing : {"error", "impute"}, default="error"
        What a NaN does: an error, or the value zero after scaling (the column's healthy centre).

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
        What is done with a NaN, in words.
    n_features_in_ : int
        Number of columns or channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.

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
        with FitTask(self, X, y, 0):
            return self._fit(X, y, sample_domain)

    def _fit(self, X, y, sample_domain):
        windows, impute = is_windows(X), self.missing == "impute"
        checks, what = (_window_quality, "channel") if windows else (_quality, "column")
        X = self._checked(X, reset=True) if windows else check_rows(self, X, reset=True, allow_nan=impute)
        names = list(range(X.shape[1])) if windows else column_names(self, X.shape[1])
        mend = f"Drop the {'window' if windows else 'row'}, or mark such values as missing."
        refuse_larger_than(_LARGEST_MEASUREMENT, _WHO, X, names, mend, what)
        checks.warn_of_quality(_WHO, X, names)
        healthy = healthy_ones(len(X), y, self.normal_label)
        domains = check_domains(sample_domain, len(X))
        self.domains_ = np.unique(domains)
        centers, scales, counts, runs = [], [], [], []
        for domain in self.domains_:
            ours = X[healthy & (domains == domain)]
            if len(ours) == 0:
                where = f" in sample_domain {domain}" if sample_domain is not None else ""
                raise ValueError(
                    f"BaselineScaler found no row with y == {self.normal_label!r}{where}; y holds "
                    f"{some_values(y)}. Set normal_label to the healthy label, or fit the scaler on healthy rows only "
                    "and pass FrozenEstimator(scaler)."
                )
            center, scale = (statistics_of_windows if windows else statistics_of_rows)(ours, self.method, names)
            centers.append(center)
            scales.append(scale)
            counts.append(len(ours))
            runs.append(checks.typical_runs(ours))
        self.center_, self.scale_, self.n_normal_ = np.array(centers), np.array(scales), np.array(counts)
        self.typical_run_ = np.max(runs, axis=0)
        self._warn_of_lost_digits(X, names, stacklevel=4)
        self.missing_rule_ = "healthy centre of the column" if impute else "error"
        return self

    def fit_transform(self, X, y=None, sample_domain=None):
        """Both, with the same domains; parameters and errors are those of :meth:`fit`."""
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
        if is_windows(X):
            return same_fields(X, self._transform_windows(X, sample_domain))
        X = check_rows(self, X, reset=False, allow_nan=self.missing == "impute")
        which = self._which_domain(sample_domain, len(X))
        row = 0 if len(self.domains_) == 1 else which
        z = scaled(X, self.center_[row], self.scale_[row], self.missing == "impute", self.compress)
        names = column_names(self, X.shape[1])
        self._warn_of_lost_digits(X, names, stacklevel=5)
        _quality.warn_of_far_rows(_WHO, z, self._credible(), names)
        _quality.warn_of_stuck_columns(_WHO, X, self.typical_run_, names)
        return self._clipped(z, names, "column").astype(X.dtype, copy=False)

    def _checked(self, X: Any, reset: bool) -> np.ndarray:
        return np.asarray(
            check_windows(self, X, reset=reset, allow_nan=self.missing == "impute", largest=np.finfo(np.float64).max)
        )

    def _transform_windows(self, X: Any, sample_domain: Any) -> np.ndarray:
        """The same, a few windows at a time."""
        X = self._checked(X, reset=False)
        which = self._which_domain(sample_domain, len(X))
        names = list(range(X.shape[1]))
        self._warn_of_lost_digits(X, names, stacklevel=6)
        _window_quality.warn_of_stuck_channels(_WHO, X, self.typical_run_, names)
        found, beyond = np.empty(X.shape, X.dtype), np.zeros(X.shape[:2], dtype=bool)
        if self.missing == "impute":
            _window_quality.warn_of_empty_channels(_WHO, X, names)
        for part in chunks(X):
            center, scale = (values[which[part], :, None] for values in (self.center_, self.scale_))
            z = scaled(X[part], center, scale, self.missing == "impute", self.compress)
            beyond[part] = (np.abs(z) > self._credible()).any(axis=2)
            found[part] = self._clipped(z, names, "channel")
        _window_quality.warn_of_far_windows(_WHO, beyond, names)
        return found

    def _credible(self) -> float:
        """Largest scaled value that a sound sensor may show."""
        return min(self.clip or np.inf, np.log1p(1e4) if self.compress else 1e4)

    def _clipped(self, z: np.ndarray, names: list[Any], what: str) -> np.ndarray:
        if self.clip is None:
            refuse_larger_than(_LARGEST_MEASUREMENT, _WHO, z, names, "Set clip, so that such values stay usable.", what)
            return z
        return np.clip(z, -self.clip, self.clip, out=z)

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

    def _warn_of_lost_digits(self, X: np.ndarray, names: list[Any], stacklevel: int) -> None:
        if X.dtype == np.float32:
            moved = np.where(np.isfinite(self.typical_run_), self.scale_, np.inf)
            _quality.warn_of_lost_digits(_WHO, self.center_, moved, names, stacklevel)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "impute"
        tags.target_tags.required = self.normal_label is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
