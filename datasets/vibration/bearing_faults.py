"""Forces of a damaged rolling bearing.

    turns of the shaft --> passes of rollers over the damage (random slip adds up) --> load at the pass --> impulses

P. D. McFadden, J. D. Smith, "Model for the vibration produced by a single point defect in a rolling element
bearing", Journal of Sound and Vibration 96(1), 1984, doi:10.1016/0022-460X(84)90595-9.
J. Antoni, R. B. Randall, "A stochastic model for simulation and diagnostics of rolling element bearings with
localized faults", Journal of Vibration and Acoustics 125(3), 2003, doi:10.1115/1.1569940.
G. Kogan, J. Bortman, R. Klein, "A new model for spall-rolling-element interaction", Nonlinear Dynamics 87, 2017,
doi:10.1007/s11071-016-3037-1 (the two events of a pass).
"""

from dataclasses import dataclass

import numpy as np

from datasets.vibration.excitation import Excitation, slow

BPFO, BPFI, BSF, FTF = range(4)


@dataclass(frozen=True)
class Damage:
    """What is random about one damage, apart from its impacts.

    Attributes
    ----------
    distributed : bool
        Rough area with random micro-impacts instead of one edge.
    jitter : float
        Standard deviation of the slip from one pass to the next, a share of the spacing of passes.
    position : float
        Angle of the damage, or of the damaged roller, from the load zone's middle at the record's start, turns.
    extent : float
        Length of the damage, a share of the spacing of rollers.
    exit : float
        Impulse on leaving the damage, relative to that on entering it.
    scatter : float
        Standard deviation of the logarithm of the impulses.
    rotating_load : float
        Share of the load that turns with the shaft (unbalance).
    second_race : float
        Damaged roller: impulses on the inner race relative to those on the outer race.
    presence : float
        Damaged roller: share of its hits that the wandering spin axis leaves over.
    """

    distributed: bool
    jitter: float
    position: float
    extent: float
    exit: float
    scatter: float
    rotating_load: float
    second_race: float
    presence: float

    @classmethod
    def draw(cls, rng, fault, severity, **fixed):
        """Return random damage; a severer one is longer. Keywords replace what is drawn."""
        # A raceway is damaged where it carries load; the other damages travel through the load zone.
        position = rng.normal(0.0, 0.08) if fault == "outer" and rng.random() < 0.8 else rng.random()
        both_races = rng.random() < 0.6
        drawn = {
            "distributed": bool(rng.random() < 0.3),
            "jitter": float(np.exp(rng.uniform(np.log(0.001), np.log(0.02)))),
            "position": float(position),
            "extent": float(rng.uniform(0.02, 0.3) * severity),
            "exit": float(rng.uniform(0.3, 1.5)),
            "scatter": float(rng.uniform(0.05, 0.3)),
            "rotating_load": float(rng.uniform(0.0, 0.4) * (rng.random() < 0.5)),
            "second_race": float(rng.uniform(0.3, 1.0) if both_races else rng.uniform(0.0, 0.3)),
            "presence": float(rng.uniform(0.1, 1.0)),
        }
        return cls(**{**drawn, **fixed})


def passes(rng, order, jitter, turns):
    """Return where rollers meet the damage, turns of the shaft, ndarray of shape (n_passes,).

    Each spacing is ``(1 + jitter * normal) / order``; the deviations add up, so no pass remembers the phase of
    the first (Antoni & Randall 2003).
    """
    first, last = turns
    n = int(np.ceil((last - first) * order * (1.0 + 4.0 * jitter))) + 4
    spacing = np.maximum(1.0 + jitter * rng.standard_normal(n), 0.1)
    return first + (np.cumsum(spacing) - rng.random()) / order


def wandering(rng, n, share, memory):
    """Return which of n hits a slowly wandering spin axis leaves over: about n * share, ndarray of bool."""
    if n == 0 or share >= 1.0:
        return np.ones(n, dtype=bool)
    knots = rng.standard_normal(int(n / memory) + 3)
    places = np.arange(n) / memory + rng.random()
    slow = np.interp(places, np.arange(len(knots)), knots) + 0.3 * rng.standard_normal(n)
    return slow >= np.quantile(slow, 1.0 - share)


def spread(rng, where, weight, damage, spacing):
    """Return impulses (turns, areas) of every pass: entry and exit, or a burst over a rough area."""
    length = max(damage.extent, 0.01) * spacing
    if damage.distributed:
        n = 12
        length = max(length, 0.15 * spacing)
        where = where[:, None] + length * rng.random((len(where), n))
        return where.ravel(), (weight[:, None] * rng.standard_normal(where.shape) / np.sqrt(n)).ravel()
    return np.concatenate([where, where + length]), np.concatenate([weight, -damage.exit * weight])


def impacts(rng, fault, bearing, damage, slip, turns):
    """Return the impulses of a fault: where (turns of the shaft) and how strong, two ndarrays of one length.

    Parameters
    ----------
    rng : Generator
    fault : {"inner", "outer", "ball", "cage"}
    bearing : Bearing
    damage : Damage
    slip : float
        Cage slip of this record.
    turns : tuple of float
        First and last angle of the shaft, turns.
    """
    orders = bearing.orders(slip)
    order = {"inner": orders[BPFI], "outer": orders[BPFO], "ball": 2.0 * orders[BSF], "cage": orders[FTF]}[fault]
    where = passes(rng, order, damage.jitter, turns)
    weight = np.exp(damage.scatter * rng.standard_normal(len(where)))
    turning = 1.0 + damage.rotating_load * np.cos(2.0 * np.pi * (where + damage.position))
    if fault == "inner":  # the damage turns with the shaft through the load zone
        weight *= bearing.load(where + damage.position) * (1.0 + damage.rotating_load)
    elif fault == "outer":  # the damage stands still; outside the load zone rollers still touch it, lightly
        weight *= max(float(bearing.load(damage.position)), 0.05) * turning
    elif fault == "ball":  # it travels with the cage and meets the two races in turn
        weight *= bearing.load(orders[FTF] * where + damage.position)
        weight[1::2] *= damage.second_race
        memory = max(4.0, 2.0 * orders[BSF] / orders[FTF])  # one turn of the cage
        weight *= wandering(rng, len(where), damage.presence, memory)
    spacing = 1.0 / (orders[BPFO] if fault in ("ball", "cage") else order)
    return spread(rng, where, weight, damage, spacing)


def lubrication(rng, machine, run, severity):
    """Return what metal on metal makes: broadband noise in uneven bursts that no part of the geometry orders."""
    n_total = len(run.time)
    bursts = np.exp(rng.uniform(0.1, 0.9) * slow(rng, n_total, knots=int(rng.integers(10, 80))))
    force = rng.standard_normal(n_total) * bursts
    n = rng.poisson(rng.uniform(0.0, 0.02) * n_total) + 1
    return Excitation(rng.uniform(0.0, n_total, n), rng.exponential(1.0, n) * rng.choice([-1.0, 1.0], n), force)
