"""What a stored piece of a run depends on, as one number: source text, constants, data and versions.

::

    function --its module--> imports, and theirs, inside this repository --source text--+
    constants of its module in capitals, options --repr-------------------------------->+--> SHA-256
    arrays, tensors, state of networks --bytes----------------------------------------->+
"""

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("datasets", "examples", "sktransfer", "benchmarks", "tests")
VERSIONS = {name: version(name) for name in ("numpy", "scipy", "torch")}


def of_code(function):
    """Fingerprint of a function: its module, all it imports from this repository, and its constants in capitals."""
    module = sys.modules[function.__module__]
    found, pending = {}, [module.__name__]
    while pending:
        name = pending.pop()
        path = _path(name)
        if name not in found and path is not None:
            found[name] = path.read_bytes()
            pending += _imports(ast.parse(found[name]))
    constants = {key: value for key, value in vars(module).items() if key.isupper()}
    called = inspect.getsource(function)  # of a test's function, whose file may hold others
    return of(called, sorted(found.items()), sorted((key, repr(value)) for key, value in constants.items()), VERSIONS)


def of(*values):
    """Fingerprint of numbers, text, arrays, tensors, and lists and dicts of such."""
    digest = hashlib.sha256()
    for value in values:
        _add(digest, value)
    return digest.hexdigest()


def _add(digest, value):
    if hasattr(value, "detach"):  # a tensor of torch, which not every user of this file imports
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).view(np.uint8).data if value.size else b"")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            digest.update(f"{key!r}:".encode())
            _add(digest, one)
    elif isinstance(value, list | tuple):
        digest.update(f"{len(value)}[".encode())
        for one in value:
            _add(digest, one)
    else:
        digest.update(f"{type(value).__name__} {value!r};".encode())


def _path(name):
    """File of a module of this repository, else None."""
    if name.partition(".")[0] not in PACKAGES:
        return None
    spec = importlib.util.find_spec(name)
    path = None if spec is None or spec.origin is None else Path(spec.origin)
    return path if path is not None and path.suffix == ".py" and path.is_relative_to(ROOT) else None


def _imports(tree):
    """Dotted names that a file imports; public names of this package by the file that they live in."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in PACKAGES:
            names.add(node.module)
            for alias in node.names:
                owner = getattr(sys.modules.get(node.module), alias.name, None)
                names.add(owner.__name__ if inspect.ismodule(owner) else getattr(owner, "__module__", node.module))
    return sorted(name for name in names if isinstance(name, str))
