"""The benchmark of windows: ranks, draws and features by hand; windows of the real data never cross a recording."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import signal, stats
from sklearn.linear_model import LogisticRegression

from benchmarks import augmentation
from benchmarks.windows import bearings, few_labels, process, run
from benchmarks.windows import loaders as real
from benchmarks.windows.features import doubly_scaled, hand_features, window_statistics
from benchmarks.windows.throughput import throughput
from sktransfer.exceptions import DataQualityWarning

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark data are not part of the project"),
]


def real_data(test):
    for mark in needs_data:
        test = mark(test)
    return test


def toy(n_recordings=4, n_samples=100, length=10, step=None):
    """Recording r of class r % 2 holds the numbers 1000 r, 1000 r + 1, ..."""
    recordings = [
        (f"r{r}", 1000.0 * r + np.arange(n_samples), r % 2, {"domain": r // 2, "rpm": 60.0 * r})
        for r in range(n_recordings)
    ]
    return real.gather(recordings, length, step, 50)


def test_mean_ranks_by_hand():
    # task "a 1": p > q > r; task "b 1": q = r > p; task "b 2": r > q > p
    rows = [
        *[("a 1", m, 1, d, s) for m, s in (("p", 0.9), ("q", 0.8), ("r", 0.7)) for d in (0, 1)],
        *[("b 1", m, 1, 0, s) for m, s in (("p", 0.1), ("q", 0.5), ("r", 0.5))],
        *[("b 2", m, 1, 0, s) for m, s in (("p", 0.1), ("q", 0.5), ("r", 0.6))],
    ]
    scores = pd.DataFrame(rows, columns=["task", "method", "labels", "draw", "score"])
    assert few_labels.mean_ranks(scores)[1].to_dict() == pytest.approx({"p": 7 / 3, "q": 5.5 / 3, "r": 5.5 / 3})
    # inside "b": p 3, q 1.75, r 1.25
    assert few_labels.mean_ranks(scores, by_set=True)[1].to_dict() == {"p": 2.0, "q": 1.875, "r": 2.125}


def test_equal_means_share_a_rank_whatever_their_last_digits():
    scores = [
        ("a 1", m, 1, d, s)
        for m, draws in (("p", (0.1, 0.2, 0.3)), ("q", (0.3, 0.2, 0.1)))
        for d, s in enumerate(draws)
    ]
    frame = pd.DataFrame(scores, columns=["task", "method", "labels", "draw", "score"])
    assert frame.groupby("method")["score"].mean().nunique() == 2
    assert few_labels.mean_ranks(frame)[1].to_dict() == {"p": 1.5, "q": 1.5}


def test_windows_hold_the_samples_of_one_recording_in_order():
    windows = toy(length=30, step=20)
    assert windows.X.shape == (16, 1, 30)  # starts 0, 20, 40, 60 of 100 samples
    first = np.asarray(windows.X)[:, 0, 0]
    np.testing.assert_array_equal(first, 1000 * np.repeat(np.arange(4), 4) + 20 * windows.place)
    np.testing.assert_array_equal(np.diff(np.asarray(windows.X), axis=2), 1)
    np.testing.assert_array_equal(windows.X.rpm, 60 * np.repeat(np.arange(4), 4))
    assert windows.groups.tolist() == [f"r{r}" for r in range(4) for _ in range(4)]


def test_a_recording_shorter_than_a_window_gives_none():
    recordings = [("long", np.zeros(20), 0, {}), ("short", np.zeros(9), 1, {})]
    with pytest.warns(DataQualityWarning, match="left out"):
        windows = real.gather(recordings, 10, None, 1.0)
    assert windows.groups.tolist() == ["long", "long"]


def test_an_index_takes_all_that_is_known_along():
    windows = toy()[np.array([12, 3])]
    assert windows.groups.tolist() == ["r1", "r0"]
    assert windows.place.tolist() == [2, 3]
    assert windows.info["rpm"].tolist() == windows.X.rpm.tolist() == [60.0, 0.0]


def test_labels_of_the_target_and_scored_windows_are_apart():
    windows = toy(n_samples=70)  # 7 windows a recording
    may, scored = few_labels.label_part(windows, by_recording=False)
    assert windows.place[may].tolist() == [0, 1, 2] * 4
    assert windows.place[scored].tolist() == [4, 5, 6] * 4
    may, scored = few_labels.label_part(windows, by_recording=True)
    assert set(windows.groups[may]) == {"r0", "r1"}
    assert set(windows.groups[scored]) == {"r2", "r3"}


def test_few_labels_draws_from_the_source_and_scores_the_whole_target():
    source, target = toy(length=5), toy(length=10)
    seen = []

    class Spy:
        def fit(self, X, y):
            seen.append(np.bincount(y).tolist())
            assert X.shape[2] == 5
            return self

        def predict(self, X):
            seen.append(len(X))
            return np.zeros(len(X), dtype=int)

    scores = few_labels.few_labels({"toy": (source, target)}, {"spy": few_labels.Method(lambda s: Spy())}, (1, 5), 2)
    assert seen == [[1, 1], 40, [1, 1], 40, [5, 5], 40, [5, 5], 40]
    assert (scores["score"] == 0.5).all()


def test_pooled_fits_both_and_gives_both_sides_the_same_weight():
    source = toy(2)
    source.X = np.asarray(source.X)[:, 0, :2]
    rows, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
    model = few_labels.pooled(lambda seed: LogisticRegression())(source, 0).fit(rows, y)
    by_hand = LogisticRegression().fit(
        np.concatenate([source.X, rows]), np.r_[source.y, y], sample_weight=[1] * 20 + [10, 10]
    )
    np.testing.assert_allclose(model.classifier.coef_, by_hand.coef_)


def test_hand_features_against_scipy():
    X = np.random.default_rng(0).normal(2, 3, (4, 2, 256))
    found = hand_features(X, level=True).reshape(4, -1, 2)
    assert found.shape[1] == 32 + 5 + 1
    # scipy's periodogram with unit rate doubles the power of all but the last frequency
    _, power = signal.periodogram(X, detrend="constant", scaling="density")
    power = power[:, :, 1:] / np.r_[np.full(127, 2), 1]
    bands = power.reshape(4, 2, 32, 4).mean(axis=3)
    np.testing.assert_allclose(found[:, :32], np.log(bands).transpose(0, 2, 1), rtol=1e-9)
    np.testing.assert_allclose(found[:, 32], X.std(axis=2))
    np.testing.assert_allclose(found[:, 33], stats.skew(X, axis=2))
    np.testing.assert_allclose(found[:, 34], stats.kurtosis(X, axis=2, fisher=False))
    np.testing.assert_allclose(found[:, 35], X.max(axis=2) - X.min(axis=2))
    np.testing.assert_allclose(found[:, 36], np.abs(stats.zscore(X, axis=2)).max(axis=2))
    np.testing.assert_allclose(found[:, 37], X.mean(axis=2))


def test_hand_features_of_a_constant_channel_are_finite():
    assert np.isfinite(hand_features(np.zeros((2, 1, 60)), level=True)).all()


def test_window_statistics_and_double_scaling_by_hand():
    window = np.array([[[1.0, 3.0, 2.0, 6.0]]])
    assert window_statistics(window)[0].tolist() == pytest.approx([3.0, np.std([1, 3, 2, 6]), 7 / 3, 5.0])
    rows = np.array([[1.0], [3.0], [10.0]])  # healthy: mean 2, deviation 1; z: -1, 1, 8
    logs = np.array([-np.log(2), np.log(2), np.log(9)])
    found = doubly_scaled(rows, np.array([True, True, False]))
    np.testing.assert_allclose(found[:, 0], stats.zscore(logs))


def test_even_grid_spreads_rows_of_one_stamp():
    # rows at 0, 20, 20, 40 (ms) of a line: the two rows at 20 stand for 20 and 30
    found = real.even_grid(np.array([0, 0.02, 0.02, 0.04, 0.06]), np.array([[0.0, 2, 3, 4, 6]]), 100)
    np.testing.assert_allclose(found, [[0, 1, 2, 3, 4, 5]], atol=1e-9)


def test_the_label_part_of_a_process_run_shares_no_row_with_the_scored_one():
    windows = real.gather([("run", np.arange(1441.0), 0, {"n_rows": 1441})], 200, 50, 1 / 180)
    windows.info["start"] = windows.place * 50
    early, rest = process.thirds(windows)
    assert np.asarray(windows.X)[early].max() < 1441 / 3 <= np.asarray(windows.X)[rest].min()
    assert (early.sum(), rest.sum()) == (6, 15)


def test_the_window_of_a_skab_row_ends_at_it():
    recording = process.Skab(np.arange(16.0).reshape(8, 2), np.zeros(8, dtype=int), reference=5)
    windows = recording.windows(length=3)
    np.testing.assert_array_equal(windows[:, :, -1], recording.values[5:])
    np.testing.assert_array_equal(windows[0, 0], [6, 8, 10])
    with pytest.raises(ValueError, match="rows before the first"):
        recording.windows(length=7)


def test_aurocs_by_label():
    y = np.array([[1, 0], [0, 0], [1, 0], [0, 0]])
    found = bearings.label_aurocs(y, np.array([[0.9, 0], [0.1, 1], [0.3, 0], [0.5, 1]]))
    np.testing.assert_allclose(found, [0.75, np.nan])


def test_throughput_times_every_method_on_the_same_windows():
    seen = {"a": [], "b": []}
    found = throughput({name: seen[name].append for name in seen}, n_windows=100, length=8, repeats=3)
    assert [x.shape for x in seen["a"]] == [(64, 1, 8)] + 3 * [(100, 1, 8)]
    assert seen["a"][1] is seen["b"][1]
    assert found["a"]["smallest"] <= found["a"]["median"] <= found["a"]["largest"]


def test_the_table_is_markdown():
    assert run.markdown({"p": {"x": 0.5, "n": 3}, "q": {"x": 1.0}}) == (
        "| | x | n |\n|---|---|---|\n| p | 0.500 | 3 |\n| q | 1.000 |  |"
    )


@real_data
def test_cwru_normal_record_is_brought_to_the_rate_of_the_faults():
    data = real.cwru(DATA, normal=True)
    healthy = data.y == "healthy"
    assert healthy.sum() == 243_938 // 4 // 6144
    assert data.X.sampling_rate == 12_000
    # the tone near 1036 Hz that every normal record of this rig has stands at the same place before and after
    raw = np.load(DATA / "cwru-12k" / "load0.npz")["DE_Normal"]
    frequency, power = signal.welch(raw, 48_000, nperseg=24_000)
    slow, slow_power = signal.welch(np.asarray(data.X)[healthy].reshape(-1), 12_000, nperseg=6_000)
    band = (frequency > 900) & (frequency < 1200), (slow > 900) & (slow < 1200)
    assert slow[band[1]][slow_power[band[1]].argmax()] == frequency[band[0]][power[band[0]].argmax()]


@real_data
@pytest.mark.parametrize("name", ["cwru", "hit", "fan", "motors", "tep"])
def test_every_recording_of_the_real_data_has_one_label_and_its_windows_in_order(name):
    data = real.tep(DATA)[1] if name == "tep" else getattr(real, name)(DATA)
    assert np.isfinite(np.asarray(data.X)).all()
    frame = pd.DataFrame({"group": data.groups, "y": data.y, "place": data.place}).groupby("group")
    assert (frame["y"].nunique() == 1).all()
    for _, part in frame:
        assert part["place"].tolist() == list(range(len(part)))


@real_data
def test_records_of_the_raw_protocol_carry_the_labels_of_the_features():
    data, labels = bearings.raw_records(DATA)
    features, _ = bearings.protocol_tables(DATA)
    known = features.drop_duplicates("waveform_id").set_index("waveform_id")[list(bearings.LABELS)]
    assert len(np.unique(data.groups)) == 64
    np.testing.assert_array_equal(known.loc[data.groups].to_numpy(), labels)


@real_data
def test_the_raw_protocol_loses_nothing_by_leaving_out_the_fan_side():
    _, table = bearings.protocol_tables(DATA)
    records = set(bearings.raw_records(DATA)[0].groups)
    sides = {}
    for (split, role), rows in table.groupby(["split", "role"]):
        sides[split[:-2], role, split[-2:]] = set(rows["waveform_id"]) & records
    for seed, role, side in list(sides):
        assert sides[seed, role, side] == sides[seed, role, "DE"]
        assert not sides[seed, "train", side] & sides[seed, "test", side]


def test_the_table_of_augmentation_by_hand(monkeypatch):
    monkeypatch.setattr(augmentation, "AMOUNTS", {"none": {}, "jitter 0.1": {"jitter": 0.1}})
    scores = {"none": [[0.5, 0.7], [0.1, 0.3]], "jitter 0.1": [[0.6, 0.8], [0.4, 0.6]]}  # by task and draw
    rows = [(task, name, 5, draw, scores[name][t][draw])
            for name in scores for t, task in enumerate(("hit a", "hit b")) for draw in (0, 1)]  # fmt: skip
    found = augmentation.table(pd.DataFrame(rows, columns=["task", "method", "labels", "draw", "score"]))
    # means over tasks by draw: none 0.3, 0.5; jitter 0.5, 0.7. Differences by task: 0.1, 0.3
    assert found == (
        "| | hit, 5 labels |\n|---|---|\n| none | 0.400 ± 0.141 |\n| jitter 0.1 | 0.600 ± 0.141 (+0.200 ± 0.200) |"
    )


def test_windows_for_augmentation_are_scaled_by_the_source():
    source, target = toy()[np.arange(10)], toy()[np.arange(10, 20)]
    found = augmentation.scaled(source, target)
    assert np.mean(found[0].X) == pytest.approx(0, abs=1e-6)
    assert np.std(found[0].X) == pytest.approx(1, rel=1e-5)
    ours = (np.asarray(target.X) - np.mean(source.X)) / np.std(source.X)
    np.testing.assert_allclose(found[1].X, ours, rtol=1e-5)
    np.testing.assert_array_equal(found[1].X.rpm, target.X.rpm)


@real_data
def test_the_benchmark_of_augmentation_runs(capsys, monkeypatch):
    chosen = {name: augmentation.AMOUNTS[name] for name in ("none", "all, half as much")}
    monkeypatch.setattr(augmentation, "AMOUNTS", chosen)
    augmentation.main([str(DATA), "--labels", "2", "--draws", "1", "--max-epochs", "1", "--tasks", "1"])
    printed = capsys.readouterr().out
    assert printed.count("| | hit, 2 labels |") == 1
    assert printed.count("| all, half as much | 0.") == 1
