"""Which sensor moved, and when: what each sensor adds to an alarm, a class or a value, in the sensor's own unit.

::

    features that belong to sensors --> parts of the detector's distance --------------------+
    any other estimator --> each sensor put back to healthy, and kept alone among healthy ----+--> effect, share
    a torch network, on request --> gradients along the way from healthy ---------------------+
    raw samples, healthy baseline of the machine --> value, usual range, direction
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.estimators.transfer_detector import TransferDetector
from sktransfer.monitoring.explain_evidence import Evidence, keeps_columns, transformed
from sktransfer.monitoring.explain_features import feature_effects
from sktransfer.monitoring.explain_gradients import has_gradients, integrated_gradients
from sktransfer.monitoring.explain_put_back import Ask, put_back_effects, segments
from sktransfer.monitoring.explain_samples import HealthyBaseline, Samples
from sktransfer.utils.counted_warnings import collect_warnings
from sktransfer.utils.parameters import invalid_parameter, is_whole
from sktransfer.windows.windows import Windows

_WITH_SEGMENTS = 3  # sensors of a window whose stretch is looked for
_METHODS = ("auto", "put_back", "gradients")


def explain_sensors(
    estimator: Any,
    X: Any,
    *,
    sample_domain: Any = None,
    baseline: Any = None,
    output: Any = None,
    normal_label: Any = "auto",
    method: str = "auto",
    n_segments: int = 12,
) -> pd.DataFrame:
    """Say which sensors make samples unusual, or of their class or value, and when in a window.

    Parameters
    ----------
    estimator : estimator
        Fitted: a :class:`sktransfer.TransferDetector` or another detector with ``score_samples``, a classifier with
        ``predict_proba``, a regressor, or a pipeline that ends in one. Sensors are the columns, or channels, of `X`,
        whatever the steps make of them; one that a step drops has no effect.
    X : array-like of shape (n_samples, n_sensors) or (n_windows, n_sensors, window_length)
        As for ``predict``.
    sample_domain : array-like of shape (n_samples,), optional
        Machine of each sample, for a :class:`sktransfer.BaselineScaler` of several.
    baseline : array-like of shape (n_healthy, n_sensors) or (n_healthy, n_sensors, window_length), optional
        Healthy rows, or windows, of the machine, which sensors are put back to: the mean of rows, four of the windows
        in turn. None: the healthy mean that a :class:`sktransfer.BaselineScaler` as first step knows, or the most usual
        sample of a detector. Pass healthy windows for a classifier of windows: a channel at its mean all the time looks
        like a stuck sensor.
    output : object, default=None
        The class to explain, or the number of the value of a regressor with several. None: the predicted class.
    normal_label : object, default="auto"
        Class that needs no reason: where it is predicted, the most probable of the others is explained, which is what
        speaks most for a fault. ``"auto"``: that of the :class:`sktransfer.BaselineScaler`; None: there is none, and
        every predicted class is explained.
    method : {"auto", "put_back", "gradients"}, default="auto"
        ``"gradients"``: integrated gradients from the healthy baseline, for classifiers and regressors that are
        networks of this package without a front end; for hundreds of sensors. ``"auto"``: parts of the distance where
        the features of a detector belong to sensors, else ``"put_back"``.
    n_segments : int, default=12
        Pieces of a window, among which the stretch that matters is looked for; 0: it is not.

    Returns
    -------
    DataFrame with a row for each sample and sensor, of a sample those first that add most
        ``sample`` (number), ``sensor`` (name), ``share`` (0 to 1, those of a sample sum to one, or are all zero where
        nothing speaks for the class), ``direction`` (``"high"`` or ``"low"``, of the mean over the window;
        ``"missing"``), ``value`` (that mean), ``usual_low`` and ``usual_high``: three healthy deviations around the
        healthy mean of the machine, in the sensor's unit, NaN where nobody knows them. ``effect``: what the share is
        of, with its sign: distance (of several features a sensor, deviations), log-odds of the explained class
        against all others, or the unit of the value. For classifiers ``class``: the explained one. For windows
        ``start`` and ``end``: the stretch that matters, in samples, `end` behind the last one; of the three first
        sensors alone, and missing for the others; and where a rate is known ``start_time`` and ``end_time``: in s since
        the first sample, or as the windows' ``time``.

    Raises
    ------
    NotFittedError
        If a step is not fitted.
    TypeError
        For an estimator of another kind, and for gradients where there are none.
    ValueError
        If nobody knows the healthy baseline, or `baseline` has other sensors; if there is no such `output` or
        `normal_label`; for all that the estimator refuses: another number of sensors, missing values, several machines
        without a `sample_domain`.

    See Also
    --------
    SensorContributionDisplay : Draws it.

    Notes
    -----
    The effect of a sensor by put-back is the larger of two: what its healthy value takes off the evidence of the
    sample, and what its value adds to the evidence of the healthy baseline. Shares are of effects above zero; of a
    regressor they are of absolute effects. Costs two predictions a sensor and sample, times four for healthy windows.

    Where features of a detector belong to sensors: with one column a sensor, what the best value of the sensor takes
    off the distance (reconstruction-based contributions); with several, the sum of the square roots
    of the parts of the distance above zero, in deviations.

    References
    ----------
    Alcala and Qin (2009). Reconstruction-based contribution for process monitoring. Automatica 45, 1593-1600.
    doi:10.1016/j.automatica.2009.02.027.
    Sundararajan, Taly and Yan (2017). Axiomatic attribution for deep networks. ICML. arXiv:1703.01365.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import BaselineScaler, TransferDetector, explain_sensors, make_pipeline
    >>> healthy = np.random.default_rng(0).normal(size=(500, 3)) + [100, 5, 20]
    >>> detector = make_pipeline(BaselineScaler(), TransferDetector()).fit(healthy)
    >>> explain_sensors(detector, [[100, 5, 30]])[["sensor", "direction", "value"]].head(1)
      sensor direction  value
    0     x2      high   30.0
    """
    if method not in _METHODS:
        raise invalid_parameter("explain_sensors", "method", f"be one of {_METHODS}", method)
    if not is_whole(n_segments) or n_segments < 0:
        raise invalid_parameter("explain_sensors", "n_segments", "be a whole number of at least 0", n_segments)
    evidence = Evidence(estimator, output, normal_label)
    chosen = evidence.chosen(X, sample_domain)  # says what the estimator refuses
    samples = Samples(X)
    with collect_warnings() as forget:  # of samples that were changed nothing is to be said
        known = HealthyBaseline(samples, evidence.scaler, sample_domain, baseline)
        explained = _Explained(evidence, samples, known, chosen, sample_domain)
        effects = explained.effects(method)
        stretches = explained.stretches(effects, n_segments)
        forget()
    return _table(evidence, samples, explained, effects, stretches)


class _Explained:
    """The samples as the estimator, or its last step, takes them, and where sensors are put back to."""

    def __init__(
        self, evidence: Evidence, samples: Samples, known: HealthyBaseline, chosen: np.ndarray, sample_domain: Any
    ):
        self.evidence, self.samples, self.known, self.chosen = evidence, samples, known, chosen
        self.domain = None if sample_domain is None else np.asarray(sample_domain)
        self.direct = isinstance(evidence.last, TransferDetector) and self._keeps_sensors()

    def _keeps_sensors(self) -> bool:
        """Whether the detector gets one column a sensor; or a column and its absolute value, which are joined."""
        self.scaled = transformed(self.evidence.steps[:-1], self.samples.given, self.domain)
        n_columns, n_sensors = len(self.evidence.last.usual_sample_), self.samples.values.shape[1]
        self.doubled = bool(self.evidence.scaler is not None and self.evidence.scaler.absolute)
        same = np.ndim(self.scaled) == self.samples.values.ndim and all(map(keeps_columns, self.evidence.steps[:-1]))
        return same and n_columns == n_sensors * (1 + self.doubled)

    def effects(self, method: str) -> np.ndarray:
        """Shape (n_samples, n_sensors)."""
        last = self.evidence.last
        if method == "gradients":
            return self._gradients()
        if not self.direct:
            return put_back_effects(self._ask, self.samples.values, self._references(), self._signed)
        if method == "auto" and (last.n_tags_ is not None or last.extractor_ is None):
            found = feature_effects(last, self.scaled)
        else:
            Z = np.asarray(self.scaled, dtype=np.float64)
            found = put_back_effects(self._ask_last, Z, [np.broadcast_to(last.usual_sample_, Z.shape)])
        n_sensors = self.samples.values.shape[1]
        return found[:, :n_sensors] + found[:, n_sensors:] if self.doubled else found

    def stretches(self, effects: np.ndarray, n_segments: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Start and end of each sample and sensor, -1 where it was not looked for; None for rows."""
        values = self.samples.values
        if values.ndim == 2 or n_segments == 0:
            return None
        first = np.argsort(-self.size(effects), axis=1, kind="stable")[:, :_WITH_SEGMENTS]
        row, sensor = np.repeat(np.arange(len(values)), first.shape[1]), first.ravel()
        ask: Ask = self._ask
        if self.direct and not self.doubled:
            values, ask = np.asarray(self.scaled, dtype=np.float64), self._ask_last
            references = [np.broadcast_to(self.evidence.last.usual_sample_, values.shape)]
        else:
            references = self._references()
        start, end = np.full(effects.shape, -1), np.full(effects.shape, -1)
        start[row, sensor], end[row, sensor] = segments(ask, values, references, row, sensor, n_segments)
        return start, end

    def shares(self, effects: np.ndarray) -> np.ndarray:
        """Shares of a sample sum to one, or are zero where no effect is above zero."""
        size = np.maximum(self.size(effects), 0.0)
        return np.asarray(size / np.maximum(size.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))

    @property
    def _signed(self) -> bool:
        return self.evidence.kind == "regressor"

    def size(self, effects: np.ndarray) -> np.ndarray:
        """What sensors are ordered by."""
        return np.abs(effects) if self._signed else effects

    def _references(self) -> list[np.ndarray]:
        if not self.known.references:
            raise ValueError(
                "explain_sensors: nobody knows the healthy baseline of the sensors that this "
                f"{type(self.evidence.last).__name__} looks at. Begin the pipeline with a BaselineScaler, or pass "
                "healthy rows or windows as baseline=..."
            )
        return self.known.references

    def _ask(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        domain = None if self.domain is None else self.domain[rows]
        return self.evidence.of(self.samples.like(values, rows), self.chosen[rows], domain)

    def _ask_last(self, Z: np.ndarray, rows: np.ndarray) -> np.ndarray:
        changed = Samples(self.scaled).like(Z, rows)
        return self.evidence.of(changed, self.chosen[rows], n_done=len(self.evidence.steps) - 1)

    def _gradients(self) -> np.ndarray:
        last, before = self.evidence.last, self.evidence.steps[:-1]
        if self.evidence.kind == "detector" or not has_gradients(last):
            raise TypeError(
                f"explain_sensors: {type(last).__name__} has no gradients here; expected a classifier or regressor "
                'that is a network of this package, fitted, without a front end. Use method="put_back".'
            )
        n, every, found = len(self.chosen), np.arange(len(self.chosen)), []
        Z = np.asarray(transformed(before, self.samples.given, self.domain), dtype=np.float64)
        if Z.shape[:2] != self.samples.values.shape[:2] or not all(map(keeps_columns, before)):
            raise ValueError(
                f"explain_sensors: the network takes {Z.shape[1]} columns, X has {self.samples.values.shape[1]}, and "
                'the steps before it do not keep one column a sensor. Use method="put_back".'
            )
        for reference in self._references():
            Z0 = transformed(before, self.samples.like(reference, every), self.domain)
            Z0 = np.asarray(Z0, dtype=np.float64)
            found.append(integrated_gradients(last, self.evidence.kind, Z, Z0, self.chosen))
        return np.asarray(np.mean(found, axis=0).reshape(n, Z.shape[1], -1).sum(axis=2))


def _table(
    evidence: Evidence, samples: Samples, explained: _Explained, effects: np.ndarray, stretches: Any
) -> pd.DataFrame:
    means, shares = samples.means(), explained.shares(effects)
    center, low, high = _usual(evidence, explained.known, means)
    direction = np.where(means >= center, "high", "low").astype(object)
    direction[np.isnan(means)] = "missing"
    columns: dict[str, Any] = {
        "share": shares,
        "direction": direction,
        "value": means,
        "usual_low": low,
        "usual_high": high,
        "effect": effects,
    }
    if evidence.kind == "classifier":
        columns["class"] = np.broadcast_to(evidence.classes[explained.chosen][:, None], means.shape)
    if stretches is not None:
        columns |= _times(samples, *stretches)
    order = np.argsort(-explained.size(effects), axis=1, kind="stable")
    sensors = samples.names(evidence.steps[0])
    names = np.asarray([*sensors, None], dtype=object)[:-1]
    table = {"sample": np.repeat(np.arange(len(means)), means.shape[1]), "sensor": names[order].ravel()}
    taken = partial(np.take_along_axis, indices=order, axis=1)
    found = pd.DataFrame(table | {name: taken(column).ravel() for name, column in columns.items()})
    for name in {"start", "end"} & set(found):
        found[name] = found[name].where(found[name] >= 0).astype("Int64")
    found.attrs["sensors"] = sensors  # in the order of the columns of X
    return found


def _usual(evidence: Evidence, known: HealthyBaseline, means: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Healthy centre of each sample and sensor, and the ends of the usual range."""
    if known.center is not None:
        return known.center, known.low, known.high
    unknown = np.full(means.shape, np.nan)
    usual = getattr(evidence.last, "usual_sample_", None)
    if usual is None or len(usual) != means.shape[1]:
        return unknown, unknown, unknown
    return np.broadcast_to(usual.reshape(len(usual), -1).mean(axis=1), means.shape), unknown, unknown


def _times(samples: Samples, start: np.ndarray, end: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of the stretches: in samples, and in time where the windows know their rate."""
    columns = {"start": start, "end": end}
    X, length = samples.given, samples.values.shape[2]
    if not isinstance(X, Windows) or X.sampling_rate is None:
        return columns
    for name, sample in (("start_time", start), ("end_time", end - 1)):
        seconds = np.where(start >= 0, sample / X.sampling_rate, np.nan)
        if X.time is not None:
            before = seconds - (length - 1) / X.sampling_rate  # the time of a window is that of its last sample
            if X.time.dtype.kind == "M":
                there = np.isfinite(before)
                passed = np.round(np.where(there, before, 0) * 1e9).astype("timedelta64[ns]")
                seconds = np.where(there, X.time[:, None] + passed, np.datetime64("NaT"))
            else:
                seconds = X.time[:, None] + before
        columns[name] = seconds
    return columns
