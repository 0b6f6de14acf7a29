"""Acceptance, section J: the job, the command line, installation. The name of a test begins with its id.

J12, how many rows a second are scored, is a benchmark.
"""

import ast
import importlib.metadata
import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

import sktransfer
from sktransfer import Alarms
from sktransfer.cli.main import main
from sktransfer.monitoring.job_state import FILE, JobState
from tests.acceptance.plant import BEGIN, CONFIG, table, write

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MINUTE = pd.Timedelta(minutes=1)


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """A folder with healthy rows, rows of today with a fault of one machine, and a model file."""
    folder = tmp_path_factory.mktemp("plant")
    (folder / "plant.toml").write_text(CONFIG, encoding="utf-8")
    write(table(0, 2000, BEGIN - 2000 * MINUTE), folder / "healthy.csv")
    write(table(1, 200, BEGIN, fault=150), folder / "today.csv")
    fit = ["fit", str(folder / "healthy.csv"), "--config", str(folder / "plant.toml"), "--out", str(folder / "m.skops")]
    assert main(fit) == 0
    return folder


def job(plant, state, *more, now=BEGIN + 201 * MINUTE, rows="today.csv"):
    """Arguments of one run."""
    return ["monitor", str(plant / "m.skops"), str(plant / rows), "--state", str(state), "--now", str(now), *more]


def in_a_shell(arguments, **environment):
    """The command in a process of its own; what it writes comes through pipes, not to a terminal."""
    code = "import sys; from sktransfer.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, env={**os.environ, **environment}
    )


def samples(folder):
    state = JobState(folder, sktransfer.inspect_file(folder.parent / "m.skops").sha256)
    found = state.samples(), {name: one.watermark for name, one in state.machines().items()}
    state.close()
    return found


@pytest.fixture
def own(plant, tmp_path):
    """The plant with a folder beside it for the state of a job."""
    for one in plant.iterdir():
        (tmp_path / one.name).symlink_to(one)
    return tmp_path


def test_J1_the_same_rows_twice_give_the_same_bytes_and_no_sample_twice(own):
    assert main(job(own, own / "state")) == 0
    files = [path for path in (own / "state").iterdir() if path.suffix in (".csv", ".html")]
    before, found = {path.name: path.read_bytes() for path in files}, samples(own / "state")[0]
    assert {"samples-2026-03-29.csv", "status.csv", "status.html"} <= set(before)
    assert main(job(own, own / "state")) == 0
    page = (own / "state" / "status.html").read_bytes()
    assert re.sub(rb"\d+ samples judged", b"", page) == re.sub(rb"\d+ samples judged", b"", before.pop("status.html"))
    assert before == {name: (own / "state" / name).read_bytes() for name in before}
    again = samples(own / "state")[0]
    pd.testing.assert_frame_equal(found, again)
    assert not again.duplicated(["machine", "time"]).any()
    assert len(again) == 400


def test_J2_of_two_instances_the_second_is_told_to_try_later_and_a_stale_lock_is_none(own, capsys):
    (own / "state").mkdir()
    with FileLock(own / "state" / "lock"):
        assert main(job(own, own / "state")) == 75
        assert "Another run of the job" in capsys.readouterr().err
        assert not (own / "state" / FILE).exists()
    # a process that is killed leaves the file of its lock
    code = (
        "import os, sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); "
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(own / "state" / "lock")], check=False)
    assert (own / "state" / "lock").exists()
    assert main(job(own, own / "state")) == 0


def test_J3_a_clock_that_was_moved_back_does_not_move_the_watermark(own, capsys):
    assert main(job(own, own / "state")) == 0
    before = samples(own / "state")
    capsys.readouterr()
    early = table(1, 60, BEGIN)
    write(early, own / "early.csv")
    assert main(job(own, own / "state", now=BEGIN + 100 * MINUTE, rows="early.csv")) == 0
    assert samples(own / "state")[1] == before[1]
    pd.testing.assert_frame_equal(samples(own / "state")[0], before[0])
    told = capsys.readouterr()
    assert "warning: The clock is behind the newest row that was seen" in told.err
    assert "Normal" not in told.out.splitlines()[0]  # what was seen in the future says nothing of now


