"""run_job: runs over pieces of a table against one run over all of it, and runs that are cut off."""

import json
import multiprocessing
import os
import signal
import sqlite3
import time as clock
from html import escape

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sktransfer import (
    Alarms,
    BaselineScaler,
    ConditionMonitor,
    DataQualityWarning,
    SlidingWindows,
    TableFormat,
    TimeColumn,
    TransferDetector,
    make_pipeline,
    write_table,
)
from sktransfer.monitoring.job import JobLockedError, run_job
from sktransfer.monitoring.job_state import FILE, JobState
from sktransfer.monitoring.status_page import status_page
from sktransfer.monitoring.status_report import status_json, status_table, status_text

pytestmark = [
    pytest.mark.filterwarnings("error:The state of the job:sktransfer.DataQualityWarning"),
    pytest.mark.filterwarnings("ignore:Alarms. 0.1 alarms a day:sktransfer.DataQualityWarning"),
    pytest.mark.filterwarnings("ignore:TransferDetector. a rate of:sktransfer.DataQualityWarning"),
]
MINUTE = pd.Timedelta(minutes=1)
BEGIN = pd.Timestamp("2026-03-28 22:00", tz="UTC")  # the night in which clocks in Berlin go forward


def plant(seed, n=600, begin=BEGIN):
    """Two machines, one row a minute; a fault of "b" from row 300 to 420, a stuck sensor of "a" from row 400 on."""
    rng, frames = np.random.default_rng(seed), []
    for name, level in (("a", 100), ("b", 50)):
        values = rng.normal(size=(n, 2)) + [level, 5]
        frame = pd.DataFrame(values, columns=["p", "T"]).assign(time=begin + MINUTE * np.arange(n), machine=name)
        frames.append(frame)
    frames[1].loc[300:419, "p"] += 8
    frames[0].loc[400:, "T"] = 5.5
    return pd.concat(frames, ignore_index=True)


def healthy(n=2000):
    """Rows before BEGIN, of the same two machines."""
    table = plant(0, n, BEGIN - MINUTE * n)
    row = table.groupby("machine").cumcount()
    table.loc[(table["machine"] == "b") & row.between(300, 419), "p"] -= 8
    table.loc[(table["machine"] == "a") & (row >= 400), "T"] = np.random.default_rng(5).normal(5, 1, n - 400)
    return table


@pytest.fixture(scope="module", params=["rows", "windows"])
def model(request):
    form = TableFormat({"p": "bar", "T": "C"}, time=TimeColumn("time"), machine="machine")
    if request.param == "rows":
        detector = make_pipeline(BaselineScaler(), TransferDetector())
        return ConditionMonitor(detector, form, alarms=Alarms(filter="ewma", on_delay=3)).fit(healthy())
    windows, detector = SlidingWindows(20, 5), make_pipeline(BaselineScaler(), TransferDetector())
    return ConditionMonitor(detector, form, windows=windows, alarms=Alarms(on_delay=2, off_delay=4)).fit(healthy())


def assert_only_alarms_stay(before, status):
    """Without data a machine has no data, but for one that was in alarm before, which stays so."""
    before, status = before.set_index("machine"), status.set_index("machine")
    alarm = before["alarm"][status.index]
    assert status["alarm"].equals(alarm)
    assert (status["status"][~alarm] == "NO DATA").all()
    assert (status["status"][alarm] == before["status"][status.index][alarm]).all()
    assert status["quality"][alarm].str.startswith("alarm before data stopped").all()
    assert status["since"][alarm].equals(before["since"][status.index][alarm])
    assert status["no_data"].all()


def spoilt(seed=1):
    table = plant(seed)
    table.loc[[50, 51, 52, 700], "T"] = np.nan
    return table.drop(index=[*range(150, 190), *range(900, 905)]).reset_index(drop=True)


def kept(folder):
    state = JobState(folder, "m1")
    machine, time, cells = state.tail(["p", "T"])
    found = state.samples(), state.machines(), cells.assign(machine=machine, time=time)
    state.close()
    return found


def assert_equal_states(one, other):
    pd.testing.assert_frame_equal(one[0], other[0])
    assert one[1] == other[1]
    pd.testing.assert_frame_equal(one[2], other[2])


