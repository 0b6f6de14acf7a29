"""Distance of machines: how well a classifier tells their rows apart, before and after they are brought together."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer.validation.domains import source_and_target


def proxy_a_distance(
    X: Any,
    sample_domain: Any,
    *,
    groups: Any = None,
    target_domain: Any = None,
    n_splits: int = 5,
    random_state: int = 0,
) -> float:
    """Proxy A-distance of source and target rows, 0 (cannot be told apart) to 2 (always can).

    ``2 (1 - 2 error)``, where the error is the balanced one of a logistic regression that tells source from target, on
    rows that it was not fitted to; below zero counts as zero.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows of all machines.
    sample_domain : array-like of shape (n_samples,)
        Machine of each row, as in :class:`Pooled`.
    groups : array-like of shape (n_samples,), optional
        Run, recording or unit of each row. Rows of one group stay on one side of each split; without it neighbouring
        rows of a run are told by each other, and the distance is too large.
    target_domain : int, str, sequence of them or None, default=None
        The values of `sample_domain` that are targets; None: the negative numbers.
    n_splits : int, default=5
        Folds; fewer where a side has fewer rows or groups.
    random_state : int, default=0
        Of the folds.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a side has a single row or group, so that it cannot be split.

    References
    ----------
    Ben-David, S., Blitzer, J., Crammer, K., Pereira, F. (2007). Analysis of representations for domain adaptation.
    NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import proxy_a_distance
    >>> X = np.r_[np.zeros((20, 1)), np.ones((20, 1))] + np.random.default_rng(0).normal(size=(40, 1)) / 100
    >>> proxy_a_distance(X, np.repeat([1, -1], 20))
    2.0
    """
    X = np.asarray(X, dtype=np.float64)
    target = source_and_target("proxy_a_distance", sample_domain, len(X), target_domain).target
    units = np.arange(len(X)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if units.shape != (len(X),):
        raise ValueError(f"groups has shape {units.shape}; expected ({len(X)},), one a row.")
    # a unit of both machines counts as one of each
    counts = [len(np.unique(units[side])) for side in (target, ~target)]
    n_splits = min(n_splits, *counts)
    if n_splits < 2:
        raise ValueError(
            f"proxy_a_distance cannot split {counts[1]} source and {counts[0]} target groups; each side "
            "needs at least 2. Pass finer groups, or leave groups out and read the distance as an upper bound."
        )
    folds = (StratifiedKFold if groups is None else StratifiedGroupKFold)(
        n_splits, shuffle=True, random_state=random_state
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    found = cross_val_predict(model, X, target, cv=list(folds.split(X, target, None if groups is None else units)))
    error = (found[~target].mean() + (~found[target]).mean()) / 2
    return float(max(0.0, 2 * (1 - 2 * error)))


def domain_distance_report(
    adapter: Any, X: Any, sample_domain: Any, *, y: Any = None, groups: Any = None, random_state: int = 0
) -> dict[str, float]:
    """Proxy A-distance of the machines' rows before and after an adapter.

    Parameters
    ----------
    adapter : transformer
        One whose ``fit_transform`` takes ``sample_domain``; a clone is fitted to all rows.
    X : array-like of shape (n_samples, n_features)
    sample_domain : array-like of shape (n_samples,)
    y : array-like of shape (n_samples,), optional
        Labels for the adapter.
    groups : array-like of shape (n_samples,), optional
        As in :func:`proxy_a_distance`.
    random_state : int, default=0

    Returns
    -------
    dict
        ``"before"`` and ``"after"``. A small distance after is no proof of use: a map that sends classes onto each
        other has one, too.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import CORAL, domain_distance_report
    >>> domain = np.repeat([1, -1], 100)
    >>> X = np.random.default_rng(0).normal(size=(200, 2)) + (domain[:, None] > 0) * 5
    >>> report = domain_distance_report(CORAL(), X, domain)
    >>> report["before"] > 1.9, report["after"] < 0.5
    (True, True)
    """
    how = {"groups": groups, "random_state": random_state, "target_domain": getattr(adapter, "target_domain", None)}
    mapped = clone(adapter).fit_transform(X, y, sample_domain=sample_domain)
    return {name: proxy_a_distance(rows, sample_domain, **how) for name, rows in (("before", X), ("after", mapped))}
