"""run_job: runs over pieces of a table against one run over all of it, and runs that are cut off."""

import multiprocessing
import os
import signal
import sqlite3
import time as clock

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
    TableError,
    TableFormat,
    TimeColumn,
    TransferDetector,
    make_pipeline,
)
from sktransfer.monitoring.job import JobLockedError, run_job
from sktransfer.monitoring.job_state import FILE, JobState

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
    with pytest.raises(TableError, match="no complete row"):
        run_job(model, tmp_path / "empty.csv", state, model_id="m1", now=BEGIN)
    run_job(model, table, state, model_id="m1", now=table["time"].max())
    before, later = kept(state), table["time"].max() + pd.Timedelta(hours=5)
    with pytest.warns(DataQualityWarning, match="Nothing new was judged"):
        report = run_job(model, tmp_path / "empty.csv", state, model_id="m1", now=later)
    assert report.status["status"].tolist() == ["NO DATA", "NO DATA"]
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
    run_job(model, table, tmp_path, model_id="m1", now=table["time"].max())
    status = run_job(model, table.iloc[:2], tmp_path, model_id="m1", now=BEGIN + MINUTE).status
    assert status["status"].tolist() == ["NO DATA", "NO DATA"]


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
    status = run_job(model, table, tmp_path, model_id="m1", now=BEGIN + MINUTE * 401).status.set_index("machine")
    assert status.index.tolist() == ["b", "a"]
    assert status.loc["b", "status"] == "Out of specification"
    assert BEGIN + 300 * MINUTE <= status.loc["b", "since"] < BEGIN + 330 * MINUTE
    assert status.loc["b", "sensors"].startswith("p high")
    assert status.loc["a", "status"] == "Normal"
    later = run_job(model, table.iloc[:1], tmp_path, model_id="m1", max_age=600, now=BEGIN + 500 * MINUTE).status
    assert later["status"].tolist() == ["NO DATA", "NO DATA"]
    assert not later["alarm"].any()
    assert later["age"].between(100 * 60, 106 * 60).all()


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
