"""SlidingWindows against windows cut by plain loops, and its laws."""

import datetime
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from sktransfer import DataQualityWarning, SlidingWindows, Windows

WEEK = pd.Timestamp("2024-03-04")


def noise(n_samples, n_channels=None, seed=0):
    shape = (n_samples,) if n_channels is None else (n_samples, n_channels)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def label_of(labels, rule, normal=0):
    """The rule in words: most frequent, of equals the one that comes last."""
    labels = list(labels)
    if rule == "last":
        return labels[-1]
    counted = [label for label in labels if rule == "majority" or label != normal] or [normal]
    return max(Counter(counted), key=lambda label: (counted.count(label), len(labels) - labels[::-1].index(label)))


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
        X, y, groups = SlidingWindows(length, step).cut([1000.0 * i + np.arange(n) for i, n in enumerate(sizes)])
    counts = [(n - length) // step + 1 if n >= length else 0 for n in sizes]
    assert groups.tolist() == np.repeat(np.arange(len(sizes)), counts).tolist()
    assert y is None
    assert (np.asarray(X) // 1000 == groups[:, None, None]).all()
    assert (np.diff(X, axis=2) == 1).all()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(["ok", "leak", "wear"]), min_size=4, max_size=40),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(["majority", "any", "last"]),
)
def test_label_rules_are_those_in_words(labels, length, step, rule):
    cutter = SlidingWindows(length, step, label_rule=rule, normal_label="ok")
    _, y, _ = cutter.cut([np.zeros(len(labels))], [np.array(labels)])
    starts = range(0, len(labels) - length + 1, step)
    assert y.tolist() == [label_of(labels[i : i + length], rule, "ok") for i in starts]
    assert y.dtype.kind == "U"


def test_the_rule_any_finds_one_faulty_sample_among_thousands():
    labels = np.zeros(10_000, dtype=int)
    labels[5_000] = 3
    _, y, _ = SlidingWindows(1_000, label_rule="any", normal_label=0).cut([noise(10_000)], [labels])
    assert y.tolist() == [0, 0, 0, 0, 0, 3, 0, 0, 0, 0]


def test_numbers_to_be_regressed_on_take_the_last_sample_only():
    wear = np.linspace(0, 1, 100)
    _, y, _ = SlidingWindows(10, label_rule="last").cut([noise(100)], [wear])
    np.testing.assert_array_equal(y, wear[9::10])
    with pytest.raises(ValueError, match=r"continuous numbers.*label_rule='last'"):
        SlidingWindows(10).cut([noise(100)], [wear])


@pytest.mark.parametrize("labels", [{"b": 1, "a": 0}, [0, 1], {"b": np.full(40, 1), "a": 0}])
def test_labels_go_by_id_or_by_order(labels):
    X, y, groups = SlidingWindows(10).cut({"a": noise(30, 2), "b": noise(40, 2, seed=1)}, labels)
    assert groups.tolist() == ["a"] * 3 + ["b"] * 4
    assert y.tolist() == [0] * 3 + [1] * 4
    np.testing.assert_array_equal(X[3], noise(40, 2, seed=1)[:10].T)


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
    X, y, _ = SlidingWindows(100, sampling_rate=50).cut([slow], [labels], time=[stamps])
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


def test_speed_and_orders_go_with_their_windows():
    orders = {"a": [3.0, 5.0, 2.0, 0.4], "b": [np.nan] * 4}
    X, _, _ = SlidingWindows(10).cut({"a": noise(20), "b": noise(10)}, rpm={"a": 1797, "b": np.nan}, orders=orders)
    np.testing.assert_array_equal(X.rpm, [1797, 1797, np.nan])
    np.testing.assert_array_equal(X.orders, [orders["a"], orders["a"], orders["b"]])
    X, _, _ = SlidingWindows(10).cut([noise(20), noise(10)], rpm=[np.arange(20), np.full(10, 60)], orders=[3, 5, 2, 1])
    np.testing.assert_array_equal(X.rpm, [4.5, 14.5, 60])
    assert X.orders.tolist() == [[3, 5, 2, 1]] * 3
    frame = pd.DataFrame({"a": noise(20), "speed": np.arange(20)})
    X, _, _ = SlidingWindows(10).cut(frame, rpm="speed")
    assert (X.shape, X.rpm.tolist()) == ((2, 1, 10), [4.5, 14.5])
    with pytest.raises(ValueError, match=r"orders of recording 0 have shape \(3,\)"):
        SlidingWindows(10).cut([noise(20)], orders=[[1, 2, 3]])


