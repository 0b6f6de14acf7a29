"""Ids of machines as text, and what cannot be a name."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.id_texts import id_text, id_texts, printable, why_no_name


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2, 1], ["1", "2", "1"]),
        ([1.0, 2.0, -0.0, 1.5], ["1", "2", "0", "1.5"]),
        (["1", "007", "1.0", " P1"], ["1", "007", "1.0", " P1"]),
        (np.array([3, 2**62], dtype=np.uint64), ["3", str(2**62)]),
        (pd.array([1, 2], dtype="Int64"), ["1", "2"]),
        (pd.Categorical([1.0, 7.0]), ["1", "7"]),
        ([1, "1", Decimal("2.50")], ["1", "1", "2.50"]),
        ([], []),
    ],
)
def test_one_number_is_one_text_whatever_its_type(values, texts):
    assert id_texts(pd.Series(values)).tolist() == texts


@pytest.mark.parametrize("value", [2.0**53, np.inf, -np.inf, np.nan, np.float32(1e20)])
def test_a_float_that_has_lost_digits_is_no_id(value):
    with pytest.raises(ValueError, match="is a float, and as such no exact number: read ids as text"):
        id_text(value)
    assert id_text(2**53) == str(2**53)


@pytest.mark.parametrize(
    "text", ["", "  ", "a\nb", "a\x00b", "\x1b[31mred", "\udcff", "a\u2028b", "abc\u202egnp", "x" * 201]
)
def test_what_cannot_be_printed_is_no_name(text):
    assert why_no_name(text)
    shown = printable(text)
    assert not why_no_name(shown[:200] or "-") or not text.strip()
    assert json.loads(json.dumps(shown)) == shown.encode("utf-8").decode("utf-8")


@pytest.mark.parametrize("text", ["P1", "=b", "Pumpe 7 (Süd)", "ポンプ", "a;b,c\"d'e", "x" * 200, "🔧"])
def test_what_can_be_printed_is_a_name(text):
    assert why_no_name(text) == ""
    assert printable(text) == text


def test_nouns_are_counted():
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [counted(n, "class", "classes") for n in (1, 3)] == ["1 class", "3 classes"]
