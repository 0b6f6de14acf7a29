"""Acceptance, section E: files of a plant. The name of a test begins with its id."""

import gzip
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sktransfer import DataQualityWarning, TableError, TableFormat, TimeColumn, iter_tables, read_table, write_table

NOW = "2026-03-01"
ISO = TimeColumn("t")
TIMED = TableFormat(time=ISO)


@pytest.fixture
def read(tmp_path):
    """Write a file and read it."""

    def call(content, table_format=None, *, name="plant.csv", now=NOW):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, table_format, now=now)

    return call


@pytest.fixture
def refused(tmp_path, read):
    """The error for a file, which is one line and names the file."""

    def call(content, table_format=None, **how):
        with pytest.raises(TableError) as caught:
            read(content, table_format, **how)
        assert str(caught.value).startswith(str(tmp_path))
        assert "\n" not in str(caught.value)
        assert caught.value.path in str(caught.value)
        return caught.value

    return call


def place(error):
    return error.line, error.column


# E1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"p,T\n", "no complete row below its header"),
        (b"p,T", "no complete line"),
        (b"\n\n \n", "no complete line"),
        (b"\xef\xbb\xbf", "no complete line"),
    ],
)
def test_E1_a_file_without_rows_is_an_error(refused, content, words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        assert words in str(refused(content))


def test_E1_no_file_a_folder_a_device_and_no_permission(tmp_path, monkeypatch):
    for path, words in (("none.csv", "no such file"), (".", "folder")):
        for call in (read_table, iter_tables):
            with pytest.raises(TableError, match=words) as caught:
                call(tmp_path / path)
            assert caught.value.path == str(tmp_path / path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        with pytest.raises(TableError, match="pipe"):
            read_table(tmp_path / "pipe.csv")
    path = tmp_path / "closed.csv"
    path.write_text("p\n1\n")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read whatever its bits say
    with pytest.raises(TableError, match="may not read"):
        read_table(path)


def test_E1_a_damaged_archive_is_an_error(tmp_path):
    whole = gzip.compress(b"p,T\n" + b"1.5,20\n" * 5000)
    path = tmp_path / "plant.csv.gz"
    path.write_bytes(whole)
    assert len(read_table(path).frame) == 5000
    for broken in (whole[:-9], whole[:40] + b"\0\0\0" + whole[43:], b"p,T\n1,2\n"):
        path.write_bytes(broken)
        with pytest.raises(TableError, match="cannot be read"):
            read_table(path)


# E2


GERMAN = "t;p;T\n2026-01-02T00:00Z;1,5;20\n2026-01-02T00:01Z;-0,25;1,5e3\n"


def test_E2_decimal_comma_and_semicolon_are_read_as_declared(read):
    X = read(GERMAN, TableFormat(time=ISO, separator=";", decimal=",")).X
    assert X.to_numpy().tolist() == [[1.5, 20.0], [-0.25, 1500.0]]
    assert set(X.dtypes) == {np.dtype("float64")}


def test_E2_undeclared_they_are_an_error_with_a_hint(refused):
    assert "separator=';' and decimal=','" in str(refused(GERMAN))
    error = refused(GERMAN, TableFormat(time=ISO, separator=";"))
    assert place(error) == (2, "p")
    assert "decimal=','" in str(error)
    assert "separator=';'" in str(refused("p,T\n1,5,20,5\n2,5,21,5\n"))
    error = refused("p;T\n1.5;20\n", TableFormat(separator=";", decimal=","))
    assert place(error) == (2, "p")
    assert "decimal='.'" in str(error)
    assert "separator='\\t'" in str(refused("p\tT\n1\t2\n"))


@pytest.mark.parametrize("cell", ['"1,234.5"', "1 234.5", "1\u00a0234.5", "1'234.5", '"1,234,567"', '"1,234"'])
def test_E2_thousands_are_an_error_with_a_hint(refused, cell):
    error = refused(f"p,T\n1,20\n{cell},21\n")
    assert place(error) == (3, "p")
    assert "separators of thousands" in str(error)


# E3


UNITS = "t,p,T\n,bar,°C\n2026-01-02T00:00Z,1.5,20\n"


def test_E3_a_declared_row_of_units_is_read(read):
    table = read(UNITS, TableFormat(time=ISO, units_row=True))
    assert table.units == {"p": "bar", "T": "°C"}
    assert table.X.to_numpy().tolist() == [[1.5, 20.0]]
    assert table.frame.index.tolist() == [3]


def test_E3_undeclared_it_is_an_error_with_a_hint(refused):
    error = refused(UNITS.replace("\n,bar", "\n2026-01-02T00:00Z,bar"), TIMED)
    assert place(error) == (2, "p")
    assert "units_row=True" in str(error)
    assert "units_row=True" in str(refused("p,T\nbar,°C\n1,2\n"))
    assert "units_row=False" in str(refused("p,T\n1,2\n3,4\n", TableFormat(units_row=True)))


# E4


TEXT = "p,T °C\n1.5,20\n2.5,21\n"


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("latin-1", "latin-1"),
     ("cp1252", "cp1252"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("utf-32", "utf-32"),
     ("utf-16", "utf-16-le")],
)  # fmt: skip
def test_E4_declared_encodings_and_byte_order_marks_are_read(read, encoding, declared):
    table = read(TEXT.encode(encoding), TableFormat(encoding=declared))
    assert table.sensors == ["p", "T °C"]
    assert table.X.to_numpy().tolist() == [[1.5, 20.0], [2.5, 21.0]]


@pytest.mark.parametrize(
    ("content", "declared", "words", "line"),
    [
        (TEXT.encode("latin-1"), "utf-8", "encoding='cp1252'", 1),
        (b"p,T\n1,2\n" * 1 + "3,ü\n".encode("latin-1"), "utf-8", "not in UTF-8", 3),
        (TEXT.encode("utf-16"), "utf-8", "encoding='utf-16'", 1),
        (TEXT.encode("utf-16-le"), "latin-1", "encoding='utf-16'", 1),
        (TEXT.encode("utf-8-sig"), "latin-1", "encoding='utf-8'", 1),
        (b"p,T\n1,2\n3,\x004\n", "utf-8", "NUL byte", 3),
        (b"p,T\n1,2\n3,\x81\n", "cp1252", "declared encoding='cp1252'", 3),
        ("p,T\n1,2\n3,ü\n".encode(), "ascii", "declared encoding='ascii'", 3),
    ],
)
def test_E4_other_encodings_are_an_error_that_names_what_to_declare(refused, content, declared, words, line):
    error = refused(content, TableFormat(encoding=declared))
    assert words in str(error)
    assert error.line == line


# E5


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("p,T\n1,2\n3\n4,5\n", 3),
        ("p,T\n1,2\n3,4,5\n6,7\n", 3),
        ("p,T\n1,2,3\n4,5\n", 2),
        ("p,T\n1,2,3\n4,5,6\n", 2),
        ("p,T\n\n1,2\n\n3\n", 5),
        ('"p\nx",T\n1,2\n3\n', 4),
        ("p,T\n1,2,\n3,4\n", 3),
        ("p,T\n1,2,\n3,4,x\n", 3),
    ],
)
def test_E5_a_row_with_other_than_the_fields_of_the_header_is_an_error_with_its_line(refused, content, line):
    assert refused(content).line == line


