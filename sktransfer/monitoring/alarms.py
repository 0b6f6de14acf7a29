"""Alarms: scores of single samples become alarms that an operator can live with.

::

    scores --filter--> below the threshold? --on-delay--> alarm on --off-delay, deadband--> alarm off
    healthy scores, alarms a day --> threshold
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sktransfer.exceptions import DataQualityWarning
from sktransfer.monitoring.alarm_state import AlarmState, alarm_flags, sums_below, weighted_means
from sktransfer.monitoring.segments import GAP_STEPS, check_times, days_watched, segments, usual_gap
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.parameters import Interval, StrOptions

_N_THRESHOLDS = 400  # that are tried


class Alarms(Checksummed, BaseEstimator):
    """Turn scores over time into alarms, within a budget of false alarms a day.

    A single unusual sample is no alarm. An alarm begins where the score is below the threshold for `on_delay` samples
    in a row (or `k` of the last `n`), and ends where it is back above it, by the `deadband`, for `off_delay` samples.
    None of this looks from one machine to another, and of what was before a gap in time nothing counts but that an
    alarm was on: it stays on behind the gap, until `off_delay` samples in a row are back above the threshold.

    Parameters
    ----------
    alarms_per_day : float, default=0.1
        False alarms a day and machine that are acceptable; the threshold is the most sensitive one that keeps to it, by
        the healthy scores of ``fit`` and one standard error of their number of alarms.
    on_delay : int, default=3
        Samples in a row below the threshold that begin an alarm.
    k_of_n : tuple of two int or None, default=None
        ``(k, n)``: `k` of the last `n` samples below the threshold begin one, in place of `on_delay`.
    off_delay : int, default=10
        Samples in a row above the threshold and the deadband that end it.
    deadband : float, default=0.0
        How far above the threshold a score must be to count as back, as a share of the standard deviation of the
        healthy scores.
    filter : {"none", "ewma", "cusum"}, default="none"
        What is compared with the threshold: the scores; their exponentially weighted mean, for slow drifts in noise; or
        minus the cumulative sum of how far they lie below their healthy mean, less `slack`.
    smoothing : float, default=0.2
        Weight of the newest score in the exponentially weighted mean, above 0 and at most 1.
    slack : float, default=0.5
        Of the cumulative sum, in standard deviations of the healthy scores.
    max_gap : float or None, default=None
        Longest step in time, in seconds, that is no gap; None: three times the median step of the healthy scores.

    Attributes
    ----------
    threshold_ : float
        An alarm is about filtered scores below it.
    max_gap_ : float
        Longest step in time, in seconds, that is no gap.
    mean_, std_ : float
        Of the healthy scores.
    false_alarms_per_day_ : float
        On the scores of ``fit``; below `alarms_per_day` by a standard error, so that later days keep to it, too.
    n_days_ : float
        Machine days of ``fit``.

    Notes
    -----
    A budget of 0.1 alarms a day says something after ten days of healthy scores; with fewer the threshold is the one
    that raises none, and a warning says so. With up to 34 days it raises none, either: one alarm, and a standard
    error, would be more than the budget. Take healthy scores that the detector was not fitted to.

    References
    ----------
    ISA-18.2 (2016). Management of alarm systems for the process industries: delays and deadbands.
    Page (1954). Continuous inspection schemes. Biometrika 41, 100-115. doi:10.1093/biomet/41.1-2.100.
    Roberts (1959). Control chart tests based on geometric moving averages. Technometrics 1, 239-250.
    doi:10.1080/00401706.1959.10489860.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import Alarms
    >>> minutes = np.arange(30 * 1440) * 60.0
    >>> healthy = np.random.default_rng(0).normal(size=len(minutes))
    >>> alarms = Alarms(alarms_per_day=0.1, on_delay=3, off_delay=10).fit(healthy, time=minutes)
    >>> fault = np.where(np.arange(600) >= 300, -6.0, 0.0) + healthy[:600]
    >>> state = alarms.transform(fault, time=minutes[:600])
    >>> int(np.flatnonzero(state)[0])
    302
    """

    _parameter_constraints: dict[str, Any] = {
        "alarms_per_day": [Interval(Real, 0, None, closed="left")],
        "on_delay": [Interval(Integral, 1, None, closed="left")],
        "k_of_n": [tuple, None],
        "off_delay": [Interval(Integral, 1, None, closed="left")],
        "deadband": [Interval(Real, 0, None, closed="left")],
        "filter": [StrOptions({"none", "ewma", "cusum"})],
        "smoothing": [Interval(Real, 0, 1, closed="right")],
        "slack": [Interval(Real, 0, None, closed="left")],
        "max_gap": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        *,
        alarms_per_day=0.1,
        on_delay=3,
        k_of_n=None,
        off_delay=10,
        deadband=0.0,
        filter="none",
        smoothing=0.2,
        slack=0.5,
        max_gap=None,
    ):
        self.alarms_per_day = alarms_per_day
        self.on_delay = on_delay
        self.k_of_n = k_of_n
        self.off_delay = off_delay
        self.deadband = deadband
        self.filter = filter
        self.smoothing = smoothing
        self.slack = slack
        self.max_gap = max_gap

    def fit(self, scores, y=None, *, time, machine=None):
        """Set the threshold by healthy scores.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            ``score_samples`` of a detector: larger is more usual.
        y : ignored
        time : array-like of shape (n_samples,)
            Datetimes, or seconds.
        machine : array-like of shape (n_samples,), optional
            Machine of each score.

        Returns
        -------
        self : Alarms

        Raises
        ------
        ValueError
            For wrong lengths, missing scores or times, and time that runs backwards on a machine.
        """
        self._validate_params()
        scores, seconds, segment = self._checked(scores, time, machine, self.max_gap)
        if len(scores) < 2:
            raise ValueError(f"Alarms needs at least 2 healthy scores; got {len(scores)}.")
        self.mean_, self.std_ = float(scores.mean()), float(scores.std())
        self.max_gap_ = usual_gap(seconds, machine) if self.max_gap is None else float(self.max_gap)
        self.n_days_ = float(days_watched(seconds, segment).sum())
        stretches, of = _stretches(segment), _numbers(machine, len(scores))
        filtered = np.empty_like(scores)
        for rows in stretches:
            filtered[rows] = self._filtered(scores[rows], self._at_rest(0.0).level)
        allowed = self.alarms_per_day * self.n_days_
        # the lower, the denser: there an alarm a week is told from one a day
        ranks = np.unique(np.geomspace(1, len(filtered), _N_THRESHOLDS).astype(np.int64)) - 1
        candidates = np.unique(np.sort(filtered)[ranks])
        self.threshold_, count = float(candidates[0]), 0  # nothing lies below the least score
        for candidate in candidates[1:]:
            n = self._n_alarms(filtered, stretches, of, float(candidate))
            # where n alarms are just reached n + 1 are expected on other days, and such a count is known to its root
            if n > 0 and n + 1 + np.sqrt(n + 1) > allowed:
                break
            self.threshold_, count = float(candidate), n
        self.false_alarms_per_day_ = count / self.n_days_ if self.n_days_ > 0 else 0.0
        if allowed < 1:
            days = "more" if self.alarms_per_day == 0 else f"at least {1 / self.alarms_per_day:.3g}"
            warn_caller(
                f"Alarms: {self.alarms_per_day:g} alarms a day can be told from none on {days} days of healthy scores, "
                f"and there are {self.n_days_:.3g}. The threshold is the most sensitive one that raises none on them.",
                DataQualityWarning,
            )
        return self

    def transform(self, scores, *, time, machine=None):
        """Whether an alarm is on at each sample.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
        time : array-like of shape (n_samples,)
        machine : array-like of shape (n_samples,), optional

        Returns
        -------
        ndarray of bool of shape (n_samples,)
        """
        on, _ = self.update(scores, time=time, machine=machine)
        self._warn_of_gaps(time, machine, len(on))
        return on

    def update(self, scores, *, time, machine=None, states=None):
        """Go on from what was remembered: the alarms of a job that gets its scores piece by piece.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
        time : array-like of shape (n_samples,)
        machine : array-like of shape (n_samples,), optional
        states : dict of machine to AlarmState, optional
            What the call before has returned; None: nothing was seen before.

        Returns
        -------
        on : ndarray of bool of shape (n_samples,)
            As :meth:`transform` of all samples in one piece.
        states : dict of machine to AlarmState
            To go on with; the key of scores without `machine` is None. Machines without a new score keep theirs.

        Raises
        ------
        ValueError
            Also for a score that is older than what its machine has shown before.
        """
        check_is_fitted(self)
        scores, seconds, segment = self._checked(scores, time, machine, self.max_gap_)
        of = np.full(len(scores), None, dtype=object) if machine is None else np.asarray(machine, dtype=object)
        on, found = np.zeros(len(scores), dtype=bool), dict(states or {})
        for rows in _stretches(segment):
            name, first = of[rows[0]], float(seconds[rows[0]])
            before = found.get(name)
            if before is not None and first <= before.time:
                raise ValueError(
                    f"Alarms: a score of {'the machine' if name is None else f'machine {name!r}'} is not later than "
                    "what was seen of it before. Pass later scores, or the states of before them."
                )
            if before is None or first - before.time > self.max_gap_:
                before = self._at_rest(first, before is not None and before.on)
            filtered = self._filtered(scores[rows], before.level)
            on[rows], after = self._flags(filtered, before, self.threshold_)
            found[name] = replace(after, time=float(seconds[rows[-1]]), level=float(filtered[-1]))
        return on, found

    def report(self, scores, faulty, *, time, machine=None):
        """How the alarms do on samples of which the truth is known.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
        faulty : array-like of shape (n_samples,)
            Whether the machine is faulty; a fault is a stretch of such samples.
        time : array-like of shape (n_samples,)
        machine : array-like of shape (n_samples,), optional

        Returns
        -------
        dict
            ``n_faults``, ``missed`` (faults without an alarm while they last), ``delay`` (median time from the begin of
            a found fault to an alarm, in seconds; NaN without one), ``false_alarms`` (alarms that begin on a healthy
            sample) and ``false_alarms_per_day`` of healthy operation.
        """
        check_is_fitted(self)
        scores, seconds, segment = self._checked(scores, time, machine, self.max_gap_)
        truth = np.asarray(faulty).astype(bool)
        if truth.shape != scores.shape:
            raise ValueError(f"Alarms got faulty of shape {truth.shape}; expected {scores.shape}, one a score.")
        state = self.transform(scores, time=time, machine=machine)
        order = np.lexsort((seconds, segment))
        state, truth, seconds, segment = state[order], truth[order], seconds[order], segment[order]
        begins = _begins(state, _numbers(machine, len(state))[order])  # one that stays on over a gap is no other one
        false = int((begins & ~truth).sum())
        delays, missed = [], 0
        starts = np.flatnonzero(_begins(truth, segment))
        number = np.cumsum(_begins(truth, segment)) * truth
        for k, start in enumerate(starts, start=1):
            on = np.flatnonzero((number == k) & state)
            missed += not len(on)
            delays += [float(seconds[on[0]] - seconds[start])] if len(on) else []
        healthy_days = float(days_watched(seconds, segment)[~truth].sum())
        return {
            "n_faults": len(starts),
            "missed": missed,
            "delay": float(np.median(delays)) if delays else float("nan"),
            "false_alarms": false,
            "false_alarms_per_day": false / healthy_days if healthy_days else float("nan"),
        }

    # ---- parts

    def _validate_params(self) -> None:
        super()._validate_params()
        if self.k_of_n is None:
            return
        good = len(self.k_of_n) == 2 and all(isinstance(one, Integral) for one in self.k_of_n)
        if not (good and 1 <= self.k_of_n[0] <= self.k_of_n[1]):
            raise ValueError(
                "The 'k_of_n' parameter of Alarms must be None or (k, n) with 1 <= k <= n. "
                f"Got {self.k_of_n!r} instead."
            )

    def _checked(
        self, scores: Any, time: Any, machine: Any, max_gap: float | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores, seconds, and the stretch of each sample."""
        found = np.asarray(scores, dtype=np.float64)
        if found.ndim != 1:
            raise ValueError(f"Alarms got scores of shape {found.shape}; expected (n_samples,), one a sample.")
        if np.isnan(found).any():
            raise ValueError(
                f"Alarms: {int(np.isnan(found).sum())} of {len(found)} scores are NaN. A sample that could not be "
                "scored is no healthy one: leave it out, so that a gap is seen."
            )
        seconds = check_times("Alarms", time, len(found))
        of = None if machine is None else np.asarray(machine)
        if of is not None and of.shape != found.shape:
            raise ValueError(f"Alarms got machine of shape {of.shape}; expected {found.shape}, one a score.")
        return found, seconds, segments("Alarms", seconds, of, max_gap)

    def _at_rest(self, time: float, on: bool = False) -> AlarmState:
        """Before the first sample of a stretch: a filter that has seen healthy scores, and an alarm as it was."""
        return AlarmState(time, self.mean_ if self.filter == "ewma" else 0.0, on=on)

    def _filtered(self, scores: np.ndarray, level: float) -> np.ndarray:
        """What is compared with the threshold, of one stretch."""
        if self.filter == "ewma":
            return weighted_means(scores, float(self.smoothing), level)
        if self.filter == "cusum":
            return sums_below(scores, self.mean_ - self.slack * self.std_, level)
        return scores

    def _flags(self, filtered: np.ndarray, before: AlarmState, threshold: float) -> tuple[np.ndarray, AlarmState]:
        """Whether an alarm is on, of one stretch."""
        back = filtered >= threshold + self.deadband * self.std_
        return alarm_flags(filtered < threshold, back, before, self.on_delay, self.k_of_n, self.off_delay)

    def _n_alarms(self, filtered: np.ndarray, stretches: list[np.ndarray], of: np.ndarray, threshold: float) -> int:
        """Alarms that begin; one that is on before a gap goes on behind it."""
        count, on, machine = 0, False, -1
        for rows in stretches:
            on = on and of[rows[0]] == machine
            flags, after = self._flags(filtered[rows], self._at_rest(0.0, on), threshold)
            count += int(flags[0] and not on) + int((flags[1:] & ~flags[:-1]).sum())
            on, machine = after.on, of[rows[0]]
        return count

    def _warn_of_gaps(self, time: Any, machine: Any, n: int) -> None:
        """Scores of another rate than those of fit: each is a stretch of its own, in which no delay is ever over."""
        usual = usual_gap(check_times("Alarms", time, n), machine) / GAP_STEPS if n else 0.0
        if usual > self.max_gap_ and (self.on_delay > 1 or self.k_of_n is not None):
            warn_caller(
                f"Alarms: the usual step of time of these {n} scores, {usual:g} s, is a gap, longer than "
                f"{self.max_gap_:g} s, so that no alarm can begin. Fit it to scores of this rate, or pass max_gap=.",
                DataQualityWarning,
            )


def _stretches(segment: np.ndarray) -> list[np.ndarray]:
    """Sample numbers of each stretch, in order."""
    order = np.argsort(segment, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(segment[order])) + 1) if len(order) else []


def _numbers(machine: Any, n: int) -> np.ndarray:
    """A number for the machine of each sample."""
    return np.zeros(n, dtype=np.int64) if machine is None else np.unique(np.asarray(machine), return_inverse=True)[1]


def _begins(state: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Where a state begins, also at the begin of a stretch or machine."""
    before = np.concatenate([[False], state[:-1] & (segment[1:] == segment[:-1])])
    return state & ~before
