r"""What each sensor, and each stretch of a window, adds: it is put back to healthy values, and the estimator is asked.

::

    the sample, sensor j healthy    --> what j takes off the whole  --+
    a healthy sample, sensor j as it is --> what j adds to nothing  --+--> the larger one --> effect of j
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

_VALUES = 2**21  # numbers of changed samples that are asked together
_MOST = 4096  # such samples

Ask = Callable[[np.ndarray, np.ndarray], np.ndarray]


def put_back_effects(ask: Ask, values: np.ndarray, references: list[np.ndarray], signed: bool = False) -> np.ndarray:
    """What each sensor adds to the evidence, shape (n_samples, n_sensors).

    The larger of two, each a mean over the references: what is taken off the evidence of the sample where the sensor is
    healthy, and what is added to the evidence of the reference where the sensor is as in the sample. One side alone is
    blind: the first to sensors that say the same, the second to sensors that are only unusual together.

    Parameters
    ----------
    ask : function
        From changed samples, and the numbers of the samples that they were, to their evidence.
    values : ndarray of shape (n_samples, n_sensors, ...)
    references : list of ndarray of the shape of `values`
    signed : bool, default=False
        Whether the larger one is that of the larger absolute value, as for a regressor.
    """
    n, n_sensors = values.shape[:2]
    row, sensor = np.divmod(np.arange(n * n_sensors), n_sensors)
    every, removed, added = np.arange(n), np.zeros(n * n_sensors), np.zeros(n * n_sensors)
    whole = _asked(ask, values, every, values.__getitem__)
    for reference in references:
        none = _asked(ask, values, every, reference.__getitem__)
        removed += whole[row] - _asked(ask, values, row, partial(_exchanged, values, reference, row, sensor))
        added += _asked(ask, values, row, partial(_exchanged, reference, values, row, sensor)) - none[row]
    first = np.abs(removed) >= np.abs(added) if signed else removed >= added
    return (np.where(first, removed, added) / len(references)).reshape(n, n_sensors)


def segments(
    ask: Ask, values: np.ndarray, references: list[np.ndarray], row: np.ndarray, sensor: np.ndarray, n_pieces: int
) -> tuple[np.ndarray, np.ndarray]:
    """First sample, and the one behind the last, of the stretch of the window in which a sensor matters.

    Each of about `n_pieces` pieces of equal length is put back by itself, and kept by itself while the rest of the
    sensor's window is put back. The stretch is the run of pieces whose effects exceed their mean by most in sum: where
    all pieces matter alike, it is the whole window.

    Parameters
    ----------
    ask, values, references
        As in :func:`put_back_effects`; windows.
    row, sensor : ndarray of shape (n_asked,)
        Which window and which sensor.
    n_pieces : int

    Returns
    -------
    start, end : ndarray of shape (n_asked,), int
    """
    length, n_asked = values.shape[2], len(row)
    edges = np.unique(np.linspace(0, length, min(n_pieces, length) + 1).round().astype(int))
    n_pieces = len(edges) - 1
    in_piece = np.repeat(np.arange(n_pieces), np.diff(edges))[None] == np.arange(n_pieces)[:, None]
    job, piece = np.divmod(np.arange(n_asked * n_pieces), n_pieces)
    found = np.zeros(n_asked * n_pieces)
    for reference in references:
        for keep in (False, True):
            made = partial(_pieces_changed, values, reference, row[job], sensor[job], in_piece[piece], keep)
            evidence = _asked(ask, values, row[job], made)
            found += evidence if keep else -evidence
    return _runs(found.reshape(n_asked, n_pieces), edges)


def _exchanged(into: np.ndarray, taken: np.ndarray, row: np.ndarray, sensor: np.ndarray, part: slice) -> np.ndarray:
    """Samples of `into`, each with one sensor of `taken`."""
    changed, at = into[row[part]].copy(), np.arange(len(row[part]))
    changed[at, sensor[part]] = taken[row[part], sensor[part]]
    return changed


def _pieces_changed(
    values: np.ndarray,
    reference: np.ndarray,
    row: np.ndarray,
    sensor: np.ndarray,
    own: np.ndarray,
    keep: bool,
    part: slice,
) -> np.ndarray:
    """Windows with a piece of one sensor put back, or with all of the sensor but this piece."""
    changed, at = values[row[part]].copy(), np.arange(len(row[part]))
    kept, sensors = own[part] == keep, sensor[part]
    changed[at, sensors] = np.where(kept, changed[at, sensors], reference[row[part], sensors])
    return changed


def _runs(effects: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the run of pieces whose effects exceed their mean by most in sum."""
    above = effects - effects.mean(axis=1, keepdims=True)
    scale = np.abs(effects).max(axis=1, keepdims=True)
    above = np.where(np.abs(above) <= 1e-9 * scale, 0.0, above)
    sums = np.concatenate([np.zeros((len(above), 1)), np.cumsum(above, axis=1)], axis=1)
    n = sums.shape[1]
    gain = sums[:, None, :] - sums[:, :, None]  # from piece i to piece j
    gain[:, np.tri(n, dtype=bool)] = -np.inf
    # of equal runs the longest: the whole window where nothing stands out
    length = np.where(np.tri(n, dtype=bool), 0, np.arange(n)[None] - np.arange(n)[:, None])
    best = gain.reshape(len(gain), -1).max(axis=1)
    near = gain >= (best - 1e-9 * np.abs(above).sum(axis=1))[:, None, None]
    place = np.where(near, length, -1).reshape(len(gain), -1).argmax(axis=1)
    return edges[place // n], edges[place % n]


def _asked(ask: Ask, values: np.ndarray, rows: np.ndarray, made: Callable[[slice], np.ndarray]) -> np.ndarray:
    """The evidence of many changed samples, which are made and asked a part at a time."""
    size = int(np.clip(_VALUES // max(1, values[0].size), 1, _MOST))
    parts = [slice(start, min(start + size, len(rows))) for start in range(0, len(rows), size)]
    return np.concatenate([ask(made(part), rows[part]) for part in parts])
