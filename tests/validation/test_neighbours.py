"""Splits that score rows beside their neighbours are said to be such, others not."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, StratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline

from sktransfer import BatchedGridSearchCV, DataQualityWarning, TransferClassifier, Windows
from sktransfer.validation.neighbours import warn_of_neighbours

TIMES = pd.date_range("2026-01-01", periods=60, freq="min")
ROWS = pd.DataFrame({"a": np.arange(60.0), "b": np.arange(60.0) % 7}, index=TIMES)
RUNS = np.repeat(np.arange(6), 10)


def said(X, groups, cv):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_neighbours("Search", X, groups, list(cv.split(X, groups=groups)), "cv=GroupKFold()")
    assert all(issubclass(one.category, DataQualityWarning) for one in caught)
    return [str(one.message) for one in caught]


def test_rows_between_rows_of_the_fit_are_counted_by_split():
    (one,) = said(ROWS, None, KFold(5, shuffle=True, random_state=0))
    assert one.startswith(
        "Search: X knows the time of its rows, and in 5 of 5 splits most scored rows come right before"
    )
    # of every second row all have a neighbour in the fit; of a block in time only the two at its ends
    every_second = [(np.arange(0, 60, 2), np.arange(1, 60, 2)), (np.arange(30), np.arange(30, 60))]
    with pytest.warns(DataQualityWarning, match="in 1 of 2 splits most scored rows"):
        warn_of_neighbours("Search", ROWS, None, every_second, "")


@pytest.mark.parametrize("side", [1, -1])
def test_a_neighbour_on_one_side_is_enough(side):
    scored = np.arange(1, 59, 3)
    with pytest.warns(DataQualityWarning, match="in 1 of 1 splits most scored rows"):
        warn_of_neighbours("Search", ROWS, None, [(scored + side, scored)], "")


@pytest.mark.parametrize("cv", [KFold(5), TimeSeriesSplit(5)])
def test_blocks_in_time_are_no_neighbours(cv):
    assert said(ROWS, None, cv) == []


def test_rows_without_a_time_may_be_split_at_random():
    assert said(ROWS.reset_index(drop=True), None, ShuffleSplit(3, random_state=0)) == []
    assert said(ROWS.to_numpy(), None, ShuffleSplit(3, random_state=0)) == []


def test_groups_on_both_sides_are_counted_and_whole_groups_are_not():
    mixed = [(np.arange(5), np.arange(5, 10)), (np.arange(10), np.arange(10, 20))]  # the first cuts a run in two
    with pytest.warns(DataQualityWarning, match="in 1 of 2 splits rows of one group lie on both sides"):
        warn_of_neighbours("Search", ROWS, RUNS, mixed, "cv=GroupKFold()")
    # whole groups hold whatever neighbours they have in time
    assert said(ROWS, RUNS, GroupKFold(3)) == []


def test_masks_count_as_the_rows_that_they_choose():
    first = np.arange(60) % 2 == 0
    with pytest.warns(DataQualityWarning, match="in 1 of 1 splits most scored rows"):
        warn_of_neighbours("Search", ROWS, None, [(first, ~first)], "")


@pytest.mark.parametrize("windows", [False, True])
def test_a_search_over_rows_with_times_says_so_once(windows):
    rng = np.random.default_rng(0)
    y = np.where(rng.random(60) < 0.5, "leak", "ok")
    times = TIMES.to_numpy()
    X = Windows.of(rng.normal(size=(60, 1, 64)), sampling_rate=64.0, time=times) if windows else ROWS
    search = BatchedGridSearchCV(
        TransferClassifier(max_epochs=1, random_state=0), {"lr": [0.01]}, cv=StratifiedKFold(3, shuffle=True)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, y)
    of_time = [str(one.message) for one in caught if "knows the time" in str(one.message)]
    assert len(of_time) == 1
    assert of_time[0].startswith("BatchedGridSearchCV: X knows the time of its rows, and in 3 of 3 splits")


def test_a_search_with_groups_asks_for_a_splitter_that_keeps_them():
    y = np.where(np.arange(60) % 2, "leak", "ok")
    pipe = make_pipeline(LogisticRegression())
    with pytest.warns(DataQualityWarning, match="BatchedGridSearchCV: in 2 of 2 splits rows of one group"):
        BatchedGridSearchCV(pipe, {"logisticregression__C": [1.0]}, cv=KFold(2, shuffle=True, random_state=0)).fit(
            ROWS, y, groups=RUNS
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BatchedGridSearchCV(pipe, {"logisticregression__C": [1.0]}, cv=GroupKFold(2)).fit(ROWS, y, groups=RUNS)
