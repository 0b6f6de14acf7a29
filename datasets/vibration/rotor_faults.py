"""Vibration of a rotor that is out of balance, out of line, loose or rubbing.

    shaft angle --> lines at multiples and simple fractions of the speed (+ impulses or scraping once a turn)

K. Prabith, I. R. Praveen Krishna, "The numerical modeling of rotor-stator rubbing in rotating machinery: a
comprehensive review", Nonlinear Dynamics, 2020, doi:10.1007/s11071-020-05832-y.
A. Muszynska, "Rotordynamics", CRC Press, 2005, doi:10.1201/9781420027792.
"""

import numpy as np

from datasets.vibration.excitation import Excitation, slow, tones

SPREAD = (0.3, 1.0)  # the whole rotor moves: other channels see it too


def unbalance(rng, machine, run, severity):
    """Return a line at the speed, in phase with the healthy machine's own."""
    return Excitation(motion=tones(machine, run, 1.0, 0.0, 1.0, machine.lines.phase[0]), spread=SPREAD)


def misalignment(rng, machine, run, severity):
    """Return lines at one to four times the speed, the second the strongest more often than not."""
    size = np.array([rng.uniform(0.2, 1.2), 1.0, rng.uniform(0.1, 0.7), rng.uniform(0.0, 0.3)])
    return Excitation(motion=tones(machine, run, np.arange(1.0, 5.0), 0.0, size, rng.random(4)), spread=SPREAD)


def looseness(rng, machine, run, severity):
    """Return many harmonics of the speed, half orders in two of three cases, unsteady, with knocks once a turn."""
    orders = np.arange(1.0, rng.integers(6, 13))
    size = orders ** -rng.uniform(0.2, 1.0) * rng.uniform(0.3, 1.0, len(orders))
    if rng.random() < 2.0 / 3.0:
        halves = np.arange(0.5, 5.0)
        orders, size = np.append(orders, halves), np.append(size, rng.uniform(0.1, 0.7, len(halves)))
    motion = tones(machine, run, orders, 0.0, size, rng.random(len(orders)))
    motion = motion * (1.0 + rng.uniform(0.1, 0.5) * slow(rng, run.n_samples))
    instants, areas = _knocks(rng, run, every=1.0, scatter=0.5, unsteady=0.03)
    return Excitation(instants, areas, motion=motion, resonant_share=float(rng.uniform(0.0, 0.4)), spread=SPREAD)


def rub(rng, machine, run, severity, *, part=None):
    """Return a flattened orbit, fractions of the speed, and scraping over a part of each turn.

    A light rub shows multiples of half the speed, a hard one of a half or a third; `part` is 2 or 3.
    """
    whole = np.arange(1.0, 7.0)
    size = whole ** -rng.uniform(0.5, 1.5) * rng.uniform(0.5, 1.0, len(whole))
    part = part or (rng.choice([2.0, 3.0]) if severity > 0.5 else 2.0)
    fractions = np.arange(1.0, 3.0 * part) / part
    fractions = fractions[fractions % 1.0 > 0]
    sizes = rng.uniform(0.1, 0.3 + 0.6 * severity, len(fractions)) / fractions**0.5
    orders = np.append(whole, fractions)
    motion = tones(machine, run, orders, 0.0, np.append(size, sizes), rng.random(len(orders)))
    width = rng.uniform(0.03, 0.2)
    away = (run.turns + rng.random() + 0.5) % 1.0 - 0.5
    scraping = rng.standard_normal(len(run.turns)) * np.exp(-0.5 * (away / width) ** 2)
    return Excitation(force=scraping, motion=motion, resonant_share=float(rng.uniform(0.2, 0.9)), spread=SPREAD)


def _knocks(rng, run, every, scatter, unsteady):
    """Return instants (samples) and areas of impulses at a spacing in turns."""
    first, last = run.span
    where = np.arange(first + rng.random() * every, last, every)
    where = where + unsteady * every * rng.standard_normal(len(where))
    return run.instants(where), np.exp(scatter * rng.standard_normal(len(where)))
