"""Which source rows an alignment compares with the target's, where the classes are not equally common on both.

::

    source rows, labels, target rows --> shares of the target's classes: given, estimated, or far off and warned of
                                                        |
    source rows of each class, repeated or left out <---+
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.adaptation.alignment import Alignment
from sktransfer.adaptation.label_shift import given_shares, share_distance, target_shares, warn_of_shift

_MOST = 2000  # rows of each side that are looked at for the shares
_FEWEST = 32  # rows of the target that tell of a shift


def compared_rows(
    name: str, alignment: Alignment, X_source: np.ndarray, codes: np.ndarray, classes: Any, X_target: np.ndarray
) -> np.ndarray | None:
    """Numbers of source rows whose classes are as common as the target's, some of them more than once.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    alignment : Alignment
    X_source : ndarray of shape (n_source, ...)
    codes : ndarray of shape (n_source,), int64
        Number of each source row's class.
    classes : array-like of shape (n_classes,)
    X_target : ndarray of shape (n_target, ...)

    Returns
    -------
    ndarray of int, or None
        None: as they are, because no prior was given; a warning says if that is doubtful.

    Raises
    ------
    ValueError
        For a `prior` that does not fit the classes, and for one of which all classes lack a source row.
    """
    names, present = list(np.asarray(classes).tolist()), np.unique(codes)
    kind = f"{name}(alignment={type(alignment).__name__})"
    if alignment.prior is None or isinstance(alignment.prior, str):
        if len(X_target) < (_FEWEST if alignment.prior is None else 1) or len(present) < 2:
            return None
        every = _every(X_source)
        looked_at = np.concatenate([np.flatnonzero(codes == code)[::every] for code in present])  # no class is left out
        known_rows, rows = _as_rows(X_source[looked_at]), _as_rows(X_target[:: _every(X_target)])
        mean, estimated = target_shares(known_rows, codes[looked_at], rows)
        if alignment.prior is None:
            own = np.bincount(codes)[present] / len(codes)
            known = [names[code] for code in present]
            harm = "Faults may be drawn to healthy rows."
            warn_of_shift(kind, share_distance(own, mean), known, estimated, harm)
            return None
        shares = np.zeros(len(names))
        shares[present] = estimated
    else:
        shares = given_shares(kind, alignment.prior, names)
    shares = np.where(np.isin(np.arange(len(names)), present), shares, 0.0)
    if not shares.any():
        raise ValueError(f"{kind}: prior gives no class of the source a share; the source has rows of {names[:10]}.")
    n = np.round(shares / shares.sum() * len(codes)).astype(np.int64)
    n[shares > 0] = np.maximum(n[shares > 0], 1)
    return np.concatenate([np.resize(np.flatnonzero(codes == code), n[code]) for code in present])


def _every(X: np.ndarray) -> int:
    """Of so many rows one is looked at: enough for a logistic regression."""
    return max(1, -(-len(X) // _MOST))


def _as_rows(X: np.ndarray) -> np.ndarray:
    """Rows of a table; of windows the mean and the standard deviation of each channel."""
    return np.concatenate([X.mean(axis=-1), X.std(axis=-1)], axis=1) if X.ndim == 3 else X.reshape(len(X), -1)
