"""Warnings of counts: added up over blocks, and given at the line that called the package."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sktransfer import BaselineScaler, DataQualityWarning
from sktransfer.utils.counted_warnings import CountedWarning, collect_warnings, warn_of

CONSTANT = np.full((20, 3), 2.5)


def counted(count, names, merge=int.__add__):
    warn_of(CountedWarning("{count} of {total} rows in {names}", DataQualityWarning, count, 10, names, merge))


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return found


def test_counts_of_inner_blocks_are_added_to_the_outer_one():
    def call():
        with collect_warnings():
            counted(1, ["a"])
            with collect_warnings():
                counted(2, ["b"])
                counted(4, ["a"])
            counted(0, [])

    assert [str(w.message) for w in caught(call)] == ["7 of 40 rows in ['a', 'b']"]


def test_a_length_is_the_longest_and_what_is_forgotten_is_not_said():
    def call():
        with collect_warnings():
            counted(3, ["a"], max)
            with collect_warnings() as forget:
                counted(9, ["b"], max)
                forget()
                counted(5, ["c"], max)

    assert [str(w.message) for w in caught(call)] == ["5 of 20 rows in ['a', 'c']"]
    assert caught(lambda: counted(0, ["a"])) == []


def test_a_block_that_fails_says_nothing_and_leaves_none_open():
    def failing():
        with collect_warnings():
            counted(3, ["a"])
            1 // 0  # noqa: B018

    def call():
        with pytest.raises(ZeroDivisionError):
            failing()
        counted(1, ["b"])

    assert [str(w.message) for w in caught(call)] == ["1 of 10 rows in ['b']"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: BaselineScaler().fit(CONSTANT),
        lambda: BaselineScaler().fit_transform(CONSTANT),
        lambda: make_pipeline(FunctionTransformer(), BaselineScaler()).fit(CONSTANT),
        lambda: GridSearchCV(BaselineScaler(), {"clip": [5]}, scoring=lambda *_: 0.0, cv=2).fit(CONSTANT),
    ],
    ids=["fit", "fit_transform", "pipeline", "search"],
)
def test_a_warning_points_at_the_line_that_called_the_package(call):
    found = [w for w in caught(call) if issubclass(w.category, DataQualityWarning)]
    assert found
    assert {Path(w.filename) for w in found} == {Path(__file__)}


@pytest.mark.parametrize("name", ["{1}", "{x}", "{", "}"])
def test_braces_in_a_name_are_text(name):
    found = CountedWarning(f"{name}: {{count}} of {{total}} rows", DataQualityWarning, 3, 10)
    assert caught(lambda: warn_of(found))[0].message.args[0].endswith(": 3 of 10 rows")
