"""Parquet: the same tables as CSV, by types instead of text."""

import sys

import numpy as np
import pandas as pd
import pytest

from sktransfer import DataQualityWarning, TableError, TableFormat, TimeColumn, iter_tables, read_table

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
NOW = "2026-03-01"


@pytest.fixture
def write(tmp_path):
    def call(columns, units=None):
        table = pa.table(columns)
        if units:
            fields = [f.with_metadata({"unit": units[f.name]}) if f.name in units else f for f in table.schema]
            table = table.cast(pa.schema(fields))
        pq.write_table(table, tmp_path / "plant.parquet")
        return tmp_path / "plant.parquet"

    return call


def test_numbers_ids_and_time_are_those_of_csv(write, tmp_path):
    stamps = pd.date_range("2026-01-02", periods=4, freq="1min", tz="UTC")
    path = write({
        "t": pa.array(stamps.tz_convert("Europe/Berlin")), "id": ["007", "NA", None, "x"],
        "p": [1.5, None, np.inf, 2.5], "n": pa.array([1, 2, None, 4], pa.int16()),
    })  # fmt: skip
    csv = tmp_path / "plant.csv"
    csv.write_text("t,id,p,n\n" + "".join(
        f"{t.isoformat()},{row}\n" for t, row in zip(stamps, ("007,1.5,1", "NA,,2", ",inf,", "x,2.5,4"), strict=True)
    ))  # fmt: skip
    how = TableFormat(["p", "n"], time=TimeColumn("t"), text=["id"])
    found, expected = read_table(path, how, now=NOW), read_table(csv, how, now=NOW)
    pd.testing.assert_frame_equal(found.frame.reset_index(drop=True), expected.frame.reset_index(drop=True))
    assert found.frame.index.tolist() == [1, 2, 3, 4]
    assert found.report == expected.report
    assert found.report.n_not_finite == {"p": 1}
    assert found.bad_cells.to_numpy().tolist() == [[3, "p", "inf"]]


def test_chunks_are_the_whole(write, monkeypatch):
    monkeypatch.setattr("sktransfer.io.parquet_file._BATCH", 7)
    path = write({"p": np.arange(50.0), "T": np.arange(50)})
    tables = list(iter_tables(path, chunk_rows=20))
    assert [len(table.frame) for table in tables] == [20, 20, 10]
    pd.testing.assert_frame_equal(pd.concat([table.frame for table in tables]), read_table(path).frame)


def test_order_repetition_and_zones_go_by_the_same_rules(write):
    stamps = pd.to_datetime(["2026-01-02 00:01", "2026-01-02 00:00", "2026-01-02 00:00"])
    path = write({"t": stamps, "p": [1.0, 2.0, 3.0]})
    with pytest.raises(TableError, match="tell no zone"):
        read_table(path, TableFormat(time=TimeColumn("t")), now=NOW)
    with pytest.warns(DataQualityWarning, match="order of time|repeat"):
        table = read_table(path, TableFormat(time=TimeColumn("t", zone="UTC")), now=NOW)
    assert table.frame["p"].tolist() == [3.0, 1.0]
    path = write({"t": [1769915040000], "p": [1.0]})
    table = read_table(path, TableFormat(time=TimeColumn("t", "epoch_ms")), now=NOW)
    assert table.frame["t"].tolist() == [pd.Timestamp("2026-02-01T03:04Z")]


def test_units_are_read_from_metadata_and_compared(write):
    path = write({"p": [1.0], "T": [2.0]}, {"p": "kPa"})
    assert read_table(path).units == {"p": "kPa"}
    with pytest.raises(TableError, match="'kPa', and 'bar' was declared") as caught:
        read_table(path, TableFormat({"p": "bar"}))
    assert caught.value.column == "p"


@pytest.mark.parametrize("values", [["1", "2"], [True, False], [b"1", b"2"]])
def test_a_sensor_of_another_type_is_named(write, values):
    with pytest.raises(TableError, match="a sensor holds numbers") as caught:
        read_table(write({"p": [1.0, 2.0], "s": values}))
    assert caught.value.column == "s"


def test_damaged_and_empty_files_are_an_error(write):
    path = write({"p": [1.0, 2.0, 3.0]})
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        at = rng.integers(len(whole))
        path.write_bytes(
            whole[:at] if rng.random() < 0.3 else whole[:at] + bytes([rng.integers(256)]) + whole[at + 1 :]
        )
        try:
            read_table(path)
        except TableError:
            continue
    path.write_bytes(whole[:-8])
    with pytest.raises(TableError, match="no whole Parquet file"):
        read_table(path)
    path.write_bytes(b"p\n1\n")
    with pytest.raises(TableError, match="no whole Parquet file"):
        read_table(path)
    with pytest.raises(TableError, match="no complete row"):
        read_table(write({"p": pa.array([], pa.float64())}))
    with pytest.raises(TableError, match=r"has no such column\. Did you mean 'p'"):
        read_table(write({"p": [1.0]}), TableFormat(["P"]))


def test_without_pyarrow_the_error_names_the_extra(write, monkeypatch):
    path = write({"p": [1.0]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"install the extra sktransfer\[parquet\]"):
        read_table(path)
