"""What each candidate loses on labelled rows that it was not fitted to, and which candidates these rows tell apart.

::

    labelled rows of the target --> folds, whole groups on one side
    each fold: [source rows] + the other labelled rows --> candidate --> loss of each row held out
    losses of a candidate minus those of the best --> mean, standard error --> as good as the best?
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    check_cv,
)
from sklearn.utils import _safe_indexing

from sktransfer.evaluation.candidates import Candidate

_FOLDS = 5
_SHARPNESS = 5.0  # of the votes: a loss that is larger by a fifth of the unit has 1/e of the vote


@dataclass
class Labelled:
    """Rows of all machines as one candidate or another takes them.

    Parameters
    ----------
    X : rows or windows, as they came
    y : ndarray of shape (n_rows,)
        Labels, with the marks of rows without one.
    codes : ndarray of shape (n_rows,)
        Number of each row's class, -1 without a label; or values.
    classes : ndarray or None
        None: a regression.
    labelled : ndarray of int
        Labelled rows of the target, of which folds are made.
    others : ndarray of int
        Rows of the sources and unlabelled rows of the target.
    domains : ndarray of shape (n_rows,) or None
    groups : ndarray of shape (n_labelled,) or None
        Of the labelled rows of the target.
    """

    X: Any
    y: np.ndarray
    codes: np.ndarray
    classes: np.ndarray | None
    labelled: np.ndarray
    others: np.ndarray
    domains: np.ndarray | None
    groups: np.ndarray | None


def splits(name: str, cv: Any, data: Labelled) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and held-out positions among the labelled rows of the target.

    ``"auto"``: five folds, of whole groups where there are groups, of equal class shares in a classification; one row
    each where a class has one row. In a regression, whose rows mostly come in time order, five steps forward: fitted to
    the rows before, asked about the next ones. Between its neighbours a row is foretold too easily.

    Raises
    ------
    ValueError
        If there are fewer than two rows, or all of them are of one group.
    """
    codes, groups = data.codes[data.labelled], data.groups
    n, index = len(codes), np.zeros(len(codes))
    if n < 2:
        raise ValueError(f"{name} needs at least 2 labelled rows of the target to choose by; got {n}.")
    if not (isinstance(cv, str) and cv == "auto"):
        found = check_cv(cv, codes, classifier=data.classes is not None)
        return list(found.split(index, codes, groups))
    if groups is not None:
        n_groups = len(np.unique(groups))
        if n_groups < 2:
            raise ValueError(
                f"{name}: all {n} labelled rows of the target are of one group, so that none can be held out. Label "
                "rows of another group, or leave groups out if the rows are exchangeable."
            )
        n_folds = min(_FOLDS, n_groups)
        if data.classes is None:
            return list(GroupKFold(n_folds).split(index, codes, groups))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of classes with fewer groups than folds
            folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0).split(index, codes, groups)
            return [(train, test) for train, test in folds if len(test)]
    if data.classes is None:
        return list((TimeSeriesSplit(min(_FOLDS, n - 1)) if n > 2 else KFold(2)).split(index))
    fewest = int(np.bincount(codes)[np.unique(codes)].min())
    if fewest < 2:
        return list((LeaveOneOut() if n <= 4 * _FOLDS else KFold(_FOLDS, shuffle=True, random_state=0)).split(index))
    return list(StratifiedKFold(min(_FOLDS, fewest), shuffle=True, random_state=0).split(index, codes))


def held_out(candidate: Candidate, data: Labelled, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, float]:
    """Loss of each row of a fold, NaN where the candidate could not know the row's class, and seconds of the fit.

    Parameters
    ----------
    candidate : Candidate
    data : Labelled
    train, test : ndarray of int
        Positions among the labelled rows.

    Returns
    -------
    losses : ndarray of shape (n_test,)
        Squared distance between the probabilities and the class (Brier score, from 0 to 2), or squared error.
    seconds : float
    """
    began, rows = time.perf_counter(), data.labelled[test]
    truth = data.codes[rows]
    unknown = ~np.isin(truth, _known(candidate, data, train)) if data.classes is not None else np.zeros(len(test), bool)
    if unknown.all():
        return np.full(len(test), np.nan), 0.0  # whatever it answered would not count
    compared = candidate if candidate.in_folds is None else replace(candidate, estimator=candidate.in_folds)
    fitted = fit_candidate(compared, data, data.labelled[train])
    seconds = time.perf_counter() - began
    found = answers(fitted, _safe_indexing(data.X, rows), data.classes)
    if data.classes is None:
        return (found - truth) ** 2, seconds
    losses = ((found - np.eye(len(data.classes))[truth]) ** 2).sum(axis=1)
    losses[unknown] = np.nan
    return losses, seconds


def _known(candidate: Candidate, data: Labelled, train: np.ndarray) -> np.ndarray:
    """Numbers of the classes that the candidate can know after a fit to these labelled rows."""
    if not candidate.learns:
        return np.unique(data.codes)
    seen = np.unique(data.codes[data.labelled[train]])
    if candidate.uses == "rows":
        return np.union1d(seen, data.codes[data.others[data.codes[data.others] >= 0]])
    return seen


