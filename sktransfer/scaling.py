"""BaselineScaler: centre and scale by rows in normal operating condition, each machine by its own.

::

    machine A: healthy rows --> centre, scale --+
    machine B: healthy rows --> centre, scale --+--> (x - centre) / scale --> signed log --> clip --> float32-safe

Most of the gap between two machines is offset and scale. Rows that are known to be healthy tell both without a
single fault label, and, unlike statistics of all rows, without assuming that faults are equally common everywhere.
"""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sktransfer import _quality
from sktransfer._callbacks import CallbackSupport, FitTask, with_callbacks
from sktransfer._parameters import Interval, StrOptions
from sktransfer._validation import check_rows, column_names, refuse_larger_than
from sktransfer.exceptions import DataQualityWarning

# Nothing that is measured is larger, and its square still fits a float64.
_LARGEST_MEASUREMENT = 1e30
_WHO = "BaselineScaler"


class BaselineScaler(CallbackSupport, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale each column by its rows in normal operating condition, each machine by its own.

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
        healthy standard deviations away, where a network has seen nothing; the logarithm keeps it near.
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
        Mean number of consecutive healthy rows without change in the slowest domain, by which a stuck sensor is told
        from a slow one; infinite for a column that never moved.
    missing_rule_ : str
        What is done with a NaN, in words.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : Scales by all rows; right where no healthy rows are known and the classes
        are about as common on every machine.

    Notes
    -----
    Centre and scale are computed in float64 whatever the input. A column without spread while healthy gets the
    scale 1, so that it stays at zero until it moves.

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
        X : array-like of shape (n_samples, n_features)
            Rows in physical units.
        y : array-like of shape (n_samples,), optional
            Labels; needed if `normal_label` is set, else ignored.
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
        X = check_rows(self, X, reset=True, allow_nan=self.missing == "impute")
        names = column_names(self, X.shape[1])
        refuse_larger_than(_LARGEST_MEASUREMENT, _WHO, X, names, "Drop the row, or mark such values as missing.")
        _quality.warn_of_quality(_WHO, X, names)
        healthy = self._healthy_rows(X, y)
        domains = _check_domains(sample_domain, len(X))
        self.domains_ = np.unique(domains)
        centers, scales, counts, runs = [], [], [], []
        for domain in self.domains_:
            rows = X[healthy & (domains == domain)].astype(np.float64, copy=False)
            if len(rows) == 0:
                where = f" in sample_domain {domain}" if sample_domain is not None else ""
                raise ValueError(
                    f"BaselineScaler found no row with y == {self.normal_label!r}{where}; y holds "
                    f"{_some_values(y)}. Set normal_label to the healthy label, or fit the scaler on healthy rows only "
                    "and pass FrozenEstimator(scaler)."
                )
            center, scale = self._statistics(rows, names)
            centers.append(center)
            scales.append(scale)
            counts.append(len(rows))
            runs.append(_quality.typical_runs(rows))
        self.center_, self.scale_, self.n_normal_ = np.array(centers), np.array(scales), np.array(counts)
        self.typical_run_ = np.max(runs, axis=0)
        self._warn_of_lost_digits(X, names, stacklevel=4)
        self.missing_rule_ = "healthy centre of the column" if self.missing == "impute" else "error"
        return self

    def fit_transform(self, X, y=None, sample_domain=None):
        """Both, with the same domains; parameters and errors are those of :meth:`fit`."""
        return self.fit(X, y, sample_domain).transform(X, sample_domain)

    def transform(self, X, sample_domain=None):
        """Scale rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in physical units.
        sample_domain : array-like of shape (n_samples,), optional
            As in ``fit``; may be left out if only one domain was fitted.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float64, or float32 if `X` is float32; healthy rows have mean 0 and standard deviation 1 before
            compression.

        Raises
        ------
        ValueError
            If a domain was not seen in ``fit``.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False, allow_nan=self.missing == "impute")
        which = self._which_domain(sample_domain, len(X))
        # in float64: an offset of 1e5 with unit spread would lose its digits in float32
        z = X.astype(np.float64)
        row = 0 if len(self.domains_) == 1 else which
        with np.errstate(over="ignore"):  # what overflows is clipped, or refused below
            z -= self.center_[row]
            z /= self.scale_[row]
        if self.missing == "impute":
            np.nan_to_num(z, copy=False, nan=0.0, posinf=None, neginf=None)
        if self.compress:
            z = np.sign(z) * np.log1p(np.abs(z))
        names = column_names(self, X.shape[1])
        self._warn_of_lost_digits(X, names, stacklevel=5)
        _quality.warn_of_far_rows(_WHO, z, min(self.clip or np.inf, np.log1p(1e4) if self.compress else 1e4), names)
        _quality.warn_of_stuck_columns(_WHO, X, self.typical_run_, names)
        if self.clip is None:
            refuse_larger_than(_LARGEST_MEASUREMENT, _WHO, z, names, "Set clip, so that such values stay usable.")
        else:
            np.clip(z, -self.clip, self.clip, out=z)
        return z.astype(X.dtype, copy=False)

    def _healthy_rows(self, X: np.ndarray, y: Any) -> np.ndarray:
        if self.normal_label is None:
            return np.ones(len(X), dtype=bool)
        if y is None:
            raise ValueError(
                f"BaselineScaler(normal_label={self.normal_label!r}) needs y to find the healthy rows, got y=None."
            )
        labels = np.asarray(y, dtype=object)
        if labels.shape != (len(X),):
            raise ValueError(f"BaselineScaler got y of shape {labels.shape}; expected ({len(X)},), one label a row.")
        return np.array([label == self.normal_label for label in labels], dtype=bool)

    def _statistics(self, rows: np.ndarray, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        empty = np.isnan(rows).all(axis=0)
        if empty.any():
            warnings.warn(
                f"BaselineScaler: the columns {[names[j] for j in np.flatnonzero(empty)]} hold no value in the healthy "
                "rows; they are ignored (always zero after scaling).",
                DataQualityWarning,
                3,
            )
            rows = np.where(empty, 0.0, rows)
        if self.method == "robust":
            low, center, high = np.nanpercentile(rows, [25, 50, 75], axis=0)
            scale = (high - low) / 1.3489795003921634
        else:
            center = np.nanmean(rows, axis=0)
            squares = (rows - center) ** 2
            scale = np.sqrt(np.nanmean(squares, axis=0))
            _quality.warn_of_dominant_rows(_WHO, rows, squares, names)
        # spread below rounding is no spread: dividing by it would turn rounding errors into signals
        still = scale <= 10 * np.finfo(np.float64).eps * np.abs(center)
        scale = np.where(still | (scale == 0), 1.0, scale)
        return center, np.where(empty, np.inf, scale)

    def _which_domain(self, sample_domain: Any, n_rows: int) -> np.ndarray:
        if sample_domain is None and len(self.domains_) > 1:
            raise ValueError(
                f"BaselineScaler was fitted on the domains {self.domains_.tolist()}; pass sample_domain to transform, "
                "or fit one scaler for the machine at hand."
            )
        if sample_domain is None or (len(self.domains_) == 1 and self.domains_[0] == 0):
            return np.zeros(n_rows, dtype=np.intp)
        domains = _check_domains(sample_domain, n_rows)
        unknown = sorted(set(domains.tolist()) - set(self.domains_.tolist()))
        if unknown:
            raise ValueError(
                f"BaselineScaler has no baseline for sample_domain {unknown}; it was fitted on "
                f"{self.domains_.tolist()}. Fit it again with healthy rows of the new machine."
            )
        return np.searchsorted(self.domains_, domains)

    def _warn_of_lost_digits(self, X: np.ndarray, names: list[str], stacklevel: int) -> None:
        if X.dtype == np.float32:
            moved = np.where(np.isfinite(self.typical_run_), self.scale_, np.inf)
            _quality.warn_of_lost_digits(_WHO, self.center_, moved, names, stacklevel)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "impute"
        tags.target_tags.required = self.normal_label is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_domains(sample_domain: Any, n_rows: int) -> np.ndarray:
    """Absolute domain numbers of shape (n_rows,); zeros if None."""
    if sample_domain is None:
        return np.zeros(n_rows, dtype=np.int64)
    domains = np.asarray(sample_domain)
    if domains.shape != (n_rows,):
        raise ValueError(f"sample_domain has shape {domains.shape}; expected ({n_rows},), one number a row.")
    if domains.dtype.kind not in "iu" or (domains == 0).any():
        raise ValueError(
            "sample_domain takes whole numbers other than zero: positive for sources, negative for targets."
        )
    return np.abs(domains.astype(np.int64))


def _some_values(y: Any) -> str:
    values = sorted({str(value) for value in np.asarray(y, dtype=object)})
    return ", ".join(repr(v) for v in values[:8]) + (", ..." if len(values) > 8 else "")