@pytest.mark.filterwarnings("ignore:BaselineScaler. the columns:sktransfer.DataQualityWarning")
@pytest.mark.parametrize("seed", range(3))
def test_runs_over_pieces_remember_what_one_run_over_all_does(model, tmp_path, seed):
    """Pieces that overlap, come twice, or bring rows late, but not later than stated."""
    table, rng = spoilt(), np.random.default_rng(seed)
    end = table["time"].max() + MINUTE
    whole = run_job(model, table, tmp_path / "whole", model_id="m1", late=1800, now=end)
    cuts = [*np.sort(rng.choice(np.arange(20, 580), 7, replace=False)), 600]
    late = table.sample(frac=0.1, random_state=seed).index
    due = (table["time"] - BEGIN) / MINUTE
    shown = due + np.where(table.index.isin(late), rng.integers(1, 29, len(table)), 0)  # minutes after its time
    start = 0
    for stop in cuts:
        rows = table[(shown < stop) & (shown >= start - rng.integers(0, 40))]
        if stop == 600:
            rows = table[shown >= start - 5]  # the last run brings what is late
        for _ in range(2):  # the same table twice
            last = run_job(model, rows, tmp_path / "pieces", model_id="m1", late=1800, now=BEGIN + MINUTE * int(stop))
        start = stop
    samples, machines, _ = kept(tmp_path / "whole")
    assert_equal_states(kept(tmp_path / "pieces"), (samples, machines, kept(tmp_path / "whole")[2]))
    assert last.n_too_late == 0
    pd.testing.assert_frame_equal(last.status.drop(columns="age"), whole.status.drop(columns="age"))
    # and one run says what the model says of the table
    of_model = model.predict(table)
    np.testing.assert_array_equal(samples["alarm"], of_model["alarm"])
    assert samples["state"].tolist() == of_model["state"].tolist()
    assert samples["sensors"].tolist() == of_model["sensors"].tolist()
    assert samples["quality"].tolist() == of_model["quality"].tolist()


def test_the_same_table_again_changes_nothing(model, tmp_path):
    table = plant(1)
    first = run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    before = kept(tmp_path)
    again = run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    assert_equal_states(kept(tmp_path), before)
    pd.testing.assert_frame_equal(first.status, again.status)
    assert again.n_samples < first.n_samples  # of the last hour alone


def test_rows_that_come_too_late_are_counted_and_left_out(model, tmp_path):
    table = plant(1, 300)
    hidden = (table["machine"] == "a") & table["time"].between(BEGIN + 218 * MINUTE, BEGIN + 219 * MINUTE)
    run_job(model, table[~hidden], tmp_path, model_id="m1", late=3600, now=table["time"].max())
    before = kept(tmp_path)[0]
    report = run_job(model, table, tmp_path, model_id="m1", late=3600, now=table["time"].max())
    assert report.n_too_late > 0
    pd.testing.assert_frame_equal(kept(tmp_path)[0], before)


def test_a_run_that_fails_leaves_the_state_as_it_was(model, tmp_path, monkeypatch):
    table = plant(1)
    early = table[table["time"] < BEGIN + 200 * MINUTE]
    run_job(model, early, tmp_path, model_id="m1", now=BEGIN + 200 * MINUTE)
    before = kept(tmp_path)

    def fails(self, *rows):
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(JobState, "write_tail", fails)  # the last but one thing that is written
        with pytest.raises(OSError, match="no space left"):
            run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    assert_equal_states(kept(tmp_path), before)
    run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    run_job(model, early, tmp_path / "other", model_id="m1", now=BEGIN + 200 * MINUTE)
    run_job(model, table, tmp_path / "other", model_id="m1", now=table["time"].max())
    assert_equal_states(kept(tmp_path), kept(tmp_path / "other"))


def _run_slowly(model, table, folder):
    def slow(self, *rows):
        clock.sleep(60)

    JobState.write_tail = slow
    run_job(model, table, folder, model_id="m1", now=table["time"].max())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the child is forked")
