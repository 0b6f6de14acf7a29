"""Labels of a regression in another unit than those of the source: seen in the labelled rows, and made good.

::

    outputs of the source head, labels --> as they are | slope * output + offset | the mean of the labels
                                           each by its error on rows that it was not fitted to

A head that begins thousands of deviations away from the labels does not arrive: fine-tuning ends where it began.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.training.rows import TrainingRows
from sktransfer.utils.counted_warnings import CountedWarning, warn_of

_FAR = 2.0  # deviations of the labels by which the source head must miss them: the mean misses them by one
_BETTER = 4.0  # how many times smaller the squared error must be in another unit
_OTHER_UNIT = 5.0  # a slope of so much, or of its inverse, is no difference between machines; nor so many deviations
_FEWEST = 3  # rows that tell a slope, an offset and whether they are right
_MANY = 10  # rows whose spread is that of the labels; fewer may lie together by chance,
_FAR_OF_FEW = 25.0  # and the source head must miss them by more


class LabelUnit(NamedTuple):
    """The rows of the source head in the unit of the labels.

    Parameters
    ----------
    weight, bias, known : ndarray
        As in :class:`sktransfer.training.head_start.HeadStart`.
    changed : str
        What was done, in words; empty: nothing, or no more than between two machines.
    """

    weight: np.ndarray
    bias: np.ndarray
    known: np.ndarray
    changed: str = ""


def in_unit_of_labels(given: LabelUnit, features: np.ndarray | None, rows: TrainingRows) -> LabelUnit:
    """The rows of the source head, where the labels ask for it with another slope and offset, or not at all.

    Parameters
    ----------
    given : LabelUnit
        In units of standardised labels.
    features : ndarray of shape (n_samples, n_features) or None
        Standardised; None: not computed, and nothing is compared.
    rows : TrainingRows
        With standardised labels.
    """
    if features is None or len(features) < _FEWEST or not given.known.any():
        return given
    weight, bias, known, done = given.weight.copy(), given.bias.copy(), given.known.copy(), []
    outputs = features @ weight.T + bias
    for k in np.flatnonzero(known):
        share = rows.weight / rows.weight.sum()
        slope, offset = _best(outputs[:, k], rows.y[:, k], share)
        if (slope, offset) == (1.0, 0.0):
            continue
        missed = np.sqrt(share @ (outputs[:, k] - rows.y[:, k]) ** 2)
        if missed > _OTHER_UNIT or not 1 / _OTHER_UNIT < abs(slope) < _OTHER_UNIT:
            moved = f"its outputs times {slope:.3g}, moved to the mean of the labels"
            done.append(moved if slope else "not used")
        weight[k], bias[k], known[k] = slope * weight[k], slope * bias[k] + offset, slope != 0
    return LabelUnit(weight, bias, known, "; ".join(done))


def warn_of_unit(name: str, changed: str, backbone: str) -> None:
    """Say that the source head was rescaled, or left out."""
    text = (
        f"{name}: the source head of backbone {backbone!r} misses the labels by many times their spread, as if y were "
        "in another unit than that of the source. What is made of it: {names}. Give y in the unit of the source, or "
        "ask for the head as it is: LinearHead(init='source')."
    )
    warn_of(CountedWarning(text, DataQualityWarning, int(bool(changed)), 1, [changed]))


def _best(output: np.ndarray, label: np.ndarray, share: np.ndarray) -> tuple[float, float]:
    """Slope and offset: (1, 0) as it is, (0, 0) the mean of the labels, or those of least squares.

    `share` are weights that sum to one; the weighted mean of the labels is zero.
    """
    as_it_is = float(share @ (output - label) ** 2)
    if not as_it_is > (_FAR if len(label) >= _MANY else _FAR_OF_FEW) ** 2:
        return 1.0, 0.0
    middle = share @ output
    moved = output - middle
    spread = share @ moved**2
    slope = float(share @ (moved * label) / spread) if spread > 0 else 0.0
    # a row's own share in the mean, and in the line: what is left without it
    alone = np.minimum(share, 0.999)
    in_line = np.minimum(share * (1 + moved**2 / spread), 0.999) if spread > 0 else alone
    mean = float(share @ (label / (1 - alone)) ** 2)
    line = float(share @ ((label - slope * moved) / (1 - in_line)) ** 2)
    if _BETTER * min(mean, line) > as_it_is:
        return 1.0, 0.0
    return (slope, -slope * float(middle)) if line < mean else (0.0, 0.0)
