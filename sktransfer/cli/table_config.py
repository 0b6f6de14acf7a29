"""The [table] section of a TOML file, which says how the table of a plant is written.

Nothing here needs scikit-learn, so that a process which scores with an ONNX file starts without it.
"""

from __future__ import annotations

import difflib
import inspect
import tomllib
from pathlib import Path
from typing import Any

from sktransfer.io.table_format import TableFormat, check_format
from sktransfer.io.time_column import TimeColumn

SECTIONS = ("table", "windows", "model", "alarms", "limits")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names file, section and key."""


def read_sections(path: Any) -> dict[str, Any]:
    """The sections of a configuration.

    Raises
    ------
    ConfigError
        If it is no TOML in UTF-8, or has something else than `SECTIONS`.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: it cannot be read as TOML ({error}).") from None
    check_known(path, "the file", content, SECTIONS)
    for name in content:
        if not isinstance(content[name], dict):
            raise ConfigError(f"{path}: [{name}] must be a section; got {content[name]!r}.")
    return content


def read_table_format(path: Any) -> TableFormat:
    """The format of a configuration's [table], which need not have a time.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key or value means nothing.
    """
    found = table_format(path, read_sections(path).get("table", {}))
    try:
        return check_format(found)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None


def table_format(path: Any, section: dict[str, Any]) -> TableFormat:
    """A section as a TableFormat, not checked."""
    section = dict(section)
    time = section.pop("time", None)
    if time is not None:
        time = made(path, "table.time", TimeColumn, {"name": time} if isinstance(time, str) else time)
    return made(path, "table", TableFormat, {**section, "time": time})


def made(path: Any, section: str, kind: Any, values: dict[str, Any]) -> Any:
    """An object of the keys of a section."""
    check_known(path, f"[{section}]", values, list(inspect.signature(kind.__init__).parameters)[1:])
    try:
        return kind(**values)
    except TypeError as error:  # a parameter that has no default
        raise ConfigError(f"{path}: [{section}] {str(error).replace('__init__()', kind.__name__)}.") from None


def check_known(path: Any, where: str, values: dict[str, Any], known: Any) -> None:
    """Refuse a key that nobody reads."""
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else f" Known are {', '.join(known)}."
            raise ConfigError(f"{path}: {where} has no {name!r}.{hint}")