def test_a_run_that_is_killed_frees_its_lock_and_leaves_the_state_as_it_was(model, tmp_path):
    table = plant(1, 300)
    run_job(model, table[table["time"] < BEGIN + 100 * MINUTE], tmp_path, model_id="m1", now=BEGIN + 100 * MINUTE)
    before = kept(tmp_path)
    child = multiprocessing.get_context("fork").Process(target=_run_slowly, args=(model, table, tmp_path))
    child.start()
    # Nothing runs here until the child is inside its transaction: a child that finds the lock taken does not start.
    for _ in range(600):
        if (tmp_path / f"{FILE}-journal").exists():
            break
        clock.sleep(0.05)
    with pytest.raises(JobLockedError):
        run_job(model, table.iloc[:2], tmp_path, model_id="other", now=BEGIN)
    os.kill(child.pid, signal.SIGKILL)
    child.join(10)
    assert_equal_states(kept(tmp_path), before)
    run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    assert len(kept(tmp_path)[0]) > len(before[0])


def test_a_run_that_ends_before_its_report_is_told_of_by_the_next(model, tmp_path):
    table = plant(1)  # of two days; the first one is final after the run
    now, told = table["time"].max(), []

    def fails(report):
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        run_job(model, table, tmp_path, model_id="m1", now=now, write=fails)
    run_job(model, table, tmp_path, model_id="m1", now=now, write=told.append)
    assert list(told[0].days) == ["2026-03-28", "2026-03-29"]
    whole = pd.concat(told[0].days.values()).sort_values(["machine", "time"], ignore_index=True)
    pd.testing.assert_frame_equal(whole, kept(tmp_path)[0])
    run_job(model, table, tmp_path, model_id="m1", now=now, write=told.append)
    assert list(told[1].days) == ["2026-03-29"]


def test_a_file_without_news_renews_the_status(model, tmp_path):
    table, state = plant(1, 300), tmp_path / "state"
    (tmp_path / "empty.csv").write_text("time,machine,p,T\n", encoding="utf-8")
    with pytest.warns(DataQualityWarning, match="no complete row"):
        nothing = run_job(model, tmp_path / "empty.csv", state, model_id="m1", now=BEGIN)
    assert nothing.status["status"].tolist() == ["NO DATA"] * 2
    first = run_job(model, table, state, model_id="m1", now=table["time"].max())
    before, later = kept(state), table["time"].max() + pd.Timedelta(hours=5)
    with pytest.warns(DataQualityWarning, match="Nothing new was judged"):
        report = run_job(model, tmp_path / "empty.csv", state, model_id="m1", now=later)
    assert_only_alarms_stay(first.status, report.status)
    assert_equal_states(kept(state), before)
    with pytest.warns(DataQualityWarning, match="1 of 2 files hold no row"):
        run_job(model, [tmp_path / "empty.csv", table], state, model_id="m1", now=later)
    assert_equal_states(kept(state), before)


def test_days_are_forgotten_whole_and_never_before_they_were_told_of(model, tmp_path):
    table, told = plant(1, 2000), []
    run_job(model, table, tmp_path, model_id="m1", keep_days=0.01, now=table["time"].max(), write=told.append)
    assert sum(len(day) for day in told[0].days.values()) == len(model.samples(table))
    report = run_job(model, table, tmp_path, model_id="m1", keep_days=0.01, now=table["time"].max(), write=told.append)
    assert report.n_too_late == 0
    last = table["time"].max().floor("D")
    assert kept(tmp_path)[0]["time"].min() >= last
    pd.testing.assert_frame_equal(told[1].days[last.strftime("%Y-%m-%d")], told[0].days[last.strftime("%Y-%m-%d")])


@pytest.mark.parametrize("options", [{"sampling_rate": 1 / 120}, {"on_irregular": "resample"}])
def test_windows_that_depend_on_where_a_table_begins_are_refused(tmp_path, options):
    form = TableFormat({"p": "bar", "T": "C"}, time=TimeColumn("time"), machine="machine")
    monitor = ConditionMonitor(TransferDetector(), form, windows=SlidingWindows(20, 5, **options)).fit(healthy())
    assert len(monitor.predict(plant(1, 300)))
    with pytest.raises(ValueError, match="resampled from rows that are 60 s apart"):
        run_job(monitor, plant(1, 300), tmp_path, model_id="m1", now=BEGIN + MINUTE * 300)


