"""Windows whose rows come faster or slower than usual: the same ones from any piece of a table."""

import numpy as np
import pandas as pd
import pytest

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
)
from sktransfer.monitoring.job import run_job
from sktransfer.monitoring.job_state import JobState
from sktransfer.monitoring.window_grid import WindowGrid, cut_windows

pytestmark = [
    pytest.mark.filterwarnings("ignore:Alarms. 0.1 alarms a day:sktransfer.DataQualityWarning"),
    pytest.mark.filterwarnings("ignore:TransferDetector. a rate of:sktransfer.DataQualityWarning"),
    pytest.mark.filterwarnings("ignore:BaselineScaler. the channels:sktransfer.DataQualityWarning"),
]
BEGIN = pd.Timestamp("2026-03-01", tz="UTC").value
SECOND = 1_000_000_000
FORM = TableFormat(["p", "T"], time=TimeColumn("time"), machine="machine")


def drifting(n, period, seed, drift=0.04, holes=True):
    """Time of rows in ns: the rate wanders by `drift`, with gaps where there are `holes`."""
    rng = np.random.default_rng(seed)
    rate = 1 + drift * np.sin(np.arange(n) / n * 4 * np.pi + rng.uniform(0, 6))
    steps = np.round(period * rate).astype(np.int64)
    if holes:
        steps[rng.integers(1, n, 3)] = period * rng.integers(3, 90, 3)
        steps[rng.integers(1, n, 2)] = round(1.3 * period)  # uneven, and no gap
    return BEGIN + np.cumsum(steps)


def table(n, period, seed, **options):
    frames = []
    for k, name in enumerate(("a", "b")):
        rng = np.random.default_rng(100 * seed + k)
        frame = pd.DataFrame(rng.normal(size=(n, 2)) + [100, 5], columns=["p", "T"])
        frame.loc[rng.integers(0, n, 3), "T"] = np.nan
        time = pd.to_datetime(drifting(n, period, seed + k, **options), utc=True)
        frames.append(frame.assign(time=time, machine=name))
    return pd.concat(frames, ignore_index=True)


def healthy(n, period):
    return table(n, period, 50, drift=0.0, holes=False).dropna()


def monitor(length, step, period, **options):
    windows = SlidingWindows(length, step, **options)
    detector = make_pipeline(BaselineScaler(), TransferDetector())
    return ConditionMonitor(detector, FORM, windows=windows, alarms=Alarms(on_delay=2)).fit(healthy(600, period))


