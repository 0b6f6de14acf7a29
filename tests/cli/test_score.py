"""The command that scores rows: one answer a row, or a code and one line that say why."""

import errno
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktransfer import (
    BaselineScaler,
    ConditionMonitor,
    TableFormat,
    TimeColumn,
    TransferDetector,
    save,
    save_backbone,
)
from sktransfer import make_pipeline as make_our_pipeline
from sktransfer.cli.main import main
from tests.cli.rows import COLUMNS, FRAME, ROWS

ROOT = Path(__file__).resolve().parents[2]


TOML = """
[table]
machine = "pump"
separator = ";"
decimal = ","
[table.time]
name = "time"
zone = "UTC"
"""


@pytest.mark.parametrize("model", ["classifier.skops", "classifier.onnx"])
def test_rows_are_scored_with_columns_in_any_order(score, models, model):
    code, scored, _ = score(ROWS[COLUMNS[::-1]].assign(note="ignored"), model=model)
    assert code == 0
    assert list(scored.columns) == ["line", "state", "label", "confidence", "quality"]
    assert scored["line"].tolist() == list(range(2, len(ROWS) + 2))
    assert scored["label"].tolist() == models[1]["classifier"].predict(ROWS).tolist()
    np.testing.assert_allclose(scored["confidence"], models[1]["classifier"].predict_proba(ROWS).max(axis=1), atol=1e-6)


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


def test_a_long_table_tells_how_far_it_is(score, monkeypatch):
    from sktransfer.cli import score_command
    from sktransfer.io import score_rows

    monkeypatch.setattr(score_rows.score_rows, "__kwdefaults__", {"chunk_rows": 15, "now": None})
    assert "so far" not in score(ROWS)[2]
    monkeypatch.setattr(score_command, "_SILENCE", 0.0)
    said = score(ROWS)[2].splitlines()
    assert said == ["15 rows so far", "20 rows so far", "20 rows, 0.0% without data"]


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


def test_rows_are_counted_once_in_what_is_warned(score):
    rows = ROWS.copy()
    rows.iloc[0, 0] = 1e6
    assert f"1 of {len(ROWS)} rows lie far outside" in score(rows)[2]


def test_columns_of_the_table_do_not_overwrite_answers(score, tmp_path, models):
    (tmp_path / "line.toml").write_text('[table]\nmachine = "line"', encoding="utf-8")
    code, scored, _ = score(ROWS.assign(line="L7"), "--config", tmp_path / "line.toml")
    assert code == 0
    assert scored["line"].tolist() == list(range(2, len(ROWS) + 2))
    assert set(scored["line_"]) == {"L7"}


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
