"""The words of the verdict on results that were made to have one meaning."""

import numpy as np
import pandas as pd
import pytest

from sktransfer.evaluation.comparison import Comparison
from sktransfer.evaluation.metrics import metric_of


def results(means, spread=0.01, n_draws=10, metric=None, unit="labels a class", seed=0):
    """A comparison of methods with the given mean at each number of labels; draws move all methods alike."""
    rng, rows = np.random.default_rng(seed), []
    shift = rng.normal(0, 0.05, size=n_draws)
    for name, by_labels in means.items():
        for n, mean in by_labels.items():
            noise = rng.normal(0, spread, size=n_draws)
            noise -= noise.mean() + shift.mean()
            rows += [(name, n, d, mean + shift[d] + noise[d], 0.1) for d in range(n_draws)]
    frame = pd.DataFrame(rows, columns=["method", "n_labels", "draw", "score", "fit_seconds"])
    return Comparison(frame, metric or metric_of(None, 4), next(iter(means)), unit=unit)


def test_a_gain_is_told_with_its_interval_and_the_best_alternative():
    found = results({"transfer": {5: 0.81}, "random forest": {5: 0.60}, "logistic regression": {5: 0.50}})
    low, high = (round(100 * found.best.iloc[0][end]) for end in ("low", "high"))
    assert 18 <= low < 21 < high <= 24
    assert found.verdict == (
        f"At 5 labels a class transfer gains 21 points ({low} to {high}) over the best alternative, random forest. "
        "On your data take transfer."
    )


def test_where_the_curves_cross_the_verdict_says_from_where_on_the_forest_is_better():
    found = results(
        {
            "transfer": {1: 0.80, 5: 0.82, 20: 0.85, 200: 0.86},
            "pooled extra trees": {1: 0.50, 5: 0.61, 20: 0.8495, 200: 0.92},
            "logistic regression": {1: 0.60, 5: 0.60, 20: 0.62, 200: 0.65},
        }
    )
    assert found.best["kind"].tolist() == ["gain", "gain", "nothing", "loss"]
    sentences = found.verdict.split(". ")
    assert sentences[0].startswith("From 1 to 5 labels a class transfer gains 20 points (")
    assert " at 1 and 21 points (" in sentences[0]
    assert sentences[0].endswith("over the best alternative, logistic regression and pooled extra trees")
    assert sentences[1].startswith(
        "At 20 labels a class it gains nothing over the best alternative, pooled extra trees"
    )
    assert sentences[2].startswith("At 200 labels a class it loses 6 points (")
    assert sentences[3] == "On your data take transfer up to 5 labels a class and pooled extra trees from 20 on."


def test_a_loss_takes_the_alternative():
    verdict = results({"transfer": {5: 0.5}, "random forest": {5: 0.6}}).verdict
    assert verdict.startswith("At 5 labels a class transfer loses 10 points (")
    assert verdict.endswith("to the best alternative, random forest. On your data take random forest.")


def test_wide_intervals_are_called_undecided():
    found = results({"transfer": {5: 0.63}, "random forest": {5: 0.60}}, spread=0.15)
    assert found.best["kind"].tolist() == ["open"]
    assert (
        "the draws do not decide between transfer and the best alternative, random forest: 3 points (-" in found.verdict
    )


def test_a_mean_below_with_a_wide_interval_is_no_loss():
    found = results({"transfer": {5: 0.58}, "random forest": {5: 0.60}}, spread=0.15)
    assert found.best["kind"].tolist() == ["open"]
    assert found.verdict.endswith("On your data take random forest.")


def test_few_draws_give_no_verdict():
    verdict = results({"transfer": {5: 0.81}, "random forest": {5: 0.60}}, n_draws=4).verdict
    assert verdict == (
        "4 draws of labelled rows say too little to tell whether transfer pays (labels a class: 21 points over random "
        "forest at 5, which may be chance). Pass n_draws of at least 5, better 10."
    )


def test_the_source_as_it_is_is_told_apart_and_taken_where_labels_harm():
    found = results({"transfer": {1: 0.70}, "source as it is": {1: 0.80}, "random forest": {1: 0.40}})
    assert found.best["alternative"].tolist() == ["random forest"]
    assert "At 1 label a class transfer gains 30 points" in found.verdict
    assert "the source network as it is, without labels, is better by 10 points (" in found.verdict
    assert found.verdict.endswith("On your data take the source network as it is.")


def test_labels_that_add_nothing_to_the_source_are_told():
    verdict = results(
        {"transfer": {1: 0.801}, "source as it is": {1: 0.80}, "random forest": {1: 0.40}}, spread=0.003
    ).verdict
    assert "At 1 label a class the labels add nothing to the source network as it is: 0.1 points (" in verdict
    assert verdict.endswith("On your data take transfer.")


def test_harm_by_the_source_is_told():
    verdict = results({"transfer": {5: 0.6}, "from scratch": {5: 0.7}, "random forest": {5: 0.5}}).verdict
    assert "the source does harm: the same network from scratch is better by 10 points (" in verdict
    assert verdict.endswith("On your data take the same network from scratch.")


def test_nothing_better_than_guessing_is_told():
    verdict = results({"transfer": {5: 0.255}, "random forest": {5: 0.25}}).verdict
    assert verdict.endswith("Nothing here is better than guessing (0.25): look at labels, columns and scaling first.")


def test_errors_are_told_in_their_unit_with_more_being_better():
    found = results(
        {"transfer": {20: -2.0}, "ridge regression": {20: -3.5}}, metric=metric_of(None, 0), unit="labelled rows"
    )
    assert found.verdict.startswith("At 20 labelled rows transfer gains 1.5 in mean absolute error (1.")
    assert found.table().loc["transfer", 20] == pytest.approx(-2.0)


def test_gains_name_every_alternative_at_every_number_of_labels():
    found = results({"transfer": {1: 0.8, 5: 0.9}, "a": {1: 0.7, 5: 0.7}, "b": {1: 0.6, 5: 0.8}})
    gains = found.gains.set_index(["n_labels", "alternative"])["gain"]
    assert gains.to_dict() == pytest.approx({(1, "a"): 0.1, (1, "b"): 0.2, (5, "a"): 0.2, (5, "b"): 0.1})
    assert found.best["alternative"].tolist() == ["a", "b"]
    assert (found.best["low"] <= found.best["gain"]).all()
