"""Which sensor moved: the parts of a detector's distance, sensor by sensor, in the sensor's own unit.

::

    pipeline: scaler, detector --> features of each tag  --> parts of the distance, summed by tag ------+
                               --> features of all tags --> distance with one sensor put back to usual -+--> shares
    raw samples, healthy baseline of the machine --> value, usual range, direction
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sktransfer.estimators.domain_steps import takes_domain
from sktransfer.estimators.transfer_detector import TransferDetector
from sktransfer.preprocessing.baseline_scaler import BaselineScaler

_DEVIATIONS = 3.0  # of the usual range


def explain_sensors(estimator: Any, X: Any, *, sample_domain: Any = None) -> pd.DataFrame:
    """Say which sensors make samples unusual.

    Parameters
    ----------
    estimator : TransferDetector, or Pipeline that ends in one
        Fitted. Before the detector stand scalers alone, which keep one column a sensor.
    X : array-like of shape (n_samples, n_sensors) or (n_windows, n_sensors, window_length)
        As for ``predict``.
    sample_domain : array-like of shape (n_samples,), optional
        Machine of each sample, for a :class:`sktransfer.BaselineScaler` of several.

    Returns
    -------
    DataFrame with a row for each sample and sensor, of a sample those first that add most
        ``sample`` (number), ``sensor`` (name), ``share`` of the distance (0 to 1, those of a sample sum to one),
        ``direction`` (``"high"`` or ``"low"``, of the mean over the window), ``value`` (that mean), ``usual_low`` and
        ``usual_high``: three healthy deviations around the healthy mean of the machine, in the sensor's unit, NaN where
        no :class:`sktransfer.BaselineScaler` knows them.

    Raises
    ------
    TypeError
        For an estimator of another kind.
    ValueError
        If the steps before the detector do not keep one column a sensor.

    Notes
    -----
    Where features belong to tags, shares are the parts of the statistic that are above zero, summed by tag. Where a
    network mixes its columns, each sensor is put back to its value in the most usual healthy sample, and the share is
    what this takes off the distance; sensors that are only unusual together share it.

    References
    ----------
    Alcala and Qin (2011). Analysis and generalization of fault diagnosis methods for process monitoring. Journal of
    Process Control 21, 322-330. doi:10.1016/j.jprocont.2010.10.005.

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
    steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    detector, first = steps[-1], steps[0] if isinstance(steps[0], BaselineScaler) else None
    if not isinstance(detector, TransferDetector):
        raise TypeError(
            f"explain_sensors takes a TransferDetector, or a pipeline that ends in one; got {type(detector).__name__}."
        )
    check_is_fitted(detector)
    values = np.asarray(X, dtype=np.float64)
    means = values.reshape(*values.shape[:2], -1).mean(axis=2)
    parts = _parts(detector, _scaled(steps[:-1], X, sample_domain))
    if first is not None and first.absolute and parts.shape[1] == 2 * means.shape[1]:
        parts = parts[:, : means.shape[1]] + parts[:, means.shape[1] :]  # a deviation and its absolute value
    if parts.shape != means.shape:
        raise ValueError(
            f"explain_sensors: the detector watches {parts.shape[1]} columns, X has {means.shape[1]}: the steps before "
            "it do not keep one column a sensor. Explain a pipeline of a scaler and a detector."
        )
    shares = np.maximum(parts, 0.0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    center, low, high = _usual(detector, first, means, sample_domain)
    order = np.argsort(-shares, axis=1, kind="stable")
    columns = {
        "share": shares,
        "direction": np.where(means >= center, "high", "low"),
        "value": means,
        "usual_low": low,
        "usual_high": high,
    }
    names = np.asarray(_names(X, steps[0], means.shape[1]), dtype=object)
    return pd.DataFrame(
        {"sample": np.repeat(np.arange(len(means)), means.shape[1]), "sensor": names[order].ravel()}
        | {name: np.take_along_axis(table, order, axis=1).ravel() for name, table in columns.items()}
    )


def _scaled(steps: list[Any], X: Any, sample_domain: Any) -> Any:
    """What the detector gets."""
    for step in steps:
        if step not in (None, "passthrough"):
            params = {"sample_domain": sample_domain} if takes_domain(step, "transform") else {}
            X = step.transform(X, **params)
    return X


def _usual(
    detector: TransferDetector, scaler: BaselineScaler | None, means: np.ndarray, sample_domain: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Healthy centre of each sample and sensor, and the ends of the usual range."""
    if scaler is not None:
        center, scale = scaler.healthy_baseline(len(means), sample_domain)
        return center, center - _DEVIATIONS * scale, center + _DEVIATIONS * scale
    usual = detector.usual_sample_.reshape(means.shape[1], -1).mean(axis=1)
    unknown = np.full(means.shape, np.nan)
    return np.broadcast_to(usual, means.shape), unknown, unknown


def _parts(detector: TransferDetector, scaled: Any) -> np.ndarray:
    """What each column or channel of the detector's input adds to the distance, shape (n_samples, n_columns)."""
    n_tags, n_columns = detector.n_tags_, len(detector.usual_sample_)
    if n_tags is not None or detector.extractor_ is None:
        parts = detector.feature_contributions(scaled)
        return parts.reshape(len(parts), n_columns, -1).sum(axis=2)
    rows = np.asarray(scaled, dtype=np.float64)
    distance = -detector.score_samples(rows)
    found = np.empty((len(rows), n_columns))
    for column in range(n_columns):
        usual = rows.copy()
        usual[:, column] = detector.usual_sample_[column]
        found[:, column] = distance + detector.score_samples(usual)
    return found


def _names(X: Any, step: Any, n_sensors: int) -> list[Any]:
    """Names of the sensors: of the frame, of the windows, of the fit, or x0, x1, ..."""
    for holder, attribute in (
        (X, "columns"),
        (X, "channels"),
        (step, "feature_names_in_"),
        (step, "channel_names_in_"),
    ):
        names = getattr(holder, attribute, None)
        if names is not None and len(names) == n_sensors:
            return list(names)
    return [f"x{number}" for number in range(n_sensors)]
