"""Where the alarm begins: distances of healthy rows that the statistic was not fitted to.

::

    healthy rows --> blocks in order (neighbours are alike), or whole groups
    each block: statistic of the others --> distances of its rows --+
                                                                     +--> the rate's quantile --> threshold
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.base import clone

from sktransfer.detection.statistic import HealthyStatistic


def healthy_blocks(name: str, n_rows: int, n_blocks: int, groups: Any) -> list[np.ndarray]:
    """Row numbers of each block: neighbouring rows, or whole groups where there are groups.

    Raises
    ------
    ValueError
        For groups of another length, and if there is one group only.
    """
    if groups is None:
        return [part for part in np.array_split(np.arange(n_rows), min(n_blocks, n_rows)) if len(part)]
    of = np.asarray(groups)
    if of.shape != (n_rows,):
        raise ValueError(f"{name} got groups of shape {of.shape}; expected ({n_rows},), one a row of X.")
    names, first = np.unique(of, return_index=True)
    names = names[np.argsort(first)]
    if len(names) < 2:
        raise ValueError(
            f"{name}: all rows are of one group, so that no row of another group is left to set the threshold by. "
            "Leave groups out: blocks of neighbouring rows are held out then."
        )
    return [np.flatnonzero(np.isin(of, part)) for part in np.array_split(names, min(n_blocks, len(names)))]


def held_out_distances(
    statistic: HealthyStatistic, F: np.ndarray, n_tags: int | None, resolution: float, blocks: list[np.ndarray]
) -> np.ndarray:
    """Distance of each row from the rows of the other blocks, shape (n_rows,)."""
    found = np.empty(len(F))
    for block in blocks:
        others = np.ones(len(F), dtype=bool)
        others[block] = False
        found[block] = clone(statistic).fit(F[others], n_tags, resolution).distance(F[block])
    return found


def share_between(F: np.ndarray, blocks: list[np.ndarray]) -> float:
    """Share of the variance of the rows that lies between the means of the blocks, mean over the columns that vary.

    About one over the rows of a block where the rows are independent; near 1 where each block is about a level of its
    own. Blocks of fewer than ten rows say nothing of it: 0.
    """
    if len(blocks) < 2 or min(map(len, blocks)) < 10:
        return 0.0
    mean, variance = F.mean(axis=0), F.var(axis=0)
    between = sum(len(block) * np.square(F[block].mean(axis=0) - mean) for block in blocks) / sum(map(len, blocks))
    varies = variance > 1e-12 * np.square(mean)
    return float((between[varies] / variance[varies]).mean()) if varies.any() else 0.0


def threshold(distances: np.ndarray, false_alarm_rate: float) -> tuple[float, float]:
    """The distance above which a row is an alarm, and the rate that it stands for.

    The `k`-th largest of `n` distances with ``k = floor(rate * (n + 1))``: a row that is exchangeable with these lies
    above it with a probability of at most ``k / (n + 1)``. Where the rate is below what `n` rows can tell, the largest
    distance is taken, which stands for ``1 / (n + 1)``.

    References
    ----------
    Vovk, Gammerman and Shafer (2005). Algorithmic learning in a random world. Springer.
    """
    n = len(distances)
    k = max(math.floor(false_alarm_rate * (n + 1) * (1 + 1e-12)), 1)
    return float(np.sort(distances)[max(n - k, 0)]), k / (n + 1)


def rows_needed(false_alarm_rate: float) -> int:
    """Healthy rows that a rate needs at least."""
    return math.ceil(1 / false_alarm_rate - 1e-9) - 1


def p_values(healthy: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Share of the healthy distances, and of the row itself, that are at least as large."""
    above = len(healthy) - np.searchsorted(np.sort(healthy), distances, side="left")
    return np.asarray((above + 1) / (len(healthy) + 1))
