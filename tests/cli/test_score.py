"""The command that scores rows: one answer a row from every kind of model file, or a code and one line that say why."""

import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktransfer import (
    BaselineScaler,
    OnnxModel,
    TransferClassifier,
    TransferDetector,
    TransferRegressor,
    export_onnx,
    load,
    save,
    save_backbone,
)
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
def score(models, tmp_path, capsys):
    """Scores a frame or text; the exit code, the answers, and what was said."""
    (tmp_path / "in").mkdir()

    def run(rows, *options, model="classifier.skops", out="scored.csv"):
        text = rows if isinstance(rows, str) else rows.to_csv(index=False)
        (tmp_path / "in" / "rows.csv").write_text(text, encoding="utf-8", newline="")
        given = [models[0] / model, tmp_path / "in" / "rows.csv", "--out", tmp_path / out, *options]
        code = main(["score", *map(str, given)])
        scored = pd.read_csv(tmp_path / out) if code in (0, 5) else None
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
