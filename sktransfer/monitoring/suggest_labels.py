r"""Which rows to show to an operator next: unusual or uncertain, unlike each other and unlike what is labelled.

::

    detector   --> alarms: directions of features --> clusters --> of each the most typical row, large ones first
    classifier --> features x (probabilities - most probable class) --> one after the other, far from all before
    labelled rows are covered already; one of a group before a second
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sktransfer.estimators.fitted_features import FittedFeatures, before_last, deviations, directions, last_step
from sktransfer.estimators.open_set_classifier import OpenSetClassifier
from sktransfer.estimators.transfer_detector import TransferDetector
from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.random import draw_seed

_WHO = "suggest_labels"
_CLUSTERED = 5000  # alarms, at most


def suggest_labels(
    estimator: Any, X: Any, n: int, *, groups: Any = None, labelled: Any = None, random_state: Any = None
) -> np.ndarray:
    """Choose the rows, or windows, whose labels are wanted most.

    Parameters
    ----------
    estimator : TransferDetector, classifier with ``predict_proba``, or Pipeline that ends in one
        Fitted. Of a detector the alarms are looked at, so that the first labels are those of what is unusual. A
        classifier is asked where it is unsure.
    X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
        As for ``predict``: what there is to label.
    n : int
        How many.
    groups : array-like of shape (n_samples,), optional
        Recording or run of each row. No group is asked for a second row while there is another without a first one;
        labelled rows count.
    labelled : array-like, optional
        Positions in `X`, or a mask of shape (n_samples,), of the rows that have a label. They are not suggested again,
        nor is what is like them while there is something else.
    random_state : int, RandomState, Generator or None, default=None
        Drives the choice among equally good rows.

    Returns
    -------
    ndarray of int of shape (n,)
        Positions in `X`, most wanted first, each once. Fewer where there are fewer alarms, or rows without a label.

    Raises
    ------
    TypeError
        For an estimator of another kind.
    ValueError
        If no row is an alarm, none is left to label, or `groups` or `labelled` do not belong to `X`.
    NotFittedError
        If the estimator is not fitted.

    Warns
    -----
    DataQualityWarning
        If fewer than `n` rows are returned.

    See Also
    --------
    TransferDetector : Needs no label.
    OpenSetClassifier : Says which rows are of no class that has labels.

    Notes
    -----
    At the start typical rows teach most, later unsure ones (Hacohen et al.).

    Of a detector the alarms, with the labelled rows, are cut into `n` clusters and as many more as there are labels, at
    most `n`, by the direction of their features (of columns: of the parts of the distance that they add, high or low).
    Of each cluster without a label the row nearest to its centre is returned, those of large clusters first. For a
    classifier rows are drawn one after the other by the seeding of k-means++, with probability in proportion to the
    squared distance from the nearest that is chosen or labelled; of a few draws the one that leaves the least is
    taken. The space is that of BADGE, the gradient of the loss on the last layer at the most probable class: features
    times (probabilities minus 1 at that class), long where it is unsure.

    Features are those of the network where there is one, else the columns. Windows that overlap lie near each other,
    and a second of them comes late.

    References
    ----------
    Hacohen, Dekel and Weinshall (2022). Active learning on a budget: opposite strategies suit high and low budgets.
    ICML. arXiv:2202.02794.
    Ash, Zhang, Krishnamurthy, Langford and Agarwal (2020). Deep batch active learning by diverse, uncertain gradient
    lower bounds. International Conference on Learning Representations. arXiv:1906.03671.
    Arthur and Vassilvitskii (2007). k-means++: the advantages of careful seeding. Symposium on discrete algorithms,
    1027-1035.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import TransferDetector, suggest_labels
    >>> rng = np.random.default_rng(0)
    >>> detector = TransferDetector().fit(rng.normal(size=(500, 2)))
    >>> X = rng.normal(size=(90, 2))
    >>> X[30:40, 0] += 9  # one fault
    >>> X[70:, 1] -= 9  # another
    >>> sorted(bool(row >= 70) for row in suggest_labels(detector, X, 2, random_state=0))
    [False, True]
    """
    n = _checked_number(n)
    fitted, X = _opened(estimator, X)
    unusual = isinstance(last_step(fitted), TransferDetector)
    F, A, wanted = _unusual(fitted, X) if unusual else _uncertain(fitted, X)
    taken, rng = _positions(labelled, len(F)), np.random.default_rng(draw_seed(random_state))
    free = wanted.copy()
    free[taken] = False
    _warn_of_few(n, free, wanted, taken)
    groups_left = _Groups(_numbered(groups, len(F)), taken)
    if unusual:
        return _typical(F, free, taken, groups_left, n, rng)
    return _spread(F, A, free, taken, groups_left, n, rng)


class _Groups:
    """How often each group was asked.

    Parameters
    ----------
    numbers : ndarray of int of shape (n_samples,) or None
        Group of each row; None: there are none.
    taken : ndarray of int
        Rows that have a label.
    """

    def __init__(self, numbers: np.ndarray | None, taken: np.ndarray):
        self.numbers = numbers
        self.counts = None if numbers is None else np.bincount(numbers[taken], minlength=numbers.max() + 1)

    def least_asked(self, rows: np.ndarray) -> np.ndarray:
        """Those of the rows whose groups were asked least."""
        if self.counts is None or self.numbers is None:
            return rows
        asked = self.counts[self.numbers[rows]]
        return np.asarray(rows[asked == asked.min()])

    def ask(self, row: int) -> None:
        """Count one more."""
        if self.counts is not None and self.numbers is not None:
            self.counts[self.numbers[row]] += 1


def _unusual(fitted: Any, X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions of the features, equal weights, and which rows are alarms."""
    detector, rows = last_step(fitted), before_last(fitted, X)
    alarms = detector.predict(rows) < 0
    if not alarms.any():
        usual = detector.score_samples(rows)
        raise ValueError(
            f"{_WHO}: none of the {len(usual)} rows is an alarm: the lowest score is {usual.min():.4g}, and an alarm "
            f"is below {detector.offset_:.4g}. Pass rows of more time, or fit the detector with a larger "
            "false_alarm_rate."
        )
    F, statistic = detector._features(rows), detector.statistic_
    if detector.extractor_ is None:
        # which columns make the row unusual, and whether they are high or low
        F = np.copysign(np.maximum(statistic.contributions(F), 0.0), F - statistic.mean_)
    return directions(F), np.ones((len(F), 1)), alarms