def test_E5_lines_are_counted_far_into_a_file(refused):
    rows = "".join(f"{i},{i}\n" for i in range(1_200_000))  # more than one piece
    assert len(rows) > 2**23
    assert refused(f"p,T\n{rows}7\n").line == 1_200_002
    error = refused(f"p,T\n{rows}7,x\n")
    assert place(error) == (1_200_002, "T")


@pytest.mark.parametrize("content", ["p,T,\n1,2,\n3,4,\n", "p,T\n1,2,\n3,4,\n"])
def test_E5_a_separator_at_the_end_of_each_line_is_no_column(read, content):
    assert read(content).X.to_dict("list") == {"p": [1.0, 3.0], "T": [2.0, 4.0]}


@pytest.mark.parametrize(
    ("content", "words", "line"),
    [
        ('a,b\n1,"2\n3,4\n5,6\n', "never closed", 2),
        ('a,b\n1,2\n3,4" pipe\n5,6" pipe\n', "quote stands inside", 3),
        ("a,b\r1,2\r3,4\r", "carriage return", 1),
        ("a,b\n1,2\r3,4\n", "carriage return", 2),
    ],
)
def test_E5_quotes_and_line_ends_that_can_be_read_in_two_ways_are_an_error(refused, content, words, line):
    error = refused(content)
    assert words in str(error)
    assert error.line == line


