"""What a cell of a sensor can hold beside a number: states of historians, and what is no number at all.

The states are those of the SYSTEM set of the PI Data Archive that stand for "no value here" (names as in
``AFSystemStateCode`` of the PI AF SDK), the qualities of OPC, and the usual words of spreadsheets and loggers.
"""

from __future__ import annotations

import re
from typing import Any

HISTORIAN = (
    "Access Denied", "No Sample", "No Result", "Unit Down", "Sample Bad", "Equip Fail", "No Lab Data", "Trace",
    "DCS Failed", "Bad Output", "Scan Off", "Scan On", "Scan Timeout", "Configure", "Failed", "Error", "Execute",
    "Filter Exit", "Filtered", "Calc Off", "Calc Crash", "I/O Timeout", "IO Timeout", "Set to Bad", "No Data",
    "Calc Failed", "Calc Overflow", "Calc Timeout", "Under Range", "Over Range", "Underrange", "Overrange", "Bad Input",
    "Bad Total", "Bad Quality", "Bad Data", "Bad Value", "Bad Calc", "Bad", "Uncertain", "Pt Created", "Point Created",
    "Shutdown", "Intf Shut", "Intf Up", "No Alarm", "Comm Fail", "Comm Failure", "Comm Failed", "Comm Error",
    "Not Connect", "Not Connected", "No Connection", "Arc Off-line", "Arc Offline", "Archive Offline", "Invalid",
    "Invalid Data", "Invalid Float", "Dig State", "Under UCL", "Over UCL", "Under LCL", "Sensor Failure",
    "Device Failure", "Out of Service", "Not Available", "Unavailable", "Off-line", "Offline",
)  # fmt: skip
PLACEHOLDERS = (
    "NA", "N/A", "n.a.", "#N/A", "#NA", "<NA>", "null", "none", "nil", "missing", "-", "--", "---", "?", "*", ".",
    "#REF!", "#VALUE!", "#DIV/0!", "#NUM!", "#NAME?", "#NULL!", "\\N",
)  # fmt: skip
NOT_FINITE = (
    "nan", "+nan", "-nan", "nan(ind)", "-nan(ind)", "nan(snan)", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "1.#SNAN",
    "-1.#SNAN", "1.#INF", "+1.#INF", "-1.#INF", "1.#IND00", "-1.#IND00", "1.#QNAN0", "-1.#QNAN0", "1.#INF00",
    "-1.#INF00", "∞", "+∞", "-∞",
)  # fmt: skip
_ENDLESS = re.compile(r"[+-]?inf(inity)?", re.I)
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([T ].*)?|\d{1,2}:\d\d(:\d\d.*)?")
_GROUPS = re.compile(
    r"[+-]?\d{1,3}("
    r"([ \u00a0\u202f\u2009'\u2019_]\d{3})+([.,]\d+)?"
    r"|(,\d{3}){2,}(\.\d+)?|(\.\d{3}){2,}(,\d+)?|(,\d{3})+\.\d+|(\.\d{3})+,\d+)"
)
_WITH_UNIT = re.compile(r"[+-]?\d+([.,]\d+)?\s*[^\d\s.,].*")


def normal(text: Any) -> str:
    """A word without regard to case, and to number and kind of blanks."""
    return " ".join(str(text).split()).casefold()


_WORDS = frozenset(map(normal, (*HISTORIAN, *PLACEHOLDERS)))
_NOT_FINITE = frozenset(map(normal, NOT_FINITE))


def number_pattern(decimal: str) -> re.Pattern[str]:
    """What is read as a number, with blanks around it."""
    point = re.escape(decimal)
    return re.compile(rf"[ \t]*[+-]?(?:[0-9]+{point}?[0-9]*|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*")


def is_not_finite(text: str) -> bool:
    """Whether a cell is written as an infinite number, or as none."""
    return normal(text) in _NOT_FINITE or _ENDLESS.fullmatch(text.strip()) is not None


def is_missing(text: str, more: frozenset[str]) -> bool:
    """Whether a cell without a number stands for a missing value; `more` holds words as :func:`normal` gives them."""
    word = normal(text)
    return not word or word in _WORDS or word in more or is_not_finite(text)


def hint_for(text: str, decimal: str) -> str:
    """What to do about a cell that is neither a number nor a known word."""
    cell = text.strip()
    other = "," if decimal == "." else "."
    if number_pattern(other).fullmatch(cell):
        thousands = ", or export without separators of thousands" if re.search(r"\d[.,]\d{3}$", cell) else ""
        return f"Declare decimal={other!r} if this is a decimal sign{thousands}."
    if _GROUPS.fullmatch(cell):
        return "Export numbers without separators of thousands."
    if number_pattern(decimal).fullmatch(cell):
        return "Blanks of another kind stand around the number; export it without them."
    if _DATE.fullmatch(cell):
        return "If this is a time stamp, declare time=TimeColumn(...); a file has one."
    if _WITH_UNIT.fullmatch(cell):
        return "Export the number without its unit, and declare the unit in sensors={column: unit}."
    if cell.casefold() in ("true", "false", "on", "off", "yes", "no"):
        return "Export states as 0 and 1, name the column in text=, or leave it out of sensors=."
    return "Name the column in text= if it holds text, or add the word to missing= if it stands for a missing value."
