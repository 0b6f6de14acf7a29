"""Vibration of a pump that cavitates or whose impeller is damaged.

    vane passes --> collapsing bubbles: many random impulses, more of them as a vane passes
    shaft angle --> vane pass with sidebands at the speed

G. Mousmoulis et al., on cavitation and the passing of blades in vibration, Applied Acoustics 182:108289, 2021,
doi:10.1016/j.apacoust.2021.108289.
A. Albraik, F. Althobiani, F. Gu, A. Ball, "Diagnosis of centrifugal pump faults using vibration methods", Journal of
Physics: Conference Series 364:012139, 2012, doi:10.1088/1742-6596/364/1/012139.
"""

import numpy as np

from datasets.vibration.excitation import Excitation, slow, tones


def cavitation(rng, machine, run, severity, *, rate=None, by_vane=None):
    """Return random impulses; their number follows the vanes and, less, the shaft, and comes in bursts.

    `rate` is the largest number of bubbles a sample, 0.03 to 0.5, `by_vane` how deeply the vanes modulate it.
    """
    n_total = len(run.time)
    rate = np.exp(rng.uniform(np.log(0.03), np.log(0.5))) if rate is None else rate
    n = rng.poisson(rate * n_total) + 20
    instants = rng.uniform(0.0, n_total, n)
    place = instants.astype(int)
    by_vane = rng.uniform(0.1, 0.9) if by_vane is None else by_vane
    by_turn = rng.uniform(0.0, 0.4)
    often = 1.0 + by_vane * run.line(machine.vanes, phase=rng.random()) + by_turn * run.line(1.0, phase=rng.random())
    often = np.maximum(often, 0.0) * np.exp(rng.uniform(0.0, 0.5) * slow(rng, n_total, knots=16))
    areas = rng.exponential(1.0, n) * rng.choice([-1.0, 1.0], n) * (rng.random(n) * often.max() < often[place])
    return Excitation(instants, areas, spread=(0.3, 1.0))


def vane(rng, machine, run, severity):
    """Return the vane pass and its harmonics with sidebands at the speed, and the speed itself."""
    harmonics = machine.vanes * np.arange(1.0, 4.0)
    sides = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    order = np.append((harmonics[:, None] + sides).ravel(), [1.0, 2.0])
    weights = np.array([0.2, 0.7, 1.0, 0.7, 0.2]) * rng.uniform(0.4, 1.0, (3, 5)) / np.arange(1.0, 4.0)[:, None]
    size = np.append(weights.ravel(), rng.uniform(0.2, 1.0, 2) * [1.0, 0.4])
    return Excitation(motion=tones(machine, run, order, 0.0, size, rng.random(len(order))), spread=(0.3, 1.0))
