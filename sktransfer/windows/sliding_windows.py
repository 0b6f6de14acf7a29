"""SlidingWindows: recordings in, windows with their labels and groups out.

::

    recordings --> Recording --> Segment --> X, y, groups
                   (one kind     (in order of time, split at gaps and at NaN,
                   of object)    at the stated rate, anti-aliased)
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator

from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.parameters import Interval, StrOptions
from sktransfer.utils.precision import merged_columns
from sktransfer.windows.labels import plain, window_labels
from sktransfer.windows.recordings import Recording, read_recordings, refuse_future
from sktransfer.windows.resampling import Segment, make_segments
from sktransfer.windows.windows import Windows


class SlidingWindows(Checksummed, BaseEstimator):
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
        Which of the labels of its samples a window gets. "majority": the most frequent one; of equally frequent ones
        the one that comes last. "any": the most frequent one other than `normal_label`, if there is any. "last": that
        of the last sample, the only rule for numbers to be regressed on.
    normal_label : object, default=None
        The healthy label; needed for ``label_rule="any"``.
    max_gap : float or None, default=None
        Longest distance in s between two samples of a window. None: 1.5 sampling periods, so that one missing sample
        is a gap.
    jitter : float, default=0.05
        Share of the sampling period by which the distance of two time stamps may differ from it.
    on_irregular : {"error", "resample"}, default="error"
        Larger jitter is an error, or the samples between two gaps are interpolated linearly at equal distances.
    duplicates : {"last", "mean", "error"}, default="last"
        Of rows of a recording with the same time stamp, the last one that came is kept, or their mean with the label
        of the last one, or they are an error.
    missing : {"gap", "error", "keep"}, default="gap"
        A sample with NaN in any channel counts as not recorded, is an error, or stays. Infinity is always an error.
    short : {"drop", "error"}, default="drop"
        Recordings without a single window are left out with a warning that counts them, or are an error.
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
    Recordings in a dict, each with a label of its own:

    >>> import numpy as np
    >>> import pandas as pd
    >>> from sktransfer import SlidingWindows
    >>> recordings = {"a": np.zeros(1000), "b": np.ones(700)}
    >>> cutter = SlidingWindows(300, 200, sampling_rate=100)
    >>> X, y, groups = cutter.cut(recordings, {"a": "normal", "b": "leak"}, rpm=1500)
    >>> X.shape, X.sampling_rate, X.time.tolist()
    ((7, 1, 300), 100.0, [2.99, 4.99, 6.99, 8.99, 2.99, 4.99, 6.99])
    >>> y.tolist(), groups.tolist()
    (['normal', 'normal', 'normal', 'normal', 'leak', 'leak', 'leak'], ['a', 'a', 'a', 'a', 'b', 'b', 'b'])

    One long frame, whose columns hold the ids of the recordings and one label a sample:

    >>> plant = pd.DataFrame({"run": np.repeat([1, 2], [600, 400]), "flow": np.arange(1000.0)})
    >>> plant["state"] = np.repeat(["ok", "leak"], [700, 300])
    >>> X, y, groups = cutter.cut(plant, "state", recording="run")
    >>> X.shape, y.tolist(), groups.tolist()
    ((3, 1, 300), ['ok', 'ok', 'leak'], [1, 1, 2])

    One label a sample of an array goes into a column of a frame:

    >>> signal, states = np.zeros(1000), np.repeat([0, 1], 500)
    >>> X, y, groups = cutter.cut([pd.DataFrame({"signal": signal, "state": states})], "state")
    >>> y.tolist()
    [0, 0, 1, 1]
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

        Recordings come in one of two forms:

        - a list or dict of arrays or frames, each of which is one recording;
        - one long frame, of which `recording` and `machine` name the columns with ids.

        `labels`, `rpm`, `time`, `machine`, `from_rate` and `orders` are one value for all recordings, or one a
        recording: a list in the order of the recordings, or a dict or a Series by their ids. A Series whose index is
        0, 1, 2, ... is a list unless these are the ids. Where the recordings are frames, one text as `labels`, `rpm`
        or `time` names a column, which holds one value a sample. Text in a list or dict is a value.

        One label or speed a sample comes in as such a column. For arrays,
        ``cut([pd.DataFrame(array).assign(labels=labels)], labels="labels")`` makes it one; for one long frame,
        ``cut(frame.assign(labels=labels), labels="labels")``.

        Parameters
        ----------
        recordings : list or dict of arrays or frames, or DataFrame
            Arrays of shape (n_samples,) or (n_samples, n_channels); frames of pandas or polars with one row a sample.
            The ids of the recordings are the keys of the dict, or numbers from 0.
        labels : str, number, list, dict or Series, optional
            Label of all recordings, one a recording, or the name of a column. For arrays, one text is the label of
            all.
        recording : str, optional
            Column of the long frame with the ids of the recordings. None: one recording, or one a machine.
        machine : str, list, dict or Series, optional
            Column of the long frame with the ids of the machines, or one id a recording. For arrays, one text is the
            machine of all.
        time : str, list or dict of array-like, optional
            Column (or index) with the time stamps, or an array of shape (n_samples,) for each recording: datetimes,
            text as in ISO 8601, or numbers in s. None: the index, if it holds datetimes, else samples at equal
            distances. Time zones are converted to UTC.
        channels : str or list, optional
            Columns with the signals; of arrays, the names of all columns. None: all columns not named by another
            argument.
        from_rate : float, list, dict or Series, optional
            Rate of the recordings in Hz. None: read off the time stamps, or `sampling_rate` where there are none.
        rpm : float, str, list, dict or Series, optional
            Speed of the shaft in rpm. A column is averaged over each window.
        orders : BearingGeometry, array-like of shape (4,), or list or dict of these, optional
            Fault orders of the bearing, in multiples of the shaft's speed; see :class:`Windows`. A dict or Series with
            the names BPFO, BPFI, BSF and FTF goes by name; so do the columns of a frame whose index holds the ids.
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
            None if no rate is known), the names of the ``channels`` where columns have names, and ``rpm`` and
            ``orders`` if passed.
        y : ndarray of shape (n_windows,) or None
            None without `labels`.
        groups : ndarray of shape (n_windows,)
            Ids of the recordings; ``"machine/recording"`` where columns name both, as they should where machines number
            their recordings alike. A recording that nobody named, as in a list or as a frame without ids, gets an id
            made of its samples (``"unnamed-1f0c..."``): machines that are cut one by one share no group, and a
            recording that is cut twice has one.
        machines : ndarray of shape (n_windows,)
            Only if `return_machines`; ids of the machines.

        Raises
        ------
        ValueError
            If an argument has none of the forms above, a recording cannot be used, or none gives a window.

        Warns
        -----
        DataQualityWarning
            If samples were sorted, joined or left out, or recordings were too short, with counts; if a column that
            nobody selected looks like labels, ids or a counter; if `dtype` does not hold the digits of a channel; if
            `normal_label` is the label of no sample.
        """
        self._validate_params()
        if self.label_rule == "any" and self.normal_label is None:
            raise ValueError("SlidingWindows(label_rule='any') needs normal_label, the label that is no fault.")
        if return_machines and machine is None:
            raise ValueError("SlidingWindows.cut(return_machines=True) needs machine: a column, or one a recording.")
        read, names = read_recordings(
            recordings, recording, channels,
            machine=machine, time=time, labels=labels, rpm=rpm, from_rate=from_rate, orders=orders,
        )  # fmt: skip
        if now is not None:
            refuse_future(read, now, clock_tolerance)
        segments, rate = make_segments(read, self)
        _warn_of_merged(segments, names, self.dtype)
        step = self.length if self.step is None else self.step
        cuts = [(segment, np.arange(self.length - 1, len(segment.values), step)) for segment in segments]
        counts = [len(ends) for _, ends in cuts]
        X = Windows.of(
            _values(segments, counts, self.length, step, self.dtype),
            sampling_rate=rate,
            time=_last_times(cuts),
            rpm=None if rpm is None else np.concatenate([_mean_speed(*cut, self.length, step) for cut in cuts]),
            orders=None if orders is None else np.repeat([one.recording.orders for one in segments], counts, axis=0),
            channels=names,
        )
        y = None if labels is None else window_labels(cuts, self.length, self.label_rule, self.normal_label)
        groups, machines = (
            np.repeat(plain(np.fromiter((getattr(one.recording, what) for one in segments), dtype=object)), counts)
            for what in ("group", "machine")
        )
        return (X, y, groups, machines) if return_machines else (X, y, groups)


