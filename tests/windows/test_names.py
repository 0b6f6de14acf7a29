"""Entries of recordings go by id and channels by name, never by position where there are names."""

import numpy as np
import pandas as pd
import polars
import pytest

from sktransfer import BearingGeometry, DataQualityWarning, SlidingWindows
from tests.helpers import noise

IDS = ["a", "b", "c"]
TRUE = {
    "labels": {"a": "ok", "b": "leak", "c": "wear"},
    "rpm": {"a": 600.0, "b": 900.0, "c": 1200.0},
    "machine": {"a": "pump", "b": "fan", "c": "motor"},
    "from_rate": {"a": 10.0, "b": 20.0, "c": 40.0},
    "orders": {name: BearingGeometry(8 + i, 6.7, 28.5) for i, name in enumerate(IDS)},
    "time": {name: np.arange(80) / 10 + i for i, name in enumerate(IDS)},
}


def recordings(kind):
    arrays = {name: noise(80, 2, seed=i) for i, name in enumerate(IDS)}
    if kind == "arrays":
        return arrays
    frames = {name: pd.DataFrame(array, columns=["p", "q"]) for name, array in arrays.items()}
    if kind == "frames":
        return frames
    if kind == "polars":
        return {name: polars.DataFrame(frame.to_dict("list")) for name, frame in frames.items()}
    return pd.concat([frame.assign(run=name) for name, frame in frames.items()])


def cut(given, what, argument, **more):
    arguments = {} if not isinstance(given, pd.DataFrame) else {"recording": "run"}
    arguments |= {"return_machines": True} if what == "machine" else {}
    X, y, groups, *machines = SlidingWindows(20, sampling_rate=10).cut(given, **{what: argument}, **arguments, **more)
    return [X, X.time, X.rpm, X.orders, groups, *([y] if y is not None else []), *machines]


@pytest.mark.parametrize("what", TRUE)
@pytest.mark.parametrize("kind", ["arrays", "frames", "polars", "long frame"])
def test_a_series_with_the_ids_as_index_goes_by_id_in_any_order(what, kind):
    expected = cut(recordings(kind), what, TRUE[what])
    entries = pd.Series(TRUE[what])
    for order in (IDS, IDS[::-1], ["c", "a", "b"]):
        found = cut(recordings(kind), what, entries[order])
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    more = pd.concat([entries[IDS[::-1]], pd.Series({"d": entries["a"]})])  # as a dict may have more
    np.testing.assert_array_equal(cut(recordings(kind), what, more)[0], expected[0])


@pytest.mark.parametrize("what", TRUE)
def test_a_series_whose_index_names_other_recordings_is_refused(what):
    entries = pd.Series(TRUE[what])
    for index in (["a", "b", "d"], [10, 11, 12], ["a", "b", "b"]):
        with pytest.raises(ValueError, match=rf"{what} is a Series with the index.*are \['a', 'b', 'c'\].*set_axis"):
            cut(recordings("arrays"), what, entries.set_axis(index))
    with pytest.raises(ValueError, match=rf"{what} is a Series with the index.*set_axis"):
        cut(recordings("arrays"), what, pd.concat([entries, entries[:1]]))  # two entries of one recording


def test_numbered_recordings_and_a_numbered_series():
    runs = {number: noise(40, seed=number) for number in (2, 0, 1)}
    labels = pd.Series(["zero", "one", "two"])  # its index is the ids
    _, y, groups = SlidingWindows(20).cut(runs, labels)
    assert dict(zip(groups.tolist(), y.tolist(), strict=True)) == {0: "zero", 1: "one", 2: "two"}
    runs = {number: noise(40, seed=number) for number in (3, 1, 2)}
    with pytest.raises(ValueError, match=r"index \[0, 1, 2\], but the recordings are \[3, 1, 2\]"):
        SlidingWindows(20).cut(runs, labels)  # some numbers are ids: are they meant?
    by_run = pd.DataFrame({"run": [1, 1, 2, 3], "label": list("xxyz")}).groupby("run")["label"].first()
    _, y, groups = SlidingWindows(20).cut(runs, by_run)
    assert dict(zip(groups.tolist(), y.tolist(), strict=True)) == {1: "x", 2: "y", 3: "z"}


