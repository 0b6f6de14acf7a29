"""Outcomes of the fits, gathered into a comparison.

::

    outcome of each fit --> sums over the scored rows of each group --> scores --> frame
                        --> warnings and errors, counted                       --> one sentence
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.evaluation.baselines import SOURCE
from sktransfer.evaluation.comparison import Comparison
from sktransfer.evaluation.draws import Draw
from sktransfer.evaluation.fits import Outcome, Rows
from sktransfer.evaluation.metrics import Metric
from sktransfer.utils.counted_warnings import warn_caller

# What differs between two fits that warn of the same thing
_NAMES_AND_NUMBERS = re.compile(r"\[[^]]*\]|'[^']*'|\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")


class Outcomes:
    """Gathers what the fits leave behind.

    Parameters
    ----------
    data : Rows
    metric : Metric
    methods : sequence of str
        The estimator's name first.
    n_labels : sequence of int
    draws : sequence of Draw
    unit : ndarray of shape (n_rows,)
        What each row of the target is resampled with.
    n_units : int
    """

    def __init__(
        self, data: Rows, metric: Metric, methods: Sequence[str], n_labels: Sequence[int], draws: Sequence[Draw],
        unit: np.ndarray, n_units: int,
    ):  # fmt: skip
        self.data, self.metric, self.methods, self.n_labels = data, metric, list(methods), list(n_labels)
        self.draws, self.unit, self.n_units = draws, unit, n_units
        self.records: dict[tuple[str, int, int], dict[str, Any]] = {}
        self.sums: dict[int, Any] = {}
        self.said: dict[tuple[str, type[Warning], str], list[Any]] = {}  # text and number of fits
        self.errors: dict[str, list[str]] = {}

    def add(self, name: str, n: int, draw: Draw, outcome: Outcome) -> None:
        """What the fit of a method on `n` labels of a draw has left behind."""
        numbers = self.n_labels if name == SOURCE else [n]
        score = float("nan")
        if outcome.error:
            self.errors.setdefault(name, []).append(outcome.error)
            self._stop_if_it_always_fails()
        elif self.metric.by_rows:
            sums = self.metric.sums(
                self.data.codes[draw.scored], outcome.predicted, self.unit[draw.scored], self.n_units
            )
            score = float(self.metric.score(sums.sum(axis=0)))
            for number in numbers:
                self._keep(number, self.methods.index(name), draw.number, sums)
        else:
            score = outcome.predicted
        for number in numbers:
            self.records[name, number, draw.number] = {
                "method": name, "n_labels": number, "draw": draw.number, "score": score,
                "fit_seconds": outcome.seconds,
            }  # fmt: skip
        for category, text in ((category, text.partition("\n")[0]) for category, text in outcome.warnings):
            self.said.setdefault((name, category, _NAMES_AND_NUMBERS.sub("#", text)), [text, 0])[1] += 1

    def _keep(self, n: int, method: int, draw: int, sums: np.ndarray) -> None:
        if n not in self.sums:
            self.sums[n] = np.full((len(self.methods), len(self.draws), *sums.shape), np.nan)
        self.sums[n][method, draw] = sums

    def comparison(self, unit: str, seed: int) -> Comparison:
        """All of it, in the order of numbers of labels, draws and methods."""
        own = self.methods[0]
        self._warn_of_errors()
        order = [(m, n, d.number) for n in self.n_labels for d in self.draws for m in self.methods]
        frame = pd.DataFrame([self.records[key] for key in order])
        counted = sorted(self.said.items(), key=lambda item: (self.methods.index(item[0][0]), -item[1][1]))
        said = [(name, category.__name__, text, count) for (name, category, _), (text, count) in counted]
        for (name, category, _), (text, count) in counted:
            if name == own:
                n_fits = len(self.n_labels) * len(self.draws)
                warn_caller(f"compare: {count} of {n_fits} fits of {name} warned. The first: {text}", category)
        warned = pd.DataFrame(said, columns=["method", "category", "message", "n_fits"])
        sums = self.sums if self.metric.by_rows else None
        return Comparison(frame, self.metric, own, unit=unit, sums=sums, warnings=warned, seed=seed)

    def _stop_if_it_always_fails(self) -> None:
        """Raise once as many fits of the estimator have failed as there are in a draw, and none has not."""
        own = self.methods[0]
        failed = self.errors.get(own, [])
        done = sum(name == own for name, _, _ in self.records)
        if len(failed) >= len(self.n_labels) and len(failed) > done:
            raise ValueError(
                f"compare: all of the first {len(failed)} fits of {own!r} failed. The first error: {failed[0]}"
            )

    def _warn_of_errors(self) -> None:
        if self.errors:
            counts = ", ".join(f"{len(found)} of {name}" for name, found in self.errors.items())
            first = next(iter(self.errors.values()))[0]
            warn_caller(
                f"compare: fits failed ({counts}) and have no score; comparisons leave out their draws. The first "
                f"error: {first}",
                UserWarning,
            )
