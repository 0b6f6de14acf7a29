"""Small plants whose structure follows from balances, linearised about a random operating point.

Deviations are relative to the operating point (times ``level``, the same for the streams of one plant), so the gains
below are those of the balances:

two tanks
    ``A dh/dt = q_in - q_out`` with ``q_out = c v sqrt(h)``: a level answers its inflow with gain 2, the outflow answers
    the level with gain 1/2 and the valve with gain 1.
heat exchanger
    ``T_cold,out = T_cold,in + E (T_hot,in - T_cold,in)`` with effectiveness ``E``, which falls with the cold and rises
    with the hot flow; the hot side loses what the cold side gains.
stirred reactor
    ``dc/dt = F/V (c_f - c) - k(T) c``, ``dT/dt = F/V (T_f - T) + h k(T) c - U (T - T_j)``: with Damkoehler number
    ``a``, activation ``g``, cooling ``u`` and heat ``b < (1 + u) / (a g)`` the two are lags that act on each other.

All numbers are drawn; no published plant is copied.
"""

from __future__ import annotations

import numpy as np

from datasets.process.plant import close_loops, in_line, random_nodes, random_sources, random_tags
from datasets.process.tuning import log_uniform

_FLOW, _PRESSURE, _LEVEL, _TEMPERATURE, _COMPOSITION = range(5)


def _begin(rng, name, kinds, n_sources):
    plant = random_nodes(rng, np.array(kinds))
    plant.name = name
    plant.level[:] = rng.uniform(8, 40)
    random_sources(rng, plant, n_sources)
    return plant


def _end(rng, plant, loops):
    """Close `loops`, each (node, gain of its actuator, loop that moves its set point or -1, own valve or not)."""
    node, gain, parent, actuator = (np.array(column) for column in zip(*loops, strict=True))
    plant.loop_node, plant.loop_parent, plant.loop_actuator = node, parent, actuator
    close_loops(rng, plant, gain.astype(float))
    random_tags(rng, plant, plant.n_nodes)
    return plant


def two_tanks(rng):
    """Two tanks in series: feed, level, flow between (two meters), level, outflow; 6 nodes, 2 or 3 loops."""
    plant = _begin(rng, "two tanks", [_FLOW, _LEVEL, _FLOW, _FLOW, _LEVEL, _FLOW], 3)
    in_line(plant, 2, 3)
    size = rng.uniform(0.4, 1.0, 2)  # share of the level's range that the balance gain 2 refers to
    plant.edges += [(0, ("source", 0), 0.5), (1, 0, 2 * size[0]), (1, ("source", 1), 0.4), (2, 1, 0.5 / size[0])]
    plant.edges += [(4, 3, 2 * size[1]), (4, ("source", 2), 0.4), (5, 4, 0.5 / size[1]), (5, ("valve", 1), 1.0)]
    loops = [(0, rng.uniform(0.5, 1.5), -1, 1), (4, -2 * size[1], -1, 1)]
    if rng.random() < 0.5:  # the first level sets the feed
        loops = [(0, loops[0][1], 2, 1), loops[1], (1, 2 * size[0], -1, 0)]
    return _end(rng, plant, loops)


def heat_exchanger(rng):
    """Counter-current exchanger: cold flow (two meters), hot flow, four temperatures; 7 nodes, 3 loops."""
    plant = _begin(rng, "heat exchanger", [_FLOW, _FLOW, _FLOW] + [_TEMPERATURE] * 4, 4)
    in_line(plant, 0, 1)
    plant.tau[0, 3:5] *= 0.3  # inlets only pass a pipe
    effect, ratio = rng.uniform(0.3, 0.8), rng.uniform(0.4, 1.0)
    cold, hot = rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.8)
    plant.edges += [(0, ("source", 0), 0.5), (2, ("source", 1), 0.4), (3, ("source", 2), 1.0), (4, ("source", 3), 1.0)]
    plant.edges += [(5, 3, 1 - effect), (5, 4, effect), (5, 0, -cold), (5, 2, hot)]
    plant.edges += [(6, 4, 1 - ratio * effect), (6, 3, ratio * effect), (6, 0, -ratio * cold), (6, 2, hot)]
    return _end(rng, plant, [(0, rng.uniform(0.5, 1.5), -1, 1), (2, rng.uniform(0.5, 1.5), 2, 1), (5, hot, -1, 0)])


def stirred_reactor(rng):
    """Cooled stirred reactor: feed, product flow, feed composition, composition, two temperatures, coolant; 3 loops."""
    kinds = [_FLOW, _FLOW, _COMPOSITION, _COMPOSITION, _TEMPERATURE, _TEMPERATURE, _FLOW]
    plant = _begin(rng, "stirred reactor", kinds, 4)
    in_line(plant, 0, 1)
    a, g, u = log_uniform(rng, 0.3, 2.0), rng.uniform(0.3, 1.2), rng.uniform(1.0, 4.0)
    b = rng.uniform(0.1, 0.7) * (1 + u) / (a * g)
    mass, heat = 1 + a, 1 + u - b * a * g
    turnover = plant.tau[0, 3]
    plant.tau[0, 3:5], plant.tau[1, 3:5] = turnover / np.array([mass, heat]), 0.0
    plant.delay[3:5] = 0
    plant.edges += [(0, ("source", 0), 0.5), (2, ("source", 1), 1.0), (6, ("source", 3), 0.3)]
    plant.edges += [(3, 2, 1 / mass), (3, 0, a / mass), (3, 4, -a * g / mass)]
    plant.edges += [(4, 3, b * a / heat), (4, 5, u / heat), (4, ("source", 2), 1 / heat)]
    cooling = rng.uniform(0.5, 1.5)  # the jacket is held at its temperature by the coolant's valve
    plant.edges += [(5, 4, rng.uniform(0.1, 0.4)), (5, ("source", 3), 0.3), (6, ("valve", 1), 1.0)]
    return _end(rng, plant, [(0, rng.uniform(0.5, 1.5), -1, 1), (5, -cooling, 2, 1), (4, u / heat, -1, 0)])


#: Builders and the most tags that each gives.
NAMED = {two_tanks: 9, heat_exchanger: 10, stirred_reactor: 10}