def test_a_clock_that_was_set_back_is_no_sign_of_health(model, tmp_path):
    table = plant(1, 300)
    first = run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    assert_only_alarms_stay(first.status, run_job(model, table[:2], tmp_path, model_id="m1", now=BEGIN + MINUTE).status)


def test_sensors_may_have_any_name(tmp_path):
    names = {"p": "machine", "T": "time"}
    form = TableFormat(list(names.values()), time=TimeColumn("t"), machine="pump")
    rename = names | {"time": "t", "machine": "pump"}
    monitor = ConditionMonitor(make_pipeline(BaselineScaler(), TransferDetector()), form).fit(
        healthy().rename(columns=rename)
    )
    table = plant(1, 300).rename(columns=rename)
    run_job(monitor, table.iloc[:250], tmp_path, model_id="m1", now=table["t"].max())
    assert run_job(monitor, table, tmp_path, model_id="m1", now=table["t"].max()).n_samples > 0


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_a_state_that_cannot_be_read_is_put_aside(model, tmp_path, content):
    table = plant(1, 300)
    run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    good = kept(tmp_path)
    (tmp_path / FILE).write_bytes(content)
    if content:
        with pytest.warns(DataQualityWarning, match=r"damaged.*renamed to state.sqlite.quarantined-1"):
            run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
        assert (tmp_path / f"{FILE}.quarantined-1").read_bytes() == content
    else:  # an empty file is a fresh one
        run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    assert_equal_states(kept(tmp_path), good)


def test_a_state_of_a_newer_version_is_put_aside(model, tmp_path):
    table = plant(1, 300)
    run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.warns(DataQualityWarning, match="it has format 99, and this version knows 1"):
        run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())


def test_machines_without_news_have_no_data_and_alarms_come_first(model, tmp_path):
    table = plant(1)
    table = table[table["time"] < BEGIN + 400 * MINUTE]
    first = run_job(model, table, tmp_path, model_id="m1", now=BEGIN + MINUTE * 401)
    status = first.status.set_index("machine")
    assert status.index.tolist() == ["b", "a"]
    assert status.loc["b", "status"] == "Out of specification"
    assert BEGIN + 300 * MINUTE <= status.loc["b", "since"] < BEGIN + 330 * MINUTE
    assert status.loc["b", "sensors"].startswith("p high")
    assert status.loc["a", "status"] == "Normal"
    later = run_job(model, table.iloc[:1], tmp_path, model_id="m1", max_age=600, now=BEGIN + 500 * MINUTE).status
    assert_only_alarms_stay(first.status, later)
    assert later["status"].tolist() == ["Out of specification", "NO DATA"]
    assert later["age"].between(100 * 60, 106 * 60).all()


@pytest.mark.parametrize("late", [0, 1800])
def test_an_alarm_stays_until_data_that_are_healthy_come(model, tmp_path, late):
    """The machine fails and falls silent, for longer than samples are looked at, and for longer than they are kept."""
    table = plant(1)
    silent = table[(table["machine"] == "a") | (table["time"] < BEGIN + 400 * MINUTE)]
    options = {"model_id": "m1", "late": late, "keep_days": 1.0}
    first = run_job(model, silent, tmp_path, now=table["time"].max(), **options).status.set_index("machine").loc["b"]
    assert first["alarm"]
    for days in range(1, 6):
        rows = plant(10 + days, 300, BEGIN + pd.Timedelta(days=days))
        rows = rows[rows["machine"] == "a"]
        report = run_job(model, rows, tmp_path, now=rows["time"].max(), **options)
    found = report.status.set_index("machine").loc["b"]
    assert found[["status", "alarm", "since", "state", "sensors", "last"]].equals(
        first[["status", "alarm", "since", "state", "sensors", "last"]]
    )
    assert found["quality"] == "alarm before data stopped"
    assert report.n_alarms >= 1
    line = next(one for one in status_text(report, model_name="m").splitlines() if one.startswith("b"))
    assert line.startswith("b  Out of specification  since 2026-03-29 03:")
    assert line.endswith(f"no good data since {found['last']:%Y-%m-%d %H:%M} UTC")
    # rows that cannot be judged are no sign of health either
    later = BEGIN + pd.Timedelta(days=6)
    bad = plant(20, 120, later).query("machine == 'b'").assign(T=np.nan)
    assert run_job(model, bad, tmp_path, now=bad["time"].max(), **options).status.set_index("machine").loc["b", "alarm"]
    # with healthy ones it ends after its off-delay
    rows = plant(21, 200, bad["time"].max() + MINUTE).query("machine == 'b'")
    report = run_job(model, rows, tmp_path, now=rows["time"].max(), **options)
    assert report.status.set_index("machine").loc["b", "status"] == "Normal"
    samples = kept(tmp_path)[0].query("machine == 'b' and state != 'NO_DATA' and time >= @later")
    off = int(np.flatnonzero(~samples["alarm"])[0])
    assert off == model.alarms_.off_delay - 1
    assert not samples["alarm"].iloc[off:].any()


