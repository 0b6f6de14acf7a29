"""Numbers with their noun, for sentences: 1 row, 2 rows."""

from __future__ import annotations


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """The number and its noun, as "1 row" or "20 rows".

    Parameters
    ----------
    n : int
    noun : str
        For one; it may be several words, of which the last one changes.
    plural : str, optional
        For all other numbers; default: `noun` with an s.
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
