"""The scoring job does what a scheduler needs: one answer a row, or a code and one line that say why not."""

import importlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktransfer import BaselineScaler, TransferClassifier, save_backbone
from tests.helpers import moons, small_backbone

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["flow", "pressure", "level", "speed"]
ROWS = pd.DataFrame(moons(6, seed=1)[0], columns=COLUMNS)
job = importlib.import_module("examples.02_score_a_csv")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    X, y = moons(60)
    scaler = BaselineScaler(normal_label="normal", compress=False)
    model = make_pipeline(scaler, TransferClassifier(small_backbone(max_epochs=10), random_state=0))
    file = tmp_path_factory.mktemp("model") / "model.joblib"
    joblib.dump(model.fit(pd.DataFrame(X, columns=COLUMNS), y), file)
    return file


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def score(model_file, tmp_path, capsys, monkeypatch):
    """Runs the job in this process on a frame or on text."""
    monkeypatch.setattr(signal, "signal", lambda *args: None)

    def run(rows, *options, model=model_file, out="scored.csv"):
        text = rows if isinstance(rows, str) else rows.to_csv(index=False)
        (tmp_path / "rows.csv").write_text(text, encoding="utf-8", newline="")
        code = job.main([str(value) for value in (model, tmp_path / "rows.csv", tmp_path / out, *options)])
        return Done(code, *capsys.readouterr())

    return run


def test_rows_are_scored_with_columns_in_any_order(score, model_file, tmp_path):
    X = pd.DataFrame(moons(20, seed=1)[0], columns=COLUMNS)
    done = score(X[COLUMNS[::-1]].assign(note="ignored"))
    assert done.returncode == 0, done.stderr
    scored = pd.read_csv(tmp_path / "scored.csv")
    model = joblib.load(model_file)
    assert scored["label"].tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(scored["confidence"], model.predict_proba(X).max(axis=1), atol=1e-6)


def test_D4_a_file_without_rows_is_no_error_for_the_job(score):
    done = score(pd.DataFrame(columns=COLUMNS))
    assert done.returncode == 0, done.stderr
    assert "0 rows" in done.stdout


def test_D5_rows_with_missing_cells_abstain_and_the_rest_is_scored(score, tmp_path):
    X = pd.DataFrame(moons(20, seed=1)[0], columns=COLUMNS).astype(object)
    X.iloc[3, 1], X.iloc[4, 2], X.iloc[5, 0] = np.nan, "Bad Input", np.inf
    done = score(X)
    assert done.returncode == 0, done.stderr
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert scored.index[scored["state"] == "NO_DATA"].tolist() == [3, 4, 5]
    assert scored.loc[scored["state"] == "SCORED", "label"].notna().all()


def test_D11_old_input_is_no_data(score, tmp_path):
    X = pd.DataFrame(moons(5, seed=1)[0], columns=COLUMNS).assign(time="2020-01-01T00:00:00Z")
    done = score(X, "--max-age", 900)
    assert done.returncode == 5
    assert set(pd.read_csv(tmp_path / "scored.csv")["state"]) == {"NO_DATA"}
    fresh = X.assign(time=pd.Timestamp.now(tz="UTC").isoformat())
    assert score(fresh, "--max-age", 900).returncode == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.drop(columns="level"), "lacks the columns ['level']"),
        (lambda X: X.assign(level="high"), "column 'level' holds the text 'high'"),
        (lambda X: X.assign(level=["1.5", "2.5", "abc", "3", "4"]), "holds the text 'abc' in row 3"),
    ],
)
def test_input_that_cannot_be_used_is_one_line_and_exit_3(score, change, message):
    done = score(change(pd.DataFrame(moons(5)[0], columns=COLUMNS)))
    assert done.returncode == 3
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_model_file_that_cannot_be_used_is_exit_4(score, tmp_path):
    (tmp_path / "model.joblib").write_bytes(b"not a model")
    done = score(ROWS, model=tmp_path / "model.joblib")
    assert done.returncode == 4
    assert "model.joblib" in done.stderr


def test_the_script_runs_as_a_command(model_file, tmp_path):
    ROWS.to_csv(tmp_path / "rows.csv", index=False)
    command = [sys.executable, "examples/02_score_a_csv.py", model_file, tmp_path / "rows.csv", tmp_path / "scored.csv"]
    done = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(pd.read_csv(tmp_path / "scored.csv")) == 6


def lines(**changes):
    """The lines of the input, some of them changed."""
    return [changes.get(f"line{number}", line) for number, line in enumerate(ROWS.to_csv(index=False).splitlines())]


