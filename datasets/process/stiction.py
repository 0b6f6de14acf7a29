"""Sticky valves: two data-driven models, each for many valves at once.

Both map the controller output ``x`` to the valve's position ``y``. ``S`` is dead band plus stick band, ``J`` the slip
jump, in units of the controller output. In terms of friction ``S = fS + fD``, ``J = fS - fD``, with the static
friction band ``fS`` and the kinetic one ``fD``.
"""

from __future__ import annotations

import numpy as np


class Choudhury:
    """Two-parameter model of Choudhury, Thornhill and Shah (2005), doi:10.1016/j.conengprac.2004.05.005.

    The valve sticks where its input stops or reverses. From that point ``x_ss`` it starts to move when the input has
    gone on by ``J`` in the old direction, or back by ``S`` in the other. While it moves it lags the input by half the
    difference: ``y = x - sign(v) (S - J) / 2``.

    NOTE[DIFF]: the point ``x_ss`` stays until the valve moves again. In the paper's flow chart each reversal of the
    input sets it anew, by which a noisy input keeps the valve stuck for ever.

    Parameters
    ----------
    s, j : ndarray of shape (n_valves,)
        Dead band plus stick band, and slip jump.
    x : ndarray of shape (n_valves,)
        Input at the moment when the valve becomes sticky; the position begins there.
    """

    def __init__(self, s, j, x):
        self.s, self.j = s, j
        self.y, self.before, self.stop = x.copy(), x.copy(), x.copy()
        self.way = np.ones_like(x)
        self.stuck = np.ones(x.shape, dtype=bool)

    def step(self, x):
        """Positions for the next inputs `x` of shape (n_valves,)."""
        moved = x - self.before
        halts = ~self.stuck & (moved * self.way <= 0)
        self.stop = np.where(halts, self.before, self.stop)
        self.stuck = self.stuck | halts
        gone = (x - self.stop) * self.way
        onward, back = gone > self.j, gone < -self.s
        self.way = np.where(self.stuck & back, -self.way, self.way)
        self.stuck = self.stuck & ~(onward | back)
        self.y = np.where(self.stuck, self.y, x - self.way * (self.s - self.j) / 2)
        self.before = x.copy()
        return self.y


class He:
    """Model of He, Wang, Pottmann and Qin (2007), doi:10.1021/ie061219a.

    The force not yet used, ``f = r + x[t] - x[t-1]``, has to pass the static friction ``fS``; then the valve moves to
    ``x - sign(f) fD`` and ``r = sign(f) fD`` is left over, else it stays and ``r = f``. It moves in jumps of at least
    ``J``. With ``fD = 0`` one parameter is left: the valve jumps to its input once the two differ by more than ``fS``.

    Parameters
    ----------
    static, kinetic : ndarray of shape (n_valves,)
        Friction bands ``fS`` and ``fD``.
    x : ndarray of shape (n_valves,)
        Input at the moment when the valve becomes sticky.
    """

    def __init__(self, static, kinetic, x):
        self.static, self.kinetic = static, kinetic
        self.y, self.before, self.left = x.copy(), x.copy(), np.zeros_like(x)

    def step(self, x):
        """Positions for the next inputs `x` of shape (n_valves,)."""
        force = self.left + x - self.before
        moves = np.abs(force) > self.static
        rest = np.sign(force) * self.kinetic
        self.y = np.where(moves, x - rest, self.y)
        self.left = np.where(moves, rest, force)
        self.before = x.copy()
        return self.y
