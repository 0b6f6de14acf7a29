"""Acceptance, section D: what a job says of rows that the library refuses. The name of a test begins with its id."""

import json

import numpy as np
import pandas as pd
import pytest

from sktransfer import BaselineScaler, TransferClassifier, make_pipeline, save
from sktransfer.cli.main import main
from tests.acceptance.plant import BEGIN, CONFIG, table, write
from tests.helpers import moons, small_backbone

COLUMNS = ["flow", "pressure", "level", "speed"]
MINUTE = pd.Timedelta(minutes=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the model file of a pipeline, and with that of a monitor."""
    folder = tmp_path_factory.mktemp("files")
    X, y = moons(60)
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    model = make_pipeline(BaselineScaler(normal_label="normal"), network).fit(pd.DataFrame(X, columns=COLUMNS), y)
    save(model, folder / "rows.skops")
    (folder / "plant.toml").write_text(CONFIG, encoding="utf-8")
    write(table(0, 2000, BEGIN - 2000 * MINUTE), folder / "healthy.csv")
    given = [str(folder / "healthy.csv"), "--config", str(folder / "plant.toml"), "--out", str(folder / "m.skops")]
    assert main(["fit", *given]) == 0
    return folder


def scored(files, frame, tmp_path):
    write(frame, tmp_path / "in.csv")
    given = ["score", str(files / "rows.skops"), str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv")]
    return main(given), pd.read_csv(tmp_path / "out.csv")


def watched(files, frame, tmp_path, now):
    """One run of the job; its code, and the lines of its machines."""
    write(frame, tmp_path / "in.csv")
    given = ["monitor", str(files / "m.skops"), str(tmp_path / "in.csv"), "--state", str(tmp_path / "state")]
    code = main([*given, "--now", str(now)])
    found = json.loads((tmp_path / "state" / "status.json").read_text())
    return code, {one["machine"]: one for one in found["machines"]}


def test_D4_a_table_without_rows_is_zero_rows_and_no_error(files, tmp_path, capsys):
    code, found = scored(files, pd.DataFrame(columns=COLUMNS), tmp_path)
    assert (code, len(found)) == (0, 0)
    assert "0 rows" in capsys.readouterr().err
    empty = table(1, 30, BEGIN).iloc[:0]
    code, machines = watched(files, empty, tmp_path, BEGIN + 31 * MINUTE)
    assert code == 0
    assert {name: one["status"] for name, one in machines.items()} == {"007": "NO DATA", "=b": "NO DATA"}
    given = ["score", str(files / "m.skops"), str(write(empty, tmp_path / "in.csv"))]
    assert main([*given, "--out", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").read_text().startswith("machine,time,state,")
    assert len(pd.read_csv(tmp_path / "out.csv")) == 0


def test_D5_a_row_with_a_missing_cell_abstains_and_the_rest_is_scored(files, tmp_path):
    rows = pd.DataFrame(moons(20, seed=1)[0], columns=COLUMNS)
    rows.iloc[3, 1] = np.nan
    code, found = scored(files, rows, tmp_path)
    assert code == 0
    assert found.index[found["state"] == "NO_DATA"].tolist() == [3]
    assert found["quality"].dropna().tolist() == ["missing: pressure"]
    frame = table(1, 30, BEGIN).reset_index(drop=True)
    frame.loc[4, "p"] = np.nan
    watched(files, frame, tmp_path, BEGIN + 31 * MINUTE)
    samples = pd.read_csv(tmp_path / "state" / "samples-2026-03-28.csv", dtype={"machine": str})
    assert (samples["state"] == "NO_DATA").sum() == 1
    assert samples.loc[samples["state"] == "NO_DATA", "quality"].tolist() == ["missing: p"]


def test_D6_a_row_far_out_is_flagged_and_not_reported_as_healthy(files, tmp_path):
    frame = table(1, 30, BEGIN).reset_index(drop=True)
    frame.loc[20:29, "T"] += 1e6
    watched(files, frame, tmp_path, BEGIN + 31 * MINUTE)
    samples = pd.read_csv(tmp_path / "state" / "samples-2026-03-28.csv", dtype={"machine": str})
    far = samples[(samples["machine"] == "007") & (samples["time"] >= "2026-03-28T22:20:00Z")]
    assert len(far) == 10
    assert "normal" not in set(far["state"])
    assert far["alarm"].astype(bool).any()


def test_D9_a_machine_that_the_model_does_not_know_is_named_and_not_judged(files, tmp_path, capsys):
    frame = table(1, 30, BEGIN)
    rows = pd.concat([frame, frame[frame["pump"] == "007"].assign(pump="pump-9")])
    _, machines = watched(files, rows, tmp_path, BEGIN + 31 * MINUTE)
    assert "no baseline of ['pump-9']" in capsys.readouterr().err
    assert {name: one["status"] for name, one in machines.items() if name == "pump-9"} == {"pump-9": "NO DATA"}
    assert {machines[name]["status"] for name in ("007", "=b")} == {"Normal"}


@pytest.mark.parametrize("late", [2, 24])
def test_D11_input_older_than_the_limit_is_no_data(files, tmp_path, late):
    frame = table(1, 30, BEGIN)
    _, machines = watched(files, frame, tmp_path, BEGIN + 30 * MINUTE)
    assert "NO DATA" not in {one["status"] for one in machines.values()}
    _, machines = watched(files, frame, tmp_path, BEGIN + pd.Timedelta(hours=late))
    assert [one["status"] for one in machines.values()] == ["NO DATA"] * 2
