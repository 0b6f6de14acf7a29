"""Comparison: the scores of all methods on the same draws, with gains, intervals and a verdict."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.evaluation.baselines import SOURCE
from sktransfer.evaluation.intervals import N_BOOTSTRAP, gains_of, replicate_scores
from sktransfer.evaluation.metrics import Metric
from sktransfer.evaluation.verdict import Finding, Words, kind_of, verdict_of


class Comparison:
    """What :func:`sktransfer.compare` returns.

    Parameters
    ----------
    frame : DataFrame
        Columns ``method``, ``n_labels``, ``draw``, ``score`` (more is better) and ``fit_seconds``; one row a fit.
    metric : Metric
    name : str
        The method that the others are alternatives to.
    unit : str, default="labels a class"
        Of ``n_labels``.
    sums : dict of int to ndarray, optional
        For each number of labels sums over the scored rows of each group, by which groups are resampled; without them
        draws alone are.
    warnings : DataFrame, optional
        Columns ``method``, ``category``, ``message``, ``n_fits``: what the fits warned of; sentences that differ in
        names and numbers alone stand there once.
    seed : int, default=0
        Of the bootstrap.

    Attributes
    ----------
    gains : DataFrame
        Columns ``n_labels``, ``alternative``, ``gain``, ``low``, ``high``: gains over each alternative, paired by draw,
        with 95 % intervals, each for itself.
    best : DataFrame
        Columns ``n_labels``, ``alternative``, ``gain``, ``low``, ``high``, ``kind``: gain over the best alternative.
        The source network as it is is transfer, too, and is none of them where there are others. The interval allows
        for that the best one is chosen by the same scores. ``kind`` is ``"gain"``, ``"loss"``, ``"nothing"`` (surely
        within two points) or ``"open"``.
    verdict : str
    """

    def __init__(
        self, frame: pd.DataFrame, metric: Metric, name: str, *, unit: str = "labels a class",
        sums: dict[int, np.ndarray] | None = None, warnings: pd.DataFrame | None = None, seed: int = 0,
    ):  # fmt: skip
        self.frame = frame
        self.metric = metric
        self.name = name
        self.unit = unit
        self.sums = sums
        columns = ["method", "category", "message", "n_fits"]
        self.warnings = pd.DataFrame(columns=columns) if warnings is None else warnings
        self.seed = seed

    @property
    def methods(self) -> list[str]:
        """Names of the methods, the estimator's first."""
        return list(dict.fromkeys(self.frame["method"]))

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return int(self.frame["draw"].nunique())

    @cached_property
    def findings(self) -> list[Finding]:
        """What was found at each number of labels."""
        found, methods = [], self.methods
        own = methods.index(self.name)
        rivals = {m for m, method in enumerate(methods) if method not in (self.name, SOURCE)}
        for n, part in self.frame.groupby("n_labels", sort=True):
            table = part.pivot(index="method", columns="draw", values="score").reindex(methods)
            scores, rng = table.to_numpy(dtype=np.float64), np.random.default_rng([self.seed, int(n)])
            again = None if self.sums is None else replicate_scores(self.sums[n], self.metric, N_BOOTSTRAP, rng)
            gains = gains_of(scores, own, rng, again, rivals=rivals)
            means = table.mean(axis=1)
            over = {methods[m]: interval for m, interval in gains.each.items()}
            best = methods[gains.best]
            found.append(Finding(int(n), best, gains.over_best, float(means[self.name]), float(means[best]), over))
        return found

    @property
    def gains(self) -> pd.DataFrame:
        """Gains over each alternative."""
        rows = [
            {"n_labels": one.n_labels, "alternative": rival, "gain": i.value, "low": i.low, "high": i.high}
            for one in self.findings
            for rival, i in one.over.items()
        ]
        return pd.DataFrame(rows, columns=["n_labels", "alternative", "gain", "low", "high"])

    @property
    def best(self) -> pd.DataFrame:
        """Gain over the best alternative."""
        rows = [
            {
                "n_labels": one.n_labels,
                "alternative": one.best,
                "gain": one.gain.value,
                "low": one.gain.low,
                "high": one.gain.high,
                "kind": kind_of(one.gain, one.best_score, self.metric),
            }
            for one in self.findings
        ]
        return pd.DataFrame(rows)

    @property
    def verdict(self) -> str:
        """Whether it pays, in words."""
        chance = 1 / self.metric.n_classes if self.metric.name == "balanced_accuracy" else None
        words = Words(self.metric, self.name, self.unit)
        return verdict_of(self.findings, words, n_draws=self.n_draws, chance=chance)

    def table(self) -> pd.DataFrame:
        """Mean scores, one row a method, one column a number of labels."""
        means = self.frame.groupby(["method", "n_labels"], sort=False)["score"].mean().unstack("n_labels")
        return means.loc[self.methods]

    def __repr__(self) -> str:
        turned = " (its sign turned)" if self.metric.is_error else ""
        head = f"{self.metric.words}{turned}, mean over {self.n_draws} draw{'s' * (self.n_draws != 1)}"
        return f"{head}; columns: {self.unit}\n{self.table().round(3).to_string()}\n{self.verdict}"

    def _repr_html_(self) -> Any:
        return f"{self.table().round(3).to_html()}<p>{self.verdict}</p>"
