"""Rows that a backbone cannot mean: not scaled as those of its source were.

::

    a few rows --in the range of the source?---------------------------------------------------+
               --> features, in deviations of the source --near zero? do they move?------------+--> one warning

A network answers to everything. Rows in physical units, or divided by something else, give features that no row of the
source gave, and what is learned on top of these is chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.check_input import prepared
from sktransfer.exceptions import OutOfRangeWarning
from sktransfer.inference.out_of_range import confidence_weights, count_out_of_range
from sktransfer.inference.predictor import features
from sktransfer.utils.counted_warnings import CountedWarning, warn_of
from sktransfer.validation.rows import column_names

_SAMPLE = 32  # rows that are looked at: all are scaled alike
_FAR = 12.0  # deviations of the source: scaled rows have 0.5 to 2 (8 for bearings of another rig), physical units 15 up
_STILL = 0.15  # of the source's deviation: scaled rows have 0.5 to 2, rows in percent or in [0, 1] 0.01 to 0.15
_MANY = 10  # rows that must hold still together: fewer may be alike by chance


def look_foreign(
    backbone: Backbone, rows: np.ndarray, device: object, n_jobs: int | None, *, of_classes: bool = True
) -> bool:
    """Whether most of the rows look to the backbone like nothing of its source.

    Parameters
    ----------
    backbone : Backbone
        One without a range and without feature statistics knows nothing of its source's rows, and finds none foreign.
    rows : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, ...)
        As its first block takes them.
    device : str or torch.device
    n_jobs : int or None
        Threads.
    of_classes : bool, default=True
        Whether the rows are known to differ, so that it says something if they hardly do.
    """
    rows = np.ascontiguousarray(_some(rows), dtype=np.float32)
    if _reaches(backbone, rows) and 2 * count_out_of_range(confidence_weights(rows, backbone.inputs)) > len(rows):
        return True
    if backbone.source is None:
        return False
    found = features(backbone, rows, len(backbone.blocks), device, n_jobs, lambda part: part)
    source = backbone.source
    with np.errstate(all="ignore"):  # what overflows is far
        return are_far(away := (found.reshape(len(rows), -1) - source.feature_mean) / source.feature_scale) or bool(
            of_classes and len(rows) >= _MANY and np.std(away, axis=0).mean() < _STILL
        )


def samples_look_foreign(estimator: Any, backbone: Backbone, X: np.ndarray) -> bool:
    """As :func:`look_foreign` of checked rows or windows, as an estimator got them.

    Parameters
    ----------
    estimator : estimator
        For its name, columns and device.
    backbone : Backbone
    X : ndarray or Windows
        They may be those of one machine in one state.
    """
    rows = prepared(type(estimator).__name__, _some(X), backbone, column_names(estimator, X.shape[1]))
    return look_foreign(backbone, rows, estimator.device, estimator.n_jobs, of_classes=False)


def _some(X: np.ndarray) -> np.ndarray:
    return X[:: max(1, len(X) // _SAMPLE)]


def are_far(features: np.ndarray) -> bool:
    """Whether most rows of features, in deviations of the source, are further from zero than scaled rows ever are."""
    with np.errstate(all="ignore"):
        size = np.sqrt(np.square(features, dtype=np.float64).mean(axis=1))
        return not np.median(size) <= _FAR


def warn_of_foreign(name: str, backbone: Backbone, n_rows: int, *, learned: bool) -> None:
    """Warn that rows are not scaled as those of the backbone's source were.

    Parameters
    ----------
    name : str
        Of the estimator.
    backbone : Backbone
        As the estimator got it, or as it was fitted.
    n_rows : int
        Rows of the call.
    learned : bool
        Whether the estimator was fitted to such rows, and is asked now.
    """
    scaling = f" ({backbone.inputs.scaling})" if backbone.inputs.scaling else ""
    what = "was fitted to rows" if learned else "got rows"
    known = (backbone.provenance or {}).get("fitted_from", backbone.name) if learned else backbone.name
    text = (
        f"{name} {what} that look to backbone {known!r} like none of its source: far outside its range, or "
        f"hardly moving. Scale them as those were{scaling}: put the scaler of the machine before it, such as "
        "make_pipeline(BaselineScaler(normal_label=...), ...)."
    )
    warn_of(CountedWarning(text, OutOfRangeWarning, n_rows, n_rows))


def _reaches(backbone: Backbone, rows: np.ndarray) -> bool:
    """Whether the backbone knows the range of so many columns or channels."""
    low, high = backbone.inputs.minimum, backbone.inputs.maximum
    return low is not None and high is not None and len(low) == rows.shape[1]
