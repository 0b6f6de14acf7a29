"""Agreement on the surer half of the rows, by hand and by laws."""

import numpy as np
import pytest

from sktransfer.adaptation.agreement import agreement_of_surest

BEFORE = np.array([[9.0, 0, 0], [0, 8, 0], [0, 0, 7], [5, 4.9, 0], [0, 1, 1.1], [2, 2.2, 0]])


def test_only_the_surer_half_counts():
    after = BEFORE.copy()
    after[3:] = after[3:, ::-1]  # unsure rows: anything goes
    assert agreement_of_surest(BEFORE, after) == 1.0
    after[0] = [0, 0, 1]
    assert agreement_of_surest(BEFORE, after) == pytest.approx(2 / 3)


def test_a_row_that_now_gets_its_label_agrees():
    after = BEFORE.copy()
    after[0] = [0, 0, 1]
    assert agreement_of_surest(BEFORE, after, np.array([2, -1, -1, -1, -1, -1])) == 1.0
    assert agreement_of_surest(BEFORE, after, np.array([1, -1, -1, -1, -1, -1])) == pytest.approx(2 / 3)


def test_temperature_and_a_constant_make_no_difference():
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(2, 50, 4))
    found = agreement_of_surest(before, after)
    assert found == agreement_of_surest(3 * before + rng.normal(size=(50, 1)), 0.1 * after)
    assert agreement_of_surest(before, before) == 1.0
    assert agreement_of_surest(before, -before) < found
