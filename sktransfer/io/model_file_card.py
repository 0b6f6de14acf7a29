"""What a file says of itself, read without building what is in it: the manifest of a model, the header of a backbone.

::

    fitted model --> manifest: columns, classes, versions, metrics, ... --> manifest.json --> FileCard, print it
    backbone file ------------------------------- its header -------------------------------> FileCard
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.card import Card
from sktransfer.backbones.inputs import Inputs
from sktransfer.io.model_file_state import parts_of
from sktransfer.utils.versions import running_versions

_MOST_LISTED = 60  # columns or classes in the text of a card
_FIELDS: dict[str, Any] = {
    "what": str, "model": str, "versions": dict, "columns": list, "types": list, "requirements": list, "metrics": dict,
    "classes": list | None, "licence": str | None, "notes": str | None,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class FileCard:
    """What a model or backbone file says of itself; ``print`` it.

    Parameters
    ----------
    what : {"model", "backbone"}
    model : str
        Classes from the outside to the inside, or the name of the backbone.
    format : int
        Number of the file's layout.
    sha256 : str
        Of the whole file, as ``load(path, expect_sha256=...)`` takes it.
    n_bytes : int
        Size of the file.
    versions : dict of str to str
        Packages that wrote the file; empty for a backbone.
    columns : list of dict
        ``name``, ``unit``, ``minimum`` and ``maximum`` of each column, as far as they are known, as the model takes
        them: before its scaler, in units. What a backbone alone says of ranges is of scaled values.
    classes : list or None
        Classes that it tells apart.
    normal_label : object
        Class of the healthy rows; None if not known.
    metrics : dict
        As they were given when the file was written.
    licence, notes : str or None
    requirements : list of str
        Lines for pip that install the versions of the file.
    types : list of str
        Classes that :func:`sktransfer.load` builds of packages other than numpy and Python.
    """

    what: str
    model: str
    format: int
    sha256: str
    n_bytes: int
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    columns: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    classes: list[Any] | None = None
    normal_label: Any = None
    metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
    licence: str | None = None
    notes: str | None = None
    requirements: list[str] = dataclasses.field(default_factory=list)
    types: list[str] = dataclasses.field(default_factory=list)

    def _card(self) -> Card:
        lines = [
            ("columns", _listed([_column(*item) for item in enumerate(self.columns)])),
            ("classes", "none" if self.classes is None else _listed([str(name) for name in self.classes])),
            ("healthy class", "not said" if self.normal_label is None else str(self.normal_label)),
            ("metrics", ", ".join(f"{name} {value}" for name, value in self.metrics.items()) or "not said"),
            ("licence", self.licence or "not said"),
            ("notes", self.notes or "none"),
            ("written with", ", ".join(f"{name} {number}" for name, number in self.versions.items()) or "not said"),
            ("file", f"{self.n_bytes:,} bytes, format {self.format}, SHA-256 {self.sha256}"),
        ]
        return Card(f"{self.what}: {self.model}", lines)

    def __str__(self) -> str:
        return str(self._card())

    def _repr_html_(self) -> str:
        return self._card()._repr_html_()


def manifest_of(model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What can be read off a fitted `model`, and what was `given`."""
    parts = parts_of(model)
    normal = given.get("normal_label")
    if normal is None:
        normal = next((v for part in parts if (v := getattr(part, "normal_label", None)) is not None), None)
    classes = getattr(model, "classes_", None)
    versions = running_versions()
    return {
        "what": "model",
        "model": _names(model),
        "versions": versions,
        "columns": _columns(model, parts),
        "classes": None if classes is None else [_plain(name) for name in classes],
        "normal_label": _plain(normal),
        "metrics": dict(given.get("metrics") or {}),
        "licence": given.get("licence"),
        "notes": given.get("notes"),
        "requirements": [f"{name}=={number}" for name, number in versions.items() if name != "python"],
    }


