"""What acts on a plant from outside: hidden sources, set points, white noise. One seeded draw a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter


@dataclass
class Outside:
    """Signals of one run of `n_rows` samples."""

    sources: np.ndarray  # (n_rows, s)
    set_points: np.ndarray  # (n_rows, c)
    white: np.ndarray  # (n_rows, n) drives the coloured disturbances of the nodes
    noise: np.ndarray  # (n_rows, n) measurement noise


def coloured(rng, n_rows, pole, warm=0):
    """First-order autoregressive noise with unit variance: ``x[t] = pole x[t-1] + sqrt(1 - pole^2) e[t]``."""
    e = rng.standard_normal(n_rows + warm)
    e[0] /= np.sqrt(1 - pole**2) if pole < 1 else 1.0  # starts in its stationary distribution
    return lfilter([np.sqrt(1 - pole**2)], [1.0, -pole], e)[warm:]


def outside(rng, plant, n_rows):
    """Draw the signals that act on `plant`.

    Parameters
    ----------
    rng : numpy.random.Generator
    plant : Plant
    n_rows : int
        Samples of the run.

    Returns
    -------
    Outside
    """
    n = plant.n_nodes
    white = rng.standard_normal((n_rows, n)) * (plant.drift[1] * np.sqrt(1 - plant.drift[0] ** 2))
    noise = rng.standard_normal((n_rows, n)) * plant.noise
    return Outside(_sources(rng, plant, n_rows), _set_points(rng, plant, n_rows), white, noise)


def _sources(rng, plant, n_rows):
    out = np.empty((n_rows, plant.n_sources))
    for s, (pole, amplitude, period, steps) in enumerate(plant.sources.T):
        x = coloured(rng, n_rows, pole)
        if period:
            x = 0.4 * x + 1.3 * np.sin(2 * np.pi * (np.arange(n_rows) / period + rng.random()))
        if steps:
            x = 0.4 * x + _levels(rng, n_rows, rng.uniform(1, 6) * n_rows / 1000, 1.0)
        out[:, s] = amplitude * x
    return out


def _levels(rng, n_rows, expected, size):
    """Piecewise constant signal: a Poisson number of level changes, each new level drawn afresh."""
    x = np.zeros(n_rows)
    for at in np.sort(rng.integers(0, n_rows, rng.poisson(expected))):
        x[at:] = size * rng.standard_normal()
    return x


def _set_points(rng, plant, n_rows):
    """Set-point moves of single loops and grade changes of several at once; inner loops of cascades have none."""
    c = plant.n_loops
    out = np.zeros((n_rows, c))
    if plant.restless == 0.0:
        return out
    free = np.flatnonzero(plant.loop_parent < 0)
    for at in np.sort(rng.integers(0, n_rows, rng.poisson(plant.restless * n_rows / 1000))):
        grade = rng.random() < 0.35
        moved = free[rng.random(len(free)) < 0.6] if grade else rng.choice(free, 1)
        ramp = int(rng.integers(1, 40))
        for k in moved:
            new = rng.uniform(-2.0, 2.0)
            before = out[at, k]
            end = min(at + ramp, n_rows)
            out[at:end, k] = before + (new - before) * np.arange(1, end - at + 1) / ramp
            out[end:, k] = new
    return out
