"""Sentinels: numbers that stand where there is no measurement, such as -9999.

::

    fit:      smallest and largest value of a column -- far from all others, repeated or a usual code? --> warning
              range of all other values ------------------------------------------------------------\
    predict:  a usual code, far outside that range? <----------------------------------------------/  --> warning
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.utils.chunks import in_parts
from sktransfer.utils.column_extremes import column_extremes
from sktransfer.utils.counted_warnings import CountedWarning, warn_of

# Numbers that historians, loggers and integer registers write where there is no measurement.
CODES = (-999.0, -999.25, -9999.0, 9999.0, -99999.0, 99999.0, -32768.0, 32767.0, 65535.0)
_ENOUGH = 50  # values that tell the range of a column
_STOPS = (0.0, 100.0)  # where idle machines stand, and valves in percent
_RANGES = {True: 5.0, False: 50.0}  # of all other values, by whether a repeated number has few digits
_REMEDY = {
    "column": "If these mark missing data, read the file with na_values.",
    "channel": "If these mark missing data, make them NaN before the recordings are cut.",
}


def warn_of_sentinels(name: str, X: np.ndarray, names: list[Any], column: str) -> None:
    """Warn of columns or channels whose smallest or largest value seems to mark missing data.

    It is one of `CODES`, at least a tenth of the range of all other values away from them; or any other number than 0
    and 100, which idle machines and open valves show, that makes up 2 to 50 % of the values (at least 3) and is five
    ranges away. A number of many digits, which nobody writes by hand, must be fifty ranges away, and less than 50 other
    values tell no range: behind a scaler an idle machine is not zero.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)
    names : list
    column : {"column", "channel"}
    """
    values = X.reshape(*X.shape[:2], -1)
    found = []
    for extremes in column_extremes(values):
        counts = sum((values[part] == extremes[:, None]).sum(axis=(0, 2)) for part in in_parts(values))
        shares = counts * X.shape[1] / values.size
        code = np.isin(extremes, CODES)
        often = (counts >= 3) & (shares >= 0.02) & (shares <= 0.5) & ~np.isin(extremes, _STOPS)
        for j in np.flatnonzero((counts > 0) & (code | often)):
            written = code[j] or _has_few_digits(extremes[j])
            if not written and values.size / X.shape[1] - counts[j] < _ENOUGH:
                continue
            if _is_far(values[:, j].ravel(), extremes[j], 0.1 if code[j] else _RANGES[written]):
                share = f"{shares[j]:.0%}" if shares[j] >= 0.01 else "less than 1%"
                found.append(f"{names[j]} ({extremes[j]:g} in {share})")
    text = f"{name}: the {column}s {{names}} hold one value far from all others, repeated or a usual code. "
    warn_of(CountedWarning(text + _REMEDY[column], DataQualityWarning, len(found), names=found, merge=max))


def warn_of_sentinel_labels(name: str, y: np.ndarray) -> None:
    """Warn of a smallest or largest label of a regression that seems to mark missing data.

    It is one of `CODES`, at least the range of all other labels away from them; or any other number that makes up 2 to
    50 % of the labels (at least 3) and is five ranges away.

    Parameters
    ----------
    name : str
        Of the estimator, for messages.
    y : ndarray of shape (n_samples, n_outputs)
    """
    found = []
    for j, labels in enumerate(y.T):
        for extreme in (labels.min(), labels.max()):
            count, code = int((labels == extreme).sum()), extreme in CODES
            often = count >= 3 and 0.02 <= count / len(labels) <= 0.5
            if (code or often) and _is_far(labels, extreme, 1.0 if code else 5.0):
                found.append(f"{extreme:g} in {count} of {len(labels)} rows" + (f", output {j}" * (y.shape[1] > 1)))
    text = (
        f"{name}: y holds a number far from all others ({{names}}), and is learned as a measurement. If it marks "
        "missing data, drop these rows."
    )
    warn_of(CountedWarning(text, DataQualityWarning, len(found), names=found, merge=max))


def _has_few_digits(number: np.generic) -> bool:
    """Whether five digits tell the number, as those of a mark that somebody chose."""
    return bool(type(number)(f"{number:.5g}") == number)


def _is_far(values: np.ndarray, extreme: float, n_ranges: float) -> bool:
    """Whether `extreme` lies so many ranges of all other values away from them."""
    rest = values[(values != extreme) & ~np.isnan(values)].astype(np.float64)
    if len(rest) == 0:
        return False
    with np.errstate(over="ignore"):
        span, gap = np.ptp(rest), np.abs(rest - extreme).min()
        return bool(span > 0 and gap > n_ranges * span and len(np.unique(rest)) > 2)


def sound_range(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each column or channel, `CODES` and NaN left out; NaN where there is none.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)

    Returns
    -------
    lowest, highest : ndarray of shape (n_columns,) or (n_channels,), float64
    """
    values = X.reshape(*X.shape[:2], -1)
    low, high = (found.astype(np.float64) for found in column_extremes(values))
    for j in np.flatnonzero(np.isin(low, CODES) | np.isin(high, CODES)):
        rest = values[:, j][~np.isin(values[:, j], CODES)]
        low[j], high[j] = np.fmin.reduce(rest, initial=np.nan), np.fmax.reduce(rest, initial=np.nan)
    return low, high


def warn_of_codes(
    name: str, X: np.ndarray, lowest: np.ndarray, highest: np.ndarray, names: list[Any], words: tuple[str, str]
) -> None:
    """Warn of `CODES` that lie more than a range outside of all that was seen in ``fit``.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns) or (n_windows, n_channels, window_length)
    lowest, highest : ndarray of shape (n_columns,) or (n_channels,)
        From :func:`sound_range` of the rows of ``fit``.
    words : (str, str)
        What messages call columns and rows.
    """
    column, row = words
    values, span = X.reshape(*X.shape[:2], -1), highest - lowest
    low, high = column_extremes(values)
    found, hit = [], np.zeros(len(X), dtype=bool)
    for j in np.flatnonzero((low < lowest - span) | (high > highest + span)):
        for code in CODES:
            if lowest[j] - span[j] <= code <= highest[j] + span[j]:
                continue
            rows = (values[:, j] == code).any(axis=1)
            if rows.any():
                hit |= rows
                found.append(f"{names[j]} ({code:g})")
    text = (
        f"{name}: {{count}} of {{total}} {row}s hold a number that usually marks missing data, far outside all that "
        f"was seen in fit, in the {column}s {{names}}. They are scored as measurements. Drop these {row}s, or mark "
        "such values as missing (NaN)."
    )
    warn_of(CountedWarning(text, DataQualityWarning, int(hit.sum()), len(X), found))
