"""What an alarm rule remembers of a machine, so that scores may come in one piece or in many.

::

    AlarmState after the last sample --+--> filtered scores --> runs below and above --> alarm on or off
    new scores of the machine ---------+                                            --> AlarmState

Cut anywhere, a series of scores gives the same alarms to the last bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np


@dataclass(frozen=True)
class AlarmState:
    """Of one machine, after its last sample.

    Parameters
    ----------
    time : float
        Of that sample, in seconds since 1970.
    level : float
        Filtered score: the weighted mean or the sum; not used without a filter.
    low, back : int
        Samples in a row below the threshold, and back above threshold and deadband.
    recent : tuple of bool
        Whether each of the last samples was below the threshold; as many as `k_of_n` looks back.
    on : bool
        Whether the alarm is on.
    """

    time: float
    level: float
    low: int = 0
    back: int = 0
    recent: tuple[bool, ...] = ()
    on: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Numbers and lists alone, as JSON takes them."""
        return asdict(self) | {"recent": list(self.recent)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AlarmState:
        """Of what `as_dict` gave."""
        return cls(**{**values, "recent": tuple(bool(one) for one in values["recent"])})


def weighted_means(scores: np.ndarray, smoothing: float, level: float) -> np.ndarray:
    """Exponentially weighted means that begin at `level`, shape (n,)."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([smoothing], [1, smoothing - 1], scores, zi=[(1 - smoothing) * level])[0])


def sums_below(scores: np.ndarray, reference: float, level: float) -> np.ndarray:
    """Minus the cumulative sums of how far scores lie below `reference`, never above zero, shape (n,).

    One sample after the other: a difference of running totals would round otherwise where a series is cut otherwise.
    """
    steps = (reference - scores).tolist()
    sums = list(accumulate(steps, lambda total, step: max(0.0, total + step), initial=-level))
    return -np.asarray(sums[1:], dtype=np.float64)


def alarm_flags(
    low: np.ndarray, back: np.ndarray, before: AlarmState, on_delay: int, k_of_n: tuple[int, int] | None, off_delay: int
) -> tuple[np.ndarray, AlarmState]:
    """Whether the alarm is on at each sample of one stretch, and what is remembered after it.

    Parameters
    ----------
    low, back : ndarray of bool of shape (n,)
        Below the threshold; above threshold and deadband.
    before : AlarmState
        After the sample before the first one; time and level are left as they are.
    on_delay, k_of_n, off_delay
        As in :class:`sktransfer.Alarms`.
    """
    n = len(low)
    if n == 0:
        return np.zeros(0, dtype=bool), before
    low_runs, back_runs = _run_lengths(low, before.low), _run_lengths(back, before.back)
    recent: tuple[bool, ...] = ()
    if k_of_n is None:
        begins = low_runs >= on_delay
    else:
        k, width = k_of_n
        seen = np.concatenate([np.asarray(before.recent, dtype=bool), low])
        total = np.cumsum(np.concatenate([[0], seen]))
        end = np.arange(len(before.recent), len(seen)) + 1
        begins = (total[end] - total[np.maximum(end - width, 0)] >= k) & low
        recent = tuple(seen[len(seen) - min(len(seen), width - 1) :].tolist())
    # the last of both that happened decides; before any, it is as it was
    at = np.arange(1, n + 1)
    last_begin, last_end = (np.maximum.accumulate(one * at) for one in (begins, back_runs >= off_delay))
    on = np.where((last_begin == 0) & (last_end == 0), before.on, last_begin > last_end)
    after = replace(before, low=int(low_runs[-1]), back=int(back_runs[-1]), recent=recent, on=bool(on[-1]))
    return on, after


def _run_lengths(flags: np.ndarray, before: int) -> np.ndarray:
    """How many flags in a row are set up to each one, after `before` of them."""
    at = np.arange(1, len(flags) + 1)
    last = np.maximum.accumulate(np.where(flags, 0, at))
    return np.where(last > 0, at - last, at + before)
