"""SlidingWindows and time: resampling to one rate, time stamps of many kinds, jitter, holes, a clock that is ahead."""

import datetime

import numpy as np
import pandas as pd
import pytest

from sktransfer import SlidingWindows
from tests.helpers import noise


@pytest.mark.parametrize(
    ("from_rate", "rate"), [(25_600, 12_000), (12_000, 25_600), (48_000, 12_000), (44_100, 16_000), (1000, 999)]
)
def test_a_resampled_sine_keeps_frequency_and_amplitude(from_rate, rate):
    lowest = min(from_rate, rate)
    frequency, seconds = 0.1 * lowest, 4096 / lowest + 0.2
    time = np.arange(int(seconds * from_rate)) / from_rate
    wave = 5.0 + 2.0 * np.sin(2 * np.pi * frequency * time)
    X, _, _ = SlidingWindows(4000, sampling_rate=rate).cut([wave], from_rate=from_rate)
    assert X.sampling_rate == rate
    x = np.asarray(X[0, 0], dtype=np.float64)
    basis = 2 * np.pi * frequency * np.arange(4000) / rate
    inner = slice(50, -50)
    design = np.stack([np.sin(basis), np.cos(basis), np.ones(4000)], axis=1)[inner]
    (sine, cosine, level), *_ = np.linalg.lstsq(design, x[inner], rcond=None)
    assert np.hypot(sine, cosine) == pytest.approx(2.0, rel=0.01)
    assert level == pytest.approx(5.0, rel=0.01)
    residual = x[inner] - design @ [sine, cosine, level]  # another frequency would be left over
    assert residual.std() < 0.01 * 2.0


def test_what_the_new_rate_cannot_hold_is_filtered_out_and_not_folded():
    wave = np.sin(2 * np.pi * 9_000 * np.arange(100_000) / 25_600)  # would appear at 3 kHz
    X, _, _ = SlidingWindows(4096, sampling_rate=12_000).cut([wave], from_rate=25_600)
    assert np.abs(np.asarray(X)[1:-1]).max() < 0.02


def test_nothing_is_resampled_where_nothing_says_so():
    X, _, _ = SlidingWindows(100, sampling_rate=50).cut([noise(200)])
    np.testing.assert_array_equal(np.asarray(X).ravel(), noise(200))
    X, _, _ = SlidingWindows(100, sampling_rate=50).cut([noise(200)], from_rate=50)
    np.testing.assert_array_equal(np.asarray(X).ravel(), noise(200))
    stamps = np.arange(200) / 50 * 1.0004  # a clock that is off by 0.04 %
    X, _, _ = SlidingWindows(100, sampling_rate=50).cut([noise(200)], time=[stamps])
    np.testing.assert_array_equal(np.asarray(X).ravel(), noise(200))


def test_time_stamps_that_say_another_rate_are_resampled_and_labels_follow():
    stamps = np.arange(4000) / 200
    slow = np.sin(2 * np.pi * 0.5 * stamps)
    labels = (stamps >= 10).astype(int)
    frame = pd.DataFrame({"slow": slow, "label": labels})
    X, y, _ = SlidingWindows(100, sampling_rate=50).cut([frame], "label", time=[stamps])
    assert len(X) == 10
    np.testing.assert_allclose(X.time, np.arange(99, 1000, 100) / 50)
    np.testing.assert_allclose(X[5, 0], np.sin(2 * np.pi * 0.5 * np.arange(500, 600) / 50), atol=0.01)
    assert y.tolist() == [0] * 5 + [1] * 5


def test_each_recording_may_have_a_rate_of_its_own():
    waves = {rate: np.sin(2 * np.pi * 3 * np.arange(10 * rate) / rate) for rate in (100, 200, 250)}
    X, _, groups = SlidingWindows(1000, sampling_rate=100).cut(waves, from_rate={rate: rate for rate in waves})
    assert groups.tolist() == [100, 200, 250]
    np.testing.assert_allclose(X[1, 0, 50:-50], X[0, 0, 50:-50], atol=0.01)
    np.testing.assert_allclose(X[2, 0, 50:-50], X[0, 0, 50:-50], atol=0.01)
    with pytest.raises(ValueError, match=r"rates from 100 to 250 Hz. Set sampling_rate"):
        SlidingWindows(100).cut(waves, from_rate=[100, 200, 250])


