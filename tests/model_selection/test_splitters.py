"""Splits by machine and by time: laws, and what they say where they cannot split."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sktransfer import LeaveOneDomainOut, SourceTargetShuffleSplit, TimeOrderedGroupSplit

DOMAINS = np.repeat([1, 2, -1, -2], [20, 10, 15, 5])


def test_each_machine_is_held_out_once_and_whole():
    held = []
    for train, test in LeaveOneDomainOut().split(DOMAINS, groups=DOMAINS):
        assert set(train) | set(test) == set(range(50))
        assert not set(DOMAINS[train]) & set(DOMAINS[test])
        held.append(set(DOMAINS[test]))
    assert sorted(map(tuple, held)) == [(-2,), (-1,), (1,), (2,)]
    assert LeaveOneDomainOut(DOMAINS).get_n_splits() == 4
    targets = [set(DOMAINS[test]) for _, test in LeaveOneDomainOut(DOMAINS, targets_only=True).split(DOMAINS)]
    assert targets == [{-2}, {-1}]


def test_shares_of_source_and_target_are_kept():
    for train, test in SourceTargetShuffleSplit(5, test_size=0.2, random_state=0).split(DOMAINS, groups=DOMAINS):
        assert ((DOMAINS[test] > 0).sum(), (DOMAINS[test] < 0).sum()) == (6, 4)
        assert len(train) == 40
        assert not set(train) & set(test)
    one, two = (
        [t.tolist() for _, t in SourceTargetShuffleSplit(3, random_state=s).split(DOMAINS, groups=DOMAINS)]
        for s in (0, 0)
    )
    assert one == two
    for name, sign in (("target", -1), ("source", 1)):
        split = SourceTargetShuffleSplit(2, score_on=name, sample_domain=DOMAINS, random_state=0)
        assert all((np.sign(DOMAINS[test]) == sign).all() for _, test in split.split(DOMAINS))


def test_later_runs_are_held_out_whole():
    runs = np.array(["c", "c", "a", "a", "b", "d", "c", "e"])  # c is the first, though not by name
    found = list(TimeOrderedGroupSplit(2).split(runs, groups=runs))
    assert [(sorted(set(runs[train])), sorted(set(runs[test]))) for train, test in found] == [
        (["a", "c"], ["b", "d"]),
        (["a", "b", "c", "d"], ["e"]),
    ]


def test_they_work_in_a_search_without_routing():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 2)), rng.integers(2, size=50)
    for split in (LeaveOneDomainOut(), SourceTargetShuffleSplit(3, random_state=0), TimeOrderedGroupSplit(3)):
        search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=split).fit(X, y, groups=DOMAINS)
        assert search.n_splits_ in (3, 4)


@pytest.mark.parametrize(
    ("split", "groups", "words"),
    [
        (LeaveOneDomainOut(), None, "groups=sample_domain"),
        (LeaveOneDomainOut(), np.ones(50, int), "at least two machines"),
        (LeaveOneDomainOut(targets_only=True), np.repeat([1, 2], 25), "at least two machines"),
        (SourceTargetShuffleSplit(), np.ones(50, int), "two source and two target rows"),
        (SourceTargetShuffleSplit(score_on="all"), DOMAINS, "'score_on'"),
        (SourceTargetShuffleSplit(test_size=1.5), DOMAINS, "'test_size'"),
        (TimeOrderedGroupSplit(), None, "needs groups"),
        (TimeOrderedGroupSplit(4), DOMAINS, "at least 5 runs"),
    ],
)
def test_what_cannot_be_split_says_why(split, groups, words):
    with pytest.raises(ValueError, match=words):
        list(split.split(DOMAINS, groups=groups))
