"""What a benchmark scores is seen by no draw, no fit and no scaler: poisoned rows change nothing that was fitted."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer

from benchmarks import comparison, tasks
from benchmarks.windows import bearings, few_labels, ours_process, process
from benchmarks.windows.loaders import SKAB_SENSORS, WindowSet
from sktransfer import Windows

POISON = 1e4
N_FAULTS = 3


class Records(ClassifierMixin, BaseEstimator):
    """Answers the first label it was fitted to, and keeps what it got."""

    def __init__(self):
        self.fitted, self.asked = [], []

    def fit(self, X, y, **extra):
        self.fitted.append((np.array(X), np.array(y)))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        self.asked.append(np.array(X))
        return np.full(len(X), self.fitted[-1][1][0])

    def predict_proba(self, X):
        self.asked.append(np.array(X))
        return np.full((len(X), 3), 0.5)


def poisoned(X):
    """Whether any number of `X` could only come from a poisoned row."""
    return bool((np.abs(X) > POISON / 10).any())


# ---- tables: benchmarks/tasks.py


def tep_files(folder, *, poison=False):
    """Four modes of three runs; `poison`: the second half of every run is another process with other labels."""
    (folder / "tep-multimode").mkdir(exist_ok=True)
    for mode in (1, 2, 3, 4):
        rng = np.random.default_rng(mode)
        X, fault = rng.normal(mode, 1.0, size=(N_FAULTS * 40, 5)), np.repeat(np.arange(N_FAULTS), 40)
        if poison:
            X[np.tile(np.arange(40), N_FAULTS) >= 20] += POISON
        np.savez(folder / "tep-multimode" / f"mode{mode}.npz", X=X, fault=fault)
    return folder


def test_a_mode_is_scaled_and_labelled_by_the_first_half_of_its_runs(tmp_path):
    pair = ((1, 2, 3), 4)
    (clean,) = tasks.tep_tasks(tep_files(tmp_path), tuple(range(N_FAULTS)), (pair,))
    (dirty,) = tasks.tep_tasks(tep_files(tmp_path, poison=True), tuple(range(N_FAULTS)), (pair,))
    assert poisoned(dirty.target.X_test)
    for name in ("X_pool", "y_pool"):
        np.testing.assert_array_equal(getattr(clean.target, name), getattr(dirty.target, name))
    for fitted in ("center_", "scale_"):
        np.testing.assert_array_equal(getattr(clean.target.scaler, fitted), getattr(dirty.target.scaler, fitted))
    with np.load(tmp_path / "tep-multimode" / "mode4.npz") as data:
        healthy = data["X"][:20]  # the first half of the run without a fault, in either file
    np.testing.assert_allclose(clean.target.scaler.center_, [healthy.mean(axis=0)])
    # the source's own later rows may be trained on, and are scaled by its first half, too
    first = np.tile(np.arange(40) < 20, 3 * N_FAULTS)
    np.testing.assert_array_equal(clean.X[first], dirty.X[first])
    assert len(clean.X) == len(clean.y) == 3 * N_FAULTS * 40
    assert set(clean.domain) == {1, 2, 3}  # never the target's mode
    assert len(clean.target.X_pool) + len(clean.target.X_test) == N_FAULTS * 40


def test_the_target_enters_no_pretraining(tmp_path, monkeypatch):
    (task,) = tasks.tep_tasks(tep_files(tmp_path), tuple(range(N_FAULTS)), (((1, 2), 3),))
    seen = []
    monkeypatch.setattr(tasks.TransferClassifier, "fit", lambda self, X, y: seen.append((X, y)) or self)
    monkeypatch.setattr(tasks.TransferClassifier, "backbone_", "backbone", raising=False)
    task.pretrain()
    ((X, y),) = seen
    assert X is task.X
    assert y is task.y
    target = task.target.scaler.transform(np.concatenate([task.target.X_pool, task.target.X_test]))
    assert not (X[:, None] == target[None]).all(axis=2).any()


def gas_file(folder, labels=1):
    (folder / "gas-sensor-drift").mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 4)), columns=[f"s{j}_f1" for j in range(4)])
    gas = np.random.default_rng(labels).integers(1, 7, 80)
    frame = frame.assign(batch=np.repeat([1, 2], 40), gas=np.where(np.arange(80) < 40, np.arange(80) % 6 + 1, gas))
    frame.to_csv(folder / "gas-sensor-drift" / "gas_drift_8batches.csv.gz", index=False)
    return folder


def test_a_batch_of_gas_sensors_is_scaled_without_its_labels(tmp_path):
    one, other = (tasks.gas_task(gas_file(tmp_path, labels), 1, 2) for labels in (1, 2))
    assert not np.array_equal(one.target.y_test, other.target.y_test)
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.y, other.y)
    np.testing.assert_array_equal(one.target.scaler.mean_, other.target.scaler.mean_)
    assert len(one.X) == len(one.target.X_pool) == 40


def test_rows_that_were_labelled_are_not_scored(tmp_path):
    task = tasks.gas_task(gas_file(tmp_path), 1, 2)
    assert task.target.X_test is task.target.X_pool  # one set of rows
    asked = Records()
    for seed in range(3):
        index = comparison.draw_total(task.target.y_pool, 20, seed)
        comparison.score_once(task.target, lambda target, state: asked, index, seed)
        np.testing.assert_array_equal(asked.fitted[-1][0], task.target.X_pool[index])
        rest = np.setdiff1d(np.arange(40), index)
        np.testing.assert_array_equal(asked.asked[-1], task.target.X_test[rest])


@pytest.mark.parametrize("draw", [comparison.draw_labels, comparison.draw_total])
def test_a_comparison_fits_on_drawn_rows_of_the_pool_alone(draw):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 3
    identity = FrozenEstimator(FunctionTransformer().fit(X))
    target = comparison.Target("t", X[:30], y[:30], X[30:] + POISON, y[30:], identity)
    seen = Records()
    comparison.compare(target, {"records": lambda t, state: seen}, [2], 3, draw=draw, n_jobs=1)
    assert len(seen.fitted) == 3
    assert not any(poisoned(rows) for rows, _ in seen.fitted)
    assert all(len(rows) == 30 for rows in seen.asked)
    assert all((rows > POISON / 10).all() for rows in seen.asked)


def skab_file(folder, poison=()):
    """Two groups of four recordings; `poison`: scored recordings change after their healthy start."""
    (folder / "skab").mkdir(exist_ok=True)
    parts = []
    for group in ("valve1", "other"):
        for k in range(4):
            rng = np.random.default_rng([k, len(group)])
            values = rng.normal(size=(260, len(SKAB_SENSORS)))
            if (group, k) in poison:
                values[200:] += POISON
            frame = pd.DataFrame(values, columns=SKAB_SENSORS).assign(anomaly=(np.arange(260) > 230).astype(int))
            frame.insert(0, "changepoint", 0)
            frame.insert(0, "file", str(k))
            frame.insert(0, "group", group)
            parts.append(frame)
    pd.concat(parts).to_csv(folder / "skab" / "skab.csv.gz", index=False)
    return folder


def test_the_scored_recordings_of_a_pump_change_neither_source_nor_pool(tmp_path):
    pairs = (("valve1", "other"),)
    (clean,) = tasks.skab_tasks(skab_file(tmp_path), pairs)
    (dirty,) = tasks.skab_tasks(skab_file(tmp_path, [("other", 1), ("other", 3)]), pairs)
    np.testing.assert_array_equal(clean.X, dirty.X)
    np.testing.assert_array_equal(clean.target.X_pool, dirty.target.X_pool)
    assert not np.array_equal(clean.target.X_test, dirty.target.X_test)
    # a recording is scaled by its first 100 rows, which are not scored: what comes after row 200 changes none before
    early = np.tile(np.arange(100, 260) < 200, 2)
    np.testing.assert_array_equal(clean.target.X_test[early], dirty.target.X_test[early])
    assert len(clean.target.X_pool) == 2 * 260
    assert len(clean.target.X_test) == len(clean.target.y_test) == 2 * 160


def milling_file(folder, *, poison=False):
    (folder / "ai4i2020").mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(120, 5))
    kind, failure = np.repeat(["L", "H"], 60), np.arange(120) % 5 == 0
    if poison:
        values[61::2] += POISON
        failure[61::2] = ~failure[61::2]
    frame = pd.DataFrame(values, columns=[f"c{j}" for j in range(5)])
    frame.insert(0, "Type", kind)
    frame.insert(0, "Product ID", kind)
    frame.insert(0, "UDI", range(120))
    frame.assign(**{"Machine failure": failure.astype(int)}).to_csv(folder / "ai4i2020" / "ai4i2020.csv", index=False)
    return folder


def test_a_milling_type_is_scaled_and_labelled_by_every_other_row(tmp_path):
    (clean,) = tasks.ai4i_tasks(milling_file(tmp_path))
    (dirty,) = tasks.ai4i_tasks(milling_file(tmp_path, poison=True))
    assert (np.abs(dirty.target.X_test) > POISON / 10).all()
    for one in (clean, dirty):
        assert not poisoned(one.target.X_pool)
    np.testing.assert_array_equal(clean.X, dirty.X)
    np.testing.assert_array_equal(clean.target.scaler.center_, dirty.target.scaler.center_)
    np.testing.assert_array_equal(clean.target.scaler.scale_, dirty.target.scaler.scale_)


# ---- windows: benchmarks/windows


def plant(seed, poison=None):
    """Windows of three classes, 24 each, in runs of one class; those in `poison` are shifted."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), 24)
    X = rng.normal(seed, 1.0, size=(72, 4, 40)).astype(np.float32) + y[:, None, None] * np.arange(4)[:, None] / 3
    if poison is not None:
        X[poison] += POISON
    place = np.tile(np.arange(24), 3)
    info = pd.DataFrame({"start": 40 * place, "n_rows": 24 * 40})
    return WindowSet(Windows.of(X.astype(np.float32)), y, y.astype(str), place, info)


