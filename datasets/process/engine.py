"""Run many plants in one time loop: all their nodes side by side in flat arrays, whatever the size of each plant.

Every operation is element-wise (or sums the few edges of one node), so the numbers of a plant don't depend on which
plants run beside it. One step, for each node and loop::

    m = y + noise                                       measurement
    x = Kc (sp - m) + I,  I += Kc / Ti (sp - m)         PI controller, clipped, the integral stops at the limit
    v = valve(x)                                        position: x, or sticky, or stuck
    u = sum of gain * signal + d                        d: the node's own coloured disturbance
    u = u - w (u + level) + b                           loss w of gain and bias b of a fault
    y' = a1 y' + (1 - a1) u[t - delay]                  two lags, exact for a held input
    y  = a2 y  + (1 - a2) y'
"""

from __future__ import annotations

import numpy as np

from datasets.process.stiction import Choudhury, He

_RING = 128  # rows of the delay line; longer than LONGEST_DELAY and what plugging adds


class Network:
    """Several plants as one flat network, with its state.

    Parameters
    ----------
    plants : list of Plant
    """

    def __init__(self, plants):
        self.plants = plants
        n, c, s = (np.array([getattr(p, key) for p in plants]) for key in ("n_nodes", "n_loops", "n_sources"))
        self.n, self.c, self.s = int(n.sum()), int(c.sum()), int(s.sum())
        self.node_at, self.loop_at, self.source_at = (np.concatenate([[0], np.cumsum(k)]) for k in (n, c, s))
        self._lags()
        self._edges()
        self._loops()
        self.z = np.zeros(self.n + self.c + self.s)
        self.first, self.own = np.zeros(self.n), np.zeros(self.n)
        self.integral, self.output = np.zeros(self.c), np.zeros(self.c)
        self.ring = np.zeros((_RING, self.n))
        self.loss, self.bias = np.zeros(self.n), np.zeros(self.n)
        self.row = 0

    def _lags(self):
        tau = np.concatenate([p.tau for p in self.plants], axis=1)
        with np.errstate(divide="ignore"):
            self.a1, self.a2 = np.exp(-1.0 / tau)
        self.b1, self.b2 = 1.0 - self.a1, 1.0 - self.a2
        self.delay = np.concatenate([p.delay for p in self.plants])
        self.level = np.concatenate([p.level for p in self.plants])
        self.pole = np.concatenate([p.drift[0] for p in self.plants])

    def _edges(self):
        node, signal, gain = [], [], []
        for k, p in enumerate(self.plants):
            j, i, g = (np.array(column) for column in zip(*p.edges, strict=True))
            valve, source = i >= p.n_nodes, i >= p.n_nodes + p.n_loops
            first = np.where(valve, self.n + self.loop_at[k] - p.n_nodes, self.node_at[k])
            first = np.where(source, self.n + self.c + self.source_at[k] - p.n_nodes - p.n_loops, first)
            node.append(j + self.node_at[k])
            signal.append(i + first)
            gain.append(g)
        node = np.concatenate(node)
        self.signal, self.gain = np.concatenate(signal), np.concatenate(gain)
        self.starts = np.flatnonzero(np.diff(node, prepend=-1))

    def _loops(self):
        ps = self.plants
        self.kc, self.ti = np.concatenate([p.kc for p in ps]), np.concatenate([p.ti for p in ps])
        self.low, self.high = np.concatenate([p.limits for p in ps], axis=1)
        self.bend = np.concatenate([p.bend for p in ps])
        self.controlled = np.concatenate([p.loop_node + at for p, at in zip(ps, self.node_at, strict=False)])
        parents = [np.where(p.loop_parent < 0, -1, p.loop_parent + at) for p, at in zip(ps, self.loop_at, strict=False)]
        parents = np.concatenate(parents)
        self.inner = np.flatnonzero(parents >= 0)
        self.outer = parents[self.inner]

    def twice(self):
        """The same plants in the same state two times over: the first half stays healthy, the second gets faults."""
        twin = Network(self.plants + self.plants)
        twin.row = self.row
        for name in ("first", "own", "integral", "output"):
            setattr(twin, name, np.tile(getattr(self, name), 2))
        twin.ring = np.tile(self.ring, (1, 2))
        parts = np.split(self.z, [self.n, self.n + self.c])
        twin.z = np.concatenate([np.tile(part, 2) for part in parts])
        return twin

    def run(self, sources, set_points, white, noise, faults=None):
        """Advance by the rows of the signals.

        Parameters
        ----------
        sources, set_points, white, noise : ndarray of shape (n_rows, n_sources | n_loops | n_nodes | n_nodes)
            Signals from outside, plants side by side.
        faults : object with method act(network, t), optional
            Called at each row before the step.

        Returns
        -------
        measured : ndarray of shape (n_rows, n_nodes)
        outputs : ndarray of shape (n_rows, n_loops)
            Controller outputs.
        """
        measured, outputs = np.empty_like(noise), np.empty_like(set_points)
        y, valve, source = np.split(self.z, [self.n, self.n + self.c])
        columns = np.arange(self.n)
        flat = self.ring.reshape(-1)
        self.ki = self.kc / self.ti
        for t in range(len(noise)):
            source[:] = sources[t]
            m = np.add(y, noise[t], out=measured[t])
            if faults is not None:
                faults.act(self, t, m)
            e = set_points[t] - m[self.controlled]
            e[self.inner] += self.output[self.outer]
            wish = self.kc * e + self.integral
            self.output = np.minimum(np.maximum(wish, self.low, out=outputs[t]), self.high, out=outputs[t])
            self.integral += self.ki * e + (self.output - wish)
            valve[:] = self.output * (1.0 + self.bend * self.output)
            if faults is not None:
                faults.move_valves(self, t, valve)
            u = np.add.reduceat(self.gain * self.z[self.signal], self.starts)
            self.own = self.pole * self.own + white[t]
            u += self.own
            u += self.bias - self.loss * (u + self.level)
            self.ring[self.row % _RING] = u
            late = flat[(self.row - self.delay) % _RING * self.n + columns]
            self.first = self.a1 * self.first + self.b1 * late
            y[:] = self.a2 * y + self.b2 * self.first
            self.row += 1
        return measured, outputs