@pytest.mark.parametrize("kind", ["index", "text", "time zone", "timedelta", "python"])
def test_time_stamps_come_in_many_kinds(kind):
    dates = pd.date_range("2024-03-04 01:30", periods=100, freq="1min")
    frame, time = pd.DataFrame({"a": noise(100)}), "when"
    if kind == "index":
        frame, time = frame.set_index(dates), None
    elif kind == "timedelta":
        frame["when"] = dates - dates[0]
    elif kind == "python":
        frame["when"] = pd.Series([d.to_pydatetime() for d in dates], dtype=object)
    else:
        frame["when"] = dates.tz_localize("UTC").tz_convert("Europe/Rome") if kind == "time zone" else dates.astype(str)
    X, _, _ = SlidingWindows(25).cut(frame, time=time)
    assert X.sampling_rate == pytest.approx(1 / 60)
    expected = np.arange(24, 100, 25) * 60.0 if kind == "timedelta" else dates[24::25].to_numpy()
    np.testing.assert_array_equal(X.time, expected)


def test_jitter_within_the_share_is_left_alone_and_beyond_it_an_error_or_interpolated():
    rng = np.random.default_rng(0)
    grid = np.arange(400) / 10
    stamps = grid + rng.uniform(-0.02, 0.02, size=400)
    wave = np.sin(2 * np.pi * 0.2 * stamps)
    X, _, _ = SlidingWindows(100, jitter=0.5).cut([wave], time=[stamps])
    np.testing.assert_array_equal(np.asarray(X).ravel(), wave.astype(np.float32))
    with pytest.raises(ValueError, match=r"is irregular: \d+ of 399 distances.*differ by more than 5%"):
        SlidingWindows(100).cut([wave], time=[stamps])
    cutter = SlidingWindows(100, on_irregular="resample", sampling_rate=10)
    X, _, _ = cutter.cut([wave], time=[stamps])
    np.testing.assert_allclose(np.diff(X.time), 10.0)
    first = X.time[:, None] - np.arange(99, -1, -1) / 10
    np.testing.assert_allclose(X[:, 0], np.sin(2 * np.pi * 0.2 * first), atol=0.01)
    coarse = SlidingWindows(20, on_irregular="resample", sampling_rate=2).cut([wave], time=[stamps])[0]
    positions = coarse.time[:, None] - np.arange(19, -1, -1) / 2
    expected = np.sin(2 * np.pi * 0.2 * positions)
    np.testing.assert_allclose(coarse[1:3, 0], expected[1:3], atol=0.01)  # the ends are less exact
    np.testing.assert_allclose(coarse[:, 0], expected, atol=0.1)


def test_holes_up_to_max_gap_are_interpolated_if_asked_for():
    stamps = np.delete(np.arange(100.0), [20, 21, 60])
    ramp = 3 * stamps
    X, _, _ = SlidingWindows(50, max_gap=3.0, on_irregular="resample").cut([ramp], time=[stamps])
    np.testing.assert_allclose(np.asarray(X).ravel(), 3 * np.arange(100.0))
    X, _, _ = SlidingWindows(18, max_gap=2.0, on_irregular="resample").cut([ramp], time=[stamps])
    assert X.time.tolist() == [17.0, *(21 + np.arange(18, 79, 18.0)).tolist()]  # split at the longer hole only


def test_now_may_be_a_date_of_any_kind():
    frame = pd.DataFrame({"a": noise(30)}, index=pd.date_range("2024-03-04", periods=30, freq="1min"))
    for now in (pd.Timestamp("2024-03-04"), datetime.datetime(2024, 3, 4), "2024-03-04", np.datetime64("2024-03-04")):
        with pytest.raises(ValueError, match="28 time stamps of recording 0 lie in the future"):
            SlidingWindows(10).cut(frame, now=now)
        SlidingWindows(10).cut(frame, now=now, clock_tolerance=29 * 60)
