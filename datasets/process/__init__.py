"""Simulated process plants: random networks of lags, dead times and PI loops with process and sensor faults."""

from datasets.process.corpus import FAMILIES, FAULTS, Samples, samples
from datasets.process.effects import EFFECTS
from datasets.process.faults import PROCESS_FAULTS
from datasets.process.tags import TAG_KINDS

__all__ = ["EFFECTS", "FAMILIES", "FAULTS", "PROCESS_FAULTS", "TAG_KINDS", "Samples", "samples"]
