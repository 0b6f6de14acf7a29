"""TransferDetector: alarms from healthy data alone, on the features of a frozen network.

::

    healthy rows or windows --> frozen network --> features --> statistic of the healthy ones
                                                       |                  |
                         blocks held out, their distances <--------------+--> threshold for a rate of false alarms
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.by_tag import BLOCKS, keeps_tags
from sktransfer.backbones.check_input import tag_dimensions
from sktransfer.backbones.from_scratch import FromScratch, open_backbone
from sktransfer.detection.hotelling_t2 import HotellingT2
from sktransfer.detection.statistic import HealthyStatistic
from sktransfer.detection.thresholds import (
    healthy_blocks,
    held_out_distances,
    p_values,
    rows_needed,
    share_between,
    threshold,
)
from sktransfer.estimators.feature_extractor import FeatureExtractor
from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.parameters import Interval, Options, StrOptions, TorchDevice
from sktransfer.utils.said_by import said_by
from sktransfer.validation.windows import check_rate, check_samples, is_windows
from sktransfer.windows.window_statistics import window_statistics

_FLOAT32 = 1e-6  # resolution of features that a network computed
_APART = 0.75  # of the variance between blocks; slow plants have 0.65 in a short record, two machines 0.8 and more
_CHECKED = ("n_features_in_", "feature_names_in_", "column_names_in_", "channel_names_in_", "sampling_rate_")


class TransferDetector(Checksummed, OutlierMixin, BaseEstimator):
    """Detect what healthy data do not show: no label, no fault is needed to fit it.

    Parameters
    ----------
    backbone : Backbone, FromScratch, str, path or None, default=None
        The frozen network whose features are watched. None: the columns of a table themselves, or statistics of each
        channel of windows (moments, extremes, the power in 16 bands).
    block : {"auto", "tag", "pooled", "both"} or str, default="auto"
        Which features: of a network that keeps tags apart before it pools them, as "process" does, ``"auto"`` is by
        tag; else the last block. A block's name as in :class:`sktransfer.FeatureExtractor`.
    statistic : HealthyStatistic or None, default=None
        :class:`sktransfer.HotellingT2`, :class:`sktransfer.PrincipalComponents`,
        :class:`sktransfer.HealthyNeighbors`, :class:`sktransfer.TagT2`. None: ``HotellingT2()``.
    false_alarm_rate : float, default=0.01
        Share of healthy rows that may raise an alarm, between 0 and 1. Rows of the same machine in the same way of
        running are meant; of another season or product it may be more.
    fault_share : float, default=0.0
        Share of the rows of ``fit`` that may be faulty after all, below 0.5. So many of the least usual rows are left
        out, twice over, before the statistic and the threshold are what they are. Where none is faulty, about as many
        later healthy rows alarm on top of `false_alarm_rate`.
    n_blocks : int, default=5
        Blocks of neighbouring rows (or of whole groups) that are held out in turn to set the threshold.
    device : str, default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    n_jobs : int or None, default=None
        Torch threads; None: 1; -1: as many as torch has.
    random_state : int, RandomState, Generator or None, default=None
        Drives the weights of an untrained network.

    Attributes
    ----------
    offset_ : float
        ``decision_function`` is ``score_samples`` minus this; below zero is an alarm.
    attained_rate_ : float
        The rate of false alarms that the threshold stands for; larger than asked for where there are too few rows.
    statistic_ : HealthyStatistic
        Fitted to all healthy rows.
    healthy_distances_ : ndarray of shape (n_healthy,)
        Distance of each row that was kept from the rows of the other blocks, ascending.
    n_tags_ : int or None
        Tags that the features belong to, one after the other; None: they belong to no tag.
    extractor_ : FeatureExtractor or None
        The frozen network; None: there is none.
    usual_sample_ : ndarray of shape (n_features,) or (n_channels, window_length)
        The most usual of the healthy rows, or windows.
    n_features_in_, feature_names_in_, channel_names_in_, sampling_rate_
        As in :class:`sktransfer.FeatureExtractor`.

    See Also
    --------
    BaselineScaler : Goes before it: each machine in deviations of its own healthy rows.

    Notes
    -----
    The threshold is a conformal one, on distances of rows that the statistic was not fitted to: at most the asked rate
    of false alarms in expectation, if later healthy rows are exchangeable with whole blocks of these. Windows that
    overlap and rows of one hour are alike, so that far fewer of them count than there are; a rate of 0.001 needs 999
    rows, and they should span weeks rather than an hour.

    Healthy rows whose variance lies between the blocks for more than three quarters are those of several machines or
    set points, or of one that drifts: a :class:`sktransfer.DataQualityWarning` says so. Machines that take turns within
    a block are not seen by it.

    References
    ----------
    Laxhammar and Falkman (2010). Conformal prediction for distribution-independent anomaly detection in streaming
    vessel data. Proceedings of the first international workshop on novel data stream pattern mining techniques, 47-55.
    doi:10.1145/1833280.1833287.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import TransferDetector
    >>> healthy = np.random.default_rng(0).normal(size=(500, 4))
    >>> detector = TransferDetector(false_alarm_rate=0.01).fit(healthy)
    >>> detector.predict([[0.0, 0, 0, 0], [0, 8, 0, 0]])
    array([ 1, -1])
    """

    _parameter_constraints: dict[str, Any] = {
        "backbone": [Backbone, FromScratch, str, os.PathLike, None],
        "block": [StrOptions(set(BLOCKS)), str],
        "statistic": [HealthyStatistic, None],
        "false_alarm_rate": [Interval(Real, 0, 1, closed="neither")],
        "fault_share": [Interval(Real, 0, 0.5, closed="left")],
        "n_blocks": [Interval(Integral, 2, None, closed="left")],
        "device": [str, TorchDevice()],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        backbone=None,
        *,
        block="auto",
        statistic=None,
        false_alarm_rate=0.01,
        fault_share=0.0,
        n_blocks=5,
        device="auto",
        n_jobs=None,
        random_state=None,
    ):
        self.backbone = backbone
        self.block = block
        self.statistic = statistic
        self.false_alarm_rate = false_alarm_rate
        self.fault_share = fault_share
        self.n_blocks = n_blocks
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y=None, groups=None):
        """Learn what healthy rows look like, and where the alarm begins.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Healthy rows or windows in order of time, as the backbone takes them.
        y : ignored
        groups : array-like of shape (n_samples,), optional
            Run, recording or machine of each row: whole groups are held out to set the threshold.

        Returns
        -------
        self : TransferDetector

        Raises
        ------
        ValueError
            With fewer than three rows, with all rows of one group, and for rows that the backbone cannot take.

        Warns
        -----
        DataQualityWarning
            If the rows cannot support the rate, or most of their variance lies between the blocks.
        """
        self._validate_params()
        for name in [key for key in self.__dict__ if key.endswith("_") and not key.startswith("_")]:
            delattr(self, name)
        name = type(self).__name__
        F = self._first_features(X)
        if len(F) < 3:
            raise ValueError(
                f"{name} needs at least 3 healthy rows to hold some out; got {len(F)} sample{'s' * (len(F) != 1)}. "
                "Give hours or days of healthy operation."
            )
        blocks = healthy_blocks(name, len(F), self.n_blocks, groups)
        columns = self.n_tags_, 1e-12 if self.extractor_ is None else _FLOAT32
        statistic = HotellingT2() if self.statistic is None else self.statistic
        kept = np.arange(len(F))
        for _ in range(2 if self.fault_share else 0):
            own = self._remaining(blocks, kept)
            distances = held_out_distances(statistic, F[kept], *columns, own)
            n_kept = len(F) - int(np.ceil(self.fault_share * len(F)))
            # of all rows, so that one left out before may come back
            every = clone(statistic).fit(F[kept], *columns).distance(F)
            every[kept] = distances
            kept = np.sort(np.argsort(every, kind="stable")[:n_kept])
        held_out = self._remaining(blocks, kept)
        distances = held_out_distances(statistic, F[kept], *columns, held_out)
        self.statistic_ = clone(statistic).fit(F[kept], *columns)
        known = X if hasattr(X, "columns") or isinstance(X, np.ndarray) else np.asarray(X)
        self.usual_sample_ = np.array(_safe_indexing(known, [int(kept[distances.argmin()])]), dtype=np.float64)[0]
        self.healthy_distances_ = np.sort(distances)
        limit, self.attained_rate_ = threshold(distances, float(self.false_alarm_rate))
        # a row exactly at the limit is no alarm
        self.offset_ = -limit
        # many runs are a sample of levels, and each is held out whole
        few = groups is None or len(np.unique(groups)) < 5
        self._warn(share_between(F[kept], held_out) if few else 0.0)
        return self

    def score_samples(self, X):
        """How usual each row is: minus its distance from the healthy ones, larger is more usual.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return -self.statistic_.distance(self._features(X))

    def decision_function(self, X):
        """`score_samples` minus ``offset_``: below zero is an alarm.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """Whether each row is healthy (1) or an alarm (-1).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of shape (n_samples,), int
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def p_values(self, X):
        """Conformal p-value of each row: how often a healthy row is at least as unusual.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of shape (n_samples,)
            From ``1 / (n_healthy + 1)`` to 1.
        """
        return p_values(self.healthy_distances_, -self.score_samples(X))

    def feature_contributions(self, X):
        """What each feature adds to the distance of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        ndarray of shape (n_samples, n_watched_features)
            Parts of minus ``score_samples``. Where ``n_tags_`` is a number, the features of one tag come together.
        """
        check_is_fitted(self)
        return self.statistic_.contributions(self._features(X))

    # ---- features

    def _first_features(self, X: Any) -> np.ndarray:
        """Features of the rows of ``fit``; what is known of `X` is kept."""
        self.extractor_, self.n_tags_ = None, None
        if self.backbone is None:
            F = self._features(X, reset=True)
            self.n_tags_ = self.n_features_in_ if is_windows(X) else None
            return F
        opened = open_backbone(self.backbone)
        by_tag = isinstance(opened, Backbone) and keeps_tags(opened)
        block = ("tag" if by_tag else None) if self.block == "auto" else self.block
        self.extractor_ = FeatureExtractor(
            opened, block=block, device=self.device, n_jobs=self.n_jobs, random_state=self.random_state
        )
        with self._speaks():
            F = self.extractor_.fit(X).transform(X).astype(np.float64)
        for name in _CHECKED:
            if hasattr(self.extractor_, name):
                setattr(self, name, getattr(self.extractor_, name))
        self.n_tags_ = self.n_features_in_ if block == "tag" else None
        return F

    def _features(self, X: Any, reset: bool = False) -> np.ndarray:
        if self.extractor_ is not None:
            with self._speaks():
                return self.extractor_.transform(X).astype(np.float64)
        found = check_samples(self, X, reset=reset)
        if found.ndim == 2:
            return found.astype(np.float64)
        check_rate(self, X, None, "None", reset=reset)
        return window_statistics(found)

    def _warn(self, between: float) -> None:
        """Of healthy rows that differ, and of a rate that they cannot support."""
        name, n_kept = type(self).__name__, len(self.healthy_distances_)
        if between > _APART:
            warn_caller(
                f"{name}: {between:.0%} of the variance of the healthy rows lies between the blocks that are held "
                "out, little within them: several machines or set points, or a drift. What lies between two levels "
                "counts as usual then. Scale each machine by its own healthy rows (BaselineScaler with sample_domain), "
                "fit a detector a machine, or use statistic=HealthyNeighbors().",
                DataQualityWarning,
            )
        if self.attained_rate_ > self.false_alarm_rate * (1 + 1e-9):
            warn_caller(
                f"{name}: a rate of {self.false_alarm_rate:g} needs at least {rows_needed(self.false_alarm_rate)} "
                f"healthy rows, and there are {n_kept}. The threshold is their largest distance, which stands for a "
                f"rate of {self.attained_rate_:.2g}. Give more healthy rows, or ask for a larger false_alarm_rate.",
                DataQualityWarning,
            )

    def _speaks(self) -> AbstractContextManager[None]:
        return said_by(type(self).__name__, "FeatureExtractor")

    @staticmethod
    def _remaining(blocks: list[np.ndarray], kept: np.ndarray) -> list[np.ndarray]:
        """The blocks, as positions among the rows that are kept."""
        found = [np.flatnonzero(np.isin(kept, block)) for block in blocks]
        return [block for block in found if len(block)]

    def __sklearn_tags__(self):
        return tag_dimensions(super().__sklearn_tags__(), self.backbone)
