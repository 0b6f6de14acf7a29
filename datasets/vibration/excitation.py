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
    motion : ndarray of shape (n_samples,) or (n_channels, n_samples) or None
        Acceleration that every channel sees as it is: low orders, far below the resonances.
    resonant_share : float
        Where both are there: share of the power that came through the structure.
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
