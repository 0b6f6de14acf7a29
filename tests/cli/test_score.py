"""The command that scores rows: one answer a row from every kind of model file, or a code and one line that say why."""

import errno
import os
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktransfer import (
    BaselineScaler,
    ConditionMonitor,
    FleetClassifier,
    MultiTaskTransfer,
    OnnxModel,
    OpenSetClassifier,
    TableFormat,
    TimeColumn,
    TransferClassifier,
    TransferDetector,
    TransferRegressor,
    export_onnx,
    load,
    save,
    save_backbone,
)
from sktransfer import make_pipeline as make_our_pipeline
from sktransfer.cli.main import main
from tests.helpers import moons, small_backbone

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["flow", "pressure", "level", "speed"]
X, Y = moons(60)
FRAME = pd.DataFrame(X, columns=COLUMNS)
ROWS = pd.DataFrame(moons(20, seed=1)[0], columns=COLUMNS)
TOML = """
[table]
machine = "pump"
separator = ";"
decimal = ","
[table.time]
name = "time"
zone = "UTC"
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    found = {
        "classifier": make_pipeline(BaselineScaler(normal_label="normal", compress=False), network).fit(FRAME, Y),
        "regressor": make_pipeline(BaselineScaler(), TransferRegressor(max_epochs=2, random_state=0)).fit(
            FRAME, FRAME["flow"]
        ),
        "detector": make_pipeline(BaselineScaler(), TransferDetector()).fit(FRAME),
    }
    for name, model in found.items():
        save(model, folder / f"{name}.skops")
    joblib.dump(found["classifier"], folder / "classifier.joblib")
    export_onnx(found["classifier"], folder / "classifier.onnx", X=FRAME)
    return folder, found


@pytest.fixture
def dumped(tmp_path):
    """Writes a model that any program could be in; the options of the command that reads it."""

    def write(model, name="model"):
        joblib.dump(model, tmp_path / f"{name}.joblib")
        return {"model": tmp_path / f"{name}.joblib"}

    return write


@pytest.fixture
def score(models, tmp_path, capsys):
    """Scores a frame or text; the exit code, the answers, and what was said."""
    (tmp_path / "in").mkdir()

    def run(rows, *options, model="classifier.skops", out="scored.csv"):
        text = rows if isinstance(rows, str) else rows.to_csv(index=False)
        (tmp_path / "in" / "rows.csv").write_text(text, encoding="utf-8", newline="")
        given = [models[0] / model, tmp_path / "in" / "rows.csv", "--out", tmp_path / out, *options]
        code = main(["score", *map(str, given)])
        scored = pd.read_csv(tmp_path / out, dtype={"pump": str}) if code in (0, 5) else None
        return code, scored, capsys.readouterr().err

    return run


@pytest.mark.parametrize("model", ["classifier.skops", "classifier.onnx"])
def test_rows_are_scored_with_columns_in_any_order(score, models, model):
    code, scored, _ = score(ROWS[COLUMNS[::-1]].assign(note="ignored"), model=model)
    assert code == 0
    assert list(scored.columns) == ["line", "state", "label", "confidence", "quality"]
    assert scored["line"].tolist() == list(range(2, len(ROWS) + 2))
    assert scored["label"].tolist() == models[1]["classifier"].predict(ROWS).tolist()
    np.testing.assert_allclose(scored["confidence"], models[1]["classifier"].predict_proba(ROWS).max(axis=1), atol=1e-6)


def test_a_joblib_file_is_run_only_when_it_is_said_so(score, models):
    code, _, said = score(ROWS, model="classifier.joblib")
    assert code == 4
    assert "a program" in said
    code, scored, _ = score(ROWS, "--joblib", model="classifier.joblib")
    assert code == 0
    assert scored["label"].tolist() == models[1]["classifier"].predict(ROWS).tolist()


def test_a_regressor_and_a_detector_have_their_own_answers(score, models):
    _, scored, _ = score(ROWS, model="regressor.skops")
    np.testing.assert_allclose(scored["value"], models[1]["regressor"].predict(ROWS), rtol=1e-6)
    _, scored, _ = score(ROWS + 100, model="detector.skops")
    np.testing.assert_allclose(scored["score"], models[1]["detector"].score_samples(ROWS + 100), rtol=1e-9)
    assert set(scored["label"]) == {"unusual"}


@pytest.mark.parametrize("model", ["classifier.skops", "classifier.onnx"])
def test_rows_with_missing_cells_abstain_and_the_rest_is_scored(score, model):
    rows = ROWS.astype(object)
    rows.iloc[3, 1], rows.iloc[4, 2], rows.iloc[5, 0] = np.nan, "Bad Input", "inf"
    code, scored, said = score(rows, model=model)
    assert code == 0
    assert scored.index[scored["state"] == "NO_DATA"].tolist() == [3, 4, 5]
    assert scored["quality"].dropna().tolist() == ["missing: pressure", "missing: level", "missing: flow"]
    assert scored.loc[scored["state"] == "NO_DATA", ["label", "confidence"]].isna().all(axis=None)
    assert f"{len(ROWS)} rows, {3 / len(ROWS):.1%} without data" in said
    rows.iloc[:12, 0] = np.nan
    assert score(rows, model=model)[0] == 5


def test_a_model_that_takes_missing_cells_is_asked_about_them(score, tmp_path):
    imputing = make_pipeline(SimpleImputer(), LinearSVC()).fit(FRAME, Y)
    joblib.dump(imputing, tmp_path / "imputing.joblib")
    rows = ROWS.copy()
    rows.iloc[3, 1] = np.nan
    rows.iloc[4] = np.nan
    code, scored, _ = score(rows, "--joblib", model=tmp_path / "imputing.joblib")
    assert code == 0
    assert scored["state"].tolist() == ["SCORED"] * 4 + ["NO_DATA"] + ["SCORED"] * (len(ROWS) - 5)
    assert scored.loc[3, "label"] == imputing.predict(rows.iloc[[3]])[0]
    assert scored.loc[3, "quality"] == "missing: pressure"


def test_the_table_may_be_written_in_another_way(score, tmp_path, models):
    (tmp_path / "plant.toml").write_text(TOML, encoding="utf-8")
    time = pd.date_range("2026-01-01", periods=len(ROWS), freq="min").strftime("%Y-%m-%d %H:%M")
    text = ROWS.assign(time=time, pump="007").to_csv(index=False, sep=";", decimal=",")
    code, scored, _ = score(text, "--config", tmp_path / "plant.toml")
    assert code == 0
    assert list(scored.columns)[:3] == ["line", "time", "pump"]
    assert scored["time"].iloc[1] == "2026-01-01T00:01:00Z"
    assert scored["label"].tolist() == models[1]["classifier"].predict(ROWS).tolist()


def test_many_rows_in_chunks_are_those_of_one_piece(score, monkeypatch):
    from sktransfer.io import score_rows

    many = pd.concat([ROWS] * 30)
    _, whole, _ = score(many)
    monkeypatch.setattr(score_rows.score_rows, "__kwdefaults__", {"chunk_rows": 101, "now": None})
    _, parts, said = score(many)
    pd.testing.assert_frame_equal(parts, whole, atol=1e-6)
    assert "600 rows" in said


def test_a_file_without_rows_is_no_error(score):
    for model in ("classifier.skops", "regressor.skops", "classifier.onnx"):
        code, scored, said = score(pd.DataFrame(columns=COLUMNS), model=model)
        assert (code, len(scored)) == (0, 0)
        assert "0 rows" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="level"), "column 'level': the header has no such column"),
        (lambda rows: rows.assign(level="high"), "'high'"),
        (lambda rows: rows.to_csv(index=False, sep=";"), "Declare separator=';'"),
        (lambda rows: "", "empty"),
        (lambda rows: rows.to_csv(index=False).replace("\n", ",1\n", 3), "fields"),
    ],
)
def test_input_that_cannot_be_used_is_one_line_and_exit_3(score, tmp_path, change, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code, _, said = score(change(ROWS))
    assert code == 3
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_an_error_in_a_later_chunk_leaves_the_output_as_it_was(score, tmp_path, monkeypatch):
    from sktransfer.io import score_rows

    score(ROWS)
    before = (tmp_path / "scored.csv").read_bytes()
    monkeypatch.setattr(score_rows.score_rows, "__kwdefaults__", {"chunk_rows": 5, "now": None})
    rows = ROWS.astype(object)
    rows.iloc[-1, 0] = "high"
    assert score(rows)[0] == 3
    assert (tmp_path / "scored.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "scored.csv"]


def test_a_model_file_that_cannot_be_used_is_exit_4(score, tmp_path, models):
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    save_backbone(models[1]["classifier"][-1].backbone_, tmp_path / "backbone.safetensors")
    joblib.dump(make_pipeline(StandardScaler()).fit(FRAME), tmp_path / "scaler.joblib")
    (tmp_path / "torn.joblib").write_bytes((models[0] / "classifier.joblib").read_bytes()[:500])
    for name in ("bad.onnx", "backbone.safetensors", "missing.skops", "missing.onnx"):
        code, _, said = score(ROWS, model=tmp_path / name)
        assert (code, name in said) == (4, True), name
    for name, message in (("scaler.joblib", "predicts nothing"), ("torn.joblib", "damaged")):
        code, _, said = score(ROWS, "--joblib", model=tmp_path / name)
        assert (code, message in said) == (4, True), name
    for name in ("classifier.skops", "classifier.onnx"):
        assert score(ROWS, "--sha256", "0" * 64, model=name)[0] == 4


def test_options_that_contradict_each_other_are_exit_2(score, tmp_path, models):
    (tmp_path / "in" / "rows.csv").write_text(ROWS.to_csv(index=False))
    given = ["score", str(models[0] / "classifier.skops"), str(tmp_path / "in" / "rows.csv")]
    assert main([*given, "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert main([*given, "--out", str(tmp_path / "a.csv"), "--out-folder", str(tmp_path)]) == 2
    assert main([*given, "--out", str(tmp_path / "in" / "rows.csv")]) == 2
    assert main([*given, "--out-folder", str(tmp_path / "in")]) == 2
    (tmp_path / "link.csv").symlink_to(tmp_path / "in" / "rows.csv")
    assert main([*given, "--out", str(tmp_path / "link.csv")]) == 2
    assert (tmp_path / "in" / "rows.csv").read_text() == ROWS.to_csv(index=False)


def test_several_tables_go_to_one_file_or_to_one_each(score, tmp_path, models, capsys):
    score(ROWS)
    ROWS.iloc[:5].to_csv(tmp_path / "in" / "more.csv", index=False)
    model, given = str(models[0] / "classifier.skops"), str(tmp_path / "in")
    assert main(["score", model, given, "--out", str(tmp_path / "all.csv")]) == 0
    assert main(["score", model, given, "--out-folder", str(tmp_path / "each")]) == 0
    whole = pd.read_csv(tmp_path / "all.csv")
    assert [Path(name).name for name in whole["file"].unique()] == ["more.csv", "rows.csv"]
    for name, part in whole.groupby("file"):
        each = pd.read_csv(tmp_path / "each" / Path(name).name)
        pd.testing.assert_frame_equal(each, part.drop(columns="file").reset_index(drop=True))
    capsys.readouterr()


def test_a_dask_cluster_writes_the_same_files(score, tmp_path, models):
    distributed = pytest.importorskip("distributed")
    rows = ROWS.copy()
    rows.iloc[0, 0] = 1e6
    score(rows)
    for k in range(4):
        ROWS.iloc[k:].to_csv(tmp_path / "in" / f"{k}.csv", index=False)
    given = ["score", str(models[0] / "classifier.skops"), str(tmp_path / "in"), "--out-folder"]
    assert main([*given, str(tmp_path / "here")]) == 0
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        assert main([*given, str(tmp_path / "there"), "--scheduler", cluster.scheduler_address]) == 0
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert (
        names
        == sorted(path.name for path in (tmp_path / "there").iterdir())
        == [*(f"{k}.csv" for k in range(4)), "rows.csv"]
    )
    for name in names:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_an_exported_file_answers_as_the_model_file(score, tmp_path, models, capsys):
    score(FRAME.iloc[:50])
    given = [
        str(models[0] / "classifier.skops"),
        "--out",
        str(tmp_path / "m.onnx"),
        "--rows",
        str(tmp_path / "in" / "rows.csv"),
    ]
    assert main(["export", *given]) == 0
    assert "50 rows" in capsys.readouterr().err
    model = OnnxModel(tmp_path / "m.onnx")
    np.testing.assert_array_equal(model.predict(ROWS), load(models[0] / "classifier.skops").predict(ROWS))
    assert main(["export", str(models[0] / "detector.skops"), "--out", str(tmp_path / "d.onnx")]) == 4
    assert "TransferDetector" in capsys.readouterr().err
    assert not (tmp_path / "d.onnx").exists()


# ---- every kind of model answers as its `predict` does


def test_an_open_set_says_unknown_and_reads_its_columns_by_name(score, dumped):
    model = OpenSetClassifier(TransferClassifier(small_backbone(max_epochs=10), random_state=0)).fit(FRAME, Y)
    far = pd.concat([ROWS, ROWS + 20], ignore_index=True)
    code, scored, _ = score(far[COLUMNS[::-1]], "--joblib", **dumped(model))
    expected = model.predict(far)
    assert code == 0
    assert "unknown" in expected
    assert scored["label"].tolist() == expected.tolist()
    np.testing.assert_array_equal(scored["confidence"].isna(), expected == "unknown")


def test_a_threshold_that_was_set_decides_the_label(score, dumped, models):
    two = np.where(Y == "normal", "normal", "fault")
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    model = FixedThresholdClassifier(network, threshold=0.9, pos_label="fault").fit(FRAME, two)
    expected, proba = model.predict(ROWS), model.predict_proba(ROWS)
    assert (expected != model.classes_[proba.argmax(axis=1)]).any()
    _, scored, _ = score(ROWS, "--joblib", **dumped(model))
    assert scored["label"].tolist() == expected.tolist()
    np.testing.assert_allclose(scored["confidence"], np.where(expected == "fault", proba[:, 0], proba[:, 1]))


def test_tasks_have_columns_of_their_own(score, dumped):
    y = pd.DataFrame({"fault": Y, "flow": FRAME["flow"] * 2})
    model = MultiTaskTransfer(max_epochs=2, random_state=0).fit(FRAME, y)
    code, scored, _ = score(ROWS, "--joblib", **dumped(model))
    assert code == 0
    assert list(scored.columns) == ["line", "state", "label_fault", "confidence_fault", "value_flow", "quality"]
    expected = model.predict(ROWS)
    assert scored["label_fault"].tolist() == expected["fault"].tolist()
    np.testing.assert_allclose(scored["value_flow"], expected["flow"], rtol=1e-6)
    both = KNeighborsClassifier().fit(FRAME, np.c_[Y, Y[::-1]])
    _, scored, _ = score(ROWS, "--joblib", **dumped(both))
    np.testing.assert_array_equal(scored[["label_0", "label_1"]], both.predict(ROWS))


def test_the_components_of_a_mixture_are_no_verdict(score, dumped):
    model = GaussianMixture(2, random_state=0).fit(FRAME)
    _, scored, _ = score(ROWS, "--joblib", **dumped(model))
    assert "label" not in scored
    assert scored["value"].tolist() == model.predict(ROWS).tolist()


def test_rows_are_counted_once_in_what_is_warned(score):
    rows = ROWS.copy()
    rows.iloc[0, 0] = 1e6
    assert f"1 of {len(ROWS)} rows lie far outside" in score(rows)[2]


def test_columns_without_names_are_said_to_be_taken_in_their_order(score, dumped, tmp_path):
    model = make_pipeline(StandardScaler(), LinearSVC()).fit(X, Y)
    code, scored, said = score(ROWS, "--joblib", **dumped(model))
    assert (code, "in their order: ['flow', 'pressure', 'level', 'speed']" in said) == (0, True)
    (tmp_path / "order.toml").write_text(f"[table]\nsensors = {COLUMNS}", encoding="utf-8")
    given = ROWS[COLUMNS[::-1]], "--joblib", "--config", tmp_path / "order.toml"
    code, again, said = score(*given, **dumped(model))
    assert (code, "order" in said) == (0, False)
    assert again["label"].tolist() == scored["label"].tolist() == model.predict(ROWS.to_numpy()).tolist()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (make_pipeline(StandardScaler(), LinearSVC()), "not fitted"),
        (TransferClassifier(max_epochs=1, random_state=0).fit(np.zeros((20, 4, 32)) + np.arange(20)[:, None, None] % 2,
                                                              np.arange(20) % 2), "takes windows"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_answer_rows_is_exit_4(score, dumped, model, message):
    code, _, said = score(ROWS, "--joblib", **dumped(model))
    assert (code, message in said, "model.joblib" in said) == (4, True, True)


def test_what_a_model_refuses_names_the_table(score, dumped):
    model = make_pipeline(StandardScaler(), LinearSVC()).fit(X[:, :3], Y)
    code, _, said = score(ROWS, "--joblib", **dumped(model))
    assert (code, "rows.csv: The table has 4 columns" in said) == (3, True)


# ---- machines

MACHINE = np.where(np.arange(len(FRAME)) % 2, "A", "B")
PUMPS = ROWS.assign(pump=np.where(np.arange(len(ROWS)) % 3, "A", "B"))


def fleet(**options):
    return FleetClassifier(small_backbone(max_epochs=10), baseline=BaselineScaler(), **options)


@pytest.fixture
def with_pumps(tmp_path):
    (tmp_path / "pumps.toml").write_text('[table]\nmachine = "pump"', encoding="utf-8")
    return "--joblib", "--config", tmp_path / "pumps.toml"


def machines_of_numbers(names):
    return np.where(names == "A", 7, 8)


@pytest.mark.parametrize("kind", ["fleet", "numbers", "scaler", "search"])
def test_each_row_is_answered_for_its_machine(score, dumped, with_pumps, kind):
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    pipeline = make_our_pipeline(BaselineScaler(normal_label="normal"), network)
    named = machines_of_numbers if kind == "numbers" else np.asarray
    model = {"fleet": fleet(), "numbers": fleet(), "scaler": pipeline,
             "search": GridSearchCV(pipeline, {"transferclassifier__head": [None]}, cv=2)}[kind]  # fmt: skip
    shift = np.where(MACHINE == "A", 0.0, 3.0)[:, None]
    model.fit(FRAME + shift, Y, sample_domain=named(MACHINE))
    rows = PUMPS.assign(pump=named(PUMPS["pump"].to_numpy()))
    rows[COLUMNS] += np.where(PUMPS["pump"] == "A", 0.0, 3.0)[:, None]
    code, scored, _ = score(rows[["pump", *COLUMNS[::-1]]], *with_pumps, **dumped(model))
    inner = getattr(model, "best_estimator_", model)
    expected = inner.predict(rows[COLUMNS], sample_domain=rows["pump"].to_numpy())
    assert code == 0
    assert scored["label"].tolist() == expected.tolist()
    assert scored["pump"].tolist() == rows["pump"].astype(str).tolist()


def test_a_fleet_reads_the_column_that_it_was_fitted_with(score, dumped):
    model = fleet(machine="pump").fit(FRAME.assign(pump=MACHINE), Y)
    code, scored, _ = score(PUMPS, "--joblib", **dumped(model))
    assert code == 0
    assert scored["label"].tolist() == model.predict(PUMPS).tolist()
    code, _, said = score(ROWS, "--joblib", **dumped(model))
    assert (code, "'pump': the header has no such column" in said) == (3, True)


def test_a_machine_without_a_baseline_is_no_data_and_one_that_is_not_named_an_error(score, dumped, with_pumps):
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    scaler = BaselineScaler(normal_label="normal", target_domain="A")
    model = make_our_pipeline(scaler, network).fit(FRAME, Y, sample_domain=MACHINE)
    rows = PUMPS.assign(pump=["C", *PUMPS["pump"][1:]])
    code, scored, said = score(rows, *with_pumps, **dumped(model))
    assert code == 0
    assert scored.loc[scored["state"] == "NO_DATA", "quality"].to_dict() == {0: "a machine without a baseline"}
    assert "machines without a baseline, ['C']" in said
    code, _, said = score(ROWS, "--joblib", **dumped(fleet().fit(FRAME, Y, sample_domain=MACHINE)))
    assert (code, "rows.csv: The model tells machines apart, ['A', 'B']" in said) == (3, True)
    numbers = fleet().fit(FRAME, Y, sample_domain=machines_of_numbers(MACHINE))
    code, _, said = score(PUMPS, *with_pumps, **dumped(numbers))
    assert (code, "knows its machines by numbers, [7, 8]" in said) == (3, True)
    code, _, said = score(PUMPS.assign(pump="9" * 20), *with_pumps, **dumped(numbers))
    assert (code, "knows its machines by numbers, [7, 8]" in said) == (3, True)


def test_columns_of_the_table_do_not_overwrite_answers(score, tmp_path, models):
    (tmp_path / "line.toml").write_text('[table]\nmachine = "line"', encoding="utf-8")
    code, scored, _ = score(ROWS.assign(line="L7"), "--config", tmp_path / "line.toml")
    assert code == 0
    assert scored["line"].tolist() == list(range(2, len(ROWS) + 2))
    assert set(scored["line_"]) == {"L7"}


# ---- files and outputs


def test_one_bad_table_of_many_does_not_keep_the_others_from_being_scored(score, tmp_path, models, capsys):
    score(ROWS)
    ROWS.assign(flow="kaputt").to_csv(tmp_path / "in" / "a.csv", index=False)
    ROWS.iloc[:5].to_csv(tmp_path / "in" / "Z.CSV", index=False)
    given = ["score", str(models[0] / "classifier.skops"), str(tmp_path / "in"), "--out-folder", str(tmp_path / "each")]
    assert main(given) == 3
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == ["Z.csv", "rows.csv"]
    bad, counted = capsys.readouterr().err.strip().splitlines()
    assert "a.csv, line 2, column 'flow': 'kaputt'" in bad
    assert counted == f"{len(ROWS) + 5} rows, 0.0% without data; 1 of 3 tables could not be scored"


def test_what_the_system_refuses_names_file_and_remedy(score, tmp_path, monkeypatch):
    code, _, said = score(ROWS, out="missing/scored.csv")
    assert (code, said) == (
        3, f"error: {tmp_path}/missing/scored.csv: No such file or directory. Make the folder, or name another one.\n"
    )  # fmt: skip

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, _, said = score(ROWS)
    assert (code, "scored.csv: No space left on device. Make room" in said) == (3, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


@pytest.mark.parametrize("given", [["--max-abstained", "50"], ["--max-abstained", "nan"], ["--scheduler", "nonsense"]])
def test_options_that_mean_nothing_are_exit_2(score, given):
    code, _, said = score(ROWS, *given)
    assert (code, given[-1] in said) == (2, True)


def test_a_reader_that_goes_is_no_error(score, tmp_path, models):
    score(ROWS)
    table = str(tmp_path / "in" / "rows.csv")
    command = [sys.executable, "-c", "from sktransfer.cli.main import run; run()", "score"]
    done = subprocess.Popen(
        [*command, str(models[0] / "classifier.onnx"), *[table] * 20],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    done.stdout.close()
    assert (done.stderr.read(), done.wait()) == ("", 0)


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "sklearn", "skorch", "skops", "scipy", "joblib", "safetensors", "pyarrow"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
from sktransfer.cli.main import main
code = main(sys.argv[1:])
assert "onnxruntime" in sys.modules
sys.exit(code)
"""


