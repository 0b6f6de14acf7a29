r"""Ids of machines as text, by one rule wherever they come from: frames, files, fit, predict, the state of a job.

::

    1, 1.0, "1"           --> "1"      a missing cell makes floats of a column of whole numbers
    "007", "1.0"          --> as it is
    "a\\nb", a lone surrogate, 201 characters, 1e16 --> an error
"""

from __future__ import annotations

import unicodedata
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

LONGEST = 200  # characters of a name
_EXACT = 2**53  # from here on floats are no exact whole numbers
# control characters, lone surrogates, what turns the direction of a line, ends of lines and paragraphs
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
_TURNS = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def id_text(value: Any) -> str:
    """The text of one id; a whole number has no decimal point.

    Raises
    ------
    ValueError
        For a number that is not finite, and a float so large that digits of the id are lost.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if isinstance(value, Integral):
        return str(int(value))
    number = float(value)
    if not abs(number) < _EXACT:
        raise ValueError(f"{value!r} is a float, and as such no exact number: read ids as text")
    return str(int(number)) if number == int(number) else repr(number)


def id_texts(values: Any) -> np.ndarray:
    """The texts of many ids, shape (n,), object; each different id is looked at once.

    Parameters
    ----------
    values : Series
        Without missing values.

    Raises
    ------
    ValueError
        As :func:`id_text`.
    """
    codes, each = pd.factorize(values)
    texts = np.empty(len(each), dtype=object)
    texts[:] = [id_text(one) for one in np.asarray(each, dtype=object).tolist()]
    return texts[codes] if len(codes) else np.empty(0, dtype=object)


def why_no_name(text: str) -> str:
    """Why a text cannot stand in reports, as the end of a sentence; empty if it can."""
    if not text.strip():
        return "is empty"
    if len(text) > LONGEST:
        return f"has {len(text)} characters, more than {LONGEST}"
    for one in text:
        if unicodedata.category(one) in _UNPRINTABLE or one in _TURNS:
            return f"holds {one!a}, which is no character to print"
    return ""


def printable(text: str) -> str:
    """The text with an escape in place of each character that cannot be printed or written in UTF-8."""
    return "".join(ascii(one)[1:-1] if why_no_name(f"-{one}") else one for one in text)
