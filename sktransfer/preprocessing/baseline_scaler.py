"""BaselineScaler: centre and scale by rows in normal operating condition, each machine by its own.

::

    machine A: healthy rows --> centre, scale --+
    machine B: healthy rows --> centre, scale --+--> (x - centre) / scale --> (whiten) --> signed log --> clip

Most of the gap between two machines is offset and scale. Rows that are known to be healthy tell both without a
single fault label, and, unlike statistics of all rows, without assuming that faults are equally common everywhere.
Windows of sensor signals are scaled alike, each channel by all samples of the healthy windows.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from sktransfer.preprocessing.healthy_rows import healthy_rows, no_healthy_row
from sktransfer.preprocessing.healthy_statistics import healthy_statistics, warn_of_start_up
from sktransfer.preprocessing.whitening import whiten, whitening_matrix
from sktransfer.preprocessing.windows_out import WindowsOut
from sktransfer.utils.callbacks import CallbackSupport, FitTask, with_callbacks
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.chunks import in_parts
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import collect_warnings, listed
from sktransfer.utils.parameters import Interval, StrOptions
from sktransfer.validation.domains import domain_names
from sktransfer.validation.named_rows import with_names
from sktransfer.validation.quality import (
    warn_of_dominant_values,
    warn_of_empty_columns,
    warn_of_empty_rows,
    warn_of_empty_windows,
    warn_of_far,
    warn_of_lost_digits,
    warn_of_quality,
)
from sktransfer.validation.rows import column_names, names_seen
from sktransfer.validation.sentinels import CODES, sound_range, warn_of_codes
from sktransfer.validation.stuck import resting_values, typical_runs, warn_of_stuck
from sktransfer.validation.unusable import words_of
from sktransfer.validation.windows import channel_names, check_samples
from sktransfer.windows.windows import same_fields

# Nothing that is measured is larger, and its square still fits a float64.
_LARGEST_MEASUREMENT = 1e30
_LARGEST_FLOAT = float(np.finfo(np.float64).max)
_NAME = "BaselineScaler"


class BaselineScaler(Checksummed, CallbackSupport, OneToOneFeatureMixin, WindowsOut, BaseEstimator):
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
    whiten : bool, default=False
        Whether columns that move together while healthy are taken apart before compression, so that healthy rows are
        uncorrelated and what breaks a healthy relation stands out. Needs more healthy rows than columns to be of use.
        A network must be pretrained on rows that are whitened, too.
    absolute : bool, default=False
        Whether the absolute value of each column stands beside it, after all others: twice as many columns. Linear
        models and forests of few labels then see "far from healthy" in one number, whatever its sign.
    target_domain : int, str or None, default=None
        The machine whose rows come without ``sample_domain`` in ``transform``; None: the one with a negative number,
        if there is exactly one.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_domains, n_features), float64
        One row a domain, in the order of `domains_`.
    domains_ : ndarray of shape (n_domains,)
        The different values of ``sample_domain``; ``[0]`` if none was passed.
    n_normal_ : ndarray of shape (n_domains,)
        Healthy rows of each domain.
    typical_run_ : ndarray of shape (n_features,)
        Mean number of consecutive healthy rows (in windows: samples) without change in the slowest domain, by which a
        stuck sensor is told from a slow one; infinite for a column that never moved.
    resting_value_ : ndarray of shape (n_domains, n_features)
        Value at which a column stops several times while healthy, as an idle pump does; NaN where there is none.
    lowest_, highest_ : ndarray of shape (n_features,)
        Range of all rows of ``fit``, codes of missing data left out, by which such codes are told in ``transform``.
    whitening_ : ndarray of shape (n_domains, n_features, n_features) or None
        Symmetric matrix of each domain; None without `whiten`.
    missing_rule_ : str
        How a NaN is treated, in words.
    n_features_in_ : int
        Number of columns or channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.
    column_names_in_ : tuple of length n_features_in_
        Column names that are no text (numbers, a MultiIndex).
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

    # where scikit-learn's metadata routing is turned on, nobody needs to ask for what machines are
    __metadata_request__fit = {"sample_domain": True}
    __metadata_request__transform = {"sample_domain": True}

    _parameter_constraints: dict[str, Any] = {
        "normal_label": "no_validation",
        "method": [StrOptions({"standard", "robust"})],
        "compress": ["boolean"],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "missing": [StrOptions({"error", "impute"})],
        "whiten": ["boolean"],
        "absolute": ["boolean"],
        "target_domain": "no_validation",
    }

    def __init__(
        self, normal_label=None, *, method="standard", compress=True, clip=20.0, missing="error", whiten=False,
        absolute=False, target_domain=None,
    ):  # fmt: skip
        self.normal_label = normal_label
        self.method = method
        self.compress = compress
        self.clip = clip
        self.missing = missing
        self.whiten = whiten
        self.absolute = absolute
        self.target_domain = target_domain

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
            for targets, or texts. Each number is a domain of its own, 1 and -1 are two, and is scaled by its own
            healthy rows; without `normal_label` by all of its rows.

        Returns
        -------
        self : BaselineScaler

        Raises
        ------
        ValueError
            If a domain has no healthy row, if `target_domain` is none of them, or `X` cannot be used, for example for
            values beyond 1e30.
        """
        self._validate_params()
        with FitTask(self, X, y, 0, fits_it=True):
            return self._fit(X, y, sample_domain)

    def _fit(self, X, y, sample_domain):
        X = self._check(X, reset=True)
        names, words = self._names(X), words_of(X)
        warn_of_quality(_NAME, X, names)
        healthy = healthy_rows(_NAME, len(X), y, self.normal_label)
        domains = domain_names(sample_domain, len(X))
        self.domains_ = np.unique(domains)
        if self.target_domain is not None and self._default_domain() is None:
            raise ValueError(
                f"{_NAME}: target_domain={self.target_domain!r} names no rows; sample_domain holds "
                f"{self.domains_.tolist()[:10]}."
            )
        found, n_normal, runs, resting = [], [], [], []
        for domain in self.domains_:
            where = f" in sample_domain {domain}" if sample_domain is not None else ""
            rows = np.flatnonzero(healthy & (domains == domain))
            if len(rows) == 0:
                raise no_healthy_row(_NAME, y, self.normal_label, where)
            ours = X[rows] if len(rows) < len(X) else X
            found.append(healthy_statistics(ours, self.method))
            if self.method == "standard":
                warn_of_start_up(_NAME, ours, rows, words, where)
            n_normal.append(len(rows))
            runs.append(typical_runs(ours))
            resting.append(resting_values(ours))
        self.center_, self.scale_ = np.array([one.center for one in found]), np.array([one.scale for one in found])
        self.n_normal_, self.typical_run_ = np.array(n_normal), np.max(runs, axis=0)
        self.resting_value_ = np.array(resting)
        self.lowest_, self.highest_ = sound_range(X)
        self.whitening_ = self._matrices(X, healthy, domains) if self.whiten else None
        warn_of_empty_columns(_NAME, np.isinf(self.scale_), names, words)
        warn_of_dominant_values(_NAME, np.array([one.dominant for one in found]), names, words[0])
        self._warn_of_lost_digits(X, names)
        self.missing_rule_ = "healthy centre of the column" if self.missing == "impute" else "error"
        return self

    def _matrices(self, X, healthy, domains):
        """The whitening matrix of each domain."""
        found = []
        for k, domain in enumerate(self.domains_):
            z = self._standardized(X[healthy & (domains == domain)], self.center_[[k]], self.scale_[[k]])
            found.append(whitening_matrix(z, robust=self.method == "robust"))
        return np.array(found)

    def fit_transform(self, X, y=None, sample_domain=None):  # type: ignore[override]
        """Fit, then transform the same rows. Parameters and errors are those of :meth:`fit`."""
        with collect_warnings():  # what both find is said once
            return self.fit(X, y, sample_domain)._transform(X, sample_domain, seen=True)

    def transform(self, X, sample_domain=None):
        """Scale rows or windows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or array of shape (n_windows, n_channels, window_length)
            In physical units.
        sample_domain : array-like of shape (n_samples,), optional
            As in ``fit``. Without it the rows are those of `target_domain`, of the only target that was fitted
            (the only negative number), or of the only domain.

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
        return self._transform(X, sample_domain, seen=False)

    def _transform(self, X, sample_domain, seen):
        """Scale rows or windows; codes of missing data in those `seen` in fit were said there."""
        given, X = X, self._check(X, reset=False)
        which = self._which_domain(sample_domain, len(X))
        names, words = self._names(X), words_of(X)
        self._warn_of_lost_digits(X, names)
        if not seen:
            warn_of_codes(_NAME, X, self.lowest_, self.highest_, names, words)
        warn_of_stuck(_NAME, X, self.typical_run_, self.resting_value_, names)
        if X.ndim == 3 and self.missing == "impute":
            warn_of_empty_windows(_NAME, X, names)
        elif self.missing == "impute":
            warn_of_empty_rows(_NAME, X[:, np.isfinite(self.scale_).any(axis=0)])  # columns that had a healthy value
        parts, beyond = list(in_parts(X)), np.empty(X.shape[:2], dtype=bool)
        found = np.empty(X.shape if len(parts) > 1 else 0, X.dtype)
        for part in parts:
            rows = which[part] if len(self.domains_) > 1 else slice(None)
            z = self._standardized(X[part], self.center_[rows], self.scale_[rows])
            if self.whitening_ is not None:
                for k in range(len(self.domains_)):
                    z[which[part] == k] = whiten(z[which[part] == k], self.whitening_[k])
            z = np.sign(z) * np.log1p(np.abs(z)) if self.compress else z
            far = np.abs(z) > self._credible()
            if far.any():
                far &= ~np.isin(X[part], CODES)  # these were said
            far = far if X.ndim == 2 else far.any(axis=2)
            z = self._clipped(z, names).astype(X.dtype, copy=False)
            if len(parts) == 1:  # no copy, which is slow where columns lie side by side in memory
                found, beyond = z, far
            else:
                found[part], beyond[part] = z, far
        warn_of_far(_NAME, beyond, names, words)
        if self.absolute:
            found = np.concatenate([found, np.abs(found)], axis=1)
        same_columns = self.whitening_ is None and not self.absolute
        return with_names(same_fields(given, found), given, names_seen(self) if same_columns else None)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns, and with `absolute` those of their absolute values, such as ``"|flow|"``.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns; None: those of ``fit``, or x0, x1, ...

        Returns
        -------
        ndarray of str objects
        """
        names = super().get_feature_names_out(input_features)
        return np.concatenate([names, [f"|{name}|" for name in names]]).astype(object) if self.absolute else names

    def healthy_baseline(self, n_rows, sample_domain=None):
        """Centre and scale that each row is measured by.

        Parameters
        ----------
        n_rows : int
        sample_domain : array-like of shape (n_rows,), optional
            As in ``transform``.

        Returns
        -------
        center, scale : ndarray of shape (n_rows, n_features)
            In the unit of the columns, or of the channels.
        """
        check_is_fitted(self)
        which = self._which_domain(sample_domain, n_rows)
        return self.center_[which], self.scale_[which]

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
        return column_names(self, X.shape[1]) if X.ndim == 2 else channel_names(X, self)

    def _standardized(self, X: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Distance from the centre in scales, in float64: an offset of 1e5 with unit spread is lost in float32."""
        if X.ndim == 3:
            center, scale = center[:, :, None], scale[:, :, None]
        z = X.astype(np.float64)
        wide = z
        if X.ndim == 2 and len(center) == 1 and z.flags.c_contiguous:  # short rows are slow one by one
            n_together = np.gcd(len(z), 32)
            wide = z.reshape(-1, n_together * z.shape[1])
            center, scale = np.tile(center, n_together), np.tile(scale, n_together)
        with np.errstate(over="ignore"):  # what overflows is clipped, or refused later
            wide -= center
            wide /= scale
        if self.missing == "impute":
            np.nan_to_num(z, copy=False, nan=0.0, posinf=None, neginf=None)
        return z

    def _credible(self) -> float:
        """Largest scaled value that a sound sensor may show."""
        return min(self.clip or np.inf, np.log1p(1e4) if self.compress else 1e4)

    def _clipped(self, z: np.ndarray, names: list[Any]) -> np.ndarray:
        limit = _LARGEST_FLOAT if self.clip is None else self.clip
        np.clip(z, -limit, limit, out=z)
        if self.clip is None:
            self._refuse_beyond(z, names)
        return z

    def _refuse_beyond(self, z: np.ndarray, names: list[Any]) -> None:
        """Without a clip: raise for what no float32 network can take."""
        beyond = np.abs(z) > _LARGEST_MEASUREMENT
        if beyond.any():
            (column, row), where = words_of(z), beyond.reshape(*z.shape[:2], -1).any(axis=2)
            found = listed([names[j] for j in np.flatnonzero(where.any(axis=0))])
            raise ValueError(
                f"BaselineScaler(clip=None): "
                f"{counted(int(where.any(axis=1).sum()), f'{row} is', f'{row}s are')} beyond "
                f"{_LARGEST_MEASUREMENT:.0e} healthy deviations after scaling, in the {column}s {found}: too large for "
                f"a network. Set clip, or drop these {row}s."
            )

    def _default_domain(self) -> int | None:
        """Place in `domains_` of the rows that come without a domain; None: there are several that may be meant."""
        of_target = self.domains_.dtype.kind == "i" and self.domains_ < 0
        meant = self.domains_ == self.target_domain if self.target_domain is not None else of_target
        found = np.flatnonzero(meant) if len(self.domains_) > 1 or self.target_domain is not None else np.array([0])
        return int(found[0]) if len(found) == 1 else None

    def _which_domain(self, sample_domain: Any, n_rows: int) -> np.ndarray:
        if sample_domain is None:
            default = self._default_domain()
            if default is None:
                raise ValueError(
                    f"{_NAME} was fitted on the domains {self.domains_.tolist()}, of which not exactly one is a "
                    "target. Pass sample_domain to transform, name the machine at hand by target_domain=..., or fit a "
                    "scaler of its own."
                )
            return np.full(n_rows, default, dtype=np.intp)
        if len(self.domains_) == 1 and self.domains_.dtype.kind == "i" and self.domains_[0] == 0:
            return np.zeros(n_rows, dtype=np.intp)
        domains = domain_names(sample_domain, n_rows)
        unknown = sorted(set(domains.tolist()) - set(self.domains_.tolist()), key=str)
        if unknown:
            raise ValueError(
                f"{_NAME} has no baseline for sample_domain {unknown}; it was fitted on "
                f"{self.domains_.tolist()}. Fit it again with healthy rows of the new machine. Numbers of the two "
                "signs are two machines: one machine has the same number in fit and transform."
            )
        return np.searchsorted(self.domains_, domains)

    def _warn_of_lost_digits(self, X: np.ndarray, names: list[Any]) -> None:
        if X.dtype == np.float32:
            moved = np.where(self.lowest_ < self.highest_, self.scale_, np.inf)
            warn_of_lost_digits(_NAME, X, self.center_, moved, names)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "impute"
        tags.target_tags.required = self.normal_label is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
