r"""The command that judges a table, and does not remember it.

::

    MODEL: skops file of a monitor --> samples with states and alarms  \
           skops file of a pipeline --> rows with labels, values        >--> CSV: one for all tables, or one a table
           ONNX file ---------------> the same, without scikit-learn   /          (there also on a dask cluster)
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from sktransfer.cli.arguments import (
    TABLE_ENDINGS,
    TABLES,
    files_of,
    hexadecimal,
    refuse_overwriting,
    scheduler_address,
    share,
    write_out,
)

_SILENCE = 10.0  # seconds without a word


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@TABLES
@click.option("--out", "-o", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="CSV file; default: to stdout.")  # fmt: skip
@click.option("--out-folder", type=click.Path(file_okay=False, path_type=Path), default=None,
              help="Each table by itself, to a file of its name in this folder.")  # fmt: skip
@click.option("--config", "-c", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="TOML file whose [table] says how the tables are written; a monitor knows it.")  # fmt: skip
@click.option("--scheduler", default=None, metavar="ADDRESS", callback=scheduler_address,
              help="Score the tables on this dask cluster, as tcp://10.0.0.1:8786; with --out-folder.")  # fmt: skip
@click.option("--sha256", default=None, callback=hexadecimal, help="The model file must have this hash.")
@click.option("--joblib", is_flag=True, help="MODEL is a joblib file. It can run any program: only files you made.")
@click.option("--max-abstained", default=0.5, show_default=True, callback=share,
              help="Above this share of rows without data the exit code is 5.")  # fmt: skip
@click.pass_obj
def score(log: Any, model: Path, tables: tuple[Path, ...], **options: Any) -> int:
    """Judge each row or window of a table: state, label or score, and what is missing.

    MODEL is a file of `sktransfer fit`, of sktransfer.save, or an ONNX file of `sktransfer export`.
    """
    from sktransfer.cli.main import ABSTAINED, INPUT, OK
    from sktransfer.cli.scorer import Counts, Scorer
    from sktransfer.utils.counted_nouns import counted

    out, folder, scheduler = options["out"], options["out_folder"], options["scheduler"]
    if scheduler is not None and folder is None:
        raise click.UsageError("--scheduler writes one file a table: name their folder with --out-folder.")
    if out is not None and folder is not None:
        raise click.UsageError("--out and --out-folder exclude each other: one file for all tables, or one a table.")
    paths, counts = files_of(tables), Counts()
    targets = {} if folder is None else _targets(paths, folder)
    refuse_overwriting([*targets.values(), *([] if out is None else [out])], [model, options["config"], *paths])
    scorer = Scorer.of_file(model, sha256=options["sha256"], config=options["config"], joblib=options["joblib"])
    n_refused = 0
    if folder is None:
        _to_one(scorer, paths, out, counts, log)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        n_refused = _to_folder(scorer, targets, counts, scheduler, log)
    alarms = f", {counts.n_alarms} in alarm" if scorer.is_monitor else ""
    refused = f"; {n_refused} of {len(paths)} tables could not be scored" if n_refused else ""
    log.say(f"{counted(counts.n, scorer.noun)}{alarms}, {counts.share:.1%} without data{refused}", samples=counts.n)
    return INPUT if n_refused else ABSTAINED if counts.share > options["max_abstained"] else OK


def _to_one(scorer: Any, paths: list[Path], out: Path | None, counts: Any, log: Any) -> None:
    from sktransfer.utils.files import write_atomically

    pieces = _with_progress(scorer.pieces(paths, counts), counts, log, scorer.noun)
    if out is not None:
        write_atomically(out, pieces)
        return
    for piece in pieces:
        write_out(piece.decode("utf-8"))


def _with_progress(pieces: Iterator[bytes], counts: Any, log: Any, noun: str) -> Iterator[bytes]:
    """The same; how far it is stands on stderr now and then."""
    from sktransfer.utils.counted_nouns import counted

    said = time.monotonic()
    for piece in pieces:
        yield piece
        if time.monotonic() - said > _SILENCE:
            said = time.monotonic()
            log.say(f"{counted(counts.n, noun)} so far", samples=counts.n)


def _to_folder(scorer: Any, targets: dict[Path, Path], counts: Any, scheduler: str | None, log: Any) -> int:
    """Score each table by itself; how many could not be, each of which was said. The only one is an error."""
    if scheduler is not None:
        from sktransfer.cli.dask_scoring import score_on_cluster

        return score_on_cluster(scheduler, scorer, targets, counts, log)
    from sktransfer.cli.scorer import Counts
    from sktransfer.exceptions import TableError
    from sktransfer.utils.files import write_atomically

    n_refused = 0
    for path, target in targets.items():
        found = Counts()
        try:
            write_atomically(target, _with_progress(scorer.pieces([path], found), found, log, scorer.noun))
            counts.add(found)
        except TableError as error:
            if len(targets) == 1:
                raise
            n_refused += 1
            log.say(" ".join(str(error).split()), "error", file=str(path))
    return n_refused


def _targets(paths: list[Path], folder: Path) -> dict[Path, Path]:
    """Where the answers to each table go.

    Raises
    ------
    UsageError
        If two tables have one name.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        target = folder / f"{_stem(path)}.csv"
        if target in found.values():
            raise click.UsageError(f"several tables are called {_stem(path)}; their answers would go to one file.")
        found[path] = target
    return found


def _stem(path: Path) -> str:
    name = path.name
    return next((name[: -len(end)] for end in TABLE_ENDINGS if name.lower().endswith(end)), name)
