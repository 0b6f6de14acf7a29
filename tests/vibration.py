"""What the tests of the simulated machines share: quiet machines, spectra."""

import importlib
from dataclasses import replace

import numpy as np
from scipy import signal

RATE, RPM = 20_000.0, 1_500.0
HZ = RPM / 60.0
FAULTY = ["inner", "outer", "ball", "cage", "lubrication", "gear_wear", "gear_tooth", "unbalance", "misalignment"]
FAULTY += ["looseness", "rub", "broken_bar", "eccentricity", "cavitation", "vane"]


def part(name):
    return importlib.import_module(f"datasets.vibration.{name}")


def quiet(vibration, fault=None, seed=0, **fixed):
    """A machine without tones, stray impacts, offset, clipping and change of speed: noise of unit power is left."""
    given = {"sampling_rate": RATE, "n_channels": 1, "bearing": vibration.Bearing(9, 0.22, 15.0, load_factor=0.4)}
    given |= {"wander": 0.0, "full_scale": 1e4, "bits": 40, "rpm": RPM} | fixed
    n = given["n_channels"]
    given |= {"gain": np.ones(n), "offset": np.zeros(n)}
    machine = vibration.Machine.draw(np.random.default_rng(seed), fault, **given)
    lines = replace(machine.lines, amplitude=np.zeros_like(machine.lines.amplitude))
    return replace(machine, lines=lines, noise=replace(machine.noise, impacts=0.0, foreign=0.0, modulation=()))


def record(machine, fault, snr=30.0, seconds=4.0, seed=1, **details):
    common = {"seconds": seconds, "load": 1.0, "rpm": RPM, "snr": snr}
    return machine.record(np.random.default_rng(seed), fault, 1.0, **common, **details)


def spectrum(x):
    """Orders and amplitudes of lines (a cosine of amplitude a gives a)."""
    window = signal.windows.flattop(x.shape[-1])
    return np.fft.rfftfreq(x.shape[-1], 1 / RATE) / HZ, 2 * np.abs(np.fft.rfft(x * window)) / window.sum()


def envelope_spectrum(x):
    squared = np.abs(signal.hilbert(x - x.mean())) ** 2
    return np.fft.rfftfreq(len(x), 1 / RATE) / HZ, np.abs(np.fft.rfft(squared - squared.mean()))


def at(order, orders, values, width=0.02):
    return values[np.abs(orders - order) <= width].max()


def rolling(n, ratio, angle):
    """Orders of BPFO, BPFI, BSF, FTF from surface speeds: pitch diameter 1, shaft speed 1, no sliding."""
    inner, outer = (1 - ratio * np.cos(np.radians(angle))) / 2, (1 + ratio * np.cos(np.radians(angle))) / 2
    centre = inner / 2  # half of the inner race's surface speed
    cage = centre / 0.5
    spin = cage * outer / (ratio / 2)  # against the cage, roller and outer race move alike at their contact
    return n * cage, n * (1 - cage), spin, cage
