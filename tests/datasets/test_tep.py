"""The Tennessee Eastman data: what the loader returns, and that the committed rows are what the generator makes."""

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tep(repository_root_importable):
    return importlib.import_module("datasets.tep")


@pytest.fixture(scope="module")
def mode4(tep):
    return tep.load_tep(folder=ROOT / "datasets" / "tep")


def test_shapes_and_types(tep, mode4):
    X, y, groups, sample_domain = mode4
    assert list(X.columns) == list(tep.INPUT_NAMES)
    assert X.shape == (len(y), 53)
    assert len(groups) == len(sample_domain) == len(y) > 20_000
    assert (X.dtypes == np.float64).all()
    assert np.isfinite(X.to_numpy()).all()
    assert set(sample_domain.tolist()) == {4}


def test_arrays_hold_the_same_values(tep, mode4):
    arrays = tep.load_tep(as_frame=False)
    for array, frame in zip(arrays, mode4, strict=True):
        assert isinstance(array, np.ndarray)
        np.testing.assert_array_equal(array, np.asarray(frame))


def test_every_run_has_one_label_and_every_label_several_runs(tep, mode4):
    _, y, groups, _ = mode4
    table = pd.DataFrame({"label": y.to_numpy(), "run": groups})
    assert set(table["label"]) == set(tep.LABELS.values())
    assert (table.groupby("run")["label"].nunique() == 1).all()
    assert table.groupby("label")["run"].nunique().min() >= 6


def test_every_input_has_a_unit(tep):
    assert len(tep.UNITS) == len(tep.INPUT_NAMES) == 53
    assert all(tep.UNITS.values())
    assert tep.UNITS["reactor_temperature"] == "degC"


def test_runs_of_one_label_are_different_runs(mode4):
    X, _, groups, _ = mode4
    first_rows = X.groupby(groups).first()
    assert not first_rows["d_feed_flow"].duplicated().any()
    assert not first_rows["reactor_level"].duplicated().any()


@pytest.mark.parametrize(
    ("name", "deviation"), [("d_feed_flow", 18.0), ("reactor_level", 0.5), ("stripper_steam_flow", 1.15)]
)
def test_measurements_carry_the_noise_of_the_plant_model(mode4, name, deviation):
    """The plant model states the noise of each sensor (xns); differences of white noise have sqrt(2) times it."""
    X, y, groups, _ = mode4
    steps = X.loc[y == "normal", name].groupby(groups[y == "normal"]).diff()
    assert steps.std() / np.sqrt(2) == pytest.approx(deviation, rel=0.15)


def test_reactor_coolant_step_opens_the_coolant_valve(mode4):
    X, y, _, _ = mode4
    medians = X["reactor_coolant_valve"].groupby(y.to_numpy()).median()
    assert medians["idv04-reactor-coolant-temperature-step"] > medians["normal"] + 1.0


def test_an_absent_mode_names_the_command_that_makes_it(tep, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"generate\.py --modes 2 .*--seed 0"):
        tep.load_tep(2, folder=tmp_path)


def test_an_unknown_mode_is_an_error(tep):
    with pytest.raises(ValueError, match="mode=7"):
        tep.load_tep(7)


def test_foreign_columns_are_an_error(tep, tmp_path):
    pd.DataFrame({"run": ["a"], "label": ["normal"]}).to_csv(tmp_path / "mode1.csv.gz", index=False)
    with pytest.raises(ValueError, match="other columns"):
        tep.load_tep(1, folder=tmp_path)


@pytest.mark.skipif(
    importlib.util.find_spec("tep_studio") is None, reason="tep-studio is not installed (pip install tep-studio==0.2.0)"
)
def test_the_generator_makes_the_committed_rows(mode4):
    generate = importlib.import_module("datasets.tep.generate")
    X, y, groups, _ = mode4
    frame = generate.run_frame(4, 4, 2, seed=0, hours=1.0)
    committed = X[groups == "m4-f04-r02"].head(len(frame))
    assert len(frame) == 20
    assert set(frame["label"]) == set(y[groups == "m4-f04-r02"])
    np.testing.assert_allclose(frame[list(X.columns)], committed, rtol=1e-4, atol=1e-6)


def test_compressed_bytes_depend_on_the_text_only():
    pytest.importorskip("tep_studio", reason="datasets.tep.generate imports it")
    generate = importlib.import_module("datasets.tep.generate")
    assert generate.compress("a,b\n1,2\n") == generate.compress("a,b\n1,2\n")
    assert generate.compress("x")[4:8] == b"\0\0\0\0"  # the time field of the gzip header
