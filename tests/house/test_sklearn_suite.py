"""scikit-learn's own tests pass with our classes, but for a list with reasons; and the list is exact."""

import pytest

from tests.sklearn_suite import SUITES, Suite, is_newest, run


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITES)
def test_scikit_learns_tests_fail_only_where_the_list_gives_a_reason(name):
    suite = SUITES[name]
    passed, failed, text = run(suite)
    assert [test for test in failed if not suite.explains(test)] == [], text
    if is_newest():
        assert suite.unneeded(failed) == []
    assert passed > {"pipeline": 100, "search": 90, "scalers": 10}[name]


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
