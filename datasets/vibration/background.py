"""What a healthy machine shows: lines of its parts, coloured noise, impacts that belong to no fault.

Lines: shaft, gear mesh, vanes, line frequency, foreign tones     Noise: colour, structure, sensor     Impacts
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lines:
    """Spectral lines of a healthy machine, relative to its noise of unit power.

    Attributes
    ----------
    order, frequency : ndarray of shape (n_lines,)
        A line lies at ``order * speed + frequency`` (frequency in Hz).
    amplitude : ndarray of shape (n_channels, n_lines)
        Peak values.
    phase : ndarray of shape (n_lines,)
        Turns.
    """

    order: np.ndarray
    frequency: np.ndarray
    amplitude: np.ndarray
    phase: np.ndarray

    @classmethod
    def draw(cls, rng, machine):
        """Return the lines of a machine's shaft, gear, vanes, motor, and up to three of its surroundings."""
        order, frequency, size = [1.0, 2.0, 3.0], [0.0] * 3, list(_level(rng, 0.02, 1.0) * np.array([1.0, 0.4, 0.2]))

        def add(orders, frequencies, sizes):
            order.extend(orders)
            frequency.extend(frequencies)
            size.extend(sizes)

        if machine.teeth:
            mesh, ripple = _level(rng, 0.05, 1.5), rng.uniform(0.0, 0.15)
            falling = mesh * rng.uniform(0.2, 1.0, 3) * np.array([1.0, 0.7, 0.4])
            add([machine.teeth * (k + 1.0) for k in range(3)], [0.0] * 3, falling)
            add([machine.teeth - 1.0, machine.teeth + 1.0], [0.0] * 2, [ripple * falling[0]] * 2)
        if machine.vanes:
            add([machine.vanes, 2.0 * machine.vanes], [0.0] * 2, _level(rng, 0.03, 0.8) * np.array([1.0, 0.3]))
        if machine.motor:
            add([0.0], [2.0 * machine.motor.line], [_level(rng, 0.02, 0.5)])
        n_tones = int(rng.integers(0, 4))
        add([0.0] * n_tones, rng.uniform(0.01, 0.45, n_tones) * machine.sampling_rate, _level(rng, 0.02, 0.6, n_tones))
        order, frequency, size = np.array(order), np.array(frequency), np.array(size)
        # Above half the sampling rate the anti-alias filter removes a line.
        size = size * (order * machine.rpm / 60.0 + frequency < 0.46 * machine.sampling_rate)
        amplitude = size * rng.uniform(0.3, 1.0, (machine.n_channels, len(size)))
        return cls(order, frequency, amplitude, rng.random(len(size)))

    def signal(self, rng, run, speed_ratio):
        """Return the lines of a run, ndarray of shape (n_channels, n_samples).

        What turns grows as the square of the speed (unbalance force); each line varies by about 10 % between runs.
        """
        growth = np.where(self.order > 0, speed_ratio**2, 1.0) * (1.0 + 0.1 * rng.standard_normal(len(self.order)))
        growth[self.order >= 4] *= 0.6 + 0.4 * run.load  # meshing and flow grow with load
        shown = self.amplitude.any(axis=0)
        waves = run.line(self.order[shown], self.frequency[shown], self.phase[shown], kept=True)
        # Not a BLAS product: those start threads, and their sums depend on the number of threads.
        return np.einsum("cl,ln->cn", (self.amplitude * growth)[:, shown], waves)


@dataclass(frozen=True)
class Noise:
    """Broadband noise of a healthy machine, and impacts that no part of it explains.

    Attributes
    ----------
    slope : float
        Power falls as ``frequency ** -slope``.
    structural, floor : float
        Shares of the power that come through the structure's resonances and from the sensor.
    modulation : tuple of (float, float)
        Depth and phase (turns) of its modulation by the first multiples of `modulation_order`: vanes, the load of a
        gear and a shaft that is not quite straight modulate the noise of every machine, healthy or not.
    modulation_order : float
        What modulates it, multiples of the shaft's speed.
    impacts : float
        Random impacts in 1000 samples.
    foreign : float
        Rate of another machine's impacts, Hz; 0 for none.
    impact_level : float
        Power of the impacts by that of the noise.
    """

    slope: float
    structural: float
    floor: float
    modulation: tuple[tuple[float, float], ...]
    modulation_order: float
    impacts: float
    foreign: float
    impact_level: float

    @classmethod
    def draw(cls, rng, machine):
        """Return random noise; most machines have no impacts."""
        structural, floor = rng.uniform(0.0, 0.7), rng.uniform(0.0, 0.25)
        foreign = rng.uniform(0.7, 12.0) * machine.rpm / 60.0
        return cls(
            slope=float(rng.uniform(-0.3, 1.5)),
            structural=float(structural),
            floor=float(floor),
            modulation=tuple(zip(0.6 * rng.random() * rng.random(4) ** 2, rng.random(4), strict=True))
            if rng.random() < 0.6
            else (),
            modulation_order=float(machine.vanes if machine.vanes and rng.random() < 0.5 else 1.0),
            impacts=float(rng.uniform(0.1, 2.0) * (rng.random() < 0.2)),
            foreign=float(foreign * (rng.random() < 0.1)),
            impact_level=float(_level(rng, 0.03, 1.0)),
        )

    def shape(self, frequency, structure):
        """Return the amplitude spectrum of unit-power noise, ndarray of shape (n_channels, n_frequencies)."""
        low = frequency[-1] / 200.0
        colour = np.maximum(frequency, low) ** -self.slope
        resonant = np.abs(structure) ** 2
        power = (1.0 - self.structural) * (1.0 - self.floor) * colour / colour.mean()
        power = power + self.structural * (1.0 - self.floor) * resonant / resonant.mean(axis=1, keepdims=True)
        power = power + self.floor
        power[:, 0] = 0.0
        return np.sqrt(power / power.mean(axis=1, keepdims=True))

    def modulate(self, noise, run):
        """Return the noise with its slow modulation, ndarray of shape (n_channels, n_samples)."""
        gain = 1.0
        for multiple, (depth, phase) in enumerate(self.modulation, start=1):
            gain = gain + depth * run.line(multiple * self.modulation_order, phase=phase, kept=True)
        return noise * gain

    def stray(self, rng, run, sampling_rate):
        """Return instants (samples) and areas of impacts that belong to no fault, or None."""
        n_total = len(run.time)
        n = rng.poisson(self.impacts * n_total / 1000.0) if self.impacts else 0
        instants, areas = rng.uniform(0, n_total, n), rng.exponential(1.0, n) * rng.choice([-1.0, 1.0], n)
        if self.foreign:
            every = sampling_rate / self.foreign
            foreign = np.arange(rng.uniform(0, every), n_total, every)
            instants = np.concatenate([instants, foreign])
            areas = np.concatenate([areas, np.exp(0.2 * rng.standard_normal(len(foreign)))])
        return (instants, areas) if len(instants) else None


def _level(rng, low, high, n=None):
    """Return a log-uniform number, or n of them."""
    return np.exp(rng.uniform(np.log(low), np.log(high), n))
