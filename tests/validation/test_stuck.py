"""Stuck sensors told from idle machines, settings and slow tags; by brute force where that is possible."""

import warnings
from itertools import groupby

import numpy as np
import pytest

from sktransfer import BaselineScaler, DataQualityWarning
from sktransfer.validation.quality import warn_of_quality
from sktransfer.validation.stuck import has_few_levels, resting_value, typical_runs, warn_of_stuck

rng = np.random.default_rng(0)


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in found if issubclass(warning.category, DataQualityWarning)]


def idle_pump(n, length, seed=0):
    """A flow that is noisy while the pump runs, and 0.3 in between, for `length` samples on average."""
    rng = np.random.default_rng(seed)
    flow = 80 + rng.normal(size=n)
    at = 0
    while at < n:
        at += int(rng.integers(20, 60))
        stop = at + int(rng.integers(length // 2, 3 * length // 2))
        flow[at:stop] = 0.3
        at = stop
    return flow


def test_the_typical_run_is_the_mean_length_of_runs_for_rows_and_windows():
    """Over rows: rows by runs. In windows: samples by the runs of all windows, a run never crosses a border."""
    course = np.repeat(rng.normal(size=300), rng.integers(1, 6, 300))
    runs = [len(list(run)) for _, run in groupby(course)]
    assert typical_runs(course[:, None])[0] == pytest.approx(np.mean(runs))
    windows = course[: len(course) // 50 * 50].reshape(-1, 1, 50)
    windows[0] = 7.7  # one is flat, so that no cap holds
    runs = [len(list(run)) for window in windows[:, 0] for _, run in groupby(window)]
    assert typical_runs(windows)[0] == pytest.approx(np.mean(runs))


def test_without_a_flat_healthy_window_a_flat_window_is_stuck():
    slow = np.repeat(rng.normal(size=400), 10).reshape(-1, 1, 40)
    assert typical_runs(slow)[0] == 2.0  # 40 / 20, and not the 10 of its runs
    later = slow.copy()
    later[3] = 0.123
    assert len(caught(lambda: warn_of_stuck("S", later, typical_runs(slow), np.array([[np.nan]]), [0]))) == 1


def test_a_column_that_never_moved_has_an_infinite_run():
    assert typical_runs(np.full((50, 1), 3.0))[0] == np.inf


def test_runs_that_healthy_data_hold_twice_are_as_usual_and_those_once_are_not():
    X = rng.normal(size=(600, 2))
    X[100:150, 0], X[300:340, 0] = 0.5, 0.7
    X[100:150, 1] = 0.5
    limits = 20 * typical_runs(X)
    assert limits[0] == pytest.approx(1.5 * 40)  # the second longest, half as much again
    runs = 600 - 49
    assert limits[1] == pytest.approx(20 * 600 / runs)
    windows = rng.normal(size=(30, 1, 100))
    windows[4:6, 0, 40:] = 1.3  # neighbours are one place
    once = 20 * typical_runs(windows)[0]
    windows[20, 0, 30:] = 1.9
    assert once < 25
    assert 20 * typical_runs(windows)[0] == pytest.approx(1.5 * 60)


def test_the_resting_value_is_held_in_two_places_or_is_the_smallest():
    pump = idle_pump(900, 12)
    assert resting_value(pump[None]) == 0.3
    assert resting_value(pump.reshape(-1, 30)) == 0.3
    stuck = rng.normal(size=900)
    stuck[100:200] = 1.5
    assert np.isnan(resting_value(stuck[None]))
    assert np.isnan(resting_value(stuck.reshape(-1, 30)))
    stuck[400:420] = 1.5
    assert resting_value(stuck[None]) == 1.5
    once = 10 + rng.normal(size=900)
    once[500:540] = 0.0
    assert resting_value(once[None]) == 0.0
    assert np.isnan(resting_value(np.full((3, 1), 2.0)))


@pytest.mark.parametrize("as_windows", [False, True])
def test_an_idle_pump_is_not_stuck_however_long_and_a_frozen_one_is(as_windows):
    healthy = np.column_stack([idle_pump(1200, 10), rng.normal(size=1200)])
    later = np.column_stack([idle_pump(1200, 10, seed=1), rng.normal(size=1200)])
    later[300:600, 0] = 0.3

    def form(X):
        return X.reshape(-1, 100, 2).transpose(0, 2, 1) if as_windows else X

    scaler = BaselineScaler()
    assert not [text for text in caught(lambda: scaler.fit(form(healthy))) if "change" in text]
    assert caught(lambda: scaler.transform(form(later))) == []
    later[300:600, 0] = 79.123
    (said,) = caught(lambda: scaler.transform(form(later)))
    assert ("stuck in 3 of 12 windows" if as_windows else "['x0'] do not change over 300 rows") in said


def test_settings_with_few_levels_are_never_stuck():
    mode = np.repeat(rng.integers(0, 4, 60), rng.integers(1, 8, 60)).astype(float)
    later = np.full(400, 2.0)
    scaler = BaselineScaler().fit(np.column_stack([mode, rng.normal(size=len(mode))]))
    assert np.isinf(scaler.typical_run_[0])
    assert caught(lambda: scaler.transform(np.column_stack([later, rng.normal(size=400)]))) == []
    assert has_few_levels(mode[None])
    assert not has_few_levels(rng.normal(size=(1, 400)))
    assert not has_few_levels(np.arange(11.0)[None].repeat(20, axis=0))
    assert has_few_levels(np.arange(10.0)[None].repeat(20, axis=0))
    assert not has_few_levels(np.arange(10.0)[None].repeat(3, axis=0))  # each three times: too few to tell


def milling(n_windows=40):
    """Windows of a mill: a dead channel, one that holds several positions, one that stops with the machine."""
    X = rng.normal(size=(n_windows, 8, 50))
    X[:, 0] = 5.0
    for start, position in ((2, 29.5), (9, 28.5), (17, 27.5)):
        X[start : start + 2, 1] = position
    X[30:32, 2:8] = rng.normal(size=(1, 6, 1))
    X[35:37, 3] = 0.0
    return X


def test_one_sentence_a_kind_and_none_for_what_a_machine_does():
    (said,) = caught(lambda: warn_of_quality("Scaler", milling(), []))
    assert "channels [0] do not change in any window" in said
    dead = milling()
    dead[:, [4, 6]] = 1.0
    dead[12:14, 5] = 0.77
    dead[21, 7] = 0.66
    said = caught(lambda: warn_of_quality("Scaler", dead, []))
    assert len(said) == 2
    assert "[0, 4, 6] do not change in any window" in said[0]
    assert "[5, 7] do not change within 3 of 40 windows" in said[1]


def test_a_cross_validation_says_the_same_sentence_of_dead_channels_in_every_fold():
    y = np.resize([0, 1], 40)
    texts = [
        caught(lambda part=part: BaselineScaler(0).fit(milling()[part], y[part])) for part in np.split(np.arange(40), 2)
    ]
    assert len({text for said in texts for text in said if "in any window" in text}) == 1


def test_windows_behind_a_scaler_of_named_rows_are_no_warning():
    """Windows have no names of columns, and a float32 that the cutter made is no cause for a word."""
    import pandas as pd

    from sktransfer import SlidingWindows

    rows = pd.DataFrame(rng.normal(size=(400, 2)) + 1000, columns=["p", "T"])
    scaler = BaselineScaler().fit(rows)
    X, _, _ = SlidingWindows(50).cut([rows.to_numpy()])
    assert X.dtype == np.float32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaler.transform(X)


def test_float32_that_holds_all_digits_is_no_warning():
    counts = (1e5 + rng.integers(0, 30, size=(200, 2))).astype(np.float32)
    assert caught(lambda: BaselineScaler().fit(counts).transform(counts)) == []
    rough = (1e5 + rng.normal(size=(200, 2))).astype(np.float32)
    (said,) = caught(lambda: BaselineScaler().fit_transform(rough))
    assert "Read the data as float64" in said
    (said,) = caught(lambda: BaselineScaler().fit_transform(rough.reshape(-1, 20, 2).transpose(0, 2, 1)))
    assert "SlidingWindows(dtype='float64')" in said


def test_channels_are_called_by_their_names_where_windows_know_them():
    from sktransfer import BaselineScaler, EnvelopeSpectra, Windows

    X = rng.normal(size=(30, 3, 64))
    X[:, 1] = 2.5
    named = Windows.of(X, channels=["flow", "power", "level"])
    for call in (BaselineScaler().fit, EnvelopeSpectra().fit):
        (said,) = caught(lambda call=call: call(named))
        assert "channels ['power'] do not change in any window" in said
    new = X.copy()
    new[3, 2, 5] = -9999
    scaler = BaselineScaler().fit(named)
    assert any("'level (-9999)'" in text for text in caught(lambda: scaler.transform(named.like(new))))


@pytest.mark.parametrize("form", [lambda X: X, lambda X: X.reshape(-1, 50, 4).transpose(0, 2, 1)])
def test_a_machine_that_stands_is_named_among_the_causes(form):
    scaler, new = BaselineScaler().fit(form(rng.normal(size=(400, 4)))), rng.normal(size=(400, 4))
    new[200:300] = new[200]
    (said,) = caught(lambda: scaler.transform(form(new)))
    assert said.endswith("The sensors may be stuck or saturated, or the machine stands.")