def test_E5_quoted_fields_hold_separators_quotes_and_line_breaks(read):
    content = 'id,p\r\n"a,b",1\r\n"say ""x""",2\r\n"two\r\nlines",3\r\n\r\n"#no",4\r\n#a "comment,5\r\nplain,6\r\n'
    table = read(content, TableFormat(text=["id"], comment="#"))
    assert table.frame["id"].tolist() == ["a,b", 'say "x"', "two\r\nlines", "#no", "plain"]
    assert table.frame.index.tolist() == [2, 3, 4, 7, 9]


# E6


@pytest.mark.parametrize("end", ["3", "3,", "3,4", "3,4.", '3,"4', "3,Bad Inp", "3,4,5"])
def test_E6_a_last_line_without_a_line_break_is_left_out_with_a_warning(read, end):
    with pytest.warns(DataQualityWarning, match="line 3: the last line is left out"):
        table = read(f"p,T\n1,2\n{end}")
    assert table.X.to_numpy().tolist() == [[1.0, 2.0]]
    assert table.report.n_truncated == 1
    assert table.report.n_rows == 1


def test_E6_a_character_that_is_cut_is_left_out_too(read):
    for encoding in ("utf-8", "utf-16"):
        content = "p,T\n1,2\n3,ü".encode(encoding)[:-1]
        with pytest.warns(DataQualityWarning, match="line 3"):
            assert read(content, TableFormat(encoding=encoding)).report.n_truncated == 1


def test_E6_the_last_line_is_kept_or_refused_as_declared(read, refused):
    assert read("p,T\n1,2\n3,4", TableFormat(last_line="keep")).X.to_numpy().tolist() == [[1, 2], [3, 4]]
    assert refused("p,T\n1,2\n3", TableFormat(last_line="keep")).line == 3
    assert refused('p,T\n1,2\n3,"4', TableFormat(last_line="keep")).line == 3
    assert refused("p,T\n1,2\n3,4", TableFormat(last_line="error")).line == 3


def test_E6_the_chunk_that_ends_the_file_tells_it(tmp_path):
    path = tmp_path / "plant.csv"
    path.write_text("p\n1\n2\n3\n4\n5")
    with pytest.warns(DataQualityWarning, match="line 6"):
        reports = [table.report for table in iter_tables(path, chunk_rows=2)]
    assert [report.n_truncated for report in reports] == [0, 1]


# E7


def test_E7_words_of_historians_are_missing_with_their_status(read):
    words = ["Bad Input", "I/O Timeout", "No Data", "Shutdown", "Pt Created", "Calc Failed", "Comm Fail", "bad  INPUT "]
    rows = "".join(f"{word},{i}\n" for i, word in enumerate(words))
    table = read(f"p,T\n1.5,20\n{rows},30\n2.5,40\n")
    np.testing.assert_array_equal(table.X["p"], [1.5] + [np.nan] * 9 + [2.5])
    assert table.X["T"].tolist() == [20, *range(8), 30, 40]
    assert table.report.n_words == {"p": {**dict.fromkeys(words[:-1], 1), "bad INPUT": 1}}
    assert table.report.n_empty == {"p": 1}
    assert table.report.n_missing == {"p": 9}
    assert table.bad_cells.to_numpy().tolist() == [[3 + i, "p", " ".join(w.split())] for i, w in enumerate(words)]


