"""Each example runs small; the scoring job does what a scheduler needs."""

import importlib
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sktransfer import BaselineScaler, TransferClassifier, load_backbone
from tests.helpers import moons, small_backbone

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
COLUMNS = ["flow", "pressure", "level", "speed"]


def run(*arguments):
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_demo_searches_compares_draws_saves_and_scores(tmp_path):
    done = run("examples/01_five_labels_a_class.py", "--labels", 1, 5, "--draws", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert set(scored["state"]) == {"SCORED"}
    assert (tmp_path / "label_efficiency.png").stat().st_size > 20_000
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    scores = {line.split("|")[1].strip(): float(line.split("|")[3].split("±")[0]) for line in lines[1:]}
    for other in ("same network from scratch", "random forest", "gradient boosting", "logistic regression"):
        assert scores["transfer (default)"] > scores[other] + 0.05


def test_the_shipped_backbone_says_what_it_is():
    backbone = load_backbone("tep-process")
    assert backbone.n_features_in == len(backbone.inputs.names) == len(backbone.inputs.units) == 53
    assert "normal" in backbone.source.classes
    assert backbone.provenance["sampling_interval_s"] == 180
    shipped = ROOT / "sktransfer" / "pretrained" / "tep-process.safetensors"
    assert shipped.stat().st_size < 2_000_000
    assert (shipped.with_suffix(".md")).is_file()


def test_pretraining_gives_a_backbone_that_knows_its_source(tmp_path):
    from datasets.tep import load_tep
    from examples.pretraining.tep import describe, pretrain
    from sktransfer import FromScratch, save_backbone

    X, y, _, domain = load_tep(4)
    rows = np.sort(np.random.default_rng(0).choice(len(X), 1500, replace=False))
    X, y, domain = X.iloc[rows], np.asarray(y)[rows], domain[rows]
    small = FromScratch(arguments={"hidden_layer_sizes": [16]})
    backbone = describe(pretrain(X, y, domain, network=small, max_epochs=30).backbone_, X, y)
    loaded = load_backbone(save_backbone(backbone, tmp_path / "b.safetensors"))
    assert loaded.inputs.units[8] == "degC"
    assert sorted(loaded.source.classes) == sorted(set(y))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    X, y = moons(60)
    scaler = BaselineScaler(normal_label="normal", compress=False)
    model = make_pipeline(scaler, TransferClassifier(small_backbone(max_epochs=10), random_state=0))
    file = tmp_path_factory.mktemp("model") / "model.joblib"
    joblib.dump(model.fit(pd.DataFrame(X, columns=COLUMNS), y), file)
    return file


def score(model_file, folder, frame, *options):
    frame.to_csv(folder / "rows.csv", index=False)
    return run("examples/02_score_a_csv.py", model_file, folder / "rows.csv", folder / "scored.csv", *options)


def test_rows_are_scored_with_columns_in_any_order(model_file, tmp_path):
    X = pd.DataFrame(moons(20, seed=1)[0], columns=COLUMNS)
    done = score(model_file, tmp_path, X[COLUMNS[::-1]].assign(note="ignored"))
    assert done.returncode == 0, done.stderr
    scored = pd.read_csv(tmp_path / "scored.csv")
    model = joblib.load(model_file)
    assert scored["label"].tolist() == model.predict(X).tolist()
    np.testing.assert_allclose(scored["confidence"], model.predict_proba(X).max(axis=1), atol=1e-6)


def test_D4_a_file_without_rows_is_no_error_for_the_job(model_file, tmp_path):
    done = score(model_file, tmp_path, pd.DataFrame(columns=COLUMNS))
    assert done.returncode == 0, done.stderr
    assert "0 rows" in done.stdout


def test_D5_rows_with_missing_cells_abstain_and_the_rest_is_scored(model_file, tmp_path):
    X = pd.DataFrame(moons(20, seed=1)[0], columns=COLUMNS).astype(object)
    X.iloc[3, 1], X.iloc[4, 2], X.iloc[5, 0] = np.nan, "Bad Input", np.inf
    done = score(model_file, tmp_path, X)
    assert done.returncode == 0, done.stderr
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert scored.index[scored["state"] == "NO_DATA"].tolist() == [3, 4, 5]
    assert scored.loc[scored["state"] == "SCORED", "label"].notna().all()


def test_D11_old_input_is_no_data(model_file, tmp_path):
    X = pd.DataFrame(moons(5, seed=1)[0], columns=COLUMNS).assign(time="2020-01-01T00:00:00Z")
    done = score(model_file, tmp_path, X, "--max-age", 900)
    assert done.returncode == 5
    assert set(pd.read_csv(tmp_path / "scored.csv")["state"]) == {"NO_DATA"}
    fresh = X.assign(time=pd.Timestamp.now(tz="UTC").isoformat())
    assert score(model_file, tmp_path, fresh, "--max-age", 900).returncode == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.drop(columns="level"), "lacks the columns ['level']"),
        (lambda X: X.assign(level="high"), "column 'level' holds the text 'high'"),
    ],
)
def test_input_that_cannot_be_used_is_one_line_and_exit_3(model_file, tmp_path, change, message):
    done = score(model_file, tmp_path, change(pd.DataFrame(moons(5)[0], columns=COLUMNS)))
    assert done.returncode == 3
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_model_file_that_cannot_be_used_is_exit_4(tmp_path):
    (tmp_path / "model.joblib").write_bytes(b"not a model")
    done = score(tmp_path / "model.joblib", tmp_path, pd.DataFrame(moons(5)[0], columns=COLUMNS))
    assert done.returncode == 4
    assert "model.joblib" in done.stderr


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark data are not part of the project")
def test_a_network_of_plain_torch_helps_on_the_digits_of_another_scanner():
    run_digits = importlib.import_module("examples.03_torch_network_on_other_images").run

    backbone, as_it_is, scores = run_digits(DATA, draws=1, labels=(5,), epochs=3)
    score = scores.set_index("method")["score"]
    assert backbone.blocks == ("0", "3", "7")
    assert 0.5 < as_it_is < score["transfer (default)"]
    assert score["transfer (default)"] > score["same network from scratch"] + 0.05
    assert score["transfer (default)"] > score["logistic regression on pixels"] + 0.1


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark data are not part of the project")
def test_real_data_few_labels_beat_the_same_network_from_scratch():
    from benchmarks.four_sets import run as run_real

    scores = run_real("tep-multimode", DATA, draws=1, n_jobs=2, n_tasks=1)
    mean = scores[scores["labels"] <= 5].groupby("method")["score"].mean()
    assert mean["transfer (default)"] > 0.9
    assert mean["transfer (default)"] > mean["same network from scratch"] + 0.1
    assert mean["transfer (default)"] > mean["random forest"] + 0.1


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark data are not part of the project")
def test_real_data_beats_logistic_regression_on_drifted_gas_sensors():
    from benchmarks.comparison import compare, draw_total, plain_baselines, transfer
    from benchmarks.tasks import gas_task

    task = gas_task(DATA, 1, 2)
    methods = {"transfer": transfer(task.pretrain()), "lr": plain_baselines()["logistic regression"]}
    mean = compare(task.target, methods, [20], 3, draw=draw_total).groupby("method")["score"].mean()
    assert mean["transfer"] > mean["lr"]
