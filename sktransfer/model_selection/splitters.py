"""Splits that respect machines and time.

::

    LeaveOneDomainOut:          train on all machines but one       | test on that machine
    SourceTargetShuffleSplit:   train on a part of each side        | test on the rest of the target (and of the source)
    TimeOrderedGroupSplit:      train on the first runs             | test on the next runs, whole
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from sktransfer.utils.parameters import invalid_parameter, is_number
from sktransfer.validation.domains import check_domains


class LeaveOneDomainOut(BaseCrossValidator):
    """Hold out one machine after the other.

    Parameters
    ----------
    sample_domain : array-like of shape (n_samples,) or None, default=None
        Machine of each row, any numbers or texts. None: ``groups`` of ``split`` are the machines, which is how a search
        without metadata routing is told: ``search.fit(X, y, groups=sample_domain)``.
    targets_only : bool, default=False
        Whether only targets (negative numbers) are held out.

    Examples
    --------
    >>> from sktransfer import LeaveOneDomainOut
    >>> [test.tolist() for _, test in LeaveOneDomainOut().split([0, 0, 0], groups=["A", "B", "A"])]
    [[0, 2], [1]]
    """

    def __init__(self, sample_domain=None, *, targets_only=False):
        self.sample_domain = sample_domain
        self.targets_only = targets_only

    def _iter_test_masks(self, X=None, y=None, groups=None) -> Iterator[np.ndarray]:
        domains = self._domains(groups)
        for domain in self._held_out(domains):
            yield domains == domain

    def get_n_splits(self, X=None, y=None, groups=None):
        """Number of machines that are held out."""
        return len(self._held_out(self._domains(groups)))

    def _domains(self, groups: Any) -> np.ndarray:
        given = groups if self.sample_domain is None else self.sample_domain
        if given is None:
            raise ValueError(
                "LeaveOneDomainOut was told no machines. Pass groups=sample_domain to split (or to fit of a search), "
                "or LeaveOneDomainOut(sample_domain)."
            )
        return np.asarray(given)

    def _held_out(self, domains: np.ndarray) -> list[Any]:
        found = np.unique(domains)
        chosen = [
            domain for domain in found.tolist() if not self.targets_only or (not isinstance(domain, str) and domain < 0)
        ]
        if len(found) < 2 or not chosen:
            raise ValueError(
                f"LeaveOneDomainOut(targets_only={self.targets_only}) needs at least two machines, one of which may be "
                f"held out; got {found[:10].tolist()}."
            )
        return chosen


class SourceTargetShuffleSplit(BaseCrossValidator):
    """Random splits of rows that keep the parts of source and target rows.

    Parameters
    ----------
    n_splits : int, default=10
    test_size : float, default=0.2
        Share of the rows of each side that are held out.
    score_on : {"both", "target", "source"}, default="both"
        Whose held-out rows are scored; those of the other side are left out.
    sample_domain : array-like of shape (n_samples,) or None, default=None
        Machine of each row, positive for sources and negative for targets. None: ``groups`` of ``split``.
    random_state : int, RandomState or None, default=None

    Notes
    -----
    Rows of one run are alike; where the target's rows come from a few runs, a random split scores what it has seen.
    Take :class:`sktransfer.TimeOrderedGroupSplit` or scikit-learn's ``GroupKFold`` there.

    Examples
    --------
    >>> from sktransfer import SourceTargetShuffleSplit
    >>> split = SourceTargetShuffleSplit(1, test_size=0.5, score_on="target", random_state=0)
    >>> [len(part) for part in next(split.split([0] * 8, groups=[1, 1, 1, 1, -1, -1, -1, -1]))]
    [4, 2]
    """

    def __init__(self, n_splits=10, *, test_size=0.2, score_on="both", sample_domain=None, random_state=None):
        self.n_splits = n_splits
        self.test_size = test_size
        self.score_on = score_on
        self.sample_domain = sample_domain
        self.random_state = random_state

    def split(self, X, y=None, groups=None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Training and held-out rows of each split.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : ignored
        groups : array-like of shape (n_samples,), optional
            Machine of each row, where ``sample_domain`` is None.

        Yields
        ------
        train, test : ndarray of int
        """
        if self.score_on not in ("both", "target", "source"):
            raise invalid_parameter(type(self).__name__, "score_on", "be 'both', 'target' or 'source'", self.score_on)
        if not (is_number(self.test_size) and 0 < self.test_size < 1):
            raise invalid_parameter(type(self).__name__, "test_size", "be a number between 0 and 1", self.test_size)
        given = groups if self.sample_domain is None else self.sample_domain
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        domains = check_domains(given, n_rows)
        sides = [np.flatnonzero(domains > 0), np.flatnonzero(domains < 0)]
        if min(map(len, sides)) < 2:
            raise ValueError(
                "SourceTargetShuffleSplit needs at least two source and two target rows. Pass sample_domain, positive "
                "for sources and negative for targets, as groups to split (or to fit of a search)."
            )
        random = check_random_state(self.random_state)
        for _ in range(self.n_splits):
            train, test = [], []
            for name, rows in zip(("source", "target"), sides, strict=True):
                order = random.permutation(rows)
                n_test = min(max(int(self.test_size * len(rows) + 0.5), 1), len(rows) - 1)
                train.append(order[n_test:])
                if self.score_on in ("both", name):
                    test.append(order[:n_test])
            yield np.sort(np.concatenate(train)), np.sort(np.concatenate(test))

    def get_n_splits(self, X=None, y=None, groups=None):
        """Number of splits."""
        return self.n_splits


class TimeOrderedGroupSplit(BaseCrossValidator):
    """Train on the first runs, test on those that follow; no run is on both sides.

    Parameters
    ----------
    n_splits : int, default=5
        The runs are cut in ``n_splits + 1`` parts of nearly equal number; split ``k`` trains on the first ``k`` parts
        and tests on the next one.

    Notes
    -----
    Runs are ordered by their first row: rows must be in time order, run by run or interleaved.

    Examples
    --------
    >>> from sktransfer import TimeOrderedGroupSplit
    >>> runs = ["a", "a", "b", "c", "c"]
    >>> [(train.tolist(), test.tolist()) for train, test in TimeOrderedGroupSplit(2).split([0] * 5, groups=runs)]
    [([0, 1], [2]), ([0, 1, 2], [3, 4])]
    """

    def __init__(self, n_splits=5):
        self.n_splits = n_splits

    def split(self, X, y=None, groups=None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Training and held-out rows of each split.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : ignored
        groups : array-like of shape (n_samples,)
            Run of each row.

        Yields
        ------
        train, test : ndarray of int
        """
        if groups is None:
            raise ValueError(
                "TimeOrderedGroupSplit needs groups, the run of each row; see scikit-learn's TimeSeriesSplit."
            )
        groups = np.asarray(groups)
        names, first = np.unique(groups, return_index=True)
        names = names[np.argsort(first)]
        if len(names) <= self.n_splits:
            raise ValueError(
                f"TimeOrderedGroupSplit(n_splits={self.n_splits}) needs at least {self.n_splits + 1} runs; groups "
                f"holds {len(names)}. Lower n_splits."
            )
        parts = np.array_split(names, self.n_splits + 1)
        for k in range(1, self.n_splits + 1):
            train = np.isin(groups, np.concatenate(parts[:k]))
            yield np.flatnonzero(train), np.flatnonzero(np.isin(groups, parts[k]))

    def get_n_splits(self, X=None, y=None, groups=None):
        """Number of splits."""
        return self.n_splits
