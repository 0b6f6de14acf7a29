"""TimeColumn: how time stamps are written, and what is done about those that repeat, go back or lie in the future."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from sktransfer.utils.invalid_parameter import invalid_parameter, is_number
from sktransfer.utils.settings import Settings

_NAME = "TimeColumn"
EPOCHS = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}  # nanoseconds of one unit


class TimeColumn(Settings):
    """The column of time stamps of a file.

    Parameters
    ----------
    name : str
        Its header.
    format : str, default="iso"
        ``"iso"``: ISO 8601, as ``2026-01-31 08:15:00.5+01:00``. ``"epoch_s"``, ``"epoch_ms"``, ``"epoch_us"``,
        ``"epoch_ns"``: time since 1970-01-01 in UTC. ``"excel"``: days since 1899-12-30 (serial numbers of Excel),
        rounded to 1 ms. Anything else is a format of ``strptime``, as ``"%d/%m/%Y %H:%M"``.
    zone : str or None, default=None
        Zone of stamps that tell no offset: ``"UTC"``, ``"Europe/Berlin"``, ``"+01:00"``. Without it they are an error.
    ambiguous : {"error", "drop"}, default="error"
        What is done about stamps of the hour that comes twice as the clock goes back. Dropped rows are counted in a
        warning. Stamps of the hour that is left out in spring are always an error.
    duplicates : {"last", "first", "error"}, default="last"
        Which row of one machine and one stamp is kept, in the order of the file; dropped rows are counted in a warning.
    order : {"sort", "error"}, default="sort"
        What is done about rows of one machine that are not in the order of time; sorted rows are counted in a warning.
    max_gap : float, optional
        Distance between rows of one machine in s; a longer one is reported as a gap. None: one and a half times the
        median of the first 10 000 distances.
    earliest : str, default="1990-01-01"
        Date, in UTC. An earlier stamp is an error, because another format is likelier than so old a row.
    clock_tolerance : float, default=60.0
        How far a stamp may lie after the time of reading, in s. A later one is an error.

    See Also
    --------
    TableFormat : The rest of a file.

    Examples
    --------
    >>> from sktransfer import TimeColumn
    >>> TimeColumn("time", "%d/%m/%Y %H:%M", zone="Europe/London")
    TimeColumn(name='time', format='%d/%m/%Y %H:%M', zone='Europe/London')
    """

    def __init__(
        self,
        name,
        format="iso",
        *,
        zone=None,
        ambiguous="error",
        duplicates="last",
        order="sort",
        max_gap=None,
        earliest="1990-01-01",
        clock_tolerance=60.0,
    ):
        self.name = name
        self.format = format
        self.zone = zone
        self.ambiguous = ambiguous
        self.duplicates = duplicates
        self.order = order
        self.max_gap = max_gap
        self.earliest = earliest
        self.clock_tolerance = clock_tolerance

    def check(self) -> None:
        """Check the parameters.

        Raises
        ------
        InvalidParameterError
            If one is none that can be used.
        """
        if not isinstance(self.name, str):
            raise invalid_parameter(_NAME, "name", "be the name of a column", self.name)
        known = ("iso", "excel", *EPOCHS)
        if not (isinstance(self.format, str) and (self.format in known or "%" in self.format)):
            raise invalid_parameter(_NAME, "format", f"be one of {list(known)} or a format of strptime", self.format)
        allowed = {"ambiguous": ("error", "drop"), "duplicates": ("last", "first", "error"), "order": ("sort", "error")}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise invalid_parameter(_NAME, name, f"be one of {list(values)}", getattr(self, name))
        if self.max_gap is not None and not (is_number(self.max_gap) and 0 < self.max_gap < math.inf):
            raise invalid_parameter(_NAME, "max_gap", "be a positive number of s, or None", self.max_gap)
        if not (is_number(self.clock_tolerance) and 0 <= self.clock_tolerance < math.inf):
            raise invalid_parameter(_NAME, "clock_tolerance", "be a number of s of at least 0", self.clock_tolerance)
        if self.zone is not None and not _is_zone(self.zone):
            raise invalid_parameter(_NAME, "zone", "be a time zone such as 'Europe/Berlin' or '+01:00'", self.zone)
        as_utc("earliest", self.earliest)


def as_utc(name: str, moment: Any) -> pd.Timestamp:
    """A moment in UTC; one that tells no zone is taken to be in UTC.

    Raises
    ------
    InvalidParameterError
        If it is none.
    """
    try:
        found = pd.Timestamp(moment)
        if pd.isna(found):
            raise ValueError("no time")
        return found.tz_localize("UTC") if found.tz is None else found.tz_convert("UTC")
    except (TypeError, ValueError, OverflowError):
        raise invalid_parameter(_NAME, name, "be a date such as '2026-01-31'", moment) from None


def _is_zone(zone: Any) -> bool:
    try:
        return isinstance(zone, str) and pd.Timestamp("2020-01-01").tz_localize(zone).tz is not None
    except (LookupError, ValueError, TypeError, OSError):
        return False
