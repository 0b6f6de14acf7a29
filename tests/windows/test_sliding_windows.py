"""SlidingWindows against windows cut by plain loops, and its laws."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from sktransfer import DataQualityWarning, SlidingWindows, Windows
from tests.helpers import noise
from tests.windows.test_labels import label_of

WEEK = pd.Timestamp("2024-03-04")


def by_hand(rows, length, step, rule):
    """Windows of ``{recording: [(second, values, label), ...]}``: no repeat, no NaN, no second left out."""
    found = []
    for name, entries in rows.items():
        last = {second: (values, label) for second, values, label in entries if not np.isnan(values).any()}
        seconds = sorted(last)
        start = 0
        for stop in range(1, len(seconds) + 1):
            if stop == len(seconds) or seconds[stop] != seconds[stop - 1] + 1:
                for first in range(start, stop - length + 1, step):
                    part = [last[second] for second in seconds[first : first + length]]
                    window = np.array([values for values, _ in part]).T
                    label = label_of([label for _, label in part], rule)
                    found.append((window, label, name, seconds[first + length - 1]))
                start = stop
    return found


@st.composite
def tables(draw):
    """Rows of up to three recordings with repeats, holes, NaN and any order."""
    rows = {}
    for name in range(draw(st.integers(1, 3))):
        repeats = draw(st.lists(st.integers(0, 25), min_size=0, max_size=3))
        seconds = [*range(0, draw(st.integers(8, 30))), *repeats]
        seconds = [s for s in seconds if s not in draw(st.sets(st.integers(0, 25), max_size=3))]
        entries = []
        for number, second in enumerate(draw(st.permutations(seconds)) if draw(st.booleans()) else seconds):
            values = [1000.0 * name + second + number / 64, -second]
            values[0] = np.nan if draw(st.integers(0, 12)) == 0 else values[0]
            entries.append((second, values, draw(st.integers(0, 2))))
        rows[name] = entries
    return rows


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tables(), st.integers(1, 5), st.integers(1, 6), st.sampled_from(["majority", "any", "last"]), st.booleans())
def test_windows_of_a_long_frame_are_those_cut_by_hand(rows, length, step, rule, dates):
    expected = by_hand(rows, length, step, rule)
    table = [(name, s, *values, label) for name, entries in rows.items() for s, values, label in entries]
    frame = pd.DataFrame(table, columns=["run", "t", "a", "b", "state"])
    if dates:
        frame["t"] = WEEK + pd.to_timedelta(frame["t"], unit="s")
    cutter = SlidingWindows(length, step, sampling_rate=1.0, label_rule=rule, normal_label=0, max_gap=1.5)
    cut = {"labels": "state", "recording": "run", "time": "t", "from_rate": 1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        repeats = any(len({e[0] for e in entries}) < 0.95 * len(entries) - 1 for entries in rows.values())
        empty = any(np.isnan([e[1][0] for e in entries]).all() for entries in rows.values() if entries)
        if not expected or repeats or empty:
            return
        X, y, groups = cutter.cut(frame, **cut)
    np.testing.assert_array_equal(X, np.array([window for window, _, _, _ in expected], dtype=np.float32))
    assert y.tolist() == [label for _, label, _, _ in expected]
    assert groups.tolist() == [name for _, _, name, _ in expected]
    seconds = (X.time - np.datetime64(WEEK)) / np.timedelta64(1, "s") if dates else X.time
    assert seconds.tolist() == [last for _, _, _, last in expected]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=4).filter(lambda sizes: max(sizes) >= 10),
    st.integers(1, 10),
    st.integers(1, 12),
)
def test_the_number_of_windows_is_that_of_the_formula_and_none_mixes_recordings(sizes, length, step):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        recordings = [1000.0 * i + np.arange(n) for i, n in enumerate(sizes)]
        X, y, groups = SlidingWindows(length, step).cut(dict(enumerate(recordings)))
        _, _, unnamed = SlidingWindows(length, step).cut(recordings)
    counts = [(n - length) // step + 1 if n >= length else 0 for n in sizes]
    assert groups.tolist() == np.repeat(np.arange(len(sizes)), counts).tolist()
    assert len(set(zip(groups.tolist(), unnamed.tolist(), strict=True))) == len(set(unnamed)) == len(set(groups))
    assert y is None
    assert (np.asarray(X) // 1000 == groups[:, None, None]).all()
    assert (np.diff(X, axis=2) == 1).all()


def test_time_is_that_of_the_last_sample():
    X, _, _ = SlidingWindows(50, 20, sampling_rate=100).cut([noise(120), noise(60)])
    np.testing.assert_allclose(X.time, [0.49, 0.69, 0.89, 1.09, 0.49])
    assert SlidingWindows(50).cut([noise(120)])[0].time is None  # no rate, no time
    stamps = 1000 + np.arange(120) / 100
    X, _, _ = SlidingWindows(50, 20).cut([noise(120)], time=[stamps])
    assert X.sampling_rate == 100
    np.testing.assert_array_equal(X.time, stamps[49::20])


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float16, np.float32, np.float64, bool])
def test_windows_are_float32_whatever_came(dtype):
    values = (noise(100) * 100).astype(dtype)
    X, _, _ = SlidingWindows(10).cut([values])
    assert X.dtype == np.float32
    assert isinstance(X, Windows)
    np.testing.assert_array_equal(np.asarray(X).ravel(), values.astype(np.float32))
    assert SlidingWindows(10, dtype="float64").cut([values])[0].dtype == np.float64


def test_speed_and_orders_go_with_their_windows():
    orders = {"a": [3.0, 5.0, 2.0, 0.4], "b": [np.nan] * 4}
    X, _, _ = SlidingWindows(10).cut({"a": noise(20), "b": noise(10)}, rpm={"a": 1797, "b": np.nan}, orders=orders)
    np.testing.assert_array_equal(X.rpm, [1797, 1797, np.nan])
    np.testing.assert_array_equal(X.orders, [orders["a"], orders["a"], orders["b"]])
    frames = [pd.DataFrame({"a": noise(20), "speed": np.arange(20)}), pd.DataFrame({"a": noise(10), "speed": 60})]
    X, _, _ = SlidingWindows(10).cut(frames, rpm="speed", orders=[3, 5, 2, 1])
    np.testing.assert_array_equal(X.rpm, [4.5, 14.5, 60])
    assert X.orders.tolist() == [[3, 5, 2, 1]] * 3
    frame = pd.DataFrame({"a": noise(20), "speed": np.arange(20)})
    X, _, _ = SlidingWindows(10).cut(frame, rpm="speed")
    assert (X.shape, X.rpm.tolist()) == ((2, 1, 10), [4.5, 14.5])
    with pytest.raises(ValueError, match=r"orders of recording 0 have shape \(3,\)"):
        SlidingWindows(10).cut([noise(20)], orders=[[1, 2, 3]])


def test_one_window():
    X, y, groups = SlidingWindows(10, 3).cut({7: noise(12)}, ["leak"])
    assert (X.shape, y.tolist(), groups.tolist()) == ((1, 1, 10), ["leak"], [7])


def test_a_clone_cuts_alike():
    cutter = SlidingWindows(10, 5, sampling_rate=3)
    np.testing.assert_array_equal(clone(cutter).cut([noise(30)])[0], cutter.cut([noise(30)])[0])
    assert repr(cutter) == "SlidingWindows(length=10, sampling_rate=3, step=5)"


@pytest.mark.parametrize("kind", ["list of arrays", "long frame"])
def test_a_counter_that_float32_does_not_hold_is_said_where_it_is_cut(kind, recwarn):
    values = np.stack([noise(200), 1e9 + np.cumsum(np.arange(200) % 3)], axis=1)
    given = [values] if kind == "list of arrays" else pd.DataFrame(values, columns=["flow", "total"])
    named = "1" if kind == "list of arrays" else "'total'"
    says = rf"float32 makes different values of the channels \[{named}\] equal.*dtype='float64' and put BaselineScaler"
    with pytest.warns(DataQualityWarning, match=says):
        X, _, _ = SlidingWindows(10).cut(given)
    assert len(np.unique(X[:, 1])) < 10 < len(np.unique(values[:, 1]))
    recwarn.clear()
    X, _, _ = SlidingWindows(10, dtype="float64").cut(given)
    np.testing.assert_array_equal(np.unique(X[:, 1]), np.unique(values[:, 1]))
    assert not recwarn.list