def long_frame():
    """Two machines that both number their recordings from 1, rows of the two mixed."""
    frames = []
    for machine in ("pump", "fan"):
        for number, n_rows in ((1, 30), (2, 20)):
            values = noise(n_rows, 2, seed=number + len(machine))
            frame = pd.DataFrame(values, columns=["p", "T"]).assign(machine=machine, record=number)
            frames.append(frame.assign(t=np.arange(n_rows) * 0.5, fault=number % 2))
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("kind", ["as it is", "mixed", "polars", "list of frames", "repeated index"])
def test_a_long_frame_is_cut_by_recording_and_machine(kind):
    frame = long_frame()
    if kind == "mixed":
        frame = frame.sort_values("t", kind="stable")
    columns = {"recording": "record", "machine": "machine", "time": "t"}
    recordings = {
        "polars": polars.DataFrame(frame.to_dict("list")),
        "list of frames": [part for _, part in frame.groupby(["machine", "record"], sort=False)],
        "repeated index": frame.set_index(np.zeros(len(frame), dtype=int)),
    }.get(kind, frame)
    X, y, groups, machines = SlidingWindows(10).cut(recordings, "fault", return_machines=True, **columns)
    assert groups.tolist() == ["pump/1"] * 3 + ["pump/2"] * 2 + ["fan/1"] * 3 + ["fan/2"] * 2
    assert machines.tolist() == ["pump"] * 5 + ["fan"] * 5
    assert y.tolist() == [1, 1, 1, 0, 0] * 2
    assert (X.shape, X.sampling_rate) == ((10, 2, 10), 2.0)
    np.testing.assert_array_equal(X[1], noise(30, 2, seed=5)[10:20].T)
    if kind != "list of frames":
        by_row = SlidingWindows(10).cut(recordings, np.asarray(frame["fault"]), channels=["p", "T"], **columns)
        np.testing.assert_array_equal(by_row[1], y)


def test_a_frame_without_ids_is_one_recording_and_a_machine_without_recordings_too():
    frame = long_frame().drop(columns=["record", "t"])
    _, _, groups = SlidingWindows(10).cut(frame, "fault", machine="machine")
    assert groups.tolist() == ["pump"] * 5 + ["fan"] * 5
    assert SlidingWindows(10).cut(frame[["p", "T"]])[2].tolist() == [0] * 10
    X, _, _ = SlidingWindows(10).cut([frame[["p", "T"]], frame[["T", "p"]]])  # channels go by name
    np.testing.assert_array_equal(X[:10], X[10:])


def test_text_in_a_dict_is_a_value_and_no_column():
    frame = long_frame().drop(columns="fault").query("machine == 'pump'").drop(columns=["machine", "t"])
    arguments = {"recording": "record", "machine": {1: "pump", 2: "fan"}, "return_machines": True}
    X, y, groups, machines = SlidingWindows(10).cut(frame, {1: "healthy", 2: "p"}, **arguments)
    assert y.tolist() == ["healthy"] * 3 + ["p"] * 2
    assert groups.tolist() == [1, 1, 1, 2, 2]
    assert machines.tolist() == ["pump"] * 3 + ["fan"] * 2
    assert X.shape == (5, 2, 10)