def windows_at(
    cutter: SlidingWindows,
    values: np.ndarray,
    ends: np.ndarray,
    *,
    rate: float,
    time: np.ndarray,
    channels: tuple,
    labels: np.ndarray | None = None,
) -> tuple[Windows, np.ndarray | None]:
    """Windows of which the last samples are known, in the type and with the labels that `cutter` gives them.

    Parameters
    ----------
    cutter : SlidingWindows
    values : ndarray of shape (n_samples, n_channels)
        NaN only where no window is.
    ends : ndarray of int of shape (n_windows,)
        At least one, in order.
    rate : float
        In Hz.
    time : ndarray of shape (n_samples,)
        datetime64[ns].
    channels : tuple of str
    labels : ndarray of shape (n_samples,), optional

    Returns
    -------
    X : Windows of shape (n_windows, n_channels, length)
    y : ndarray of shape (n_windows,) or None
    """
    n = len(values) + 1
    open_ = np.cumsum(np.bincount(ends - cutter.length + 1, minlength=n) - np.bincount(ends + 1, minlength=n))
    used = np.flatnonzero(open_)
    ends = np.searchsorted(used, ends)
    whole = np.full(len(used), "", dtype=object) if labels is None else labels[used]
    one = Recording(0, 0, values[used], None, time[used], whole, np.array(np.nan), rate, None, channels)
    segment = Segment(one, one.values, np.arange(len(used)), one.time)
    _warn_of_merged([segment], channels, cutter.dtype)
    found = sliding_window_view(one.values, cutter.length, axis=0)[ends - cutter.length + 1].astype(
        cutter.dtype, order="C"
    )
    X = Windows.of(found, sampling_rate=rate, time=time[used][ends], channels=channels)
    if labels is None:
        return X, None
    return X, window_labels([(segment, ends)], cutter.length, cutter.label_rule, cutter.normal_label)


