"""Order, repetition and gaps of time stamps, machine by machine, also across the chunks of a file.

::

    chunk --> rows of each machine in the order of time --> repeated stamps --> gaps --> kept back by one chunk,
                                                            because the next one may repeat its last stamps
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.io.source import Source
from sktransfer.io.time_column import TimeColumn

_NEVER = np.iinfo(np.int64).min  # stands for no row before
_SAMPLE = 10_000  # distances tell the period
_LISTED = 20  # gaps with their times; all of them are counted


@dataclass
class Order:
    """What was found in one chunk.

    Parameters
    ----------
    n_duplicates, n_unsorted, n_gaps : int
    gaps : list of (str, Timestamp, Timestamp)
        Machine, last row before and first row after, of the first 20.
    """

    n_duplicates: int = 0
    n_unsorted: int = 0
    n_gaps: int = 0
    gaps: list[tuple[Any, pd.Timestamp, pd.Timestamp]] = field(default_factory=list)


class TimeOrder:
    """Put the rows of each machine in the order of time.

    Parameters
    ----------
    source : Source
    time : TimeColumn
    machine : str or None
        Column of machines.
    """

    def __init__(self, source: Source, time: TimeColumn, machine: str | None):
        self.source, self.time, self.machine = source, time, machine
        self._last: dict[Any, int] = {}  # stamp of the last row of each machine, in ns
        self._gap = None if time.max_gap is None else time.max_gap * 1e9

    def sort(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, Order]:
        """Rows of each machine in the order of time, without repetitions inside the chunk.

        They stand in the places that the rows of the machine had.
        """
        codes, _ = self._machines(frame)
        stamps = self._stamps(frame)
        by_machine = np.argsort(codes, kind="stable")
        t, same = stamps[by_machine], _follows(codes[by_machine])
        back = np.concatenate([[False], t[1:] < t[:-1]]) & same if len(t) else same
        order = Order(n_unsorted=int(back.sum()))
        if back.any():
            if self.time.order == "error":
                self._raise(frame.index[by_machine[back]].min(), "the row is earlier than the one before it.")
            places = np.empty(len(frame), np.int64)
            places[by_machine] = np.lexsort((stamps, codes))
            frame, stamps = frame.iloc[places], stamps[places]
            t = stamps[by_machine]
        repeats = np.concatenate([[False], t[1:] == t[:-1]]) & same if len(t) else same
        if repeats.any():
            if self.time.duplicates == "error":
                self._raise(frame.index[by_machine[repeats]].min(), "the row repeats the time stamp of another one.")
            if self.time.duplicates == "last":
                repeats = np.concatenate([repeats[1:], [False]])
            keep = np.ones(len(frame), bool)
            keep[by_machine[repeats]] = False
            frame, order.n_duplicates = frame[keep], int(repeats.sum())
        return frame, order

    def join(self, before: pd.DataFrame | None, frame: pd.DataFrame, order: Order) -> tuple[Any, pd.DataFrame]:
        """Compare a sorted chunk with the one before it, and count in `order` what repeats and what is missing.

        Returns
        -------
        before, frame : DataFrame
            Without the rows that the other one repeats.
        """
        codes, machines = self._machines(frame)
        stamps = self._stamps(frame)
        _, firsts = np.unique(codes, return_index=True)
        dropped = []
        for machine, row in zip(machines, firsts, strict=True):
            last = self._last.get(machine)
            if last is None or stamps[row] > last:
                continue
            line = frame.index[row]
            if stamps[row] < last:
                self._raise(
                    line, "the row is earlier than rows of an earlier chunk. Read the file at once by read_table, in "
                    "larger chunks, or sort it.",
                )  # fmt: skip
            if self.time.duplicates == "error":
                self._raise(line, "the row repeats the time stamp of another one.")
            order.n_duplicates += 1
            if self.time.duplicates == "first":
                dropped.append(row)
            elif before is not None:
                before = self._without(before, machine, last, line)
        if dropped:
            frame = frame.drop(index=frame.index[dropped])
        self._count_gaps(frame, order)
        return before, frame

    def _without(self, before: pd.DataFrame, machine: Any, stamp: int, line: Any) -> pd.DataFrame:
        found = self._stamps(before) == stamp
        if self.machine is not None:
            found &= (before[self.machine].astype(object) == machine).to_numpy()
        if not found.any():
            self._raise(
                line, "the row repeats a time stamp from more than one chunk before. Read the file at once by "
                "read_table, or in larger chunks.",
            )  # fmt: skip
        return before[~found]

    def _count_gaps(self, frame: pd.DataFrame, order: Order) -> None:
        """Distances of rows of one machine that are longer than the limit; also to the row of an earlier chunk."""
        codes, machines = self._machines(frame)
        stamps = self._stamps(frame)
        by_machine = np.argsort(codes, kind="stable")
        codes, t = codes[by_machine], stamps[by_machine]
        follows = _follows(codes)
        lasts = np.array([self._last.get(machine, _NEVER) for machine in machines], np.int64)
        previous = np.concatenate([[_NEVER], t[:-1]]) if len(t) else t
        previous = np.where(follows, previous, lasts[codes] if len(codes) else previous)
        distances = t - np.where(previous == _NEVER, t, previous)
        if self._gap is None and follows.any():
            self._gap = 1.5 * float(np.median(distances[follows][:_SAMPLE]))
        if self._gap is not None:
            found = np.flatnonzero(distances > self._gap)
            found = found[np.argsort(by_machine[found])]  # in the order of the file, however it is cut
            order.n_gaps = len(found)
            order.gaps = [
                (machines[codes[i]], pd.Timestamp(previous[i], tz="UTC"), pd.Timestamp(t[i], tz="UTC"))
                for i in found[:_LISTED]
            ]
        ends = np.flatnonzero(np.concatenate([~follows[1:], [True]])) if len(t) else np.zeros(0, np.int64)
        for i in ends:
            self._last[machines[codes[i]]] = int(t[i])

    def _machines(self, frame: pd.DataFrame) -> tuple[np.ndarray, list]:
        if self.machine is None:
            return np.zeros(len(frame), np.int64), [None] if len(frame) else []
        codes, machines = pd.factorize(frame[self.machine].astype(object))
        return codes, list(machines)

    def _stamps(self, frame: pd.DataFrame) -> np.ndarray:
        return frame[self.time.name].astype("int64").to_numpy()

    def _raise(self, line: Any, what: str) -> None:
        hint = "" if "chunk" in what else " Clean the file, or set order='sort' and duplicates='last'."
        raise self.source.error(what + hint, line, self.time.name)


def _follows(codes: np.ndarray) -> np.ndarray:
    """Whether the entry before is of the same machine."""
    return np.concatenate([[False], codes[1:] == codes[:-1]]) if len(codes) else np.zeros(0, bool)
