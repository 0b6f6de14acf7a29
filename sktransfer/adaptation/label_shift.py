"""Shares of the classes in unlabelled target rows, from the predictions of a classifier of the source.

::

    probabilities of target rows, shares of the source --> em_shares   --+
    predictions of source and target rows, source labels -> bbse_shares --+--> shares of the target --> prior=...

Both hold where only the shares differ: rows of one class look alike on both machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sktransfer.exceptions import LabelShiftWarning
from sktransfer.utils.counted_warnings import warn_caller

# Total variation between the shares of source and target above which a method that assumes equal shares does harm.
LARGEST_SHIFT = 0.25


def em_shares(
    probabilities: Any, source_shares: Any, *, smoothing: float = 0.0, max_iter: int = 1000, tol: float = 1e-8
) -> np.ndarray:
    """Shares of the classes in the target by expectation maximisation.

    Parameters
    ----------
    probabilities : array-like of shape (n_target, n_classes)
        Of the target rows, by a classifier that was fitted to the source; better calibrated, better shares.
    source_shares : array-like of shape (n_classes,)
        Share of each class among the rows of that fit.
    smoothing : float, default=0.0
        Part of each estimate that is the source's shares, 0 to 1. Without any, a class that is hardly ever the most
        probable loses its share altogether, and can never be found again.
    max_iter : int, default=1000
    tol : float, default=1e-8
        Ends when the shares move by less in sum.

    Returns
    -------
    ndarray of shape (n_classes,)
        They sum to one.

    Raises
    ------
    ValueError
        For shapes that do not match, and for shares that are not positive.

    Notes
    -----
    NOTE[DIFF] The paper has no `smoothing`.

    References
    ----------
    Saerens, M., Latinne, P., Decaestecker, C. (2002). Adjusting the outputs of a classifier to new a priori
    probabilities. Neural Computation 14(1), 21-41. doi:10.1162/089976602753284446

    Examples
    --------
    >>> from sktransfer import em_shares
    >>> em_shares([[0.99, 0.01], [0.98, 0.02], [0.97, 0.03], [0.02, 0.98]], [0.5, 0.5]).round(2)
    array([0.76, 0.24])
    """
    outputs = np.asarray(probabilities, dtype=np.float64)
    source = _shares("source_shares", source_shares, outputs.shape[-1])
    if outputs.ndim != 2 or not len(outputs):
        raise ValueError(f"probabilities have shape {outputs.shape}; expected rows of (n_target, n_classes).")
    if (source == 0).any():
        raise ValueError("source_shares must be positive: a class without a source row has no probability.")
    # every row keeps a little of every class, so that none divides zero by zero
    ratio, found = np.maximum(outputs, np.finfo(np.float64).tiny ** 0.5) / source, source
    for _ in range(max_iter):
        weighted = ratio * found
        before, mean = found, (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        found = (1 - smoothing) * mean + smoothing * source
        if np.abs(found - before).sum() < tol:
            break
    return found


def bbse_shares(y_source: Any, predicted_source: Any, predicted_target: Any) -> np.ndarray:
    """Shares of the classes in the target by black box shift estimation: the confusion matrix turned back.

    Parameters
    ----------
    y_source : array-like of shape (n_source,)
        Labels of source rows that the classifier was not fitted to (of a cross-validation, say).
    predicted_source : array-like of shape (n_source,)
        What it predicts for them.
    predicted_target : array-like of shape (n_target,)
        What it predicts for the target rows.

    Returns
    -------
    ndarray of shape (n_classes,)
        In the order of the sorted classes of `y_source`; they sum to one.

    Raises
    ------
    ValueError
        For predictions that are no class of `y_source`, and for different lengths.

    Notes
    -----
    NOTE[DIFF]: the paper inverts the matrix; here least squares with shares of at least zero, which stand for the same
    where the inverse has none below zero, and exist where the matrix has no inverse.

    References
    ----------
    Lipton, Z. C., Wang, Y.-X., Smola, A. (2018). Detecting and correcting for label shift with black box predictors.
    ICML. arXiv:1802.03916

    Examples
    --------
    >>> from sktransfer import bbse_shares
    >>> bbse_shares([0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1])
    array([0.25, 0.75])
    """
    from scipy.optimize import nnls
    from sklearn.metrics import confusion_matrix

    classes = np.unique(np.asarray(y_source))
    target = np.asarray(predicted_target)
    for name, labels in (("predicted_source", predicted_source), ("predicted_target", target)):
        if not np.isin(labels, classes).all() or not len(labels):
            raise ValueError(f"{name} must hold predictions among the classes of y_source, {classes[:10].tolist()}.")
    # column k: what is predicted for rows of class k
    confusion = confusion_matrix(y_source, predicted_source, labels=classes, normalize="true").T
    shares = np.array([(target == one).mean() for one in classes])
    # a row of large weight: the shares sum to one
    found, _ = nnls(np.vstack([confusion, np.full(len(classes), 1e3)]), np.r_[shares, 1e3])
    return found / found.sum()


def share_distance(first: Any, second: Any) -> float:
    """Total variation between two vectors of shares: half the sum of the absolute differences, 0 to 1."""
    return float(np.abs(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)).sum() / 2)


def target_shares(X_source: np.ndarray, y_source: np.ndarray, X_target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the target by a logistic regression of the source: mean probabilities, and `em_shares` of them.

    The mean hides a part of a shift, but moves little where rows of one class look different on both machines, where
    expectation maximisation finds shares that are far off.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classes, codes = np.unique(y_source, return_inverse=True)
    if len(classes) == 1:
        return np.ones(1), np.ones(1)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X_source, codes)
    found = model.predict_proba(X_target)
    return found.mean(axis=0), em_shares(found, np.bincount(codes) / len(codes))


def given_shares(name: str, prior: Any, classes: list[Any]) -> np.ndarray:
    """Shares of the classes that a user passed, by class or in the order of `classes`; they sum to one.

    Raises
    ------
    ValueError
        For a class that there is not, and for numbers that are no shares.
    """
    if isinstance(prior, Mapping):
        unknown = [one for one in prior if one not in classes]
        if unknown:
            raise ValueError(f"{name}: prior names {unknown[:10]}; the classes of the source are {classes[:10]}.")
        prior = [prior.get(one, 0.0) for one in classes]
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (len(classes),) or not (shares >= 0).all() or not np.isclose(shares.sum(), 1, atol=1e-3):
        raise ValueError(
            f"{name}: prior must hold {len(classes)} shares that sum to 1, one for each of the classes "
            f"{classes[:10]} of the source; found {shares[:10].tolist()}."
        )
    return shares / shares.sum()


def warn_of_shift(name: str, distance: float, classes: list[Any], shares: np.ndarray, harm: str) -> None:
    """Warn if predicted shares are far from the source's, and nobody said which shares the target has.

    Parameters
    ----------
    distance : float
        Total variation between the source's shares and the mean probabilities of the target.
    classes, shares : list, ndarray of shape (n_classes,)
        Estimated shares, for the message.
    harm : str
        What may come of it, one sentence.
    """
    if distance > LARGEST_SHIFT:
        found = {one: round(float(share), 2) for one, share in zip(classes, shares, strict=True)}
        warn_caller(
            f"{name} takes the shares of the source's classes for those of the target, but a logistic regression "
            f"of the source predicts shares that differ by {distance:.2f} (total variation; 0 to 1), and estimates "
            f"{dict(list(found.items())[:10])}. {harm} Pass prior=..., the shares that you expect, or "
            "prior='estimate'.",
            LabelShiftWarning,
        )


def _shares(name: str, shares: Any, n_classes: int) -> np.ndarray:
    found = np.asarray(shares, dtype=np.float64)
    if found.shape != (n_classes,):
        raise ValueError(f"{name} has shape {found.shape}; expected ({n_classes},), one share a class.")
    if not np.isfinite(found).all() or (found < 0).any() or found.sum() <= 0:
        raise ValueError(f"{name} must hold shares of at least zero, not all zero; found {found[:10].tolist()}.")
    return found / found.sum()
