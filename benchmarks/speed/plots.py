"""How time grows: with rows, candidates and frozen depth, ours and the hand-written peer, in one picture.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.plots [--quick] [--out benchmarks/speed/speed.png]

One thread; a point is the median of three rounds in which the methods take turns, of one where a fit takes seconds.
The problem is that of `benchmarks.speed`: 4 blocks of 256, head of 64.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import ParameterGrid
from threadpoolctl import threadpool_limits

from benchmarks.speed.fits import fit_ours
from benchmarks.speed.measure import OURS, interleave
from benchmarks.speed.peers import Recipe, fit_loop, search_loop
from benchmarks.speed.problem import STANDARD, Settings, labelled_rows, make_problem, silence
from benchmarks.speed.search import ONE_BY_ONE, OURS_PLAIN, folds_of, our_pipeline, our_searches
from sktransfer import FineTuning, LinearProbing

LOOP = "torch loop"
STYLES = {OURS: ("#0b6e99", "o"), OURS_PLAIN: ("#7fb2c8", "s"), LOOP: ("#c0632b", "^"), ONE_BY_ONE: ("#c0632b", "^")}
Panel = dict[str, list[float]]


def medians(methods: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median time of each method, seconds."""
    samples, _ = interleave(methods, repeats)
    return {name: statistics.median(values) for name, values in samples.items()}


def collect(points: Sequence[Any], methods_at: Callable[[Any], tuple[dict, int]]) -> Panel:
    """Times by method, one for each point."""
    panel: Panel = {}
    for point in points:
        methods, repeats = methods_at(point)
        for name, value in medians(methods, repeats).items():
            panel.setdefault(name, []).append(value)
    return panel


def fits_by_rows(settings: Settings, rows: int) -> tuple[dict, int]:
    """Head-only fits of two epochs."""
    problem = make_problem(STANDARD.widths, rows)
    mine = partial(fit_ours, problem, settings, strategy=LinearProbing(), max_epochs=2)
    return {OURS: mine, LOOP: partial(fit_loop, problem, 4, Recipe(epochs=2))}, 3 if rows < 300_000 else 1


def predictions_by_rows(settings: Settings, rows: int) -> tuple[dict, int]:
    """Classes of rows; the model is the same at each number of rows."""
    problem = make_problem(STANDARD.widths, 1000)
    X = labelled_rows(rows, state=3)[0]
    mine = fit_ours(problem, settings, strategy=LinearProbing(), max_epochs=1)
    loop = fit_loop(problem, 4, Recipe(epochs=1))
    return {OURS: partial(mine, X), LOOP: partial(loop, X)}, 3 if rows < 300_000 else 1


def fits_by_depth(settings: Settings, n_frozen: int, rows: int) -> tuple[dict, int]:
    """Fits of five epochs with so many frozen blocks."""
    problem = make_problem(STANDARD.widths, rows)
    mine = partial(fit_ours, problem, settings, strategy=FineTuning(n_frozen), max_epochs=5)
    return {OURS: mine, LOOP: partial(fit_loop, problem, n_frozen, Recipe(epochs=5))}, 3


def searches_by_candidates(settings: Settings, n_candidates: int, rows: int) -> tuple[dict, int]:
    """Searches over the learning rate, 5 folds, two epochs."""
    problem = make_problem(STANDARD.widths, rows)
    rates = np.geomspace(1e-4, 1e-2, n_candidates).tolist()
    pipeline = our_pipeline(problem, settings, LinearProbing(), 2)
    methods = our_searches(problem, pipeline, {"transferclassifier__lr": rates})
    candidates = list(ParameterGrid({"lr": rates, "n_frozen": [4]}))
    recipe = Recipe(epochs=2, batch_size=128)
    methods[ONE_BY_ONE] = partial(search_loop, problem, candidates, folds_of(problem), recipe)
    return methods, 3 if n_candidates <= 10 else 1


def draw(panels: Sequence[tuple[str, str, Sequence[int], Panel, bool]], out: Path) -> None:
    """Four panels: title, label of the horizontal axis, its points, times, and whether that axis is logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    for axis, (title, label, points, panel, logarithmic) in zip(axes.flat, panels, strict=True):
        for name, values in panel.items():
            color, marker = STYLES[name]
            axis.plot(points[: len(values)], values, color=color, marker=marker, label=name)
        axis.set(title=title, xlabel=label, ylabel="time (s)", yscale="log", xscale="log" if logarithmic else "linear")
        low, high = min(map(min, panel.values())), max(map(max, panel.values()))
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 20 * low else (1,)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        if logarithmic:
            axis.xaxis.set_major_formatter("{x:,.0f}")
        else:
            axis.set_xticks(list(points))
        axis.grid(True, which="major", color="#dddddd")
        axis.legend(frameon=False)
    figure.suptitle("Time on one thread: backbone of 4 blocks of 256, head of 64")
    figure.savefig(out, dpi=130)
    plt.close(figure)


def measure(settings: Settings) -> list[tuple[str, str, Sequence[int], Panel, bool]]:
    """All four panels."""
    rows = settings.pick([1_000, 3_162, 10_000, 31_623, 100_000, 316_228, 1_000_000], [200, 400])
    candidates = settings.pick([1, 5, 20, 50, 200], [1, 2])
    some = settings.pick(2_000, 200)
    depths = range(len(STANDARD.widths) + 1)
    return [
        ("Head-only fit, 2 epochs", "rows", rows, collect(rows, partial(fits_by_rows, settings)), True),
        ("Predict", "rows", rows, collect(rows, partial(predictions_by_rows, settings)), True),
        (
            f"Grid search, 5 folds, {some:,} rows, 2 epochs, frozen",
            "candidates",
            candidates,
            collect(candidates, partial(searches_by_candidates, settings, rows=some)),
            True,
        ),
        (
            f"Fit, {5 * some:,} rows, 5 epochs",
            "frozen blocks, of 4",
            depths,
            collect(depths, partial(fits_by_depth, settings, rows=5 * some)),
            False,
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rows: only shows that everything runs")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("speed.png"))
    options = parser.parse_args(arguments)
    silence()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        panels = measure(Settings(quick=options.quick))
    draw(panels, options.out)
    for title, label, points, panel, _ in panels:
        print(f"\n{title}; s by {label} {', '.join(map(str, points))}")
        for name, values in panel.items():
            print(f"  {name}: {', '.join(f'{value:.3g}' for value in values)}")


if __name__ == "__main__":
    main()
