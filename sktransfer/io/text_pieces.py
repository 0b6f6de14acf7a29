"""A text file as pieces of UTF-8 whose length does not depend on the file.

::

    bytes --mark of the encoding?--> pieces of 8 MB --decoded, checked--> UTF-8
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from sktransfer.io.source import Source

PIECE = 2**23  # bytes: the fixed cost of a call of pandas is spread, and a piece stays small beside the numbers

_MARKS = (  # that of UTF-32 begins as that of UTF-16 does
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CUT = "\N{REPLACEMENT CHARACTER}"  # stands for a character whose last bytes are missing at the end of a file


def text_pieces(source: Source, encoding: str) -> Iterator[bytes]:
    """Read pieces of a file in UTF-8, without a byte order mark.

    A piece may end within a line, and within a character where the file is UTF-8 already: whoever puts lines together
    checks those by :func:`check_utf8`.

    Raises
    ------
    TableError
        If the file cannot be opened, or begins with the mark of another encoding, or is not in this one.
    """
    plain = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    decoder = None if plain else codecs.getincrementaldecoder(encoding)("strict")
    n_lines = 0
    with source.opened() as stream:
        piece = stream.read(PIECE)
        if not piece:
            raise source.error("the file is empty.")
        piece = _without_mark(source, piece, encoding)
        while piece:
            if decoder is None:
                yield piece
            else:
                text = _decoded(source, decoder, piece, encoding, n_lines)
                if n_lines == 0:
                    text = text.removeprefix("\ufeff")
                n_lines += text.count("\n")
                yield text.encode("utf-8", "surrogatepass")
            piece = stream.read(PIECE)
        if decoder is not None and decoder.getstate()[0]:
            yield CUT.encode()


def _without_mark(source: Source, piece: bytes, encoding: str) -> bytes:
    name = codecs.lookup(encoding).name
    for mark, found in _MARKS:
        if piece.startswith(mark):
            if not name.startswith(found):
                raise source.error(
                    f"the file begins with the byte order mark of {found}, but encoding={encoding!r} was declared. Set "
                    f"encoding={found!r} in the TableFormat.",
                    1,
                )
            return piece.removeprefix(codecs.BOM_UTF8)
    return piece


def _decoded(source: Source, decoder: codecs.IncrementalDecoder, piece: bytes, encoding: str, n_lines: int) -> str:
    before = decoder.getstate()
    try:
        return decoder.decode(piece)
    except UnicodeError as error:
        decoder.setstate(before)
        good = piece[: max(0, getattr(error, "start", 0) - len(before[0]))]
        line = n_lines + 1 + codecs.decode(good, encoding, "ignore").count("\n")
        raise source.error(
            f"the file is not in the declared encoding={encoding!r} ({getattr(error, 'reason', error)}). Set the "
            "encoding that it was written in.",
            line,
        ) from None


def check_utf8(source: Source, block: bytes, first_line: int) -> None:
    """Check whole lines.

    Raises
    ------
    TableError
        If they hold a NUL byte, or bytes that are no UTF-8.
    """
    if (at := block.find(b"\0")) >= 0:
        raise source.error(
            "the line holds a NUL byte. A file of UTF-16 needs encoding='utf-16' (or 'utf-16-le', 'utf-16-be' where it "
            "has no byte order mark); otherwise the file was damaged while it was written.",
            first_line + block.count(b"\n", 0, at),
        )
    if block.isascii():
        return
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + block.count(b"\n", 0, error.start)
        raise source.error(
            f"the line is not in UTF-8 (byte 0x{block[error.start]:02x}). Declare the encoding that the file was "
            "written in: encoding='cp1252' or 'latin-1' is likely for a file of Windows in a Western language.",
            line,
        ) from None