def by_hand(time, begins, good, grid):
    """The windows, one step of time after the other, in plain Python."""
    found = []
    for i in range(len(time)):
        slot = (time[i] + grid.period // 2) // grid.step
        after = not begins[i] and (time[i - 1] + grid.period // 2) // grid.step == slot
        even = [abs(d - grid.period) <= grid.jitter * grid.period + 1 and d <= grid.max_gap for d in np.diff(time)]
        at_place = (time[i] + grid.period // 2) % grid.step < grid.period or (not begins[i] and even[i - 1])
        rows = range(i, i + grid.length)
        if after or not at_place or rows[-1] >= len(time) or not good[list(rows)].all() or begins[list(rows[1:])].any():
            continue
        if all(even[k] for k in rows[:-1]):
            found.append(rows[-1])
    return found


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("length", "step"), [(20, 5), (5, 1), (1, 1), (4, 9)])
def test_windows_are_those_that_a_loop_finds(seed, length, step):
    grid = WindowGrid(length, step * SECOND, SECOND, 1500 * SECOND // 1000, 0.05)
    rng = np.random.default_rng(seed)
    time = np.concatenate([drifting(300, SECOND, seed), drifting(200, SECOND, seed + 9)])
    begins, good = np.isin(np.arange(500), [0, 300]), rng.random(500) > 0.01
    cut = cut_windows(time, begins, good, grid)
    assert cut.ends.tolist() == by_hand(time, begins, good, grid)
    assert len(cut.ends) > 20


def kept(folder):
    state = JobState(folder, "m1")
    found = state.samples()
    state.close()
    return found


@pytest.mark.filterwarnings("ignore:.*distances between rows:sktransfer.DataQualityWarning")
@pytest.mark.parametrize(
    ("period", "length", "step", "late"),
    [(SECOND, 20, 5, 0), (SECOND // 1000, 30, 1, 40), (333_333_333, 6, 11, 0), (SECOND // 1000, 20, 5, 40)],
)
def test_pieces_of_a_table_whose_rate_drifts_give_the_windows_of_the_whole(tmp_path, period, length, step, late):
    """Values and scores to the last bit, for the job and for predict, at a row a second and at a thousand."""
    model, rows = monitor(length, step, period), table(500, period, 7)
    now = pd.Timestamp(rows["time"].max())
    whole, options = model.samples(rows), {"model_id": "m1", "late": late * period / SECOND}
    run_job(model, rows, tmp_path / "whole", now=now, **options)
    rng, at = np.random.default_rng(length), np.sort(rows["time"].unique())
    start = 0
    for stop in [*np.sort(rng.choice(np.arange(50, len(at) - 1), 9, replace=False)), len(at) - 1]:
        begin, start = at[max(0, start - int(rng.integers(0, 40)))], stop
        piece = rows[(rows["time"] <= at[stop]) & (rows["time"] >= begin)]  # what is new, and some of what is not
        run_job(model, piece, tmp_path / "pieces", now=now, **options)
        part = model.samples(piece)
        keys = ["machine", "time"]
        both = part[part["state"] != "NO_DATA"].merge(whole[whole["state"] != "NO_DATA"], on=keys, suffixes=("", "_"))
        assert (both["score"] == both["score_"]).all()
    pd.testing.assert_frame_equal(kept(tmp_path / "pieces"), kept(tmp_path / "whole"), check_exact=True)
    known = kept(tmp_path / "whole")
    pd.testing.assert_frame_equal(known[whole.columns], whole, check_exact=True)
    assert (whole["state"] != "NO_DATA").sum() > 20


@pytest.mark.filterwarnings("ignore:.*distances between rows:sktransfer.DataQualityWarning")
def test_an_export_of_the_last_rows_is_enough(tmp_path):
    """The anchor of the grid once was the first row of a stretch: later rows were cut elsewhere in an export."""
    model, rows = monitor(20, 5, SECOND), table(600, SECOND, 3, holes=False)
    options = {"model_id": "m1", "late": 30.0, "now": rows["time"].max()}
    run_job(model, rows, tmp_path / "whole", **options)
    each = rows["time"] - pd.Timestamp(BEGIN, tz="UTC")
    for second in range(60, 660, 60):
        export = rows[each.between(pd.Timedelta(seconds=second - 100), pd.Timedelta(seconds=second))]
        if len(export):
            run_job(model, export, tmp_path / "pieces", **options)
    pd.testing.assert_frame_equal(kept(tmp_path / "pieces"), kept(tmp_path / "whole"), check_exact=True)


def test_windows_end_at_rows_and_hold_their_values():
    model, rows = monitor(20, 5, SECOND), table(600, SECOND, 1, holes=False).dropna()
    own = rows[rows["machine"] == "a"].reset_index(drop=True)
    found = model.samples(own)
    found = found[found["state"] != "NO_DATA"]
    ends = own["time"].searchsorted(found["time"])
    assert (own["time"].iloc[ends].to_numpy() == found["time"].to_numpy()).all()
    X = own[["p", "T"]].to_numpy().T
    stacked = np.stack([X[:, end - 19 : end + 1] for end in ends]).astype(np.float32)
    np.testing.assert_allclose(
        found["score"], model.estimator_[-1].score_samples(model.estimator_[0].transform(stacked, ["a"] * len(ends)))
    )


def test_the_period_is_exact_at_a_thousand_rows_a_second():
    """Seconds since 1970 as a float tell a quarter of a microsecond: 0.02 % of a millisecond."""
    assert monitor(20, 5, SECOND // 1000).period_ == 0.001
    assert monitor(20, 5, 333_333_333).period_ == 0.333333333


def test_rows_at_another_distance_are_said_and_no_window_is_cut_across_them():
    model, rows = monitor(20, 5, SECOND), table(200, SECOND, 1, drift=0.0, holes=False).query("machine == 'a'")
    rows = rows.fillna(5.0)
    rows = rows.assign(time=rows["time"] + pd.to_timedelta(np.where(rows.index >= 100, 0.3, 0.0), "s"))
    with pytest.warns(DataQualityWarning, match=r"^ConditionMonitor: 1 of 199 distances between rows differ by more"):
        found = model.samples(rows)
    assert "rows 1.3 s apart, not 1 s" in found["quality"].tolist()
    with pytest.warns(DataQualityWarning, match="distances between rows differ by more than 5%"):
        model.fit(pd.concat([healthy(300, SECOND), rows.assign(machine="c")]))