def _uncertain(fitted: Any, X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, the gradient of the loss by the logits at the most probable class, and all rows."""
    A = np.array(fitted.predict_proba(X), dtype=np.float64)
    A[np.arange(len(A)), A.argmax(axis=1)] -= 1
    features = FittedFeatures(fitted, X)
    F = features.of(fitted, X)
    missing = np.isnan(F).any(axis=1)
    if missing.any():
        raise ValueError(
            f"{_WHO}: X contains NaN in {int(missing.sum())} of {len(F)} rows (first: "
            f"{np.flatnonzero(missing)[:5].tolist()}), which have no distance from the others. Impute them in a step "
            "of the pipeline, or leave these rows out."
        )
    if features.of_network:
        return directions(F), A, np.ones(len(F), dtype=bool)
    mean, scale = deviations(F)
    return (F - mean) / (scale * np.sqrt(F.shape[1])), A, np.ones(len(F), dtype=bool)


def _typical(
    F: np.ndarray, free: np.ndarray, taken: np.ndarray, groups: _Groups, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Of each cluster of the free rows the most typical one: clusters without a label first, large ones first."""
    rows = np.flatnonzero(free)
    inside = np.r_[rows, taken]
    some = inside if len(inside) <= _CLUSTERED else rng.choice(inside, size=_CLUSTERED, replace=False)
    distinct = len(np.unique(F[some], axis=0))  # copies of a row make no cluster of their own
    found = KMeans(min(n + min(n, len(taken)), distinct), n_init=3, random_state=int(rng.integers(2**31 - 1))).fit(
        F[some]
    )
    cluster = np.full(len(F), -1)
    cluster[inside] = found.predict(F[inside])
    size = np.bincount(cluster[rows], minlength=found.n_clusters)
    chosen_in = np.bincount(cluster[taken], minlength=found.n_clusters)
    far = np.full(len(F), np.inf)
    # two rows of a cluster are equally far, but for rounding: the first is taken
    far[rows] = np.square(F[rows] - found.cluster_centers_[cluster[rows]]).sum(axis=1).round(9)
    suggested = list[int]()
    for _ in range(min(n, len(rows))):
        may = groups.least_asked(np.flatnonzero(free))
        own = cluster[may]
        best = int(may[np.lexsort((far[may], -size[own], chosen_in[own]))[0]])
        free[best] = False
        chosen_in[cluster[best]] += 1
        groups.ask(best)
        suggested.append(best)
    return np.array(suggested, dtype=np.int64)


def _spread(
    F: np.ndarray,
    A: np.ndarray,
    free: np.ndarray,
    taken: np.ndarray,
    groups: _Groups,
    n: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Rows that lie far from each other in the space of the products of `F` and `A`, one after the other."""
    size = np.square(A).sum(axis=1) * np.square(F).sum(axis=1)

    def distance(row: int) -> np.ndarray:
        # of products: their inner products are those of the factors, multiplied
        return np.maximum(size + size[row] - 2 * (A @ A[row]) * (F @ F[row]), 0.0)

    nearest = np.full(len(F), np.inf)
    for row in taken:
        nearest = np.minimum(nearest, distance(row))
    n_trials, suggested = 2 + int(np.log(n)), list[int]()
    for _ in range(min(n, int(free.sum()))):
        rows = groups.least_asked(np.flatnonzero(free))
        chance = np.where(np.isfinite(nearest[rows]), nearest[rows], size[rows])  # the first: as unsure as can be
        total = chance.sum()
        drawn = rng.choice(rows, size=n_trials, p=chance / total if total > 0 else None)
        left = [np.minimum(nearest, distance(row))[free].sum() for row in drawn]
        best = int(drawn[int(np.argmin(left))])
        nearest = np.minimum(nearest, distance(best))
        free[best] = False
        groups.ask(best)
        suggested.append(best)
    return np.array(suggested, dtype=np.int64)


# ---- what comes in


def _checked_number(n: Any) -> int:
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{_WHO} got n={n!r}; expected a whole number of rows, at least 1.")
    return int(n)


def _opened(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The estimator that is asked, and its `X`: of an `OpenSetClassifier` the classifier inside."""
    last = last_step(estimator)
    if not isinstance(last, TransferDetector) and not hasattr(last, "predict_proba"):
        name = last.__name__ if isinstance(last, type) else type(last).__name__
        raise TypeError(
            f"{_WHO} takes a TransferDetector, a classifier with predict_proba, or a pipeline that ends in one; got "
            f"{name}. Around a classifier without probabilities put CalibratedClassifierCV."
        )
    try:
        check_is_fitted(last)
    except NotFittedError as error:
        raise NotFittedError(
            f"{_WHO}: this {type(last).__name__} is not fitted yet. Fit a TransferDetector to healthy rows first, or a "
            "classifier to the rows that have labels."
        ) from error
    return (last.estimator_, before_last(estimator, X)) if isinstance(last, OpenSetClassifier) else (estimator, X)


def _positions(labelled: Any, n_rows: int) -> np.ndarray:
    """Positions of the labelled rows, ascending."""
    if labelled is None:
        return np.empty(0, dtype=np.int64)
    found = np.asarray(labelled)
    if found.dtype == bool:
        if found.shape != (n_rows,):
            raise ValueError(
                f"{_WHO} got a mask labelled of shape {found.shape}; expected ({n_rows},), one a row of X."
            )
        return np.flatnonzero(found)
    if found.size == 0:
        return np.empty(0, dtype=np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= n_rows:
        raise ValueError(
            f"{_WHO}: labelled holds positions in X, whole numbers from 0 to {n_rows - 1}, or is a mask of shape "
            f"({n_rows},); got {found.dtype} of shape {found.shape}, {found.ravel()[:5].tolist()} ..."
        )
    return np.unique(found).astype(np.int64)


def _numbered(groups: Any, n_rows: int) -> np.ndarray | None:
    """Groups as whole numbers from 0 on."""
    if groups is None:
        return None
    found = np.asarray(groups)
    if found.shape != (n_rows,):
        raise ValueError(f"{_WHO} got groups of shape {found.shape}; expected ({n_rows},), one a row of X.")
    return np.asarray(np.unique(found, return_inverse=True)[1])


def _warn_of_few(n: int, free: np.ndarray, wanted: np.ndarray, taken: np.ndarray) -> None:
    """Warn where there are not `n` rows to choose from, and refuse where there is none."""
    n_free, kind = int(free.sum()), "rows" if wanted.all() else "alarms"
    if n_free == 0:
        raise ValueError(
            f"{_WHO}: all {int(wanted.sum())} {kind} of X have a label (labelled holds {len(taken)}). Pass new rows."
        )
    if n_free < n:
        remedy = "more rows" if kind == "rows" else "rows of more time, or ask a classifier once there are labels"
        warn_caller(
            f"{_WHO}: {n} rows are asked for, and X holds {n_free} {kind} without a label: these are returned. Pass "
            f"{remedy}.",
            DataQualityWarning,
        )
