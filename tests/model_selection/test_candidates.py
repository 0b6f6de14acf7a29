"""Stacks that train side by side in threads: the same results, and they stop together."""

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sktransfer import (
    BatchedGridSearchCV,
    FineTuning,
    MLPHead,
    ProbeThenTune,
    Strategy,
    WeightDecay,
)
from sktransfer.model_selection.candidates import count_workers
from sktransfer.model_selection.shared_starts import SharedStarts
from sktransfer.training.stacked_fits import make_stacks
from sktransfer.training.stacked_training import StackedTraining
from tests.helpers import computing_in
from tests.searches import FROZEN, HEAD, LR, X, Y, assert_same_results, grid, how, model, pipeline
from tests.training.test_stacked_fits import fold, noted

MIXED = grid(
    lr=LR,
    strategy=[FROZEN, FROZEN & WeightDecay(0.1), FineTuning(2), ProbeThenTune()],
    head=[HEAD, MLPHead((5,), dropout=0.3)],
)


@pytest.fixture
def trainings(monkeypatch):
    """Thread and number of torch's threads of each training of a stack."""
    seen = []
    plain = StackedTraining.train

    def train(self, *args):
        seen.append((threading.get_ident(), torch.get_num_threads()))
        plain(self, *args)

    monkeypatch.setattr(StackedTraining, "train", train)
    return seen


def test_results_are_those_of_one_thread_and_of_scikit_learn(trainings):
    options = {"cv": 3, "scoring": "neg_log_loss", "return_train_score": True}
    with computing_in(np.float64):
        one = BatchedGridSearchCV(pipeline(), MIXED, **options).fit(X, Y)
        assert {ident for ident, _ in trainings} == {threading.get_ident()}
        trainings.clear()
        two = BatchedGridSearchCV(pipeline(), MIXED, n_jobs=2, **options).fit(X, Y)
        assert len({ident for ident, _ in trainings[:-1]}) == 2
        assert threading.get_ident() not in {ident for ident, _ in trainings}
        plain = GridSearchCV(pipeline(), MIXED, **options).fit(X, Y)
    assert how(two) == {"stacked"}
    np.testing.assert_array_equal(two.cv_results_["how"], one.cv_results_.pop("how"))
    for other in (one, plain):
        assert_same_results(two, other)


def test_threads_keep_the_caps_of_the_estimator_and_leave_the_count_as_found(trainings):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        candidates = [grid(n_jobs=[1]), grid(n_jobs=[2], head=[MLPHead((5,))])]
        BatchedGridSearchCV(pipeline(), candidates, cv=4, n_jobs=2, refit=False).fit(X, Y)
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)
    assert {ident for ident, _ in trainings} != {threading.get_ident()}
    assert sorted(count for _, count in trainings) == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("n_folds", "n_workers", "expected"),
    [
        (5, 1, [[4] * 5]),
        (5, 2, [[4] * 3, [4] * 2]),
        (5, 4, [[4] * 2, [4] * 2, [4]]),  # a fourth would not be done sooner
        (2, 4, [[2]] * 4),
        (1, 3, [[2], [2]]),
        (1, 9, [[1]] * 4),
    ],
)
def test_stacks_are_cut_by_folds_first(n_folds, n_workers, expected):
    folds = [fold(slice(10 * k, 60 + 10 * k)) for k in range(n_folds)]
    with SharedStarts() as starts:
        fits = [starts.start(noted(model(lr=lr), one)) for one in folds for lr in (0.1, 0.2, 0.3, 0.4)]
    stacks = make_stacks(fits, n_workers)
    assert [[len(batch) for batch in stack] for stack in stacks] == expected


def test_workers_are_counted_as_joblib_does_and_no_more_than_cores(monkeypatch):
    monkeypatch.setattr("sktransfer.model_selection.candidates.cpu_count", lambda: 3)
    assert [count_workers(n_jobs) for n_jobs in (None, 1, 2, 50)] == [1, 1, 2, 3]
    assert count_workers(-1) <= 3


class Leaves(Strategy):
    """Ends the program from inside of a training."""

    def penalty(self, weights, source):
        if weights:
            raise SystemExit(3)
        return 0.0


def endless(**first):
    """One candidate that is soon done and one that never ends, which cannot be stacked with it."""
    return [{"max_epochs": [2], **first}, {"max_epochs": [1_000_000]}]


def test_what_ends_the_search_ends_all_threads_soon():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        loud = BatchedGridSearchCV(model(), endless(lr=[300.0], strategy=[FineTuning()]), cv=2, n_jobs=2)
        began = time.perf_counter()
        with pytest.raises(ConvergenceWarning):
            loud.fit(X, Y)
    quiet = BatchedGridSearchCV(model(), endless(strategy=[FineTuning() & Leaves()]), cv=2, n_jobs=2)
    with pytest.raises(SystemExit):
        quiet.fit(X, Y)
    assert time.perf_counter() - began < 10
    assert not [name for one in (loud, quiet) for name in vars(one) if name.endswith("_")]
    assert not any("ThreadPool" in thread.name for thread in threading.enumerate())
