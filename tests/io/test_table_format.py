"""A format is an object with parameters, which are checked when a file is read."""

import json

import pytest
from sklearn.base import clone

from sktransfer import TableFormat, TimeColumn, read_table


def test_it_is_cloned_set_and_kept_as_plain_values():
    how = TableFormat({"p": "bar"}, time=TimeColumn("t", zone="UTC"), separator=";")
    other = clone(how).set_params(time__zone="Europe/Berlin", decimal=",")
    assert (how.time.zone, other.time.zone, other.decimal) == ("UTC", "Europe/Berlin", ",")
    kept = json.loads(json.dumps({**how.get_params(deep=False), "time": how.time.get_params()}))
    again = TableFormat(**{**kept, "time": TimeColumn(**kept["time"])})
    assert again.get_params(deep=False)["sensors"] == {"p": "bar"}
    assert again.time.get_params() == how.time.get_params()
    for one in (how, how.time):
        assert len(one.get_params(deep=False)) <= 12


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"separator": ";;"}, "'separator'"), ({"separator": "."}, "'separator'"), ({"separator": "§"}, "'separator'"),
        ({"separator": ",", "decimal": ","}, "another character than decimal"), ({"decimal": ";"}, "'decimal'"),
        ({"encoding": "utf-9"}, "'encoding'"), ({"encoding": "base64"}, "'encoding'"), ({"encoding": 8}, "'encoding'"),
        ({"units_row": 2}, "'units_row'"), ({"missing": "bad"}, "'missing'"), ({"missing": [None]}, "'missing'"),
        ({"comment": "##"}, "'comment'"), ({"comment": ","}, "'comment'"), ({"skip_rows": -1}, "'skip_rows'"),
        ({"skip_rows": True}, "'skip_rows'"), ({"last_line": "skip"}, "'last_line'"), ({"sensors": "p"}, "'sensors'"),
        ({"sensors": []}, "'sensors'"), ({"sensors": {"p": 1}}, "'sensors'"), ({"text": "id"}, "'text'"),
        ({"machine": 1}, "'machine'"), ({"time": "t"}, "'time'"), ({"sensors": ["p"], "text": ["p"]}, "declared twice"),
        ({"sensors": ["t"], "time": TimeColumn("t")}, "declared twice"), ({"time": TimeColumn(1)}, "'name'"),
        ({"time": TimeColumn("t", "ISO")}, "'format'"), ({"time": TimeColumn("t", zone="Nowhere")}, "'zone'"),
        ({"time": TimeColumn("t", zone="")}, "'zone'"), ({"time": TimeColumn("t", duplicates="mean")}, "'duplicates'"),
        ({"time": TimeColumn("t", order="no")}, "'order'"), ({"time": TimeColumn("t", max_gap=0)}, "'max_gap'"),
        ({"time": TimeColumn("t", clock_tolerance=-1)}, "'clock_tolerance'"),
        ({"time": TimeColumn("t", earliest="long ago")}, "'earliest'"),
        ({"time": TimeColumn("t", ambiguous="infer")}, "'ambiguous'"),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_used_is_named(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        read_table(tmp_path / "none.csv", TableFormat(**changes))


def test_the_machine_may_be_listed_among_the_text(tmp_path):
    path = tmp_path / "plant.csv"
    path.write_text("m,p\n007,1\n")
    assert read_table(path, TableFormat(text=["m"], machine="m")).frame["m"].tolist() == ["007"]


def test_comments_and_lines_above_the_header_keep_the_numbers_of_lines(tmp_path):
    path = tmp_path / "plant.csv"
    path.write_text('Export of "today\n\n#c\np,T\n#,"\n1,2\n\n#\n3,4\n')
    table = read_table(path, TableFormat(skip_rows=2, comment="#"))
    assert table.X.to_numpy().tolist() == [[1, 2], [3, 4]]
    assert table.frame.index.tolist() == [6, 9]
