"""Backbones on disk: one safetensors file, read in three steps: look, refuse, build.

A file holds tensors and, in its header, the protocol number, the network's name and arguments, blocks, inputs,
source, provenance and a checksum over all of it. Nothing is unpickled, the file's size bounds what is read, and no
network is built before the shapes in the file have been compared with those that its description asks for.

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
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from sktransfer.backbones.backbone import STATE_FORMAT, Backbone
from sktransfer.backbones.weights import Weights
from sktransfer.exceptions import ModelFileError
from sktransfer.utils.files import write_atomically

PROTOCOL = 1
_SHIPPED = Path(__file__).parents[1] / "pretrained"
_LARGEST_FILE = 2**31  # bytes
_LARGEST_HEADER = 2**20  # bytes
_ARRAY_FIELDS = {
    "inputs": ("minimum", "maximum"),
    "source": ("feature_mean", "feature_scale", "weight", "bias"),
}


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
    OSError
        If the file cannot be written; the old file is untouched and no temporary file is left.

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
    state = backbone.__getstate__()
    tensors = {
        f"block/{name}/{key}": array
        for name, weights in zip(state["blocks"], state["weights"], strict=True)
        for key, array in weights.items()
    }
    header = {key: state[key] for key in ("network", "blocks", "name", "provenance")}
    for part, fields in _ARRAY_FIELDS.items():
        if state[part] is None:
            header[part] = None
            continue
        values = dict(state[part])
        for field in fields:
            if (array := values.pop(field)) is not None:
                tensors[f"{part}/{field}"] = np.ascontiguousarray(array)
        if (classes := values.get("classes")) is not None:
            values["classes"] = np.asarray(classes).tolist()
            values["classes_dtype"] = np.asarray(classes).dtype.kind
        header[part] = values
    text = json.dumps(header, sort_keys=True)
    metadata = {"sktransfer": str(PROTOCOL), "backbone": text, "sha256": _digest(str(PROTOCOL), text, tensors)}
    return write_atomically(Path(path), to_bytes(tensors, metadata=metadata))


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
    if file.stat().st_size > _LARGEST_FILE:
        raise ModelFileError(f"{file} is larger than {_LARGEST_FILE >> 30} GiB and is refused.")
    try:
        metadata, tensors = _read(file)
        header = json.loads(metadata["backbone"])
        if metadata["sha256"] != _digest(metadata["sktransfer"], metadata["backbone"], tensors):
            raise ModelFileError(f"{file} does not match its checksum: the file is damaged. Copy it again.")
        return _build(header, tensors)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ModelFileError(f"{file} is not a backbone that sktransfer wrote ({error!r}).") from error


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
    shipped = {file.stem: file for file in sorted(_SHIPPED.glob("*.safetensors"))}
    if isinstance(path, str) and path in shipped:
        return shipped[path]
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no backbone file {str(path)!r}, and shipped are only {sorted(shipped)}.")
    return file


def _read(file: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    with file.open("rb") as stream:
        header_size = int.from_bytes(stream.read(8), "little")
    if header_size > _LARGEST_HEADER:
        raise ModelFileError(f"{file} is not a backbone file: its header would take {header_size} bytes.")
    try:
        with safe_open(file, framework="numpy") as tensors:
            metadata = tensors.metadata() or {}
            _check_protocol(file, metadata.get("sktransfer"))
            return metadata, {key: tensors.get_tensor(key) for key in tensors.keys()}
    except (SafetensorError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{file} cannot be read as a safetensors file: {error}.") from error


def _check_protocol(file: Path, text: str | None) -> None:
    if text is None or not text.isdigit():
        raise ModelFileError(f"{file} is not a backbone that sktransfer wrote: its header names no protocol.")
    if int(text) > PROTOCOL:
        raise ModelFileError(
            f"{file} was written with protocol {text}; this version reads up to {PROTOCOL}. Upgrade sktransfer."
        )


def _build(header: dict[str, Any], tensors: dict[str, np.ndarray]) -> Backbone:
    state = {**header, "format": STATE_FORMAT}
    for part, fields in _ARRAY_FIELDS.items():
        if state[part] is not None:
            values = dict(state[part])
            kind = values.pop("classes_dtype", None)
            if kind is not None:
                values["classes"] = np.array(values["classes"], dtype=object if kind == "O" else None)
            values.update({field: tensors.get(f"{part}/{field}") for field in fields})
            state[part] = values
    state["weights"] = [
        Weights({key.split("/", 2)[2]: array for key, array in tensors.items() if key.startswith(f"block/{name}/")})
        for name in state["blocks"]
    ]
    backbone = object.__new__(Backbone)
    backbone.__setstate__(state)
    return backbone


def _digest(protocol: str, header: str, tensors: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(f"{protocol}|{header}|{Weights(tensors).sha256}".encode()).hexdigest()
