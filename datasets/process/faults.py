"""Process faults: which part of which plant fails, how hard and when.

Sizes are told in healthy standard deviations of the tag at fault (``sigma``), so that a severity means the same in a
quiet and in a restless plant. ``k = 0.8 * 12^severity``; ``p(t)`` is 0 before the onset and grows to 1.

=================  ==============================================================================================
fault              what changes at the onset
=================  ==============================================================================================
step               a hidden source shifts by k sigma / gain
ramp               the same shift, reached in a straight line
random_variation   coloured noise of 0.8 k sigma / gain is added to a hidden source
stiction           a valve gets S = k times the spread of its controller's output, J = 0.1 S .. 1.1 S
stuck_valve        a valve stays where it was, or k / 3 spreads beside it
gain_drift         u - w p (u + level): the gain of a slow node drifts up or down (kinetics, catalyst)
fouling            the same, always a loss, p = 1 - exp(-t / T)
pump_wear          the same on a flow, p quadratic, with growing noise (its head falls and pulsates)
plugging           the same in one to four jumps, and the dead time grows
leak               the downstream one of two flows in line loses k sigma: upstream - downstream = leak
oscillation        the gain of a controller is raised to 0.85 .. 1.3 of what makes the loop oscillate for ever
sluggish           the gain of a controller falls to 1 / (3 .. 20)
=================  ==============================================================================================

``w = 1.5 k sigma / level``, at most 0.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.process.engine import make_valve
from datasets.process.plant import LONGEST_DELAY
from datasets.process.signals import coloured
from datasets.process.tuning import log_uniform
from datasets.sensor_faults import AFFINE_FAULTS, affine

PROCESS_FAULTS = (
    "step", "ramp", "random_variation", "stiction", "stuck_valve", "gain_drift", "fouling", "pump_wear", "plugging",
    "leak", "oscillation", "sluggish",
)  # fmt: skip
_LOSSES = {"gain_drift": (3, 4), "fouling": (3, 1), "pump_wear": (0, 1), "plugging": (0, 1, 2)}
_SOURCES = ("step", "ramp", "random_variation")


@dataclass
class Fault:
    """One fault of one plant, ready to run."""

    kind: str
    severity: float
    onset: int  # row of the run
    node: int = -1  # node at fault
    loop: int = -1  # loop at fault
    source: int = -1
    size: float = 0.0  # physical size: shift of the source, loss w, leak, S of the valve, factor on the gain
    second: float = 0.0  # J of the valve, added dead time
    model: str = ""
    profile: np.ndarray | None = None  # (n_rows,) additive signal or p(t)
    sensor: tuple | None = None  # a, b, hold of a faulty sensor, in typical variations


def draw_process_fault(rng, plant, sigma, kind, severity, onset, n_rows, length):
    """Draw where and how `kind` happens in `plant`.

    Parameters
    ----------
    rng : numpy.random.Generator
    plant : Plant
    sigma : ndarray of shape (n_tags,)
        Healthy standard deviation of each tag, in typical variations.
    kind : str
        One of `PROCESS_FAULTS`.
    severity : float
        In (0, 1].
    onset, n_rows, length : int
        First faulty row, rows of the run, samples of a window.

    Returns
    -------
    Fault or None
        None if the plant has no part that can fail in this way.
    """
    n = plant.n_nodes
    fault = Fault(kind, severity, onset)
    node_sigma = {int(j): sigma[i] for i, j in enumerate(plant.tag_of) if j < n}
    k = 0.8 * 12**severity
    if kind in _SOURCES:
        return _of_source(rng, plant, fault, node_sigma, k, n_rows, length)
    if kind in _LOSSES:
        return _of_gain(rng, plant, fault, node_sigma, k, n_rows, length)
    if kind == "leak":
        pairs = [pair for pair in plant.pairs if pair[0] in node_sigma and pair[1] in node_sigma]
        if not pairs:
            return None
        fault.node = pairs[rng.integers(len(pairs))][1]
        fault.size = min(k * node_sigma[fault.node], 0.6 * plant.level[fault.node])
        grows = length * log_uniform(rng, 0.1, 1.5) if rng.random() < 0.3 else 1
        fault.profile = -fault.size * rises(n_rows, onset, grows)
        return fault
    loops = np.flatnonzero(plant.loop_actuator) if kind in ("stiction", "stuck_valve") else np.arange(plant.n_loops)
    fault.loop = int(rng.choice(loops))
    spread = sigma[np.flatnonzero(plant.tag_of == n + fault.loop)[0]]
    spread = max(spread, 0.02 * (plant.limits[1, fault.loop] - plant.limits[0, fault.loop]))
    if kind == "stiction":
        fault.size, fault.model = min(k, 6.0) * spread, str(rng.choice(["choudhury", "he"]))
        fault.second = fault.size * rng.uniform(0.1, 1.1 if fault.model == "choudhury" else 1.0)
    elif kind == "stuck_valve":
        fault.size = rng.choice([-1.0, 0.0, 1.0]) * k / 3 * spread
    elif kind == "oscillation":
        fault.size = plant.margin[fault.loop] * (0.85 + 0.45 * severity)
    else:
        fault.size = 1 / log_uniform(rng, 3.0, 3.0 + 17.0 * severity)
    return fault


def rises(n_rows, onset, over, power=1.0):
    """Profile that is 0 before `onset` and grows to 1 within `over` samples."""
    return np.clip((np.arange(n_rows) - onset + 1) / over, 0.0, 1.0) ** power


def _of_source(rng, plant, fault, node_sigma, k, n_rows, length):
    first = plant.n_nodes + plant.n_loops
    edges = [(j, i - first, g) for j, i, g in plant.edges if i >= first and j in node_sigma]
    if not edges:
        return None
    fault.node, fault.source, gain = edges[rng.integers(len(edges))]
    fault.size = k * node_sigma[fault.node] / abs(gain)
    if fault.kind == "random_variation":
        fault.size *= 0.8
        fault.profile = np.zeros(n_rows)
        pole = np.exp(-1 / log_uniform(rng, 1.0, 25.0))
        fault.profile[fault.onset :] = fault.size * coloured(rng, n_rows - fault.onset, pole)
    else:
        over = 1 if fault.kind == "step" else length * log_uniform(rng, 0.3, 3.0)
        fault.profile = rng.choice([-1, 1]) * fault.size * rises(n_rows, fault.onset, over)
    return fault


def _of_gain(rng, plant, fault, node_sigma, k, n_rows, length):
    able = [j for j in node_sigma if plant.kind[j] in _LOSSES[fault.kind]] or list(node_sigma)
    fault.node = int(able[rng.integers(len(able))])
    fault.size = min(1.5 * k * node_sigma[fault.node] / plant.level[fault.node], 0.6)
    over, since = length * log_uniform(rng, 0.2, 2.0), np.maximum(np.arange(n_rows) - fault.onset + 1, 0)
    if fault.kind == "gain_drift":
        fault.profile = rng.choice([-1, 1]) * rises(n_rows, fault.onset, over)
    elif fault.kind == "fouling":
        fault.profile = 1 - np.exp(-since / (over / 2))
    elif fault.kind == "pump_wear":
        fault.profile = rises(n_rows, fault.onset, over, rng.uniform(1.0, 2.0))
        fault.profile = fault.profile * (1 + rng.uniform(0.05, 0.4) * rng.standard_normal(n_rows))
    else:
        jumps = fault.onset + np.sort(rng.integers(0, max(1, int(over)), int(rng.integers(1, 5))))
        jumps[0] = fault.onset
        fault.profile = (np.arange(n_rows)[:, None] >= jumps).mean(axis=1)
        fault.second = float(rng.integers(1, 4 + min(LONGEST_DELAY, int(plant.tau[0, fault.node]))) * fault.severity)
    fault.profile = fault.profile * fault.size
    return fault


def draw_sensor_fault(rng, plant, sigma, kind, severity, onset, n_rows, length):
    """A faulty sensor of a node that acts inside the control loops; None for kinds that are not affine.

    Parameters and returned value as in :func:`draw_process_fault`.
    """
    if kind not in AFFINE_FAULTS:
        return None
    tags = np.flatnonzero(plant.tag_of < plant.n_nodes)
    tag = int(rng.choice(tags))
    span = max(int(length * log_uniform(rng, 0.4, 3.0)), (n_rows - onset) // 2)
    a, b, hold, record = affine(kind, n_rows, onset, rng, severity, span=span)
    fault = Fault(kind, severity, onset, node=int(plant.tag_of[tag]), size=record["size"])
    fault.sensor = (a, b * sigma[tag], hold)
    return fault


class ActingFaults:
    """The faults of a batch, acting on the second half of a network made by ``Network.twice``.

    Parameters
    ----------
    network : Network
    faults : list of Fault or None
        One for each plant of the first half.
    n_rows : int
    """

    def __init__(self, network, faults, n_rows):
        half = len(faults)
        rows = [(k + half, f) for k, f in enumerate(faults) if f is not None]
        node, loop = network.node_at, network.loop_at
        lossy = [(node[k] + f.node, f) for k, f in rows if f.kind in _LOSSES]
        leaky = [(node[k] + f.node, f) for k, f in rows if f.kind == "leak"]
        tuned = [(loop[k] + f.loop, f) for k, f in rows if f.kind in ("oscillation", "sluggish")]
        stuck = [(loop[k] + f.loop, f) for k, f in rows if f.kind == "stuck_valve"]
        sensed = [(node[k] + f.node, f) for k, f in rows if f.sensor is not None]
        self.lossy, self.loss = _columns(lossy, n_rows)
        self.leaky, self.bias = _columns(leaky, n_rows)
        self.plugs = [(f.onset, at, round(f.second)) for at, f in lossy if f.second]
        self.tuned = [(f.onset, at, f.size) for at, f in tuned]
        self.stuck = [(f.onset, at, f.size) for at, f in stuck]
        self.frozen = {}
        self.sensed = np.array([at for at, _ in sensed], dtype=int)
        self.onsets = np.array([f.onset for _, f in sensed])
        self.a, self.b, self.hold = (
            np.array([f.sensor[i] for _, f in sensed]).reshape(len(sensed), n_rows).T for i in range(3)
        )
        self.held = np.zeros(len(sensed))
        self._sticky(network, rows)

    def _sticky(self, network, rows):
        self.valves = []
        for model in ("choudhury", "he"):
            here = [(network.loop_at[k] + f.loop, f) for k, f in rows if f.kind == "stiction" and f.model == model]
            if here:
                at = np.array([a for a, _ in here])
                s, j, onset = (np.array([getattr(f, key) for _, f in here]) for key in ("size", "second", "onset"))
                valve = make_valve(model, s, j, network.z[network.n + at])
                full = {key: getattr(valve, key) for key in ("s", "j", "static", "kinetic") if hasattr(valve, key)}
                self.valves.append((at, onset, valve, full))

    def act(self, network, t, measured):
        """Change parameters, and readings in place, at row `t`."""
        network.loss[self.lossy] = self.loss[t]
        network.bias[self.leaky] = self.bias[t]
        for onset, at, added in self.plugs:
            if onset == t:
                network.delay[at] += added
        for onset, at, factor in self.tuned:
            if onset == t:
                network.kc[at] *= factor
                network.ki[at] *= factor
        if len(self.sensed):
            true = measured[self.sensed]
            self.held = np.where(self.onsets == t, true, self.held)
            measured[self.sensed] = self.a[t] * true + self.b[t] + self.hold[t] * self.held

    def move_valves(self, network, t, valve):
        """Change the valves' positions in place."""
        for onset, at, offset in self.stuck:
            if t >= onset:
                valve[at] = self.frozen.setdefault(at, valve[at] + offset)
        for at, onset, model, full in self.valves:
            for key, value in full.items():  # without friction before the onset
                setattr(model, key, np.where(t >= onset, value, 0.0))
            valve[at] = model.step(valve[at])


def _columns(rows, n_rows):
    at = np.array([a for a, _ in rows], dtype=int)
    return at, np.array([f.profile for _, f in rows]).reshape(len(rows), n_rows).T
