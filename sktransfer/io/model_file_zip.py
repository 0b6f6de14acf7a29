"""The container of a model file: a zip of stored entries, and at its end a SHA-256 over every byte before it.

::

    schema.json | 0.npy | 1.npy | ... | manifest.json | directory | comment: "sktransfer-sha256:" and 64 digits

The sum is compared before the zip is looked at, so that a flipped bit is seen wherever it is, in a name or a time
stamp, too. It tells damage, not intent: whoever forges a file also writes its sum. So entries are taken only as they
are written here: not compressed (no zip bomb can be), with known names (none leads out of it), together no larger
than the file. Times, order and permissions are fixed: the same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zipfile
from collections.abc import Mapping

from sktransfer.exceptions import ModelFileError

SCHEMA, MANIFEST = "schema.json", "manifest.json"
LARGEST_SCHEMA = 2**26  # bytes, of which a reader makes objects of ten times the size
_MARK = b"sktransfer-sha256:"
_N_DIGITS = 64
_MOST_ENTRIES = 20_000
_NAMES = re.compile(r"schema\.json|manifest\.json|(0|[1-9][0-9]{0,5})\.npy")
_END = struct.Struct("<4s4H2LH")  # of the zip's directory, before the comment
_FOREIGN = {  # by how they begin; a zip is told by what is in it
    b"\x89PNG": "is a PNG image",
    b"\xff\xd8\xff": "is a JPEG image",
    b"\x80": "is a pickle or joblib file, which is a program: sktransfer.load runs none. Load it with joblib.load if "
    "you made it yourself, and store the model with sktransfer.save",
    b"\x1f\x8b": "is compressed by gzip",
    b"x\x9c": "is compressed by zlib, as joblib does: sktransfer.load reads no joblib files",
    b"%PDF": "is a PDF document",
    b"\x89HDF": "is an HDF5 file",
}


def pack(entries: Mapping[str, bytes]) -> bytes:
    """The bytes of a file with these entries, in their order."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o600 << 16  # the same on every system
            archive.writestr(entry, content)
        archive.comment = _MARK + b"0" * _N_DIGITS
    content = stream.getvalue()[:-_N_DIGITS]
    return content + hashlib.sha256(content).hexdigest().encode()


def unpack(file: str, content: bytes) -> dict[str, bytes]:
    """The entries of a file whose bytes are `content`.

    Raises
    ------
    ModelFileError
        If :func:`pack` did not make these bytes, or they are damaged.
    """
    _check_sum(file, content)
    try:
        _check_end(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_entries(archive.infolist(), len(content))
            entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    # NotImplementedError: a kind of zip that Python does not read; RuntimeError: an encrypted one
    except (
        ValueError,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        OSError,
        EOFError,
        struct.error,
    ) as error:
        raise ModelFileError(f"{file} was not written by sktransfer.save: {error}.") from error
    for name in (SCHEMA, MANIFEST):
        if name not in entries:
            raise ModelFileError(f"{file} was not written by sktransfer.save: it holds no {name}.")
        if len(entries[name]) > LARGEST_SCHEMA:
            raise ModelFileError(f"{file} is refused: its {name} takes more than {LARGEST_SCHEMA >> 20} MiB.")
    return entries


def is_zip(content: bytes) -> bool:
    """Whether the bytes begin as a zip does."""
    return content[:4] == b"PK\x03\x04"


def _check_sum(file: str, content: bytes) -> None:
    if not is_zip(content):
        raise ModelFileError(f"{file} is no model file of sktransfer.save: it {_what(content)}.")
    if content[-_N_DIGITS - len(_MARK) : -_N_DIGITS] != _MARK:
        raise ModelFileError(
            f"{file} is a zip without the checksum that sktransfer.save writes at its end. Either it is cut short "
            "(copy it again), or another program wrote it, as torch.save and skops.io.dump do."
        )
    if hashlib.sha256(content[:-_N_DIGITS]).hexdigest().encode() != content[-_N_DIGITS:]:
        raise ModelFileError(f"{file} does not match its checksum: the file is damaged. Copy it again.")


def _what(content: bytes) -> str:
    if not content:
        return "is empty"
    for beginning, what in _FOREIGN.items():
        if content.startswith(beginning):
            return what
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") < 2**20:
        return "is a safetensors file; read backbones with load_backbone"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in content[:200]):
        return "holds text"
    return f"begins with the bytes {content[:8].hex(' ')}, and a model file is a zip"


def _check_end(content: bytes) -> None:
    """Raise a ValueError if the directory is not one that a small zip has; before Python reads all of it."""
    start = len(content) - _END.size - len(_MARK) - _N_DIGITS
    if start < 0:
        raise ValueError("it has no directory")
    mark, disk, first_disk, here, n_entries, size, offset, n_comment = _END.unpack_from(content, start)
    if mark != b"PK\x05\x06" or n_comment != len(_MARK) + _N_DIGITS or disk or first_disk or here != n_entries:
        raise ValueError("its directory is not understood")
    if content[max(start - 20, 0) : start].startswith(b"PK\x06\x07"):
        raise ValueError("its directory is that of a zip beyond 4 GiB")
    if n_entries > _MOST_ENTRIES or size > 128 * _MOST_ENTRIES or offset + size != start:
        raise ValueError(f"its directory lists {n_entries} entries in {size} bytes")


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    names = [entry.filename for entry in entries]
    if strange := [name for name in names if not _NAMES.fullmatch(name)]:
        raise ValueError(f"its entry {strange[0][:80]!r} has a name that no entry of a model file has")
    if len(set(names)) < len(names):
        raise ValueError("a name occurs twice in its directory")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size or entry.flag_bits & 1:
            raise ValueError(
                f"its entry {entry.filename!r} is compressed or encrypted, and model files store all as it is"
            )
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("its entries take more than the file holds")
