"""The header of a table: names of columns, their units, and what each column is for."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sktransfer.io.source import Source
from sktransfer.io.table_format import TableFormat, sensor_units

_BRACKETED = re.compile(r"\[([^\[\]]*)\]\s*$")  # round brackets often hold a place, as in "pressure (inlet)"
_SEPARATORS = ";\t|,"


@dataclass(frozen=True)
class Columns:
    """Positions of the wanted columns in the file, by name.

    Parameters
    ----------
    sensors, text : dict of str to int
        The machine is among the text.
    time : int or None
    n_fields : int
        Number of fields of a record.
    unnamed_last : bool
        Whether a last column without a name must be empty: each line ends in a separator.
    """

    sensors: dict[str, int]
    text: dict[str, int]
    time: int | None
    n_fields: int
    unnamed_last: bool = False


def clean_names(names: Sequence[str]) -> list[str]:
    """Names without blanks around them; a non-breaking blank is a blank."""
    return [name.replace("\xa0", " ").strip() for name in names]


def find_columns(
    source: Source, table_format: TableFormat, names: list[str], first: int | None, line: int | None
) -> Columns:
    """What each column of a header is for.

    Parameters
    ----------
    source : Source
    table_format : TableFormat
    names : list of str
        As :func:`clean_names` gives them.
    first : int or None
        Number of fields of the first record below, if a last one without a name may follow the header's.
    line : int or None
        Of the header.

    Returns
    -------
    Columns

    Raises
    ------
    TableError
        If a name stands twice, a wanted one is not there, or a column without a name would be a sensor.
    """
    _check_header(source, table_format, names, line)
    unnamed_last = names[-1] == "" or first == len(names) + 1
    n_fields = len(names) + (names[-1] != "" and unnamed_last)
    where = {name: i for i, name in enumerate(names) if name}
    time = table_format.time
    text = list(dict.fromkeys([*table_format.text, *([table_format.machine] if table_format.machine else [])]))
    sensors = table_format.sensors
    others = [*text, *([time.name] if time is not None else [])]
    if sensors is None:
        for i, name in enumerate(names[:-1] if unnamed_last and names[-1] == "" else names):
            if not name:
                raise source.error(
                    f"column {i + 1} of the header has no name. Name it, or name the wanted columns in sensors=.", line
                )
        sensors = [name for name in where if name not in others]
        if not sensors:
            raise source.error("no column is left for sensors.", line)
    for name in [*sensors, *others]:
        if name not in where:
            raise source.error(_not_there(name, names), line, name)
    return Columns(
        {name: where[name] for name in sensors},
        {name: where[name] for name in text},
        None if time is None else where[time.name],
        n_fields,
        unnamed_last,
    )


def _check_header(source: Source, table_format: TableFormat, names: list[str], line: int | None) -> None:
    named = [name for name in names if name]
    twice = sorted({name for name in named if named.count(name) > 1}) if len(set(named)) < len(named) else []
    if twice:
        raise source.error(f"the header names {twice} twice. Give each column a name of its own.", line, twice[0])
    if len(named) == 1:
        other = [sign for sign in _SEPARATORS if sign != table_format.separator and sign in named[0]]
        if other:
            also = " and decimal=',' (if numbers have a decimal comma)" if other[0] == ";" else ""
            raise source.error(
                f"the header is one field with separator={table_format.separator!r}, and holds {other[0]!r}. Declare "
                f"separator={other[0]!r}{also}.",
                line,
            )
    if named and table_format.comment is None and named[0].startswith("#") and table_format.skip_rows == 0:
        raise source.error("the line begins with '#'. Declare comment='#', or rename the column.", line)


def _not_there(name: str, names: list[str]) -> str:
    same = [one for one in names if one.casefold() == name.casefold()]
    near = same or difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"the header has no such column.{hint} It has {names[:12]}."


def check_units(
    source: Source, table_format: TableFormat, columns: Columns, found: Mapping[str, str] | None, line: int | None
) -> dict[str, str]:
    """Units by sensor: those of the file, and declared ones where the file tells none.

    Parameters
    ----------
    source : Source
    table_format : TableFormat
    columns : Columns
    found : dict of str to str, or None
        Units of the file by column; None: it has no place for them but the names, as ``p [bar]``.
    line : int or None
        Where they stand.

    Raises
    ------
    TableError
        If a unit is not the declared one.
    """
    declared = sensor_units(table_format)
    units = {}
    for name in columns.sensors:
        unit = (found or {}).get(name, "").strip()
        in_name = _BRACKETED.search(name)
        told = [one for one in (unit, in_name[1].strip() if in_name else "") if one]
        if name in declared:
            wrong = [one for one in told if _same(one) != _same(declared[name])]
            if wrong or (found is not None and not told):
                raise source.error(
                    f"the unit is {(wrong or [''])[0]!r}, and {declared[name]!r} was declared. Convert the column, or "
                    "declare its unit as the file writes it, if that is what the model was fitted with.",
                    line,
                    name,
                )
        unit = unit or declared.get(name, "")
        if unit:
            units[name] = unit
    return units


def _same(unit: str) -> str:
    """The unit in one spelling: the two signs for micro, and those for degrees Celsius, are one."""
    return unicodedata.normalize("NFKC", unit.strip().strip("[]()")).replace(" ", "")
