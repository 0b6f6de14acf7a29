"""The methods of this package, by row of the table; the shipped backbones are plugged in here.

Each function returns a dict of named methods in the form that the row's protocol takes.
"""

from __future__ import annotations

from collections.abc import Callable


def zero_shot() -> dict[str, Callable]:
    """For `bearings.zero_shot`: fitted classifiers, or functions of windows to "inner", "outer", "ball"."""
    return {}


def end_to_end() -> dict[str, Callable]:
    """For `bearings.end_to_end`: random_state -> classifier of windows."""
    return {}


def on_windows() -> dict[str, Callable]:
    """For `bearings.on_windows`: random_state -> multi-label classifier of windows."""
    return {}


def on_features() -> dict[str, Callable]:
    """For `bearings.on_features`: random_state -> multi-label classifier of the 20 features."""
    return {}


def few_labels() -> dict[str, object]:
    """For `few_labels.few_labels`: a `Method` each; "network from scratch" belongs here too."""
    return {}


def tep() -> dict[str, Callable]:
    """For `process.tep_modes`: a `TepMethod` each."""
    return {}


def skab() -> dict[str, Callable]:
    """For `process.skab_groups`: a `SkabMethod` each."""
    return {}


def throughput() -> dict[str, Callable]:
    """For `throughput.throughput`: windows (n, 1, 2048) -> frozen features."""
    return {}
