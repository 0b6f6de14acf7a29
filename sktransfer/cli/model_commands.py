"""Commands about model files: backbones, pretrain, fit, inspect, score."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

_FILE = click.Path(dir_okay=False, path_type=Path)
_TABLES = click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
_CONFIG = click.option("--config", "-c", required=True, type=_FILE, help="TOML file: see docs/monitoring.md.")


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


@click.command()
def backbones() -> None:
    """List the pretrained networks that are installed."""
    from sktransfer.backbones.list_backbones import list_backbones

    for name, line in list_backbones().items():
        click.echo(f"{name:<12}  {line}")


@click.command()
@_TABLES
@_CONFIG
@click.option("--out", "-o", required=True, type=_FILE, help="File of the backbone, as pump_a.safetensors.")
@click.pass_obj
def pretrain(log: Any, tables: tuple[Path, ...], config: Path, out: Path) -> None:
    """Train a network on a table with labels, for other machines.

    Each machine is scaled by its own healthy rows. The file holds weights and what one must know to use them, no row.
    """
    from sklearn.base import clone

    from sktransfer.backbones.persistence import save_backbone
    from sktransfer.cli.plant_config import ConfigError, read_config
    from sktransfer.utils.counted_nouns import counted

    plan = read_config(config)
    if plan.label is None:
        raise ConfigError(f"{config}: [model] label is missing: pretraining learns from labels.")
    monitor = clone(plan.monitor).fit(files_of(tables), plan.label)
    network = monitor.estimator_[-1]
    if getattr(network, "backbone_", None) is None:
        raise ConfigError(f"{config}: [model] kind must be 'classifier' to pretrain a network.")
    save_backbone(network.backbone_, out)
    facts = f"{counted(len(monitor.classes_), 'class', 'classes')}, {counted(len(monitor.sensors_), 'sensor')}"
    log.say(f"wrote {out}: {facts}", file=str(out))


@click.command()
@_TABLES
@_CONFIG
@click.option("--out", "-o", required=True, type=_FILE, help="Model file, as pumps.skops.")
@click.option("--notes", default=None, help="Kept in the file.")
@click.pass_obj
def fit(log: Any, tables: tuple[Path, ...], config: Path, out: Path, notes: str | None) -> None:
    """Fit a monitor to the table of a plant, and write its model file."""
    from sktransfer.cli.plant_config import read_config
    from sktransfer.io.model_file import save
    from sktransfer.utils.counted_nouns import counted

    plan = read_config(config)
    monitor = plan.monitor.fit(files_of(tables), plan.label)
    alarms = monitor.alarms_
    metrics = {
        "healthy machine days held out": round(alarms.n_days_, 3),
        "false alarms a day on them": round(alarms.false_alarms_per_day_, 4),
    }
    save(monitor, out, metrics=metrics, normal_label=plan.monitor.normal_label, notes=notes)
    log.say(
        f"wrote {out}: {counted(len(monitor.machines_), 'machine')}, {counted(len(monitor.sensors_), 'sensor')}, "
        f"threshold {alarms.threshold_:.4g}, {alarms.false_alarms_per_day_:.3g} false alarms a day on "
        f"{alarms.n_days_:.3g} healthy machine days held out",
        file=str(out),
    )


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def inspect(file: Path) -> None:
    """Show what a file holds, without loading it."""
    from sktransfer.exceptions import ModelFileError
    from sktransfer.io.model_file import inspect_file

    try:
        card = inspect_file(file)
    except OSError as error:
        raise ModelFileError(f"{file}: it cannot be read ({error.strerror or error}).") from None
    click.echo(str(card))


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@_TABLES
@click.option("--out", "-o", type=_FILE, default=None, help="CSV file; default: to stdout.")
@click.option("--sha256", default=None, callback=hexadecimal, help="The model file must have this hash.")
@click.option("--max-abstained", default=0.5, show_default=True, help="Share of rows without data that is exit code 5.")
@click.pass_obj
def score(
    log: Any, model: Path, tables: tuple[Path, ...], out: Path | None, sha256: str | None, max_abstained: float
) -> int:
    """Judge each row or window of a table: state, alarm, score and reason of each."""
    from sktransfer.cli.main import ABSTAINED, OK
    from sktransfer.io.write_table import write_table
    from sktransfer.monitoring.condition_monitor import NO_DATA
    from sktransfer.utils.counted_nouns import counted

    monitor = loaded_monitor(model, sha256)
    found = monitor.predict(files_of(tables))
    if out is None:
        write_frame(found)
    else:
        write_table(found, out)
    share = float((found["state"] == NO_DATA).mean()) if len(found) else 0.0
    log.say(f"{counted(len(found), 'sample')}, {int(found['alarm'].sum())} in alarm, {share:.1%} without data")
    return ABSTAINED if share > max_abstained else OK


def loaded_monitor(path: Path, sha256: str | None) -> Any:
    """The ConditionMonitor of a file.

    Raises
    ------
    ModelFileError
        If there is none, whatever the reason.
    """
    from sktransfer.exceptions import ModelFileError
    from sktransfer.io.model_file import load
    from sktransfer.monitoring.condition_monitor import ConditionMonitor

    try:
        loaded = load(path, expect_sha256=sha256)
    except OSError as error:
        raise ModelFileError(f"{path}: the model file cannot be read ({error.strerror or error}).") from None
    if not isinstance(loaded, ConditionMonitor):
        raise ModelFileError(
            f"{path} holds a {type(loaded).__name__}; this command takes a ConditionMonitor, as `sktransfer fit` "
            "writes it."
        )
    return loaded


def write_out(text: str) -> None:
    """Text to stdout; where its encoding lacks a character there is a mark."""
    coding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(coding, "replace").decode(coding))
    sys.stdout.flush()


def write_frame(frame: Any) -> None:
    """The bytes of `write_table` to stdout."""
    from tempfile import TemporaryDirectory

    from sktransfer.io.write_table import write_table

    with TemporaryDirectory() as folder:
        write_out(write_table(frame, Path(folder, "out.csv")).read_text(encoding="utf-8"))
