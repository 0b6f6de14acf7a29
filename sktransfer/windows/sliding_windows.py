"""SlidingWindows: recordings in, windows with their labels and groups out.

::

    recordings --> in order of time --> split at gaps --> stated rate --> windows --> X, y, groups
                   (sort, repeats)      (and at NaN)      (anti-aliased)   (label rule)
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.parameters import Interval, StrOptions
from sktransfer.windows import labels as _cutting
from sktransfer.windows import resampling as _resampling
from sktransfer.windows.recordings import Columns, Recording, read_recordings, refuse_future
from sktransfer.windows.resampling import Repairs, Rules, Stretch
from sktransfer.windows.windows import Windows

_REPAIRS = {
    "missing": "hold NaN and are left out; windows end before them",
    "unsorted": "are not in the order of time and were sorted",
    "repeated": "repeat the time stamp of another and were joined",
}


class SlidingWindows(BaseEstimator):
    """Cut recordings into windows of equal length.

    A window never bridges a gap and never mixes two recordings. The rate changes only where time stamps or
    ``from_rate`` say that it differs from `sampling_rate`.

    Parameters
    ----------
    length : int
        Samples in a window, at the rate of the windows.
    step : int or None, default=None
        Samples from the start of one window to that of the next; None: `length`, windows that do not overlap. Windows
        that overlap are no independent samples: split them by `groups`.
    sampling_rate : float or None, default=None
        Rate of the windows in Hz. None: the rate of the recordings, which must then all have the same.
    label_rule : {"majority", "any", "last"}, default="majority"
        Label of a window whose samples have labels of their own: the most frequent (of equals the one that comes
        last), any fault (the most frequent label other than `normal_label`, if there is one), or that of the last
        sample (the only rule for numbers to be regressed on).
    normal_label : object, default=None
        The healthy label; needed for ``label_rule="any"``.
    max_gap : float or None, default=None
        Longest distance in s between two samples of a window. None: 1.5 sampling periods, so that one missing sample
        is a gap.
    jitter : float, default=0.05
        Share of the sampling period by which the distance of two time stamps may differ from it.
    on_irregular : {"error", "resample"}, default="error"
        What larger jitter does: an error, or linear interpolation to the rate of the windows between gaps.
    duplicates : {"last", "mean", "error"}, default="last"
        Rows of a recording with the same time stamp: the last one that came, their mean (with the label of the last),
        or an error.
    missing : {"gap", "error", "keep"}, default="gap"
        A sample with NaN in any channel: it counts as not recorded, is an error, or stays. Infinity is an error.
    short : {"drop", "error"}, default="drop"
        A recording without a single window: left out with a warning that counts them, or an error.
    dtype : {"float32", "float64"}, default="float32"
        Type of the windows. Networks compute in float32, and 16-bit samples are exact in it. A channel whose offset is
        more than 1e4 times its spread needs float64.

    See Also
    --------
    LaggedWindows : The same for a wide table that already holds lagged columns.

    Notes
    -----
    Memory: the recordings, and ``n_windows * n_channels * length`` numbers; nothing else is copied unless rows are
    sorted, left out or resampled. Rates that were read off time stamps and differ by less than 0.1 % are the same.
    Resampling is polyphase with an anti-aliasing filter (``scipy.signal.resample_poly``), between gaps only; the first
    and last ten samples next to a gap (at the lower rate) are less exact.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import SlidingWindows
    >>> recordings = {"a": np.zeros(1000), "b": np.ones(700)}
    >>> X, y, groups = SlidingWindows(300, 200, sampling_rate=100).cut(recordings, {"a": "normal", "b": "leak"})
    >>> X.shape, X.sampling_rate, X.time.tolist()
    ((7, 1, 300), 100.0, [2.99, 4.99, 6.99, 8.99, 2.99, 4.99, 6.99])
    >>> y.tolist(), groups.tolist()
    (['normal', 'normal', 'normal', 'normal', 'leak', 'leak', 'leak'], ['a', 'a', 'a', 'a', 'b', 'b', 'b'])
    """

    _parameter_constraints: dict[str, Any] = {
        "length": [Interval(Integral, 1, None, closed="left")],
        "step": [Interval(Integral, 1, None, closed="left"), None],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "label_rule": [StrOptions({"majority", "any", "last"})],
        "normal_label": "no_validation",
        "max_gap": [Interval(Real, 0, None, closed="neither"), None],
        "jitter": [Interval(Real, 0, 1, closed="left")],
        "on_irregular": [StrOptions({"error", "resample"})],
        "duplicates": [StrOptions({"last", "mean", "error"})],
        "missing": [StrOptions({"gap", "error", "keep"})],
        "short": [StrOptions({"drop", "error"})],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    def __init__(
        self,
        length,
        step=None,
        *,
        sampling_rate=None,
        label_rule="majority",
        normal_label=None,
        max_gap=None,
        jitter=0.05,
        on_irregular="error",
        duplicates="last",
        missing="gap",
        short="drop",
        dtype="float32",
    ):
        self.length = length
        self.step = step
        self.sampling_rate = sampling_rate
        self.label_rule = label_rule
        self.normal_label = normal_label
        self.max_gap = max_gap
        self.jitter = jitter
        self.on_irregular = on_irregular
        self.duplicates = duplicates
        self.missing = missing
        self.short = short
        self.dtype = dtype

    def cut(
        self,
        recordings,
        labels=None,
        *,
        recording=None,
        machine=None,
        time=None,
        channels=None,
        from_rate=None,
        rpm=None,
        orders=None,
        now=None,
        clock_tolerance=60.0,
        return_machines=False,
    ):
        """Cut all recordings.

        What holds for a recording (`labels`, `machine`, `from_rate`, `rpm`, `orders`) is one value for all, a sequence
        in the order of the recordings, or a dict by their ids.

        Parameters
        ----------
        recordings : list or dict of arrays or frames, or DataFrame
            Arrays of shape (n_samples,) or (n_samples, n_channels), by name if a dict; frames with one row a sample;
            or one long frame of all recordings.
        labels : array-like, dict or str, optional
            One label a recording, an array of shape (n_samples,) for each recording, one label a row of the long
            frame, or the name of a column.
        recording : str, optional
            Column with the id of the recording. None: every frame is one recording.
        machine : str, array-like or dict, optional
            Column with the id of the machine, or one id a recording. Without `recording`, all rows of a machine are
            one recording.
        time : str or list of array-like, optional
            Column (or index) with the time stamps, or the time stamps of each recording: datetimes, text as in ISO
            8601, or numbers in s. None: the index, if it holds datetimes, else samples at equal distances. Time zones
            are converted to UTC.
        channels : list of str, optional
            Columns with the signals. None: all columns not named by another argument.
        from_rate : float, array-like or dict, optional
            Rate of the recordings in Hz. None: read off the time stamps, or `sampling_rate` where there are none.
        rpm : float, array-like, dict or str, optional
            Speed of the shaft in rpm; arrays of shape (n_samples,) and columns are averaged over each window.
        orders : BearingGeometry, array-like of shape (4,) or (n_recordings, 4), list or dict of these, optional
            Fault orders of the bearing, see :class:`Windows`.
        now : datetime or float, optional
            The time of the clock; later stamps are an error. None: not checked.
        clock_tolerance : float, default=60.0
            Seconds by which a time stamp may lie after `now`.
        return_machines : bool, default=False
            Whether the machine of each window is returned too.

        Returns
        -------
        X : Windows of shape (n_windows, n_channels, length)
            With ``sampling_rate`` (Hz), ``time`` of each last sample (stamps, or s since the start of the recording;
            None if no rate is known), and ``rpm`` and ``orders`` if passed.
        y : ndarray of shape (n_windows,) or None
            None without `labels`.
        groups : ndarray of shape (n_windows,)
            Ids of the recordings; ``"machine/recording"`` if two machines use the same ones.
        machines : ndarray of shape (n_windows,)
            Only if `return_machines`; ids of the machines.

        Raises
        ------
        ValueError
            If a recording cannot be used, or none gives a window.

        Warns
        -----
        DataQualityWarning
            If samples were sorted, joined or left out, or recordings were too short; with counts.
        """
        self._validate_params()
        if self.label_rule == "any" and self.normal_label is None:
            raise ValueError("SlidingWindows(label_rule='any') needs normal_label, the label that is no fault.")
        if return_machines and machine is None:
            raise ValueError("SlidingWindows.cut(return_machines=True) needs machine: a column, or one a recording.")
        read = read_recordings(recordings, Columns(recording, machine, time, channels, labels, rpm), from_rate, orders)
        refuse_future(read, now, clock_tolerance)
        parts, rate = self._stretches(read)
        ends = [_cutting.last_samples(part, self.length, self._step()) for part in parts]
        X = self._windows(parts, ends, rate, with_rpm=rpm is not None, with_orders=orders is not None)
        y = None
        if labels is not None:
            rule = (self.length, self.label_rule, self.normal_label)
            y = _cutting.joined([_cutting.cut_labels(p, e, *rule) for p, e in zip(parts, ends, strict=True)])
        groups = _cutting.repeated([part.recording.name for part in parts], ends)
        if return_machines:
            return X, y, groups, _cutting.repeated([part.recording.machine for part in parts], ends)
        return X, y, groups

    def _step(self) -> int:
        return self.length if self.step is None else self.step

    def _stretches(self, read: list[Recording]) -> tuple[list[Stretch], float | None]:
        """Stretches with at least one window, and their rate in Hz."""
        rules = Rules(self.max_gap, self.jitter, self.on_irregular, self.duplicates, self.missing)
        repairs = Repairs()
        found = [_resampling.tidy(one, rules, self.sampling_rate, repairs) for one in read]
        rate = self.sampling_rate if self.sampling_rate is not None else _resampling.common_rate(found)
        parts, longest = [], []
        for one in found:
            here = list(_resampling.stretches(one, rules, rate))
            longest.append(max((len(part.values) for part in here), default=0))
            parts += [part for part in here if len(part.values) >= self.length]
        self._warn_of_repairs(repairs, sum(len(one.values) for one in read), len(read))
        self._judge_short([one.name for one in read], longest, np.concatenate([one.gaps for one in found]))
        return parts, rate

    def _warn_of_repairs(self, repairs: Repairs, n_rows: int, n_recordings: int) -> None:
        for what, count in repairs.rows.items():
            names = repairs.names[what]
            warnings.warn(
                f"SlidingWindows: {count} of {n_rows} samples in {len(names)} of {n_recordings} recordings (such as "
                f"{names[0]!r}) {_REPAIRS[what]}.",
                DataQualityWarning,
                stacklevel=4,
            )

    def _judge_short(self, names: list[Any], longest: list[int], gaps: np.ndarray) -> None:
        short = [(name, n) for name, n in zip(names, longest, strict=True) if n < self.length]
        if not short:
            return
        name, n_samples = max(short, key=lambda pair: pair[1])
        text = (
            f"SlidingWindows: {len(short)} of {len(names)} recordings have no {self.length} samples without a gap; the "
            f"longest of them, {name!r}, has {n_samples}."
        )
        if len(short) == len(names):
            mend = "Set a smaller length; recordings are (n_samples, n_channels)."
            if len(gaps):
                mend = (
                    f"There are {len(gaps)} gaps, half of them of at most {np.median(gaps):.4g} s: set a smaller "
                    "length, or a larger max_gap with on_irregular='resample'."
                )
            raise ValueError(f"{text} No window is left. {mend}")
        if self.short == "error":
            raise ValueError(f"{text} Set a smaller length, or short='drop'.")
        warnings.warn(f"{text} They are left out.", DataQualityWarning, stacklevel=4)

    def _windows(
        self, parts: list[Stretch], ends: list[np.ndarray], rate: float | None, with_rpm: bool, with_orders: bool
    ) -> Windows:
        X = _cutting.cut_values(parts, self.length, self._step(), self.dtype)
        rpm = orders = None
        if with_rpm:
            rpm = np.concatenate([_cutting.cut_speed(p, e, self.length) for p, e in zip(parts, ends, strict=True)])
        if with_orders:
            orders = np.concatenate([_cutting.orders_of(p, len(e)) for p, e in zip(parts, ends, strict=True)])
        return Windows.of(X, sampling_rate=rate, time=_cutting.cut_time(parts, ends), rpm=rpm, orders=orders)