def test_an_onnx_file_is_scored_with_onnxruntime_numpy_and_pandas_alone(score, tmp_path, models):
    _, expected, _ = score(ROWS, model="classifier.onnx")
    out = tmp_path / "alone.csv"
    given = ["score", models[0] / "classifier.onnx", tmp_path / "in" / "rows.csv", "--out", out]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *map(str, given)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(pd.read_csv(out), expected)


def test_a_table_that_begins_without_data_has_the_columns_of_all_values(score, dumped, monkeypatch):
    from sktransfer.io import score_rows

    model = Ridge().fit(FRAME, FRAME[["flow", "level"]])
    rows = ROWS.copy()
    rows.iloc[:5] = np.nan
    monkeypatch.setattr(score_rows.score_rows, "__kwdefaults__", {"chunk_rows": 5, "now": None})
    _, scored, _ = score(rows, "--joblib", **dumped(model))
    np.testing.assert_allclose(scored[["value_0", "value_1"]].iloc[5:], model.predict(rows[5:]))
    _, scored, _ = score(ROWS.iloc[:0], "--joblib", **dumped(model))
    assert list(scored.columns) == ["line", "state", "value_0", "value_1", "quality"]


def test_export_overwrites_nothing_that_it_reads(score, tmp_path, models, capsys):
    score(ROWS)
    model, rows = tmp_path / "m.skops", tmp_path / "in" / "rows.csv"
    model.write_bytes((models[0] / "classifier.skops").read_bytes())
    before = model.read_bytes(), rows.read_bytes()
    (tmp_path / "link.onnx").symlink_to(rows)
    assert main(["export", str(model), "--out", str(model)]) == 2
    assert main(["export", str(model), "--out", str(tmp_path / "m.txt")]) == 2
    assert main(["export", str(model), "--rows", str(rows), "--out", str(tmp_path / "link.onnx")]) == 2
    assert (model.read_bytes(), rows.read_bytes()) == before
    capsys.readouterr()
    assert main(["export", str(models[0] / "classifier.onnx"), "--out", str(tmp_path / "again.onnx")]) == 4
    assert "an ONNX file already" in capsys.readouterr().err


