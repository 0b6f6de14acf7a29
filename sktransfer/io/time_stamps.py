"""Time stamps of a file in UTC, by the declared format and zone and by nothing else.

::

    text    --ISO 8601, strptime--> with an offset --------> UTC --> between earliest and now?
                                    without --zone---------> UTC
    numbers --epoch-------------------------------------> UTC
            --Excel-------------> without --zone---------> UTC
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from sktransfer.io.source import Source, shown
from sktransfer.io.time_column import EPOCHS, TimeColumn, as_utc

_OFFSET = re.compile(r"[Tt ].*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)\s*$")  # at the end of a time of the day, as in ISO 8601
_DAY = 86_400 * 10**9  # ns
_EXCEL_ZERO = -25_569  # days from 1970-01-01 to 1899-12-30
_FAR = 2.0**62  # ns from 1970: up to the year 2116, and 64 bits hold what is computed with it
_REMEDY = {
    "iso": "Declare its format in TimeColumn(format=...), as '%d/%m/%Y %H:%M:%S', 'epoch_ms' or 'excel'.",
    "excel": "Declare format='iso', an epoch, or a format of strptime.",
}


class StampReader:
    """Read the time stamps of one file, block by block.

    Parameters
    ----------
    source : Source
    time : TimeColumn
    now : datetime-like or None
        Time of reading; None: that of the clock.

    Attributes
    ----------
    n_ambiguous : int
        Rows that were dropped because their hour came twice.
    """

    def __init__(self, source: Source, time: TimeColumn, now: Any = None):
        self.source, self.time = source, time
        self.n_ambiguous = 0
        clock = pd.Timestamp.now("UTC") if now is None else as_utc("now", now)
        self._latest = clock + pd.Timedelta(seconds=time.clock_tolerance)
        self._earliest = as_utc("earliest", time.earliest)
        self._now = clock
        self._has_offset: bool | None = None  # of the first stamps

    def read(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with its time column as ``datetime64[ns, UTC]``, without rows of an hour that comes twice.

        Raises
        ------
        TableError
            If a stamp is missing, cannot be read, tells no zone where none was declared, or is implausible.
        """
        name, stamps = self.time.name, frame[self.time.name]
        if self.time.format in EPOCHS:
            found = pd.Series(pd.to_datetime(self._numbers(frame, EPOCHS[self.time.format]), utc=True))
        elif self.time.format == "excel":
            found = self._localized(frame, pd.Series(pd.to_datetime(self._numbers(frame, _DAY))))
        else:
            found = self._from_text(frame, stamps)
        found.index = frame.index
        good = found.notna().to_numpy()
        self._check_range(frame, found, good)
        frame[name] = found.astype("datetime64[ns, UTC]")  # after the check, because it holds fewer years
        if good.all():
            return frame
        self.n_ambiguous += int((~good).sum())
        return frame[good]

    def _error(self, frame: pd.DataFrame, row: int, what: str) -> Exception:
        return self.source.error(what, frame.index[row], self.time.name)

    def _numbers(self, frame: pd.DataFrame, unit: int) -> np.ndarray:
        """Stamps that are numbers of `unit` ns, as ``datetime64[ns]``."""
        stamps = frame[self.time.name]
        if stamps.dtype.kind not in "iuf":
            as_numbers = pd.to_numeric(stamps.astype(object), errors="coerce")
            row = int(np.argmax(as_numbers.isna().to_numpy())) if as_numbers.isna().any() else 0
            if not str(stamps.iloc[row]).strip():
                raise self._error(frame, row, "the row has no time stamp.")
            raise self._error(frame, row, f"{shown(stamps.iloc[row])} is no number, and format={self.time.format!r} "
                              "was declared.")  # fmt: skip
        days = _EXCEL_ZERO if self.time.format == "excel" else 0
        values = stamps.to_numpy(np.float64) + days
        far = ~(np.abs(values) < _FAR / unit)
        if far.any():
            row = int(np.argmax(far))
            raise self._error(frame, row, self._implausible(stamps.iloc[row], "a year that no stamp has"))
        if stamps.dtype.kind in "iu" and not days:
            return (stamps.to_numpy(np.int64) * unit).astype("datetime64[ns]")
        step = 10**6 if days else min(1000, unit)  # of ns: what a float64 of such stamps can tell
        return (np.round(values * (unit / step)).astype(np.int64) * step).astype("datetime64[ns]")

    def _from_text(self, frame: pd.DataFrame, stamps: pd.Series) -> pd.Series:
        stamps = stamps if stamps.dtype.kind not in "iufb" else stamps.astype(str)
        iso = self.time.format == "iso"
        with_offset = "%z" in self.time.format
        try:
            if iso:
                found = pd.to_datetime(stamps, format="ISO8601")
                if found.dtype.kind != "M":  # pandas 2 gives objects for several offsets
                    raise ValueError("several offsets")
            else:
                found = pd.to_datetime(stamps, format=self.time.format, utc=with_offset)
        except (ValueError, TypeError, OverflowError):
            found = self._with_offsets(frame, stamps) if iso else None
            if found is None:
                raise self._unreadable(frame, stamps) from None
        if found.isna().any():  # "NaT" is text that pandas reads as no time
            raise self._error(frame, int(np.argmax(found.isna().to_numpy())), "the row has no time stamp.")
        self._check_clock_words(frame, stamps, found)
        if self._has_offset not in (None, found.dt.tz is not None):
            raise self._mixed(frame, 0, stamps)
        self._has_offset = found.dt.tz is not None
        return found.dt.tz_convert("UTC") if found.dt.tz is not None else self._localized(frame, found)

    def _check_clock_words(self, frame: pd.DataFrame, stamps: pd.Series, found: pd.Series) -> None:
        """Refuse ``now`` and ``today``, which pandas reads as the time of its clock in any format."""
        recent = (found > pd.Timestamp.now(found.dt.tz) - pd.Timedelta(days=2)).to_numpy()
        if recent.any() and stamps.dtype.kind != "M":
            words = np.zeros(len(stamps), bool)
            words[recent] = stamps[recent].isin(["now", "today"]).to_numpy()
            if words.any():
                raise self._unreadable(frame, stamps, words)

    def _with_offsets(self, frame: pd.DataFrame, stamps: pd.Series) -> pd.Series | None:
        """Stamps with several offsets in UTC; None if they cannot be read."""
        try:
            found = pd.to_datetime(stamps, format="ISO8601", utc=True)
        except (ValueError, TypeError, OverflowError):
            return None
        offset = np.array([_OFFSET.search(str(stamp)) is not None for stamp in stamps])
        if offset.any() and not offset.all():
            raise self._mixed(frame, int(np.argmax(offset != offset[0])), stamps)
        return found if offset.all() else None

    def _mixed(self, frame: pd.DataFrame, row: int, stamps: pd.Series) -> Exception:
        return self._error(
            frame, row, f"some time stamps tell an offset from UTC and others do not; here {shown(stamps.iloc[row])}. "
            "Export all of them in one way.",
        )  # fmt: skip

    def _unreadable(self, frame: pd.DataFrame, stamps: pd.Series, wrong: np.ndarray | None = None) -> Exception:
        if wrong is None:
            how = "ISO8601" if self.time.format == "iso" else self.time.format
            wrong = pd.to_datetime(stamps, format=how, errors="coerce", utc=True).isna().to_numpy()
        row = int(np.argmax(wrong))
        hint = _REMEDY.get(self.time.format, "Declare the format that the file has.")
        return self._error(
            frame, row, f"the time stamp {shown(stamps.iloc[row])} is not as format={self.time.format!r} says. {hint}"
        )

    def _localized(self, frame: pd.DataFrame, naive: pd.Series) -> pd.Series:
        """Stamps of the declared zone in UTC; not a time where an hour that comes twice is dropped."""
        if self.time.zone is None:
            raise self._error(
                frame, 0, "time stamps tell no zone. Declare it in TimeColumn(zone=...), as 'UTC' or 'Europe/Berlin'."
            )
        try:
            found = naive.dt.tz_localize(self.time.zone, ambiguous="NaT", nonexistent="NaT")
            if found.isna().any():
                once = naive.dt.tz_localize(self.time.zone, ambiguous=np.ones(len(naive), bool), nonexistent="NaT")
                self._check_hours(frame, naive, once.isna().to_numpy(), found.isna().to_numpy())
        except (OverflowError, pd.errors.OutOfBoundsDatetime):
            raise self._error(frame, 0, "a time stamp lies beyond the years 1678 to 2261.") from None
        return found.dt.tz_convert("UTC")

    def _check_hours(self, frame: pd.DataFrame, naive: pd.Series, never: np.ndarray, lost: np.ndarray) -> None:
        zone, utc = self.time.zone, "Export time stamps in UTC or with their offset"
        if never.any():
            row = int(np.argmax(never))
            raise self._error(
                frame, row, f"{naive.iloc[row]} is left out in {zone!r}, where the clock goes forward. {utc}, or "
                "declare the zone of the logger: clocks that stay at winter time have a fixed one, as '+01:00'.",
            )  # fmt: skip
        if self.time.ambiguous == "error":
            row = int(np.argmax(lost))
            raise self._error(
                frame, row, f"{naive.iloc[row]} comes twice in {zone!r}, where the clock goes back. {utc}, or leave "
                "out the rows of this hour by ambiguous='drop'.",
            )  # fmt: skip

    def _check_range(self, frame: pd.DataFrame, found: pd.Series, good: np.ndarray) -> None:
        early, late = (found < self._earliest).to_numpy() & good, (found > self._latest).to_numpy() & good
        if not (early.any() or late.any()):
            return
        row = int(np.argmax(early | late))
        if early[row]:
            what = self._implausible(frame[self.time.name].iloc[row], found.iloc[row])
            raise self._error(frame, row, f"{what} It is before earliest={self.time.earliest!r}.")
        ahead = (found.iloc[row] - self._now).total_seconds()
        raise self._error(
            frame, row, f"the time stamp {found.iloc[row]} lies {ahead:.6g} s in "
            f"the future, where clock_tolerance is {self.time.clock_tolerance:g} s. Check format={self.time.format!r}, "
            "the zone and the clocks.",
        )  # fmt: skip

    def _implausible(self, stamp: Any, meaning: Any) -> str:
        """That a stamp means an implausible time, and the formats by which it would not."""
        others = []
        try:
            number = float(stamp)
        except (TypeError, ValueError):
            number = np.nan
        for name, unit, days in [*((name, unit, 0) for name, unit in EPOCHS.items()), ("excel", _DAY, _EXCEL_ZERO)]:
            if name != self.time.format and abs(number) < _FAR / unit:
                moment = pd.Timestamp(int((number + days) * unit), tz="UTC")
                if self._earliest <= moment <= self._latest:
                    others.append(f"{name!r} ({moment:%Y-%m-%d})")
        hint = f"As {' or '.join(others)} it is plausible." if others else "Check the format."
        return f"{shown(stamp)} means {meaning} by format={self.time.format!r}. {hint}"