TEP_METHODS = {
    "tag features": ours_process.tep_discriminant,
    "statistics": process.tep_statistics,
    "target alone": process.tep_target_only,
}


@pytest.mark.parametrize("name", TEP_METHODS)
def test_a_method_of_the_modes_reads_no_label_that_it_was_not_given(name):
    sources, target = [plant(1), plant(2)], plant(3)
    early, _ = process.thirds(target)
    labelled = process.draw_labels(target.y, early, 2, 0)
    unknown = np.setdiff1d(np.flatnonzero(target.y != 0), labelled)
    other = WindowSet(target.X, target.y.copy(), target.groups, target.place, target.info)
    other.y[unknown] = 3 - target.y[unknown]
    expected = TEP_METHODS[name]()(sources, target, labelled, 0)
    np.testing.assert_array_equal(TEP_METHODS[name]()(sources, other, labelled, 0), expected)
    assert len(set(expected)) > 1


def test_the_modes_score_what_no_draw_can_touch(monkeypatch):
    monkeypatch.setattr(process, "tep", lambda folder, **cut: {1: plant(1), 2: plant(2)})
    seen = []

    def method(sources, target, labelled, random_state):
        seen.append((labelled, [int(np.asarray(source.X).mean()) for source in sources]))
        answer = np.full(len(target), -1)
        answer[labelled] = target.y[labelled]  # right where it was told, wrong elsewhere
        return answer

    found = process.tep_modes(None, {"repeats": method}, labels=(5,), draws=2)
    assert (found["score"] == 0).all()
    assert all(sources in ([1], [2]) for _, sources in seen)
    early, rest = process.thirds(plant(1))
    for labelled, _ in seen:
        assert early[labelled].all()
        assert not rest[labelled].any()


