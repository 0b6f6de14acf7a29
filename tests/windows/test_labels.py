"""The label of a window against the rules in words."""

import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktransfer import DataQualityWarning, SlidingWindows
from tests.helpers import noise


def label_of(labels, rule, normal=0):
    """The rule in words: most frequent, of equals the one that comes last."""
    labels = list(labels)
    if rule == "last":
        return labels[-1]
    counted = [label for label in labels if rule == "majority" or label != normal] or [normal]
    return max(Counter(counted), key=lambda label: (counted.count(label), len(labels) - labels[::-1].index(label)))


def labelled(values, labels):
    """A frame of one recording with one label a sample."""
    return pd.DataFrame({"signal": values, "label": np.array(labels)})


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(["ok", "leak", "wear"]), min_size=4, max_size=40),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(["majority", "any", "last"]),
)
def test_label_rules_are_those_in_words(labels, length, step, rule):
    cutter = SlidingWindows(length, step, label_rule=rule, normal_label="ok")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)  # of the rule "any", where no sample is "ok"
        _, y, _ = cutter.cut(labelled(np.zeros(len(labels)), labels), "label")
    starts = range(0, len(labels) - length + 1, step)
    assert y.tolist() == [label_of(labels[i : i + length], rule, "ok") for i in starts]
    assert y.dtype.kind == "U"


def test_the_rule_any_finds_one_faulty_sample_among_thousands():
    labels = np.zeros(10_000, dtype=int)
    labels[5_000] = 3
    _, y, _ = SlidingWindows(1_000, label_rule="any", normal_label=0).cut(labelled(noise(10_000), labels), "label")
    assert y.tolist() == [0, 0, 0, 0, 0, 3, 0, 0, 0, 0]


def test_numbers_to_be_regressed_on_take_the_last_sample_only():
    wear = np.linspace(0, 1, 100)
    frame = labelled(noise(100), wear)
    _, y, _ = SlidingWindows(10, label_rule="last").cut(frame, "label")
    np.testing.assert_array_equal(y, wear[9::10])
    with pytest.raises(ValueError, match=r"continuous numbers.*label_rule='last'"):
        SlidingWindows(10).cut(frame, "label")


@pytest.mark.parametrize("labels", [{"b": 1, "a": 0}, [0, 1], np.array([0, 1]), pd.Series([0, 1])])
def test_labels_go_by_id_or_by_order(labels):
    X, y, groups = SlidingWindows(10).cut({"a": noise(30, 2), "b": noise(40, 2, seed=1)}, labels)
    assert groups.tolist() == ["a"] * 3 + ["b"] * 4
    assert y.tolist() == [0] * 3 + [1] * 4
    np.testing.assert_array_equal(X[3], noise(40, 2, seed=1)[:10].T)


@pytest.mark.parametrize("labels", [np.arange(100) // 7 % 3 + 1, np.array(["leak", "wear"])[np.arange(100) // 7 % 2]])
def test_any_says_that_no_sample_has_the_normal_label(labels):
    cutter = SlidingWindows(10, label_rule="any", normal_label="0")
    says = r"normal_label='0'\): no sample has this label, so that every window gets its most frequent one. The labels"
    with pytest.warns(DataQualityWarning, match=says):
        _, y, _ = cutter.cut(labelled(noise(100), labels), "label")
    majority = SlidingWindows(10).cut(labelled(noise(100), labels), "label")[1]
    np.testing.assert_array_equal(y, majority)


def test_any_is_quiet_where_a_recording_is_of_one_fault_or_holds_the_normal_label(recwarn):
    cutter = SlidingWindows(10, label_rule="any", normal_label=0)
    cutter.cut([noise(100)], ["leak"])
    cutter.cut({"a": noise(100), "b": noise(100)}, {"a": 1, "b": 2})
    cutter.cut(labelled(noise(100), np.arange(100) // 30), "label")
    assert not recwarn.list
