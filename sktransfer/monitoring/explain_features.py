r"""What each sensor adds to a detector's distance where every feature belongs to one sensor.

::

    features --statistic--> one column a sensor:   what its best value takes off the distance
                        \-> several a sensor:      square roots of the parts of the distance, summed
"""

from __future__ import annotations

from typing import Any

import numpy as np


def feature_effects(detector: Any, Z: Any) -> np.ndarray:
    """What each column or channel of the detector's input adds, shape (n_samples, n_columns).

    Parameters
    ----------
    detector : TransferDetector
        Whose features belong to columns or channels, one after the other.
    Z : array-like
        What the detector takes.

    Notes
    -----
    One column a sensor: reconstruction-based contributions. Where a single sensor was moved far, it has the largest.
    Several features a sensor: sum of the square roots of the parts that are above zero, which are deviations where the
    parts are squares of them: a single feature with a heavy tail, as a kurtosis has, does not outvote all others. Of a
    quadratic distance the parts are Shapley values.

    References
    ----------
    Alcala and Qin (2009). Reconstruction-based contribution for process monitoring. Automatica 45, 1593-1600.
    doi:10.1016/j.automatica.2009.02.027.
    """
    n_columns = len(detector.usual_sample_)
    features = detector._features(Z)
    if features.shape[1] == n_columns:
        return np.asarray(detector.statistic_.reconstructions(features))
    parts = np.maximum(detector.statistic_.contributions(features), 0.0)
    return np.sqrt(parts).reshape(len(parts), n_columns, -1).sum(axis=2)
