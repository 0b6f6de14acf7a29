"""Records of a text file, counted before pandas sees them: pandas fills short rows and shifts or cuts long ones.

::

    pieces --> whole lines --> separators and line ends, by numpy --> records with line numbers --> blocks
                                  quoted ones left out                 blank lines and comments left out
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sktransfer.io.source import Source, shown
from sktransfer.io.table_format import TableFormat
from sktransfer.io.text_pieces import CUT, PIECE, check_utf8, text_pieces
from sktransfer.utils.counted_warnings import warn_caller

_NEWLINE, _RETURN, _QUOTE = 10, 13, 34


@dataclass(frozen=True)
class Block:
    """Whole records.

    Parameters
    ----------
    data : bytes
        In UTF-8; record ``i`` is ``data[starts[i]:starts[i + 1]]``.
    starts : ndarray of shape (n_records + 1,)
    counts : ndarray of shape (n_records,)
        Number of fields.
    lines : ndarray of shape (n_records,)
        Line of the file where the record begins, from 1.
    """

    data: bytes
    starts: np.ndarray
    counts: np.ndarray
    lines: np.ndarray

    def __len__(self) -> int:
        return len(self.lines)

    def record(self, i: int) -> str:
        """The text of one record."""
        return self.data[self.starts[i] : self.starts[i + 1]].decode("utf-8").rstrip("\r\n")

    def take(self, mask: np.ndarray) -> Block:
        """The records where `mask` is True."""
        lengths = np.diff(self.starts)
        data = np.frombuffer(self.data, np.uint8)[np.repeat(mask, lengths)].tobytes()
        starts = np.concatenate([[0], np.cumsum(lengths[mask])])
        return Block(data, starts, self.counts[mask], self.lines[mask])


class Records:
    """Iterate over the records of a file, in blocks.

    Parameters
    ----------
    source : Source
    table_format : TableFormat

    Attributes
    ----------
    n_truncated : int
        1 after a last line was left out because no line break ends it.
    """

    def __init__(self, source: Source, table_format: TableFormat):
        self.source, self.table_format = source, table_format
        self.n_truncated = 0
        self._line = 1  # where the next block begins

    def __iter__(self) -> Iterator[Block]:
        rest, skip = b"", self.table_format.skip_rows
        for piece in text_pieces(self.source, self.table_format.encoding):
            data = rest + piece
            end = data.rfind(b"\n") + 1
            lines = data[:end]
            if skip:
                lines, skip = _blank_first(lines, skip)
            lines = self._without_comments(lines)
            whole = self._whole(lines)
            rest = lines[whole:] + data[end:]
            if whole:
                yield self._split(lines[:whole])
            if len(rest) > PIECE:
                raise self.source.error(
                    "the line has no end within 8 MB. A quote may be open, or the file may be no table of text.",
                    self._line,
                )
        if rest.strip():
            yield from self._last(rest)

    def _without_comments(self, lines: bytes) -> bytes:
        """Comments as blank lines, so that lines keep their numbers; a quoted line that looks like one is left."""
        if self.table_format.comment is None:
            return lines
        mark, n_quotes, kept = self.table_format.comment.encode(), 0, []
        if not lines.startswith(mark) and b"\n" + mark not in lines:
            return lines
        for line in lines.split(b"\n"):
            if line.startswith(mark) and n_quotes % 2 == 0:
                kept.append(b"")
            else:
                n_quotes += line.count(b'"')
                kept.append(line)
        return b"\n".join(kept)

    def _whole(self, lines: bytes) -> int:
        """Length of the whole records at the beginning of `lines`: up to the last line end that no quote holds."""
        if b'"' not in lines:
            return len(lines)
        array = np.frombuffer(lines, np.uint8)
        ends, quotes = np.flatnonzero(array == _NEWLINE), np.flatnonzero(array == _QUOTE)
        free = ends[np.searchsorted(quotes, ends) % 2 == 0]
        return int(free[-1]) + 1 if len(free) else 0

    def _split(self, data: bytes) -> Block:
        """Whole records, without blank lines."""
        check_utf8(self.source, data, self._line)
        array = np.frombuffer(data, np.uint8)
        stops = np.flatnonzero((array == ord(self.table_format.separator)) | (array == _NEWLINE))
        quotes = np.flatnonzero(array == _QUOTE) if b'"' in data else np.empty(0, np.int64)
        if len(quotes):
            self._check_quotes(array, quotes)
            stops = stops[np.searchsorted(quotes, stops) % 2 == 0]
        if b"\r" in data:
            self._check_returns(array, quotes)
        at_end = np.flatnonzero(array[stops] == _NEWLINE)
        starts = np.concatenate([[0], stops[at_end] + 1])
        counts = np.diff(at_end, prepend=-1)
        lines = self._line + np.arange(len(counts))
        if len(quotes):  # they may hold line ends
            newlines = np.flatnonzero(array == _NEWLINE)
            lines = self._line + np.searchsorted(newlines, starts[:-1])
        self._line += len(newlines) if len(quotes) else len(counts)
        block = Block(data, starts, counts, lines)
        blank = _blank(block)
        return block.take(~blank) if blank.any() else block

    def _check_quotes(self, array: np.ndarray, quotes: np.ndarray) -> None:
        """A quote opens a field and closes it, or is doubled inside; pandas would read any other one in its own way."""
        edge = np.array([ord(self.table_format.separator), _NEWLINE, _QUOTE])
        opening, closing = quotes[::2], quotes[1::2]
        good_open = (opening == 0) | np.isin(array[opening - 1], edge)
        after = array[np.minimum(closing + 1, len(array) - 1)]
        good_close = np.isin(after, [*edge, _RETURN])
        wrong = np.concatenate([opening[~good_open], closing[~good_close]])
        if len(wrong):
            raise self.source.error(
                "a quote stands inside a field. A field with quotes is put in quotes, and quotes in it are doubled.",
                self._line + np.count_nonzero(array[: wrong.min()] == _NEWLINE),
            )

    def _check_returns(self, array: np.ndarray, quotes: np.ndarray) -> None:
        returns = np.flatnonzero(array == _RETURN)
        alone = returns[array[np.minimum(returns + 1, len(array) - 1)] != _NEWLINE]
        alone = alone[np.searchsorted(quotes, alone) % 2 == 0]
        if len(alone):
            raise self.source.error(
                "a carriage return stands inside the line. Lines end in a line feed, or in both.",
                self._line + np.count_nonzero(array[: alone[0]] == _NEWLINE),
            )

    def _last(self, rest: bytes) -> Iterator[Block]:
        """What is left without a line end."""
        if self.table_format.comment is not None and rest.startswith(self.table_format.comment.encode()):
            return
        if rest.count(b'"') % 2 and b"\n" in rest:
            raise self.source.error("a quote is opened in this line and never closed.", self._line)
        if b"\r" in rest.rstrip(b"\r\n") and b'"' not in rest:
            self._check_returns(np.frombuffer(rest + b"\n", np.uint8), np.empty(0, np.int64))
        rule, cut = self.table_format.last_line, CUT.encode() in rest or rest.count(b'"') % 2
        if rule == "error" or (rule == "keep" and cut):
            raise self.source.error("no line break ends the last line, so that it may be incomplete.", self._line)
        if rule == "keep":
            yield self._split(rest + b"\n")
            return
        self.n_truncated = 1
        warn_caller(
            f"{self.source.path}, line {self._line}: the last line is left out, because no line break ends it: it may "
            "still be written. Read the file again later; if it is complete, end it with a line break or set "
            "last_line='keep'."
        )


def fields(source: Source, table_format: TableFormat, block: Block, i: int) -> list[str]:
    """The fields of one record, as text."""
    try:
        rows = list(csv.reader([block.record(i)], delimiter=table_format.separator, strict=True))
    except csv.Error as error:
        raise source.error(f"the line cannot be split into fields ({error}).", block.lines[i]) from None
    return rows[0] if rows else [""]


def check_counts(source: Source, table_format: TableFormat, block: Block, n_fields: int) -> None:
    """Check that every record has as many fields as the header.

    Raises
    ------
    TableError
        If one has not.
    """
    wrong = np.flatnonzero(block.counts != n_fields)
    if not len(wrong):
        return
    i = int(wrong[0])
    hint = ""
    if table_format.separator == "," and block.counts[i] > n_fields and len(wrong) == len(block):
        hint = " Where numbers have a decimal comma, declare separator=';' and decimal=','."
    raise source.error(
        f"the line has {block.counts[i]} fields, and the header {n_fields}; it begins with {shown(block.record(i))}."
        f"{hint or ' Mend or remove the line.'}",
        block.lines[i],
    )


def _blank(block: Block) -> np.ndarray:
    """Records of nothing but blanks."""
    found = np.zeros(len(block), bool)
    if not (block.counts == 1).any():
        return found
    first = np.frombuffer(block.data, np.uint8)[block.starts[:-1]]
    for i in np.flatnonzero((block.counts == 1) & np.isin(first, list(b" \t\r\n\v\f"))):
        found[i] = not block.data[block.starts[i] : block.starts[i + 1]].strip()
    return found


def _blank_first(lines: bytes, n: int) -> tuple[bytes, int]:
    """Make the first `n` lines blank; how many are left to do."""
    at = 0
    for done in range(n):
        end = lines.find(b"\n", at) + 1
        if not end:
            return b"\n" * done, n - done
        at = end
    return b"\n" * n + lines[at:], 0
