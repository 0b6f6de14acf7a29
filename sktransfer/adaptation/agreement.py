"""Does an adapted network still agree with what the source network was sure of?

::

    logits of the source network --the surer half of the rows--> classes --+
                                                                           +--> share of equal ones
    logits of the adapted network ----------those rows----------> classes --+

Without labels nothing says which of two networks is right. But where the source network is sure it is mostly right, and
an adaptation that improves it changes its mind where it was unsure. Entropy cannot tell: what minimises it lowers it,
right or wrong.
"""

from __future__ import annotations

import numpy as np


def agreement_of_surest(before: np.ndarray, after: np.ndarray, labels: np.ndarray | None = None) -> float:
    """Share of the surer half of the rows whose most probable class is the same.

    Parameters
    ----------
    before, after : ndarray of shape (n_samples, n_classes)
        Logits of both networks for the same rows.
    labels : ndarray of shape (n_samples,), optional
        Codes of classes, -1 of rows without a label. A row whose label the second network gives agrees.

    Returns
    -------
    float
    """
    margins = np.sort(before, axis=1)[:, -2:]
    sure = margins[:, 1] - margins[:, 0]
    agrees = before.argmax(axis=1) == (found := after.argmax(axis=1))
    if labels is not None:
        agrees |= found == labels
    return float(agrees[sure >= np.median(sure)].mean())