def test_a_series_without_names_and_one_of_polars_are_lists():
    for labels in (pd.Series(["x", "y", "z"]), polars.Series(["x", "y", "z"]), np.array(["x", "y", "z"])):
        _, y, groups = SlidingWindows(80).cut(recordings("arrays"), labels)
        assert (y.tolist(), groups.tolist()) == (["x", "y", "z"], IDS)


def test_a_frame_of_labels_goes_by_its_only_column_or_is_refused():
    labels = pd.Series(TRUE["labels"], name="label")[IDS[::-1]].to_frame()
    _, y, _ = SlidingWindows(80).cut(recordings("arrays"), labels)
    assert y.tolist() == list(TRUE["labels"].values())
    with pytest.raises(ValueError, match=r"labels is a frame with the columns \['label', 'load'\].*frame\['name'\]"):
        SlidingWindows(80).cut(recordings("arrays"), labels.assign(load=1))


NAMED = {"FTF": 0.4, "BSF": 2.3, "BPFI": 5.4, "BPFO": 3.6}


@pytest.mark.parametrize(
    "orders",
    [
        NAMED,
        pd.Series(NAMED),
        pd.Series(NAMED)[::-1].rename(str.lower),
        dict.fromkeys(IDS, NAMED),
        [pd.Series(NAMED)] * 3,
        pd.DataFrame([NAMED] * 3, index=IDS[::-1]),
        pd.DataFrame([[3.6, 5.4, 2.3, 0.4]] * 3, index=IDS),
        polars.DataFrame([NAMED] * 3),
        [3.6, 5.4, 2.3, 0.4],
        pd.Series([3.6, 5.4, 2.3, 0.4]),
    ],
)
def test_fault_orders_with_names_go_by_name(orders):
    X, _, _ = SlidingWindows(80).cut(recordings("arrays"), orders=orders)
    assert X.orders.tolist() == [[3.6, 5.4, 2.3, 0.4]] * 3


def test_rows_of_a_frame_of_orders_go_by_id_and_other_names_are_refused():
    frame = pd.DataFrame({key: value + np.arange(3) for key, value in NAMED.items()}, index=["c", "a", "b"])
    X, _, _ = SlidingWindows(80).cut(recordings("arrays"), orders=frame)
    np.testing.assert_allclose(X.orders[:, 0], [4.6, 5.6, 3.6])
    with pytest.raises(ValueError, match=r"orders of recording 'a' have the names \['x', .*expected \['BPFO', 'BPFI'"):
        SlidingWindows(80).cut(recordings("arrays"), orders=frame.set_axis(list("xyzw"), axis=1))


def test_stamps_in_a_series_go_by_the_index_of_the_frame():
    frame = pd.DataFrame({"p": noise(40)}, index=np.arange(40)[::-1] + 5)
    stamps = pd.Series(np.arange(40) / 10, index=np.arange(40) + 5)  # row 5 first, which the frame has last
    with pytest.warns(DataQualityWarning, match="not in the order of time"):
        X, _, _ = SlidingWindows(20).cut([frame], time=[stamps])
    np.testing.assert_array_equal(X[0, 0], frame["p"].to_numpy()[::-1][:20].astype(np.float32))
    X, _, _ = SlidingWindows(20).cut([frame], time=[stamps.reset_index(drop=True)])  # no names: by position
    np.testing.assert_array_equal(X[0, 0], frame["p"].to_numpy()[:20].astype(np.float32))
    with pytest.raises(ValueError, match="a Series with another index than the recording"):
        SlidingWindows(20).cut([frame], time=[stamps.set_axis(np.arange(40) + 6)])


# ---- channels


@pytest.mark.parametrize("kind", ["frames", "polars", "long frame"])
def test_windows_know_the_names_of_their_columns(kind):
    given = recordings(kind)
    more = {"recording": "run"} if kind == "long frame" else {}
    assert SlidingWindows(20).cut(given, **more)[0].channels == ("p", "q")
    X, _, _ = SlidingWindows(20).cut(given, channels=["q", "p"], **more)
    assert X.channels == ("q", "p")
    np.testing.assert_array_equal(X[:, 0], SlidingWindows(20).cut(given, channels="q", **more)[0][:, 0])


@pytest.mark.parametrize(
    "columns",
    [[3, 1], [("flow", "in"), ("flow", "out")], [np.int64(7), "p"], pd.MultiIndex.from_tuples([(1, 2), (1, 3)])],
)
def test_names_may_be_numbers_and_tuples(columns):
    frame = pd.DataFrame(noise(40, 2), columns=columns)
    assert SlidingWindows(20).cut(frame)[0].channels == tuple(columns)
    swapped = frame[list(columns)[::-1]]
    assert SlidingWindows(20).cut(swapped)[0].channels == tuple(columns)[::-1]


