"""Acceptance, section E: recordings with time stamps. The name of a test begins with its id."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktransfer import DataQualityWarning, SlidingWindows

N_ROWS = 60


def historian(seed=0):
    """One tag, one row a minute."""
    time = pd.date_range("2024-03-04 08:00", periods=N_ROWS, freq="1min")
    return pd.DataFrame({"t": time, "flow": np.arange(N_ROWS, dtype=float), "state": np.arange(N_ROWS) // 30})


def cut(frame, length=10, *, now=None, clock_tolerance=60.0, **parameters):
    arguments = {"time": "t", "now": now, "clock_tolerance": clock_tolerance}
    return SlidingWindows(length, label_rule="last", **parameters).cut(frame, "state", **arguments)


def same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found[0].time, expected[0].time)


def test_E11_unsorted_rows_are_sorted_with_a_warning_that_counts_them():
    frame = historian()
    mixed = frame.iloc[[*range(30), 31, 30, *range(32, N_ROWS)]]
    with pytest.warns(DataQualityWarning, match="1 of 60 samples in 1 of 1 recordings .* are not in the order of time"):
        found = cut(mixed)
    same(found, cut(frame))
    with pytest.warns(DataQualityWarning, match="not in the order of time"):
        found = cut(frame.iloc[::-1])
    same(found, cut(frame))


@pytest.mark.parametrize("sort", [True, False])
def test_E11_of_repeated_stamps_the_last_row_that_came_is_kept(sort):
    frame = historian()
    corrected = frame.iloc[[5, 5, 40]].assign(flow=[-1.0, -2.0, -3.0], state=7)
    rows = pd.concat([frame, corrected])
    rows = rows.sort_values("t", kind="stable") if sort else rows
    with pytest.warns(DataQualityWarning, match="3 of 63 samples .* repeat the time stamp of another"):
        found = cut(rows)
    expected = frame.copy()
    expected.loc[[5, 40], "flow"], expected.loc[[5, 40], "state"] = [-2.0, -3.0], 7
    same(found, cut(expected))


def test_E11_repeated_stamps_are_averaged_or_an_error_if_asked_for():
    frame = historian()
    rows = pd.concat([frame, frame.iloc[[5, 5]].assign(flow=[-1.0, -2.0])])
    with pytest.warns(DataQualityWarning, match="repeat the time stamp"):
        X, _, _ = cut(rows, duplicates="mean")
    assert X[0, 0, 5] == np.float32((5.0 - 1.0 - 2.0) / 3)
    with pytest.raises(ValueError, match=r"2 repeated time stamps in 62 rows.*drop the repeated rows, or set dupl"):
        cut(rows, duplicates="error")


def test_E11_rows_that_came_twice_are_kept_once_however_many():
    frame = historian()
    with pytest.warns(DataQualityWarning, match=r"60 of 120 samples .* repeat the time stamp"):
        found = cut(frame.loc[np.repeat(np.arange(N_ROWS), 2)])
    same(found, cut(frame))


def test_E11_stamps_coarser_than_the_rate_are_an_error_and_no_row_is_lost():
    frame = historian()
    frame["t"] = frame["t"].dt.floor("2min")
    with pytest.raises(ValueError, match=r"30 repeated time stamps in 60 rows, 30 with other.*pass from_rate="):
        cut(frame)


def test_E11_future_stamps_beyond_the_tolerance_of_the_clock_are_an_error():
    frame = historian()
    end = frame["t"].iloc[-1]
    cut(frame, now=end)
    cut(frame, now=end - pd.Timedelta("1min"))
    with pytest.raises(ValueError, match=r"2 time stamps of recording 0 lie in the future.*120 s after now="):
        cut(frame, now=end - pd.Timedelta("2min"), clock_tolerance=59.0)
    seconds = frame.assign(t=np.arange(N_ROWS) * 60.0)
    with pytest.raises(ValueError, match=r"1 time stamps of recording 0 lie in the future, the latest \(3540.0\)"):
        cut(seconds, now=3540 - 61)
    cut(seconds, now=3540 - 60)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.sets(st.integers(1, N_ROWS - 2), max_size=12), st.integers(2, 6), st.sampled_from([None, 130.0, 200.0]))
def test_E12_no_window_bridges_a_gap_longer_than_the_limit(lost, length, max_gap):
    frame = historian().drop(index=list(lost))
    minutes = frame["flow"].to_numpy()
    limit = (max_gap or 90.0) / 60  # by default one and a half periods
    longest = max(len(part) for part in np.split(minutes, np.flatnonzero(np.diff(minutes) > limit) + 1))
    if longest < length:
        return
    X, _, _ = cut(frame, length, max_gap=max_gap, on_irregular="resample", sampling_rate=1 / 60)
    np.testing.assert_allclose(np.diff(X, axis=2), 1.0, rtol=1e-6)  # the tag counts minutes: interpolated where allowed
    missing = np.setdiff1d(np.arange(N_ROWS), minutes)
    for window in np.asarray(X)[:, 0]:
        inside = np.isin(missing, window)
        runs = np.split(missing[inside], np.flatnonzero(np.diff(missing[inside]) > 1) + 1)
        assert max((len(run) for run in runs), default=0) + 1 <= limit


def test_E12_a_gap_ends_windows_and_the_next_begins_after_it():
    frame = historian().drop(index=range(25, 28))
    X, _, _ = cut(frame)
    assert X[:, 0, 0].tolist() == [0, 10, 28, 38, 48]
    np.testing.assert_array_equal(X.time, frame["t"].loc[[9, 19, 37, 47, 57]].to_numpy())
    with pytest.raises(ValueError, match=r"has 32.*1 gaps, half of them of at most 240 s.*larger max_gap"):
        cut(frame, 40)


def test_E12_irregular_sampling_is_an_error_or_interpolated():
    rng = np.random.default_rng(0)
    frame = historian()
    late = rng.uniform(-12, 12, N_ROWS)  # seconds
    frame["t"] += pd.to_timedelta(late, unit="s")
    frame["flow"] += late / 60
    with pytest.raises(ValueError, match=r"recording 0 is irregular: \d+ of 59 distances.*on_irregular='resample'"):
        cut(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X, _, _ = cut(frame, on_irregular="resample", sampling_rate=1 / 60)
    np.testing.assert_allclose(np.diff(X, axis=2), 1.0, atol=1e-5)  # the flow counts minutes, at any time
    minutes = (X.time - np.datetime64("2024-03-04T08:00")) / np.timedelta64(1, "m")
    np.testing.assert_allclose(X[:, 0, -1], minutes, atol=1e-5)