def test_tag_features_are_scaled_by_the_healthy_windows_alone(monkeypatch):
    class AsTheyAre:
        def fit(self, features):
            return self

        def transform(self, features):
            return features

    faulty = np.arange(72) >= 24
    healthy_only = (ours_process.tag_features(plant(1, poison), healthy_only=True) for poison in (None, faulty))
    np.testing.assert_array_equal(*(features[~faulty] for features in healthy_only))
    monkeypatch.setattr(ours_process, "StandardScaler", AsTheyAre)  # which is of all windows, without labels
    clean, dirty = (ours_process.tag_features(plant(1, poison)) for poison in (None, faulty))
    np.testing.assert_array_equal(clean[~faulty], dirty[~faulty])
    assert not np.array_equal(clean[faulty], dirty[faulty])


def pump(seed, poison_from=None):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(220, len(SKAB_SENSORS)))
    if poison_from is not None:
        values[poison_from:] += POISON
    return process.Skab(values, (np.arange(220) > 180).astype(int), reference=100)


SKAB_METHODS = {
    "tag features": ours_process.skab_logistic,
    "rows": process.skab_rows(),
    "scaled rows": process.skab_rows(scaled=True),
    "clock": process.skab_clock,
}


@pytest.mark.parametrize("name", SKAB_METHODS)
def test_the_score_of_a_pump_row_knows_neither_later_rows_nor_the_labels(name):
    sources, target = [pump(1), pump(2)], pump(3)
    (expected,) = SKAB_METHODS[name](sources, [target], 0)
    (late,) = SKAB_METHODS[name](sources, [pump(3, poison_from=160)], 0)
    np.testing.assert_allclose(late[:60], expected[:60], rtol=1e-5, atol=1e-6)
    target.y[100:] = 1 - target.y[100:]
    np.testing.assert_array_equal(SKAB_METHODS[name](sources, [target], 0)[0], expected)


