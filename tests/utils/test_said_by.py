"""Messages of a part in the name of the whole."""

import warnings

import pytest

from sktransfer import DataQualityWarning
from sktransfer.utils.counted_warnings import CountedWarning, collect_warnings, warn_caller, warn_of
from sktransfer.utils.said_by import in_whole, said_by


def test_errors_name_the_whole_and_keep_their_kind():
    class Own(ValueError):
        pass

    with pytest.raises(Own, match=r"^Whole got 3; Part2 too\.$"), said_by("Whole", "Part"):
        raise Own("Part got 3; Part2 too.")
    with pytest.raises(ValueError, match=r"^Part got 3\.$"):
        raise ValueError(in_whole("Part got 3."))  # no block is open any more
    with pytest.raises(KeyError, match="Part"), said_by("Whole", "Part"):
        raise KeyError("Part")


def test_warnings_name_the_whole_also_where_they_are_given_later():
    with pytest.warns(DataQualityWarning, match="^Whole: text"), said_by("Whole", "Part"):
        warn_caller("Part: text")
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        with collect_warnings():
            with said_by("Whole", "Part"):
                warn_of(CountedWarning("Part: {count} of {total}", DataQualityWarning, 2, 5))
                warn_of(CountedWarning("Part: {count} of {total}", DataQualityWarning, 1, 5))
    assert [str(one.message) for one in given] == ["Whole: 3 of 10"]


def test_blocks_end_with_their_names():
    with said_by("A", "Part"):
        with said_by("B", "Part"):
            assert in_whole("Part") == "B"
        assert in_whole("Part") == "A"
    assert in_whole("Part") == "Part"