def _values(segments: list[Segment], counts: list[int], length: int, step: int, dtype: Any) -> np.ndarray:
    """Windows of all segments, of shape (n_windows, n_channels, length); the only copy."""
    X = np.empty((sum(counts), segments[0].values.shape[1], length), dtype=dtype)
    for part, segment in zip(np.split(X, np.cumsum(counts)[:-1]), segments, strict=True):
        part[:] = sliding_window_view(segment.values, length, axis=0)[::step]
    return X


def _warn_of_merged(segments: list[Segment], names: tuple | None, dtype: Any) -> None:
    """Warn of channels of which the type of the windows does not hold all digits."""
    merged = merged_columns([segment.values for segment in segments], dtype)
    if len(merged):
        channels = [names[j] if names else int(j) for j in merged[:5]]
        remedy = "Set dtype='float64' and put BaselineScaler() behind, or subtract"
        remedy = remedy if dtype == "float32" else "Subtract"
        warn_caller(
            f"SlidingWindows: {dtype} makes different values of the channels {channels} equal, because their offset is "
            f"large and their range is small. {remedy} the offset before the recordings are cut."
        )


def _last_times(cuts: list[tuple[Segment, np.ndarray]]) -> np.ndarray | None:
    """Time of each window's last sample; None if it is not known of all."""
    times = [segment.time[ends] for segment, ends in cuts if segment.time is not None]
    if len(times) < len(cuts):
        return None
    if len({time.dtype.kind for time in times}) > 1:
        raise ValueError(
            "SlidingWindows: some recordings have datetimes and others seconds. Give all of them the same."
        )
    return np.concatenate(times)


def _mean_speed(segment: Segment, ends: np.ndarray, length: int, step: int) -> np.ndarray:
    """Mean speed of the shaft in each window, in rpm; NaN where unknown."""
    rpm = segment.recording.rpm
    if rpm.ndim == 0:
        return np.repeat(rpm, len(ends))
    return sliding_window_view(rpm[segment.rows], length)[::step].mean(axis=1)
