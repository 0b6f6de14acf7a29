"""Measure side by side, compare in pairs, print the table.

::

    methods --> round 1: a b c, round 2: b c a, ... --> samples --> median of the ratios of each round --> table
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

OURS = "ours"

# `benchmarks.speed.against` changes these two: which methods run, and what happens before each round
TAKES_PART: Callable[[str], bool] = lambda name: True  # noqa: E731
BEFORE_ROUND: Callable[[], None] = lambda: None  # noqa: E731


@dataclass(frozen=True)
class Comparison:
    """One line of the table.

    Parameters
    ----------
    peer : str or None
        Name of the other method; None: ours is held against a number alone.
    sense : {"faster", "time", "value"}
        ``"faster"``: peer / ours, larger is better. ``"time"``: ours / peer, smaller is better. ``"value"``: the
        median of ours as it is, smaller is better; the peer is only printed beside it.
    must, aim : float or None
        Bars on that figure; without both the line only informs.
    ours : str
        Name of our method.
    """

    peer: str | None
    sense: str
    must: float | None = None
    aim: float | None = None
    ours: str = OURS


@dataclass
class Result:
    """What one row of the benchmark measured.

    Parameters
    ----------
    row, what : str
        Name on the command line, and what it is in words.
    unit : str
        Of the samples: ``"s"``, ``"us"``, ``"B"`` or ``"of the data"``.
    samples : dict of str to list of float
        One figure a round for each method; the i-th figures of two methods belong to the same round.
    comparisons : list of Comparison
    notes : list of str
        What a reader of the table must know.
    scores : dict of str to float
        Accuracy on other rows; shows that the methods train the same thing.
    flops : dict of str to float
        Arithmetic that a method cannot do without.
    """

    row: str
    what: str
    unit: str
    samples: dict[str, list[float]]
    comparisons: list[Comparison]
    notes: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    flops: dict[str, float] = field(default_factory=dict)


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """Time of one call, and what it returned."""
    gc.collect()
    began = time.perf_counter()
    outcome = call()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - began, outcome


def interleave(
    methods: Mapping[str, Callable[[], Any]],
    repeats: int,
    *,
    measure: Callable[[Callable[[], Any]], tuple[Any, Any]] = seconds,
    rounds: Mapping[str, int] | None = None,
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Measure the methods round by round, beginning with another one each round.

    Parameters
    ----------
    methods : mapping of str to callable
    repeats : int
        Number of rounds.
    measure : callable
        Returns the figure of one call and its outcome.
    rounds : mapping of str to int, optional
        Methods that take part in the first rounds only.

    Returns
    -------
    samples : dict of str to list
        Figures in the order of the rounds.
    outcomes : dict of str to object
        What the last call of each method returned.
    """
    names = [name for name in methods if TAKES_PART(name)]
    samples: dict[str, list[Any]] = {name: [] for name in names}
    outcomes = {}
    for number in range(repeats):
        BEFORE_ROUND()
        start = number % len(names)
        for name in names[start:] + names[:start]:
            if number < (rounds or {}).get(name, repeats):
                figure, outcomes[name] = measure(methods[name])
                samples[name].append(figure)
    return samples, outcomes