def test_numbers_that_pandas_gave_are_no_names():
    assert SlidingWindows(20).cut([noise(40, 2)])[0].channels is None
    assert SlidingWindows(20).cut([pd.DataFrame(noise(40, 2))])[0].channels is None
    assert SlidingWindows(20).cut([pd.Series(noise(40))])[0].channels is None
    assert SlidingWindows(20).cut([pd.Series(noise(40), name="p")])[0].channels == ("p",)
    assert SlidingWindows(20).cut([pd.DataFrame(noise(40, 2), columns=list("pq")), noise(40, 2)])[0].channels is None


def test_columns_that_the_first_recording_lacks_are_said(recwarn):
    given = recordings("frames")
    given["b"], given["c"] = given["b"].assign(r=1.5), given["c"].assign(r=2.5, t=np.arange(80) / 10)
    says = r"the columns \['r', 't'\] of 2 of 3 recordings are left out: recording 'a' has none"
    with pytest.warns(DataQualityWarning, match=says):
        X, _, _ = SlidingWindows(20).cut(given)
    assert X.channels == ("p", "q")
    recwarn.clear()
    SlidingWindows(20).cut(given, channels=["p", "q"])
    SlidingWindows(20).cut({"c": given["c"].drop(columns="r")}, time="t")
    assert not recwarn.list


def test_channels_of_arrays_can_be_named():
    X, _, _ = SlidingWindows(20).cut([noise(40, 2)], channels=["p", "q"])
    assert X.channels == ("p", "q")
    with pytest.raises(ValueError, match=r"channels has 1 names for recordings of 2 columns\. Of arrays, name all"):
        SlidingWindows(20).cut([noise(40, 2)], channels=["p"])


@pytest.mark.parametrize("wrap", [lambda frame: frame, lambda frame: [frame], lambda frame: {"a": frame}])
def test_a_channel_that_is_named_twice_is_refused(wrap):
    frame = pd.DataFrame(noise(40, 2), columns=["p", "q"])
    with pytest.raises(ValueError, match="channels names 'p' twice"):
        SlidingWindows(20).cut(wrap(frame), channels=["p", "q", "p"])
    with pytest.raises(ValueError, match="channels is empty"):
        SlidingWindows(20).cut(wrap(frame), channels=[])
    for columns in (["p", "p"], [1, 1], pd.MultiIndex.from_tuples([("p", 1)] * 2)):
        with pytest.raises(ValueError, match=r"has 2 columns .*Rename or drop them"):
            SlidingWindows(20).cut(wrap(frame.set_axis(columns, axis=1)))


# ---- columns that hold no signal


