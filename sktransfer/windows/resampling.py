"""Recordings made into stretches of samples at equal distances, without a gap.

::

    rows --> drop those with NaN --> sort by time --> repeated stamps --> split at gaps --> stated rate --> stretches
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from sktransfer.windows.recordings import Recording

_WHO = "SlidingWindows"
_SAME_RATE = 1e-3  # rates read off time stamps that differ by less are the same: clocks are not better
_COARSE = (
    0.1  # where more rows share the stamp of another but not its values, the clock is coarse and no row is repeated
)


@dataclass
class Rules:
    """What is done with stamps that are not as they should be; as in SlidingWindows."""

    max_gap: float | None
    jitter: float
    on_irregular: str
    duplicates: str
    missing: str


@dataclass
class Tidy:
    """A recording whose rows are in order.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,)
        Rows of the recording, by time.
    seconds : ndarray of shape (n_rows,) or None
        Since the first row.
    starts : ndarray
        Where a stretch begins, after a gap.
    rate : float or None
        Rows a second, in Hz.
    gaps : ndarray
        How long each gap is, in s.
    """

    recording: Recording
    values: np.ndarray
    rows: np.ndarray
    seconds: np.ndarray | None
    starts: np.ndarray
    rate: float | None
    gaps: np.ndarray


@dataclass
class Stretch:
    """Samples at equal distances, without a gap; `rows` are those of the recording nearest to each sample."""

    recording: Recording
    values: np.ndarray
    rows: np.ndarray
    time: np.ndarray | None


@dataclass
class Repairs:
    """How many rows, and of which recordings, needed a repair."""

    rows: Counter = field(default_factory=Counter)
    names: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, what: str, count: int, name: Any) -> None:
        """Count `count` more rows."""
        if count:
            self.rows[what] += count
            self.names.setdefault(what, []).append(name)


def tidy(one: Recording, rules: Rules, rate: float | None, repairs: Repairs) -> Tidy:
    """Rows in order of time, without repeats, and where gaps are; `rate` (Hz) holds where nothing else is known."""
    values, rows, seconds = one.values, np.arange(len(one.values)), _seconds(one.time)
    keep = _rows_to_keep(one, rules)
    if keep is not None:
        repairs.add("missing", len(values) - len(keep), one.name)
        values, rows = values[keep], keep
    if seconds is not None:
        seconds = seconds[rows]
        values, rows, seconds = _in_order(one, values, rows, seconds, rules, repairs)
        steps = np.diff(seconds)
    else:
        steps = np.diff(rows) / (one.rate or rate or 1.0) if keep is not None else np.zeros(0)
    if rules.max_gap is not None and seconds is None and keep is not None and (one.rate or rate) is None:
        raise ValueError(f"{_WHO}(max_gap={rules.max_gap:g}) is in seconds; set sampling_rate, or max_gap=None.")
    found = one.rate
    if found is None:
        found = _rate_of(steps) if seconds is not None and len(steps) else rate
    gap = rules.max_gap if rules.max_gap is not None else 1.5 / (found or 1.0)
    starts = np.r_[0, np.flatnonzero(steps > gap * (1 + 1e-9)) + 1] if len(rows) else np.zeros(0, dtype=np.intp)
    if seconds is None and keep is not None:
        seconds = rows / (one.rate or rate or 1.0)
    return Tidy(one, values, rows, seconds, starts, found, steps[starts[1:] - 1])


def _seconds(time: np.ndarray | None) -> np.ndarray | None:
    if time is None or time.dtype.kind != "M":
        return time
    return (time - time.min()).astype(np.int64) / 1e9 if len(time) else np.zeros(0)


def _rows_to_keep(one: Recording, rules: Rules) -> np.ndarray | None:
    """Rows without NaN, or None if all are; infinity is an error."""
    if one.values.dtype.kind != "f":
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(one.values, dtype=np.float64)):
            return None
    bad = np.isnan(one.values)
    if rules.missing == "keep" or not bad.any():
        return None
    share = bad.mean(axis=0)
    if rules.missing == "error" or share.max() == 1:
        worst = int(share.argmax())
        raise ValueError(
            f"{_WHO}: recording {one.name!r} holds NaN in {int(bad.any(axis=1).sum())} of {len(bad)} samples, most in "
            f"channel {worst} ({share[worst]:.0%}). Leave the channel out, or set missing='gap' (windows end before "
            "such samples) or 'keep'."
        )
    return np.flatnonzero(~bad.any(axis=1))


def _in_order(
    one: Recording, values: np.ndarray, rows: np.ndarray, seconds: np.ndarray, rules: Rules, repairs: Repairs
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    steps = np.diff(seconds)
    if (steps > 0).all():
        return values, rows, seconds
    if (steps < 0).any():
        repairs.add("unsorted", int((seconds < np.maximum.accumulate(seconds)).sum()), one.name)
        order = np.argsort(seconds, kind="stable")
        values, rows, seconds = values[order], rows[order], seconds[order]
    new = np.diff(seconds) > 0
    repeated = np.flatnonzero(~new)
    other = int((values[repeated] != values[repeated + 1]).any(axis=1).sum())  # not the same row once more
    if other > _COARSE * len(rows) or (len(repeated) and rules.duplicates == "error"):
        coarse = "If the clock is coarser than the rate, pass from_rate=... (Hz) and no time. "
        raise ValueError(
            f"{_WHO}: recording {one.name!r} has {len(repeated)} repeated time stamps in {len(rows)} rows, "
            f"{other} with other values. {coarse if other else ''}Else drop the repeated rows, or set "
            "duplicates='last' or 'mean'."
        )
    repairs.add("repeated", len(repeated), one.name)
    last = np.flatnonzero(np.r_[new, True])
    if rules.duplicates == "mean":
        first = np.flatnonzero(np.r_[True, new])
        values = np.add.reduceat(values.astype(np.float64), first, axis=0) / (last - first + 1)[:, None]
    else:
        values = values[last]
    return values, rows[last], seconds[last]


def _rate_of(steps: np.ndarray) -> float:
    """Rows a second where none are missing, from the distances of stamps in s: the mean of the ordinary ones."""
    return 1.0 / float(np.mean(steps[steps <= 1.5 * np.median(steps) * (1 + 1e-9)]))


def common_rate(found: list[Tidy]) -> float | None:
    """The rate of all recordings, in Hz; None if none is known.

    Raises
    ------
    ValueError
        If they differ, or are known of some only.
    """
    rates = [one.rate for one in found if one.rate is not None]
    if not rates:
        return None
    if len(rates) < len(found) or max(rates) > min(rates) * (1 + _SAME_RATE):
        raise ValueError(
            f"{_WHO}: the recordings have rates from {min(rates):.6g} to {max(rates):.6g} Hz"
            f"{'' if len(rates) == len(found) else ', and some none at all'}. Set sampling_rate, to which all are "
            "resampled."
        )
    rate = float(np.median(rates))
    return float(round(rate)) if abs(rate - round(rate)) < 1e-6 * rate else rate


def stretches(one: Tidy, rules: Rules, rate: float | None) -> Iterator[Stretch]:
    """The parts of a recording between gaps, at `rate` Hz."""
    for start, stop in pairwise([*one.starts, len(one.rows)]):
        yield _stretch(one, slice(start, stop), rules, rate)


def _stretch(one: Tidy, part: slice, rules: Rules, rate: float | None) -> Stretch:
    values, rows = one.values[part], one.rows[part]
    seconds = None if one.seconds is None else one.seconds[part]
    own = one.rate
    if own is not None and seconds is not None and len(rows) > 1 and _is_irregular(one, seconds, own, rules):
        # to a multiple of the rate, not below the recording's own, so that what lies between is averaged and not lost
        target = rate or own
        own = target * max(1, int(np.ceil(own / target * (1 - _SAME_RATE))))
        grid = seconds[0] + np.arange(int((seconds[-1] - seconds[0]) * own * (1 + 1e-12) + 1e-6) + 1) / own
        values = np.stack([np.interp(grid, seconds, values[:, j]) for j in range(values.shape[1])], axis=1)
        nearest = np.searchsorted((seconds[1:] + seconds[:-1]) / 2, grid)
        rows, seconds = rows[nearest], grid
    elif own is None or rate is None or abs(own / rate - 1) <= (1e-9 if one.recording.rate else _SAME_RATE):
        return Stretch(one.recording, values, rows, _time(one, rows, rate))
    return _at_rate(one, values, rows, 0.0 if seconds is None else seconds[0], own, rate or own)


def _is_irregular(one: Tidy, seconds: np.ndarray, rate: float, rules: Rules) -> bool:
    off = np.abs(np.diff(seconds) * rate - 1)
    # a stamp is no more precise than its last digit
    off -= 4 * np.spacing(np.abs(seconds).max()) * rate
    if off.max() <= rules.jitter:
        return False
    if rules.on_irregular == "resample":
        return True
    raise ValueError(
        f"{_WHO}: recording {one.recording.name!r} is irregular: {int((off > rules.jitter).sum())} of {len(off)} "
        f"distances between time stamps differ by more than {rules.jitter:.0%} from {1 / rate:.6g} s (by up to "
        f"{off.max():.0%}). Set on_irregular='resample', a larger jitter, or a smaller max_gap."
    )


def _at_rate(one: Tidy, values: np.ndarray, rows: np.ndarray, start: float, own: float, rate: float) -> Stretch:
    ratio = _ratio(rate / own)
    if ratio != 1:
        kind = np.float64 if values.dtype.kind == "f" and values.dtype.itemsize > 4 else np.float32
        values = resample_poly(
            values.astype(kind, copy=False), ratio.numerator, ratio.denominator, axis=0, padtype="line"
        )
        places = np.arange(len(values)) * (ratio.denominator / ratio.numerator)
        rows = rows[np.minimum(np.rint(places).astype(np.intp), len(rows) - 1)]
    seconds = start + np.arange(len(values)) / rate
    time = one.recording.time
    if time is not None and time.dtype.kind == "M":
        seconds = time.min() + np.rint(seconds * 1e9).astype("timedelta64[ns]")
    return Stretch(one.recording, values, rows, seconds)


def _ratio(wanted: float) -> Fraction:
    """The simplest fraction within 1e-4 of `wanted`."""
    large, inverse = max(wanted, 1 / wanted), wanted < 1
    for limit in (1, 10, 100, 1000, 10_000):
        found = Fraction(large).limit_denominator(limit)
        if abs(found / Fraction(large) - 1) <= 1e-6 if limit < 10_000 else True:
            break
    return 1 / found if inverse else found


def _time(one: Tidy, rows: np.ndarray, rate: float | None) -> np.ndarray | None:
    if one.recording.time is not None:
        return one.recording.time[rows]
    return None if rate is None else rows / rate
