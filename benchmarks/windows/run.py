"""One table of all measurements on windows of real data, with the bars they are held to.

    python -m benchmarks.windows ../shared/data [--rows cwru fan-end ...] [--methods vibration] [--draws 10]

Peers run here; the networks of this package are plugged in in `ours*.py`. One thread; MiniRocket only where aeon can be
imported.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import sklearn
import torch

from benchmarks.windows import bearings, front_end, ours, ours_process, peers, process
from benchmarks.windows.few_labels import READINGS, few_labels, mean_ranks, tasks
from benchmarks.windows.throughput import throughput, windows_of_noise

LABELS = (1, 5, 20)
NAMED = ("vibration, fine-tuned", "vibration from scratch")  # what the bar compares, beside the peers of other makes
Only = tuple[str, ...]  # parts of the names of methods; none: all of them
LENGTH = 4096  # samples of a window of CWRU, a third of a second


def row_cwru(folder: Path, draws: int, only: Only = ()) -> dict:
    """Zero real training data: nothing to compare with but what always says the same."""
    methods = {f"always {kind}": partial(_always, kind) for kind in bearings.LABELS} | ours.zero_shot()
    methods = named(methods, only)
    table = {}
    for ends, length in (("DE", 6144), ("DE", LENGTH), ("DE", 12_000), ("FE", 6144), ("FE", LENGTH)):
        for name, found in bearings.zero_shot(folder, methods, length, ends).items():
            row = {key: found[key] for key in ("accuracy", "balanced_accuracy", "record_accuracy")} | found["by_size"]
            table[f"{name}, {ends}, {length} samples"] = row
    return {"bar": "accuracy >= 0.82, aim 0.89; published simulation-only network 0.884", "table": table}


def row_fan_end(folder: Path, draws: int, only: Only = ()) -> dict:
    """Trained on drive-end bearings, scored on fan-end bearings, and back; at most 5 seeds, no labels are drawn."""
    methods = named(peers.end_to_end_peers() | front_end.end_to_end() | ours.end_to_end(), only)
    scores = bearings.end_to_end(folder, methods, draws=min(draws, 5), both=True)
    return {"bar": "DE -> FE >= 0.68; reported: forest 0.19, simulated CNN 0.65", "table": _by(scores, "task")}


def row_bearings_held_out(folder: Path, draws: int, only: Only = ()) -> dict:
    """100 splits on the 20 features; on raw windows and on the features of the same 64 records."""
    labels = [*bearings.LABELS, "score"]
    data, _ = bearings.raw_records(folder)
    of_features = named(peers.feature_peers() | front_end.on_features() | ours.on_features(), only)
    of_windows = named(peers.window_peers() | front_end.on_windows() | ours.on_windows(), only)
    runs = {
        "features, 144 records, 100 splits": bearings.on_features(folder, of_features),
        "features, the 64 records": bearings.on_features(folder, of_features, records=np.unique(data.groups)),
        "raw windows, the 64 records": bearings.on_windows(folder, of_windows, LENGTH),
    }
    table = {}
    for run, scores in runs.items():
        for name, part in scores.groupby("method", sort=False):
            deviation = part["score"].std(ddof=0)
            table[f"{run}: {name}"] = part[labels].mean().to_dict() | {"deviation over splits": deviation}
    return {"bar": "macro-AUROC >= 0.86 on the full protocol; published forest 0.855", "table": table}


def row_few_labels(reading: str, folder: Path, draws: int, only: Only = (), labels: tuple[int, ...] = LABELS) -> dict:
    """Speed to speed and motor to motor."""
    methods = named(peers.few_label_peers() | front_end.few_labels() | ours.few_labels(), only)
    scores = few_labels(tasks(folder), methods, labels, draws, reading)
    table = _by(scores.assign(n=scores["labels"].astype(str) + " a class"), "n", first=scores["task"])
    ranks = {f"all tasks, {k} a class": v for k, v in mean_ranks(scores).to_dict().items()}
    ranks |= {f"sets alike, {k} a class": v for k, v in mean_ranks(scores, by_set=True).to_dict().items()}
    by_bar = mean_ranks(scores[scores["method"].isin([*peers.few_label_peers(), *NAMED])])
    return {
        "bar": "best or within 1 of the best mean rank at 1 and 5",
        "mean rank": pd.DataFrame(ranks).to_dict("index"),
        "mean rank of the default and its peers alone": {k: v.to_dict() for k, v in by_bar.iterrows()},
        "table": table,
    }


def row_tep(folder: Path, draws: int, only: Only = ()) -> dict:
    """Three modes -> the fourth."""
    methods = named(peers.tep_peers() | front_end.tep() | ours_process.tep(), only)
    scores = process.tep_modes(folder, methods, draws=draws)
    column = scores["labels"].astype(str) + " labels, " + scores["scored"]
    table = _by(scores.assign(n=column), "n")
    for name, part in scores.groupby(["method", scores["labels"].astype(str) + " labels, " + scores["scored"]]):
        table[name[0]] |= {f"{name[1]}, -> {mode}": s for mode, s in part.groupby("target")["score"].mean().items()}
    return {"bar": ">= 0.75 at 0 labels, >= 0.80 at 5; reported 0.708 at 0", "table": table}


def row_skab(folder: Path, draws: int, only: Only = ()) -> dict:
    """Group to group."""
    methods = named(peers.skab_peers() | front_end.skab() | ours_process.skab(), only)
    scores = process.skab_groups(folder, methods, draws=min(draws, 3))
    table = _by(scores, "task")
    single = _by(scores.drop(columns="score").rename(columns={"score_by_recording": "score"}), "task")
    every = _by(process.skab_groups(folder, {"random forest, rows": process.skab_rows()}, 0, min(draws, 3)), "task")
    table |= {f"{name}, mean of recordings": row for name, row in single.items()}
    table |= {f"{name}, every row scored": row for name, row in every.items()}
    return {"bar": "every pair above the forest on rows; reported valve1 -> other 0.52", "table": table}


def row_throughput(folder: Path, draws: int, only: Only = ()) -> dict:
    """Seconds for 10,000 windows of 2,048 samples."""
    methods = ours.throughput()
    if peers.has_mini_rocket():
        methods["MiniRocket transform"] = peers.mini_rocket().fit(windows_of_noise(100)).transform
    return {"bar": "not slower than MiniRocket", "table": throughput(named(methods, only))}


ROWS: dict[str, Callable[..., dict]] = {
    "cwru": row_cwru,
    "fan-end": row_fan_end,
    "bearings-held-out": row_bearings_held_out,
    **{f"few-labels-{reading}": partial(row_few_labels, reading) for reading in READINGS},
    "tep": row_tep,
    "skab": row_skab,
    "throughput": row_throughput,
}


def named(methods: dict, only: Only) -> dict:
    """Those of the methods whose name holds one of the texts `only`; all of them if there is none."""
    return {name: method for name, method in methods.items() if not only or any(text in name for text in only)}


def _always(kind: str, X: np.ndarray) -> np.ndarray:
    return np.full(len(X), kind)


def _by(scores: pd.DataFrame, column: str, first: pd.Series | None = None) -> dict:
    """Mean score by method and `column`; with `first` a row for each of its values and method."""
    row = scores["method"] if first is None else first + ": " + scores["method"]
    return scores.groupby([row.rename("row"), column], sort=False)["score"].mean().unstack(column).to_dict("index")


def markdown(table: dict[str, dict]) -> str:
    """A Markdown table of {row: {column: number}}."""
    columns = list(dict.fromkeys(column for row in table.values() for column in row))
    lines = ["| | " + " | ".join(map(str, columns)) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in table.items():
        lines.append(f"| {name} | " + " | ".join(_number(row.get(column)) for column in columns) + " |")
    return "\n".join(lines)


def _number(value) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--labels", nargs="+", type=int, default=list(LABELS), help="a class, of the rows few-labels")
    parser.add_argument("--methods", nargs="+", default=(), help="only methods whose name holds one of these texts")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    machine = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
        "torch threads": torch.get_num_threads(),
        "MiniRocket": peers.mini_rocket_version() if peers.has_mini_rocket() else "not there",
        "draws": options.draws,
    }
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    found: dict = {"machine": machine}
    for name in options.rows:
        start = perf_counter()
        labels = {"labels": tuple(options.labels)} if name.startswith("few-labels") else {}
        found[name] = ROWS[name](options.folder, options.draws, tuple(options.methods), **labels)
        print(f"\n## {name}\n\nBar: {found[name]['bar']}. ({perf_counter() - start:.0f} s)\n")
        for part in ("mean rank", "mean rank of the default and its peers alone", "table"):
            if part in found[name]:
                print(f"{part}\n\n{markdown(found[name][part])}\n", flush=True)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1, default=float))