def paired_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median of the ratios within each round; rounds that one of the two did not run are left out.

    Examples
    --------
    >>> paired_ratio([2.0, 9.0, 8.0], [1.0, 3.0, 2.0])
    3.0
    """
    return statistics.median(a / b for a, b in zip(numerator, denominator, strict=False))


def figure_of(comparison: Comparison, samples: Mapping[str, Sequence[float]]) -> float | None:
    """The figure that the bars are about; None if one side was not measured."""
    ours = samples.get(comparison.ours)
    if not ours:
        return None
    if comparison.peer is None or comparison.sense == "value":
        return statistics.median(ours)
    peer = samples.get(comparison.peer)
    if not peer:
        return None
    return paired_ratio(peer, ours) if comparison.sense == "faster" else paired_ratio(ours, peer)


def is_reached(comparison: Comparison, figure: float, bar: float) -> bool:
    """Whether `figure` is on the good side of `bar`."""
    return figure >= bar if comparison.sense == "faster" else figure <= bar


def verdict(comparison: Comparison, figure: float | None) -> str:
    """The last column: which of the bars are reached."""
    if figure is None:
        return "not measured"
    parts = []
    for name, bar in (("must", comparison.must), ("aim", comparison.aim)):
        if bar is not None:
            parts.append(f"{name} reached" if is_reached(comparison, figure, bar) else f"{name} NOT reached")
    return ", ".join(parts) or "for information"


def shown(value: float, unit: str) -> str:
    """Three digits and the unit."""
    if unit == "B":
        return f"{value / 1000:,.1f} kB"
    return f"{value:.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def spread(values: Sequence[float] | None, unit: str) -> str:
    """Median, and the smallest and largest in brackets."""
    if not values:
        return "-"
    middle = shown(statistics.median(values), unit)
    if len(values) == 1:
        return middle
    low, high = (shown(value, unit).removesuffix(f" {unit}") for value in (min(values), max(values)))
    return f"{middle} ({low} to {high})"


def bar_text(comparison: Comparison, bar: float | None, unit: str) -> str:
    """A bar as the table prints it."""
    if bar is None:
        return ""
    if comparison.sense == "value":
        return f"<= {shown(bar, unit)}"
    return f">= {bar:g} x" if comparison.sense == "faster" else f"<= {bar:g} x"


def line_of(result: Result, comparison: Comparison) -> list[str]:
    """The cells of one line; what the row is stands in its first line only."""
    figure = figure_of(comparison, result.samples)
    words = {"faster": "x faster", "time": "x the peer", "value": ""}[comparison.sense]
    ratio = "-" if figure is None or comparison.sense == "value" else f"{figure:.3g} {words}"
    first = comparison is result.comparisons[0]
    return [
        result.row,
        result.what if first else "",
        comparison.ours,
        comparison.peer or "",
        spread(result.samples.get(comparison.peer), result.unit) if comparison.peer else "",
        spread(result.samples.get(comparison.ours), result.unit),
        ratio,
        bar_text(comparison, comparison.must, result.unit),
        bar_text(comparison, comparison.aim, result.unit),
        verdict(comparison, figure),
    ]


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table with columns of equal width."""
    widths = [max(len(row[i]) for row in [head, *lines]) for i in range(len(head))]
    rows = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *lines]
    ]
    return "\n".join([rows[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *rows[1:]])


def comparison_table(results: Sequence[Result]) -> str:
    """Every comparison: median (min to max) of both sides, the paired figure, its bars, whether they are reached."""
    head = ["row", "what", "ours", "peer", "peer: median", "ours: median", "ratio", "must", "aim", "reached?"]
    return markdown(head, [line_of(result, c) for result in results for c in result.comparisons])


def arithmetic_table(results: Sequence[Result], peak: float) -> str:
    """Time against the arithmetic alone, at the rate `peak` (FLOP/s) of a large matrix product."""
    lines = []
    for result in results:
        for name, flops in result.flops.items():
            if result.samples.get(name):
                middle = statistics.median(result.samples[name])
                limit = flops / peak
                cells = [f"{flops / 1e9:.3g} GFLOP", f"{limit:.3g} s", f"{middle:.3g} s", f"{limit / middle:.1%}"]
                lines.append([result.row, name, *cells])
    return markdown(["row", "method", "arithmetic", "limit", "median", "share of the limit"], lines) if lines else ""


def as_record(result: Result) -> dict[str, Any]:
    """Everything of a result as plain values for the raw file."""
    lines = []
    for comparison in result.comparisons:
        figure = figure_of(comparison, result.samples)
        lines.append({**vars(comparison), "figure": figure, "reached": verdict(comparison, figure)})
    return {**vars(result), "comparisons": lines}
