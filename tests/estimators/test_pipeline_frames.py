"""The pipeline in chunks: index of frames, columns that differ, and what has no length."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sktransfer import LaggedWindows, Pipeline, Windows, WindowScaler
from tests.helpers import both_pipelines

N_ROWS = 250
VALUES = np.random.default_rng(0).normal(size=(N_ROWS, 4))


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    monkeypatch.setattr(Pipeline, "chunk_rows", 64)


INDEXES = {
    "default": None,
    "every second": np.arange(N_ROWS) * 2,
    "days that begin anew": np.arange(N_ROWS) % 64,
    "text": [f"row {i}" for i in range(N_ROWS)],
    "two levels": pd.MultiIndex.from_arrays([np.arange(N_ROWS) // 9, np.arange(N_ROWS) % 9]),
}


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("loses", [False, True], ids=["index kept", "index lost on the way"])
def test_the_index_is_that_of_scikit_learn(index, loses):
    X = pd.DataFrame(VALUES, columns=list("abcd"), index=INDEXES[index])
    first = FunctionTransformer(np.asarray) if loses else StandardScaler().set_output(transform="pandas")
    theirs, ours = both_pipelines([("one", first), ("two", StandardScaler().set_output(transform="pandas"))], X, None)
    expected, found = theirs.transform(X), ours.transform(X)
    pd.testing.assert_frame_equal(found, expected)
    other = pd.DataFrame({"label": np.arange(N_ROWS)}, index=expected.index)
    if index != "days that begin anew" or loses:
        assert len(found.join(other)) == N_ROWS


@pytest.mark.parametrize("kind", ["array", "polars", "windows"])
def test_frames_of_what_has_no_index_are_numbered_over_all_rows(kind):
    X = {"array": VALUES, "polars": pl.DataFrame(VALUES, schema=list("abcd"))}.get(kind)
    steps = [("one", StandardScaler()), ("two", StandardScaler().set_output(transform="pandas"))]
    if kind == "windows":
        X = VALUES.reshape(N_ROWS, 1, 4)
        flat = FunctionTransformer(lambda X: pd.DataFrame(np.asarray(X)[:, 0]))
        steps = [("own", WindowScaler()), ("flat", flat)]
    theirs, ours = both_pipelines(steps, X, None)
    pd.testing.assert_frame_equal(ours.transform(X), theirs.transform(X))


def test_series_are_joined_like_frames():
    X = pd.DataFrame(VALUES, columns=list("abcd"), index=np.arange(N_ROWS)[::-1])
    for function in (lambda X: X["a"], lambda X: pd.Series(np.asarray(X)[:, 0], name="a")):
        theirs, ours = both_pipelines([("one", FunctionTransformer(function))], X, None)
        pd.testing.assert_series_equal(ours.transform(X), theirs.transform(X))


def test_columns_that_depend_on_the_chunk_come_from_one_piece():
    states = pd.DataFrame({"state": np.repeat(["idle", "run", "stop"], [100, 100, 50])})
    theirs, ours = both_pipelines([("dummies", FunctionTransformer(pd.get_dummies))], states, None)
    pd.testing.assert_frame_equal(ours.transform(states), theirs.transform(states))


class Lazy:
    """A frame whose length nobody knows yet, as those of dask."""

    ndim = 2

    def __init__(self, values, n_rows):
        self.values = values
        self.shape = (n_rows, values.shape[1])

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)


class NotYet:
    """The number of rows of a dask frame: it can be neither compared nor counted."""

    def __le__(self, other):
        raise TypeError("unknown")

    __lt__ = __gt__ = __ge__ = __int__ = __index__ = __le__


@pytest.mark.parametrize("n_rows", [NotYet(), float("nan"), None], ids=["delayed", "nan", "none"])
def test_rows_of_unknown_length_go_in_one_piece(n_rows):
    seen = []

    def note(X):
        seen.append(type(X))
        return np.asarray(X) * 2

    theirs, ours = both_pipelines([("note", FunctionTransformer(note))], VALUES, None)
    lazy = Lazy(VALUES, n_rows)
    seen.clear()
    np.testing.assert_array_equal(ours.transform(lazy), theirs.transform(VALUES))
    assert seen[0] is Lazy
    assert len(seen) == 2
    three = Lazy(VALUES.reshape(N_ROWS, 2, 2), n_rows)
    three.ndim = 3
    np.testing.assert_array_equal(ours.transform(three), 2 * three.values)


def test_a_generator_and_a_number_are_given_to_the_first_step_as_they_are():
    joined = FunctionTransformer(lambda X: np.concatenate(list(X)) if hasattr(X, "__next__") else np.array([[X]]))
    _, ours = both_pipelines([("join", joined)], 3.0, None)
    assert ours.transform(3.0).tolist() == [[3.0]]
    np.testing.assert_array_equal(ours.transform(part for part in np.split(VALUES, 5)), VALUES)


def test_windows_walk_in_pieces_of_so_many_bytes(monkeypatch):
    monkeypatch.setattr(Pipeline, "chunk_bytes", 64 * 2 * 50 * 8)
    seen = []

    def note(X):
        seen.append(len(X))
        return X

    for dtype, pieces in ((np.float64, [50] * 5), (np.float32, [64, 64, 64, 58]), (np.complex128, [25] * 10)):
        X = np.ones((N_ROWS, 2, 64), dtype=dtype)
        _, ours = both_pipelines([("note", FunctionTransformer(note))], X, None)
        seen.clear()
        assert ours.transform(X).shape == X.shape
        assert seen == pieces
    monkeypatch.setattr(Pipeline, "chunk_bytes", 1)  # less than a window: one at a time
    seen.clear()
    ours.transform(X[:3])
    assert seen == [1, 1, 1]


def test_lagged_windows_keep_their_rate_in_one_piece_and_their_numbers_in_many():
    table = pd.DataFrame(VALUES, columns=["p_t-1", "p_t", "T_t-1", "T_t"])
    theirs, ours = both_pipelines([("lags", LaggedWindows(sampling_rate=5)), ("own", WindowScaler())], table, None)
    expected = theirs.transform(table)
    np.testing.assert_array_equal(ours.transform(table), expected)
    assert type(expected) is Windows
