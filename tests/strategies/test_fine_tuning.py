"""Frozen blocks are counted from the input."""

import numpy as np
import pytest

from sktransfer import FineTuning, ProbeThenTune, TransferClassifier
from sktransfer.strategies.base import count_frozen
from tests.helpers import moons, small_backbone


@pytest.mark.parametrize(
    ("n_frozen_blocks", "expected"), [(0, 0), (2, 2), (3, 3), (-1, 2), (-3, 0), ("all", 3), (np.int64(1), 1)]
)
def test_frozen_blocks_count_from_the_input_and_negative_ones_as_in_a_slice(n_frozen_blocks, expected):
    layers = ["a", "b", "c"]
    assert count_frozen(n_frozen_blocks, 3) == expected
    assert n_frozen_blocks == "all" or len(layers[:n_frozen_blocks] if n_frozen_blocks else []) == expected
    assert FineTuning(n_frozen_blocks).n_frozen(epoch=7, n_blocks=3) == expected
    assert ProbeThenTune(n_frozen_blocks=n_frozen_blocks).n_frozen(epoch=0, n_blocks=3) == expected


@pytest.mark.parametrize("n_frozen_blocks", [4, -4, 100])
def test_more_frozen_blocks_than_there_are_is_an_error_with_the_range(n_frozen_blocks):
    with pytest.raises(ValueError, match="from -3 to 3"):
        count_frozen(n_frozen_blocks, 3)
    model = TransferClassifier(small_backbone(max_epochs=1), strategy=FineTuning(n_frozen_blocks))
    with pytest.raises(ValueError, match="3 blocks"):
        model.fit(*moons(40))
