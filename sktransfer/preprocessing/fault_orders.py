"""Orders at which a damaged bearing or shaft makes lines in a spectrum, and a logarithmic axis beside them.

::

    turns a window, orders of the bearing --> bins of a spectrum, in cycles a window, and their tolerance
"""

from __future__ import annotations

import numpy as np

from sktransfer.preprocessing.spectra import combinations, grid

# Multiples h of an order, and sidebands m at the speed that modulates it. The shaft modulates outer and inner race, the
# inner race as it turns through the load zone; the cage modulates the balls; nothing modulates cage and shaft. Even
# multiples of the ball spin are the ball striking both races. The last family is the shaft itself, whose lines may lie
# near the others.
# McFadden & Smith, J. Sound Vib. 96 (1984), doi 10.1016/0022-460X(84)90595-9.
_FAMILIES = (
    (0, combinations((1, 2, 3, 4, 5), (-1, 0, 1)), "shaft"),
    (1, combinations((1, 2, 3, 4, 5), (-2, -1, 0, 1, 2)), "shaft"),
    (2, combinations((1, 2, 3, 4, 6), (-2, -1, 0, 1, 2)), "cage"),
    (3, combinations((1, 2, 3, 4), (0,)), "none"),
    (4, combinations((1, 2, 3, 4, 5, 6), (0,)), "none"),
)
N_LINES = sum(len(pairs) for _, pairs, _ in _FAMILIES)
_ORDERS = ("bpfo", "bpfi", "bsf", "ftf", "shaft")
_OCTAVES, _PER_OCTAVE = 8, 16
N_AXIS = _OCTAVES * _PER_OCTAVE
_TOLERANCE = 0.009  # rollers slip: lines lie within about one percent of the kinematic orders
_LOWEST_ORDER, _LOWEST_CYCLES = 0.25, 3.0


def line_bins(shaft: np.ndarray, orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and half width of every reading at a fault order, in cycles per window; (n_signals, N_LINES)."""
    speeds = {"shaft": shaft, "cage": shaft * orders[:, 3], "none": np.zeros(len(shaft))}
    orders = np.column_stack([orders, np.where(np.isfinite(orders[:, 0]), 1.0, np.nan)])
    centers = []
    for kind, pairs, modulation in _FAMILIES:
        fault = shaft * orders[:, kind]
        centers.append(fault[:, None] * pairs[:, 0] + speeds[modulation][:, None] * pairs[:, 1])
    center = np.concatenate(centers, axis=1)
    return center, np.maximum(_TOLERANCE * center, 0.75)


def axis_bins(shaft: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and half width of every point of the logarithmic axis, in cycles per window; (n_signals, N_AXIS).

    Half a step of the axis is its tolerance.
    """
    known = np.isfinite(shaft)
    lowest = np.where(known, _LOWEST_ORDER * np.where(known, shaft, 1.0), _LOWEST_CYCLES)
    axis = lowest[:, None] * grid(_OCTAVES, _PER_OCTAVE, 1.0)
    return axis, axis * (2 ** (0.5 / _PER_OCTAVE) - 1)


def reading_names() -> tuple[list[str], list[str]]:
    """Names of the readings at fault orders, such as ``bpfi_2x-1shaft``, and of the points of the axis."""
    lines = []
    for kind, pairs, modulation in _FAMILIES:
        for h, m in pairs.astype(int):
            lines.append(f"{_ORDERS[kind]}_{h}x" + (f"{m:+d}{modulation}" if m else ""))
    return lines, [f"axis{k}" for k in range(N_AXIS)]
