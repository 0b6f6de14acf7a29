"""Samples as the caller passed them, and where each sensor of them is put back to.

::

    X (rows, frame, windows) --> values in float64 --> changed values --> the caller's kind again
    healthy mean of each machine | healthy rows or windows --> centre, usual range, references
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.windows.windows import Windows

_DEVIATIONS = 3.0  # of the usual range
_REFERENCES = 4  # healthy windows that a channel is put back to, one after the other


class Samples:
    """Values of samples, and the way back to what the caller passed.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_sensors) or (n_windows, n_sensors, window_length)
    name : str, default="X"
        What it is called in messages.

    Raises
    ------
    ValueError
        If it holds what is no number, or has another number of dimensions.
    """

    def __init__(self, X: Any, name: str = "X"):
        self.given = X
        try:
            self.values = np.asarray(X, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"explain_sensors: {name} holds what is no number ({error}), and no sensor can be put back to a mean "
                "of it. Encode such columns before, and explain the pipeline behind the encoder."
            ) from error
        if self.values.ndim not in (2, 3) or not len(self.values):
            raise ValueError(
                f"explain_sensors: {name} has shape {self.values.shape}; expected (n_samples, n_sensors) or "
                "(n_windows, n_sensors, window_length), with at least one sample. One row is X[[i]]."
            )

    def like(self, values: np.ndarray, rows: np.ndarray) -> Any:
        """`values` of the samples `rows` as the kind of array or frame that was passed."""
        X = self.given
        if isinstance(X, Windows):
            return X[rows].like(values.astype(X.dtype if X.dtype.kind == "f" else np.float64))
        if hasattr(X, "columns") and hasattr(X, "iloc"):
            return type(X)(values, columns=X.columns)
        if hasattr(X, "columns") and hasattr(X, "schema"):
            return type(X)(values, schema=list(X.columns))
        return values.astype(X.dtype) if getattr(getattr(X, "dtype", None), "kind", "") == "f" else values

    def means(self) -> np.ndarray:
        """Mean of each sensor over the window, or its value, (n_samples, n_sensors); missing samples are left out."""
        flat = self.values.reshape(*self.values.shape[:2], -1)
        there = ~np.isnan(flat)
        total = np.where(there, flat, 0.0).sum(axis=2)
        return np.where(there.any(axis=2), total / np.maximum(there.sum(axis=2), 1), np.nan)

    def names(self, step: Any) -> list[Any]:
        """Names of the sensors: of the frame, of the windows, of the fit, or x0, x1, ..."""
        n_sensors = self.values.shape[1]
        holders = ((self.given, "columns"), (self.given, "channels"), (step, "feature_names_in_"))
        for holder, attribute in (*holders, (step, "channel_names_in_")):
            names = getattr(holder, attribute, None)
            if names is not None and len(names) == n_sensors:
                return list(names)
        return [f"x{number}" for number in range(n_sensors)]


class HealthyBaseline:
    """What is usual for each sensor of each sample.

    Parameters
    ----------
    samples : Samples
    scaler : BaselineScaler or None
    sample_domain : array-like of shape (n_samples,) or None
    baseline : array-like or None
        Healthy rows, or windows, of the machine; they come before the means of the scaler.

    Attributes
    ----------
    center, low, high : ndarray of shape (n_samples, n_sensors)
        In the unit of the sensor; None where nobody knows.
    references : list of ndarray of shape (n_samples, n_sensors) or (n_samples, n_sensors, window_length)
        Healthy values in place of the samples' own; empty where nobody knows.
    """

    def __init__(self, samples: Samples, scaler: Any, sample_domain: Any, baseline: Any):
        values = samples.values
        self.center: Any = None
        self.low: Any = None
        self.high: Any = None
        self.references: list[np.ndarray] = []
        if scaler is not None:
            self._range(*scaler.healthy_baseline(len(values), sample_domain))
            self.references = [self._wide(values)]
        if baseline is None:
            return
        healthy = Samples(baseline, "baseline").values
        if healthy.shape[1:] != values.shape[1:]:
            raise ValueError(
                f"explain_sensors: baseline has samples of shape {healthy.shape[1:]}, X those of {values.shape[1:]}. "
                "Pass healthy rows, or windows, with the same sensors and the same length."
            )
        if np.isnan(healthy).any():
            raise ValueError("explain_sensors: baseline holds missing values. Drop these healthy rows, or fill them.")
        if self.center is None:
            by_sensor = healthy.swapaxes(0, 1).reshape(values.shape[1], -1)
            center, scale = by_sensor.mean(axis=1), by_sensor.std(axis=1)
            self._range(*(np.broadcast_to(one, values.shape[:2]) for one in (center, scale)))
        kept = healthy.mean(axis=0)[None]
        if values.ndim == 3:  # a mean over windows is flat, as a stuck sensor is
            kept = healthy[np.unique(np.linspace(0, len(healthy) - 1, _REFERENCES).round().astype(int))]
        self.references = [np.broadcast_to(one, values.shape) for one in kept]

    def _range(self, center: np.ndarray, scale: np.ndarray) -> None:
        scale = np.where(np.isfinite(scale), scale, 0.0)  # a column without a healthy value has no range
        self.center, self.low, self.high = center, center - _DEVIATIONS * scale, center + _DEVIATIONS * scale

    def _wide(self, values: np.ndarray) -> np.ndarray:
        """The centre over the whole window."""
        center = self.center if values.ndim == 2 else self.center[:, :, None]
        return np.broadcast_to(center, values.shape)
