"""The container: every bit is summed, and nothing is read that `pack` would not write."""

import hashlib
import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from sktransfer import ModelFileError
from sktransfer.io import model_file_zip
from sktransfer.io.model_file_zip import pack, unpack

ENTRIES = {"schema.json": b"{}", "0.npy": bytes(range(200)), "manifest.json": b'{"format": 1}'}
CONTENT = pack(ENTRIES)


def summed(content):
    """A zip made by somebody else, with the checksum that a model file has."""
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.comment = b"sktransfer-sha256:" + b"0" * 64
    body = stream.getvalue()[:-64]
    return body + hashlib.sha256(body).hexdigest().encode()


def zipped(entries, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return summed(stream.getvalue())


def test_what_was_packed_is_unpacked_and_any_zip_program_reads_it():
    assert unpack("f", CONTENT) == ENTRIES
    with zipfile.ZipFile(io.BytesIO(CONTENT)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(ENTRIES)
    assert pack(ENTRIES) == CONTENT


def test_every_single_bit_is_summed():
    for place in range(len(CONTENT)):
        damaged = bytearray(CONTENT)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ModelFileError):
            unpack("f", bytes(damaged))


@pytest.mark.parametrize("place", np.linspace(0, len(CONTENT) - 1, 60).astype(int))
def test_a_file_that_is_cut_short_is_refused(place):
    with pytest.raises(ModelFileError):
        unpack("f", CONTENT[:place])


def test_the_sum_is_over_all_before_it():
    assert CONTENT[-64:].decode() == hashlib.sha256(CONTENT[:-64]).hexdigest()


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "..\\a.npy", "a/0.npy", "00.npy", "1.npz", "x", "schema.json\n", "-1.npy"],
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(ModelFileError, match="has a name that no entry"):
        unpack("f", zipped([*ENTRIES.items(), (name, b"")]))


def test_a_compressed_entry_is_refused_before_it_is_opened():
    bomb = zipped([*ENTRIES.items(), ("1.npy", bytes(2**26))], zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**17
    tracemalloc.start()
    with pytest.raises(ModelFileError, match="compressed"):
        unpack("f", bomb)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_occurs_twice_is_refused():
    with pytest.raises(ModelFileError, match="occurs twice"):
        unpack("f", zipped([*ENTRIES.items(), ("0.npy", b"other")]))


def test_entries_that_lie_on_each_other_are_refused():
    """Many names for one place: the same bytes again and again."""
    content = bytearray(zipped([("schema.json", b"{}"), *((f"{i}.npy", bytes(1000)) for i in range(20))]))
    start = content.index(b"PK\x01\x02")
    place = content.index(b"PK\x01\x02", start + 4)
    shared = content[place + 42 : place + 46]
    while place >= 0:  # each entry of the directory points to the first array, with all that follows as its size
        content[place + 42 : place + 46] = shared
        content[place + 20 : place + 28] = struct.pack("<2L", 15_000, 15_000)
        place = content.find(b"PK\x01\x02", place + 4)
    body = bytes(content[:-64])
    with pytest.raises(ModelFileError, match="take more than the file holds"):
        unpack("f", body + hashlib.sha256(body).hexdigest().encode())


def test_a_directory_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(model_file_zip, "_MOST_ENTRIES", 5)
    with pytest.raises(ModelFileError, match="directory lists 9 entries"):
        unpack("f", zipped([*ENTRIES.items(), *((f"{i}.npy", b"") for i in range(1, 7))]))


def test_a_schema_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(model_file_zip, "LARGEST_SCHEMA", 100)
    with pytest.raises(ModelFileError, match=r"schema\.json takes more than"):
        unpack("f", pack({**ENTRIES, "schema.json": b" " * 101}))


@pytest.mark.parametrize("missing", ["schema.json", "manifest.json"])
def test_a_zip_of_something_else_is_refused(missing):
    with pytest.raises(ModelFileError, match=f"holds no {missing}"):
        unpack("f", pack({name: content for name, content in ENTRIES.items() if name != missing}))


def test_an_entry_whose_own_sum_is_wrong_is_refused():
    place = CONTENT.index(bytes(range(200)))
    body = bytearray(CONTENT[:-64])
    body[place] ^= 1
    with pytest.raises(ModelFileError, match="CRC"):
        unpack("f", bytes(body) + hashlib.sha256(body).hexdigest().encode())


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"a;b\n1,5;2\n", "holds text"),
     (b"\x80\x04\x95", "joblib.load"), (b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", "load_backbone"),
     (b"\x00\x01\x02\x03", "begins with the bytes 00 01"),
     (b"PK\x03\x04" + bytes(200), "without the checksum")],
)  # fmt: skip
def test_a_file_of_another_kind_is_named(content, said):
    with pytest.raises(ModelFileError, match=said):
        unpack("f", content)
