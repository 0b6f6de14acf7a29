"""What several commands take, and how they write to stdout."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

TABLES = click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
TABLE_ENDINGS = (".csv.gz", ".csv", ".parquet", ".pq")  # in small letters; Windows historians write .CSV


def hexadecimal(ctx: Any, parameter: Any, value: str | None) -> str | None:
    """A SHA-256 as 64 hexadecimal digits."""
    if value is not None and not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise click.BadParameter("64 hexadecimal digits, as sha256sum prints them")
    return value


def share(ctx: Any, parameter: Any, value: float) -> float:
    """A share between 0 and 1."""
    if not 0 <= value <= 1:
        raise click.BadParameter(f"a share between 0 and 1, and got {value}")
    return value


def scheduler_address(ctx: Any, parameter: Any, value: str | None) -> str | None:
    """An address with a port; of another one dask complains for a minute."""
    if value is not None and not re.fullmatch(r"inproc://\S+|([a-z]+://)?[^/\s]+:\d+", value):
        raise click.BadParameter(f"a host and its port, as tcp://10.0.0.1:8786, and got {value!r}")
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
        inside = sorted(one for one in table.iterdir() if one.name.lower().endswith(TABLE_ENDINGS) and not one.is_dir())
        if not inside:
            raise TableError(f"{table}: the folder holds no file that ends in .csv, .csv.gz, .parquet or .pq.")
        found += inside
    return found


def refuse_overwriting(written: list[Path], given: list[Path | None]) -> None:
    """An output must not be a file that is read.

    Raises
    ------
    UsageError
        If one is.
    """
    there = [one for one in given if one is not None and one.exists()]
    for target in written:
        for one in there if target.exists() else []:
            if target.samefile(one):
                raise click.UsageError(f"the output {target} is the file {one} that is read; name another one.")


def write_out(text: str) -> None:
    """Text to stdout; where its encoding lacks a character there is a mark."""
    coding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(coding, "replace").decode(coding))
    sys.stdout.flush()
