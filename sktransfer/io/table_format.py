"""TableFormat: what somebody who knows the file declares about it, so that nothing is guessed.

::

    bytes --encoding--> lines --separator--> cells --decimal, missing--> float64 sensors
                                                   --time------------->  one column in UTC
                                                   --text, machine---->  text as it stands in the file
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from typing import Any

from sktransfer.io.time_column import TimeColumn
from sktransfer.utils.invalid_parameter import invalid_parameter, is_number, is_whole
from sktransfer.utils.settings import Settings

_NAME = "TableFormat"


class TableFormat(Settings):
    """How a file of rows is written, and which of its columns are wanted.

    Parameters
    ----------
    sensors : list of str, dict of str to str, or None, default=None
        Columns of numbers. A dict says the unit of each, as it is written in the file; another unit in the file is an
        error. None: every column that is not named elsewhere. Where they are named, other columns are left out.
    time : TimeColumn or None, default=None
        Column of time stamps. None: rows have no time, and come in the order of the file.
    text : list of str, default=()
        Columns that stay as text, such as ids: ``007``, ``NA`` and ``null`` are what they are.
    machine : str or None, default=None
        Column with the machine of each row, kept as text. Order, repetition and gaps of time stamps are those of one
        machine. None: all rows are of one.
    separator : str, default=","
        The ASCII character between fields.
    decimal : {".", ","}, default="."
        Sign before the decimals.
    encoding : str, default="utf-8"
        A text encoding of Python. A byte order mark of UTF-8 is taken off.
    units_row : bool, default=False
        Whether the line below the header holds units.
    missing : list of str or numbers, default=()
        Cells that stand for a missing value beside empty ones and the states of historians ("Bad Input", "I/O
        Timeout", "No Data", ...): words, compared without regard to case and blanks, and numbers, compared by value.
    comment : str or None, default=None
        Lines that begin with this ASCII character are left out. None: every line is read.
    skip_rows : int, default=0
        Lines above the header.
    last_line : {"drop", "keep", "error"}, default="drop"
        What becomes of a last line that no line break ends. It may still be written, and its last number may be cut:
        ``"drop"`` leaves it out with a warning.

    See Also
    --------
    TimeColumn : How time stamps are written, and what is done about those that repeat or go back.
    read_table : Read a file at once.
    iter_tables : Read a file in constant memory.

    Notes
    -----
    Parameters are text, numbers and lists, so that a format can stand in a configuration or beside a model.
    They are checked when a file is read.

    Examples
    --------
    >>> from sktransfer import TableFormat, TimeColumn
    >>> german = TableFormat(
    ...     {"p": "bar", "T": "°C"}, time=TimeColumn("Zeit", "%d.%m.%Y %H:%M:%S", zone="Europe/Berlin"),
    ...     separator=";", decimal=",", encoding="cp1252", units_row=True)
    >>> german.get_params()["time__zone"]
    'Europe/Berlin'
    """

    def __init__(
        self,
        sensors=None,
        *,
        time=None,
        text=(),
        machine=None,
        separator=",",
        decimal=".",
        encoding="utf-8",
        units_row=False,
        missing=(),
        comment=None,
        skip_rows=0,
        last_line="drop",
    ):
        self.sensors = sensors
        self.time = time
        self.text = text
        self.machine = machine
        self.separator = separator
        self.decimal = decimal
        self.encoding = encoding
        self.units_row = units_row
        self.missing = missing
        self.comment = comment
        self.skip_rows = skip_rows
        self.last_line = last_line


def check_format(table_format: Any) -> TableFormat:
    """The format, or that of plain CSV for None.

    Raises
    ------
    TypeError
        If it is no TableFormat.
    InvalidParameterError
        If a parameter is none that can be used.
    """
    if table_format is None:
        return TableFormat()
    if not isinstance(table_format, TableFormat):
        raise TypeError(f"table_format is a TableFormat, got {type(table_format).__name__}.")
    _check_columns(table_format)
    _check_characters(table_format)
    choices = {"decimal": (".", ","), "last_line": ("drop", "keep", "error"), "units_row": (True, False)}
    for name, allowed in choices.items():
        value = getattr(table_format, name)
        if isinstance(value, list | dict | tuple) or value not in allowed:
            raise invalid_parameter(_NAME, name, f"be one of {list(allowed)}", value)
    if not (is_whole(table_format.skip_rows) and table_format.skip_rows >= 0):
        raise invalid_parameter(_NAME, "skip_rows", "be a whole number of at least 0", table_format.skip_rows)
    missing = table_format.missing
    if not (_is_list(missing) and all(isinstance(one, str) or is_number(one) for one in missing)):
        raise invalid_parameter(_NAME, "missing", "be a list of words and numbers", missing)
    return table_format


def sensor_units(table_format: TableFormat) -> dict[str, str]:
    """Declared units by sensor; a sensor without one is left out."""
    sensors = table_format.sensors
    return {name: unit for name, unit in sensors.items() if unit} if isinstance(sensors, Mapping) else {}


def _check_columns(table_format: TableFormat) -> None:
    sensors, time = table_format.sensors, table_format.time
    if isinstance(sensors, Mapping):
        if not all(unit is None or isinstance(unit, str) for unit in sensors.values()):
            raise invalid_parameter(_NAME, "sensors", "be a dict of names to units, both text", sensors)
        sensors = list(sensors)
    if sensors is not None and not (_is_names(sensors) and len(sensors)):
        raise invalid_parameter(_NAME, "sensors", "be a list of names, a dict of names to units, or None", sensors)
    if not _is_names(table_format.text):
        raise invalid_parameter(_NAME, "text", "be a list of names", table_format.text)
    if not (table_format.machine is None or isinstance(table_format.machine, str)):
        raise invalid_parameter(_NAME, "machine", "be a name or None", table_format.machine)
    if time is not None and not isinstance(time, TimeColumn):
        raise invalid_parameter(_NAME, "time", "be a TimeColumn or None", time)
    if time is not None:
        time.check()
    roles = [*(sensors or ()), *set(table_format.text) - {table_format.machine}]
    roles += [] if table_format.machine is None else [table_format.machine]
    roles += [] if time is None else [time.name]
    twice = sorted({name for name in roles if roles.count(name) > 1}) if len(set(roles)) < len(roles) else []
    if twice:
        raise ValueError(f"{_NAME}: the columns {twice} are declared twice. Name each column once.")


def _check_characters(table_format: TableFormat) -> None:
    separator, comment, decimal = table_format.separator, table_format.comment, table_format.decimal
    if separator == decimal:
        raise invalid_parameter(_NAME, "separator", f"be another character than decimal={decimal!r}", separator)
    if not _is_character(separator):
        raise invalid_parameter(_NAME, "separator", "be one ASCII character, and none of numbers or quotes", separator)
    if comment is not None and (not _is_character(comment) or comment == separator):
        raise invalid_parameter(_NAME, "comment", "be one ASCII character, and none of numbers or quotes", comment)
    try:
        codecs.lookup(table_format.encoding)
        "".encode(table_format.encoding)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise invalid_parameter(_NAME, "encoding", "be a text encoding of Python", table_format.encoding) from None


def _is_character(value: Any) -> bool:
    is_one = isinstance(value, str) and len(value) == 1 and value.isascii()
    return is_one and not (value.isalnum() or value in '"\r\n\0+-. ')


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_names(value: Any) -> bool:
    return _is_list(value) and all(isinstance(name, str) for name in value)
