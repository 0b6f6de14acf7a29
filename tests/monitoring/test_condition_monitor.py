"""ConditionMonitor against its parts, put together by hand, and against tables that are not as they should be."""

import io
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.covariance import EllipticEnvelope
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from sktransfer import (
    Alarms,
    BaselineScaler,
    ConditionMonitor,
    DataQualityWarning,
    OpenSetClassifier,
    SlidingWindows,
    TableFormat,
    TimeColumn,
    TransferDetector,
    make_pipeline,
    write_table,
)

pytestmark = pytest.mark.filterwarnings("ignore:Alarms. 0.1 alarms a day:sktransfer.DataQualityWarning")
N, MINUTE = 600, 60.0
TIME = pd.date_range("2026-01-01", periods=N, freq="min", tz="UTC")
UNITS = {"p": "bar", "T": "C"}


def form(machine=None, **options):
    return TableFormat(UNITS, time=TimeColumn("time"), machine=machine, **options)


def healthy(seed=0, n=N, level=(100, 5)):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(size=(n, 2)) + level, columns=list(UNITS)).assign(time=TIME[:n])


def fleet():
    return pd.concat([healthy(1).assign(machine="a"), healthy(2, level=(50, 80)).assign(machine="b")])


def detector():
    return make_pipeline(BaselineScaler(), TransferDetector())


def test_a_detector_of_rows_is_its_parts_put_together_by_hand():
    table, new = healthy(), healthy(7, 100)
    new.loc[50:, "p"] += 9
    found = ConditionMonitor(detector(), form()).fit(table).predict(new)
    n_learned = N - round(0.3 * N)
    by_hand = detector().fit(table[["p", "T"]].iloc[:n_learned])
    held = table.iloc[n_learned:]
    alarms = Alarms().fit(by_hand.score_samples(held[["p", "T"]]), time=held["time"])
    score = by_hand.score_samples(new[["p", "T"]])
    np.testing.assert_allclose(found["score"], score)
    assert found["state"].tolist() == ["unusual" if one == -1 else "normal" for one in by_hand.predict(new[["p", "T"]])]
    np.testing.assert_array_equal(found["alarm"], alarms.transform(score, time=new["time"]))
    assert found["alarm"].iloc[52:].all()
    assert found["alarm"].iloc[:50].sum() == 0
    assert found["time"].tolist() == new["time"].tolist()
    mean, std = table["p"].iloc[:n_learned].mean(), table["p"].iloc[:n_learned].std(ddof=0)
    low, high = (f"{mean + k * std:.4g}" for k in (-3, 3))
    assert found["sensors"].iloc[60].startswith(f"p high ({new['p'].iloc[60]:.4g} bar, usual {low} to {high})")
    assert found["sensors"].iloc[0] == ""


def test_machines_have_baselines_and_alarms_of_their_own():
    monitor = ConditionMonitor(detector(), form("machine")).fit(fleet())
    assert monitor.machines_ == ["a", "b"]
    swapped = pd.concat([healthy(1, 60, (50, 80)).assign(machine="a"), healthy(2, 60, (50, 80)).assign(machine="b")])
    found = monitor.predict(swapped.sample(frac=1, random_state=0))
    assert found.groupby("machine")["alarm"].mean().tolist() == [58 / 60, 0.0]
    assert found["machine"].is_monotonic_increasing
    own = monitor.estimator_[0].healthy_baseline(2, ["a", "b"])[0]
    np.testing.assert_allclose(own, [[100, 5], [50, 80]], atol=0.2)


