"""Simulated vibration of rotating machines: bearings, gears, rotors, motors and pumps, healthy and faulty."""

from datasets.vibration.corpus import Samples, samples
from datasets.vibration.drive import Motor
from datasets.vibration.faults import FAULTS
from datasets.vibration.geometry import Bearing
from datasets.vibration.machine import Machine

__all__ = ["FAULTS", "Bearing", "Machine", "Motor", "Samples", "samples"]
