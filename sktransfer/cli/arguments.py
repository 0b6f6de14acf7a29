"""What several commands take, and how they write to stdout."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

TABLES = click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))


def hexadecimal(ctx: Any, parameter: Any, value: str | None) -> str | None:
    """A SHA-256 as 64 hexadecimal digits."""
    if value is not None and not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise click.BadParameter("64 hexadecimal digits, as sha256sum prints them")
    return value


def files_of(tables: tuple[Path, ...]) -> list[Path]:
    """The files named, and of a folder its CSV and Parquet files in the order of their names.

    Raises
    ------
    TableError
        If a folder holds none.
    """
    from sktransfer.exceptions import TableError

    found: list[Path] = []
    for table in tables:
        if not table.is_dir():
            found.append(table)
            continue
        inside = sorted(one for one in table.iterdir() if one.name.endswith((".csv", ".csv.gz", ".parquet", ".pq")))
        if not inside:
            raise TableError(f"{table}: the folder holds no file that ends in .csv, .csv.gz, .parquet or .pq.")
        found += inside
    return found


def write_out(text: str) -> None:
    """Text to stdout; where its encoding lacks a character there is a mark."""
    coding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(coding, "replace").decode(coding))
    sys.stdout.flush()
