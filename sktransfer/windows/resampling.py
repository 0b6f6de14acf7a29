"""Recordings made into segments of samples at equal distances, without a gap.

::

    clean:     rows --> drop those with NaN --> sort by time --> repeated stamps --> find gaps
    _segment:  rows between two gaps --> irregular stamps interpolated --> stated rate --> Segment

`cutter` is the :class:`SlidingWindows` whose parameters say what is done with NaN, repeated stamps, gaps and jitter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.windows.fields import SAME_RATE
from sktransfer.windows.recordings import Recording, digest

_NAME = "SlidingWindows"
# Where more than this fraction of the rows share the stamp of another row but not its values, the clock is coarse.
_COARSE = 0.1
_REPAIRS = {
    "missing": "hold NaN and are left out; windows end before them",
    "unsorted": "are not in the order of time and were sorted",
    "repeated": "repeat the time stamp of another and were joined",
}


@dataclass
class CleanRecording:
    """A recording whose rows are in the order of time.

    Attributes
    ----------
    recording : Recording
        The recording as it came.
    values : ndarray of shape (n_rows, n_channels)
    rows : ndarray of shape (n_rows,)
        Indices of the rows in the recording, by time.
    seconds : ndarray of shape (n_rows,) or None
        Time of the rows in s. None: samples at equal distances.
    starts : ndarray of shape (n_segments,)
        Where a segment begins, after a gap.
    rate : float or None
        Rows a second, in Hz.
    gaps : ndarray of shape (n_gaps,)
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
class Segment:
    """Samples of a recording at equal distances, without a gap.

    Attributes
    ----------
    recording : Recording
        The recording they come from.
    values : ndarray of shape (n_samples, n_channels)
    rows : ndarray of shape (n_samples,)
        Index of the row of the recording that is nearest to each sample.
    time : ndarray of shape (n_samples,) or None
        Stamps, or s since the start of the recording; None if no rate is known.
    """

    recording: Recording
    values: np.ndarray
    rows: np.ndarray
    time: np.ndarray | None


@dataclass
class RepairCounts:
    """How many rows of which recordings needed a repair: ``{repair: {recording: rows}}``."""

    found: dict[str, dict[Any, int]] = field(default_factory=dict)

    def add(self, repair: str, count: int, name: Any) -> None:
        """Count `count` rows of the recording `name`."""
        if count:
            self.found.setdefault(repair, {})[name] = count

    def warn(self, read: list[Recording]) -> None:
        """Warn once for each kind of repair."""
        n_rows = sum(len(one.values) for one in read)
        for repair, counts in self.found.items():
            warn_caller(
                f"{_NAME}: {sum(counts.values())} of {n_rows} samples in {len(counts)} of {len(read)} recordings "
                f"(such as {next(iter(counts))!r}) {_REPAIRS[repair]}.",
            )


def make_segments(read: list[Recording], cutter: Any) -> tuple[list[Segment], float | None]:
    """Segments of all recordings that hold at least one window, and their rate in Hz.

    Raises
    ------
    ValueError
        If a recording cannot be used, or no segment is long enough.

    Warns
    -----
    DataQualityWarning
        If samples were sorted, joined or left out, or recordings were too short; with counts.
    """
    counts = RepairCounts()
    cleaned = [clean(one, cutter, counts) for one in read]
    for one in cleaned:
        if one.recording.group is None:  # of what is cut: repaired rows of a recording are the same recording
            one.recording.group = digest(one.values)
    rate = cutter.sampling_rate if cutter.sampling_rate is not None else common_rate(cleaned, cutter.length)
    found, longest = [], {}
    for one in cleaned:
        if _is_too_short(one, cutter, rate):
            longest[one.recording.name] = len(one.rows)
            continue
        bounds = pairwise([*one.starts, len(one.rows)])
        segments = [_segment(one, slice(start, stop), cutter, rate) for start, stop in bounds]
        longest[one.recording.name] = max((len(segment.values) for segment in segments), default=0)
        found += [segment for segment in segments if len(segment.values) >= cutter.length]
    counts.warn(read)
    _judge_short(longest, np.concatenate([one.gaps for one in cleaned]), cutter)
    return found, rate


def _is_too_short(one: CleanRecording, cutter: Any, rate: float | None) -> bool:
    """Whether a recording has too few samples, at no rate or at another one than the others."""
    if len(one.rows) >= cutter.length or cutter.sampling_rate is not None or rate is None:
        return False
    return one.rate is None or abs(one.rate / rate - 1) > SAME_RATE


