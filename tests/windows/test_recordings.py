"""What SlidingWindows takes as recordings: long frames, ids and machines, missing samples; and what it refuses."""

import numpy as np
import pandas as pd
import polars
import pytest

from sktransfer import DataQualityWarning, SlidingWindows
from tests.helpers import noise


def long_frame():
    """Two machines that both number their recordings from 1, rows of the two mixed."""
    frames = []
    for machine in ("pump", "fan"):
        for number, n_rows in ((1, 30), (2, 20)):
            values = noise(n_rows, 2, seed=number + len(machine))
            frame = pd.DataFrame(values, columns=["p", "T"]).assign(machine=machine, record=number)
            frames.append(frame.assign(t=np.arange(n_rows) * 0.5, fault=number % 2))
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("kind", ["as it is", "mixed", "polars", "joined frames", "repeated index"])
def test_a_long_frame_is_cut_by_recording_and_machine(kind):
    frame = long_frame()
    if kind == "mixed":
        frame = frame.sort_values("t", kind="stable")
    columns = {"recording": "record", "machine": "machine", "time": "t"}
    recordings = {
        "polars": polars.DataFrame(frame.to_dict("list")),
        "joined frames": pd.concat([part for _, part in frame.groupby(["machine", "record"], sort=False)]),
        "repeated index": frame.set_index(np.zeros(len(frame), dtype=int)),
    }.get(kind, frame)
    X, y, groups, machines = SlidingWindows(10).cut(recordings, "fault", return_machines=True, **columns)
    assert groups.tolist() == ["pump/1"] * 3 + ["pump/2"] * 2 + ["fan/1"] * 3 + ["fan/2"] * 2
    assert machines.tolist() == ["pump"] * 5 + ["fan"] * 5
    assert y.tolist() == [1, 1, 1, 0, 0] * 2
    assert (X.shape, X.sampling_rate) == ((10, 2, 10), 2.0)
    np.testing.assert_array_equal(X[1], noise(30, 2, seed=5)[10:20].T)
    by_column = SlidingWindows(10).cut(recordings, "fault", channels=["p", "T"], **columns)
    np.testing.assert_array_equal(by_column[1], y)


def test_a_frame_without_ids_is_one_recording_and_a_machine_without_recordings_too():
    frame = long_frame().drop(columns=["record", "t"])
    _, _, groups = SlidingWindows(10).cut(frame, "fault", machine="machine")
    assert groups.tolist() == ["pump"] * 5 + ["fan"] * 5
    _, _, groups = SlidingWindows(10).cut(frame[frame["machine"] == "fan"], "fault", machine="machine")
    assert groups.tolist() == ["fan"] * 5  # whether or not there is another machine
    assert len(set(SlidingWindows(10).cut(frame[["p", "T"]])[2])) == 1
    X, _, _ = SlidingWindows(10).cut([frame[["p", "T"]], frame[["T", "p"]]])  # channels go by name
    np.testing.assert_array_equal(X[:10], X[10:])


