"""Tuning of PI loops: SIMC rules with a random closed-loop time, and the gain margin of what comes out."""

from __future__ import annotations

import numpy as np

_GRID = np.geomspace(1e-3, np.pi, 400)  # rad a sample


def log_uniform(rng, low, high, size=None):
    """Numbers whose logarithm is uniform between those of `low` and `high`."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def tune(rng, plant, gain):
    """Tune each loop by SIMC rules (Skogestad 2003) with a random closed-loop time, tight or sluggish.

    ``Kc = tau / (K (tau_c + theta))``, ``Ti = min(tau, 4 (tau_c + theta))`` with the effective dead time ``theta``
    = dead time + half the second lag + one sample. doi:10.1016/S0959-1524(02)00062-8. ``tau_c`` is raised until ``Kc``
    times the measurement noise is 0.05 .. 1, as an operator would who doesn't want the valve to wear out.
    """
    c = plant.n_loops
    tau, theta = np.zeros(c), np.zeros(c)
    closed = np.zeros(c)
    ratio = np.where(rng.random(c) < 0.67, rng.uniform(0.5, 1.8, c), log_uniform(rng, 2.5, 10.0, c))
    kick = log_uniform(rng, 0.05, 1.0, c)
    order = np.argsort(1 - plant.loop_actuator, kind="stable")  # inner loops before those that move them
    for k in order:
        j = plant.loop_node[k]
        tau[k] = max(plant.tau[0, j] + plant.tau[1, j] / 2, 0.5)
        theta[k] = plant.delay[j] + plant.tau[1, j] / 2 + 1.0
        inner = np.flatnonzero(plant.loop_parent == k)
        if len(inner):
            theta[k] += 1.0 + closed[inner[0]] + theta[inner[0]]
        calm = tau[k] * plant.noise[j] / (abs(gain[k]) * kick[k]) - theta[k]
        closed[k] = max(ratio[k] * theta[k], calm)
    plant.kc = tau / (gain * (closed + theta))
    plant.ti = np.minimum(tau, 4 * (closed + theta))
    plant.loop_model = np.array([gain, tau, theta])


def unsettle(rng, plant, share=0.18):
    """Raise the gain of a share of the loops until they ring (gain margin 1.2 .. 1.8); note each loop's margin.

    Inner loops come first, since their tuning is part of the loops around them.
    """
    plant.margin = np.zeros(plant.n_loops)
    rings = rng.random(plant.n_loops) < share
    wanted = rng.uniform(1.2, 1.8, plant.n_loops)
    for k in np.argsort(1 - plant.loop_actuator, kind="stable"):
        margin = gain_margin(plant, k)
        factor = margin / wanted[k] if rings[k] or margin < wanted[k] else 1.0
        loudest = 1.5 / (abs(plant.kc[k]) * plant.noise[plant.loop_node[k]])
        factor = min(factor, max(loudest, 1.0))  # not by noise from limit to limit
        plant.kc[k] *= factor
        plant.margin[k] = margin / factor


def gain_margin(plant, k):
    """Factor on the gain of loop `k` from which on it oscillates for ever, without limits and other loops.

    The smallest ``1 / |L|`` where the open loop ``L(e^{i w})`` of the simulated difference equations crosses the
    negative real axis.
    """
    crossing = open_loop(plant, k, np.exp(1j * _GRID))
    real, imaginary = crossing.real, crossing.imag
    at = np.flatnonzero(imaginary[:-1] * imaginary[1:] < 0)
    share = imaginary[at] / (imaginary[at] - imaginary[at + 1])
    real = np.append(real[at] + share * (real[at + 1] - real[at]), real[-1])  # at w = pi it is real anyway
    return 1.0 / max(-real.min(), 1e-9)


def open_loop(plant, k, z):
    """Transfer function from the control error of loop `k` back to its measurement, at complex `z`."""
    j = plant.loop_node[k]
    path = z ** (-1.0 - plant.delay[j])
    for tau in plant.tau[:, j]:
        a = np.exp(-1.0 / tau) if tau > 0 else 0.0
        path = path * (1 - a) / (1 - a / z)
    controller = plant.kc[k] * (1 + 1 / (plant.ti[k] * (z - 1)))
    inner = np.flatnonzero(plant.loop_parent == k)
    if len(inner):  # the output moves the set point of that loop one sample later
        inside = open_loop(plant, inner[0], z)
        path = path / z * inside / (1 + inside)
    return plant.loop_model[0, k] * controller * path