def test_a_machine_that_fit_did_not_see_has_no_data_and_is_said_to_have_none():
    monitor = ConditionMonitor(detector(), form("machine")).fit(fleet())
    with pytest.warns(DataQualityWarning, match=r"no baseline of \['c'\]"):
        found = monitor.predict(pd.concat([healthy(3, 5).assign(machine="c"), healthy(3, 5).assign(machine="a")]))
    assert set(found["state"].iloc[:5]) <= {"normal", "unusual"}
    assert set(found["state"].iloc[5:]) == {"NO_DATA"}
    assert set(found["quality"].iloc[5:]) == {"a machine without a baseline"}
    # an estimator that keeps no machines apart judges any of them
    plain = ConditionMonitor(make_pipeline(StandardScaler(), EllipticEnvelope(random_state=0)), form("machine"))
    with pytest.warns(DataQualityWarning, match="will not name sensors"):
        plain.fit(fleet())
    assert set(plain.predict(healthy(3, 5).assign(machine="c"))["state"]) <= {"normal", "unusual"}


def test_a_classifier_is_scored_by_the_odds_of_the_normal_class():
    table = healthy().assign(label="ok")
    table.loc[400:, "p"] += 8
    table.loc[400:, "label"] = "leak"
    model = make_pipeline(BaselineScaler(normal_label="ok"), LogisticRegression())
    monitor = ConditionMonitor(model, form(), normal_label="ok").fit(table, "label")
    assert monitor.classes_.tolist() == ["leak", "ok"]
    learned = np.r_[0:280, 400:600]  # all but the last 30 % of the healthy rows
    by_hand = clone(model).fit(table[["p", "T"]].iloc[learned], table["label"].iloc[learned])
    new = healthy(9, 40)
    new.loc[20:, "p"] += 8
    found, proba = monitor.predict(new), by_hand.predict_proba(new[["p", "T"]])
    np.testing.assert_allclose(found["score"], np.log(proba[:, 1] / proba[:, 0]), rtol=1e-3)
    np.testing.assert_allclose(found["probability"], proba.max(axis=1))
    assert found["state"].tolist() == by_hand.predict(new[["p", "T"]]).tolist()
    assert found["alarm"].iloc[22:].all()


def test_an_unknown_fault_is_an_alarm_and_never_healthy():
    """The normal class is the most probable one of a row that lies on its side, far from everything."""
    table = healthy().assign(label="ok")
    table.loc[400:, "p"] += 8
    table.loc[400:, "label"] = "leak"
    classifier = OpenSetClassifier(LogisticRegression())
    monitor = ConditionMonitor(make_pipeline(BaselineScaler(normal_label="ok"), classifier), form(), normal_label="ok")
    monitor.fit(table, "label")
    new = healthy(9, 90)
    new.loc[30:59, "p"] += 8
    new.loc[60:, "p"] -= 40
    found = monitor.predict(new)
    assert found["state"].iloc[60:].tolist() == ["unknown"] * 30
    assert found["probability"].iloc[60:].isna().all()
    model = monitor.estimator_
    proba, scaled = model.predict_proba(new[["p", "T"]]), model[0].transform(new[["p", "T"]])
    share = model[-1].unlikeness(scaled) / model[-1].limits_[proba.argmax(axis=1)]
    np.testing.assert_allclose(found["score"].iloc[60:], 10 * (1 - share[60:]))
    assert not found["alarm"].iloc[:30].any()
    assert found["alarm"].iloc[33:].all()  # the known fault, too


def test_rows_that_cannot_be_used_have_no_data_and_a_reason():
    monitor = ConditionMonitor(detector(), form(), limits={"T": (-50, 150), "p": (0, None)}).fit(healthy())
    new = healthy(4, 12)
    new.loc[2, "T"], new.loc[3, "T"], new.loc[4, ["p", "T"]] = np.nan, 151, [-1, np.nan]
    found = monitor.predict(new.drop(index=[8, 9, 10]))
    bad = found[found["state"] == "NO_DATA"]
    assert bad["quality"].tolist() == [
        "missing: T",
        "beyond its measuring range: T",
        "missing: T; beyond its measuring range: p",
        "no rows for 4 min",
    ]
    assert bad["time"].tolist() == [TIME[2], TIME[3], TIME[4], TIME[8]]
    assert bad["score"].isna().all()
    assert len(found) == 12 - 3 + 1
    np.testing.assert_allclose(
        found.loc[found["state"] != "NO_DATA", "score"],
        monitor.estimator_.score_samples(new.loc[[0, 1, 5, 6, 7, 11], ["p", "T"]]),
    )


