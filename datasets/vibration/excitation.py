"""What a fault adds to a machine, before the structure has filtered it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Excitation:
    """Forces that pass through the structure and vibration that does not need to.

    Attributes
    ----------
    instants, areas : ndarray of shape (n_impulses,) or None
        Impulses: when (samples from the start of the run) and how strong.
    force : ndarray of shape (n_total,) or None
        Force at every sample of the run.
    motion : ndarray of shape (n_samples,) or None
        Acceleration that every channel sees as it is: lines, mostly far below the resonances.
    resonant_share : float
        Where there is motion too: share of the power that comes through the structure.
    spread : tuple of float
        How much of the amplitude, relative to its noise, a channel far from the fault sees: lowest and highest share.
    """

    instants: np.ndarray | None = None
    areas: np.ndarray | None = None
    force: np.ndarray | None = None
    motion: np.ndarray | None = None
    resonant_share: float = 0.5
    spread: tuple = (0.15, 0.8)


def unit(signal):
    """Return the rows of a signal scaled to unit power; rows of zeros stay zero."""
    power = np.sqrt(np.mean(np.square(signal), axis=-1, keepdims=True))
    return signal / np.where(power > 0, power, 1.0)


def tones(machine, run, order, frequency, size, phase, kept=True):
    """Return a sum of lines, ndarray of shape (n_samples,), or (n_total,) where not `kept`.

    Lines above 0.48 of the sampling rate are left out, as an anti-alias filter does.

    Parameters
    ----------
    machine : Machine
    run : Run
    order, frequency, size, phase : array-like of shape (n_lines,) or a number
        Multiples of the shaft's speed, Hz, peak value, turns.
    kept : bool
        Without the samples in which the structure settles.
    """
    order, frequency, size, phase = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(value, dtype=float)) for value in (order, frequency, size, phase))
    )
    seen = np.abs(order * run.rpm / 60.0 + frequency) < 0.48 * machine.sampling_rate
    if not seen.any():
        raise ValueError(f"All lines of a fault lie above half the sampling rate of {machine.sampling_rate:g} Hz.")
    return np.einsum("l,ln->n", size[seen], run.line(order[seen], frequency[seen], phase[seen], kept=kept))


def slow(rng, n, knots=8):
    """Return smooth-enough random values of unit variance at the knots, ndarray of shape (n,)."""
    return np.interp(np.linspace(0.0, knots - 1.0, n), np.arange(knots), rng.standard_normal(knots))