@pytest.mark.parametrize("cell", ["pump 3", "x", "True", "0x1A", "1_000", "12,5 bar", "1.2.3", "1e", "\u0665", "1 2"])
@pytest.mark.parametrize("rest", ["", "2,3\n"])
def test_E7_unknown_text_is_an_error_with_line_and_column(refused, cell, rest):
    error = refused(f'p,T\n{rest}"1.5",20\n"2.5","{cell}"\n')
    assert place(error) == (3 + bool(rest), "T")
    assert cell in str(error)


def test_E7_a_column_of_states_is_not_read_as_numbers(refused):
    assert place(refused("p,on\n1,True\n2,False\n")) == (2, "on")


def test_E7_the_first_bad_cell_of_the_file_is_named(refused):
    assert place(refused("p,T\n1,2\n1,x\ny,2\n")) == (3, "T")


@pytest.mark.parametrize(
    ("cell", "hint"),
    [("12.5 bar", "without its unit"), ("2026-01-02", "TimeColumn"), ("\u00a012.5", "Blanks of another")],
)
def test_E7_the_error_has_a_remedy(refused, cell, hint):
    assert hint in str(refused(f"p,T\n1,2\n3,{cell}\n"))


def test_E7_more_words_and_numbers_can_be_declared(read, refused):
    content = "p,T\n1,defekt\n-9999,2\n-9999.0,DEFEKT\n"
    assert place(refused(content)) == (2, "T")
    table = read(content, TableFormat(missing=["Defekt", -9999]))
    np.testing.assert_array_equal(table.X, [[1, np.nan], [np.nan, 2], [np.nan, np.nan]])
    assert table.report.n_words == {"T": {"defekt": 1, "DEFEKT": 1}, "p": {"-9999": 1, "-9999.0": 1}}


def test_E7_a_column_of_missing_values_alone_is_a_column_of_nan(read):
    table = read("p,T,q\n1,,No Data\n2,,No Data\n")
    np.testing.assert_array_equal(table.X, [[1, np.nan, np.nan], [2, np.nan, np.nan]])
    assert set(table.X.dtypes) == {np.dtype("float64")}
    assert (table.report.n_empty, table.report.n_words) == ({"T": 2}, {"q": {"No Data": 2}})


# E8


def test_E8_ids_are_text_as_it_stands(read):
    ids = ["007", "NA", "null", "nan", "", "1e5", "True", "No Data", " x "]
    table = read("id,p,m\n" + "".join(f"{one},1,{one}\n" for one in ids), TableFormat(text=["id"], machine="m"))
    assert table.frame["id"].tolist() == ids
    assert table.frame["m"].tolist() == ids
    assert table.sensors == ["p"]


# E9


def test_E9_what_is_not_finite_is_missing_and_counted(read):
    cells = ["inf", "-Infinity", "1E+400", "-1.#IND", "1.#QNAN", "NaN", "+INF"]
    table = read("p,T\n" + "".join(f"{cell},1\n" for cell in cells) + "1e308,2\n")
    np.testing.assert_array_equal(table.X["p"], [np.nan] * 7 + [1e308])
    assert table.report.n_not_finite == {"p": 7}
    assert table.report.n_words == {}
    assert table.bad_cells["text"].tolist() == cells


# E10


def test_E10_a_name_that_stands_twice_is_an_error(refused):
    error = refused("p,T,p\n1,2,3\n")
    assert place(error) == (1, "p")
    assert "twice" in str(error)
    assert refused("p,T, p\u00a0\n1,2,3\n").column == "p"


