"""How far rows lie outside everything the network has seen, and what that does to its confidence."""

from __future__ import annotations

import numpy as np

from sktransfer._tally import Tally, warn_of
from sktransfer.card import Inputs
from sktransfer.exceptions import OutOfRangeWarning

# A row may lie this many half-ranges from the middle of a column's seen range before its confidence is lowered: half
# a range beyond either edge. Where columns are logarithms of healthy deviations, that is a large factor already.
_TOLERANCE = 2.0


def confidence_weights(X: np.ndarray, inputs: Inputs) -> np.ndarray:
    """Weights in (0, 1], shape (n_samples,): 1 inside the seen range, falling as 1 / distance outside.

    The distance of a row is its largest excess over columns, in half-ranges of the seen rows measured from the
    middle of the range. Columns that never moved borrow the median half-range.
    """
    if inputs.minimum is None or inputs.maximum is None or X.ndim != 2:
        return np.ones(len(X))
    middle = (inputs.minimum.astype(np.float64) + inputs.maximum) / 2
    half = (inputs.maximum.astype(np.float64) - inputs.minimum) / 2
    typical = np.median(half[half > 0]) if (half > 0).any() else 1.0
    half = np.where(half > 0, np.maximum(half, 1e-3 * typical), typical)
    excess = (np.abs(X - middle) / half).max(axis=1, initial=0.0)
    return _TOLERANCE / np.maximum(excess, _TOLERANCE)


def warn_of_range(who: str, trust: np.ndarray) -> None:
    """Say how many rows lie so far outside the seen range that their confidence falls by a third or more."""
    text = (
        f"{who}: {{count}} of {{total}} rows lie far outside the range of all rows seen in training; what is said of "
        "them is a guess. Check units, sensors and scaling."
    )
    warn_of(Tally(text, OutOfRangeWarning, int((trust < 2 / 3).sum()), len(trust)), stacklevel=3)
