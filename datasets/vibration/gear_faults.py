"""Vibration of a worn gear and of one with a damaged tooth.

    shaft angle --> mesh harmonics --> wear: amplitude and phase modulated by the shaft
                                   --> tooth: for a moment once a turn, with an impulse

W. Wang, "Early detection of gear tooth cracking using the resonance demodulation technique", Mechanical Systems and
Signal Processing 15(5), 2001, doi:10.1006/mssp.2001.1416 (mesh harmonics with both modulations, impulse on resonance).
"""

import numpy as np

from datasets.vibration.excitation import Excitation, tones


def wear(rng, machine, run, severity, *, depth=None, index=None):
    """Return ``sum_k A_k (1 + a cos s) cos(2 pi k z turns + b sin s + phase_k)``, s the angle of the shaft.

    `depth` is a, 0.1 to 0.9, and `index` is b, 0 to 1.5 rad; both grow with severity where they are drawn.
    """
    depth = rng.uniform(0.1, 0.3 + 0.6 * severity) if depth is None else depth
    index = rng.uniform(0.0, 1.5) * severity if index is None else index
    n = _harmonics(machine, run)
    carriers = machine.teeth * np.arange(1.0, n + 1.0)
    size, phase = rng.uniform(0.2, 1.0, n), rng.random(n)
    start = rng.random()
    # The modulated wave by its parts: cos(c + b sin s) = cos c cos(b sin s) - sin c sin(b sin s).
    swing = index * run.line(1.0, phase=start - 0.25, kept=True)
    in_phase = tones(machine, run, carriers, 0.0, size, phase)
    quadrature = tones(machine, run, carriers, 0.0, size, phase - 0.25)
    wave = in_phase * np.cos(swing) - quadrature * np.sin(swing)
    motion = wave * (1.0 + depth * run.line(1.0, phase=start + rng.uniform(-0.1, 0.1), kept=True))
    rough = rng.standard_normal(len(run.time)) * (1.0 + 0.7 * run.line(machine.teeth))
    return Excitation(force=rough, motion=motion, resonant_share=float(rng.uniform(0.0, 0.3)))


def tooth(rng, machine, run, severity):
    """Return a mesh that is disturbed over one to three teeth once a turn, and the impulse of the damaged tooth."""
    width = rng.uniform(0.5, 1.5) / machine.teeth
    place = rng.random()
    away = (run.turns[-run.n_samples :] - place + 0.5) % 1.0 - 0.5
    n = _harmonics(machine, run)
    carriers = machine.teeth * np.arange(1.0, n + 1.0)
    mesh = tones(machine, run, carriers, 0.0, rng.uniform(0.2, 1.0, n), rng.random(n))
    first, last = run.span
    where = place + np.arange(np.floor(first) - 1.0, np.ceil(last) + 1.0)
    where = where + 0.05 / machine.teeth * rng.standard_normal(len(where))
    areas = np.exp(0.15 * rng.standard_normal(len(where)))
    return Excitation(
        instants=run.instants(where),
        areas=areas,
        motion=mesh * np.exp(-0.5 * (away / width) ** 2),
        resonant_share=float(rng.uniform(0.2, 0.9)),
    )


def _harmonics(machine, run):
    """Return how many mesh harmonics, at most five, lie in the band."""
    return int(np.clip(0.46 * machine.sampling_rate / (machine.teeth * run.rpm / 60.0), 1, 5))
