"""Any damage of a good file is an error or is seen in the one cell that it hits; chunks are the whole."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sktransfer import DataQualityWarning, TableError, TableFormat, TimeColumn, iter_tables, read_table

GOOD = (
    "time;id;p;T;level\n"
    + "".join(
        f"2026-01-02T00:{i:02d}:00Z;{['007', chr(34) + 'a;b' + chr(34), 'ü', 'NA'][i % 4]};"
        f"{i * 1.25:.3f};{['20', '-3e2', '', 'Bad Input', 'inf'][i % 5]};{i}\n"
        for i in range(24)
    )
).encode()
PLAIN = TableFormat(["p", "T", "level"], text=["id"], separator=";", missing=["off"])
TIMED = TableFormat(["p", "T", "level"], time=TimeColumn("time"), text=["id"], separator=";")
NOW = "2026-03-01"


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "plant.csv"

    def call(content, table_format, **how):
        path.write_bytes(content)
        return read_table(path, table_format, now=NOW, **how)

    return call


def damaged(content, rng):
    """The content with one byte flipped, lost, doubled or put in."""
    at, kind = rng.integers(len(content)), rng.integers(4)
    byte = bytes([rng.choice(list(b'";,\n\r\0#=. \xff\xc3a0')) if rng.random() < 0.5 else rng.integers(256)])
    if kind == 0:
        return content[:at] + byte + content[at + 1 :]
    if kind == 1:
        return content[:at] + bytes([content[at] ^ (1 << rng.integers(8))]) + content[at + 1 :]
    if kind == 2:
        return content[:at] + content[at + 1 :]
    return content[:at] + byte + content[at:]


def differing(found, expected):
    """Number of cells that differ, of frames with the same rows and columns."""
    both = found.isna() & expected.isna()
    return int((~both & (found.astype(object) != expected.astype(object))).to_numpy().sum())


@pytest.mark.filterwarnings("ignore::sktransfer.DataQualityWarning")
@pytest.mark.parametrize("seed", range(4))
def test_one_damaged_byte_is_an_error_or_changes_one_cell(read, seed):
    rng, expected = np.random.default_rng(seed), read(GOOD, PLAIN).frame
    n_errors = n_same = 0
    for _ in range(40):
        try:
            found = read(damaged(GOOD, rng), PLAIN).frame
        except TableError:
            n_errors += 1
            continue
        assert list(found.columns) == list(expected.columns)
        if len(found) < len(expected):  # the line end of the last line was hit
            expected_now = expected.iloc[: len(found)]
            assert len(found) == len(expected) - 1
        else:
            expected_now = expected
        assert differing(found.reset_index(drop=True), expected_now.reset_index(drop=True)) <= 1
        n_same += 1
    assert n_errors > 10
    assert n_same > 10


@pytest.mark.filterwarnings("ignore::sktransfer.DataQualityWarning")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "cp1252", "shift_jis", "utf-7"])
def test_no_damage_ends_in_another_error_in_any_encoding(read, encoding):
    rng = np.random.default_rng(1)
    content = GOOD.decode().replace("ü", "ue" if encoding == "shift_jis" else "ü").encode(encoding)
    for table_format in (PLAIN, TIMED):
        declared = TableFormat(**{**table_format.get_params(deep=False), "encoding": encoding})
        assert len(read(content, declared).frame) == 24
        for _ in range(15):
            some = content
            for _ in range(rng.integers(1, 5)):
                some = damaged(some, rng)
            some = some[: rng.integers(1, len(some))] if rng.random() < 0.2 else some
            message = "plant.csv: "
            try:
                read(some, declared)
            except TableError as error:
                message = str(error)
            assert "plant.csv" in message
            assert "\n" not in message


def test_a_file_that_is_cut_gives_its_first_rows_or_an_error(read):
    expected = read(GOOD, PLAIN).frame
    for end in range(1, len(GOOD), 23):
        whole = GOOD[:end].count(b"\n") - 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataQualityWarning)
            if whole < 1:
                with pytest.raises(TableError):
                    read(GOOD[:end], PLAIN)
                continue
            table = read(GOOD[:end], PLAIN)
        pd.testing.assert_frame_equal(table.frame, expected.iloc[:whole])
        assert table.report.n_truncated == (not GOOD[:end].endswith(b"\n"))


@pytest.mark.parametrize("chunk_rows", [1, 5, 24, 1000])
@pytest.mark.parametrize("table_format", [PLAIN, TIMED], ids=["plain", "timed"])
@pytest.mark.parametrize("piece", [7, 64, 2**23])
def test_chunks_and_pieces_put_together_are_the_whole(tmp_path, monkeypatch, chunk_rows, table_format, piece):
    path = tmp_path / "plant.csv"
    path.write_bytes(GOOD)
    whole = read_table(path, table_format, now=NOW)
    monkeypatch.setattr("sktransfer.io.text_pieces.PIECE", piece)
    tables = list(iter_tables(path, table_format, chunk_rows=chunk_rows, now=NOW))
    full, rest = divmod(24, chunk_rows)
    assert [len(table.frame) for table in tables] == [chunk_rows] * full + [rest] * (rest > 0)
    pd.testing.assert_frame_equal(pd.concat([table.frame for table in tables]), whole.frame)
    bad = pd.concat([table.bad_cells for table in tables], ignore_index=True)
    pd.testing.assert_frame_equal(bad.astype(whole.bad_cells.dtypes), whole.bad_cells)
    assert sum((table.report for table in tables[1:]), tables[0].report) == whole.report
    assert whole.report.n_words == {"T": {"Bad Input": 5}}


def test_numbers_are_those_of_python(read):
    rng = np.random.default_rng(0)
    texts = [repr(float(x)) for x in np.concatenate([rng.normal(size=300), 10.0 ** rng.integers(-300, 300, 100)])]
    texts += ["1", "-0", "+5", ".5", "5.", "1e5", "1E-5", "123456789012345678901234567890", "0.1"]
    content = "p\n" + "\n".join(texts) + "\n"
    found = read(content.encode(), TableFormat()).X["p"].to_numpy()
    np.testing.assert_allclose(found, [float(text) for text in texts], rtol=3e-16)


def test_dates_that_look_like_numbers_are_dates_in_every_block(tmp_path, monkeypatch):
    path = tmp_path / "plant.csv"
    path.write_text("t,p\n20260102,1\n20260103,2\n2026-01-04,3\n20260105,4\n")
    monkeypatch.setattr("sktransfer.io.text_pieces.PIECE", 12)
    found = read_table(path, TableFormat(time=TimeColumn("t", zone="UTC")), now=NOW).frame["t"]
    assert found.dt.day.tolist() == [2, 3, 4, 5]


def test_what_was_declared_is_checked_before_the_file_is_opened(tmp_path):
    for call in (read_table, iter_tables):
        with pytest.raises(TypeError, match="table_format is a TableFormat, got dict"):
            call(tmp_path / "none.csv", {"separator": ";"})
    with pytest.raises(ValueError, match="chunk_rows is a whole number of at least 1, got 0"):
        iter_tables(tmp_path / "none.csv", chunk_rows=0)
    with pytest.raises(TypeError):
        read_table(5)


def test_the_error_travels_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(TableError("plant.csv, line 3: no", "plant.csv", 3, "p")))
    assert (str(error), error.path, error.line, error.column) == ("plant.csv, line 3: no", "plant.csv", 3, "p")


def test_nothing_of_the_caller_is_changed(tmp_path):
    path = tmp_path / "plant.csv"
    path.write_bytes(GOOD)
    before = repr(PLAIN)
    read_table(path, PLAIN)
    assert repr(PLAIN) == before
    assert path.read_bytes() == GOOD


def test_rows_and_windows_take_what_was_read(read):
    from sktransfer import SlidingWindows

    content = "time,m,p,T\n" + "".join(f"2026-01-02T00:{i:02d}Z,a,{i},{i % 7}\n" for i in range(40))
    table = read(content.encode(), TableFormat(time=TimeColumn("time"), machine="m"))
    X, _, groups = SlidingWindows(10).cut(table.frame.drop(columns="m"), time="time")
    assert X.shape == (4, 2, 10)
    np.testing.assert_array_equal(np.asarray(X)[1, 0], np.arange(10, 20))
    assert len(groups) == 4
