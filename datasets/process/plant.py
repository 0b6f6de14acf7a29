"""Random process plants: lags, dead times and PI loops in a network, drawn from ranges.

::

    hidden sources --+--> node (lag, dead time) --> node --> ... --> tags (raw units)
    valves ----------+          |    ^ weak recycle
       ^-- PI controllers <-- measurement = node + noise

All internal quantities are deviations from the operating point, in units of a typical variation. One step is one
sample; time constants are in samples, so that the same plant is sampled fast or slowly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from datasets.process.tuning import log_uniform, tune, unsettle

#: Kind of node: (share, time constant in plant units (low, high), dead time as a share of it (low, high)).
NODE_KINDS = {
    "flow": (0.32, (0.05, 0.3), (0.0, 0.5)),
    "pressure": (0.16, (0.2, 1.5), (0.0, 0.2)),
    "level": (0.12, (1.0, 5.0), (0.0, 0.1)),
    "temperature": (0.26, (0.8, 4.0), (0.05, 0.6)),
    "composition": (0.14, (1.0, 6.0), (0.1, 0.8)),
}
LONGEST_DELAY = 60  # samples


@dataclass
class Plant:
    """One plant. Nodes 0..n-1, loops 0..c-1, sources 0..s-1; signals are numbered nodes, then valves, then sources."""

    kind: np.ndarray  # (n,) index into NODE_KINDS
    tau: np.ndarray  # (2, n) samples
    delay: np.ndarray  # (n,) samples
    level: np.ndarray  # (n,) absolute value at the operating point, typical variations
    drift: np.ndarray  # (2, n) pole and standard deviation of the node's own coloured disturbance
    noise: np.ndarray  # (n,) standard deviation of the measurement noise
    edges: list = field(default_factory=list)  # (node, signal, gain)
    pairs: list = field(default_factory=list)  # (upstream flow, downstream flow)
    loop_node: np.ndarray = None  # (c,) controlled node
    loop_parent: np.ndarray = None  # (c,) loop whose output moves this loop's set point, or -1
    loop_actuator: np.ndarray = None  # (c,) 1: moves its own valve, 0: moves another loop's set point
    loop_model: np.ndarray = None  # (3, c) gain, time constant, effective dead time as the tuner saw them
    kc: np.ndarray = None  # (c,) controller gain
    ti: np.ndarray = None  # (c,) reset time, samples
    margin: np.ndarray = None  # (c,) factor on kc from which on the loop oscillates for ever
    limits: np.ndarray = None  # (2, c) range of the controller output
    bend: np.ndarray = None  # (c,) curvature of the valve's characteristic
    sources: np.ndarray = None  # (4, s) pole, amplitude, period (0: none), share of level changes
    restless: float = 0.0  # expected number of set-point moves in 1000 samples
    tag_of: np.ndarray = None  # (n_tags,) node, or n + loop
    name: str = "network"
    raw: np.ndarray = None  # (2, n_tags) offset and scale to physical units
    hold: np.ndarray = None  # (n_tags,) samples between two updates, 1 for a continuous instrument
    resolution: np.ndarray = None  # (n_tags,) step of the converter in typical variations, 0: none

    @property
    def n_nodes(self):
        """Number of nodes."""
        return len(self.kind)

    @property
    def n_loops(self):
        """Number of loops."""
        return len(self.loop_node)

    @property
    def n_sources(self):
        """Number of hidden sources."""
        return self.sources.shape[1]


def random_plant(rng, n_tags):
    """A plant with `n_tags` tags, measurements and controller outputs together.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_tags : int
        At least 3.

    Returns
    -------
    Plant
    """
    if n_tags < 3:
        raise ValueError(f"random_plant expected n_tags >= 3, got {n_tags}: a loop and a pair of flows need three.")
    n_loops = int(np.clip(round(n_tags * rng.uniform(0.12, 0.36)), 1, n_tags - 2))
    n_shown = n_tags - n_loops
    n = n_shown + int(rng.integers(0, 1 + max(1, n_shown // 5)))  # the rest are hidden
    shares = np.array([row[0] for row in NODE_KINDS.values()])
    kind = rng.choice(len(shares), n, p=shares / shares.sum())
    kind[:2] = 0  # a pair of flows in every plant
    plant = random_nodes(rng, kind)
    random_sources(rng, plant, int(rng.integers(2, 3 + n // 4)))
    _connect(rng, plant)
    _random_loops(rng, plant, n_loops)
    random_tags(rng, plant, n_shown)
    return plant


def random_nodes(rng, kind):
    """A plant of unconnected nodes of these kinds, shape (n,): dynamics, own disturbances and noise."""
    n = len(kind)
    low, high, dead_low, dead_high = np.array([[*row[1], *row[2]] for row in NODE_KINDS.values()])[kind].T
    unit = log_uniform(rng, 0.7, 60.0)  # samples in one plant unit of time
    tau = log_uniform(rng, low, high) * unit
    second = np.where(rng.random(n) < 0.5, 0.0, rng.uniform(0.1, 0.9, n)) * tau
    delay = np.minimum(np.rint(rng.uniform(dead_low, dead_high) * tau), LONGEST_DELAY).astype(int)
    pole = np.exp(-1.0 / (log_uniform(rng, 0.2, 5.0, n) * unit))
    own = np.where(rng.random(n) < 0.3, 0.0, log_uniform(rng, 0.02, 0.5, n))
    noise = log_uniform(rng, 0.01, 1.0) * log_uniform(rng, 0.2, 2.0, n)
    plant = Plant(kind, np.array([tau, second]), delay, rng.uniform(5, 60, n), np.array([pole, own]), noise)
    plant.restless = 0.0 if rng.random() < 0.4 else log_uniform(rng, 0.5, 8.0)
    return plant


def random_sources(rng, plant, s):
    """Give the plant `s` hidden sources: noise of different colour, some periodic, some with changes of level."""
    pole = np.exp(-1.0 / log_uniform(rng, 2.0, 300.0, s))
    amplitude = log_uniform(rng, 0.1, 1.0, s)
    period = np.where(rng.random(s) < 0.12, log_uniform(rng, 10.0, 400.0, s), 0.0)
    plant.sources = np.array([pole, amplitude, period, (rng.random(s) < 0.12).astype(float)])


def _connect(rng, plant):
    """Give each node one or two earlier nodes of the line, sources, and perhaps one weak recycle to the plant."""
    n = plant.n_nodes
    flows = [j for j in range(n) if plant.kind[j] == 0]
    twins = {1} | set([j for j in flows[2:] if rng.random() < 0.3][: n // 5])
    for j in range(n):
        if j in twins:
            in_line(plant, max(i for i in flows if i < j), j)
            continue
        n_parents = min(j, int(rng.choice([0, 1, 2], p=[0.15, 0.5, 0.35])))
        nearest = np.arange(max(0, j - 7), j)
        for i in rng.choice(nearest, min(n_parents, len(nearest)), replace=False):
            plant.edges.append((j, int(i), rng.choice([-1, 1]) * rng.uniform(0.3, 1.0) / n_parents))
        if n_parents == 0 or rng.random() < 0.25:
            plant.edges.append((j, ("source", int(rng.integers(plant.n_sources))), rng.uniform(0.3, 1.0)))
    if n > 6 and rng.random() < 0.4:
        late, early = int(rng.integers(n // 2, n)), int(rng.integers(0, n // 3))
        if early not in twins:
            plant.edges.append((early, late, rng.choice([-1, 1]) * rng.uniform(0.05, 0.25)))
    used = {edge[1][1] for edge in plant.edges if isinstance(edge[1], tuple)}
    for s in set(range(plant.n_sources)) - used:  # every source does something
        j = int(rng.integers(n))
        plant.edges.append((0 if j in twins else j, ("source", s), rng.uniform(0.3, 1.0)))


def in_line(plant, up, down):
    """Make node `down` the same stream as node `up`, measured further down the pipe."""
    plant.edges.append((down, up, 1.0))
    plant.pairs.append((up, down))
    plant.level[down] = plant.level[up]
    plant.drift[1, down] = 0.0


def _random_loops(rng, plant, n_loops):
    """Put PI loops on nodes and tune them; a slow loop may move the set point of a flow loop instead of a valve."""
    twins = {pair[1] for pair in plant.pairs}
    free = [j for j in range(plant.n_nodes) if j not in twins]
    nodes = np.sort(rng.choice(free, min(n_loops, len(free)), replace=False))
    c = len(nodes)
    plant.loop_node, plant.loop_parent = nodes, np.full(c, -1)
    plant.loop_actuator = np.ones(c, dtype=int)
    gain = rng.choice([-1, 1], c) * rng.uniform(0.4, 2.0, c)
    inner_of = {int(nodes[k]): k for k in range(c) if plant.kind[nodes[k]] == 0}
    for k in range(c):
        inner = [
            inner_of[i]
            for j, i, _ in plant.edges
            if j == nodes[k] and not isinstance(i, tuple) and i < j and inner_of.get(i, k) != k
        ]
        inner = [i for i in inner if plant.loop_parent[i] < 0]
        if inner and plant.kind[nodes[k]] > 1 and rng.random() < 0.6:
            plant.loop_parent[inner[0]], plant.loop_actuator[k] = k, 0
            gain[k] = next(g for j, i, g in plant.edges if j == nodes[k] and i == nodes[inner[0]])
    close_loops(rng, plant, gain)


def close_loops(rng, plant, gain):
    """Tune the loops, whose actuators act on their nodes with `gain`, draw their limits and number all signals.

    Sources are ("source", s) and valves that act on other nodes ("valve", loop) in the edges until here.
    """
    n, c = plant.n_nodes, plant.n_loops
    tune(rng, plant, gain)
    unsettle(rng, plant)
    plant.limits = np.array([-rng.uniform(3, 10, c), rng.uniform(3, 10, c)])
    plant.bend = rng.uniform(-0.03, 0.03, c) * plant.loop_actuator
    plant.edges += [(int(plant.loop_node[k]), n + k, gain[k]) for k in np.flatnonzero(plant.loop_actuator)]
    first = {"source": n + c, "valve": n}
    plant.edges = [(j, first[i[0]] + i[1] if isinstance(i, tuple) else i, g) for j, i, g in plant.edges]
    plant.edges += [(j, j, 0.0) for j in set(range(n)) - {edge[0] for edge in plant.edges}]
    plant.edges.sort()


def random_tags(rng, plant, n_shown):
    """Choose the `n_shown` measured nodes, controlled ones first, their order, units, converters and analysers."""
    n, c = plant.n_nodes, plant.n_loops
    must = set(plant.loop_node[rng.random(c) < 0.9].tolist()) | {0, 1}
    others = [j for j in rng.permutation(n) if j not in must]
    shown = (list(rng.permutation(sorted(must))) + others)[:n_shown]
    tags = np.array(sorted(shown) + [n + k for k in range(c)], dtype=int)
    plant.tag_of = rng.permutation(tags)
    is_loop = plant.tag_of >= n
    node, loop = np.where(is_loop, 0, plant.tag_of), np.where(is_loop, plant.tag_of - n, 0)
    scale = log_uniform(rng, 1e-3, 1e3, len(tags))
    width = plant.limits[1, loop] - plant.limits[0, loop]
    scale = np.where(is_loop, 100.0 / width, scale)
    offset = np.where(is_loop, -plant.limits[0, loop] * scale, plant.level[node] * scale)
    plant.raw = np.array([offset, scale])
    slow = ~is_loop & (plant.kind[node] == 4) & (rng.random(len(tags)) < 0.4)
    plant.hold = np.where(slow, rng.integers(2, 16, len(tags)), 1)
    coarse = ~is_loop & (rng.random(len(tags)) < 0.2)
    plant.resolution = np.where(coarse, log_uniform(rng, 0.01, 0.3, len(tags)), 0.0)