def test_a_sensor_that_is_stuck_is_named_and_its_rows_are_judged():
    monitor = ConditionMonitor(detector(), form()).fit(healthy())
    new = healthy(4, 60)
    new.loc[10:, "T"] = new.loc[10, "T"]
    found = monitor.predict(new)
    longest = monitor.longest_run_[1]
    assert 20 <= longest < 40
    flagged = np.flatnonzero(found["quality"] == "stuck: T")
    assert flagged[0] == 10 + int(longest)
    assert flagged[-1] == 59
    assert found["score"].notna().all()


@pytest.mark.parametrize("begin", [0, 1, 7, 30, 61])
def test_the_same_windows_are_cut_whatever_row_a_table_begins_with(begin):
    windows = SlidingWindows(30, 10)
    monitor = ConditionMonitor(TransferDetector(), form(), windows=windows).fit(healthy())
    table = healthy(5)
    whole, part = monitor.samples(table), monitor.samples(table.iloc[begin:])
    both = whole[whole["time"].isin(part["time"])]
    assert len(part) == len(whole) - -(-begin // 10)  # one a step of ten rows that is not whole any more
    pd.testing.assert_frame_equal(part, both.reset_index(drop=True))
    X = table[["p", "T"]].to_numpy().T
    starts = [(time - TIME[0]).total_seconds() / 60 - 29 for time in part["time"]]
    assert np.all(np.mod(starts, 10) == 0)
    stacked = np.stack([X[:, int(start) : int(start) + 30] for start in starts]).astype(np.float32)
    np.testing.assert_allclose(part["score"], monitor.estimator_.score_samples(stacked))


def test_steps_without_a_window_have_no_data_once_a_stretch():
    monitor = ConditionMonitor(TransferDetector(), form(), windows=SlidingWindows(30, 10)).fit(healthy())
    table = healthy(5)
    table.loc[205, "T"] = np.nan
    found = monitor.samples(table.drop(index=range(400, 480)))
    bad = found[found["state"] == "NO_DATA"]
    assert bad["quality"].tolist() == ["missing: T", "no rows"]
    assert bad["time"].tolist() == [TIME[210], TIME[410]]
    ends = found.loc[found["state"] != "NO_DATA", "time"]
    minutes = ((ends - TIME[0]).dt.total_seconds() / 60).to_numpy()
    assert not np.any((minutes >= 205) & (minutes < 205 + 30))
    assert not np.any((minutes >= 400) & (minutes < 480 + 29))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_frames_of_polars_and_of_other_types_are_the_same_rows(zone):
    polars = pytest.importorskip("polars")
    table = fleet()
    monitor = ConditionMonitor(detector(), form("machine")).fit(table)
    local = table.assign(time=table["time"].dt.tz_convert(zone))
    other = polars.DataFrame({name: local[name].tolist() for name in ("machine", "p", "T")}).with_columns(
        polars.Series("time", local["time"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
        .dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    )  # fmt: skip
    expected = monitor.predict(table)
    pd.testing.assert_frame_equal(monitor.predict(other), expected)
    nullable = local.astype({"p": "Float64", "T": "Float64", "machine": "string"})
    pd.testing.assert_frame_equal(monitor.predict(nullable), expected)


def test_files_are_read_as_the_format_says(tmp_path):
    table = fleet()
    write_table(table, tmp_path / "plant.csv")
    monitor = ConditionMonitor(detector(), form("machine"))
    of_file = monitor.fit(tmp_path / "plant.csv").predict(tmp_path / "plant.csv", now="2027-01-01")
    pd.testing.assert_frame_equal(of_file, clone(monitor).fit(table).predict(table))
    halves = [table.iloc[:900], table.iloc[900:]]
    pd.testing.assert_frame_equal(of_file, clone(monitor).fit(halves).predict(halves[::-1]))


def test_a_file_of_it_gives_the_same_answers():
    monitor = ConditionMonitor(detector(), form("machine"), limits={"p": (0, 200)}).fit(fleet())
    stream = io.BytesIO()
    joblib.dump(monitor, stream)
    stream.seek(0)
    pd.testing.assert_frame_equal(joblib.load(stream).predict(fleet()), monitor.predict(fleet()))


def test_fit_changes_nothing_of_the_caller():
    table, model = healthy().sample(frac=1, random_state=0), detector()
    before = table.copy()
    monitor = ConditionMonitor(model, form(), alarms=Alarms(on_delay=2)).fit(table)
    pd.testing.assert_frame_equal(table, before)
    assert not hasattr(model[-1], "offset_")
    assert not hasattr(monitor.alarms, "threshold_")
    assert monitor.alarms_.on_delay == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table_format": TableFormat(UNITS)}, "needs times: declare them in the format"),
        ({"limits": {"flow": (0, 1)}}, "limits names 'flow', which is no sensor"),
        ({"limits": {"p": (5, 1)}}, r"limits\['p'\] must be \(low, high\)"),
        ({"held_out": 1.0}, "'held_out' parameter of ConditionMonitor"),
        ({"estimator": LogisticRegression()}, "needs labels for a classifier"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(change, message):
    parameters = {"estimator": detector(), "table_format": form()} | change
    with pytest.raises(ValueError, match=message):
        ConditionMonitor(**parameters).fit(healthy())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop(columns="T"), r"the table has no column \['T'\]"),
        (lambda t: t.iloc[:0], "the table has no row"),
        (lambda t: pd.concat([t, t[["p"]]], axis=1), r"has the columns \['p'\] more than once"),
        (lambda t: t.assign(time=range(N)), "holds int64 and no datetimes"),
        (lambda t: t.assign(time=t["time"].dt.tz_localize(None)), "have no zone. Declare it"),
        (lambda t: t.assign(time=t["time"].where(t.index != 3)), "1 row has no time in 'time'"),
        (lambda t: t.assign(p=np.nan), "no row has a usable value in every sensor; .*'p' has one in 0 of 600 rows"),
        (lambda t: t.iloc[:3], "has 3 healthy samples, of which some must be held out"),
        (lambda t: t.iloc[:1], "at least two rows of a machine"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(spoil, message):
    with pytest.raises(ValueError, match=message):
        ConditionMonitor(detector(), form()).fit(spoil(healthy()))
    with pytest.raises(TypeError, match="takes a DataFrame, a Table, a path, or a list of these; got int"):
        ConditionMonitor(detector(), form()).fit(3)


def test_labels_need_the_normal_one():
    table = healthy().assign(label="ok")
    with pytest.raises(ValueError, match="'NO_DATA' is a label"):
        ConditionMonitor(detector(), form(), normal_label="ok").fit(table.replace({"ok": "NO_DATA"}), "label")
    with pytest.raises(TypeError, match="LinearRegression is neither"):
        ConditionMonitor(LinearRegression(), form()).fit(table)
    with pytest.raises(ValueError, match="needs normal_label"):
        ConditionMonitor(detector(), form()).fit(table, "label")
    with pytest.raises(ValueError, match=r"no sample has the label 'fine'. Labels are \['ok'\]"):
        ConditionMonitor(detector(), form(), normal_label="fine").fit(table, "label")


def test_repeated_times_are_said_and_the_last_row_is_kept():
    monitor = ConditionMonitor(detector(), form()).fit(healthy())
    again = pd.concat([healthy(1, 5), healthy(2, 5)])
    with pytest.warns(DataQualityWarning, match="5 of 10 rows repeat a time"):
        found = monitor.samples(again)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pd.testing.assert_frame_equal(found, monitor.samples(healthy(2, 5)))


@pytest.mark.parametrize("kind", [object, "string", "category"])
def test_rows_that_name_no_machine_are_counted(kind):
    table = fleet().reset_index(drop=True).astype({"machine": kind})
    table.loc[:2, "machine"] = None
    with pytest.raises(ValueError, match="3 rows name no machine in 'machine'"):
        ConditionMonitor(detector(), form("machine")).fit(table)
