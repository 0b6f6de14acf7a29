"""A fitted model in a file that runs no code: written at once or not at all, and compared before it is believed.

::

    save: model --> entries (skops's layout), manifest --> zip, checksum --> read back --> temporary file --> renamed
    load: bytes, read once --> expected SHA-256? --> checksum --> manifest: versions --> names trusted? --> model
                                                                     |
    inspect_file: ...................................................--> FileCard
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.persistence import PROTOCOL, read_header, shipped_backbones
from sktransfer.backbones.safetensors_file import read_json
from sktransfer.exceptions import ModelFileError
from sktransfer.io.model_file_card import FileCard, card_of_header, card_of_manifest, manifest_of
from sktransfer.io.model_file_reader import UntrustedTypesError, model_of, types_in
from sktransfer.io.model_file_state import entries_of, lost_callbacks, unfold
from sktransfer.io.model_file_zip import MANIFEST, is_zip, pack, unpack
from sktransfer.io.trusted_types import TRUSTED_TYPES
from sktransfer.utils.device import resolve_device
from sktransfer.utils.files import write_atomically
from sktransfer.utils.model_version_warning import ModelVersionWarning
from sktransfer.utils.untrusted import untrusted_state
from sktransfer.utils.versions import minor_versions, running_versions

FORMAT = 1  # of model files; raise it when a reader of today would misread or refuse the new layout
LARGEST_FILE = 2**31  # bytes
_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?")
# what Python, numpy, scikit-learn and torch raise for a state that means nothing
_NONSENSE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    ImportError,
)


def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    metrics: Mapping[str, Any] | None = None,
    normal_label: Any = None,
    licence: str | None = None,
    notes: str | None = None,
) -> Path:
    """Write a fitted model to one file, which :func:`load` reads without running any code from it.

    The file is a zip in the layout of skops, with a manifest: what the model is, its columns with units and ranges of
    training where they are known, classes, versions, checksums, and what is given here. :func:`inspect_file` shows it.

    Parameters
    ----------
    model : estimator
        Fitted: one of this package, a pipeline, a search, a calibrated or thresholded classifier around it.
    path : str or path-like
        File to write; its name usually ends in ``.skops``.
    metrics : dict, optional
        Anything JSON can hold, such as ``{"balanced accuracy": 0.93, "rows": 400}``.
    normal_label : object, optional
        Class of the healthy rows; default: that of the scaler in the model, if it has one.
    licence, notes : str, optional
        For the manifest.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    TypeError
        If a part of the model cannot be stored, such as a lambda, a class that was defined in a notebook, or a bytes
        object; the message names the part and the remedy. Nothing is written then.
    ModelFileError
        If what is read back is not what was written.
    NotFittedError
        If `model` is not fitted.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Read it.
    inspect_file : Look at it.
    save_backbone : The same for the backbone alone, to begin another fit with.

    Notes
    -----
    Callbacks, loggers and caches do not travel; the caller's object keeps them. Whatever goes wrong, the old file is
    untouched, and no temporary file is left, or it is removed when the file is written next. The same model gives the
    same bytes. A model that was fitted on CUDA holds arrays and nothing that belongs to a device.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import sktransfer
    >>> X = np.random.default_rng(0).normal(size=(40, 3))
    >>> model = sktransfer.TransferClassifier(max_epochs=2, random_state=0).fit(X, X[:, 0] > 0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = sktransfer.save(model, pathlib.Path(folder) / "pump_a.skops", metrics={"accuracy": 0.9})
    ...     loaded = sktransfer.load(file)
    ...     print(sktransfer.inspect_file(file).classes)
    [False, True]
    >>> bool((loaded.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    _check_model(model)
    given = {"metrics": metrics, "normal_label": normal_label, "licence": licence, "notes": notes}
    entries = entries_of(model)
    content = pack({**entries, MANIFEST: _manifest(model, entries, given)})
    if len(content) > LARGEST_FILE:
        raise ModelFileError(
            f"save: {type(model).__name__} takes {len(content):,} bytes; a model file holds {LARGEST_FILE:,}."
        )

    def check(found: bytes) -> None:
        written = unpack(str(path), found)
        if found != content or entries_of(_build(written, types_in(written))) != entries:
            raise ModelFileError("what is read is another model than what was written.")

    if lost := lost_callbacks(model):
        warnings.warn(
            f"save: the callbacks {lost} of {type(model).__name__} are not stored, because they are programs. The file "
            "predicts the same; set them again before it is fitted anew.",
            UserWarning,
            stacklevel=2,
        )
    try:
        return write_atomically(Path(path), content, check)
    except (ModelFileError, *_NONSENSE) as error:
        if isinstance(error, OSError):
            raise
        raise ModelFileError(
            f"save: {type(model).__name__} was not written, because it could not be loaded again: {error} Whatever was "
            "at this path is as it was."
        ) from error


def load(
    path: str | os.PathLike[str],
    *,
    device: str | None = "cpu",
    expect_sha256: str | None = None,
    trusted: Collection[str] = TRUSTED_TYPES,
    max_bytes: int = LARGEST_FILE,
) -> Any:
    """Read a model from a file of :func:`save`; no code of the file is run, and no pickle is read.

    Parameters
    ----------
    path : str or path-like
    device : str or None, default="cpu"
        Where the model will predict and be fitted again: the parameter ``device`` of each estimator of this package in
        it. None: as it was stored.
    expect_sha256 : str, optional
        SHA-256 of the whole file, 64 hexadecimal digits; any other file is refused before it is looked into. It tells
        who wrote the file only if it came by another way than the file.
    trusted : collection of str, default=TRUSTED_TYPES
        Full names of the classes and functions that may be built. Add those that you know, as in
        ``(*TRUSTED_TYPES, "plant.scalers.OurScaler")``. What a file asks for is no list of what to trust.
    max_bytes : int, default=2147483648
        Size of the largest file that is read. Nothing in a file is compressed, so that it bounds the memory, too.

    Returns
    -------
    estimator
        As it was saved.

    Raises
    ------
    ModelFileError
        If the file is damaged, cut short, of another kind, of a newer format, not the expected one, too large, or asks
        for a type that is not trusted.
    FileNotFoundError
        If there is no such file.

    Warns
    -----
    ModelVersionWarning
        Once, if another minor version of a package wrote it.

    Notes
    -----
    The file is read once, and what is in memory is taken apart: another process may replace the file meanwhile.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sktransfer import BaselineScaler, inspect_file, load, save
    >>> scaler = BaselineScaler().fit(np.random.default_rng(0).normal(size=(40, 3)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save(scaler, pathlib.Path(folder) / "pump_a.skops")
    ...     released = inspect_file(file).sha256
    ...     load(file, expect_sha256=released)
    BaselineScaler()
    """
    if device is not None and not (isinstance(device, str) and _DEVICE.fullmatch(device)):
        raise ValueError(f"load: device is 'cpu', 'auto', 'cuda', 'cuda:<number>' or None; got {device!r}.")
    if isinstance(trusted, str | bool):
        raise TypeError(f"load: trusted is a list of full names, as TRUSTED_TYPES; got {trusted!r}.")
    file, content = _read(path, max_bytes)
    if expect_sha256 is not None:
        _compare(file, content, expect_sha256)
    entries = unpack(file, content)
    card = _card(file, content, entries)
    if device not in (None, "cpu", "auto"):
        resolve_device(device)
    _warn_of_versions(card)
    try:
        model = _build(entries, trusted)
    except UntrustedTypesError as error:
        raise ModelFileError(
            f"{file} asks for types that are not trusted: {error.names}. If you know what they do and who wrote the "
            f"file, name them: load(..., trusted=(*sktransfer.TRUSTED_TYPES, {', '.join(map(repr, error.names))}))."
        ) from error
    except _NONSENSE as error:
        said = f"{error}" if isinstance(error, ModelFileError) else repr(error)
        raise ModelFileError(f"{file} holds no model that can be used: {said}") from error
    unfold(model, device)
    return model


def inspect_file(path: str | os.PathLike[str], *, max_bytes: int = LARGEST_FILE) -> FileCard:
    """What a model or backbone file says of itself; nothing in it is built.

    Parameters
    ----------
    path : str or path-like
        A file of :func:`save` or :func:`save_backbone`, or the name of a shipped backbone.
    max_bytes : int, default=2147483648
        Size of the largest file that is read.

    Returns
    -------
    FileCard
        Columns with units and ranges, classes, metrics, versions, SHA-256, ...; ``print`` it.

    Raises
    ------
    ModelFileError
        If the file is damaged, or neither a model nor a backbone.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> from sktransfer import inspect_file
    >>> card = inspect_file("tep-process")
    >>> card.what, len(card.columns), card.classes[:2]
    ('backbone', 53, ['idv02-b-composition-step', 'idv03-d-feed-temperature-step'])
    """
    if not (isinstance(path, str) and path in shipped_backbones()):
        file, content = _read(path, max_bytes)
        if is_zip(content) or content[8:9] != b"{":
            return _card(file, content, unpack(file, content))
    header, sha256, n_bytes = read_header(path)
    return card_of_header(header, PROTOCOL, sha256, n_bytes)


# ---- writing


def _check_model(model: Any) -> None:
    if isinstance(model, Backbone):
        raise TypeError("save takes a fitted estimator, got a Backbone; save_backbone writes it.")
    if isinstance(model, type) or not hasattr(model, "get_params"):
        raise TypeError(f"save takes a fitted estimator, got {model!r:.100}.")
    if hasattr(model, "fit"):
        check_is_fitted(model)


def _manifest(model: Any, entries: Mapping[str, bytes], given: Mapping[str, Any]) -> bytes:
    if given["metrics"] is not None and not isinstance(given["metrics"], Mapping):
        raise TypeError(f"save: metrics is a dict of names and values, got {given['metrics']!r}.")
    for name in ("licence", "notes"):
        if not isinstance(given[name], str | None):
            raise TypeError(f"save: {name} is a text, got {given[name]!r}.")
    manifest = {"format": FORMAT, "sha256": _sum_of(entries), **manifest_of(model, given), "types": types_in(entries)}
    try:
        return json.dumps(manifest, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise TypeError(f"save: metrics hold what JSON does not ({error}); give numbers and texts.") from error


def _sum_of(entries: Mapping[str, bytes]) -> str:
    """SHA-256 over the names and contents of all entries but the manifest."""
    whole = hashlib.sha256()
    for name in sorted(set(entries) - {MANIFEST}):
        whole.update(f"{name}|{len(entries[name])}|".encode() + entries[name])
    return whole.hexdigest()


# ---- reading


def _read(path: str | os.PathLike[str], max_bytes: int) -> tuple[str, bytes]:
    """Name and bytes of a file, read once."""
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"There is no model file {str(path)!r}.")
    if not file.is_file():  # a pipe would be waited for
        raise ModelFileError(f"{file} is a folder, a pipe, a socket or a device, and is refused.")
    with file.open("rb") as stream:
        status = os.fstat(stream.fileno())
        if status.st_size > max_bytes:
            raise ModelFileError(
                f"{file} has {status.st_size:,} bytes and is refused; max_bytes=... takes more than {max_bytes:,}."
            )
        return str(file), stream.read(status.st_size)  # Python takes memory for all that is asked for


def _compare(file: str, content: bytes, expected: Any) -> None:
    if not (isinstance(expected, str) and re.fullmatch("[0-9a-fA-F]{64}", expected)):
        raise ValueError(f"load: expect_sha256 is a text of 64 hexadecimal digits, got {expected!r}.")
    found = hashlib.sha256(content).hexdigest()
    if found != expected.lower():
        raise ModelFileError(
            f"{file} is another file than expected: its SHA-256 is {found}, and not {expected.lower()}."
        )


def _card(file: str, content: bytes, entries: Mapping[str, bytes]) -> FileCard:
    try:
        manifest = read_json(entries[MANIFEST].decode())
        number = manifest["format"] if isinstance(manifest, dict) else None
        if type(number) is not int:
            raise ValueError("its manifest names no format")
        if number > FORMAT:
            written = manifest.get("versions")
            by = (
                f" by sktransfer {written['sktransfer']}"
                if isinstance(written, dict) and "sktransfer" in written
                else ""
            )
            raise ModelFileError(
                f"{file} was written in format {number}{by}; this version reads up to {FORMAT}. Upgrade sktransfer."
            )
        if manifest.get("sha256") != _sum_of(entries):
            raise ModelFileError(f"{file} holds a manifest of another model: do not use it.")
        return card_of_manifest(manifest, hashlib.sha256(content).hexdigest(), len(content))
    except ModelFileError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{file} was not written by sktransfer.save: {error}.") from error


def _warn_of_versions(card: FileCard) -> None:
    running, saved = running_versions(), card.versions
    if not set(running) <= set(saved):
        raise ModelFileError(f"The manifest of this {card.model} does not say by which versions it was written.")
    if minor_versions(saved) != minor_versions(running):
        warning = ModelVersionWarning(estimator_name=card.model, saved_with=saved, running=running)
        warnings.warn(warning, stacklevel=3)


def _build(entries: Mapping[str, bytes], trusted: Collection[str]) -> Any:
    with warnings.catch_warnings(), untrusted_state():
        # of each estimator in the file, of scikit-learn even for patch releases: the manifest has said so once
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        return model_of(entries, trusted)
