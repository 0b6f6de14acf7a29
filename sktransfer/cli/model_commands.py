"""Commands about model files: backbones, pretrain, fit, inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sktransfer.cli.arguments import TABLES, files_of

_FILE = click.Path(dir_okay=False, path_type=Path)
_CONFIG = click.option("--config", "-c", required=True, type=_FILE, help="TOML file: see docs/monitoring.md.")


@click.command()
def backbones() -> None:
    """List the pretrained networks that are installed."""
    from sktransfer.backbones.list_backbones import list_backbones

    for name, line in list_backbones().items():
        click.echo(f"{name:<12}  {line}")


@click.command()
@TABLES
@_CONFIG
@click.option("--out", "-o", required=True, type=_FILE, help="File of the backbone, as pump_a.safetensors.")
@click.pass_obj
def pretrain(log: Any, tables: tuple[Path, ...], config: Path, out: Path) -> None:
    """Train a network on a table with labels, for other machines.

    Each machine is scaled by its own healthy rows. The file holds weights and what one must know to use them, no row.
    """
    from sklearn.base import clone

    from sktransfer.backbones.persistence import save_backbone
    from sktransfer.cli.plant_config import read_config
    from sktransfer.cli.table_config import ConfigError
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
@TABLES
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