@pytest.mark.parametrize("polar", [False, True])
def test_frames_in_a_dict_are_one_recording_each_and_text_names_their_columns(polar):
    frame = long_frame()
    parts = frame.groupby(["machine", "record"], sort=False)
    frames = {f"{ids[0]}/{ids[1]}": part.drop(columns=["machine", "record"]) for ids, part in parts}
    if polar:
        frames = {name: polars.DataFrame(part.to_dict("list")) for name, part in frames.items()}
    same = {"time": "t", "rpm": "T", "return_machines": True}
    X, *found = SlidingWindows(10).cut(frames, "fault", machine=["pump", "pump", "fan", "fan"], **same)
    expected_X, *expected = SlidingWindows(10).cut(frame, "fault", recording="record", machine="machine", **same)
    for one, other in zip((X, *found), (expected_X, *expected), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(X.rpm, expected_X.rpm)
    np.testing.assert_array_equal(X.time, expected_X.time)


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
    assert groups[0] == groups[1] != groups[2]
    assert machines.tolist() == ["pump", "pump", "fan"]
    with pytest.raises(ValueError, match="needs machine"):
        SlidingWindows(10).cut([noise(20)], return_machines=True)


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


@pytest.mark.parametrize(
    ("recordings", "arguments", "words"),
    [
        (noise(30), {}, r"one array of shape \(30,\). Pass a single recording as \[recording\]"),
        (noise(30, 2), {}, r"Pass a single recording as \[recording\]"),
        ([], {}, "got no recording"),
        ([noise(30, 2)[:, :0]], {}, "recording 0 has no column with a signal"),
        (pd.DataFrame({"label": np.zeros(30)}), {"labels": "label"}, "recording 0 has no column with a signal"),
        ([noise(30, 2), noise(30, 3)], {}, "recording 1 has 3 channels, but 0 has 2"),
        ([np.zeros((2, 3, 4, 5))], {}, r"shape \(2, 3, 4, 5\)"),
        ([["a", "b"]], {}, "numbers"),
        ([np.array([1.0, np.inf] * 9)], {}, "inf, too large"),
        ([np.array([1.0, -1e31] * 9)], {}, "-1e[+]31, too large"),
        ([noise(30)], {"labels": [0, 1]}, "labels has 2 entries for 1 recordings"),
        ([noise(30)], {"labels": [None]}, "recording 0 has no label in 1 sample"),
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
        (long_frame().assign(record=[None] + [1] * 99), {"recording": "record"}, "'record' is empty in 1 row;"),
        (
            pd.DataFrame({"p": noise(30), "machine": ["a", "a", "a/b"] * 10, "record": ["b/c", "c", "c"] * 10}),
            {"recording": "record", "machine": "machine"},
            "several recordings with the id 'a/b/c'",
        ),
        (pd.DataFrame(noise(30, 2), columns=["p", "p"]), {}, "recording 0 has 2 columns 'p'"),
    ],
)
def test_what_cannot_be_cut_is_an_error_that_says_why(recordings, arguments, words):
    with pytest.raises(ValueError, match=words):
        SlidingWindows(10).cut(recordings, **arguments)


COLUMN = (
    r"is a column of a frame: frame.assign\({0}=values\), or for an array pandas.*assign\({0}=values\), and {0}='{0}'"
)


@pytest.mark.parametrize(
    ("recordings", "arguments", "words"),
    [
        # one value a sample, for each recording
        ([noise(30)], {"labels": [[0] * 30]}, "labels of recording 0 has 30 values.*" + COLUMN.format("labels")),
        ({"a": noise(30)}, {"labels": {"a": ["ok"] * 30}}, "labels of recording 'a' .*" + COLUMN.format("labels")),
        ([noise(30)], {"rpm": [np.zeros(30)]}, "rpm of recording 0 has 30 values.*" + COLUMN.format("rpm")),
        ([long_frame()[["p"]]], {"labels": [np.zeros(100)]}, "labels of recording 0 .*" + COLUMN.format("labels")),
        # one value a row of a long frame
        (long_frame(), {"labels": np.zeros(100), "recording": "record", "channels": ["p"]},
         "labels has 100 entries for 2 recordings.*" + COLUMN.format("labels")),
        (long_frame()[["p"]], {"rpm": np.zeros(100)}, "rpm has 100 entries for 1 recordings.*" + COLUMN.format("rpm")),
        (long_frame()[["p"]], {"time": np.arange(100)}, "time has 100 entries for 1 rec.*" + COLUMN.format("time")),
        # ids in columns of frames of a list
        ([long_frame()], {"recording": "record"}, r"of one long frame only; .*Pass pandas.concat\(frames\)"),
        ([long_frame()], {"machine": "machine"}, r"of one long frame only; .*machine as a list or dict of one a rec"),
        ([noise(30)], {"recording": "record"}, "of one long frame only"),
        # columns of arrays
        ([noise(30)], {"rpm": "speed"}, "rpm='speed' names a column, but recording 0 is an a.*" + COLUMN.format("rpm")),
        ([noise(30)], {"time": "t"}, "time='t' names a column, but recording 0 is an array.*" + COLUMN.format("time")),
    ],
)  # fmt: skip
def test_an_argument_in_another_form_is_an_error_that_says_how_to_write_it(recordings, arguments, words):
    with pytest.raises(ValueError, match=words):
        SlidingWindows(10).cut(recordings, **arguments)


def test_the_way_that_the_errors_name_gives_one_label_and_speed_a_sample():
    array, labels, rpm = noise(30, 2), np.repeat([0, 1, 2], 10), np.arange(30)
    frame = pd.DataFrame(array).assign(labels=labels, rpm=rpm)
    for recordings in ([frame], frame):
        X, y, _ = SlidingWindows(10).cut(recordings, labels="labels", rpm="rpm")
        np.testing.assert_array_equal(X, SlidingWindows(10).cut([array])[0])
        assert y.tolist() == [0, 1, 2]
        assert X.rpm.tolist() == [4.5, 14.5, 24.5]


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


def test_the_channel_with_most_nan_is_called_by_its_name():
    frame = pd.DataFrame(noise(100, 2), columns=["flow", "level"])
    frame["level"] = np.nan
    with pytest.raises(ValueError, match=r"most in channel 'level' \(100%\)"):
        SlidingWindows(10, sampling_rate=5).cut({"a": frame})