def test_another_model_begins_anew_and_the_rows_of_the_one_before_stay(model, tmp_path):
    table = plant(1, 300)
    run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    before = kept(tmp_path)
    run_job(model, table, tmp_path, model_id="m2", now=table["time"].max())
    assert_equal_states(kept(tmp_path), before)


def test_the_watermark_never_goes_back_and_old_samples_are_forgotten(model, tmp_path):
    table = plant(1)
    run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    marks = {name: one.watermark for name, one in kept(tmp_path)[1].items()}
    run_job(model, table[table["time"] < BEGIN + 100 * MINUTE], tmp_path, model_id="m1", now=BEGIN + 100 * MINUTE)
    assert {name: one.watermark for name, one in kept(tmp_path)[1].items()} == marks
    run_job(model, table, tmp_path, model_id="m1", keep_days=0.1, now=table["time"].max())
    first = (table["time"].max() - pd.Timedelta(days=0.1)).floor("D")  # days are kept whole
    assert first <= kept(tmp_path)[0]["time"].min() < first + 5 * MINUTE


def test_rows_of_another_rate_are_said_to_be(model, tmp_path):
    table = plant(1, 300)
    with pytest.warns(DataQualityWarning, match="are 600 s apart, those of the fit 60 s"):
        run_job(model, table.iloc[::10], tmp_path, model_id="m1", now=table["time"].max())


@pytest.mark.parametrize("labels", [(0, 1), (False, True), (1, -1)])
def test_an_alarm_of_a_class_that_is_no_text_is_one_of_a_known_fault(tmp_path, labels):
    table = healthy()
    faulty = table.groupby("machine").cumcount() % 200 >= 150
    table.loc[faulty, "p"] += 8
    table["label"] = np.where(faulty, labels[1], labels[0])
    form = TableFormat({"p": "bar", "T": "C"}, time=TimeColumn("time"), machine="machine")
    classifier = make_pipeline(BaselineScaler(normal_label=labels[0]), LogisticRegression())
    monitor = ConditionMonitor(classifier, form, normal_label=labels[0]).fit(table, "label")
    rows = plant(1, 400)
    status = run_job(monitor, rows, tmp_path, model_id="m1", now=rows["time"].max()).status.set_index("machine")
    assert status["status"].to_dict() == {"b": "Maintenance required", "a": "Normal"}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("late", value) for value in (-1.0, np.nan, np.inf)),
        *(("keep_days", value) for value in (-1.0, np.nan)),
        ("max_age", np.nan),
        ("now", "NaT"),
        ("now", "nonsense"),
    ],
)
def test_spans_and_times_that_mean_nothing_are_refused_before_anything_is_written(model, tmp_path, argument, value):
    table = plant(1, 30)
    with pytest.raises(ValueError, match=f"^{argument} must be"):
        run_job(model, table, tmp_path / "job", model_id="m1", **{"now": table["time"].max(), argument: value})
    assert not (tmp_path / "job").exists()


