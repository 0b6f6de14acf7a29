"""From forces inside a machine to what an accelerometer on it shows.

    impulses at any instant --\
                               +--> spectrum --> modes of the structure --> mounting of the sensor --> spectrum
    force at every sample ----/

The sensor's filter against aliasing is ideal: nothing above half the sampling rate is left, nothing below it is lost.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

OVERSAMPLING = 4  # impulses are placed on a grid so much finer; what lies above half the sampling rate is cut off


@dataclass(frozen=True)
class Path:
    """Transfer functions from a force to the acceleration in each channel.

    Mode k answers an impulse with a decaying oscillation; its accelerance is
    ``gains[c, k] * -r**2 / (1 - r**2 + 2j * damping[k] * r)``, r = f / frequency[k].

    Attributes
    ----------
    frequency : ndarray of shape (n_modes,)
        Natural frequencies, Hz.
    damping : ndarray of shape (n_modes,)
        Shares of critical damping.
    gains : ndarray of shape (n_channels, n_modes)
        How much of each mode a channel sees, with sign.
    direct : float
        What reaches the sensors without resonance.
    pulse_cutoff : float
        Where the spectrum of a contact's pulse has fallen by 4.3 dB, Hz.
    mounting : float
        Resonance of sensor and mounting, Hz.
    mounting_damping : float
        Its share of critical damping.
    """

    frequency: np.ndarray
    damping: np.ndarray
    gains: np.ndarray
    direct: float
    pulse_cutoff: float
    mounting: float
    mounting_damping: float

    @classmethod
    def draw(cls, rng, sampling_rate, n_channels):
        """Return a random path with 1 to 3 resonances that lie inside the band of the sampling rate."""
        n_modes = int(rng.integers(1, 4))
        low, high = np.log(0.06 * sampling_rate), np.log(0.46 * sampling_rate)
        frequency = np.exp(rng.uniform(low, high, n_modes))
        damping = np.exp(rng.uniform(np.log(0.01), np.log(0.10), n_modes))
        strength = rng.uniform(0.3, 1.0, n_modes) * 2.0 * damping  # peaks of comparable height
        shares = rng.uniform(0.3, 1.0, (n_channels, n_modes)) * rng.choice([-1.0, 1.0], (n_channels, n_modes))
        return cls(
            frequency=frequency,
            damping=damping,
            gains=shares * strength,
            direct=float(rng.uniform(0.0, 0.1)),
            pulse_cutoff=float(sampling_rate * np.exp(rng.uniform(np.log(0.25), np.log(2.0)))),
            mounting=float(sampling_rate * np.exp(rng.uniform(np.log(0.35), np.log(3.0)))),
            mounting_damping=float(rng.uniform(0.03, 0.2)),
        )

    def ringing(self, sampling_rate):
        """Return after how many samples the slowest mode has fallen to 1 %, int."""
        decay = np.min(2.0 * np.pi * self.frequency * self.damping)
        return int(np.ceil(4.6 * sampling_rate / decay))

    def mounted(self, frequency):
        """Return the transfer function of the mounting at frequencies in Hz, complex ndarray of the same shape."""
        ratio = frequency / self.mounting
        return 1.0 / (1.0 - ratio**2 + 2j * self.mounting_damping * ratio)

    def structure(self, frequency):
        """Return the accelerance of each channel, complex ndarray of shape (n_channels, n_frequencies)."""
        ratio = frequency / self.frequency[:, None]
        modes = -(ratio**2) / (1.0 - ratio**2 + 2j * self.damping[:, None] * ratio)
        return np.einsum("ck,kf->cf", self.gains, modes) + self.direct * np.mean(np.abs(self.gains))

    def pulse(self, frequency):
        """Return the spectrum of one contact's pulse, ndarray of the shape of `frequency`."""
        return np.exp(-0.5 * (frequency / self.pulse_cutoff) ** 2)


def impulse_spectrum(instants, amplitudes, n_samples):
    """Return the spectrum of impulses below half the sampling rate.

    Parameters
    ----------
    instants : ndarray of shape (n_impulses,)
        Times, samples; those outside the record are left out.
    amplitudes : ndarray of shape (n_impulses,)
        Areas.
    n_samples : int
        Length of the record.

    Returns
    -------
    complex ndarray of shape (n_samples // 2 + 1,)
    """
    fine = OVERSAMPLING * n_samples
    places = np.asarray(instants) * OVERSAMPLING
    inside = (places >= 0) & (places < fine - 1)
    places, areas = places[inside], np.asarray(amplitudes)[inside]
    left = places.astype(np.intp)
    share = places - left
    # A bin of the histogram is a sum over repeated places, as np.add.at makes it, but several times faster.
    grid = np.bincount(left, areas * (1.0 - share), minlength=fine)
    grid += np.bincount(left + 1, areas * share, minlength=fine)
    return fft.rfft(grid)[: n_samples // 2 + 1]