def test_E10_names_are_trimmed_and_keep_their_case(read, refused):
    assert read(" p ,\u00a0T\u00a0 out\n1,2\n").sensors == ["p", "T  out"]
    error = refused("Pressure,T\n1,2\n", TableFormat(["pressure"]))
    assert "Did you mean 'Pressure'?" in str(error)
    assert "has no name" in str(refused(",p\n0,1\n"))
    assert read(",p\n0,1\n", TableFormat(["p"])).X.to_numpy().tolist() == [[1.0]]


# E11


def rows_at(minutes, machine="a"):
    return "".join(f"2026-01-02T00:{m:02d}:00Z,{machine},{v}\n" for m, v in minutes)


PUMPS = TableFormat(time=ISO, machine="m")


@pytest.mark.parametrize(("rule", "kept"), [("last", [0.0, 10.0, 2.0]), ("first", [0.0, 1.0, 2.0])])
def test_E11_repeated_stamps_of_one_machine_are_kept_once(read, refused, rule, kept):
    content = "t,m,p\n" + rows_at([(0, 0), (1, 1), (1, 10)]) + rows_at([(1, 5)], "b") + rows_at([(2, 2)])
    with pytest.warns(DataQualityWarning, match="1 of 5 rows repeat the time stamp"):
        table = read(content, TableFormat(time=TimeColumn("t", duplicates=rule), machine="m"))
    assert table.frame.query("m == 'a'")["p"].tolist() == kept
    assert table.frame.query("m == 'b'")["p"].tolist() == [5.0]
    assert (table.report.n_duplicates, table.report.n_rows) == (1, 5)
    assert refused(content, TableFormat(time=TimeColumn("t", duplicates="error"), machine="m")).line == 4


def test_E11_unsorted_rows_are_sorted_within_their_machine(read, refused):
    content = "t,m,p\n" + rows_at([(2, 2)]) + rows_at([(9, 9)], "b") + rows_at([(0, 0), (1, 1)])
    with pytest.warns(DataQualityWarning, match="1 of 4 rows are not in the order of time"):
        table = read(content, PUMPS)
    assert table.frame["p"].tolist() == [0, 9, 1, 2]
    assert table.frame.index.tolist() == [4, 3, 5, 2]
    assert refused(content, TableFormat(time=TimeColumn("t", order="error"), machine="m")).line == 4


def test_E11_a_stamp_beyond_the_clock_is_an_error(read, refused):
    content = "t,p\n2026-01-02T00:00Z,1\n2026-01-02T00:02Z,2\n"
    assert len(read(content, TIMED, now="2026-01-02T00:01Z").frame) == 2
    error = refused(content, TIMED, now="2026-01-02T00:00:59Z")
    assert place(error) == (3, "t")
    assert "61 s in the future" in str(error)
    late = TableFormat(time=TimeColumn("t", clock_tolerance=61))
    assert len(read(content, late, now="2026-01-02T00:00:59Z").frame) == 2


@pytest.mark.parametrize("rule", ["last", "first"])
@pytest.mark.parametrize("chunk_rows", [2, 3, 5, 100])
def test_E11_chunks_keep_what_the_whole_file_keeps(tmp_path, rule, chunk_rows):
    rng = np.random.default_rng(0)
    minutes = np.sort(rng.integers(0, 30, 40))
    rows = "".join(rows_at([(m, i)], "ab"[i % 2]) for i, m in enumerate(minutes))
    path = tmp_path / "plant.csv"
    path.write_text("t,m,p\n" + rows)
    how = TableFormat(time=TimeColumn("t", duplicates=rule, max_gap=100), machine="m")
    with pytest.warns(DataQualityWarning, match="of 40 rows repeat"):
        whole = read_table(path, how, now=NOW)
    with pytest.warns(DataQualityWarning, match="rows repeat"):
        tables = list(iter_tables(path, how, chunk_rows=chunk_rows, now=NOW))
    pd.testing.assert_frame_equal(pd.concat([table.frame for table in tables]), whole.frame)
    total = sum((table.report for table in tables[1:]), tables[0].report)
    assert set(total.gaps) == set(whole.report.gaps)
    assert replace(total, gaps=()) == replace(whole.report, gaps=())
    assert whole.report.n_duplicates > 5
    assert whole.report.n_gaps > 3


