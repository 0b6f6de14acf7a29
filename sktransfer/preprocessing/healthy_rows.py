"""Which rows or windows are healthy, by their labels.

::

    y == normal_label --> healthy
    none is           --> an error that tells the label from its like: "1" from 1
    y is 0, 1, ..., k - 1 and normal_label a number above 0 --> a warning: numbers may have been given anew
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.masks import refuse_mask
from sktransfer.validation.labels import is_numbered

_UNKNOWN = " Where no healthy row of a machine is known, normal_label=None scales each machine by all of its rows."


def healthy_rows(name: str, n: int, y: Any, normal_label: Any) -> np.ndarray:
    """Which of `n` rows or windows are healthy; all without a `normal_label`.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    y : array-like of shape (n,) or None
        Labels.
    normal_label : object

    Returns
    -------
    ndarray of shape (n,), bool

    Raises
    ------
    ValueError
        If there are no labels, or not one a row.
    """
    if normal_label is None:
        return np.ones(n, dtype=bool)
    if y is None:
        raise ValueError(f"{name}(normal_label={normal_label!r}) needs y to find the healthy rows, got y=None.")
    import pandas as pd

    refuse_mask(name, "y", y)
    labels = np.asarray(y, dtype=object)
    if labels.shape != (n,):
        raise ValueError(f"{name} got y of shape {labels.shape}; expected ({n},), one label a row.")
    _warn_of_new_numbers(name, labels, normal_label)
    return np.array([label is not pd.NA and label == normal_label for label in labels], dtype=bool)


def no_healthy_row(name: str, y: Any, normal_label: Any, where: str) -> ValueError:
    """The error for labels among which there is no `normal_label`; `where` names the domain."""
    labels = list(np.asarray(y, dtype=object))
    alike = next((label for label in labels if str(label) == str(normal_label)), None)
    kinds = ""
    if alike is not None and alike != normal_label:  # else another machine has it
        kinds = f" The label {alike!r} is {_kind(alike)}, normal_label is {_kind(normal_label)}."
    elif not isinstance(normal_label, str) or all(isinstance(label, Integral) for label in labels):
        kinds = " Labels may have been numbered anew on the way, as scikit-learn's voting and stacking do."
    return ValueError(
        f"{name} found no row with y == {normal_label!r}{where}; y holds {first_labels(labels)}.{kinds} Set "
        "normal_label to the healthy label, or fit the scaler on healthy rows only and pass FrozenEstimator(scaler)."
        f"{_UNKNOWN if where else ''}"
    )


def first_labels(labels: Any) -> str:
    """The first few labels, for messages; text in quotes."""
    values = sorted({repr(getattr(label, "item", lambda label=label: label)()) for label in labels})
    return ", ".join(values[:8]) + (", ..." if len(values) > 8 else "")


def _kind(label: Any) -> str:
    return "text" if isinstance(label, str) else f"a number ({type(label).__name__})"


def _warn_of_new_numbers(name: str, labels: np.ndarray, normal_label: Any) -> None:
    """Warn where labels look like those that a meta-estimator numbers anew, so that another class may be meant."""
    if isinstance(normal_label, bool | np.bool_) or not isinstance(normal_label, Integral) or normal_label < 1:
        return
    if not all(isinstance(label, Integral) and not isinstance(label, bool | np.bool_) for label in labels):
        return
    classes = sorted({int(label) for label in labels})
    if len(classes) > 1 and is_numbered(classes):
        warn_caller(
            f"{name}(normal_label={normal_label!r}) got the labels 0 to {len(classes) - 1}. If cross_val_predict, "
            "voting or stacking numbered your labels anew, another class is taken for healthy. Pass labels as text, or "
            "fit the scaler on healthy rows only and pass FrozenEstimator(scaler)."
        )
