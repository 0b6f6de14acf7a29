"""`sample_domain` in numbers and in texts, and rows without a label."""

import numpy as np
import pandas as pd
import pytest

from sktransfer.validation.domains import source_and_target, unlabelled_rows


def test_the_sign_of_a_number_tells_source_from_target():
    domains = source_and_target("E", [2, 2, 7, -1, -3], 5)
    assert domains.target.tolist() == [False, False, False, True, True]
    assert (domains.sources, domains.targets) == ([2, 7], [-1, -3])
    assert domains.names == {2: 2, 7: 7, -1: -1, -3: -3}


def test_a_text_is_a_target_where_target_domain_names_it():
    domains = source_and_target("E", ["pump B", "pump A", "pump C", "pump A"], 4, "pump B")
    assert domains.ids.tolist() == [-1, 1, 2, 1]
    assert domains.names == {1: "pump A", 2: "pump C", -1: "pump B"}


def test_target_domain_overrules_the_sign_and_may_name_several():
    domains = source_and_target("E", [1, 2, 3], 3, [1, 3])
    assert domains.ids.tolist() == [-1, 1, -2]


@pytest.mark.parametrize(
    ("sample_domain", "target_domain", "words"),
    [
        (None, None, "must know which is which"),
        ([1, 1, 2], None, "no target rows"),
        ([-1, -1, -2], None, "no source rows"),
        (["A", "A", "A"], "A", "no source rows"),
        (["A", "B", "B"], None, "Name the target machine"),
        (["A", "B", "B"], "C", "names no rows"),
        (["A", "B", "B"], [], "names no rows"),
        ([0, 1, -1], None, "other than zero"),
        ([1.0, 1.0, -1.0], None, "whole numbers"),
        ([1.0, 1.5, 2.0], 1, "row 0 holds 1.0"),
        ([1, -1], None, "has shape"),
        (["A", "B"], "A", "has shape"),
    ],
)
def test_what_names_no_source_and_target_is_an_error_that_names_the_argument(sample_domain, target_domain, words):
    with pytest.raises(ValueError, match=words) as error:
        source_and_target("E", sample_domain, 3, target_domain)
    assert "domain" in str(error.value)


@pytest.mark.parametrize(
    ("y", "label", "expected"),
    [
        (np.array([0, -1, 1]), -1, [False, True, False]),
        (np.array(["ok", None, "leak"], dtype=object), -1, [False, True, False]),
        (np.array(["ok", "?", "leak"]), "?", [False, True, False]),
        (np.array(["ok", "-1", "leak"]), -1, [False, False, False]),
        (pd.Series([0, None, -1], dtype="Int64"), -1, [False, True, True]),
        (np.array([0.5, np.nan, -1.0]), np.nan, [False, True, False]),
        (np.array([[0.5, np.nan], [np.nan, np.nan]]), np.nan, [False, True]),
    ],
)
def test_unlabelled_rows(y, label, expected):
    assert unlabelled_rows("E", y, label).tolist() == expected