def test_E11_rows_that_go_back_across_chunks_are_an_error(tmp_path):
    path = tmp_path / "plant.csv"
    path.write_text("t,m,p\n" + rows_at([(5, 0), (6, 1), (2, 2), (7, 3)]))
    with pytest.raises(TableError, match=r"line 4.*earlier chunk.*read_table"):
        list(iter_tables(path, PUMPS, chunk_rows=2, now=NOW))
    with pytest.warns(DataQualityWarning, match="order of time"):
        assert len(next(iter_tables(path, PUMPS, chunk_rows=4, now=NOW)).frame) == 4


# E12


def test_E12_gaps_are_reported_by_machine(read):
    content = "t,m,p\n" + rows_at([(0, 0), (1, 1), (2, 2), (7, 7)]) + rows_at([(0, 0), (1, 1), (2, 2)], "b")
    report = read(content, PUMPS).report
    stamp = pd.Timestamp("2026-01-02T00:00Z")
    assert report.n_gaps == 1
    assert report.gaps == (("a", stamp + pd.Timedelta("2min"), stamp + pd.Timedelta("7min")),)
    assert read(content, TableFormat(time=TimeColumn("t", max_gap=300), machine="m")).report.n_gaps == 0
    assert read(content, TableFormat(time=TimeColumn("t", max_gap=59), machine="m")).report.n_gaps == 5


# E13


def local(*stamps, **how):
    content = "t,p\n" + "".join(f"{stamp},{i}\n" for i, stamp in enumerate(stamps))
    return content, TableFormat(time=TimeColumn("t", **how))


def hours(table):
    return table.frame["t"].dt.strftime("%m-%d %H:%M").tolist()


def test_E13_stamps_without_a_zone_need_a_declared_one(read, refused):
    stamps = "2026-01-31 08:00", "2025-07-31 08:00"
    assert "tell no zone" in str(refused(*local(*stamps, order="sort")))
    with pytest.warns(DataQualityWarning, match="order"):
        assert hours(read(*local(*stamps, zone="Europe/Berlin"))) == ["07-31 06:00", "01-31 07:00"]
    assert hours(read(*local(stamps[0], zone="+05:30"))) == ["01-31 02:30"]
    assert str(read(*local(stamps[0], zone="UTC")).frame["t"].dtype) == "datetime64[ns, UTC]"


def test_E13_offsets_in_the_file_win_and_several_are_read(read):
    table = read(*local("2025-10-26T02:30+02:00", "2025-10-26T02:30+01:00", zone="Asia/Tokyo"))
    assert hours(table) == ["10-26 00:30", "10-26 01:30"]
    table = read(*local("26.10.2025 02:30 +0200", "26.10.2025 02:30 +0100", format="%d.%m.%Y %H:%M %z"))
    assert hours(table) == ["10-26 00:30", "10-26 01:30"]


def test_E13_stamps_with_and_without_an_offset_are_an_error(refused):
    error = refused(*local("2025-10-26T02:30Z", "2025-10-26T03:30", zone="UTC"))
    assert place(error) == (3, "t")
    assert "others do not" in str(error)


def test_E13_the_hour_that_comes_twice_is_an_error_or_left_out(read, refused):
    stamps = "2025-10-26 01:30", "2025-10-26 02:30", "2025-10-26 02:30", "2025-10-26 03:30"
    error = refused(*local(*stamps, zone="Europe/Berlin"))
    assert error.line == 3
    assert "comes twice" in str(error)
    with pytest.warns(DataQualityWarning, match="2 of 4 rows lie in an hour that comes twice"):
        table = read(*local(*stamps, zone="Europe/Berlin", ambiguous="drop"))
    assert hours(table) == ["10-25 23:30", "10-26 02:30"]
    assert table.report.n_ambiguous == 2
    assert hours(read(*local(*stamps[::2], zone="+01:00"))) == ["10-26 00:30", "10-26 01:30"]