def slow_down(plants, factor=4.0):
    """Lower the controller gains of plants that don't settle after a small pulse on all sources and set points.

    Loops that are stable alone may not be so together. What still doesn't settle then has a cascade whose path has
    another sign than its tuner saw (streams in parallel): the outer loop goes to manual.
    """
    restless = [plant for plant, settles in zip(plants, _settle(plants), strict=True) if not settles]
    for plant in restless:
        plant.kc, plant.margin = plant.kc / factor, plant.margin * factor
    if restless:
        for plant, settles in zip(restless, _settle(restless), strict=True):
            if not settles:
                plant.kc = plant.kc * plant.loop_actuator / factor


def _settle(plants, rows=360):
    """Whether the largest deviation in the last third of the rows is below 0.95 of that in the middle third."""
    network = Network(plants)
    pulse = np.where(np.arange(rows) < 3, 1e-3, 0.0)[:, None]
    quiet = np.zeros((rows, network.n))
    path = np.abs(network.run(np.tile(pulse, network.s), np.tile(pulse, network.c), quiet, quiet)[0])
    middle, last = (path[part].max(axis=0) for part in (slice(rows // 3, 2 * rows // 3), slice(2 * rows // 3, None)))
    middle, last = (np.maximum.reduceat(value, network.node_at[:-1]) for value in (middle, last))
    return (last <= 0.95 * middle) | (last <= 1e-9)


def make_valve(model, s, j, x):
    """A sticky valve: ``model`` "choudhury" with (S, J), or "he" with (fS, fD) = ((S + J) / 2, (S - J) / 2)."""
    if model == "choudhury":
        return Choudhury(s, j, x)
    return He((s + j) / 2, (s - j) / 2, x)
