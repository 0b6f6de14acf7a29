"""Every protocol of the table in one place, by row."""

from benchmarks.windows.bearings import end_to_end, on_features, on_windows, zero_shot
from benchmarks.windows.few_labels import few_labels, mean_ranks
from benchmarks.windows.process import skab_groups, tep_modes
from benchmarks.windows.throughput import throughput

__all__ = [
    "end_to_end",
    "few_labels",
    "mean_ranks",
    "on_features",
    "on_windows",
    "skab_groups",
    "tep_modes",
    "throughput",
    "zero_shot",
]