def test_E13_a_file_of_which_no_row_is_left_is_an_empty_table(read):
    with pytest.warns(DataQualityWarning, match="1 of 1 rows"):
        table = read(*local("2025-10-26 02:30", zone="Europe/Berlin", ambiguous="drop"))
    assert table.X.shape == (0, 1)
    assert (str(table.frame["t"].dtype), table.X["p"].dtype) == ("datetime64[ns, UTC]", np.float64)


def test_E13_the_hour_that_is_left_out_is_an_error(refused):
    for ambiguous in ("error", "drop"):
        stamps = "2025-03-30 01:59", "2025-03-30 02:00"
        error = refused(*local(*stamps, zone="Europe/Berlin", ambiguous=ambiguous))
        assert error.line == 3
        assert "goes forward" in str(error)


# E14


@pytest.mark.parametrize(
    ("how", "stamp"),
    [
        ("%d/%m/%Y %H:%M", "01/02/2026 03:04"),
        ("%m/%d/%Y %I:%M %p", "02/01/2026 03:04 AM"),
        ("%d%m%Y%H%M", "010220260304"),
        ("epoch_s", "1769915040"),
        ("epoch_s", "1769915040.0"),
        ("epoch_ms", "1769915040000"),
        ("epoch_us", "1769915040000000"),
        ("epoch_ns", "1769915040000000000"),
        ("excel", "46054.1277777778"),
        ("iso", "20260201T0304"),
        ("%Y%m%d%H%M", "202602010304"),
        ("iso", "2026-02-01T03:04:00.000"),
    ],
)
def test_E14_a_stamp_is_read_by_its_declared_format(read, how, stamp):
    table = read(*local(stamp, format=how, zone="UTC"))
    assert table.frame["t"].tolist() == [pd.Timestamp("2026-02-01T03:04Z")]


@pytest.mark.parametrize(
    ("how", "stamp", "words"),
    [
        ("iso", "01/02/2026", "not as format='iso'"),
        ("iso", "1769915040000", "not as format='iso'"),
        ("%d/%m/%Y", "12/31/2025", "not as format"),
        ("%d/%m/%Y", "31/12/2025 00:00", "not as format"),
        ("%d/%m/%y", "01/02/2026", "not as format"),
        ("epoch_s", "1769915040000", "As 'epoch_ms' (2026-02-01) it is plausible"),
        ("epoch_ms", "1769915040", "As 'epoch_s' (2026-02-01) it is plausible"),
        ("epoch_ms", "46054.1", "As 'excel' (2026-02-01) it is plausible"),
        ("excel", "1769915040", "As 'epoch_s' (2026-02-01) it is plausible"),
        ("epoch_ms", "2026-01-01", "is no number"),
        ("epoch_s", "1e300", "a year that no stamp has"),
        ("iso", "1989-12-31T23:59Z", "before earliest='1990-01-01'"),
        ("iso", "2426-01-01T00:00Z", "in the future"),
        ("iso", "2026-13-01", "not as format"),
        ("iso", "now", "not as format"),
        ("iso", "today", "not as format"),
        ("iso", "NaT", "no time stamp"),
        ("iso", "", "no time stamp"),
        ("epoch_s", "", "no time stamp"),
    ],
)
def test_E14_other_formats_and_implausible_years_are_an_error(refused, how, stamp, words):
    good = {"iso": "2026-01-01T00:00Z", "epoch_s": "1769915040", "epoch_ms": "1769915040000", "excel": "46054"}
    first = good.get(how, "31/12/2025" if "%Y" in how else "31/12/25")
    error = refused(*local(first, stamp, format=how, zone="UTC"))
    assert place(error) == (3, "t")
    assert words in str(error)


