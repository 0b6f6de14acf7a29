"""Kinematics of a rolling bearing.

rollers, diameter ratio, contact angle --> BPFO, BPFI, BSF, FTF (per turn of the shaft) --> the same with cage slip
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bearing:
    """Geometry of a bearing whose inner race turns with the shaft and whose outer race stands still.

    Attributes
    ----------
    n_rollers : int
        Number of rolling elements.
    ratio : float
        Roller diameter by pitch diameter, d/D.
    angle : float
        Contact angle, degrees.
    slip : float
        Mean slip of the cage, a share of its speed: what pure rolling predicts is missed by so much.
    load_factor : float
        Stribeck's load distribution factor: 0.5 loads half the bearing, above 1 all of it.
    exponent : float
        Load-deflection exponent, 1.5 for balls and 10/9 for rollers.
    """

    n_rollers: int
    ratio: float
    angle: float
    slip: float = 0.0
    load_factor: float = 0.5
    exponent: float = 1.5

    @classmethod
    def draw(cls, rng):
        """Return a random bearing: 6 to 18 rollers, d/D 0.15 to 0.32, 0 to 40 degrees, slip 0 to 2 %.

        Neighbouring rollers may not touch: d/D stays below 0.95 sin(pi/n).
        """
        n_rollers = int(rng.integers(6, 19))
        ratio = rng.uniform(0.15, min(0.32, max(0.16, 0.95 * np.sin(np.pi / n_rollers))))
        angle = rng.uniform(0.0, 40.0) if rng.random() < 0.5 else 0.0
        slip = float(np.clip(rng.exponential(0.005), 0.0, 0.02))
        load_factor = rng.uniform(0.3, 0.6) if rng.random() < 0.7 else rng.uniform(0.6, 1.8)
        exponent = 1.5 if rng.random() < 0.7 else 10.0 / 9.0
        return cls(n_rollers, float(ratio), float(angle), slip, float(load_factor), exponent)

    def orders(self, slip=0.0):
        """Return BPFO, BPFI, BSF, FTF in multiples of the shaft's speed, ndarray of shape (4,).

        A cage that lags by the share `slip` lowers BPFO and raises BPFI: the two always add up to the number
        of rollers.

        Examples
        --------
        >>> Bearing(n_rollers=8, ratio=0.25, angle=0.0).orders()
        array([3.   , 5.   , 1.875, 0.375])
        """
        projected = self.ratio * np.cos(np.deg2rad(self.angle))
        cage = 0.5 * (1.0 - projected) * (1.0 - slip)
        spin = 0.5 / self.ratio * (1.0 - projected**2) * (1.0 - slip)
        return np.array([self.n_rollers * cage, self.n_rollers * (1.0 - cage), spin, cage])

    def load(self, position):
        """Return the load at an angle from the middle of the load zone, 1 in its middle, 0 outside it.

        ``q(phi) = (1 - (1 - cos phi) / (2 e)) ** p`` with the load factor e and the exponent p.

        Parameters
        ----------
        position : ndarray
            Angle, turns.

        Returns
        -------
        ndarray of the shape of `position`
        """
        depth = 1.0 - (1.0 - np.cos(2.0 * np.pi * np.asarray(position))) / (2.0 * self.load_factor)
        return np.maximum(depth, 0.0) ** self.exponent
