"""The command line: what it writes, and the codes it ends with."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

import sktransfer
from sktransfer import BaselineScaler, TransferDetector, make_pipeline
from sktransfer.cli import monitor_command
from sktransfer.cli.main import main
from tests.acceptance.plant import BEGIN, CONFIG, table, write


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """A folder with a configuration, healthy rows, rows with a fault, and a model file."""
    folder = tmp_path_factory.mktemp("plant")
    (folder / "plant.toml").write_text(CONFIG, encoding="utf-8")
    write(table(0, 2000, BEGIN - pd.Timedelta(minutes=2000)), folder / "healthy.csv")
    (folder / "export").mkdir()
    write(table(1, 200, BEGIN, fault=150), folder / "export" / "today.csv")
    fit = ["fit", str(folder / "healthy.csv"), "--config", str(folder / "plant.toml"), "--out", str(folder / "m.skops")]
    assert main(fit) == 0
    return folder


def monitor(plant, state, *more):
    now = (BEGIN + pd.Timedelta(minutes=201)).isoformat()
    return main(["monitor", str(plant / "m.skops"), str(plant / "export"), "--state", str(state), "--now", now, *more])


def test_a_run_writes_the_same_facts_in_every_form(plant, tmp_path, capsys):
    assert monitor(plant, tmp_path, "--metrics", str(tmp_path / "m.prom"), "--zone", "Europe/Berlin") == 0
    text = capsys.readouterr().out
    assert text == (tmp_path / "status.txt").read_text(encoding="utf-8")
    assert "=b   Out of specification" in text
    status = json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))
    assert [one["machine"] for one in status["machines"]] == ["=b", "007"]
    read = pd.read_csv(tmp_path / "status.csv", dtype=str)
    assert read["machine"].tolist() == ["'=b", "007"]  # no formula in a spreadsheet
    days = sorted(path.name for path in tmp_path.glob("samples-*.csv"))
    assert days == ["samples-2026-03-28.csv", "samples-2026-03-29.csv"]
    n = sum(len(pd.read_csv(tmp_path / day)) for day in days)
    assert n == 400
    assert "sktransfer_alarms_active 1\n" in (tmp_path / "m.prom").read_text(encoding="utf-8")
    assert "<html" in (tmp_path / "status.html").read_text(encoding="utf-8")


def test_the_same_rows_again_give_the_same_bytes(plant, tmp_path):
    monitor(plant, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("samples-*.csv")}
    before["status.csv"] = (tmp_path / "status.csv").read_bytes()
    monitor(plant, tmp_path)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


def test_score_is_what_the_model_says(plant, tmp_path):
    out = tmp_path / "scored.csv"
    assert main(["score", str(plant / "m.skops"), str(plant / "export"), "--out", str(out)]) == 0
    model = sktransfer.load(plant / "m.skops")
    expected = model.predict(plant / "export" / "today.csv")
    found = pd.read_csv(out, parse_dates=["time"])
    np.testing.assert_allclose(found["score"], expected["score"])
    assert found["state"].tolist() == expected["state"].tolist()
    assert found["alarm"].astype(bool).tolist() == expected["alarm"].tolist()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["score"], 2, "Missing argument"),
        (["scores"], 2, "No such command"),
        (["score", "m.skops", "nowhere.csv"], 3, "nowhere.csv"),
        (["score", "m.skops", "broken.csv"], 3, "broken.csv"),
        (["score", "m.skops", "empty"], 3, "the folder holds no file"),
        (["score", "nowhere.skops", "export"], 4, "nowhere.skops"),
        (["score", "healthy.csv", "export"], 4, "healthy.csv"),
        (["monitor", "other.skops", "export", "--state", "s"], 4, "holds a Pipeline"),
        (["score", "m.skops", "export", "--sha256", "0" * 64], 4, "SHA-256"),
        (["score", "m.skops", "export", "--sha256", "00"], 2, "64 hexadecimal digits"),
        (["score", "m.skops", "gaps.csv"], 5, "without data"),
        (
            ["monitor", "m.skops", "export", "--state", "s", "--now", "2026-03-29 01:21", "--fail-on-alarm"],
            10,
            "1 machine in alarm",
        ),
        (["fit", "healthy.csv", "--config", "wrong.toml", "--out", "x.skops"], 2, "Did you mean 'alarms_per_day'"),
        (["fit", "healthy.csv", "--config", "none.toml", "--out", "x.skops"], 2, "no such file"),
        (["fit", "export", "--config", "labels.toml", "--out", "x.skops"], 2, "a classifier needs label"),
        (["inspect", "nowhere.skops"], 4, "nowhere.skops"),
    ],
)
def test_a_scheduler_is_told_by_the_exit_code(plant, tmp_path, monkeypatch, capsys, arguments, code, words):
    for one in plant.iterdir():
        (tmp_path / one.name).symlink_to(one)
    (tmp_path / "broken.csv").write_text("pump,time,p,T\n007,2026-03-28T22:00:00Z,1,2,3\n", encoding="utf-8")
    gaps = table(2, 10, BEGIN)
    gaps["T"] = np.where(np.arange(20) % 10 < 7, np.nan, gaps["T"])
    write(gaps, tmp_path / "gaps.csv")
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.toml").write_text(CONFIG.replace("alarms_per_day", "alarm_per_day"), encoding="utf-8")
    (tmp_path / "labels.toml").write_text(CONFIG.replace('"detector"', '"classifier"'), encoding="utf-8")
    other = make_pipeline(BaselineScaler(), TransferDetector()).fit(np.random.default_rng(0).normal(size=(200, 2)))
    sktransfer.save(other, tmp_path / "other.skops")
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x.skops").exists()


def test_a_second_run_at_the_same_time_is_told_to_try_later(plant, tmp_path, capsys):
    with FileLock(tmp_path / "lock"):
        assert monitor(plant, tmp_path) == 75
    assert "under way" in capsys.readouterr().err
    assert not (tmp_path / "status.txt").exists()
    assert monitor(plant, tmp_path) == 0


def test_without_a_place_for_metrics_the_machines_are_watched_all_the_same(plant, tmp_path, capsys):
    assert monitor(plant, tmp_path, "--metrics", str(tmp_path / "nowhere" / "m.prom")) == 0
    assert "warning: The metrics could not be written" in capsys.readouterr().err
    assert (tmp_path / "status.txt").exists()


def test_messages_as_json_are_one_object_a_line(plant, tmp_path, capsys):
    now = (BEGIN + pd.Timedelta(minutes=201)).isoformat()
    options = ["--state", str(tmp_path), "--now", now]
    assert main(["--log-json", "monitor", str(plant / "m.skops"), str(plant / "export"), *options]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[-1]["samples"] == 400
    assert {"time", "level", "message"} <= set(lines[-1])


def test_help_and_version_need_no_torch_and_less_than_a_second(tmp_path):
    for arguments in (["--help"], ["--version"]):
        began = time.perf_counter()
        check = (
            "import sys; from sktransfer.cli.main import main; code = main(sys.argv[1:]); "
            "assert not {'torch', 'sklearn', 'pandas'} & set(sys.modules); sys.exit(code)"
        )
        run = subprocess.run([sys.executable, "-c", check, *arguments], capture_output=True, text=True, check=True)
        assert time.perf_counter() - began < 5  # a busy machine; quiet it is a tenth of a second
        assert "sktransfer" in run.stdout


def test_a_job_scores_without_torch(plant, tmp_path):
    check = (
        "import sys; from sktransfer.cli.main import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    now = (BEGIN + pd.Timedelta(minutes=201)).isoformat()
    job = ["monitor", str(plant / "m.skops"), str(plant / "export"), "--state", str(tmp_path), "--now", now]
    run = subprocess.run([sys.executable, "-c", check, *job], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_end_a_run_with_their_code(plant, tmp_path, number, code):
    slow = (
        "import signal, sys, time; signal.signal(signal.SIGINT, signal.default_int_handler); "  # a job shell ignores it
        "from sktransfer.cli import main as m; import sktransfer.monitoring.job as job; "
        "job.run_job = lambda *a, **k: (print('ready', flush=True), time.sleep(60)); sys.exit(m.main(sys.argv[1:]))"
    )
    arguments = ["monitor", str(plant / "m.skops"), str(plant / "export"), "--state", str(tmp_path)]
    child = subprocess.Popen([sys.executable, "-c", slow, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    os.kill(child.pid, number)
    assert child.wait(30) == code
    assert not list(tmp_path.glob("status.*"))


def test_a_network_is_pretrained_from_a_table_with_labels(plant, tmp_path):
    rows = table(3, 400, BEGIN).reset_index(drop=True)
    leaks = (rows.groupby("pump").cumcount() >= 300).to_numpy()
    rows["label"] = np.where(leaks, "leak", "normal")
    rows.loc[leaks, "p"] += 5
    write(rows, tmp_path / "rows.csv")
    settings = 'kind = "classifier"\nlabel = "label"\nnormal_label = "normal"\nrandom_state = 0'
    (tmp_path / "p.toml").write_text(CONFIG.replace('kind = "detector"', settings), encoding="utf-8")
    out = tmp_path / "pump.safetensors"
    assert main(["pretrain", str(tmp_path / "rows.csv"), "-c", str(tmp_path / "p.toml"), "-o", str(out)]) == 0
    backbone = sktransfer.load_backbone(out)
    assert sorted(backbone.source.classes) == ["leak", "normal"]
    assert main(["inspect", str(out)]) == 0


def test_a_classifier_with_a_coverage_tells_of_what_is_unlike_its_classes(plant, tmp_path, capsys):
    rows = table(3, 120, BEGIN).reset_index(drop=True)
    leaks = (rows.groupby("pump").cumcount() % 4 == 3).to_numpy()
    rows["label"] = np.where(leaks, "leak", "normal")
    rows.loc[leaks, "p"] += 8
    write(rows, tmp_path / "rows.csv")
    settings = 'kind = "classifier"\nlabel = "label"\nnormal_label = "normal"\nrandom_state = 0\ncoverage = 0.95'
    (tmp_path / "p.toml").write_text(CONFIG.replace('kind = "detector"', settings), encoding="utf-8")
    given = [str(tmp_path / "rows.csv"), "-c", str(tmp_path / "p.toml"), "-o", str(tmp_path / "m.skops")]
    assert main(["fit", *given]) == 0
    new = table(4, 100, BEGIN).reset_index(drop=True)
    new.loc[new.index % 2 == 1, "T"] += 30  # neither healthy nor a leak
    write(new, tmp_path / "new.csv")
    out = tmp_path / "out.csv"
    assert main(["score", str(tmp_path / "m.skops"), str(tmp_path / "new.csv"), "--out", str(out)]) == 0
    states = pd.read_csv(out)["state"].to_numpy()
    order = new.sort_values(["pump", "time"]).index.to_numpy()
    assert set(states[order % 2 == 1]) == {"unknown"}
    assert (states[order % 2 == 0] == "normal").mean() > 0.85
    for wrong in ("false_alarm_rate = 0.01", "coverage = 2.0"):
        text = CONFIG.replace('kind = "detector"', settings.replace("coverage = 0.95", wrong))
        (tmp_path / "w.toml").write_text(text, encoding="utf-8")
        assert main(["fit", str(tmp_path / "rows.csv"), "-c", str(tmp_path / "w.toml"), "-o", str(out)]) == 2
        assert wrong.partition(" ")[0] in capsys.readouterr().err


def test_backbones_are_listed(capsys):
    assert main(["backbones"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(sktransfer.list_backbones())


def test_the_configuration_of_the_examples_can_be_used(plant, tmp_path):
    config = Path(__file__).parents[2] / "examples" / "plant" / "plant.toml"
    assert main(["fit", str(plant / "healthy.csv"), "-c", str(config), "-o", str(tmp_path / "m.skops")]) == 0


@pytest.mark.parametrize(
    "option", ["--late=nan", "--late=inf", "--late=-1", "--max-age=nan", "--keep-days=-1", "--zone=Nowhere/Land",
               "--zone=/etc/passwd", "--now=nonsense", "--now=nat", "--max-abstained=50", "--max-abstained=nan"],
)  # fmt: skip
def test_an_option_that_means_nothing_is_usage_and_leaves_no_state(plant, tmp_path, capsys, option):
    assert monitor(plant, tmp_path / "job", option) == 2
    assert option.split("=")[0] in capsys.readouterr().err
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ("[table]", '[table]\nunits_row = "yes"', "'units_row' parameter of TableFormat"),
        ('name = "time"', 'name = "time"\nzone = "Europe/Munich"', "'zone' parameter of TimeColumn"),
        ("alarms_per_day = 0.1", 'alarms_per_day = "0.1"', "'alarms_per_day' parameter of Alarms"),
        ("alarms_per_day = 0.1", "k_of_n = [5, 3]", "'k_of_n' parameter of Alarms"),
        ('kind = "detector"', 'kind = "detector"\nfalse_alarm_rate = 2', "'false_alarm_rate' parameter of Transfer"),
        ('kind = "detector"', 'kind = "detector"\nheld_out = 1.5', "'held_out' parameter of ConditionMonitor"),
        ("[limits]", "[windows]\nlength = 0\n[limits]", "'length' parameter of SlidingWindows"),
        ("p = [0, 400]", "p = [400, 0]", r"limits['p'] must be (low, high)"),
        ("p = [0, 400]", 'p = ["low", "high"]', r"limits['p'] must be (low, high)"),
        ("p = [0, 400]", "flow = [0, 400]", "limits names 'flow', which is no sensor"),
    ],
)
def test_a_value_that_means_nothing_is_an_error_of_the_configuration_before_a_table_is_read(
    tmp_path, capsys, line, instead, words
):
    (tmp_path / "bad.toml").write_text(CONFIG.replace(line, instead, 1), encoding="utf-8")
    out = ["--config", str(tmp_path / "bad.toml"), "--out", str(tmp_path / "x.skops")]
    assert main(["fit", str(tmp_path / "no_table.csv"), *out]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "bad.toml" in error


def test_inspect_lists_the_sensors_of_a_monitor_with_units_and_ranges(plant, capsys):
    assert main(["inspect", str(plant / "m.skops")]) == 0
    rows = pd.read_csv(plant / "healthy.csv")
    text = " ".join(capsys.readouterr().out.split())
    for name, unit in (("p", "bar"), ("T", "C")):
        assert f"{name} ({unit}) {rows[name].min():.4g} to {rows[name].max():.4g}" in text


@pytest.mark.parametrize("name", ["tep-proces", "Vibration", 3, "models/none.safetensors"])
def test_a_network_that_is_not_there_is_an_error_of_the_configuration_before_a_table_is_read(tmp_path, capsys, name):
    value = json.dumps(name)
    text = CONFIG.replace('kind = "detector"', f'kind = "detector"\nbackbone = {value}')
    (tmp_path / "bad.toml").write_text(text, encoding="utf-8")
    out = ["--config", str(tmp_path / "bad.toml"), "--out", str(tmp_path / "x.skops")]
    assert main(["fit", str(tmp_path / "no_table.csv"), *out]) == 2
    error = capsys.readouterr().err
    assert f"bad.toml: [model] backbone = {name!r} is neither a shipped network nor a file." in error
    near = {"tep-proces": "Did you mean 'tep-process'?", "Vibration": "Did you mean 'vibration'?"}
    assert near.get(name, "Known are process, tep-process, vibration") in error


@pytest.fixture
def own_model(plant, tmp_path):
    """A copy of the plant whose model file may be spoilt."""
    (tmp_path / "plant").mkdir()
    shutil.copy(plant / "m.skops", tmp_path / "plant")
    shutil.copytree(plant / "export", tmp_path / "plant" / "export")
    return tmp_path / "plant"


@pytest.mark.parametrize("what", ["removed", "replaced"])
@pytest.mark.parametrize("stated", [False, True])
def test_a_model_file_that_changes_while_it_is_read_is_one_error_and_nothing_is_written(
    own_model, tmp_path, capsys, monkeypatch, what, stated
):
    file = own_model / "m.skops"
    sktransfer.save(sktransfer.load(file), tmp_path / "other.skops", notes="of another day")
    expected = hashlib.sha256((tmp_path / "other.skops" if what == "replaced" else file).read_bytes()).hexdigest()
    first = monitor_command.loaded_monitor

    def late(path, sha256):
        file.unlink()
        if what == "replaced":
            shutil.copy(tmp_path / "other.skops", file)
        return first(path, sha256)

    monkeypatch.setattr(monitor_command, "loaded_monitor", late)
    assert monitor(own_model, tmp_path / "state", *(["--sha256", expected] if stated else [])) == 4
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert "m.skops" in errors[0]
    assert not (tmp_path / "state").exists()


def test_a_model_file_that_goes_during_a_run_is_missed_by_the_next_one(own_model, tmp_path, capsys, monkeypatch):
    """The run has read it whole: its reports and its state are complete."""
    write_reports = monitor_command._write_reports

    def late(*arguments):
        (own_model / "m.skops").unlink()
        return write_reports(*arguments)

    monkeypatch.setattr(monitor_command, "_write_reports", late)
    metrics = tmp_path / "m.prom"
    assert monitor(own_model, tmp_path / "state", "--metrics", str(metrics)) == 0
    assert "sktransfer_model_age_seconds " in metrics.read_text(encoding="utf-8")
    before = {path.name: path.read_bytes() for path in (tmp_path / "state").iterdir()}
    capsys.readouterr()
    assert monitor(own_model, tmp_path / "state") == 4
    assert "m.skops: the model file cannot be read (No such file or directory)" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "state").iterdir()}


def test_metrics_that_the_node_exporter_would_not_read_are_said(plant, tmp_path, capsys):
    assert monitor(plant, tmp_path, "--metrics", str(tmp_path / "m.txt")) == 0
    assert "warning: The metrics in" in capsys.readouterr().err
    assert (tmp_path / "m.txt").exists()
    assert monitor(plant, tmp_path, "--metrics", str(tmp_path / "m.prom")) == 0
    assert "warning" not in capsys.readouterr().err


def test_a_model_file_of_any_name_stands_in_the_reports(own_model, tmp_path):
    odd = own_model / os.fsdecode(b"m\xff\n.skops")
    (own_model / "m.skops").rename(odd)
    now = (BEGIN + pd.Timedelta(minutes=201)).isoformat()
    assert main(["monitor", str(odd), str(own_model / "export"), "--state", str(tmp_path / "s"), "--now", now]) == 0
    assert r"model m\udcff\n.skops " in (tmp_path / "s" / "status.txt").read_text(encoding="utf-8").splitlines()[1]