WITH_NOTE = ROWS.assign(note=['pump, "old"', "", "a", "b", "c", "d"])
DAMAGED = {
    "a decimal comma": ("\n".join(lines(line3="1,5,0.1,0.2,0.3")) + "\n", "row 3 has 5 cells, the header 4"),
    "a lost header cell": ("\n".join(lines(line0="flow,pressure,level")) + "\n", "row 1 has 4 cells, the header 3"),
    "a lost cell": ("\n".join(lines(line6="0.1,0.2,0.3")) + "\n", "row 6 has 3 cells, the header 4"),
    "an empty cell more": ("\n".join(f"{line}," for line in lines()[1:]).join(["flow,pressure,level,speed\n", "\n"]),
                           "row 1 has 5 cells"),
    "an open quote": (WITH_NOTE.to_csv(index=False).replace(",a\n", ',"a\n'), "unexpected end of data"),
    "an open quote that another one ends": (
        WITH_NOTE.to_csv(index=False).replace(",a\n", ',"a\n').replace(",c\n", ',"c\n'), "',' expected after"),
    "a quoted line break": (WITH_NOTE.to_csv(index=False).replace(",a\n", ',"a\nb"\n'), "row 3 goes over several"),
    "a wanted column twice": (
        "\n".join(f"{line},{line.partition(',')[0]}" for line in lines()) + "\n", "columns ['flow'] more than once"),
    "a last line cut within a number": (ROWS.to_csv(index=False)[:-3], "may be cut within a number"),
    "a last line cut within a row": (ROWS.to_csv(index=False)[:-25], "the header 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_is_refused_with_one_line_and_leaves_no_output(score, tmp_path, case):
    text, message = DAMAGED[case]
    done = score(text)
    assert done.returncode == 3, done
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.csv"]


def test_what_is_no_damage_is_scored(score, tmp_path):
    expected = score(ROWS) and pd.read_csv(tmp_path / "scored.csv")
    for text in (
        WITH_NOTE.to_csv(index=False),
        "\ufeff" + ROWS.to_csv(index=False),
        ROWS.to_csv(index=False, lineterminator="\r\n"),
        ROWS.to_csv(index=False) + "\n\n",
        ROWS.to_csv(),
        ROWS.assign(a=1, b=2).to_csv(index=False).replace(",a,b\n", ",a,a\n"),
    ):
        assert score(text).returncode == 0
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "scored.csv"), expected)
    assert score(ROWS.to_csv(index=False)[:-1], "--whole").returncode == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "scored.csv"), expected)


def test_a_stamp_from_the_future_does_not_hide_that_the_others_are_stale(score, tmp_path):
    stamps = ["2020-01-01T00:00:00Z"] * 6
    assert score(ROWS.assign(time=[*stamps[:5], "2200-12-31T00:00:00Z"]), "--max-age", 900).returncode == 5
    assert set(pd.read_csv(tmp_path / "scored.csv")["state"]) == {"NO_DATA"}
    now = pd.Timestamp.now(tz="UTC").isoformat()
    done = score(ROWS.assign(time=[now] * 5 + ["2200-12-31T00:00:00Z"]), "--max-age", 900)
    assert (done.returncode, "1 rows are stamped in the future" in done.stderr) == (5, True)
    assert pd.read_csv(tmp_path / "scored.csv")["state"].tolist() == ["SCORED"] * 5 + ["NO_DATA"]
    assert score(ROWS.assign(time=""), "--max-age", 900).returncode == 5  # no stamp is no news
    assert score(ROWS.assign(time=[now] * 5 + ["9999-12-31T00:00:00Z"]), "--max-age", 900).returncode in (3, 5)
    assert score(ROWS.assign(time="half past ten"), "--max-age", 900).returncode == 3
    ahead = (pd.Timestamp.now(tz="UTC") + pd.Timedelta(seconds=30)).isoformat()
    assert score(ROWS.assign(time=ahead), "--max-age", 900).returncode == 0


def test_two_jobs_on_one_output_leave_one_whole_file(score, tmp_path, monkeypatch):
    sync, others = os.fsync, []

    def other_job(descriptor):
        sync(descriptor)
        if not others:
            others.append(True)
            others.append(score(pd.concat([ROWS] * 50)).returncode)

    monkeypatch.setattr(os, "fsync", other_job)
    assert score(ROWS).returncode == 0
    assert others == [True, 0]
    assert len(pd.read_csv(tmp_path / "scored.csv")) == 6  # of the job that ended last
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.csv", "scored.csv"]


def test_a_job_that_fails_leaves_the_output_as_it_was(score, tmp_path, monkeypatch):
    score(ROWS)
    (tmp_path / "scored.csv").chmod(0o600)
    before = (tmp_path / "scored.csv").read_bytes()

    def full(descriptor):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert score(pd.concat([ROWS, ROWS])).returncode == 3
    assert (tmp_path / "scored.csv").read_bytes() == before
    assert score(ROWS).returncode == 0
    assert (tmp_path / "scored.csv").stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.csv", "scored.csv"]


@pytest.mark.parametrize("link", [False, True])
def test_the_output_is_not_a_file_that_is_read(score, tmp_path, link):
    (tmp_path / "rows.csv").write_text(ROWS.to_csv(index=False))
    if link:
        (tmp_path / "link.csv").symlink_to(tmp_path / "rows.csv")
    done = score(ROWS, out="link.csv" if link else "rows.csv")
    assert (done.returncode, "that is read; name another one" in done.stderr) == (2, True)
    assert (tmp_path / "rows.csv").read_text() == ROWS.to_csv(index=False)


def test_a_model_without_probabilities_is_exit_4(score, tmp_path):
    X, y = moons(60)
    joblib.dump(make_pipeline(StandardScaler(), LinearSVC()).fit(pd.DataFrame(X, columns=COLUMNS), y), tmp_path / "svc")
    done = score(ROWS, model=tmp_path / "svc")
    assert done.returncode == 4
    assert "has no predict_proba" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty: there is no header and no row"),
        (ROWS.to_csv(index=False, sep=";"), "Separate the cells by commas"),
        (ROWS.to_csv(index=False, sep="\t"), "Separate the cells by commas"),
    ],
)
def test_what_is_no_table_of_commas_is_said_so(score, text, message):
    done = score(text)
    assert done.returncode == 3
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_another_encoding_and_another_kind_of_model_file_are_called_by_what_they_are(model_file, tmp_path, capsys):
    rows, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    rows.write_text(ROWS.to_csv(index=False), encoding="utf-16")
    assert job.main([str(model_file), str(rows), str(out)]) == 3
    assert "no text in UTF-8" in capsys.readouterr().err
    backbone = save_backbone(joblib.load(model_file)[-1].backbone_, tmp_path / "backbone.safetensors")
    assert job.main([str(backbone), str(rows), str(out)]) == 4
    assert "no fitted pipeline that joblib.dump wrote" in capsys.readouterr().err
    assert not out.exists()
