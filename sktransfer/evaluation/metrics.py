"""Scores that are ratios of sums over rows, so that a bootstrap over groups needs each prediction once.

::

    true, predicted, unit of each row --> sums of each unit --> sums over units --> score
                                                 x weights of a bootstrap --> score of the replicate
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A score of predictions; more is better.

    Parameters
    ----------
    name : str
        scikit-learn's name of the score.
    words : str
        What it is called in sentences.
    in_points : bool
        Whether differences are told in points, hundredths of the score.
    is_error : bool
        Whether it is an error with its sign turned.
    n_classes : int
    """

    name: str
    words: str
    in_points: bool = False
    is_error: bool = False
    n_classes: int = 0

    @property
    def by_rows(self) -> bool:
        """Whether the score is one of sums over rows."""
        return self.name in _SCORES

    def sums(self, true: np.ndarray, predicted: np.ndarray, unit: np.ndarray, n_units: int) -> np.ndarray:
        """Sums over the rows of each unit, shape (n_units, n_sums), float64.

        Parameters
        ----------
        true, predicted : ndarray of shape (n_rows,) or (n_rows, n_outputs)
            Numbers of classes, -1 for another class; or values.
        unit : ndarray of shape (n_rows,)
            Group of each row, from 0 to below `n_units`.
        n_units : int
        """
        if self.n_classes:
            cell, shape = unit * self.n_classes + true, (n_units, self.n_classes)
            right = np.bincount(cell, true == predicted, n_units * self.n_classes).reshape(shape)
            rows = np.bincount(cell, minlength=n_units * self.n_classes).reshape(shape)
            return np.stack([right, rows.astype(np.float64)], axis=1).reshape(n_units, -1)
        true, predicted = true.reshape(len(true), -1), np.asarray(predicted, dtype=np.float64).reshape(len(true), -1)
        error = predicted - true
        rows = np.stack([np.abs(error), error**2, true, true**2, np.ones_like(true)], axis=1)
        columns = np.zeros((n_units, *rows.shape[1:]))
        np.add.at(columns, unit, rows)
        return columns.reshape(n_units, -1)

    def score(self, sums: np.ndarray) -> np.ndarray:
        """Scores of sums over rows, shape (..., n_sums) to (...); NaN where there is no row."""
        shape = (*sums.shape[:-1], 2, self.n_classes) if self.n_classes else (*sums.shape[:-1], 5, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _SCORES[self.name](np.moveaxis(sums.reshape(shape), -2, 0))


def _balanced_accuracy(sums: np.ndarray) -> np.ndarray:
    right, rows = sums
    present = rows > 0
    return np.where(present, right / np.where(present, rows, 1), 0).sum(axis=-1) / present.sum(axis=-1)


def _accuracy(sums: np.ndarray) -> np.ndarray:
    return sums[0].sum(axis=-1) / sums[1].sum(axis=-1)


def _mean_absolute_error(sums: np.ndarray) -> np.ndarray:
    return -(sums[0] / sums[4]).mean(axis=-1)


def _root_mean_squared_error(sums: np.ndarray) -> np.ndarray:
    return -np.sqrt(sums[1] / sums[4]).mean(axis=-1)


def _r2(sums: np.ndarray) -> np.ndarray:
    _, squared, total, total_squared, rows = sums
    return (1 - squared / (total_squared - total**2 / rows)).mean(axis=-1)


_SCORES = {
    "balanced_accuracy": _balanced_accuracy,
    "accuracy": _accuracy,
    "neg_mean_absolute_error": _mean_absolute_error,
    "neg_root_mean_squared_error": _root_mean_squared_error,
    "r2": _r2,
}


def metric_of(scoring: Any, n_classes: int) -> Metric:
    """The metric that `scoring` names.

    Parameters
    ----------
    scoring : str, callable or None
        None: balanced accuracy, or the mean absolute error of a regression.
    n_classes : int
        Zero for a regression.

    Returns
    -------
    Metric
    """
    if scoring is None:
        scoring = "balanced_accuracy" if n_classes else "neg_mean_absolute_error"
    if scoring in ("balanced_accuracy", "accuracy") and n_classes:
        return Metric(scoring, scoring.replace("_", " "), in_points=True, n_classes=n_classes)
    if scoring in ("neg_mean_absolute_error", "neg_root_mean_squared_error") and not n_classes:
        return Metric(scoring, scoring.removeprefix("neg_").replace("_", " "), is_error=True)
    if scoring == "r2" and not n_classes:
        return Metric(scoring, "R2")
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", None) or repr(scoring)
    is_error = name.startswith("neg_")
    return Metric(f"scorer {name}", name.removeprefix("neg_").replace("_", " "), is_error=is_error)
