"""Time stamps: zones, offsets, kinds of text, and what cannot be read."""

import datetime

import numpy as np
import pandas as pd
import polars
import pytest

from sktransfer import SlidingWindows
from tests.helpers import noise

N = 40


def cut(stamps, kind="column"):
    if kind == "polars":
        return SlidingWindows(10).cut(polars.DataFrame({"p": noise(N), "t": list(stamps)}), time="t")[0]
    if kind == "array":
        return SlidingWindows(10).cut([noise(N)], time=[stamps])[0]
    return SlidingWindows(10).cut(pd.DataFrame({"p": noise(N), "t": stamps}), time="t")[0]


def over_the_end_of_summer_time():
    """Stamps every 15 minutes, UTC and local, with the offset as text."""
    utc = pd.date_range("2026-10-24 22:00", periods=N, freq="15min")
    local = utc.tz_localize("UTC").tz_convert("Europe/Berlin")
    return utc.to_numpy(), [stamp.isoformat() for stamp in local]


@pytest.mark.parametrize("kind", ["column", "array", "polars"])
def test_two_offsets_in_one_column_are_one_clock(kind):
    utc, text = over_the_end_of_summer_time()
    assert {stamp[-6:] for stamp in text} == {"+02:00", "+01:00"}
    X = cut(text, kind)
    np.testing.assert_array_equal(X.time, utc[9::10])
    assert X.sampling_rate == pytest.approx(1 / 900)


def test_objects_with_two_offsets_are_one_clock_too():
    utc, text = over_the_end_of_summer_time()
    stamps = [datetime.datetime.fromisoformat(one) for one in text]
    np.testing.assert_array_equal(cut(stamps, "array").time, utc[9::10])
    mixed = [one if i % 2 else stamp for i, (one, stamp) in enumerate(zip(text, stamps, strict=True))]
    np.testing.assert_array_equal(cut(np.array(mixed, dtype=object), "array").time, utc[9::10])


@pytest.mark.parametrize("offset", ["Z", "+00", "+0000", "+00:00", " +00:00", "-00:00"])
def test_each_way_to_write_an_offset(offset):
    utc = pd.date_range("2026-01-01", periods=N, freq="s")
    stamps = [f"{one:%Y-%m-%dT%H:%M:%S}{offset if i % 2 else '+00:00'}" for i, one in enumerate(utc)]
    np.testing.assert_array_equal(cut(stamps).time, utc.to_numpy()[9::10])


@pytest.mark.parametrize("kind", ["column", "array", "polars"])
def test_stamps_with_and_without_a_zone_are_not_mixed(kind):
    _, text = over_the_end_of_summer_time()
    text[3] = text[3][:-6]
    with pytest.raises(ValueError, match=rf"39 time stamps of recording 0 have a time zone.*such as '{text[3]}', have"):
        cut(text, kind)


def test_text_without_a_zone_is_as_it_is():
    local = pd.date_range("2026-01-01", periods=N, freq="D")
    np.testing.assert_array_equal(cut(local.strftime("%Y-%m-%d")).time, local.to_numpy()[9::10])
    np.testing.assert_array_equal(
        cut(local.tz_localize("Asia/Tokyo")).time, local.to_numpy()[9::10] - np.timedelta64(9, "h")
    )


@pytest.mark.parametrize(
    ("stamps", "says"),
    [
        (pd.date_range("2026-01-13", periods=N).strftime("%d.%m.%Y"), "the first is '13.01.2026' in row 0"),
        (["2026-01-01"] * 7 + ["noon"] * (N - 7), "the first is 'noon' in row 7"),
        ([f"2026-01-01T00:00:{i:02d}+01:00" for i in range(N - 1)] + ["2026-01-01T25:00+01:00"], "'2026-01-01T25:00"),
    ],
)
@pytest.mark.parametrize("kind", ["column", "array"])
def test_stamps_that_cannot_be_read_name_the_first_and_a_remedy_that_exists(stamps, says, kind):
    with pytest.raises(ValueError, match=says) as error:
        cut(list(stamps), kind)
    text = str(error.value)
    assert "Convert other text with pandas.to_datetime(stamps, format=...) before the recordings are cut" in text
    assert "passing `format`" not in text