def fit_candidate(candidate: Candidate, data: Labelled, rows: np.ndarray) -> Any:
    """A clone of the candidate, fitted to these labelled rows of the target and to what else it takes.

    Returns
    -------
    estimator, or int
        The number of the only class among `rows`, where the candidate learns from nothing else.
    """
    estimator = clone(candidate.estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of single rows and few folds, once for each of a hundred fits
        if candidate.uses == "rows" and data.domains is not None:
            kept = np.r_[data.others, rows]
            return estimator.fit(_safe_indexing(data.X, kept), data.y[kept], sample_domain=data.domains[kept])
        if not candidate.learns:
            return estimator.fit(_safe_indexing(data.X, rows))
        if data.classes is not None and len(found := np.unique(data.codes[rows])) == 1:
            return int(found[0])
        y = data.codes[rows] if data.classes is None else data.classes[data.codes[rows]]
        return estimator.fit(_safe_indexing(data.X, rows), y)


def answers(fitted: Any, X: Any, classes: np.ndarray | None) -> np.ndarray:
    """Probabilities of all classes, zero for those that `fitted` does not know, or values."""
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    if classes is None:
        return np.asarray(fitted.predict(X), dtype=np.float64).reshape(n)
    found = np.zeros((n, len(classes)))
    if isinstance(fitted, int):
        found[:, fitted] = 1.0
    else:
        found[:, np.searchsorted(classes, fitted.classes_)] = fitted.predict_proba(X)
    return found


def as_good_as_best(losses: np.ndarray, weight: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """Which candidates the held-out rows do not tell from the best one.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_rows)
        NaN in rows that a candidate could not be asked.
    weight : ndarray of shape (n_rows,)
    groups : ndarray of shape (n_rows,) or None
        Rows of one group count as one observation.

    Returns
    -------
    mean : ndarray of shape (n_candidates,)
        Weighted mean loss; NaN for a candidate without a row.
    behind, error : ndarray of shape (n_candidates,)
        Mean difference from the best candidate and its standard error.
    good : ndarray of bool of shape (n_candidates,)
        Within one standard error of the best.
    """
    mean = np.array([_mean(row, weight) for row in losses])
    behind, error = np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    if np.isnan(mean).all():
        return mean, behind, error, np.zeros(len(mean), dtype=bool)
    best = losses[int(np.nanargmin(mean))]
    for k, row in enumerate(losses):
        both = ~np.isnan(row) & ~np.isnan(best)
        if both.sum() >= 2:
            behind[k], error[k] = mean_and_error(
                (row - best)[both], weight[both], None if groups is None else groups[both]
            )
    return mean, behind, error, behind <= error


def votes_of(mean: np.ndarray, unit: float) -> np.ndarray:
    """Exponential weights ``exp(-5 (loss - least loss) / unit)`` of mean losses; zero where a loss is NaN.

    References
    ----------
    Leung and Barron (2006). Information theory and mixing least-squares regressions. IEEE Transactions on Information
    Theory 52, 3396-3410. doi:10.1109/TIT.2006.878172.
    """
    if np.isnan(mean).all():
        return np.ones(len(mean))
    excess = (mean - np.nanmin(mean)) / max(unit, np.finfo(np.float64).tiny)
    return np.where(np.isnan(mean), 0.0, np.exp(-_SHARPNESS * np.nan_to_num(excess, nan=0.0)))


def gain_of_source(
    losses: np.ndarray, votes: np.ndarray, source: np.ndarray, weight: np.ndarray, groups: np.ndarray | None
) -> tuple[float, float]:
    """Loss that the candidates without the source have more than those with it, and its standard error.

    Both are means over their candidates, by their votes. One comparison and not one a candidate: the best of many would
    look better than it is.

    Parameters
    ----------
    losses : ndarray of shape (n_candidates, n_rows)
    votes : ndarray of shape (n_candidates,)
    source : ndarray of bool of shape (n_candidates,)
    weight : ndarray of shape (n_rows,)
    groups : ndarray of shape (n_rows,) or None
    """
    there = ~np.isnan(losses).any(axis=0)
    if there.sum() < 2:
        return 0.0, float("inf")
    without, with_it = (
        np.average(losses[side][:, there], axis=0, weights=np.maximum(votes[side], np.finfo(np.float64).tiny))
        for side in (~source, source)
    )
    return mean_and_error(without - with_it, weight[there], None if groups is None else groups[there])


def _mean(losses: np.ndarray, weight: np.ndarray) -> float:
    there = ~np.isnan(losses)
    return float(np.average(losses[there], weights=weight[there])) if there.any() else float("nan")


def mean_and_error(values: np.ndarray, weight: np.ndarray, groups: np.ndarray | None) -> tuple[float, float]:
    """Weighted mean, and its standard error over rows or groups."""
    if groups is not None:
        names = np.unique(groups)
        sums = np.array([weight[groups == name].sum() for name in names])
        values = np.array([np.average(values[groups == name], weights=weight[groups == name]) for name in names])
        weight = sums
    mean = float(np.average(values, weights=weight))
    share = weight / weight.sum()
    spread = float(np.sqrt((share**2 * (values - mean) ** 2).sum()))
    n = len(values)
    return mean, spread * np.sqrt(n / (n - 1)) if n > 1 else float("inf")