def test_J3_another_time_zone_is_the_same_time(own):
    assert main(job(own, own / "state")) == 0
    before, zoned = samples(own / "state"), table(1, 200, BEGIN, fault=150)
    zoned["time"] = zoned["time"].dt.tz_convert("Asia/Kolkata").map(lambda moment: moment.isoformat())
    write(zoned, own / "zoned.csv")
    now = (BEGIN + 201 * MINUTE).tz_convert("America/New_York")
    run = in_a_shell(job(own, own / "state", now=now, rows="zoned.csv"), TZ="Pacific/Auckland")
    assert run.returncode == 0, run.stderr
    after = samples(own / "state")
    assert after[1] == before[1]
    pd.testing.assert_frame_equal(after[0], before[0])


def test_J4_a_score_that_flickers_around_the_threshold_is_one_alarm():
    minutes = np.arange(20_000) * 60.0
    rng = np.random.default_rng(0)
    alarms = Alarms(on_delay=3, off_delay=10, deadband=0.5).fit(rng.normal(size=20_000), time=minutes)
    flicker = alarms.threshold_ + 0.3 * alarms.std_ * np.where(np.arange(400) % 5 < 3, -1, 1)
    scores = np.r_[rng.normal(size=100), flicker, rng.normal(size=100) + 2]
    on = alarms.transform(scores, time=minutes[:600])
    below = scores < alarms.threshold_
    assert np.count_nonzero(np.diff(below.astype(int)) == 1) >= 80
    assert np.count_nonzero(np.diff(np.r_[0, on.astype(int)]) == 1) == 1
    assert on[102:500].all()
    assert not on[500 + 9 :].any()


def test_J5_a_flood_is_one_line_and_lines_are_bounded(plant, tmp_path, capsys):
    frames = []
    for k in range(80):
        own = table(k, 400, BEGIN - 400 * MINUTE).query("pump == '007'").assign(pump=f"P{k:02}")
        frames.append(own)
    write(pd.concat(frames), tmp_path / "healthy.csv")
    today = [one.assign(time=one["time"] + 400 * MINUTE, p=one["p"] + 9).iloc[:30] for one in frames]
    write(pd.concat(today), tmp_path / "today.csv")
    fit = ["fit", str(tmp_path / "healthy.csv"), "-c", str(plant / "plant.toml"), "-o", str(tmp_path / "m.skops")]
    assert main(fit) == 0
    capsys.readouterr()
    assert main(job(tmp_path, tmp_path / "state", now=BEGIN + 30 * MINUTE)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "80 of 80 machines are in alarm at once: look for what they share first." in lines
    assert len(lines) <= 60
    assert lines[-1] == "and 30 more Out of specification"
    assert len(json.loads((tmp_path / "state" / "status.json").read_text(encoding="utf-8"))["machines"]) == 80


@pytest.mark.parametrize("kind", ["corrupt", "newer"])
def test_J6_a_state_that_cannot_be_used_is_put_aside_and_the_job_goes_on(own, capsys, kind):
    assert main(job(own, own / "state")) == 0
    file = own / "state" / FILE
    content = bytearray(file.read_bytes())
    if kind == "corrupt":
        content[:100] = b"\xff" * 100
    else:
        content[60:64] = (99).to_bytes(4, "big")  # SQLite's user version
    file.write_bytes(content)
    expected = (own / "state" / "status.csv").read_bytes()
    capsys.readouterr()
    assert main(job(own, own / "state")) == 0
    words = "it is damaged" if kind == "corrupt" else "it has format 99"
    assert re.search(f"warning: The state of the job .* cannot be used: {words}", capsys.readouterr().err)
    assert (own / "state" / f"{FILE}.quarantined-1").read_bytes() == bytes(content)
    assert (own / "state" / "status.csv").read_bytes() == expected


@pytest.mark.parametrize("place", ["nowhere/m.prom", "full/m.prom"])
def test_J7_without_a_place_for_metrics_the_machines_are_watched_all_the_same(own, capsys, monkeypatch, place):
    if place.startswith("full"):
        from sktransfer.utils import files

        first = files.write_atomically

        def full(path, *more):
            if path.suffix == ".prom":
                raise OSError(28, "No space left on device")
            return first(path, *more)

        monkeypatch.setattr(files, "write_atomically", full)
    assert main(job(own, own / "state", "--metrics", str(own / place))) == 0
    assert "warning: The metrics could not be written to" in capsys.readouterr().err
    assert len(samples(own / "state")[0]) == 400
    assert (own / "state" / "status.txt").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii:strict", "NO_COLOR": "1", "COLUMNS": "80"},
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"},
    ],
)
def test_J8_what_is_written_is_plain_text_whatever_the_terminal_is(plant, tmp_path, environment):
    names = {"007": "Pumpe Süd", "=b": "ポンプ"}
    for file in ("healthy", "today"):
        rows = pd.read_csv(plant / f"{file}.csv", dtype={"pump": str})
        write(rows.replace({"pump": names}), tmp_path / f"{file}.csv")
    (tmp_path / "plant.toml").write_text(CONFIG, encoding="utf-8")
    fit = ["fit", str(tmp_path / "healthy.csv"), "-c", str(tmp_path / "plant.toml"), "-o", str(tmp_path / "m.skops")]
    score = ["score", str(tmp_path / "m.skops"), str(tmp_path / "today.csv")]
    assert main(fit) == 0
    others = [score, ["backbones"], ["--help"]] if "ascii" in str(environment) else []
    for arguments in (job(tmp_path, tmp_path / "state"), *others):
        run = in_a_shell(arguments, **environment)
        assert run.returncode == 0, run.stderr
        assert b"\x1b" not in run.stdout + run.stderr
        assert b"Traceback" not in run.stderr
    assert "ポンプ" in (tmp_path / "state" / "status.txt").read_text(encoding="utf-8")


