"""Simulated vibration of rotating machines: bearings, gears, rotors, motors and pumps, healthy and faulty."""

from datasets.vibration.corpus import Samples, samples
from datasets.vibration.faults import FAULTS
from datasets.vibration.geometry import Bearing
from datasets.vibration.machine import Machine, Motor

__all__ = ["FAULTS", "Bearing", "Machine", "Motor", "Samples", "samples"]
