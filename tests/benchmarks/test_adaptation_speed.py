"""The speed benchmark of alignments: what is taken from a fit, and both sides on a small problem."""

import pytest

from benchmarks import adaptation_speed as speed


def test_an_epoch_is_what_a_longer_fit_takes_more(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])

    def fit(epochs):
        now[0] += 5 + 2 * epochs  # five seconds once, two an epoch

    assert speed.epoch(fit) == pytest.approx(2)


def test_a_line_says_whether_the_bar_is_reached():
    found = {"kind": "MLP", "name": "MMD", "ours": 0.3, "theirs": 0.4, "ratio": 0.75}
    assert speed.line(found) == "| MLP | MMD | 300 | 400 | 0.75 | 0.65 | **not reached** by 0.10 |"
    assert speed.line(found | {"ratio": 0.6}) == "| MLP | MMD | 300 | 400 | 0.60 | 0.65 | reached |"


@pytest.mark.parametrize("kind", list(speed.BARS))
def test_our_side_takes_as_many_steps_as_skada_counts(kind, monkeypatch):
    steps = []
    loss = speed.MMD.loss
    monkeypatch.setattr(speed.MMD, "loss", lambda *args, **how: steps.append(args[1].shape[0]) or loss(*args, **how))
    rows = speed.problem(kind, 256)
    X, y, _ = rows
    begin = speed.TransferClassifier(speed.Backbone(speed.network(kind)), strategy=speed.FineTuning(), max_epochs=1)
    speed.ours(kind, "MMD", begin.fit(X[:150], y[:150]).backbone_, rows)(2)
    assert steps == [64] * 8  # 256 source rows are four batches of 64, twice