# E15

MEMORY = """
import sys
from sktransfer import TableFormat, TimeColumn, iter_tables
n = 0
for table in iter_tables(sys.argv[1], TableFormat(time=TimeColumn("t")), chunk_rows=20_000):
    n += len(table.frame)
with open("/proc/self/status") as status:  # getrusage begins with the peak of the parent
    print(n, next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory as Linux tells it")
def test_E15_memory_does_not_grow_with_the_file(tmp_path):
    times = pd.date_range("2025-01-01", periods=50_000, freq="1s", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    values = np.random.default_rng(0).normal(50, 10, (50_000, 12)).round(4)
    header, body = pd.DataFrame(values, index=times).to_csv(index_label="t").encode().split(b"\n", 1)
    path, found = tmp_path / "plant.csv", []
    for days in (8, 24):
        path.write_bytes(
            b"\n".join([header, *(body.replace(b"01-01T", b"01-%02dT" % (i + 1))[:-1] for i in range(days)), b""])
        )
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, path],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
        n_rows, kilobytes = map(int, done.stdout.split())
        assert n_rows == 50_000 * days
        found.append(1024 * kilobytes)
    assert path.stat().st_size > 80e6
    assert found[1] - found[0] < 16e6  # of 90 MB more of file


# E16


def test_E16_another_unit_than_declared_is_an_error(read, refused):
    content = "p,T\nkPa,°C\n150,20\n"
    error = refused(content, TableFormat({"p": "bar", "T": "°C"}, units_row=True))
    assert place(error) == (2, "p")
    assert "'kPa', and 'bar' was declared" in str(error)
    assert read(content, TableFormat({"p": "kPa", "T": "℃"}, units_row=True)).units == {"p": "kPa", "T": "°C"}
    assert refused("p,T\n,°C\n1,2\n", TableFormat({"p": "bar"}, units_row=True)).column == "p"
    assert refused("p [kPa]\n1\n", TableFormat({"p [kPa]": "bar"})).column == "p [kPa]"
    assert read("p (inlet)\n1\n", TableFormat({"p (inlet)": "bar"})).units == {"p (inlet)": "bar"}
    assert refused("p,T\nMW,K\n1,2\n", TableFormat({"p": "mW"}, units_row=True)).column == "p"


# E17


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "\r=1", "\uff1d1", '=HYPERLINK("x";"y")', "%0A=1"]


@pytest.mark.parametrize("cell", FORMULAS)
def test_E17_text_that_a_spreadsheet_would_run_is_written_as_text(tmp_path, cell):
    path = write_table(pd.DataFrame({"id": [cell, "plain"], "p": [-1.5, 2.0]}), tmp_path / "out.csv")
    doubled = cell.replace('"', '""')
    assert path.read_bytes().decode() == f'id,p\n"\'{doubled}",-1.5\nplain,2\n'
    assert read_table(path, TableFormat(text=["id"])).frame["id"].tolist() == ["'" + cell, "plain"]


def test_E17_names_are_guarded_too(tmp_path):
    path = write_table(pd.DataFrame({"=cmd": [1.0]}), tmp_path / "out.csv")
    assert path.read_text() == '"\'=cmd"\n1\n'


def test_E17_the_id_of_a_file_read_comes_out_harmless(read, tmp_path):
    table = read(
        "t,id,p\n2026-01-02T00:00Z,=1+1,0.1\n2026-01-02T00:00:00.5Z,007,\n", TableFormat(time=ISO, text=["id"])
    )
    path = write_table(table.frame, tmp_path / "out.csv")
    assert path.read_text() == ('t,id,p\n2026-01-02T00:00:00.000Z,"\'=1+1",0.1\n2026-01-02T00:00:00.500Z,007,\n')
