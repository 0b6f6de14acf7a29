"""Alignment without labels of the target, with and without a guard.

    python -m benchmarks.guard ../shared/data [--draws 10] [--only cstr gas ...] [--tasks N] [--development]
                                              [--methods MCC MMD ...] [--shares equal skewed]

Every fit is one of source rows and unlabelled rows of the target, at defaults but for `alignment`. Transductive: the
unlabelled rows are scored, by balanced accuracy. Equal shares: the unlabelled rows are half of each class, and as
common as in the data. Skewed: twenty of the most common class, or of the healthy one, and one of each other. The draw
is the seed of the fit.

A task (one draw) is accepted where the guard lets the alignment be; it is harmed where the aligned network is worse
than the same network without alignment by more than one point. Tables: the share of harmed tasks among all and among
the accepted ones, and mean gains in points, over the accepted tasks and over all (a refused task gains nothing).
`--cuts` adds the same for other cuts of the total variation: for choices, with `--development` alone.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from benchmarks import mnist_usps  # noqa: F401 (registers the network of images)
from benchmarks.adaptation_sets import tasks_of
from benchmarks.adaptation_tasks import Task, draw, draw_skewed, stacked
from benchmarks.names import markdown
from sktransfer import DANN, MCC, MMD, DeepCORAL, DomainAdaptationClassifier, FromScratch, Guarded

METHODS = {"MCC": MCC(), "MMD": MMD(), "DeepCORAL": DeepCORAL(), "DANN": DANN()}
SETS = {False: ("cstr", "hit", "gas", "tep-rows", "mnist-usps"), True: ("cstr", "fan", "gas", "tep-rows")}
CUTS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 1.0)
AGREED = (0.0, 0.8, 0.9, 0.95, 0.98, 1.0)
HARM = 0.01


class _Never(Guarded):
    """Refuses whatever it sees: the network without an alignment answers."""

    def shift(self, source_shares: np.ndarray, before: np.ndarray) -> dict[str, Any]:
        return super().shift(source_shares, before) | {"adapted": False, "reason": "never"}


def run(task: Task, shares: str, seed: int, methods: list[str]) -> Iterator[dict[str, Any]]:
    """A record for each method: scores without and with the alignment, and both signs of the guard.

    The guard asks for nothing, so that both networks are there: what it would have said for any cut can be counted.
    """
    if shares == "skewed":
        if task.normal_label is None:
            task = replace(task, normal_label=int(np.bincount(task.y_target.astype(np.int64)).argmax()))
        part = draw_skewed(task, seed)
    else:
        part = replace(draw(task, 0, seed), transductive=True)
        part.scored = part.unlabelled
    rows = stacked(task, part)
    before = None
    for name in methods:
        guard = Guarded(METHODS[name], max_shift=1.0, min_agreement=0.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if before is None:
                before = _score(rows, _Never(), seed)[0]
            after, report = _score(rows, guard, seed)
        yield {
            **{"set": task.set, "task": task.name, "shares": shares, "draw": seed, "method": name},
            **{"without": before, "with": after, "gain": after - before},
            **{"shift": report["total_variation"], "agreement": report["agreement"]},
        }


def _score(rows: Any, guard: Guarded, seed: int) -> tuple[float, dict[str, Any]]:
    network = FromScratch("benchmark-digits") if rows.X.ndim == 4 else None  # registered by benchmarks.mnist_usps
    model = DomainAdaptationClassifier(network, alignment=guard, random_state=seed)
    model.fit(rows.X, rows.y, sample_domain=rows.sample_domain)
    return balanced_accuracy_score(rows.y_scored, model.predict(rows.X_scored)), model.report_


def summary(
    records: pd.DataFrame, max_shift: float, min_agreement: float, by: tuple[str, ...] = ("method", "shares")
) -> pd.DataFrame:
    """Harm and gain with and without a guard of these cuts."""
    found = []
    for keys, part in records.groupby(list(by), sort=False):
        accepted = part[(part["shift"] <= max_shift) & (part["agreement"] >= min_agreement)]
        found.append(
            dict(zip(by, keys, strict=True))
            | {
                **{"tasks": len(part), "harmed %": 100 * (part["gain"] < -HARM).mean()},
                **{"gain": 100 * part["gain"].mean(), "accepted": len(accepted)},
                "harmed of accepted %": 100 * (accepted["gain"] < -HARM).mean(),
                "gain of accepted": 100 * accepted["gain"].mean(),
                "gain of all": 100 * accepted["gain"].sum() / len(part),
            }
        )
    return pd.DataFrame(found).set_index(list(by))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--tasks", type=int, default=None, help="so many tasks of each set")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--shares", nargs="+", default=["equal", "skewed"], choices=["equal", "skewed"])
    parser.add_argument("--development", action="store_true", help="tasks for choices, in place of the scored ones")
    parser.add_argument("--cuts", action="store_true", help="the same for other cuts; with --development")
    parser.add_argument("--records", type=Path, default=None, help="a CSV file of all records")
    options = parser.parse_args()
    if options.cuts and not options.development:
        parser.error("cuts are chosen on the development tasks: pass --development, too")
    records: list[dict[str, Any]] = []
    for name in options.only or SETS[options.development]:
        for task in tasks_of(options.folder, name, options.tasks, development=options.development):
            for shares in options.shares:
                for seed in range(options.draws):
                    records += run(task, shares, seed, options.methods)
            print(f"  {name}, {task.name}: done", flush=True)
            if options.records is not None:
                pd.DataFrame(records).to_csv(options.records, index=False)
    if not records:
        return
    table, default = pd.DataFrame(records), Guarded()
    print(markdown(summary(table, default.max_shift, default.min_agreement)), flush=True)
    print(markdown(summary(table, default.max_shift, default.min_agreement, ("set", "shares", "method"))), flush=True)
    if options.cuts:
        for agreed in AGREED:
            for cut in CUTS:
                found = summary(table.assign(all="all"), cut, agreed, ("method", "all"))
                print(f"max_shift={cut}, min_agreement={agreed}\n{markdown(found)}", flush=True)


if __name__ == "__main__":
    main()