def card_of_manifest(manifest: Mapping[str, Any], sha256: str, n_bytes: int) -> FileCard:
    """The card of a manifest that was read.

    Raises
    ------
    ValueError
        If a field is missing, or of another type.
    """
    known = {field.name for field in dataclasses.fields(FileCard)} - {"sha256", "n_bytes"}
    fields = {key: value for key, value in manifest.items() if key in known}
    for name, kind in _FIELDS.items():
        if not isinstance(fields.get(name, ...), kind):
            raise ValueError(f"its manifest says nothing of {name} that can be understood")
    if not all(isinstance(column, dict) for column in fields["columns"]):
        raise ValueError("its manifest lists columns that are none")
    if not all(isinstance(text, str) for item in fields["versions"].items() for text in item):
        raise ValueError("its manifest lists versions that are none")
    return FileCard(**fields, sha256=sha256, n_bytes=n_bytes)


def card_of_header(header: Mapping[str, Any], protocol: int, sha256: str, n_bytes: int) -> FileCard:
    """The card of a backbone's header."""
    inputs, known = header["inputs"], header["provenance"]
    source, names, units = header["source"] or {}, inputs.get("names"), inputs.get("units")
    n_columns = len(names or units or ()) or inputs.get("n") or 0
    columns = [
        {key: values[i] for key, values in (("name", names), ("unit", units)) if values is not None}
        for i in range(min(n_columns, len(names or units or ())))
    ]
    said = [f"{key.replace('_', ' ')}: {value}" for key, value in known.items() if key != "licence"]
    return FileCard(
        what="backbone",
        model=f"{header['name']} ({header['network']['name']}, {len(header['blocks'])} blocks)",
        format=protocol,
        sha256=sha256,
        n_bytes=n_bytes,
        columns=columns,
        classes=source.get("classes"),
        licence=None if known.get("licence") is None else str(known["licence"]),
        notes="; ".join(said) or None,
    )


def _names(model: Any) -> str:
    """``Pipeline(BaselineScaler, TransferClassifier)``."""
    name = type(model).__name__
    if isinstance(model, Pipeline):
        return f"{name}({', '.join(_names(step) for _, step in model.steps)})"
    inner = getattr(model, "best_estimator_", None) or getattr(model, "estimator", None)
    return name if inner is None else f"{name}({_names(inner)})"


def _columns(model: Any, parts: Sequence[Any]) -> list[dict[str, Any]]:
    """Names, units and ranges of the columns that `model` takes: of its own, its scaler, its backbone."""
    sensors = getattr(model, "sensors_", None)
    if sensors is not None:  # a monitor knows them from its table
        ends = [{"minimum": _plain(low), "maximum": _plain(high)} for low, high in model.ranges_]
        return [
            {"name": name, **({"unit": model.units_[name]} if name in model.units_ else {}), **pair}
            for name, pair in zip(sensors, ends, strict=True)
        ]
    n_columns = getattr(model, "n_features_in_", None)
    if n_columns is None:
        return []
    states = [vars(part) for part in parts if hasattr(part, "__dict__")]
    backbones = [state.get("backbone_") or state.get("backbone") for state in states]
    known = next((one.inputs for one in backbones if isinstance(one, Backbone) and one.inputs.n == n_columns), Inputs())
    names = getattr(model, "feature_names_in_", known.names)
    # a scaler in front keeps the range of what it was fitted to
    ranges = [(state.get("lowest_"), state.get("highest_")) for state in states]
    low, high = next((pair for pair in ranges if np.shape(pair[0]) == (n_columns,)), (None, None))
    if low is None and not any(isinstance(part, Pipeline) for part in parts):
        low, high = known.minimum, known.maximum
    listed: dict[str, Any] = {"name": names, "unit": known.units, "minimum": low, "maximum": high}
    listed = {key: values for key, values in listed.items() if values is not None and len(values) == n_columns}
    return [{key: _plain(values[i]) for key, values in listed.items()} for i in range(n_columns)]


def _plain(value: Any) -> Any:
    """`value` as JSON holds it; as text if it is nothing that JSON knows."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _column(place: int, column: Mapping[str, Any]) -> str:
    text = str(column.get("name", f"column {place}"))
    if column.get("unit") is not None:
        text += f" ({column['unit']})"
    if isinstance(column.get("minimum"), int | float) and isinstance(column.get("maximum"), int | float):
        text += f" {column['minimum']:.4g} to {column['maximum']:.4g}"
    return text


def _listed(texts: Sequence[str]) -> str:
    rest = f", and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return f"{len(texts)}: {', '.join(texts[:_MOST_LISTED])}{rest}" if texts else "not said"
