"""Settings behave as scikit-learn's BaseEstimator, which they replace where scikit-learn is not loaded."""

import subprocess
import sys

import pytest
from sklearn.base import BaseEstimator, clone

from sktransfer import TableFormat, TimeColumn
from sktransfer.utils.settings import Settings


class Ours(Settings):
    def __init__(self, a, b=2, *, c=None):
        self.a, self.b, self.c = a, b, c


class Theirs(BaseEstimator):
    def __init__(self, a, b=2, *, c=None):
        self.a, self.b, self.c = a, b, c


@pytest.mark.parametrize("deep", [False, True])
def test_parameters_are_those_of_a_base_estimator(deep):
    ours, theirs = Ours(1, c=Ours("x", c=Ours([]))), Theirs(1, c=Theirs("x", c=Theirs([])))
    found, expected = ours.get_params(deep), theirs.get_params(deep)
    assert set(found) == set(expected)
    assert found["b"] == 2
    assert not deep or found["c__c__a"] == []


def test_nested_parameters_are_set_and_unknown_ones_named():
    ours = Ours(1, c=Ours(2))
    assert ours.set_params(b=5, c__a=7) is ours
    assert (ours.b, ours.c.a) == (5, 7)
    with pytest.raises(ValueError, match=r"Ours has no parameter 'd'; it has \['a', 'b', 'c'\]"):
        ours.set_params(d=1)


def test_a_clone_is_another_object_of_equal_parameters():
    form = TableFormat({"p": "bar"}, time=TimeColumn("t", zone="UTC"), machine="pump")
    other = clone(form)
    assert other is not form
    assert other.time is not form.time
    assert (
        repr(other)
        == repr(form)
        == ("TableFormat(sensors={'p': 'bar'}, time=TimeColumn(name='t', zone='UTC'), machine='pump')")
    )
    assert other.get_params()["time__zone"] == "UTC"


def test_a_table_is_read_without_scikit_learn(tmp_path):
    (tmp_path / "a.csv").write_text("t,p\n2026-01-01T00:00:00Z,1\n")
    code = (
        "import sys; from sktransfer.io.read_table import read_table, TableFormat;"
        "from sktransfer.io.time_column import TimeColumn; read_table(sys.argv[1], TableFormat(time=TimeColumn('t')));"
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'scipy', 'torch', 'joblib')))"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "a.csv"], check=False).returncode == 0