def test_J9_no_requirement_brings_CUDA_and_two_commands_are_enough():
    """torch alone brings CUDA, and not where its CPU build was installed before: constraints.txt pins its version."""
    every = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    names = {re.match(r"[A-Za-z0-9_.-]+", one)[0].lower() for one in every}
    assert not {name for name in names if re.search(r"cuda|nvidia|triton|cupy|gpu", name)}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"^torch==\d+\.\d+\.\d+$", pins, re.MULTILINE)
    readme, makefile = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile"))
    for target in ("demo", "test"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "-c constraints.txt" in makefile


def test_J9_nothing_is_fetched_at_run_time(own, monkeypatch):
    """A network of its own name, a fit, a job and a score: no socket is opened, and no GPU is asked for."""

    def refuse(*arguments, **options):
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for name in sktransfer.list_backbones():
        assert sktransfer.load_backbone(name).n_features_out > 0
    fit = ["fit", str(own / "healthy.csv"), "--config", str(own / "plant.toml"), "--out", str(own / "again.skops")]
    assert main(fit) == 0
    assert main(job(own, own / "state")) == 0
    assert main(["score", str(own / "m.skops"), str(own / "today.csv"), "--out", str(own / "s.csv")]) == 0
    clients = {"requests", "urllib.request", "http.client", "urllib3", "httpx", "huggingface_hub", "ftplib"}
    for file in (ROOT / "sktransfer").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not clients & set(found), file


EXTRAS = {  # what only an extra brings, and a line that needs it
    "pyarrow": ("parquet", "from sktransfer import TableFormat, read_table; read_table(sys.argv[1], TableFormat())"),
    "onnxruntime": ("onnx-run", "from sktransfer import OnnxModel; OnnxModel(sys.argv[1])"),
    "skl2onnx": ("onnx", "from sktransfer import register_onnx_converters as r; r()"),
    "ot": ("ot", "from sktransfer import OTMapping; OTMapping().fit(*numbers)"),
    "keras": ("keras", "from sktransfer import from_keras; from_keras(sys.argv[1].replace('parquet', 'keras'))"),
    "matplotlib": ("demo", "from sktransfer import SensorContributionDisplay as D; D(frame).plot()"),
}


def test_J10_the_bounds_of_the_requirements_are_stated_and_what_runs_is_within_them():
    from packaging.requirements import Requirement

    for text in PROJECT["dependencies"]:
        one = Requirement(text)
        assert any(bound.operator == ">=" for bound in one.specifier), f"{text} states no lower bound"
        assert importlib.metadata.version(one.name) in one.specifier
    low = PROJECT["requires-python"]
    assert low == ">=3.11"
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(PROJECT["classifiers"])


def test_J10_without_extras_everything_imports_and_the_command_runs(plant, tmp_path):
    """Each extra is missing: every module can be imported, and a job runs."""
    code = (
        "import importlib, pkgutil, sys\n"
        f"for name in {sorted([*EXTRAS, 'h5py', 'onnx', 'polars', 'rich', 'distributed', 'shap'])!r}:\n"
        "    sys.modules[name] = None\n"
        "import sktransfer\n"
        "[getattr(sktransfer, name) for name in sktransfer.__all__]\n"
        "for one in pkgutil.walk_packages(sktransfer.__path__, 'sktransfer.'):\n"
        "    importlib.import_module(one.name)\n"
        "from sktransfer.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    run = subprocess.run([sys.executable, "-c", code, *job(plant, tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_J10_the_error_of_a_missing_extra_names_it(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    (tmp_path / "x.keras").write_bytes(b"PK\x03\x04")
    code = (
        "import json, sys, numpy, pandas\n"
        "numbers = numpy.ones((4, 2)), numpy.array([0, 1, 0, 1]), [1, 1, -1, -1]\n"
        "frame = pandas.DataFrame({'sample': [0], 'sensor': ['p'], 'share': [1.0], 'direction': ['high'], "
        "'value': [1.0], 'usual_low': [0.0], 'usual_high': [1.0], 'effect': [1.0]})\n"
        "found = {}\n"
        f"for name, (_, line) in {EXTRAS!r}.items():\n"
        "    sys.modules[name] = None\n"
        "    try:\n"
        "        exec(line)\n"
        "    except ImportError as error:\n"
        "        found[name] = str(error)\n"
        "    del sys.modules[name]\n"
        "print(json.dumps(found))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.parquet")], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    for module, (extra, _) in EXTRAS.items():
        assert extra in PROJECT["optional-dependencies"]
        assert f"sktransfer[{extra}]" in found[module]


def test_J11_help_and_version_take_a_second_and_bring_nothing_heavy():
    heavy = "{'torch', 'skorch', 'sklearn', 'pandas', 'scipy'}"
    for line in ("import sktransfer", *(f"main(['{option}'])" for option in ("--help", "--version"))):
        code = (
            "import sys, time; began = time.process_time(); from sktransfer.cli.main import main\n"
            f"{line}\nspent = time.process_time() - began\n"
            f"print(spent, *({heavy} & set(sys.modules)), file=sys.stderr)"
        )
        spent = []
        for _ in range(3):  # a busy machine counts waits for memory, too
            began = time.perf_counter()
            run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
            seconds, *found = run.stderr.split()
            assert found == []
            spent.append(float(seconds))
            assert time.perf_counter() - began < 30
        assert min(spent) < 1.0


@pytest.mark.slow
def test_J12_scoring_takes_little_more_than_the_products_that_the_network_is_made_of():
    """`benchmarks.scoring` gives rows a second; a ratio holds on every machine, however busy."""
    rng = np.random.default_rng(0)
    X = rng.normal(50, 3, size=(500, 20))
    network = sktransfer.TransferClassifier(max_epochs=2, random_state=0)
    model = sktransfer.make_pipeline(sktransfer.BaselineScaler(), network).fit(X, np.where(X[:, 0] > 50, "a", "b"))
    many = rng.normal(50, 3, size=(200_000, 20))
    shapes = ((20, 256), (256, 256), (256, 2))
    assert [tuple(w.shape) for w in model[-1].module_.state_dict().values() if w.ndim == 2] == [s[::-1] for s in shapes]
    weights = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    ratios = []
    for _ in range(7):
        began = time.process_time()
        for start in range(0, len(many), 256):
            rows = many[start : start + 256].astype(np.float32)
            for weight in weights:
                rows = rows @ weight
        products = time.process_time() - began
        began = time.process_time()
        model.predict_proba(many)
        ratios.append((time.process_time() - began) / products)
    assert np.median(ratios) < 2.0
