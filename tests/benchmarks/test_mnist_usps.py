"""The digits benchmark: its table by hand-computed numbers, and that what methods share is trained once."""

import pandas as pd
import torch

from benchmarks.mnist_usps import SOURCE, DigitsNet, once, table


def test_gains_are_over_the_source_of_the_same_seed_and_the_bar_is_said():
    rows = [(SOURCE, 0, 0.7), (SOURCE, 1, 0.9), ("MCC", 0, 0.9), ("MCC", 1, 0.96)]
    results = pd.DataFrame([{"method": m, "seed": s, "accuracy": a, "seconds": 2.0} for m, s, a in rows])
    lines = table(results).splitlines()
    assert lines[2] == f"| {SOURCE} | 0.800 | 0.700 to 0.900 | +0.0 | 2 |"
    assert lines[3] == "| MCC | 0.930 | 0.900 to 0.960 | +13.0 | 2 |"
    assert lines[-1] == "Best (MCC) at least 0.95: 0.930, **not reached** by 0.020."


def test_what_methods_share_is_fitted_once():
    calls = []
    fit = once(lambda rows: calls.append(rows) or "model")
    assert [fit("rows"), fit("rows")] == ["model", "model"]
    assert calls == ["rows"]


def test_the_network_makes_128_features_of_a_digit():
    assert DigitsNet(1)(torch.zeros(3, 1, 16, 16)).shape == (3, 128)
