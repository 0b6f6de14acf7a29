"""Simulated Tennessee Eastman process: four operating modes of one plant, normal and faulty runs."""

from datasets.tep.columns import INPUT_NAMES, LABELS, UNITS
from datasets.tep.loader import load_tep

__all__ = ["INPUT_NAMES", "LABELS", "UNITS", "load_tep"]