def _judge_short(longest: dict[Any, int], gaps: np.ndarray, cutter: Any) -> None:
    """Warn of recordings without a window, or raise; `longest` is the longest segment of each recording."""
    short = [name for name, n_samples in longest.items() if n_samples < cutter.length]
    if not short:
        return
    name = max(short, key=longest.__getitem__)
    text = (
        f"{_NAME}: {len(short)} of {len(longest)} recordings have no {cutter.length} samples without a gap; the "
        f"longest of them, {name!r}, has {longest[name]}."
    )
    if len(short) == len(longest):
        remedy = "Set a smaller length; recordings are (n_samples, n_channels)."
        if len(gaps):
            remedy = (
                f"There are {len(gaps)} gaps, half of them of at most {np.median(gaps):.4g} s: set a smaller "
                "length, or a larger max_gap with on_irregular='resample'."
            )
        raise ValueError(f"{text} No window is left. {remedy}")
    if cutter.short == "error":
        raise ValueError(f"{text} Set a smaller length, or short='drop'.")
    warn_caller(f"{text} They are left out.")


def clean(one: Recording, cutter: Any, counts: RepairCounts) -> CleanRecording:
    """Put the rows in the order of time, without NaN and repeats, and find the gaps."""
    clock = one.rate or cutter.sampling_rate  # holds where there are no time stamps
    rows = _complete_rows(one, cutter)
    incomplete = len(rows) < len(one.values)
    counts.add("missing", len(one.values) - len(rows), one.name)
    values = one.values[rows] if incomplete else one.values
    seconds, steps = None, np.zeros(0)
    if one.time is not None:
        values, rows, seconds = _in_order(one, values, rows, _seconds(one.time)[rows], cutter, counts)
        steps = np.diff(seconds)
    elif incomplete:
        if cutter.max_gap is not None and clock is None:
            raise ValueError(f"{_NAME}(max_gap={cutter.max_gap:g}) is in seconds; set sampling_rate, or max_gap=None.")
        seconds, steps = rows / (clock or 1.0), np.diff(rows) / (clock or 1.0)
    rate = one.rate
    if rate is None:
        rate = _rate_of(steps) if one.time is not None and len(steps) else cutter.sampling_rate
    gap = cutter.max_gap if cutter.max_gap is not None else 1.5 / (rate or 1.0)
    starts = np.r_[0, np.flatnonzero(steps > gap * (1 + 1e-9)) + 1] if len(rows) else np.zeros(0, dtype=np.intp)
    return CleanRecording(one, values, rows, seconds, starts, rate, steps[starts[1:] - 1])


def _complete_rows(one: Recording, cutter: Any) -> np.ndarray:
    """Indices of the rows without NaN; of all rows if NaN is kept."""
    every = np.arange(len(one.values))
    if one.values.dtype.kind != "f" or cutter.missing == "keep":
        return every
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(one.values, dtype=np.float64)):  # no array of bad cells where there are none
            return every
    bad = np.isnan(one.values)
    share = bad.mean(axis=0)
    if share.max() == 1 or (cutter.missing == "error" and bad.any()):
        worst = int(share.argmax())
        label = worst if one.channels is None else repr(one.channels[worst])
        raise ValueError(
            f"{_NAME}: recording {one.name!r} holds NaN in {int(bad.any(axis=1).sum())} of {len(bad)} samples, most in "
            f"channel {label} ({share[worst]:.0%}). Leave the channel out, or set missing='gap' (windows end before "
            "such samples) or 'keep'."
        )
    return np.flatnonzero(~bad.any(axis=1))


