"""The speed benchmark: its arithmetic by hand-computed numbers, its commands on small problems."""

import json

import pytest
import torch

from benchmarks.speed import __main__ as speed
from benchmarks.speed import against
from benchmarks.speed.measure import (
    Comparison,
    Result,
    comparison_table,
    figure_of,
    interleave,
    paired_ratio,
    verdict,
)
from benchmarks.speed.net import PlainNet
from benchmarks.speed.peers import FlatHead, Recipe, new_head
from benchmarks.speed.problem import make_problem, training_flops


def test_ratios_are_paired_by_round():
    # ratios 0.5, 2 and 4 have the median 2; the ratio of the medians would be 3 / 4
    assert paired_ratio([1.0, 8.0, 4.0], [2.0, 4.0, 1.0]) == 2.0
    assert paired_ratio([6.0, 8.0, 100.0], [2.0, 2.0]) == 3.5  # a round that only one of them ran does not count


@pytest.mark.parametrize(
    ("comparison", "figure", "words"),
    [
        (Comparison("peer", "faster", must=4, aim=6), 5.0, "must reached, aim NOT reached"),
        (Comparison("peer", "faster", must=5.5), 5.0, "must NOT reached"),
        (Comparison("peer", "time", must=0.2), 0.2, "must reached"),
        (Comparison("peer", "time", must=0.19), 0.2, "must NOT reached"),
        (Comparison(None, "value", must=2, aim=1), 2.0, "must reached, aim NOT reached"),
        (Comparison("peer", "time"), 0.2, "for information"),
        (Comparison("nobody", "time", must=1), None, "not measured"),
        (Comparison("peer", "time", must=1, ours="ours, later"), None, "not measured"),
    ],
)
def test_bars_by_hand(comparison, figure, words):
    samples = {"ours": [1.0, 2.0, 3.0], "peer": [5.0, 10.0, 15.0]}
    assert figure_of(comparison, samples) == (None if figure is None else pytest.approx(figure))
    assert verdict(comparison, figure) == words


def test_the_table_shows_both_sides_and_the_verdict():
    samples = {"ours": [1.0, 2.0, 3.0], "peer": [5.0, 10.0, 15.0]}
    line = comparison_table([Result("row", "a fit", "s", samples, [Comparison("peer", "faster", 4, 6)])]).split("\n")[2]
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        "row", "a fit", "ours", "peer", "10 s (5 to 15)", "2 s (1 to 3)", "5 x faster", ">= 4 x", ">= 6 x",
        "must reached, aim NOT reached",
    ]  # fmt: skip


def test_rounds_begin_with_another_method_each_time_and_some_methods_stop_early():
    calls = []
    methods = {name: lambda name=name: calls.append(name) for name in "abc"}
    samples, _ = interleave(methods, 3, rounds={"c": 1})
    assert "".join(calls) == "abcbaab"  # a b c, then b (c) a, then (c) a b
    assert {name: len(values) for name, values in samples.items()} == {"a": 3, "b": 3, "c": 1}


def test_arithmetic_of_training_by_hand():
    # frozen 2 * 3 * 4 once; head 4 x 64 x 2: 4 * 256 (its lowest layer) and 6 * 128 in each of 3 epochs; 5 rows
    assert training_flops(3, [4], 1, rows=5, epochs=3, n_classes=2) == 5 * (24 + 3 * (1024 + 768))


def test_peers_begin_with_the_weights_of_the_backbone():
    problem = make_problem((8, 8), 50)
    net = PlainNet(problem.blocks(), 8, 4)
    before = [tensor.clone() for tensor in problem.backbone.copy_blocks()[0].state_dict().values()]
    assert all(map(torch.equal, before, net.backbone[0].state_dict().values()))
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_the_hand_written_gradient_is_that_of_autograd():
    torch.manual_seed(0)
    head, X, y = new_head(5, 3, Recipe(width=7, dropout=0.0)), torch.randn(11, 5), torch.arange(11) % 3
    torch.nn.functional.cross_entropy(head(X), y).backward()
    flat = FlatHead.of(head, "cpu")
    flat.backward(X, y, dropout=0.0)
    torch.testing.assert_close(flat.gradient, torch.cat([p.grad.flatten() for p in head.parameters()]))


@pytest.mark.slow
def test_the_command_prints_the_row_and_keeps_the_raw_figures(tmp_path, capsys):
    speed.main(["--quick", "--rows", "head@2x64", "--out", str(tmp_path / "raw.json")])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| head@2x64 ")]
    assert len(lines) == 3 + 2  # three peers, two methods with their arithmetic
    raw = json.loads((tmp_path / "raw.json").read_text(encoding="utf-8"))["results"][0]
    ours, skorch = raw["samples"]["ours"], raw["samples"]["skorch"]
    assert len(ours) == len(skorch) == 2
    faster = next(c for c in raw["comparisons"] if c["peer"] == "skorch")
    assert faster["figure"] == pytest.approx((skorch[0] / ours[0] + skorch[1] / ours[1]) / 2)


def test_without_a_gpu_the_command_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        speed.main(["--device", "cuda"])
    assert stopped.value.code == 1
    assert "there is no CUDA device here" in capsys.readouterr().err


@pytest.mark.slow
def test_a_checkout_against_itself_is_as_large_as_itself(capsys):
    records = against.main([str(against.ROOT), "--rows", "size", "one-row@2x64", "--quick", "--rounds", "2"])
    sizes = [record for record in records if record["row"] == "size"]
    assert [record["method"] for record in sizes] == ["ours", "ours, sktransfer.make_pipeline"]
    for record in sizes:
        assert record[against.NOW] == pytest.approx(record[against.BEFORE], rel=0.01)
    rows = [record for record in records if record["row"] == "one-row@2x64"]
    assert [len(record[side]) for record in rows for side in (against.NOW, against.BEFORE)] == [2, 2, 2, 2]
    assert "now / before" in capsys.readouterr().out
