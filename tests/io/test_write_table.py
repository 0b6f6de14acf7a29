"""What was written reads back, and is the same bytes each time (formulas: tests/acceptance/test_e_tables.py)."""

import numpy as np
import pandas as pd
import pytest

from sktransfer import TableFormat, TimeColumn, read_table, write_table


def test_what_was_written_reads_back_exactly(tmp_path):
    rng = np.random.default_rng(0)
    numbers = np.concatenate([rng.normal(size=50), 10.0 ** rng.integers(-15, 20, 50)]).round(12)
    frame = pd.DataFrame({
        "t": pd.date_range("2026-01-02", periods=100, freq="250ms", tz="Europe/Berlin"),
        "id": ['a,b"c', "x\ny", "ü", "007", " pad "] * 20, "p": numbers, "n": np.arange(100),
    })  # fmt: skip
    frame.loc[3, "p"] = np.nan
    before = frame.copy()
    path = write_table(frame, tmp_path / "out.csv")
    table = read_table(path, TableFormat(["p", "n"], time=TimeColumn("t"), text=["id"]), now="2026-03-01")
    np.testing.assert_allclose(table.frame["p"], frame["p"], rtol=3e-16)
    assert table.frame["n"].tolist() == frame["n"].tolist()
    assert table.frame["id"].tolist() == frame["id"].tolist()
    assert (table.frame["t"].to_numpy() == frame["t"].dt.tz_convert("UTC").to_numpy()).all()
    pd.testing.assert_frame_equal(frame, before)
    first = path.read_bytes()
    assert write_table(table.frame[list(frame.columns)].assign(n=frame["n"].to_numpy()), path).read_bytes() == first


def test_the_text_of_each_kind_of_column(tmp_path):
    frame = pd.DataFrame({
        "f": [0.1, -1e-7], "f32": np.array([0.1, 3.0], np.float32), "i": pd.array([1, None], "Int64"),
        "b": [True, False], "c": pd.Categorical(["x", None]), "t": pd.to_datetime(["2026-01-02 03:04", None], utc=True),
        "e": [None, None],
    })  # fmt: skip
    assert write_table(frame, tmp_path / "out.csv").read_bytes() == (
        b"f,f32,i,b,c,t,e\n0.1,0.1,1,1,x,2026-01-02T03:04:00Z,\n-1e-07,3,,0,,,\n"
    )
    assert write_table(frame.iloc[:0], tmp_path / "out.csv").read_bytes() == b"f,f32,i,b,c,t,e\n"


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    for frame, words in (
        (pd.DataFrame({"p": [np.inf]}), "infinite"),
        (pd.DataFrame({"t": pd.to_datetime(["2026-01-02"])}), "tell no zone"),
        (pd.DataFrame([[1, 2]], columns=["p", "p"]), "several columns have one name"),
        (pd.DataFrame({"id": ["a\0b"]}), "NUL"),
    ):
        with pytest.raises(ValueError, match=words):
            write_table(frame, path)
    with pytest.raises(TypeError, match="pandas frame, got list"):
        write_table([1], path)
    with pytest.raises(OSError, match="folder"):
        write_table(pd.DataFrame({"p": [1.0]}), tmp_path)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]
