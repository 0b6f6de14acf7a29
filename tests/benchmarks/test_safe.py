"""The tables of benchmarks.safe on scores that are known."""

import pandas as pd
import pytest

from benchmarks.safe import SAFE, cells, mean_ranks, method_means, totals


def records(scores, uses, source="right", back=0.0, **more):
    found = []
    for method, values in scores.items():
        for draw, score in enumerate(values):
            one = {"set": "a", "task": "t", "source": source, "labels": 5, "draw": draw, "method": method}
            one |= {"uses": uses.get(method, "all"), "score": score} | {k: v[method] for k, v in more.items()}
            found.append(one | ({"back": back} if method == SAFE else {}))
    return found


USES = {
    "logistic regression": "labels",
    "from scratch": "labels",
    "pooled extra trees": "rows",
    "fine-tuned": "network",
}
SCORES = {
    "logistic regression": [0.70, 0.80],
    "from scratch": [0.60, 0.60],
    "pooled extra trees": [0.80, 0.90],
    "fine-tuned": [0.95, 0.97],
    SAFE: [0.79, 0.87],
}


def test_a_cell_is_held_against_the_best_alternative_that_is_no_network_of_the_source():
    (cell,) = cells(records(SCORES, USES)).to_dict("records")
    assert cell["best alternative"] == "pooled extra trees"
    assert cell["behind"] == pytest.approx(0.02)
    assert cell["standard error"] == pytest.approx(0.01)  # of 0.01 and 0.03
    assert cell["worse"]
    assert cell["rank"] == 3.0
    assert cell["harmed"] == 0.0
    assert cell["falls back"] == 0.0


def test_means_of_methods_are_over_the_draws_of_the_right_source():
    found = method_means(records(SCORES, USES) + records({SAFE: [0.0]}, USES, source="permuted"))
    assert found.loc[("a", 5, SAFE), "score mean"] == pytest.approx(0.83)
    assert found.loc[("a", 5, "fine-tuned"), "score std"] == pytest.approx(0.02 / 2**0.5)


def test_within_one_standard_error_is_not_worse():
    (cell,) = cells(records(SCORES | {SAFE: [0.70, 0.93]}, USES)).to_dict("records")
    assert cell["behind"] == pytest.approx(0.035)
    assert cell["standard error"] == pytest.approx(0.065)
    assert not cell["worse"]


def test_harm_is_against_the_best_alternative_without_the_source():
    (cell,) = cells(records(SCORES | {SAFE: [0.685, 0.80]}, USES, back=1.0)).to_dict("records")
    assert cell["harmed"] == 0.5
    assert cell["falls back"] == 1.0


def test_errors_are_negative_and_their_excess_is_in_percent():
    errors = {"ridge regression": [-4.0], "pooled extra trees": [-2.0], SAFE: [-2.1]}
    of_engines = {"ridge regression": 90.0, "pooled extra trees": 50.0, SAFE: 40.0}
    (cell,) = cells(records(errors, {"ridge regression": "labels"}, PHM08=of_engines)).to_dict("records")
    assert cell["best alternative"] == "pooled extra trees"
    assert cell["over the best"] == pytest.approx(5.0)
    assert cell["PHM08"] == "40 / 50"


def test_totals_and_mean_ranks():
    right, wrong = records(SCORES, USES), records(SCORES, USES, source="permuted", back=1.0)
    table = totals(cells(right + wrong))
    assert table["cells"].to_dict() == {"right": 1, "permuted": 1}
    assert table["falls back"].to_dict() == {"right": 0.0, "permuted": 1.0}
    ranks = mean_ranks(right + wrong)["mean rank"]
    assert isinstance(ranks, pd.Series)
    assert ranks.index.tolist() == ["fine-tuned", "pooled extra trees", SAFE, "logistic regression", "from scratch"]