def test_a_row_in_the_future_does_not_make_all_others_too_late(model, tmp_path):
    table, spoilt = plant(1, 60), plant(1, 60)
    spoilt.loc[5, "time"] += pd.Timedelta(days=3650)
    with pytest.raises(ValueError, match="1 of 120 rows lie after the time of the run"):
        run_job(model, spoilt, tmp_path, model_id="m1", now=table["time"].max())
    assert run_job(model, table, tmp_path, model_id="m1", now=table["time"].max()).n_too_late == 0


def numbered(table, kind):
    """The same table with the numbers 1 and 2 as machines, read in another way."""
    return table.assign(machine=pd.Series(np.where(table["machine"] == "a", 1, 2), index=table.index).astype(kind))


@pytest.mark.filterwarnings("error:ConditionMonitor has no baseline:sktransfer.DataQualityWarning")
def test_a_machine_is_one_whether_its_number_was_read_as_a_whole_number_a_float_or_text(tmp_path):
    """A missing cell in a column of whole numbers makes floats of all of them."""
    form = TableFormat({"p": "bar", "T": "C"}, time=TimeColumn("time"), machine="machine")
    detector = make_pipeline(BaselineScaler(), TransferDetector())
    models = {kind: ConditionMonitor(detector, form).fit(numbered(healthy(600), kind)) for kind in (int, float, str)}
    assert [one.machines_ for one in models.values()] == [["1", "2"]] * 3
    table = plant(1, 120)
    expected = models[int].predict(numbered(table, int))
    for kind, model in models.items():
        pd.testing.assert_frame_equal(model.predict(numbered(table, float)), expected)
        pd.testing.assert_frame_equal(model.predict(numbered(table, "Int64")), expected)
        for number, read_as in enumerate((int, float, object, str)):
            piece = numbered(table, read_as)[table["time"] < BEGIN + 30 * (number + 1) * MINUTE]
            report = run_job(model, piece, tmp_path / str(kind), model_id="m1", now=piece["time"].max())
        assert sorted(report.status["machine"]) == ["1", "2"]
        pd.testing.assert_frame_equal(kept(tmp_path / str(kind))[0][expected.columns], expected, check_dtype=False)


def test_a_float_in_place_of_a_number_in_a_file_is_asked_about():
    form = TableFormat({"p": "bar", "T": "C"}, time=TimeColumn("time"), machine="machine")
    model = ConditionMonitor(make_pipeline(BaselineScaler(), TransferDetector()), form)
    model.fit(numbered(healthy(600), str))
    written = numbered(plant(1, 10), float).astype({"machine": str})
    with pytest.warns(DataQualityWarning, match="Is '1.0' the machine '1', written as a float?"):
        model.predict(written)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a\nb", r"'a\\nb' holds '\\n', which is no character to print"),
        ("a\x00b", r"holds '\\x00'"),
        ("\udcff", r"'\\udcff' holds"),
        ("\x1b[2J", r"holds '\\x1b'"),
        ("x" * 300, "has 300 characters, more than 200"),
        ("", "15 rows name no machine"),
        (" ", "15 rows name no machine"),
        (1e300, "an id of a machine .* 1e\\+300 is a float, and as such no exact number"),
    ],
)
def test_a_machine_that_cannot_be_named_in_reports_is_refused_by_fit_predict_and_job(model, tmp_path, name, words):
    def spoil(table):
        table["machine"] = table["machine"].astype(object)
        table.loc[:14, "machine"] = name
        return table

    table = spoil(plant(1, 60))
    for act in (
        lambda: ConditionMonitor(model.estimator, model.table_format).fit(spoil(healthy(600))),
        lambda: model.predict(table),
        lambda: run_job(model, table, tmp_path, model_id="m1", now=table["time"].max()),
    ):
        with pytest.raises(ValueError, match=words):
            act()


def test_a_sensor_or_label_that_cannot_be_named_in_reports_is_refused_by_fit(model):
    form = TableFormat(["p\n", "T"], time=TimeColumn("time"), machine="machine")
    detector = make_pipeline(BaselineScaler(), TransferDetector())
    with pytest.raises(ValueError, match=r"the sensor 'p\\n' cannot be named in reports: it holds '\\n'"):
        ConditionMonitor(detector, form).fit(healthy(600).rename(columns={"p": "p\n"}))
    labelled = healthy(600)
    labelled["label"] = pd.Series(["ok\udcff"] * len(labelled), dtype=object)
    with pytest.raises(ValueError, match=r"the label 'ok\\udcff' cannot be named in reports"):
        ConditionMonitor(detector, model.table_format, normal_label="ok\udcff").fit(labelled, "label")