def plant():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 3)).cumsum(axis=0), columns=["flow", "level", "valve"])
    return frame.assign(valve=rng.integers(0, 2, 120), run=np.repeat([1, 2, 3], 40))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("label", np.repeat([0, 1, 1], 40)),
        ("faultNumber", np.repeat([0.0, 4.0, 5.0], 40)),
        ("is_anomaly", np.arange(120) > 70),
        ("state", np.arange(120) // 30),
        ("anything", np.repeat([7, 8, 8], 40)),  # one number for each label of the recordings
        ("sample number", np.r_[:40, :40, :40]),
        ("row", np.arange(120, dtype=np.int32)),
        ("Unnamed: 0", np.repeat([0, 1, 2], 40)),
        ("unit", np.arange(120) // 2),
        ("cycle", np.r_[1.0:41, 1.0:41, 1.0:41]),
        ("fault id", np.repeat([11, 3, 20, 0, 11, 4], 20)),
        ("machine_id", np.repeat([11, 12, 13], 40)),
        ("defect", np.where(np.arange(120) % 9, np.arange(120) // 50, np.nan)),
        ("ATT_FLAG", np.where(np.arange(120) > 70, 1, -999)),
        ("t_ms", np.tile(np.linspace(0, 3, 40), 3)),
        ("Timestamp", 1e5 + np.arange(120) * 0.5),
        ("t_ms", np.floor(np.arange(120) / 3) * 16.8),  # a clock that is coarser than the rate
        ("time", np.floor(np.arange(120) / 5)),
    ],
)
@pytest.mark.parametrize("kind", ["long frame", "frames", "polars"])
def test_a_column_of_labels_or_ids_that_became_a_channel_is_said(column, values, kind):
    frame = plant().assign(**{column: values})
    more = {"recording": "run"}
    if kind != "long frame":
        frame = {run: part.drop(columns="run") for run, part in frame.groupby("run")}
        frame = frame if kind == "frames" else {run: polars.from_pandas(part) for run, part in frame.items()}
        more = {}
    cutter = SlidingWindows(10, missing="keep")
    with pytest.warns(DataQualityWarning, match=rf"the columns \['{column}'\] became channels.*channels=\[") as caught:
        X, _, _ = cutter.cut(frame, {1: "ok", 2: "leak", 3: "leak"}, **more)
    assert len(caught) == 1
    assert X.channels == ("flow", "level", "valve", column)


def test_signals_are_no_labels(recwarn):
    frame = plant().assign(setpoint=np.repeat([20.0, 30.0, 30.0], 40), ramp=np.arange(120.0), mode_s=1.5, load=2)
    frame["T"] = np.floor(np.arange(120) / 9)  # a temperature that rises
    frame["t_ms_filtered"] = np.resize([1.0, 1.0, 2.0, 1.0, 1.0], 120)
    SlidingWindows(10).cut(frame, {1: "ok", 2: "leak", 3: "wear"}, recording="run")
    labelled = frame.assign(state=np.arange(120) // 30)
    SlidingWindows(10).cut(labelled, "state", recording="run")
    SlidingWindows(10).cut(labelled, recording="run", channels=["flow", "state"])  # selected on purpose
    SlidingWindows(10).cut(frame.drop(columns="run").assign(state=noise(120)))  # no class: 120 different numbers
    signals = {"residence time": noise(120), "unit": noise(120), "cycle": np.round(9 * noise(120)), "y": noise(120)}
    SlidingWindows(10).cut(frame.drop(columns="run").assign(**signals))
    assert not recwarn.list


# ---- groups


@pytest.mark.parametrize("wrap", [lambda array: [array], pd.DataFrame, lambda array: [pd.DataFrame(array)]])
def test_machines_that_are_cut_one_by_one_share_no_group(wrap):
    machines = [noise(60, 2, seed=seed) for seed in range(5)]
    groups = [SlidingWindows(20, 10).cut(wrap(machine))[2] for machine in machines]
    assert [len(set(group)) for group in groups] == [1] * 5
    assert len(set(np.concatenate(groups))) == 5
    again = SlidingWindows(30).cut(wrap(machines[3]))[2]
    assert set(again) == set(groups[3])  # the same recording cut twice is on one side


def test_recordings_of_a_list_have_the_groups_that_they_have_alone():
    arrays = [noise(60, 2, seed=seed) for seed in range(3)]
    _, _, groups = SlidingWindows(20).cut(arrays)
    alone = [SlidingWindows(20).cut([array])[2][0] for array in arrays]
    assert groups.tolist() == np.repeat(alone, 3).tolist()
    assert set(SlidingWindows(20).cut(dict(enumerate(arrays)))[2]) == {0, 1, 2}


def test_one_changed_sample_or_row_order_is_another_recording():
    array = noise(200_000, 2)
    changed = array.copy()
    changed[-1, 1] += 1e-6
    found = {SlidingWindows(200_000).cut([one])[2][0] for one in (array, changed, array[::-1], array[:, ::-1])}
    assert len(found) == 4


def test_the_group_of_a_machine_s_recording_does_not_depend_on_what_else_is_cut():
    frame = pd.concat([plant().assign(machine=name) for name in ("pump", "fan")])
    cut = {"recording": "run", "machine": "machine"}
    _, _, together = SlidingWindows(40).cut(frame, **cut)
    apart = [SlidingWindows(40).cut(frame[frame["machine"] == name], **cut)[2] for name in ("pump", "fan")]
    assert (
        together.tolist() == np.concatenate(apart).tolist() == [f"{m}/{r}" for m in ("pump", "fan") for r in (1, 2, 3)]
    )
    labels = {1: "ok", 2: "leak", 3: "wear"}  # by the ids of the recordings, where they are enough
    assert SlidingWindows(40).cut(frame[:120], labels, **cut)[1].tolist() == list(labels.values())