def test_export_names_the_columns_that_the_rows_lack(score, tmp_path, capsys):
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    save(make_our_pipeline(BaselineScaler(), network).fit(X, Y), tmp_path / "m.skops")
    score(ROWS[COLUMNS[1:]])
    rows, out = str(tmp_path / "in" / "rows.csv"), tmp_path / "m.onnx"
    assert main(["export", str(tmp_path / "m.skops"), "--rows", rows, "--out", str(out)]) == 3
    assert "rows.csv: the table has 3 columns of numbers" in capsys.readouterr().err
    assert not out.exists()


def test_the_configuration_is_not_overwritten(score, tmp_path):
    (tmp_path / "plant.toml").write_text("[table]\n")
    assert score(ROWS, "--config", tmp_path / "plant.toml", out="plant.toml")[0] == 2
    assert (tmp_path / "plant.toml").read_text() == "[table]\n"


def test_a_monitor_scores_a_table_without_rows(tmp_path, capsys):
    time = pd.date_range("2026-01-01", periods=400, freq="min", tz="UTC")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 2)), columns=["p", "T"]).assign(time=time)
    form = TableFormat({"p": "bar", "T": "K"}, time=TimeColumn("time", zone="UTC"))
    monitor = ConditionMonitor(make_our_pipeline(BaselineScaler(), TransferDetector()), form).fit(frame)
    save(monitor, tmp_path / "m.skops")
    for name, rows in (("full", frame), ("none", frame.iloc[:0])):
        rows.to_csv(tmp_path / f"{name}.csv", index=False, date_format="%Y-%m-%d %H:%M:%S")
        table, out = str(tmp_path / f"{name}.csv"), str(tmp_path / f"{name}.out")
        assert main(["score", str(tmp_path / "m.skops"), table, "--out", out]) == 0
    assert (tmp_path / "none.out").read_text() == (tmp_path / "full.out").read_text().splitlines(keepends=True)[0]
    assert "0 samples" in capsys.readouterr().err


class Deadly(BaseEstimator):
    """Ends its process at a row of 666."""

    def fit(self, X, y=None):
        self.feature_names_in_, self.n_features_in_ = np.array(list(X.columns), dtype=object), X.shape[1]
        return self

    def predict(self, X):
        if (X.to_numpy() == 666).any():
            os._exit(9)
        return np.zeros(len(X))


def test_a_cluster_without_workers_or_whose_workers_die_is_one_line(score, dumped, tmp_path, monkeypatch, capsys):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("sktransfer.cli.dask_scoring._PATIENCE", 3)
    score(ROWS.replace({"flow": {ROWS["flow"].iloc[0]: 666}}))
    model = str(dumped(Deadly().fit(FRAME))["model"])
    given = ["score", model, "--joblib", str(tmp_path / "in" / "rows.csv"), "--out-folder", str(tmp_path / "out")]
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        assert main([*given, "--scheduler", cluster.scheduler_address]) == 3
    assert "has no worker" in capsys.readouterr().err
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        assert main([*given, "--scheduler", cluster.scheduler_address]) == 3
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(said) == 1
    assert "workers" in said[0]
    assert list((tmp_path / "out").iterdir()) == []
