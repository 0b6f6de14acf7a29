"""The script that runs scikit-learn's own tests with our classes (`make sklearn`) notices what it has to."""

import pytest

from tests import sklearn_suite
from tests.sklearn_suite import Suite, run


def test_the_copy_uses_our_classes_and_a_wrong_list_is_noticed(tmp_path, monkeypatch):
    tests = "from decimal import Decimal\n\ndef test_a(): assert Decimal is int\n\ndef test_b(): assert 0\n"
    (tmp_path / "pretended.py").write_text(tests + "\n\ndef test_c(unused=float): assert Decimal\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    plain = Suite("pretended", "Decimal = int", known={"why": ["test_b", "test_c"]})
    passed, failed, _ = run(plain)
    assert (passed, failed) == (2, {"test_b"})
    assert plain.explains("test_b[case]")
    assert not plain.explains("test_a")
    assert plain.unneeded(failed) == ["test_c"]
    assert run(Suite("pretended", "Decimal = int", names=("Decimal",), without={"why": ("float",)}))[:2] == (1, set())


@pytest.mark.slow
def test_the_script_fails_on_failures_that_are_not_listed_on_needless_entries_and_where_nothing_ran(
    tmp_path, monkeypatch, capsys
):
    tests = "def test_a(): pass\n\ndef test_b(): assert 0\n"
    (tmp_path / "two_tests.py").write_text("import decimal\n\n" + tests, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sklearn_suite, "is_newest", lambda: True)
    for known, at_least, end in (
        ({"why": ["test_b"]}, 1, 0),
        ({}, 1, 1),
        ({"why": ["test_b", "test_a"]}, 1, 1),
        ({"why": ["test_b"]}, 2, 1),
    ):
        suite = Suite("two_tests", "", known=known, at_least=at_least)
        monkeypatch.setattr(sklearn_suite, "SUITES", {"pretended": suite})
        assert sklearn_suite.main([]) == end
    assert "at least 2 tests must pass" in capsys.readouterr().out
