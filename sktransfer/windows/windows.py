"""Windows: an array of windows that remembers how it was sampled."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

# Fields with one entry a window, which follow an index along the first axis, and the shape of an entry.
_FIELDS: dict[str, tuple[int, ...]] = {"time": (), "rpm": (), "orders": (4,)}


class Windows(np.ndarray):
    """Array of shape (n_windows, n_channels, window_length) that remembers how it was sampled.

    An ordinary array in all other respects: scikit-learn splits it, joblib sends it to workers, and the fields follow
    an index along the first axis. Arithmetic keeps them; what changes the number of windows in another way (such as
    ``np.concatenate``) loses all fields, so that none can be wrong.

    Attributes
    ----------
    sampling_rate : float or None
        Samples a second, in Hz; None if unknown.
    time : ndarray of shape (n_windows,) or None
        Time of each window's last sample: datetimes, or s.
    rpm : ndarray of shape (n_windows,) or None
        Speed of the shaft in revolutions a minute; NaN where unknown.
    orders : ndarray of shape (n_windows, 4) or None
        Fault orders of the bearing, in multiples of the shaft's speed: outer race (BPFO), inner race (BPFI), ball spin
        (BSF) and cage (FTF); NaN where unknown.

    See Also
    --------
    SlidingWindows : Cuts recordings into windows that know all this.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import Windows
    >>> X = Windows.of(np.zeros((3, 1, 64)), sampling_rate=12_000, rpm=1797)
    >>> X[[0, 2]].sampling_rate, X[[0, 2]].rpm
    (12000.0, array([1797., 1797.]))
    """

    sampling_rate: float | None
    time: np.ndarray | None
    rpm: np.ndarray | None
    orders: np.ndarray | None

    @classmethod
    def of(cls, X: Any, *, sampling_rate: float | None = None, time: Any = None, rpm: Any = None, orders: Any = None):
        """Windows on the memory of `X`.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, window_length)
        sampling_rate : float, optional
            In Hz.
        time, rpm, orders : array-like, optional
            One entry a window, or one entry for all: time of the last sample in s or as datetimes, speed in rpm, four
            fault orders or a :class:`BearingGeometry`.

        Returns
        -------
        Windows

        Raises
        ------
        ValueError
            If `X` is not 3-D, the rate is not a positive number, or a field has another number of entries.
        """
        array = np.asarray(X)
        if array.ndim != 3:
            raise ValueError(
                f"Windows takes (n_windows, n_channels, window_length), got an array of shape {array.shape}."
            )
        if sampling_rate is not None and not (isinstance(sampling_rate, Real) and 0 < sampling_rate < np.inf):
            raise ValueError(f"Windows: sampling_rate is a positive number of Hz or None, got {sampling_rate!r}.")
        windows = array.view(cls)
        windows.sampling_rate = None if sampling_rate is None else float(sampling_rate)
        for name, values in (("time", time), ("rpm", rpm), ("orders", orders)):
            setattr(windows, name, None if values is None else _entries(name, values, len(array)))
        return windows

    def like(self, X: Any) -> Windows:
        """Another array with the same fields, as a transformer of windows returns it.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, window_length)
            As many windows as these, at the same rate.

        Returns
        -------
        Windows

        Raises
        ------
        ValueError
            If `X` is not 3-D, or has another number of windows and there are fields.
        """
        return type(self).of(X, sampling_rate=self.sampling_rate, **{name: getattr(self, name) for name in _FIELDS})

    def __array_finalize__(self, parent: Any) -> None:
        # arithmetic and views of the same windows keep the fields; __getitem__ indexes them, all else drops them
        same = isinstance(parent, Windows) and self.ndim > 0 and parent.ndim > 0 and len(self) == len(parent)
        self.sampling_rate = getattr(parent, "sampling_rate", None) if same else None
        for name in _FIELDS:
            setattr(self, name, getattr(parent, name, None) if same else None)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if not isinstance(found, Windows):
            return found
        first = index[0] if isinstance(index, tuple) and index else index
        if found.ndim != 3 or first is None or first is Ellipsis or isinstance(first, Integral):
            return found.view(np.ndarray) if found.ndim != 3 else _indexed(found, self, slice(None))
        found = _indexed(found, self, first)
        if isinstance(index, tuple) and len(index) == 3 and not _keeps_rate(index[2]):
            found.sampling_rate = None  # every second sample is another rate
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: getattr(self, name) for name in _FIELDS}
        return _restore, (self.view(np.ndarray), self.sampling_rate, fields)


def same_fields(X: Any, found: np.ndarray) -> np.ndarray:
    """`found` with the fields of `X`, if `X` is :class:`Windows`."""
    return X.like(found) if isinstance(X, Windows) else found


def _keeps_rate(index: Any) -> bool:
    return isinstance(index, slice) and index.step in (None, 1)


def _indexed(found: Windows, parent: Windows, index: Any) -> Windows:
    found.sampling_rate = parent.sampling_rate
    for name in _FIELDS:
        values = getattr(parent, name)
        values = None if values is None else values[index]
        setattr(found, name, values if values is not None and len(values) == len(found) else None)
    return found


def _restore(array: np.ndarray, sampling_rate: float | None, fields: dict[str, Any]) -> Windows | np.ndarray:
    if array.ndim != 3:
        return array
    return Windows.of(array, sampling_rate=sampling_rate, **fields)


def _entries(name: str, values: Any, n_windows: int) -> np.ndarray:
    array = np.asarray(values)
    shape = (n_windows, *_FIELDS[name])
    if array.shape == _FIELDS[name]:
        array = np.broadcast_to(array, shape).copy()
    if array.shape != shape:
        raise ValueError(f"Windows: {name} has shape {array.shape}; expected {shape}, or one entry for all windows.")
    return array.astype(np.float64) if name != "time" and array.dtype != np.float64 else array
