"""LaggedWindows: a wide table of lagged columns as windows.

::

    p_t-2  p_t-1  p_t  T_t-2  T_t-1  T_t            p: [p_t-2, p_t-1, p_t]
      one row                              -->      T: [T_t-2, T_t-1, T_t]      one window, oldest sample first
"""

from __future__ import annotations

import re
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.parameters import Interval, InvalidParameterError, StrOptions
from sktransfer.validation.rows import check_rows
from sktransfer.windows.windows import Windows

# pressure_t-2, pressure(t-2), pressure_t; pressure_lag2, pressure_lag_2
_PATTERNS = (r"(?P<channel>.+?)[_ (]t(?:-(?P<lag>\d+))?\)?", r"(?P<channel>.+?)[_ (]lag_?(?P<lag>\d+)\)?")


class LaggedWindows(Checksummed, TransformerMixin, BaseEstimator):
    """Turn rows whose columns are lags of sensors into windows, inside a plain Pipeline.

    Parameters
    ----------
    length : int or None, default=None
        Samples in a window. None: as many as there are lags in the names; all columns, of one channel, where names
        tell no lags.
    order : {"names", "channel-major", "time-major"}, default="names"
        What tells the channel and the sample of a column: its name; its position, all samples of a channel side by
        side; or its position, all channels of a time side by side. Positions run from the oldest sample to the newest,
        unless `newest_first`. Arrays, and frames whose names tell no lags, fall back to ``"channel-major"`` with a
        warning.
    pattern : str or None, default=None
        Regular expression with the groups ``channel`` and ``lag`` (whole number; empty for the newest sample), matched
        with whole names. None: names such as ``pressure_t-2``, ``pressure(t-2)``, ``pressure_t`` and
        ``pressure_lag2``; ``pressure`` alone is lag 0 beside such names.
    newest_first : bool, default=False
        Whether the samples of a channel come newest first, where columns go by their position.
    sampling_rate : float or None, default=None
        Samples a second of a channel, in Hz; remembered by the windows.

    Attributes
    ----------
    channels_ : list
        Names of the channels; numbers if columns go by their position.
    length_ : int
        Samples in a window.
    columns_ : ndarray of shape (n_channels, length_)
        Column of each sample, oldest first.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.

    See Also
    --------
    SlidingWindows : Cuts recordings.

    Notes
    -----
    Windows have three axes, and columns of such have no names: there is no ``get_feature_names_out``. NaN pass through.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktransfer import LaggedWindows
    >>> table = pd.DataFrame({"p_t": [2.0], "p_t-1": [1.0], "T_t": [4.0], "T_t-1": [3.0]})
    >>> lagged = LaggedWindows().fit(table)
    >>> lagged.channels_, lagged.transform(table).tolist()
    (['p', 'T'], [[[1.0, 2.0], [3.0, 4.0]]])
    """

    _parameter_constraints: dict[str, Any] = {
        "length": [Interval(Integral, 1, None, closed="left"), None],
        "order": [StrOptions({"names", "channel-major", "time-major"})],
        "pattern": [str, None],
        "newest_first": ["boolean"],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(self, length=None, *, order="names", pattern=None, newest_first=False, sampling_rate=None):
        self.length = length
        self.order = order
        self.pattern = pattern
        self.newest_first = newest_first
        self.sampling_rate = sampling_rate

    def fit(self, X, y=None):
        """Learn which column is which sample of which channel.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels * length)
            One window a row.
        y : None
            Ignored.

        Returns
        -------
        self : LaggedWindows

        Raises
        ------
        ValueError
            If a lag is missing, or the name of a column tells no lag.

        Warns
        -----
        DataQualityWarning
            With ``order="names"``, if `X` has no names, as behind a scaler that hands on arrays, or its names tell no
            lags: columns are then taken by their position.
        """
        self._validate_params()
        n_columns = check_rows(self, X, reset=True, allow_nan=True).shape[1]
        names = getattr(self, "feature_names_in_", None)
        found = None
        if self.order == "names" and names is not None:
            found = _by_name([str(name) for name in names], self._patterns(), self.length)
        if found is None:
            if self.pattern is not None and self.order == "names":
                raise ValueError(
                    f"LaggedWindows(pattern={self.pattern!r}) matches no column name; "
                    f"{'X has no names' if names is None else f'X has {list(names)[:8]}'}."
                )
            found = self._by_position(n_columns)
            if self.order == "names" and n_columns > 1:
                self._warn_of_position(names, len(found[0]))
        self.channels_, self.columns_ = found
        self.length_ = self.columns_.shape[1]
        return self

    def transform(self, X):
        """Windows of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels * length)

        Returns
        -------
        Windows of shape (n_samples, n_channels, length)
            float64, or float32 if `X` is float32.

        Raises
        ------
        ValueError
            If the columns are not those of ``fit``.
        """
        check_is_fitted(self)
        X = check_rows(self, X, reset=False, allow_nan=True)
        named = all(isinstance(channel, str) for channel in self.channels_)  # numbers are no names
        channels = self.channels_ if named else None
        return Windows.of(X[:, self.columns_], sampling_rate=self.sampling_rate, channels=channels)

    def set_output(self, *, transform=None):
        """Nothing: windows have three axes, which make no frame. It is here for the pipeline around.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Ignored.

        Returns
        -------
        self : LaggedWindows
        """
        return self

    def _warn_of_position(self, names: np.ndarray | None, n_channels: int) -> None:
        found = "X is an array without names"
        remedy = "Let the steps before hand on frames, set_output(transform='pandas'), or say order='channel-major' or "
        if names is not None:
            found = f"no column name tells a lag, as 'pressure_t-1' does; the first is {names[0]!r}"
            remedy = "Set pattern, or say order='channel-major' or "
        as_ = "samples of one channel" if n_channels == 1 else f"{counted(n_channels, 'channel')}, one after the other"
        warn_caller(
            f"LaggedWindows(order='names'): {found}. Its columns are taken by their position as {as_}. {remedy}"
            "'time-major'" + ("." if self.length is not None else ", and length.")
        )

    def _patterns(self) -> list[re.Pattern]:
        try:
            patterns = [re.compile(p) for p in (_PATTERNS if self.pattern is None else [self.pattern])]
        except re.error as error:
            raise InvalidParameterError(f"LaggedWindows got the pattern {self.pattern!r}: {error}.") from error
        if not {"channel", "lag"} <= set(patterns[0].groupindex):
            raise InvalidParameterError(
                f"LaggedWindows needs the groups (?P<channel>...) and (?P<lag>...) in its pattern, got "
                f"{self.pattern!r}."
            )
        return patterns

    def _by_position(self, n_columns: int) -> tuple[list[Any], np.ndarray]:
        length = n_columns if self.length is None else self.length
        if n_columns % length:
            raise ValueError(
                f"LaggedWindows(length={length}) got {counted(n_columns, 'column')}, which is no multiple of it. Pass "
                "n_channels * length columns."
            )
        numbers = np.arange(n_columns)
        columns = numbers.reshape(length, -1).T if self.order == "time-major" else numbers.reshape(-1, length)
        return list(range(len(columns))), columns[:, ::-1] if self.newest_first else columns

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _by_name(names: list[str], patterns: list[re.Pattern], length: int | None) -> tuple[list[Any], np.ndarray] | None:
    """Channels in order of appearance, and the column of each sample; None if no name tells a lag."""
    matches = [next((m for p in patterns if (m := p.fullmatch(name))), None) for name in names]
    channels = {match["channel"] for match in matches if match}
    if not channels:
        return None
    lags_of: dict[str, dict[int, int]] = {}
    for column, (name, match) in enumerate(zip(names, matches, strict=True)):
        if match is None and name not in channels:
            raise ValueError(
                f"LaggedWindows: column {name!r} tells no lag, as 'pressure_t-1' does. Drop it, or set pattern or "
                "order."
            )
        lags = lags_of.setdefault(match["channel"] if match else name, {})
        lag = int(match["lag"] or 0) if match else 0
        if lag in lags:
            raise ValueError(f"LaggedWindows: {names[lags[lag]]!r} and {name!r} are the same lag of the same channel.")
        lags[lag] = column
    first, wanted = next(iter(lags_of)), sorted(next(iter(lags_of.values())), reverse=True)
    for channel, lags in lags_of.items():
        if sorted(lags, reverse=True) != wanted:
            unpaired = sorted(set(lags) ^ set(wanted))
            raise ValueError(
                f"LaggedWindows: the channels {first!r} and {channel!r} do not have the same lags; only one has "
                f"{unpaired[:8]}."
            )
    if len(set(np.diff(wanted))) > 1 or length not in (None, len(wanted)):
        expected = "lags at equal distances" if length is None else f"{length} lags at equal distances"
        raise ValueError(f"LaggedWindows: channel {first!r} has the lags {wanted[::-1]}; expected {expected}.")
    return list(lags_of), np.array([[lags[lag] for lag in wanted] for lags in lags_of.values()])
