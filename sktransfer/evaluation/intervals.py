r"""Paired gains over alternatives with intervals from a bootstrap over draws and groups.

::

    scores (method, draw) --resample draws, and groups of scored rows--> replicates --> gain over each alternative
                                                                                   \--> gain over the best of them

Which alternative is the best is not known, it is estimated from the same scores. The gain over the best is the least of
the gains over each, and its interval holds whichever is the best. Its lower end is the least of the lower ends, because
who beats the best beats each (intersection-union test; Berger 1982, doi:10.1080/00401706.1982.10487790). Its upper end
is the least of upper ends that hold for all alternatives together (largest studentized deviation in a replicate;
Westfall and Young 1993).

Draws and groups are resampled independently of each other and crossed (pigeonhole bootstrap; Owen 2007,
doi:10.1214/07-AOAS122), because draws share the rows that are scored. Intervals are as many standard deviations of the
replicates wide as Student's t asks for with so few draws; percentiles of so few are too narrow (Hesterberg 2015,
doi:10.1080/00031305.2015.1089789).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from sktransfer.evaluation.metrics import Metric

N_BOOTSTRAP = 2000
_MAX_UNITS = 500


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its interval.

    Parameters
    ----------
    value, low, high : float
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Gains:
    """Gains of one method over the others at one number of labels.

    Parameters
    ----------
    each : dict of int to Interval
        Of each alternative, by its number.
    best : int
        The rival with the highest mean score.
    over_best : Interval
    """

    each: dict[int, Interval]
    best: int
    over_best: Interval


def units_of(n_rows: int, groups: np.ndarray | None, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Number of the unit that each row is resampled with, and how many units there are.

    Parameters
    ----------
    n_rows : int
    groups : ndarray of shape (n_rows,) or None
        Rows of a group are resampled together. None: each row by itself.
    rng : Generator
        More than 500 units are joined at random, which leaves the variance of a bootstrap as it is on average.

    Returns
    -------
    ndarray of shape (n_rows,), int
    """
    unit = np.arange(n_rows) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    n_units = int(unit.max()) + 1
    if n_units > _MAX_UNITS:
        unit, n_units = (rng.permutation(n_units) % _MAX_UNITS)[unit], _MAX_UNITS
    return unit, n_units


def replicate_scores(sums: np.ndarray, metric: Metric, n_bootstrap: int, rng: np.random.Generator) -> np.ndarray:
    """Scores of every cell on resampled groups, shape (n_bootstrap, n_methods, n_draws).

    Parameters
    ----------
    sums : ndarray of shape (n_methods, n_draws, n_units, n_sums)
        Sums over the scored rows of each unit; zero where a draw does not score a unit.
    metric : Metric
    n_bootstrap : int
    rng : Generator
    """
    n_units = sums.shape[2]
    weights = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_bootstrap).astype(np.float64)
    found = [[metric.score(weights @ cell) for cell in method] for method in sums]
    return np.moveaxis(np.array(found), -1, 0)


def gains_of(
    scores: np.ndarray,
    own: int,
    rng: np.random.Generator,
    replicates: np.ndarray | None = None,
    *,
    rivals: Collection[int] | None = None,
    level: float = 0.95,
) -> Gains:
    """Gains of method `own` over each other method and over the best of them.

    Parameters
    ----------
    scores : ndarray of shape (n_methods, n_draws)
        NaN where a fit failed; the draw is then left out of the pair.
    own : int
    rng : Generator
    replicates : ndarray of shape (n_bootstrap, n_methods, n_draws), optional
        Scores on resampled groups; None: draws alone are resampled.
    rivals : collection of int, optional
        The methods of which the best is looked for; None: all others.
    level : float, default=0.95

    Returns
    -------
    Gains
    """
    n_draws = scores.shape[1]
    others = [m for m in range(len(scores)) if m != own and np.isfinite(scores[own] - scores[m]).any()]
    among = [k for k, m in enumerate(others) if rivals is None or m in rivals] or list(range(len(others)))
    if replicates is None:
        replicates = np.broadcast_to(scores, (N_BOOTSTRAP, *scores.shape))
    picks = rng.integers(n_draws, size=(len(replicates), 1, n_draws))
    picked = np.take_along_axis(replicates, np.broadcast_to(picks, replicates.shape), axis=2)
    gain = _mean(scores[own] - scores[others])
    again = _mean(picked[:, [own]] - picked[:, others])
    again = again[np.isfinite(again).all(axis=1)]
    best = among[int(np.argmin(gain[among]))]
    low, high, together = _ends(gain, again, among, n_draws, level)
    each = {m: Interval(*map(float, ends)) for m, *ends in zip(others, gain, low, high, strict=True)}
    over_best = Interval(float(gain[best]), float(min(low[among].min(), gain[best])), float(max(together, gain[best])))
    return Gains(each, others[best], over_best)


def _ends(gain: np.ndarray, again: np.ndarray, among: list[int], n_draws: int, level: float) -> tuple[Any, Any, Any]:
    """Lower and upper end of each gain for itself, and the upper end of the least of some gains."""
    if n_draws < 2 or len(again) < 2:
        return np.full(len(gain), -np.inf), np.full(len(gain), np.inf), np.inf
    spread = again.std(axis=0)
    near = _widened(stats.norm.isf((1 - level) / 2), n_draws)
    low, high = gain - near * spread, gain + near * spread
    deviations = np.divide(gain - again, spread, out=np.zeros_like(again), where=spread > 0)
    far = float(np.quantile(deviations[:, among].max(axis=1), (1 + level) / 2))
    together = gain + _widened(far, n_draws) * spread
    return low, high, together[among].min()


def _mean(differences: np.ndarray) -> np.ndarray:
    """Mean over draws, without those that are not known; NaN if none is."""
    known = np.isfinite(differences)
    count = known.sum(axis=-1)
    return np.divide(
        np.where(known, differences, 0).sum(axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0
    )


def _widened(z: float, n_draws: int) -> float:
    """The distance, in standard deviations of replicates, that is to the mean of few draws what `z` is to many."""
    return float(np.sqrt(n_draws / (n_draws - 1)) * stats.t.isf(stats.norm.sf(z), n_draws - 1))
