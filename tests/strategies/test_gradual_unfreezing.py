"""Blocks thaw from the head down."""

import pytest

from sktransfer import GradualUnfreezing, TransferClassifier
from tests.helpers import moons, small_backbone


def test_gradual_unfreezing_thaws_a_block_every_so_many_epochs():
    assert [GradualUnfreezing(3).n_frozen(epoch, 2) for epoch in range(9)] == [2, 2, 2, 1, 1, 1, 0, 0, 0]
    for every in (0, -1):
        with pytest.raises(ValueError, match="every"):
            GradualUnfreezing(every).n_frozen(0, 2)


def test_gradual_unfreezing_is_what_happens_epoch_by_epoch():
    model = TransferClassifier(small_backbone(max_epochs=1), strategy=GradualUnfreezing(2), max_epochs=7)
    model.fit(*moons(40))
    assert [record["frozen_blocks"] for record in model.history_] == [3, 3, 2, 2, 1, 1, 0]
