"""How far rows lie outside the range of the training rows, and what that does to confidence.

::

    row --how far outside?--> weight in (0, 1]
        --moved to the edge--> network --> probabilities --weight--> what is not known goes to the classes of the edge,
                                                                     never to those of the middle
"""

from __future__ import annotations

import numpy as np

from sktransfer.backbones.inputs import Inputs
from sktransfer.exceptions import OutOfRangeWarning
from sktransfer.utils.counted_warnings import CountedWarning, warn_of

# A row may lie this many half-ranges from the middle of a column's training range before its confidence is lowered:
# half a range beyond either edge. Where columns are logarithms of healthy deviations, that is a large factor already.
TOLERANCE = 2.0
# A class may lie this much further from the middle than the innermost one and still be counted as of the middle: one
# row of each class tells their mean distances no better. A class too many does no harm, the healthy one left out does.
_AS_NEAR = 1.3


def confidence_weights(X: np.ndarray, inputs: Inputs) -> np.ndarray:
    """Weights in (0, 1], shape (n_samples,): 1 in the training range and near it, falling as 1 / distance outside.

    The distance of a row is its largest excess over columns, in half-ranges of the training rows measured from
    the middle of the range. Columns that never moved borrow the median half-range. Of a window it is the largest over
    channels and samples, the range of a channel being that of all its samples.
    """
    if inputs.minimum is None or inputs.maximum is None:
        return np.ones(len(X))
    middle, half = (along_channels(limit, X.ndim) for limit in middle_and_half_range(inputs.minimum, inputs.maximum))
    excess = (np.abs(X - middle) / half).max(axis=tuple(range(1, X.ndim)), initial=0.0)
    return TOLERANCE / np.maximum(excess, TOLERANCE)


def along_channels(limits: np.ndarray, n_dimensions: int) -> np.ndarray:
    """`limits`, one for all or one a column or channel, in a shape that goes with samples of so many dimensions."""
    return limits.reshape(-1, *(1,) * (n_dimensions - 2))


def middle_and_half_range(minimum: np.ndarray, maximum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and half-range of each column in the training rows."""
    middle = (minimum.astype(np.float64) + maximum) / 2
    half = (maximum.astype(np.float64) - minimum) / 2
    typical = np.median(half[half > 0]) if (half > 0).any() else 1.0
    return middle, np.where(half > 0, np.maximum(half, 1e-3 * typical), typical)


def limits_in_range(inputs: Inputs, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest float32 value, one for all or one a column, that lower no confidence.

    A row whose cells all lie between them holds no NaN, nothing infinite or beyond `largest`, and has a confidence
    weight of 1. A row with a cell outside them may have a weight of 1, too.
    """
    if inputs.minimum is None or inputs.maximum is None:
        low, high = np.array([-largest]), np.array([largest])
    else:
        middle, half = middle_and_half_range(inputs.minimum, inputs.maximum)
        low = np.maximum(middle - TOLERANCE * half, -largest)
        high = np.minimum(middle + TOLERANCE * half, largest)
    # one step of float32 inside, because rounding may have gone outside
    up, down = np.float32(np.inf), np.float32(-np.inf)
    return np.nextafter(low.astype(np.float32), up), np.nextafter(high.astype(np.float32), down)


def central_classes(at_center: np.ndarray | None, distances: np.ndarray | None, n_classes: int) -> np.ndarray:
    """Which classes hold the middle of what was seen, where healthy rows lie; none if the evidence names all or no one.

    Of rows of a table, the classes to which the network gives more than an equal share at the middle itself. If all of
    them lie clearly further out than the innermost class, the two contradict each other, and that class is taken, too.
    Of windows, the classes that lie about as near as the innermost one: the middle of all samples is a signal at rest,
    which no machine in operation gives.

    Parameters
    ----------
    at_center : ndarray of shape (n_classes,) or None
        Probabilities of a row in the middle; None for windows.
    distances : ndarray of shape (n_classes,) or None
        Mean distance of the training rows of each class from the middle; None where a fit did not keep it.
    n_classes : int

    Returns
    -------
    ndarray of bool of shape (n_classes,)
    """
    none = np.zeros(n_classes, dtype=bool)
    if distances is None:
        distances = np.full(n_classes, np.inf)
    near = (distances <= _AS_NEAR * distances.min()) & np.isfinite(distances)
    central = near if at_center is None else at_center >= 1 / n_classes
    if not (central & near).any():
        central = central | ((distances == distances.min()) & near)
    return none if central.all() else central


def lowered(probabilities: np.ndarray, confidence: np.ndarray, central: np.ndarray) -> np.ndarray:
    """Probabilities of rows out of range: what is not known is shared among the classes that could be meant.

    ``confidence * probabilities + (1 - confidence) * shares``. All classes have equal shares, but a central one at most
    its own probability. So the most probable class stays, and no central class becomes more probable: what says "I do
    not know" does not say "healthy". The further out a row, the less probable are they.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_classes)
    confidence : ndarray of shape (n_samples,)
        From :func:`confidence_weights`.
    central : ndarray of bool of shape (n_classes,)
        From :func:`central_classes`.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
    """
    level = np.full((len(probabilities), 1), 1 / probabilities.shape[1])
    for _ in range(int(central.sum())):
        # what central classes do not take raises the share of the others; then some more take less than that
        below = central & (probabilities < level)
        rest = 1 - np.where(below, probabilities, 0.0).sum(axis=1, keepdims=True)
        level = rest / (~below).sum(axis=1, keepdims=True)
    shares = np.where(central, np.minimum(probabilities, level), level)
    weight = confidence[:, None]
    return weight * probabilities + (1 - weight) * shares


def count_out_of_range(confidence: np.ndarray | None) -> int:
    """How many rows lie so far outside the training range that their confidence falls by a third or more."""
    return 0 if confidence is None else int((confidence < 2 / 3).sum())


def warn_of_range(name: str, n_outside: int, n_rows: int) -> None:
    """Warn of the rows that :func:`count_out_of_range` found."""
    text = (
        f"{name}: {{count}} of {{total}} rows lie far outside the range of all rows seen in training; what is said of "
        "them is a guess. Check units, sensors and scaling."
    )
    warn_of(CountedWarning(text, OutOfRangeWarning, n_outside, n_rows))
