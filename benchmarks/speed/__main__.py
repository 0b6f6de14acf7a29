"""How fast, beside what one would write without this package: the table of benchmarks/speed.md.

    OMP_NUM_THREADS=1 python -m benchmarks.speed [--quick] [--rows NAME ...] [--repeats 5] [--out speed.json]

Every method of a row runs in the same process on one thread, round by round, beginning with another one each round.
Ratios are the median of the ratios within a round; times are medians with the smallest and largest. `--quick` shows
in two minutes that everything runs; its figures mean nothing. `--device cuda` runs the rows that a GPU can run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import sklearn
import skorch
import torch
from threadpoolctl import threadpool_limits

import sktransfer
from benchmarks.speed import fits, predict, search
from benchmarks.speed.measure import Comparison, Result, arithmetic_table, as_record, comparison_table
from benchmarks.speed.problem import FEW_ROWS, SMALL, Settings, peak_rate, silence

ROWS: dict[str, Callable[..., list[Result]]] = {
    "head": fits.head_only,
    "head-large": fits.head_only_large,
    "upper": fits.upper_half,
    "full": fits.everything,
    "cnn": fits.windows,
    "probing": fits.solved_head,
    "search": search.search,
    "mixed": search.mixed,
    "candidates": search.many_candidates,
    "one-row": predict.one_row,
    "million": predict.million_rows,
    "start": predict.process_start,
    "size": predict.file_size,
}
# nothing is tuned to one size: the same again on a small network, and on few rows
for _size in (SMALL, FEW_ROWS):
    for _name in ("head", "upper", "full", "search", "one-row"):
        if _size.n_rows is None or _name != "one-row":  # one row is one row
            ROWS[_name + _size.suffix] = partial(ROWS[_name], size=_size)
ON_CUDA = ("head", "head-large", "upper", "full", "search", "mixed", "candidates", "million")


def processor() -> str:
    """The processor's name and the number of cores in use."""
    named = Path("/proc/cpuinfo")
    lines = named.read_text(encoding="utf-8").splitlines() if named.exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)
    return f"{name or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """What the figures were made with."""
    modules = (sktransfer, torch, sklearn, skorch, np, pd, joblib)
    return {"python": platform.python_version()} | {module.__name__: module.__version__ for module in modules}


def without_bars(result: Result) -> Result:
    """The bars are for one thread of a processor; on a GPU the figures only inform."""
    result.comparisons = [Comparison(c.peer, c.sense, ours=c.ours) for c in result.comparisons]
    return result


def run(names: Sequence[str], settings: Settings, say: Callable[[str], None]) -> list[Result]:
    """Measure the rows of these names."""
    results = []
    for name in names:
        began = time.perf_counter()
        found = ROWS[name](settings)
        results += found if settings.device == "cpu" else [without_bars(result) for result in found]
        say(f"{name}: {time.perf_counter() - began:.0f} s")
    return results


def report(results: Sequence[Result], settings: Settings, peak: float) -> str:
    """The tables, and what a reader must know to read them."""
    listed = ", ".join(f"{name} {version}" for name, version in versions().items())
    where = torch.cuda.get_device_name(settings.device) if settings.device != "cpu" else processor()
    lines = [
        f"{listed}; {where}; one thread; {settings.repeats} rounds or more; median (smallest to largest)",
        "",
        comparison_table(results),
        "",
    ]
    if settings.quick:
        lines.insert(0, "QUICK: shows that everything runs; these figures mean nothing.\n")
    lines += [f"- {result.row}: {note}" for result in results for note in result.notes]
    for result in results:
        if result.scores:
            listed = ", ".join(f"{name} {score:.3f}" for name, score in result.scores.items())
            lines.append(f"- {result.row}: accuracy of {listed}")
    arithmetic = arithmetic_table(results, peak)
    if arithmetic:
        lines += ["", f"Limit: arithmetic at {peak / 1e9:,.0f} GFLOP/s, the rate of a large float32 product here.", ""]
        lines.append(arithmetic)
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rows, few epochs: only shows that everything runs")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--repeats", type=int, help="rounds; default: 5, or 2 with --quick")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for the rows that a GPU can run")
    parser.add_argument("--out", type=Path, help="file for the raw figures, JSON")
    options = parser.parse_args(arguments)
    if options.device != "cpu":
        if not torch.cuda.is_available():
            parser.exit(1, f"--device {options.device}: there is no CUDA device here, so nothing was measured.\n")
        wrong = sorted(set(options.rows or ()) - set(ON_CUDA))
        if wrong:
            parser.error(f"no such row on CUDA: {', '.join(wrong)}; there are {', '.join(ON_CUDA)}")
    return options


def main(arguments: Sequence[str] | None = None) -> list[Result]:
    options = parse(arguments)
    settings = Settings(options.quick, options.repeats or (2 if options.quick else 5), options.device)
    names = options.rows or (list(ROWS) if settings.device == "cpu" else list(ON_CUDA))
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("Set OMP_NUM_THREADS=1: some libraries read it only when they are imported.", file=sys.stderr)
    silence()
    results: list[Result] = []
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            peak = peak_rate(settings.device)
            for name in names:
                results += run([name], settings, lambda line: print(line, file=sys.stderr, flush=True))
                if options.out:  # after each row: an interrupted run keeps what it has
                    raw = {"versions": versions(), "processor": processor(), "settings": vars(settings), "peak": peak}
                    raw["results"] = [as_record(result) for result in results]
                    options.out.write_text(json.dumps(raw, indent=1), encoding="utf-8")
    finally:
        torch.set_num_threads(before)
    print(report(results, settings, peak))
    return results


if __name__ == "__main__":
    main()
