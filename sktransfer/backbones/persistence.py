"""Backbones on disk: one safetensors file, read in three steps: look, refuse, build.

A file holds tensors and, in its header, the protocol number, the network's name and arguments, blocks, inputs,
source, provenance and a checksum over all of it. Nothing is unpickled, the file's size bounds what is read, and no
network is built before the shapes in the file have been compared with those that its description asks for. What the
network's layers cost is looked at before they run (`work.py`).

A file is written only if it can be read: the temporary file is loaded, and what was loaded has to give the same bytes,
before it takes the place of the old one.

The protocol
------------
``PROTOCOL`` counts changes of the layout. When it changes: raise the number, keep reading the older layouts, each
by a function of its own, and add a file of the old layout to the tests. A file with a newer number is refused with
advice.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sktransfer.backbones.backbone import STATE_FORMAT, Backbone
from sktransfer.backbones.file_header import (
    ARRAY_FIELDS,
    check_arrays,
    check_header,
    classes_from_header,
    classes_to_header,
)
from sktransfer.backbones.safetensors_file import from_bytes, read_json, to_bytes
from sktransfer.backbones.weights import Weights
from sktransfer.exceptions import ModelFileError
from sktransfer.utils.files import write_atomically

PROTOCOL = 1
_SHIPPED = Path(__file__).parents[1] / "pretrained"
_LARGEST_FILE = 2**31  # bytes
# what Python, numpy and torch raise for a description that means nothing
_NONSENSE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError)


def save_backbone(backbone: Backbone, path: str | os.PathLike[str]) -> Path:
    """Write `backbone` to one safetensors file; the old file stays until the new one is complete.

    Parameters
    ----------
    backbone : Backbone
        Its network must be registered, or an ``nn.Sequential`` of standard layers.
    path : str or path-like
        File to write; its name usually ends in ``.safetensors``.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    TypeError
        If the network cannot be named in a file.
    ModelFileError
        If the file could not be loaded again, such as for NaN in its weights, more than 256 layers or a header beyond
        1 MiB.
    OSError
        If the file cannot be written, or `path` is a folder, a pipe or a device.

    Notes
    -----
    Whatever goes wrong, the old file is untouched and no temporary file is left. A symbolic link is followed, and a
    file keeps its permissions. The same backbone gives the same bytes.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from sktransfer import FromScratch, load_backbone, save_backbone
    >>> backbone = FromScratch(arguments={"hidden_layer_sizes": (8, 4)}).build(n_features_in=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_backbone(save_backbone(backbone, pathlib.Path(folder) / "pump_a.safetensors"))
    Backbone('from scratch', 2 blocks, 3 columns -> 4 features)
    """
    if not isinstance(backbone, Backbone):
        raise TypeError(
            f"save_backbone takes a Backbone, got {type(backbone).__name__}; a fitted estimator has one in backbone_."
        )

    def check(content: bytes) -> None:
        if _to_bytes(_from_bytes(str(path), bytearray(content))) != content:
            raise ModelFileError("what is read is another backbone than what was written")

    try:
        return write_atomically(Path(path), _to_bytes(backbone), check)
    except ModelFileError as error:
        raise ModelFileError(
            f"save_backbone: {backbone.name!r} was not written, because it could not be loaded again: {error} Whatever "
            "was at this path is as it was."
        ) from error


def _to_bytes(backbone: Backbone) -> bytes:
    state = backbone._described_state()
    tensors = {
        f"block/{name}/{key}": array
        for name, weights in zip(state["blocks"], state["weights"], strict=True)
        for key, array in weights.items()
    }
    if len(tensors) < sum(map(len, state["weights"])):
        raise ModelFileError(f"its blocks {state['blocks']} and their weights have names that cannot be told apart.")
    header = {key: state[key] for key in ("network", "blocks", "name", "provenance")}
    for part, fields in ARRAY_FIELDS.items():
        if state[part] is None:
            header[part] = None
            continue
        values = dict(state[part])
        for field in fields:
            if (array := values.pop(field)) is not None:
                tensors[f"{part}/{field}"] = np.ascontiguousarray(array)
        if values.get("classes") is not None:
            values |= classes_to_header(values["classes"])
        header[part] = values
    text = json.dumps(header, sort_keys=True)
    metadata = {"sktransfer": str(PROTOCOL), "backbone": text, "sha256": _digest(str(PROTOCOL), text, tensors)}
    try:
        return to_bytes(tensors, metadata)
    except ValueError as error:
        raise ModelFileError(f"{error}. backbone.describe(...) changes its names and provenance.") from error


def load_backbone(path: str | os.PathLike[str]) -> Backbone:
    """Read a backbone from a file, or one of the shipped ones by name.

    Parameters
    ----------
    path : str or path-like
        A ``*.safetensors`` file, or the name of a shipped backbone such as ``"tep-process"``.

    Returns
    -------
    Backbone

    Raises
    ------
    FileNotFoundError
        If there is neither such a file nor such a name; the message lists the shipped names.
    ModelFileError
        If the file is damaged, was not written by sktransfer, or has a newer protocol.
    """
    file = _find(path)
    return _from_bytes(str(file), _read(file))


def shipped_backbones() -> dict[str, Path]:
    """Name and file of each backbone that the package holds, in alphabetical order."""
    return {file.stem: file for file in sorted(_SHIPPED.glob("*.safetensors"))}


def content_key(backbone: Any) -> str | None:
    """SHA-256 of the file that the parameter ``backbone`` of an unfitted estimator names; None if it names none.

    It goes into the pickled state of the estimator, so that whoever keeps results by it, as ``Pipeline(memory=...)``
    does, takes a file that was replaced for another one.
    """
    if not isinstance(backbone, str | os.PathLike):
        return None
    try:
        with _find(backbone).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None  # a file that is not there is said in ``fit``


def _find(path: str | os.PathLike[str]) -> Path:
    shipped = shipped_backbones()
    if isinstance(path, str) and path in shipped:
        return shipped[path]
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no backbone file {str(path)!r}, and shipped are only {sorted(shipped)}.")
    return file


def _read(file: Path) -> bytearray:
    """The bytes of a file: a copy, so that nothing changes when another process writes to the file."""
    with file.open("rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError(f"{file} is a pipe, a socket or a device, and is refused.")
        if status.st_size > _LARGEST_FILE:
            raise ModelFileError(f"{file} is larger than {_LARGEST_FILE >> 30} GiB and is refused.")
        content = bytearray(status.st_size)
        del content[stream.readinto(content) :]
    return content


def read_header(path: str | os.PathLike[str]) -> tuple[dict[str, Any], str, int]:
    """The header of a backbone file, the SHA-256 of the file and its size in bytes; no network is built.

    Raises
    ------
    FileNotFoundError, ModelFileError
        As :func:`load_backbone`.
    """
    file = _find(path)
    content = _read(file)
    header, _ = _parts(str(file), content)
    return header, hashlib.sha256(content).hexdigest(), len(content)


def _from_bytes(file: str, content: bytearray) -> Backbone:
    header, tensors = _parts(file, content)
    with _saying_what_is_wrong(file):
        return _build(header, tensors)


def _parts(file: str, content: bytearray) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a file, which were compared with its checksum and with each other."""
    try:
        metadata, tensors = from_bytes(content)
    except ValueError as error:
        raise ModelFileError(f"{file} cannot be read as a safetensors file: {error}.") from error
    _check_protocol(file, metadata.get("sktransfer"))
    with _saying_what_is_wrong(file):
        if metadata["sha256"] != _digest(metadata["sktransfer"], metadata["backbone"], tensors):
            raise ModelFileError(f"{file} does not match its checksum: the file is damaged. Copy it again.")
        header = read_json(metadata["backbone"])
        check_header(header)
        check_arrays(header, tensors)
        return header, tensors


@contextmanager
def _saying_what_is_wrong(file: str) -> Iterator[None]:
    try:
        yield
    except ModelFileError:
        raise
    except _NONSENSE as error:
        said = f"{error}" if type(error) is ValueError else repr(error)
        raise ModelFileError(f"{file} is not a backbone that sktransfer wrote ({said}).") from error


def _check_protocol(file: str, text: str | None) -> None:
    if text is None or not re.fullmatch("[0-9]{1,9}", text):
        raise ModelFileError(f"{file} is not a backbone that sktransfer wrote: its header names no protocol.")
    if int(text) > PROTOCOL:
        raise ModelFileError(
            f"{file} was written with protocol {text}; this version reads up to {PROTOCOL}. Upgrade sktransfer."
        )


def _build(header: dict[str, Any], tensors: dict[str, np.ndarray]) -> Backbone:
    state = {**header, "format": STATE_FORMAT}
    for part, fields in ARRAY_FIELDS.items():
        if state[part] is not None:
            values = dict(state[part])
            kind = values.pop("classes_dtype", None)
            if values.get("classes") is not None:
                values["classes"] = classes_from_header(values["classes"], kind)
            values.update({field: tensors.get(f"{part}/{field}") for field in fields})
            state[part] = values
    blocks: dict[str, dict[str, np.ndarray]] = {name: {} for name in state["blocks"]}
    for key, array in tensors.items():
        if key.startswith("block/"):
            # the longest name that fits: names of blocks may hold a slash
            inner = key.removeprefix("block/")
            name = max((name for name in blocks if inner.startswith(f"{name}/")), key=len, default=None)
            if name is None:
                raise ValueError(f"array {key!r} belongs to no block")
            blocks[name][inner.removeprefix(f"{name}/")] = array
    state["weights"] = [Weights(arrays) for arrays in blocks.values()]
    backbone = object.__new__(Backbone)
    backbone._restore(state, is_trusted=False)
    return backbone


def _digest(protocol: str, header: str, tensors: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(f"{protocol}|{header}|{Weights(tensors).sha256}".encode()).hexdigest()