def test_names_of_every_script_and_length_stand_in_every_report(tmp_path):
    names = {"a": 'Pumpe 7, "Süd"; <b>', "b": "ポンプ" + "x" * 190}
    form = TableFormat({"p": "bar", "T": "C"}, time=TimeColumn("time"), machine="machine")
    rename = {"machine": names}
    monitor = ConditionMonitor(make_pipeline(BaselineScaler(), TransferDetector()), form)
    monitor.fit(healthy(600).replace(rename))
    table = plant(1, 320).replace(rename)
    report = run_job(monitor, table, tmp_path, model_id="m1", now=table["time"].max())
    assert sorted(report.status["machine"]) == sorted(names.values())
    text = status_text(report, model_name="m")
    assert all(sum(line.startswith(name) for line in text.splitlines()) == 1 for name in names.values())
    read = json.loads(status_json(report, model_name="m"))
    assert {one["machine"] for one in read["machines"]} == set(names.values())
    back = pd.read_csv(write_table(status_table(report), tmp_path / "status.csv"))
    assert set(back["machine"]) == set(names.values())
    page = status_page(report, model_name="m")
    assert "<b>" not in page
    assert all(escape(name) in page for name in names.values())


def test_a_fleet_at_once_is_judged_as_its_machines_one_by_one(model, tmp_path):
    """Many machines share one prediction and one explanation; the results are those of a job of each machine."""
    table = spoilt(2)
    pieces = [table[table["time"] < BEGIN + 200 * MINUTE], table[table["time"] > BEGIN + 100 * MINUTE]]
    for piece in pieces:
        whole = run_job(model, piece, tmp_path / "all", model_id="m1", now=piece["time"].max())
    samples, machines, tail = kept(tmp_path / "all")
    for name in ("a", "b"):
        for piece in pieces:
            own = piece[piece["machine"] == name]
            one = run_job(model, own, tmp_path / name, model_id="m1", now=piece["time"].max())
        found = kept(tmp_path / name)
        pd.testing.assert_frame_equal(found[0], samples[samples["machine"] == name].reset_index(drop=True))
        assert found[1][name] == machines[name]
        pd.testing.assert_frame_equal(found[2], tail[tail["machine"] == name].reset_index(drop=True))
        status, expected = (each.status.set_index("machine").loc[name] for each in (one, whole))
        pd.testing.assert_series_equal(status, expected)


def test_the_calls_of_a_run_do_not_grow_with_the_number_of_machines(model, tmp_path, monkeypatch):
    """A call a machine is what made a fleet slow."""
    calls = {}

    def counting(owner, name):
        first = getattr(owner, name)

        def count(*arguments, **options):
            calls[name] = calls.get(name, 0) + 1
            return first(*arguments, **options)

        monkeypatch.setattr(owner, name, count)

    for owner, name in ((ConditionMonitor, "_ask"), (ConditionMonitor, "reasons"), (Alarms, "update")):
        counting(owner, name)
    for name in ("to_numpy", "__getitem__"):
        counting(pd.DataFrame, name)
    found = []
    for n in (2, 40):
        fleet = pd.concat([healthy(450).query("machine == 'b'").assign(machine=f"m{k:02}") for k in range(n)])
        monitor = ConditionMonitor(model.estimator, model.table_format, windows=model.windows).fit(fleet)
        table = pd.concat([plant(k, 90).query("machine == 'b'").assign(machine=f"m{k:02}") for k in range(n)])
        table["p"] += np.where(table["time"] > BEGIN + 60 * MINUTE, 8.0, 0.0)
        calls.clear()
        report = run_job(monitor, table, tmp_path / str(n), model_id="m1", now=table["time"].max())
        assert report.n_alarms == n
        found.append(dict(calls))
    assert found[0] == found[1]
