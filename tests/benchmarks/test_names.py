"""The benchmark of names gives the same labels other names, and says what they cost."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.names import NAMINGS, NamedSet, fit_once, renamed, summary
from sktransfer import LinearProbing
from tests.helpers import moons, small_backbone

Y = np.array(["b", "a", "c", "a", "b", "d"])


@pytest.mark.parametrize("seed", range(4))
def test_permuted_labels_have_no_class_of_their_own_name(seed):
    found = renamed(Y, "permuted", seed)
    assert (found != Y).all()
    assert len({(old, new) for old, new in zip(Y, found, strict=True)}) == 4
    np.testing.assert_array_equal(renamed(Y, "names", seed), Y)


def test_foreign_names_and_integers_keep_the_order_of_the_classes():
    for naming in ("foreign", "integers"):
        np.testing.assert_array_equal(np.unique(renamed(Y, naming, 0), return_inverse=True)[1], [1, 0, 2, 0, 1, 3])
    assert renamed(Y, "integers", 0).dtype.kind == "i"
    assert not set(renamed(Y, "foreign", 0)) & set(Y)


def test_a_fit_is_scored_on_rows_that_no_label_was_drawn_from():
    X, y = moons(200)
    may = np.arange(200) < 100
    data = NamedSet("moons", small_backbone(), X, y, may, ~may)
    score, began = fit_once(data, LinearProbing(), "names", 2, 0)
    assert began == "source"
    assert score > 0.8
    y[~may] = np.roll(y[~may], 1)  # other labels of the scored rows change the score, and nothing else
    assert fit_once(data, LinearProbing(), "names", 2, 0)[0] < 0.6


def test_cost_and_harm_are_differences_of_means():
    scores = {"names": [0.7, 0.9], "permuted": [0.5, 0.7], "foreign": [0.6, 0.8], "integers": [0.8, 1.0]}
    rows = [
        ("set", "probing", naming, 1, draw, value, "source" if naming == "names" and draw else "rows")
        for naming in NAMINGS
        for draw, value in enumerate(scores[naming])
    ]
    columns = ["set", "strategy", "naming", "labels", "draw", "score", "began"]
    (found,) = summary(pd.DataFrame(rows, columns=columns)).to_dict("records")
    expected = {"cost": 0.1, "harm": 0.1, "spread": 0.1, "source": 0.5, "names": 0.8}
    assert {key: found[key] for key in expected} == pytest.approx(expected)