def test_bearings_that_are_tested_are_in_no_fit():
    rng = np.random.default_rng(0)
    records = np.repeat([f"r{k}" for k in range(6)], 4)
    X, Y = rng.normal(size=(24, 2)), np.eye(3, dtype=int)[np.arange(24) // 4 % 3]
    table = pd.DataFrame(
        [(f"{s}DE", "test" if k % 3 == s else "train", f"r{k}") for s in range(3) for k in range(6)],
        columns=["split", "role", "waveform_id"],
    )
    for s in range(3):
        seen = Records()
        held = np.isin(records, [f"r{s}", f"r{s + 3}"])
        dirty = np.where(held[:, None], X + POISON, X)
        split = table[table["split"] == f"{s}DE"]
        bearings.over_splits(
            dirty, Y, records, np.arange(24), split, {"records": lambda state, one=seen: one}, None, np.arange(24)
        )
        ((rows, labels),) = seen.fitted
        assert not poisoned(rows)
        np.testing.assert_array_equal(rows, X[~held])
        np.testing.assert_array_equal(labels, Y[~held])
        np.testing.assert_array_equal(seen.asked[0], dirty[held])


@pytest.mark.parametrize("both", [False, True])
def test_no_window_of_the_other_end_is_in_a_fit(monkeypatch, both):
    ends = {"DE": plant(1), "FE": plant(2, np.arange(72) >= 0)}
    for windows in ends.values():
        windows.info["size"] = 7
    monkeypatch.setattr(bearings, "cwru", lambda folder, length, ends="DE", every=ends: every[ends])
    seen = Records()
    bearings.end_to_end(None, {"records": lambda state: seen}, draws=2, both=both)
    for (rows, _), asked in zip(seen.fitted, seen.asked, strict=True):
        assert poisoned(rows) is not poisoned(asked)
    assert len(seen.fitted) == (4 if both else 2)


@pytest.mark.parametrize("reading", few_labels.READINGS)
@pytest.mark.parametrize("task", ["hit a -> b", "motors a -> b"])
def test_few_labels_fits_on_no_window_that_it_scores(reading, task):
    source, target = plant(1), plant(2)
    _, scored = few_labels.label_part(target, task.startswith("motors"))
    dirty = plant(2, scored if reading == "target" else np.ones(72, dtype=bool))
    dirty.groups[:] = [f"{label}-{place // 6}" for label, place in zip(dirty.y, dirty.place, strict=True)]
    _, scored = few_labels.label_part(dirty, task.startswith("motors"))
    if reading == "target":
        X = np.array(plant(2).X)
        X[scored] += POISON
        dirty = WindowSet(Windows.of(X), dirty.y, dirty.groups, dirty.place, dirty.info)
    seen = Records()
    few_labels.few_labels({task: (source, dirty)}, {"m": few_labels.Method(lambda state: seen)}, (2, 5), 2, reading)
    assert len(seen.fitted) == 4
    for (rows, labels), asked in zip(seen.fitted, seen.asked, strict=True):
        assert not poisoned(rows)
        assert len(set(labels)) == 3
        assert (np.abs(asked) > POISON / 10).all()