def test_machines_of_arrays_are_one_a_recording():
    cut = {"machine": ["pump", "fan"], "return_machines": True}
    _, _, groups, machines = SlidingWindows(10).cut([noise(20), noise(10)], **cut)
    assert groups.tolist() == [0, 0, 1]
    assert machines.tolist() == ["pump", "pump", "fan"]
    with pytest.raises(ValueError, match="needs machine"):
        SlidingWindows(10).cut([noise(20)], return_machines=True)


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
    places = coarse.time[:, None] - np.arange(19, -1, -1) / 2
    expected = np.sin(2 * np.pi * 0.2 * places)
    np.testing.assert_allclose(coarse[1:3, 0], expected[1:3], atol=0.01)  # the ends are less exact
    np.testing.assert_allclose(coarse[:, 0], expected, atol=0.1)


def test_holes_up_to_max_gap_are_interpolated_if_asked_for():
    stamps = np.delete(np.arange(100.0), [20, 21, 60])
    ramp = 3 * stamps
    X, _, _ = SlidingWindows(50, max_gap=3.0, on_irregular="resample").cut([ramp], time=[stamps])
    np.testing.assert_allclose(np.asarray(X).ravel(), 3 * np.arange(100.0))
    X, _, _ = SlidingWindows(18, max_gap=2.0, on_irregular="resample").cut([ramp], time=[stamps])
    assert X.time.tolist() == [17.0, *(21 + np.arange(18, 79, 18.0)).tolist()]  # split at the longer hole only


@pytest.mark.parametrize("missing", ["gap", "error", "keep"])
def test_a_sample_with_nan_is_a_gap_or_an_error_or_stays(missing):
    values = noise(100, 2)
    values[30, 1] = np.nan
    cutter = SlidingWindows(10, missing=missing, sampling_rate=5)
    if missing == "error":
        with pytest.raises(ValueError, match=r"recording 'a' holds NaN in 1 of 100 samples, most in channel 1"):
            cutter.cut({"a": values})
    elif missing == "keep":
        np.testing.assert_array_equal(cutter.cut({"a": values})[0][3], values[30:40].T)
    else:
        with pytest.warns(DataQualityWarning, match=r"1 of 100 samples in 1 of 1 recordings \(such as 'a'\) hold NaN"):
            X, _, _ = cutter.cut({"a": values})
        np.testing.assert_allclose(X.time, (np.r_[9, 19, 29, 40, 50, 60, 70, 80, 90]) / 5)
        np.testing.assert_array_equal(X[3], values[31:41].T)


def test_a_channel_without_any_number_is_an_error_that_names_it():
    values = noise(100, 3)
    values[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"channel 2 \(100%\). Leave the channel out"):
        SlidingWindows(10).cut([values])


def test_too_short_recordings_are_counted_or_an_error():
    recordings = {"a": noise(100), "b": noise(9), "c": noise(0)}
    with pytest.warns(DataQualityWarning, match=r"2 of 3 recordings have no 10 samples.*'b', has 9.*left out"):
        _, _, groups = SlidingWindows(10).cut(recordings)
    assert set(groups) == {"a"}
    with pytest.raises(ValueError, match=r"2 of 3 recordings.*short='drop'"):
        SlidingWindows(10, short="error").cut(recordings)
    with pytest.raises(ValueError, match=r"3 of 3 recordings.*'a', has 100.*No window is left"):
        SlidingWindows(101).cut(recordings)


def test_one_window():
    X, y, groups = SlidingWindows(10, 3).cut([noise(12)], ["leak"])
    assert (X.shape, y.tolist(), groups.tolist()) == ((1, 1, 10), ["leak"], [0])


