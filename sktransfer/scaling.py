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

from sktransfer._validation import Interval, StrOptions, check_rows, column_names, warn_of_quality
from sktransfer.exceptions import DataQualityWarning

_STUCK_ROWS = 20  # rows in one call without any change, in a column that changed while healthy


class BaselineScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
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
        Largest absolute value of the output: healthy standard deviations, or their logarithm with `compress`.
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
            If a domain has no healthy row, or `X` cannot be used.
        """
        self._validate_params()
        X = check_rows(self, X, reset=True, allow_nan=self.missing == "impute")
        names = column_names(self, X.shape[1])
        warn_of_quality("BaselineScaler", X, names)
        _warn_of_lost_digits(X, names)
        healthy = self._healthy_rows(X, y)
        domains = _check_domains(sample_domain, len(X))
        self.domains_ = np.unique(domains)
        centers, scales, counts = [], [], []
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
        self.center_, self.scale_, self.n_normal_ = np.array(centers), np.array(scales), np.array(counts)
        self.missing_rule_ = "healthy centre of the column" if self.missing == "impute" else "error"
        return self

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
        # statistics in float64: an offset of 1e5 with unit spread would lose its digits in float32
        z = X.astype(np.float64)
        if len(self.domains_) == 1:
            z -= self.center_[0]
            z /= self.scale_[0]
        else:
            z -= self.center_[which]
            z /= self.scale_[which]
        if self.missing == "impute":
            np.nan_to_num(z, copy=False, nan=0.0, posinf=None, neginf=None)
        if self.compress:
            z = np.sign(z) * np.log1p(np.abs(z))
        self._warn_of_rows(X, z)
        if self.clip is not None:
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
            scale = np.sqrt(np.nanmean((rows - center) ** 2, axis=0))
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

    def _warn_of_rows(self, X: np.ndarray, z: np.ndarray) -> None:
        names = column_names(self, X.shape[1])
        limit = self.clip if self.clip is not None else np.inf
        beyond = np.abs(z) > min(limit, np.log1p(1e4) if self.compress else 1e4)
        if beyond.any():
            columns = [names[j] for j in np.flatnonzero(beyond.any(axis=0))[:5]]
            warnings.warn(
                f"BaselineScaler: {int(beyond.any(axis=1).sum())} of {len(z)} rows lie further from the healthy "
                f"baseline than anything credible, in the columns {columns}. Check units and sensors.",
                DataQualityWarning,
                3,
            )
        if len(X) >= _STUCK_ROWS:
            moved_while_healthy = np.isfinite(self.scale_).all(axis=0) & (self.scale_ != 1.0).any(axis=0)
            stuck = moved_while_healthy & (X == X[0]).all(axis=0)
            if stuck.any():
                warnings.warn(
                    f"BaselineScaler: the columns {[names[j] for j in np.flatnonzero(stuck)][:5]} do not change over "
                    f"{len(X)} rows although they varied while healthy. The sensors may be stuck.",
                    DataQualityWarning,
                    3,
                )

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
        raise ValueError("sample_domain takes whole numbers other than zero: positive for sources, negative for targets.")
    return np.abs(domains.astype(np.int64))


def _some_values(y: Any) -> str:
    values = sorted({str(value) for value in np.asarray(y, dtype=object)})
    return ", ".join(repr(v) for v in values[:8]) + (", ..." if len(values) > 8 else "")


def _warn_of_lost_digits(X: np.ndarray, names: list[str]) -> None:
    """float32 keeps about seven digits; a large offset leaves none of them for the spread."""
    if X.dtype != np.float32 or len(X) < 2:
        return
    spread = X.std(axis=0, dtype=np.float64)
    offset = np.abs(X.mean(axis=0, dtype=np.float64))
    lost = (spread > 0) & (offset * np.finfo(np.float32).eps > 1e-3 * spread)
    if lost.any():
        warnings.warn(
            f"BaselineScaler: the columns {[names[j] for j in np.flatnonzero(lost)][:5]} came as float32, whose digits "
            "do not resolve their spread. Read the data as float64.",
            DataQualityWarning,
            3,
        )
