"""One run of a machine: how its shaft turns while it is recorded.

mean speed, wander --> angle of the shaft at every sample (turns) --> instants of what happens at given angles
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

CYCLES = (0.2, 3.0)  # slow changes of speed in one record


@dataclass(frozen=True)
class Run:
    """Operating point and shaft angle of one record.

    Attributes
    ----------
    rpm : float
        Mean speed at the record's start, 1/min.
    load : float
        Share of the rated load.
    time : ndarray of shape (n_total,)
        Time, s. The first `n_total - n_samples` samples only let the structure settle.
    turns : ndarray of shape (n_total,)
        Angle of the shaft, turns.
    n_samples : int
        Samples that are kept, the last ones.
    slip : float
        Slip of the bearing's cage, a share.
    """

    rpm: float
    load: float
    time: np.ndarray
    turns: np.ndarray
    n_samples: int
    slip: float = 0.0

    @classmethod
    def draw(cls, rng, *, rpm, load, wander, sampling_rate, n_total, n_samples, slip=0.0):
        """Return a run whose speed departs from `rpm` by a share of about `wander`, in two slow cycles."""
        time = np.arange(n_total) / sampling_rate
        turns = time.copy()
        if wander > 0:
            pulsation = 2.0 * np.pi * rng.uniform(*CYCLES, 2) * sampling_rate / n_total
            share, phase = wander * rng.standard_normal(2), rng.uniform(0.0, 2.0 * np.pi, 2)
            for rate, part, start in zip(pulsation, share, phase, strict=True):
                turns += part / rate * (np.sin(rate * time + start) - np.sin(start))
        return cls(rpm, load, time, rpm / 60.0 * turns + rng.random(), n_samples, slip)

    @cached_property
    def span(self):
        """First and last angle, turns."""
        return float(self.turns[0]), float(self.turns[-1])

    def instants(self, angles):
        """Return when the shaft passes the angles (turns), in samples from the record's start, ndarray.

        Angles outside the record get instants outside it.
        """
        samples = np.arange(len(self.turns), dtype=float)
        return np.interp(angles, self.turns, samples, left=-1.0, right=len(self.turns))

    def line(self, order=0.0, frequency=0.0, phase=0.0, kept=False):
        """Return cos(2 pi (order * turns + frequency * time + phase)), float32 ndarray.

        `order` is in multiples of the shaft's speed, `frequency` in Hz, `phase` in turns. Lists give one row each.
        `kept` leaves out the samples in which the structure settles.
        """
        window = slice(-self.n_samples, None) if kept else slice(None)
        order, frequency, phase = (np.asarray(value, dtype=float)[..., None] for value in (order, frequency, phase))
        cycles = order * self.turns[window] + frequency * self.time[window] + phase
        cycles -= np.floor(cycles)
        return np.cos(np.float32(2.0 * np.pi) * cycles.astype(np.float32))
