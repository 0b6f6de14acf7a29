"""Many windows of many machines.

seed, index --> machine, fault, severity, operating point --> window, and healthy windows of the same machine
"""

from dataclasses import dataclass, fields

import numpy as np

from datasets.vibration.drive import RATES
from datasets.vibration.faults import FAULTS
from datasets.vibration.machine import Machine

SEVERITIES = (0.15, 1.0)
RPM_ERROR = 0.01  # largest error of the measured speed


@dataclass(frozen=True)
class Samples:
    """Windows, what is known of them, and healthy windows of the same machines.

    Attributes
    ----------
    windows : float32 ndarray of shape (n, n_channels, length)
        Acceleration.
    reference : float32 ndarray of shape (n, n_references, n_channels, length)
        Healthy windows of the same machine with other noise, load and speed.
    fault : ndarray of str of shape (n,)
        Keys of `FAULTS`.
    severity : ndarray of shape (n,)
        0 (healthy) to 1.
    channel : ndarray of int of shape (n,)
        Channel next to the fault, -1 for healthy windows.
    rpm : ndarray of shape (n,)
        Measured speed, 1/min: up to 1 % off.
    reference_rpm : ndarray of shape (n, n_references)
        Measured speed of the references, 1/min.
    orders : ndarray of shape (n, 4)
        BPFO, BPFI, BSF, FTF of the catalogue, multiples of the shaft's speed; the record's own differ by slip.
    sampling_rate : ndarray of shape (n,)
        Hz.
    index : ndarray of int of shape (n,)
        Number of the sample in the corpus.
    """

    windows: np.ndarray
    reference: np.ndarray
    fault: np.ndarray
    severity: np.ndarray
    channel: np.ndarray
    rpm: np.ndarray
    reference_rpm: np.ndarray
    orders: np.ndarray
    sampling_rate: np.ndarray
    index: np.ndarray

    def __len__(self):
        return len(self.windows)

    @classmethod
    def concatenate(cls, parts):
        """Return several pieces of a corpus as one."""
        parts = list(parts)
        return cls(*(np.concatenate([getattr(part, entry.name) for part in parts]) for entry in fields(cls)))


def samples(
    n, seed, length=4096, *, faults=None, start=0, n_channels=1, n_references=2, sampling_rate=None, low_rate=0.0,
    min_turns=2.0, **machine,
):  # fmt: skip
    """Return windows of random machines, each with healthy windows of the same machine.

    Sample i depends on the seed, i and the other arguments only, so a corpus can be made in pieces and in parallel:
    ``samples(100, 0)`` is ``samples(60, 0)`` followed by ``samples(40, 0, start=60)``.

    Parameters
    ----------
    n : int
        Number of samples.
    seed : int or Generator
        Seed of the corpus. A generator gives one (and moves on).
    length : int
        Window length, samples.
    faults : list of str, dict of str to float, or None
        What may be drawn, with equal or given weights; all of `FAULTS` where None.
    start : int
        Number of the first sample.
    n_channels : int
        Channels of every window.
    n_references : int
        Healthy windows of the same machine, 0 to 4.
    sampling_rate : float or None
        Hz; drawn for each sample where None.
    low_rate : float
        Share of samples at 50 to 1000 Hz, among the faults that such a sensor can show.
    min_turns : float
        Least number of turns of the shaft in a window, where rate and speed leave the choice.
    **machine
        Attributes of every `Machine`.

    Returns
    -------
    Samples
    """
    names, shares = _weights(faults)
    if isinstance(seed, np.random.Generator):
        seed = int(seed.integers(2**63))
    if sampling_rate is not None:
        machine["sampling_rate"] = float(sampling_rate)
        low_rate = float(sampling_rate < RATES[0])
    machine |= {"n_channels": n_channels, "per_turn": length / min_turns}
    out = _empty(n, start, n_channels, n_references, length, names)
    for row in range(n):
        sequence = np.random.SeedSequence(seed, spawn_key=(start + row,))
        rng = np.random.Generator(np.random.SFC64(sequence))
        fault = names[int(np.searchsorted(np.cumsum(shares), rng.random(), side="right").clip(0, len(names) - 1))]
        slow = FAULTS[fault].low_rate and rng.random() < low_rate
        _fill(out, row, rng, fault, Machine.draw(rng, fault, low_rate=slow, **machine))
    return out


def _fill(out, row, rng, fault, machine):
    """Write one sample."""
    length = out.windows.shape[-1]
    healthy = fault == "healthy"
    severity = 0.0 if healthy else float(rng.uniform(*SEVERITIES))
    channel = int(rng.integers(machine.n_channels))
    out.fault[row], out.severity[row], out.channel[row] = fault, severity, -1 if healthy else channel
    out.orders[row], out.sampling_rate[row] = machine.bearing.orders(), machine.sampling_rate
    out.windows[row], out.rpm[row] = _window(rng, machine, length, fault, severity, channel)
    for place in range(out.reference.shape[1]):
        out.reference[row, place], out.reference_rpm[row, place] = _window(rng, machine, length, "healthy", 0.0, 0)


def _window(rng, machine, length, fault, severity, channel):
    """Return a window and its measured speed."""
    load = float(rng.uniform(0.2, 1.0))
    rpm = machine.running_speed(rng, load)
    window = machine.record(rng, fault, severity, n_samples=length, load=load, rpm=rpm, channel=channel)
    error = np.clip(rng.normal(0.0, 0.3 * RPM_ERROR), -RPM_ERROR, RPM_ERROR)
    return window, rpm * (1.0 + error)


def _weights(faults):
    """Return names and shares of the faults that may be drawn."""
    weights = dict(faults) if isinstance(faults, dict) else dict.fromkeys(faults or FAULTS, 1.0)
    unknown = sorted(set(weights) - set(FAULTS))
    if unknown:
        raise ValueError(f"samples got faults {unknown}; known are {list(FAULTS)}.")
    shares = np.array(list(weights.values()), dtype=float)
    if not shares.sum() > 0 or (shares < 0).any():
        raise ValueError("samples needs weights of faults that are not negative and not all zero.")
    return list(weights), shares / shares.sum()


def _empty(n, start, n_channels, n_references, length, names):
    return Samples(
        windows=np.empty((n, n_channels, length), dtype=np.float32),
        reference=np.empty((n, n_references, n_channels, length), dtype=np.float32),
        fault=np.empty(n, dtype=f"<U{max(map(len, FAULTS))}"),
        severity=np.empty(n),
        channel=np.empty(n, dtype=int),
        rpm=np.empty(n),
        reference_rpm=np.empty((n, n_references)),
        orders=np.empty((n, 4)),
        sampling_rate=np.empty(n),
        index=np.arange(start, start + n),
    )
