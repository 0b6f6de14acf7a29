"""What a backbone takes: columns or windows, their units, range and rate."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

_LARGEST_SAMPLE = 2**24  # values: a file that asks for more is refused before memory is taken


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a backbone takes.

    Parameters
    ----------
    n : int or None
        Number of columns, or of channels where there is a `shape`; None: any number.
    names, units : tuple of str or None
        Column names and units, in order.
    scaling : str or None
        How the rows were scaled before they reached the network, in words.
    minimum, maximum : ndarray of shape (n,) or None
        Range of each (scaled) column in the source rows, of each channel in the source windows, or of each channel of
        what a front end returns.
    shape : tuple of int or None, optional
        Shape of one sample, without the first axis of X: ``(n_channels, window_length)`` of a window,
        ``(n_channels, height, width)`` of an image. None in it: any number, as in ``(3, None)`` for windows of any
        length. None: the samples are rows of a table.
    sampling_rate : tuple of float or None, optional
        Lowest and highest sampling rate of windows that it takes, in Hz; None: any, and windows need not say theirs.
    front_end : str or None, optional
        Name of the transformation of windows that comes before the first block, such as ``"envelope"``
        (:class:`sktransfer.EnvelopeSpectra`); None: the first block takes windows as they are.

    Raises
    ------
    ValueError
        If `shape` is no shape or has another number of channels than `n`, or `sampling_rate` is no pair of rates.
    """

    n: int | None = None
    names: tuple[str, ...] | None = None
    units: tuple[str, ...] | None = None
    scaling: str | None = None
    minimum: np.ndarray | None = None
    maximum: np.ndarray | None = None
    shape: tuple[int | None, ...] | None = None
    sampling_rate: tuple[float, float] | None = None
    front_end: str | None = None

    def __post_init__(self) -> None:
        for field in ("names", "units"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, tuple(getattr(self, field)))
        if self.sampling_rate is not None:
            object.__setattr__(self, "sampling_rate", _rates(self.sampling_rate))
        if self.shape is None:
            return
        shape = tuple(self.shape)
        known = [size for size in shape if size is not None]
        if len(shape) < 2 or not all(type(size) is int and size > 0 for size in known):
            raise ValueError(
                f"Inputs: shape is that of one sample, as (3, 1024), (3, None) or (1, 28, 28); got {self.shape!r}. "
                "For rows of a table give n, the number of columns."
            )
        if math.prod(known) > _LARGEST_SAMPLE:
            raise ValueError(f"Inputs: a sample of shape {shape} is refused: the largest has {_LARGEST_SAMPLE} values.")
        if self.n is not None and self.n != shape[0]:
            raise ValueError(f"Inputs: n={self.n} and shape={shape} differ; n is the first number of the shape.")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "n", shape[0])

    @property
    def center(self) -> np.ndarray | None:
        """The middle of what was seen, shape (n,), float64; None without a range.

        Zero where the range holds zero: scaled rows lie around it, and a fault stretches the range to one side. Else
        half-way between minimum and maximum.
        """
        if self.minimum is None or self.maximum is None:
            return None
        middle = (self.minimum.astype(np.float64) + self.maximum) / 2
        return np.where((self.minimum <= 0) & (self.maximum >= 0), 0.0, middle)


def _rates(given: Any) -> tuple[float, float]:
    try:
        low, high = (float(rate) for rate in given)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not 0 < low <= high < math.inf:
        raise ValueError(
            f"Inputs: sampling_rate is the lowest and the highest rate in Hz, as (5_000, 50_000); got {given!r}."
        )
    return low, high


# ---- as a file holds them

_TUPLES = ("names", "units", "shape", "sampling_rate")  # fields that a file holds as lists
_YOUNGER = ("shape", "sampling_rate", "front_end")  # not written where they are None: older versions know rows alone


def fields_of(record: Any) -> dict[str, Any]:
    """Fields of `Inputs` or of a source, with tuples as lists, so that JSON and skops keep them."""
    fields = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(record).items()}
    return {k: v for k, v in fields.items() if k not in _YOUNGER or v is not None}


def inputs_of(fields: dict[str, Any]) -> Inputs:
    """`Inputs` of fields as a file holds them."""
    tuples = {k: tuple(fields[k]) for k in _TUPLES if fields.get(k) is not None}
    return Inputs(**{**fields, **tuples})
