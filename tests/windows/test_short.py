"""Recordings that are too short for a window are left out, whatever their stamps say."""

import numpy as np
import pandas as pd
import pytest

from sktransfer import DataQualityWarning, SlidingWindows
from tests.helpers import noise

START = pd.Timestamp("2026-01-01")


def frame(n_rows, seconds=1.0, seed=0):
    """A recording with one row every so many seconds."""
    return pd.DataFrame(
        {"t": START + pd.to_timedelta(np.arange(n_rows) * seconds, unit="s"), "p": noise(n_rows, seed=seed)}
    )


@pytest.mark.parametrize(
    "short", [frame(1), frame(0), frame(2, 3600.0), frame(9, 0.1), frame(3, 1.0).iloc[[0, 0, 0]]],
    ids=["one sample", "none", "two an hour apart", "at another rate", "one stamp three times"],
)  # fmt: skip
@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("long_form", [True, False])
def test_a_short_recording_does_not_stop_the_others(short, position, long_form):
    expected, _, _ = SlidingWindows(10).cut({"long": frame(40)}, time="t")
    given = {"long": frame(40), "short": short}
    given = dict(list(given.items())[:: -1 if position == 0 else 1])
    columns = {"time": "t"}
    if long_form:
        given = pd.concat([one.assign(run=name) for name, one in given.items()])
        columns["recording"] = "run"
    if long_form and not len(short):
        X, _, groups = SlidingWindows(10).cut(given, **columns)
    else:
        with pytest.warns(DataQualityWarning, match=r"1 of 2 recordings have no 10 samples.*'short'.*left out"):
            X, _, groups = SlidingWindows(10).cut(given, **columns)
    assert (X.sampling_rate, set(groups)) == (1.0, {"long"})
    np.testing.assert_array_equal(X, expected)
    np.testing.assert_array_equal(X.time, expected.time)


def test_short_error_says_that_they_are_short_and_nothing_of_rates():
    with pytest.raises(ValueError, match=r"1 of 2 recordings have no 10 samples.*'b', has 1.*short='drop'"):
        SlidingWindows(10, short="error").cut({"a": frame(40), "b": frame(1)}, time="t")
    with pytest.raises(ValueError, match=r"2 of 2 recordings have no 10 samples.*No window is left"):
        SlidingWindows(10).cut({"a": frame(1), "b": frame(1)}, time="t")
    with pytest.raises(ValueError, match=r"2 of 2 recordings have no 10 samples.*'a', has 9.*No window is left"):
        SlidingWindows(10).cut({"a": frame(9), "b": frame(1)}, time="t")


def test_recordings_of_a_window_that_differ_in_rate_are_an_error_as_before():
    with pytest.raises(ValueError, match="the recordings have rates from 1 to 2 Hz"):
        SlidingWindows(10).cut({"a": frame(40), "b": frame(40, 0.5), "c": frame(1)}, time="t")
    with pytest.raises(ValueError, match="and some none at all"):
        SlidingWindows(10).cut({"a": frame(40), "b": frame(40)}, time={"a": frame(40)["t"], "b": None}, channels=["p"])


def test_windows_of_one_sample_are_cut_from_recordings_of_one_sample():
    X, _, groups = SlidingWindows(1).cut({"a": frame(3), "b": frame(1)}, time="t")
    assert groups.tolist() == ["a"] * 3 + ["b"]
    assert X.sampling_rate == 1.0


def test_a_short_recording_is_resampled_where_a_rate_is_set():
    X, _, groups = SlidingWindows(10, sampling_rate=2).cut({"a": frame(40, 0.5), "b": frame(9)}, time="t")
    assert set(groups) == {"a", "b"}  # 9 samples a second apart are 18 at 2 Hz
    assert X.sampling_rate == 2
