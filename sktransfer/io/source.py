"""A file that is read: how it is opened, and how an error names a place in it."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from sktransfer.exceptions import TableError

_LONGEST = 40  # characters of a cell in a message


@dataclass(frozen=True)
class Source:
    """A file, and the word for a place in it.

    Parameters
    ----------
    path : str
    place : {"line", "row"}, default="line"
        What a place is called: lines of text, rows of Parquet.
    """

    path: str
    place: str = "line"

    def error(self, what: str, line: Any = None, column: str | None = None) -> TableError:
        """The error that says `what` is wrong, and where."""
        where = self.path
        if line is not None:
            where += f", {self.place} {int(line)}"
        if column is not None:
            where += f", column {column!r}"
        return TableError(f"{where}: {what}", self.path, None if line is None else int(line), column)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file, decompressed if its name ends in ``.gz``.

        Raises
        ------
        TableError
            If it is missing, a folder, not readable, not a regular file, or damaged.
        """
        path = Path(self.path)
        try:
            if path.is_dir():
                raise self.error("this is a folder; give the name of a file in it.")
            if path.exists() and not path.is_file():
                raise self.error("this is a pipe, a socket or a device; give the name of a file.")
            with cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as stream:
                yield stream
        except FileNotFoundError:
            raise self.error("there is no such file.") from None
        except PermissionError:
            raise self.error("this user may not read the file.") from None
        except (OSError, EOFError, zlib.error) as error:
            raise self.error(f"the file cannot be read ({_one_line(error)}).") from error


def source_of(path: Any, place: str = "line") -> Source:
    """The source for a path.

    Raises
    ------
    TypeError
        If `path` is no path.
    """
    return Source(os.fsdecode(os.fspath(path)), place)


def shown(text: Any) -> str:
    """The text of a cell on one line, shortened."""
    text = str(text)
    return repr(text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "...")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
