"""Weight decay: its answer, its sum, and wrong values."""

import pytest

from sktransfer import LinearProbing, Strategy, WeightDecay


def test_decays_add_up_and_none_is_neutral():
    assert Strategy().weight_decay_rate() == LinearProbing().weight_decay_rate() == 0.0
    assert (WeightDecay(0.1) & LinearProbing() & WeightDecay(0.2)).weight_decay_rate() == pytest.approx(0.3)


@pytest.mark.parametrize("weight_decay", [-0.1, float("nan"), "0.1", None, True])
def test_a_decay_that_is_no_number_of_at_least_zero_is_refused(weight_decay):
    with pytest.raises(ValueError, match="WeightDecay got weight_decay"):
        WeightDecay(weight_decay).weight_decay_rate()
