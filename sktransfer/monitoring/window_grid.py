"""Where windows begin, so that the same ones are cut from any piece of a table.

::

    rows of all machines --> the first row of each step of time --> enough rows in a row behind it --> window
                                                                --> a row that breaks it off --> a step without one

Whether a window is cut depends on its own rows, and on the row before its first one, alone. Times are whole ns, so that
no rounding moves a window where rows come a thousand times a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class WindowGrid:
    """Times of the windows, in ns but for the length.

    Parameters
    ----------
    length : int
        Rows of a window.
    step : int
        From the begin of one window to that of the next; windows begin at whole multiples of it since 1970.
    period : int
        Usual distance of two rows.
    max_gap : int
        Longest distance of two rows of a window.
    jitter : float
        Share of the period by which the distance of two rows of a window may differ from it.
    """

    length: int
    step: int
    period: int
    max_gap: int
    jitter: float


@dataclass(frozen=True)
class CutWindows:
    """Windows, and steps of time without one.

    Parameters
    ----------
    ends : ndarray of int of shape (n_windows,)
        Last row of each window.
    row : ndarray of int of shape (n_stretches,)
        Of each stretch of steps without a window, a row: the one that broke off the first.
    time : ndarray of int of shape (n_stretches,)
        When the first window that is not there would have ended, in ns.
    joined : ndarray of bool of shape (n_rows,)
        Whether a row goes on from the one before, without a gap.
    uneven : ndarray of bool of shape (n_rows,)
        Whether a row is behind the one before at another distance than usual, which is no gap.
    """

    ends: np.ndarray
    row: np.ndarray
    time: np.ndarray
    joined: np.ndarray
    uneven: np.ndarray


def cut_windows(time: np.ndarray, begins: np.ndarray, good: np.ndarray, grid: WindowGrid) -> CutWindows:
    """Find the windows of all machines.

    Parameters
    ----------
    time : ndarray of int of shape (n_rows,)
        In ns, in order for each machine; the rows of a machine stand together.
    begins : ndarray of bool of shape (n_rows,)
        The first row of each machine.
    good : ndarray of bool of shape (n_rows,)
        Rows that can be used.
    grid : WindowGrid
    """
    n = len(time)
    distance = np.diff(time, prepend=time[:1])
    near = ~begins & (distance <= grid.max_gap)
    joined = near & (np.abs(distance - grid.period) <= grid.jitter * grid.period + 1)
    slot, past = np.divmod(time + grid.period // 2, grid.step)
    # behind a gap a row begins a window only at its place in the grid; else whichever is the first of its step
    first = np.flatnonzero(np.diff(slot, prepend=-1).astype(bool) | begins)
    on_grid = joined[first] | (past[first] < grid.period)
    breaks = np.append(np.flatnonzero(~joined | ~good), n)
    broken = breaks[np.searchsorted(breaks, first, side="right")]
    broken = np.where(good[first] & on_grid, broken, first)
    whole = broken - first >= grid.length
    open_ = ~whole & ((broken == n) | np.append(begins, True)[broken]) & (broken > first)  # more rows may come
    open_ |= begins[first] & ~on_grid  # the table begins inside a step: nobody knows whether that had a window
    ends = first[whole] + grid.length - 1
    row, at = _without(time, begins, joined, (slot[first], first, broken), ~whole & ~open_, grid)
    machine = np.cumsum(begins)
    said = set(zip(machine[ends].tolist(), time[ends].tolist(), strict=True))
    # a window that ends at this very time says more
    kept = np.array([key not in said for key in zip(machine[row].tolist(), at.tolist(), strict=True)], dtype=bool)
    return CutWindows(ends, row[kept], at[kept], joined, near & ~joined)


def _without(
    time: np.ndarray,
    begins: np.ndarray,
    joined: np.ndarray,
    steps: tuple[np.ndarray, np.ndarray, np.ndarray],
    missing: np.ndarray,
    grid: WindowGrid,
) -> tuple[np.ndarray, np.ndarray]:
    """Row and time of each stretch of steps without a window, each once, at its begin."""
    slot, first, broken = steps
    other, before = begins[first], np.append(False, missing[:-1])[: len(first)]
    # between two rows that go on from each other there is a step without a row where rows come slowly: no window lacks
    empty = ~other & ~joined[first] & (np.diff(slot, prepend=0) > 1)
    of_row = missing & ~empty & (other | ~before)
    of_empty = empty & ~before
    number = np.flatnonzero(of_row | of_empty)
    k = np.where(of_empty, np.roll(slot, 1) + 1, slot)[number]
    row = np.where(of_empty, first, broken)[number]
    ended = ((k * grid.step + (grid.length - 1) * grid.period + grid.period // 2) // grid.step + 1) * grid.step
    # not before it is known: then the next row should have come
    due = np.where(begins[row], time[row], np.minimum(time[row], time[row - 1] + grid.period))
    return row, np.maximum(ended, due)
