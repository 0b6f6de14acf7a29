"""Model files whose checksums are right, changed by somebody who means no good."""

import json

from sktransfer.io.model_file import _sum_of
from sktransfer.io.model_file_zip import MANIFEST, SCHEMA, pack, unpack


def parts(path):
    """Schema, manifest and all entries of a model file."""
    entries = unpack(str(path), path.read_bytes())
    return json.loads(entries[SCHEMA]), json.loads(entries[MANIFEST]), entries


def write(path, schema, manifest, entries):
    """Write a file whose sums fit what is in it."""
    entries = {**entries, SCHEMA: json.dumps(schema).encode()}
    manifest = {**manifest, "sha256": _sum_of(entries)}
    path.write_bytes(pack({**entries, MANIFEST: json.dumps(manifest).encode()}))
    return path


def nodes(value):
    """All nodes of a schema, from the outside to the inside."""
    if isinstance(value, dict):
        if "__loader__" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from nodes(part)


def objects(schema, name):
    """Nodes of the class `name`."""
    return [node for node in nodes(schema) if node["__class__"] == name and node["__loader__"] == "ObjectNode"]


def number(value):
    """The node of a number or text."""
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(value)}
