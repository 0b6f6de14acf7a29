"""Tasks with few labels on which methods may be chosen: none of their rows is scored by the table.

Simulated machines (healthy and two faults at three sizes, at two speeds), the fan at four speeds that the table leaves
out, CWRU from load to load (kind and size of the fault), Motor 1 with two classes that the table leaves out, from low
to high frequency of the supply.
"""

from __future__ import annotations

import dataclasses
from itertools import permutations
from pathlib import Path

import numpy as np

from benchmarks.windows.loaders import WindowSet, cwru, fan, gather, motors
from datasets.vibration.machine import Machine

PAIRS = (
    ("inner", "outer"),
    ("inner", "ball"),
    ("outer", "ball"),
    ("unbalance", "misalignment"),
    ("outer", "looseness"),
    ("inner", "rub"),
)
SIZES = (0.25, 0.5, 1.0)
N_MACHINES, N_WINDOWS, LENGTH = 12, 16, 4096
SEED = 20_261_122  # not that of the corpus
FAN_SPEEDS = (25, 45, 65, 85)
MOTOR_CLASSES = ("bearing_moderate", "bearing_not_rolling")
MIDDLE_HZ = 37.0  # between low and high frequency of the supply


def simulated(standardized: bool) -> dict[str, tuple[WindowSet, WindowSet]]:
    """Each machine from one speed to another and back; a recording a class and speed, of the same damage."""
    found = {}
    for number in range(N_MACHINES):
        rng = np.random.default_rng([SEED, number])
        faults = PAIRS[number % len(PAIRS)]
        fixed = {"rpm": float(rng.uniform(1000, 2400)), "fault_level": float(rng.uniform(5, 20)), "motor": None}
        rate = float(rng.choice([12_000, 25_600, 51_200]))
        machine = Machine.draw(rng, faults[0], sampling_rate=rate, n_channels=int(rng.integers(1, 3)), **fixed)
        slow = machine.rpm * rng.uniform(0.5, 0.75)
        classes = [("healthy", 0.0), *((fault, size) for fault in faults for size in SIZES)]
        recordings = [
            _recording(machine, number, place, *of, speed)
            for place, of in enumerate(classes)
            for speed in (machine.rpm, slow)
        ]
        windows = gather(recordings, LENGTH, None, rate)
        windows = windows.standardized() if standardized else windows
        fast = windows.info["rpm"].to_numpy() == machine.rpm
        name = "simulated, standardised" if standardized else "simulated"
        found |= {
            f"{name} {number} {end}": (windows[a], windows[~a]) for end, a in (("slower", fast), ("faster", ~fast))
        }
    return found


def _recording(machine: Machine, number: int, place: int, fault: str, size: float, speed: float) -> tuple:
    rng = np.random.default_rng([SEED, number, place])  # the same at both speeds
    signal = machine.record(rng, fault, size, n_samples=LENGTH * N_WINDOWS, load=0.6, rpm=speed)
    known = {"rpm": speed, "orders": tuple(machine.bearing.orders())}
    return f"{fault} {size} {speed:.0f}", signal, f"{fault} {size}", known


def development_tasks(folder: Path) -> dict[str, tuple[WindowSet, WindowSet]]:
    """Source and target of each task; the set is what its name begins with, up to a number."""
    found = simulated(standardized=True) | simulated(standardized=False)
    blades = fan(folder)
    speed = blades.info["domain"].to_numpy()
    for source, target in permutations(FAN_SPEEDS, 2):
        found[f"fan {source} -> {target}"] = (blades[speed == source], blades[speed == target])
    for end in ("DE", "FE"):
        data = cwru(folder, LENGTH, ends=end)
        sizes = np.array([f"{kind} {size}" for kind, size in zip(data.y, data.info["size"], strict=True)])
        data = dataclasses.replace(data, y=sizes).standardized()
        load = data.info["load"].to_numpy()
        for source, target in ((0, 3), (3, 0), (1, 3), (3, 1)):
            found[f"CWRU {end} {source} -> {target}"] = (data[load == source], data[load == target])
    motor = motors(folder, classes=MOTOR_CLASSES)
    motor = motor[motor.info["domain"].to_numpy() == "Motor_1"]
    low = motor.info["supply_hz"].to_numpy() < MIDDLE_HZ
    return found | {"motor 0 up": (motor[low], motor[~low]), "motor 0 down": (motor[~low], motor[low])}