def _in_order(
    one: Recording, values: np.ndarray, rows: np.ndarray, seconds: np.ndarray, cutter: Any, counts: RepairCounts
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, rows and seconds by time, one row a time stamp."""
    steps = np.diff(seconds)
    if (steps > 0).all():
        return values, rows, seconds
    if (steps < 0).any():
        counts.add("unsorted", int((seconds < np.maximum.accumulate(seconds)).sum()), one.name)
        order = np.argsort(seconds, kind="stable")
        values, rows, seconds = values[order], rows[order], seconds[order]
    new = np.diff(seconds) > 0
    repeated = np.flatnonzero(~new)
    other = int((values[repeated] != values[repeated + 1]).any(axis=1).sum())  # not the same row once more
    if other > _COARSE * len(rows) or (len(repeated) and cutter.duplicates == "error"):
        coarse = "If the clock is coarser than the rate, pass from_rate=... (Hz) and no time. "
        raise ValueError(
            f"{_NAME}: recording {one.name!r} has {len(repeated)} repeated time stamps in {len(rows)} rows, "
            f"{other} with other values. {coarse if other else ''}Else drop the repeated rows, or set "
            "duplicates='last' or 'mean'."
        )
    counts.add("repeated", len(repeated), one.name)
    last = np.flatnonzero(np.r_[new, True])
    if cutter.duplicates == "mean":
        first = np.flatnonzero(np.r_[True, new])
        values = np.add.reduceat(values.astype(np.float64), first, axis=0) / (last - first + 1)[:, None]
    else:
        values = values[last]
    return values, rows[last], seconds[last]


def _seconds(time: np.ndarray) -> np.ndarray:
    """Stamps in s: numbers as they are, datetimes since the first of all."""
    if time.dtype.kind != "M":
        return time
    return (time - time.min()).astype(np.int64) / 1e9 if len(time) else np.zeros(0)


def _rate_of(steps: np.ndarray) -> float:
    """Rows a second, from the distances of stamps in s: one over the mean of those that skip no row."""
    return 1.0 / float(np.mean(steps[steps <= 1.5 * np.median(steps) * (1 + 1e-9)]))


def common_rate(cleaned: list[CleanRecording], length: int = 1) -> float | None:
    """The rate of all recordings, in Hz; None if none is known.

    A single stamp tells no rate. Recordings of fewer samples than `length` have no say where others have more.

    Raises
    ------
    ValueError
        If they differ, or are known of some only.
    """
    cleaned = [one for one in cleaned if len(one.rows) > 1 or one.rate is not None or one.recording.time is None]
    cleaned = [one for one in cleaned if len(one.rows) >= length] or cleaned
    rates = [one.rate for one in cleaned if one.rate is not None]
    if not rates:
        return None
    if len(rates) < len(cleaned) or max(rates) > min(rates) * (1 + SAME_RATE):
        raise ValueError(
            f"{_NAME}: the recordings have rates from {min(rates):.6g} to {max(rates):.6g} Hz"
            f"{'' if len(rates) == len(cleaned) else ', and some none at all'}. Set sampling_rate, to which all are "
            "resampled."
        )
    rate = float(np.median(rates))
    return float(round(rate)) if abs(rate - round(rate)) < 1e-6 * rate else rate


def _segment(one: CleanRecording, part: slice, cutter: Any, rate: float | None) -> Segment:
    """A part of a recording between two gaps, at `rate` Hz."""
    values, rows = one.values[part], one.rows[part]
    seconds = None if one.seconds is None else one.seconds[part]
    own = one.rate
    if own is not None and seconds is not None and len(rows) > 1 and _is_irregular(one, seconds, own, cutter):
        # Interpolated at a multiple of the target rate, not below the recording's own rate. The anti-aliasing filter
        # then averages what lies between two samples of the target, which interpolation alone would skip.
        target = rate or own
        own = target * max(1, int(np.ceil(own / target * (1 - SAME_RATE))))
        grid = seconds[0] + np.arange(int((seconds[-1] - seconds[0]) * own * (1 + 1e-12) + 1e-6) + 1) / own
        values = np.stack([np.interp(grid, seconds, values[:, j]) for j in range(values.shape[1])], axis=1)
        nearest = np.searchsorted((seconds[1:] + seconds[:-1]) / 2, grid)
        rows, seconds = rows[nearest], grid
    elif own is None or rate is None or abs(own / rate - 1) <= (1e-9 if one.recording.rate else SAME_RATE):
        time = one.recording.time[rows] if one.recording.time is not None else None if rate is None else rows / rate
        return Segment(one.recording, values, rows, time)
    return _at_rate(one, values, rows, 0.0 if seconds is None else seconds[0], own, rate or own)


def _is_irregular(one: CleanRecording, seconds: np.ndarray, rate: float, cutter: Any) -> bool:
    """Whether the distances of stamps differ from 1 / `rate` by more than the jitter; if that is an error, raise."""
    off = np.abs(np.diff(seconds) * rate - 1)
    # a stamp is no more precise than its last digit
    off -= 4 * np.spacing(np.abs(seconds).max()) * rate
    if off.max() <= cutter.jitter:
        return False
    if cutter.on_irregular == "resample":
        return True
    raise ValueError(
        f"{_NAME}: recording {one.recording.name!r} is irregular: {int((off > cutter.jitter).sum())} of {len(off)} "
        f"distances between time stamps differ by more than {cutter.jitter:.0%} from {1 / rate:.6g} s (by up to "
        f"{off.max():.0%}). Set on_irregular='resample', a larger jitter, or a smaller max_gap."
    )


def _at_rate(
    one: CleanRecording, values: np.ndarray, rows: np.ndarray, start: float, own: float, rate: float
) -> Segment:
    """Samples at `own` Hz that begin `start` s into the recording, resampled to `rate` Hz."""
    ratio = _ratio(rate / own)
    if ratio != 1:
        kind = np.float64 if values.dtype.kind == "f" and values.dtype.itemsize > 4 else np.float32
        values = resample_poly(values.astype(kind, copy=False), *ratio.as_integer_ratio(), axis=0, padtype="line")
        positions = np.arange(len(values)) * (ratio.denominator / ratio.numerator)
        rows = rows[np.minimum(np.rint(positions).astype(np.intp), len(rows) - 1)]
    seconds = start + np.arange(len(values)) / rate
    time = one.recording.time
    if time is not None and time.dtype.kind == "M":
        seconds = time.min() + np.rint(seconds * 1e9).astype("timedelta64[ns]")
    return Segment(one.recording, values, rows, seconds)


def _ratio(wanted: float) -> Fraction:
    """The simplest fraction within 1e-6 of `wanted`; its smaller number is at most 10,000."""
    large = Fraction(max(wanted, 1 / wanted))
    for limit in (1, 10, 100, 1000, 10_000):
        found = large.limit_denominator(limit)
        if abs(found / large - 1) <= 1e-6:
            break
    return 1 / found if wanted < 1 else found
