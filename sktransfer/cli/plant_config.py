"""A TOML file that says what stands in the table of a plant, and what is to be watched.

::

    [table] [table.time] [table.sensors] --> TableFormat
    [windows]                            --> SlidingWindows, or none: rows
    [model]                              --> scaler, detector or classifier
    [alarms] [limits]                    --> ConditionMonitor
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sktransfer.cli.table_config import ConfigError, check_known, made, read_sections, table_format
from sktransfer.io.table_format import TableFormat, check_format
from sktransfer.monitoring.alarms import Alarms
from sktransfer.monitoring.condition_monitor import ConditionMonitor
from sktransfer.monitoring.raw_rows import measuring_ranges
from sktransfer.windows.sliding_windows import SlidingWindows

_MODEL = ("kind", "backbone", "label", "normal_label", "coverage", "false_alarm_rate", "held_out", "random_state")
_OF_KIND = {"coverage": "classifier", "false_alarm_rate": "detector"}


@dataclass(frozen=True)
class PlantConfig:
    """What a configuration says.

    Parameters
    ----------
    table_format : TableFormat
    label : str or None
        Column of labels.
    monitor : ConditionMonitor
        Not fitted.
    """

    table_format: TableFormat
    label: str | None
    monitor: ConditionMonitor


def read_config(path: Any) -> PlantConfig:
    """Read a configuration.

    Parameters
    ----------
    path : path
        TOML in UTF-8.

    Raises
    ------
    ConfigError
        If it cannot be read, or a section, key or value means nothing.
    """
    path = Path(path)
    content = read_sections(path)
    if "time" not in content.get("table", {}):
        raise ConfigError(f"{path}: [table.time] is missing. Say at least the name of the column with the times.")
    form = table_format(path, content["table"])
    windows = None
    if "windows" in content:
        windows = made(path, "windows", SlidingWindows, content["windows"])
    model = content.get("model", {})
    check_known(path, "[model]", model, _MODEL)
    limits = {name: tuple(ends) if isinstance(ends, list) else ends for name, ends in content.get("limits", {}).items()}
    monitor = ConditionMonitor(
        _estimator(path, model),
        form,
        windows=windows,
        alarms=made(path, "alarms", Alarms, _with_pairs(content.get("alarms", {}))),
        normal_label=model.get("normal_label"),
        limits={name: _open_ends(ends) for name, ends in limits.items()} or None,
        held_out=model.get("held_out", 0.3),
    )
    _check_values(path, monitor)
    return PlantConfig(form, model.get("label"), monitor)


def _check_values(path: Path, monitor: ConditionMonitor) -> None:
    """What `fit` would refuse whatever the table holds, so that the file at fault is named."""
    form = monitor.table_format
    try:
        check_format(form)
        for one in (monitor, *(step for _, step in monitor.estimator.steps)):
            one._validate_params()
        monitor.alarms._validate_params()
        if monitor.windows is not None:
            monitor.windows._validate_params()
        if form.sensors is not None:
            measuring_ranges("[limits]", monitor.limits, list(form.sensors))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _estimator(path: Path, model: dict[str, Any]) -> Any:
    """A scaler by the healthy rows of each machine, and what watches or classifies."""
    from sktransfer.estimators.open_set_classifier import OpenSetClassifier
    from sktransfer.estimators.pipeline import make_pipeline
    from sktransfer.estimators.transfer_classifier import TransferClassifier
    from sktransfer.estimators.transfer_detector import TransferDetector
    from sktransfer.preprocessing.baseline_scaler import BaselineScaler

    kind = model.get("kind", "detector")
    if kind not in ("detector", "classifier"):
        raise ConfigError(f"{path}: [model] kind must be 'detector' or 'classifier'; got {kind!r}.")
    backbone, normal, seed = model.get("backbone"), model.get("normal_label"), model.get("random_state")
    _check_backbone(path, backbone)
    for name, of in _OF_KIND.items():
        if name in model and kind != of:
            raise ConfigError(f"{path}: [model] {name} is of kind = {of!r}, and this is a {kind}. Leave it out.")
    if kind == "detector":
        rate = model.get("false_alarm_rate", 0.01)
        last: Any = TransferDetector(backbone, false_alarm_rate=rate, random_state=seed)
        return make_pipeline(BaselineScaler(normal_label=normal if "label" in model else None), last)
    if "label" not in model or normal is None:
        raise ConfigError(
            f"{path}: [model] a classifier needs label, the column of labels, and normal_label, that of healthy rows."
        )
    network: Any = TransferClassifier(backbone, random_state=seed)
    if "coverage" in model:
        network = OpenSetClassifier(network, coverage=model["coverage"])
    return make_pipeline(BaselineScaler(normal_label=normal), network)


def _check_backbone(path: Path, backbone: Any) -> None:
    """Refuse what is neither a shipped network nor a file, before a table is read."""
    from sktransfer.backbones.persistence import shipped_backbones

    known = sorted(shipped_backbones())
    if backbone is None or backbone in known or (isinstance(backbone, str) and Path(backbone).is_file()):
        return
    near = difflib.get_close_matches(str(backbone), known, 1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(known)}, and files that `pretrain` wrote."
    raise ConfigError(f"{path}: [model] backbone = {backbone!r} is neither a shipped network nor a file. {hint}")


def _with_pairs(section: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if name == "k_of_n" and isinstance(value, list) else value for name, value in section.items()
    }


def _open_ends(ends: Any) -> Any:
    """TOML has no null: an end that is not a number, as "", is open."""
    if not isinstance(ends, tuple):
        return ends
    return tuple(None if isinstance(end, str) and end == "" else end for end in ends)
