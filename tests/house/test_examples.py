"""Each example runs small."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.pipeline import make_pipeline

from sktransfer import load_backbone

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"


def run(*arguments):
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_demo_searches_compares_draws_saves_and_scores(tmp_path):
    done = run("examples/01_five_labels_a_class.py", "--labels", 1, 5, "--draws", 1, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    scored = pd.read_csv(tmp_path / "scored.csv")
    assert set(scored["state"]) == {"SCORED"}
    assert (tmp_path / "label_efficiency.png").stat().st_size > 20_000
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    scores = {line.split("|")[1].strip(): float(line.split("|")[3].split("±")[0]) for line in lines[1:]}
    for other in ("same network from scratch", "random forest", "gradient boosting", "logistic regression"):
        assert scores["transfer (default)"] > scores[other] + 0.05


@pytest.mark.slow
def test_the_verdict_of_the_shipped_network_and_of_a_misled_one(tmp_path):
    options = ["--labels", 2, "--draws", 5, "--out", tmp_path]
    done = run("examples/04_does_transfer_pay.py", *options)
    assert done.returncode == 0, done.stderr
    shipped, wrong = (line for line in done.stdout.splitlines() if line.startswith("At 2 labels"))
    assert shipped.startswith("At 2 labels a class transfer gains ")
    assert shipped.endswith("On your data take transfer.")
    assert " gains " not in wrong
    assert not wrong.endswith("take transfer.")
    for name in ("does_transfer_pay.png", "where_it_does_not.png"):
        assert (tmp_path / name).stat().st_size > 20_000


@pytest.mark.slow
def test_from_healthy_data_to_a_classifier_that_may_answer_unknown(tmp_path):
    done = run("examples/06_no_labels_yet.py", "--draws", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("no_labels_alarms.png", "no_labels_learning.png", "no_labels_unknown.png"):
        assert (tmp_path / name).stat().st_size > 20_000
    lines = [line.strip() for line in done.stdout.splitlines()]
    first = lines.index("why the alarm in run m4-f06-r01?") + 3  # the lost feed, and the valve that opens for it
    assert {line.split()[0] for line in lines[first : first + 2]} == {"a_feed_flow", "a_feed_valve"}
    scores = {
        line.split(":")[0]: [float(value) for value in line.split(":")[1].split()]
        for line in lines
        if ", rows " in line
    }
    asked, drawn = (np.array(scores[f"tep-process, rows {way}"]) for way in ("asked for", "random"))
    assert asked.mean() > drawn.mean()
    assert asked.mean() > np.mean(scores["backbone=None, rows asked for"]) + 0.05
    found = {line.split(":")[0]: line.split() for line in lines if "are called unknown" in line}["tep-process"]
    assert float(found[1]) > float(found[-8]) + 0.2  # of the known faults
    assert float(found[1]) > float(found[-3]) + 0.2  # of normal


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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark data are not part of the project")
def test_pipelines_of_skada_and_ours_go_together():
    before = sklearn.get_config()
    try:
        pytest.importorskip("skada", reason="skada is not installed (it is in the extra 'test')")
    finally:
        sklearn.set_config(**before)
    run_pipelines = importlib.import_module("examples.05_with_skada").run
    assert sklearn.get_config() == before
    scores = run_pipelines(DATA, draws=1).set_index("pipeline")["balanced accuracy"]
    inside, ours = "skada: a pipeline around our joint network, five labels", "ours: joint network, five labels"
    assert scores[inside] == scores[ours]
    assert scores[ours] > scores["skada: CORAL, logistic regression"] + 0.1


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark data are not part of the project")
def test_real_data_few_labels_beat_the_same_network_from_scratch():
    from benchmarks.comparison import compare, draw_labels, plain_baselines, transfer
    from benchmarks.tasks import tep_tasks
    from sktransfer import TransferClassifier

    task = next(iter(tep_tasks(DATA)))
    methods = {
        "transfer": transfer(task.pretrain()),
        "scratch": lambda target, state: make_pipeline(target.scaler, TransferClassifier(random_state=state)),
        "forest": plain_baselines()["random forest"],
    }
    mean = compare(task.target, methods, [1, 5], 1, draw=draw_labels).groupby("method")["score"].mean()
    assert mean["transfer"] > 0.9
    assert mean["transfer"] > mean["scratch"] + 0.1
    assert mean["transfer"] > mean["forest"] + 0.1


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the benchmark data are not part of the project")
def test_real_data_beats_logistic_regression_on_drifted_gas_sensors():
    from benchmarks.comparison import compare, draw_total, plain_baselines, transfer
    from benchmarks.tasks import gas_task

    task = gas_task(DATA, 1, 2)
    methods = {"transfer": transfer(task.pretrain()), "lr": plain_baselines()["logistic regression"]}
    mean = compare(task.target, methods, [20], 3, draw=draw_total).groupby("method")["score"].mean()
    assert mean["transfer"] > mean["lr"]