@pytest.mark.parametrize(
    ("recordings", "arguments", "words"),
    [
        (noise(30), {}, r"one array of shape \(30,\). Pass a single recording as \[recording\]"),
        (noise(30, 2), {}, r"Pass a single recording as \[recording\]"),
        ([], {}, "got no recording"),
        ([noise(30, 2), noise(30, 3)], {}, "recording 1 has 3 channels, but 0 has 2"),
        ([np.zeros((2, 3, 4, 5))], {}, r"shape \(2, 3, 4, 5\)"),
        ([["a", "b"]], {}, "numbers"),
        ([np.array([1.0, np.inf] * 9)], {}, "inf, too large"),
        ([np.array([1.0, -1e31] * 9)], {}, "-1e[+]31, too large"),
        ([noise(30)], {"labels": [0, 1]}, "labels has 2 entries for 1 recordings"),
        ([noise(30)], {"labels": [np.zeros(29)]}, r"labels of recording 0 has shape \(29,\).*\(30,\), one a sample"),
        ([noise(30)], {"labels": [None]}, "1 labels of recording 0 are missing"),
        ({"a": noise(30)}, {"labels": {"b": 1}}, r"labels has no entry for the recordings \['a'\]"),
        ([noise(30)], {"from_rate": -5}, "from_rate is a positive number of Hz, got -5"),
        ([noise(30)], {"time": [np.arange(29)]}, "29 time stamps for 30 samples"),
        ([noise(30)], {"time": [np.r_[np.arange(29.0), np.nan]]}, "29 time stamps for 30 samples"),
        ([noise(30)], {"time": [["noon"] * 30]}, "time stamps of recording 0 cannot be read"),
        (
            [noise(30)],
            {"time": [np.arange(30) // 3]},
            "20 repeated time stamps.*20 with other.*clock is coarser",
        ),
        (long_frame(), {"labels": "falt"}, r"no column 'falt'. Did you mean 'fault'\?"),
        (long_frame(), {"labels": "fault"}, "column 'machine' of recording 0 holds"),
        (long_frame().assign(record=[None] + [1] * 99), {"recording": "record"}, "'record' is empty in 1 rows"),
        ([long_frame()] * 2, {"recording": "record", "channels": ["p"]}, "several recordings with the id"),
    ],
)
def test_what_cannot_be_cut_is_an_error_that_says_why(recordings, arguments, words):
    with pytest.raises(ValueError, match=words):
        SlidingWindows(10).cut(recordings, **arguments)


@pytest.mark.parametrize(
    "parameters",
    [
        {"length": 0}, {"step": 0}, {"sampling_rate": 0}, {"label_rule": "first"}, {"max_gap": 0}, {"jitter": 1},
        {"on_irregular": "guess"}, {"duplicates": "first"}, {"missing": "fill"}, {"short": "pad"}, {"dtype": "int8"},
    ],
)  # fmt: skip
def test_parameters_are_checked_when_cutting(parameters):
    cutter = SlidingWindows(**{"length": 10, **parameters})
    with pytest.raises(ValueError, match=next(iter(parameters))):
        cutter.cut([noise(30)])


def test_any_needs_the_healthy_label():
    with pytest.raises(ValueError, match="needs normal_label"):
        SlidingWindows(10, label_rule="any").cut([noise(30)])


def test_the_caller_s_data_are_not_changed_and_the_windows_are_their_own():
    frame = long_frame().iloc[::-1]
    before = frame.copy()
    with pytest.warns(DataQualityWarning, match="not in the order of time"):
        SlidingWindows(10).cut(frame, "fault", recording="record", machine="machine", time="t")
    pd.testing.assert_frame_equal(frame, before)
    values = noise(30)
    X, _, _ = SlidingWindows(10, 1).cut([values])
    X[:] = 0
    np.testing.assert_array_equal(values, noise(30))


def test_a_clone_cuts_alike():
    cutter = SlidingWindows(10, 5, sampling_rate=3)
    np.testing.assert_array_equal(clone(cutter).cut([noise(30)])[0], cutter.cut([noise(30)])[0])
    assert repr(cutter) == "SlidingWindows(length=10, sampling_rate=3, step=5)"


def test_now_may_be_a_date_of_any_kind():
    frame = pd.DataFrame({"a": noise(30)}, index=pd.date_range("2024-03-04", periods=30, freq="1min"))
    for now in (pd.Timestamp("2024-03-04"), datetime.datetime(2024, 3, 4), "2024-03-04", np.datetime64("2024-03-04")):
        with pytest.raises(ValueError, match="28 time stamps of recording 0 lie in the future"):
            SlidingWindows(10).cut(frame, now=now)
        SlidingWindows(10).cut(frame, now=now, clock_tolerance=29 * 60)
