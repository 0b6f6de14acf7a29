"""Windows: an array of windows that remembers how it was sampled."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.counted_warnings import warn_caller
from sktransfer.utils.masks import without_mask
from sktransfer.utils.parameters import is_number
from sktransfer.utils.strides import strides_with
from sktransfer.windows.fields import (
    ENTRIES,
    FIELDS,
    NOTHING,
    agreed,
    fields_of,
    indexed,
    joined,
    known_fields,
)

_SAVERS = (np.save, np.savez, np.savez_compressed)  # write numbers alone
_ELEMENTWISE = (np.nan_to_num, np.round, np.around)


class Windows(np.ndarray):
    """Array of shape (n_windows, n_channels, window_length) that remembers how it was sampled.

    An ordinary array in all other respects: scikit-learn splits it, joblib sends it to workers. The fields follow an
    index: entries the windows, names the channels. Arithmetic and functions of single values keep them,
    ``np.concatenate`` keeps what holds for the whole. Whatever else makes an array drops all fields, so that none can
    be wrong; ``windows.like(array)`` says that they hold. Values that are assigned change no field.

    Attributes
    ----------
    sampling_rate : float or None
        Samples a second, in Hz; None if unknown.
    time : ndarray of shape (n_windows,) or None
        Time of each window's last sample: datetimes, or s.
    rpm : ndarray of shape (n_windows,) or None
        Speed of the shaft in revolutions a minute, one a window; NaN where unknown.
    orders : ndarray of shape (n_windows, 4) or None
        Fault orders of the bearing, in multiples of the shaft's speed: outer race (BPFO), inner race (BPFI), ball spin
        (BSF) and cage (FTF); NaN where unknown.
    channels : tuple of length n_channels or None
        Names of the channels, as the columns of the recordings had them. Estimators compare them with those of ``fit``.

    See Also
    --------
    SlidingWindows : Cuts recordings into windows that know all this.

    Notes
    -----
    ``joblib.dump`` and ``pickle`` store the fields, and ``joblib.hash`` covers them. ``np.save`` writes numbers alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import Windows
    >>> X = Windows.of(np.zeros((3, 1, 64)), sampling_rate=12_000, rpm=1797)
    >>> X[[0, 2]].sampling_rate, X[[0, 2]].rpm
    (12000.0, array([1797., 1797.]))
    >>> X
    Windows(shape=(3, 1, 64), dtype=float64, sampling_rate=12000 Hz, rpm=1797)
    """

    sampling_rate: float | None
    time: np.ndarray | None
    rpm: np.ndarray | None
    orders: np.ndarray | None
    channels: tuple | None

    @classmethod
    def of(
        cls,
        X: Any,
        *,
        sampling_rate: float | None = None,
        time: Any = None,
        rpm: Any = None,
        orders: Any = None,
        channels: Sequence[Any] | None = None,
    ):
        """Windows on the memory of `X`.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, window_length)
            Of :class:`Windows`, the fields that are not given are kept.
        sampling_rate : float, optional
            In Hz.
        time, rpm, orders : array-like, optional
            One entry a window, or one entry for all: time of the last sample in s or as datetimes, speed in rpm, four
            fault orders or a :class:`BearingGeometry`.
        channels : sequence of length n_channels, optional
            Names of the channels, each another.

        Returns
        -------
        Windows

        Raises
        ------
        ValueError
            If `X` is not 3-D, the rate is not a positive number, or a field has another number of entries.
        """
        array = np.asarray(without_mask(X))
        if array.ndim != 3:
            raise ValueError(
                f"Windows takes (n_windows, n_channels, window_length), got an array of shape {array.shape}."
            )
        given = {"sampling_rate": sampling_rate, "time": time, "rpm": rpm, "orders": orders, "channels": channels}
        known = fields_of(X) if isinstance(X, Windows) else NOTHING
        checked = {name: _checked(name, value, array.shape) for name, value in given.items() if value is not None}
        return _with(array.view(cls), {**known, **checked})

    def like(self, X: Any) -> Windows:
        """Another array with the same fields, as a transformer of windows returns it.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, window_length)
            As many windows as these, at the same rate. The names of the channels hold if they are as many.

        Returns
        -------
        Windows

        Raises
        ------
        ValueError
            If `X` is not 3-D, or has another number of windows and there are fields.
        """
        array, fields = np.asarray(X), fields_of(self)
        if array.ndim == 3 and array.shape[1] != self.shape[1]:
            fields["channels"] = None
        return type(self).of(array, **fields)

    def select_channels(self, channels: Sequence[Any]) -> Windows:
        """The windows of these channels, in this order.

        Parameters
        ----------
        channels : sequence
            Names out of ``windows.channels``.

        Returns
        -------
        Windows of shape (n_windows, len(channels), window_length)

        Raises
        ------
        ValueError
            If the windows know no names, or not all of these.
        """
        known = list(self.channels or ())
        missing = [name for name in channels if name not in known]
        if missing or not known:
            has = f"has the channels {known}" if known else "does not know the names of its channels"
            raise ValueError(
                f"Windows.select_channels: no channel {missing[0] if missing else channels!r}; this array {has}. Name "
                "all channels with Windows.of(X, channels=...)."
            )
        return self[:, [known.index(name) for name in channels]]

    def __repr__(self) -> str:
        if self.ndim != 3:
            return repr(self.view(np.ndarray))
        rate = "None" if self.sampling_rate is None else f"{self.sampling_rate:.10g} Hz"
        words = [f"shape={self.shape}, dtype={self.dtype}, sampling_rate={rate}"]
        words += [f"{name}={_span(getattr(self, name))}" for name in ("rpm", "time") if getattr(self, name) is not None]
        if self.orders is not None:
            n_known = int((~np.isnan(self.orders)).all(axis=1).sum())
            words.append(f"orders of {'all' if n_known == len(self) else f'{n_known} of {len(self)}'} windows")
        if self.channels is not None:
            names = ", ".join(map(repr, self.channels[:6]))
            words.append(f"channels=[{names}{', ...' if len(self.channels) > 6 else ''}]")
        return f"Windows({', '.join(words)})"

    # ---- what keeps fields

    def __array_finalize__(self, parent: Any) -> None:
        # every array that numpy makes of windows comes by here, and a parent does not say how it was made
        _with(self, NOTHING)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if not isinstance(found, Windows):
            return found
        if found.ndim != 3:
            return found.view(np.ndarray)
        return _with(found, indexed(fields_of(self), index, self.shape)) if self.ndim == 3 else found

    def take(self, indices, axis=None, out=None, mode="raise"):
        """As ``np.ndarray.take``; along one axis the fields follow, as with an index."""
        numbers = np.asarray(indices)
        as_index = numbers.ndim == 1 and numbers.dtype.kind in "iu" and out is None and mode == "raise"
        if axis is None or self.ndim != 3 or not as_index:
            return super().take(indices, axis, out, mode)
        return self[(*[slice(None)] * (axis % 3), numbers)]

    def swapaxes(self, axis1, axis2):
        """As ``np.ndarray.swapaxes``; an axis swapped with itself (``np.split``) keeps the fields."""
        found = super().swapaxes(axis1, axis2)
        return _with(found, fields_of(self)) if axis1 % self.ndim == axis2 % self.ndim else found

    def astype(self, *args, **kwargs):
        """As ``np.ndarray.astype``, with the fields."""
        found = super().astype(*args, **kwargs)
        return _with(found, fields_of(self)) if isinstance(found, Windows) else found

    def copy(self, *args, **kwargs):
        """As ``np.ndarray.copy``, with the fields."""
        return _with(super().copy(*args, **kwargs), fields_of(self))

    def __copy__(self) -> Windows:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any] | None) -> Windows:
        return _with(self.view(np.ndarray).copy().view(type(self)), copy.deepcopy(fields_of(self), memo))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        outputs = kwargs.get("out", ())
        if outputs:
            kwargs["out"] = tuple(map(_plain, outputs))
        kwargs = {key: _plain(value) for key, value in kwargs.items()}
        found = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        given = (
            [one for one in inputs if isinstance(one, Windows)]
            if method == "__call__" and not ufunc.signature
            else None
        )
        if not isinstance(found, tuple):
            return _computed(found, outputs[0] if outputs else None, given)
        return tuple(_computed(*pair, given) for pair in zip(found, outputs or [None] * len(found), strict=True))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in _SAVERS:
            _warn_of_lost_fields(function.__name__, [*args, *kwargs.values()])
        found = super().__array_function__(function, types, args, kwargs)
        if not isinstance(found, np.ndarray) or found.ndim != 3:
            return found
        if function is np.concatenate and kwargs.get("out") is None and len(args) < 3:
            axis = args[1] if len(args) > 1 else kwargs.get("axis", 0)
            parts = args[0] if args else kwargs["arrays"]
            return _with(found.view(Windows), joined(list(parts), axis if axis is None else axis % 3))
        if function in _ELEMENTWISE and args and isinstance(args[0], Windows) and found is not kwargs.get("out"):
            return _with(found.view(Windows), fields_of(args[0]))
        return found

    # ---- what changes an array in its place, without another one

    def sort(self, *args, **kwargs):
        """As ``np.ndarray.sort``; the fields are dropped."""
        super().sort(*args, **kwargs)
        _with(self, NOTHING)

    def partition(self, *args, **kwargs):
        """As ``np.ndarray.partition``; the fields are dropped."""
        super().partition(*args, **kwargs)
        _with(self, NOTHING)

    def resize(self, *args, **kwargs):
        """As ``np.ndarray.resize``; the fields are dropped."""
        super().resize(*args, **kwargs)
        _with(self, NOTHING)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _checked(name, value, self.shape) if name in FIELDS and value is not None else value)
        if name in ("shape", "dtype"):
            _with(self, NOTHING)

    # ---- files and caches

    def __reduce__(self) -> tuple[Any, ...]:
        fields = fields_of(self)
        return _restore, (self.view(np.ndarray), fields.pop("sampling_rate"), fields)

    @property
    def strides(self) -> tuple[int, ...]:
        """As of any array. They carry the fields into ``joblib.hash``, which looks at nothing else that could."""
        strides, fields = super().strides, fields_of(self)
        if not known_fields(fields):
            return strides
        channels = fields["channels"] and list(fields["channels"])
        return strides_with(strides, fields["sampling_rate"], *(fields[name] for name in ENTRIES), channels)

    @strides.setter
    def strides(self, strides: Any) -> None:
        np.ndarray.strides.__set__(self, strides)  # type: ignore[attr-defined]
        _with(self, NOTHING)


def same_fields(X: Any, found: np.ndarray) -> np.ndarray:
    """`found` with the fields of `X`, if `X` is :class:`Windows`."""
    return X.like(found) if isinstance(X, Windows) else found


def _with(windows: Any, fields: dict[str, Any]) -> Any:
    """The same array, with these fields and no others."""
    windows.__dict__.update(fields)
    return windows


def _computed(result: Any, output: Any, given: list[Windows] | None) -> Any:
    """What a ufunc returns: `output` if it wrote into one, else `result`, with the fields on which its windows agree.

    `given` are the windows among its inputs, or None if it is not elementwise. Windows of another shape than the result
    were broadcast, and their fields are not those of the result.
    """
    alike = [fields_of(one) for one in given or [] if one.shape == np.shape(result)]
    if isinstance(output, Windows):  # numbers of plain arrays are assigned, which changes no field
        return output if given == [] else _with(output, agreed(alike))
    if output is not None or not alike or type(result) is not np.ndarray or result.dtype == bool:
        return result if output is None else output
    return _with(result.view(Windows), agreed(alike))


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Windows) else value


def _warn_of_lost_fields(function: str, arguments: list[Any]) -> None:
    known = {name for one in arguments if isinstance(one, Windows) for name in known_fields(fields_of(one))}
    if known:
        lost = ", ".join(name for name in FIELDS if name in known)
        warn_caller(
            f"np.{function} writes numbers alone and loses the {lost} of these windows. Store them with joblib.dump(X, "
            "path) or pickle, or the numbers of np.asarray(X) and Windows.of(numbers, ...) after loading."
        )


def _span(values: np.ndarray) -> str:
    """Smallest and largest value; one if they are equal."""
    known = values[~np.isnat(values)] if values.dtype.kind in "Mm" else values[values == values]
    if not len(known):
        return "unknown"
    low, high = known.min(), known.max()
    words = [f"{one:g}" if values.dtype.kind == "f" else str(one) for one in (low, high)]
    return words[0] if low == high else " to ".join(words)


def _restore(array: np.ndarray, sampling_rate: float | None, fields: dict[str, Any]) -> Windows | np.ndarray:
    if array.ndim != 3:
        return array
    return Windows.of(array, sampling_rate=sampling_rate, **fields)


def _checked(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    """The value of a field, which is not None, for an array of this shape."""
    if len(shape) != 3:
        raise ValueError(f"Windows: an array of shape {shape} holds no windows and takes no {name}.")
    if name == "channels":
        return _channel_names(value, shape[1])
    if name in ENTRIES:
        return _entries(name, value, shape[0])
    if not (is_number(value) and 0 < value < np.inf):
        raise ValueError(f"Windows: sampling_rate is a positive number of Hz or None, got {value!r}.")
    return float(value)


def _entries(name: str, values: Any, n_windows: int) -> np.ndarray:
    array = np.asarray(values)
    shape = (n_windows, *ENTRIES[name])
    if array.shape == ENTRIES[name]:
        array = np.broadcast_to(array, shape).copy()
    if array.shape != shape:
        raise ValueError(f"Windows: {name} has shape {array.shape}; expected {shape}, or one entry for all windows.")
    return array.astype(np.float64) if name != "time" and array.dtype != np.float64 else array


def _channel_names(channels: Sequence[Any], n_channels: int) -> tuple:
    names = tuple(name.item() if isinstance(name, np.generic) else name for name in channels)
    repeated = [name for name in names if names.count(name) > 1]
    if isinstance(channels, str) or len(names) != n_channels or repeated:
        found = (
            f"the name {repeated[0]!r} twice"
            if repeated and len(names) == n_channels
            else f"{counted(len(names), 'name')}"
        )
        raise ValueError(
            f"Windows: channels holds {found} for {counted(n_channels, 'channel')}; expected one name for each."
        )
    return names
