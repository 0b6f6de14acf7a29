"""Simulated process plants: laws of control and of faults, by computations that don't share code with the simulator."""

import numpy as np
import pytest
from scipy.signal import lfilter

from datasets.process.engine import Network
from datasets.process.faults import ActingFaults, Fault, rises
from datasets.process.named import two_tanks
from datasets.process.plant import Plant
from datasets.process.stiction import Choudhury, He
from datasets.process.tuning import gain_margin


def plant(tau=(10.0,), second=0.0, delay=0, edges=(), loops=(), pairs=()):
    """A quiet plant of `len(tau)` nodes and one source; loops are (node, gain of the valve, Kc, Ti)."""
    n, c = len(tau), len(loops)
    p = Plant(np.zeros(n, int), np.array([tau, [second] * n], float), np.full(n, delay), np.full(n, 20.0),
              np.zeros((2, n)), np.zeros(n), sorted(edges), list(pairs))  # fmt: skip
    node, gain, kc, ti = np.array(loops, float).reshape(c, 4).T
    p.loop_node, p.kc, p.ti = node.astype(int), kc, ti
    p.loop_parent, p.loop_actuator = np.full(c, -1), np.ones(c, int)
    p.loop_model, p.limits, p.bend = np.array([gain, kc, ti]), np.array([[-1e9] * c, [1e9] * c]), np.zeros(c)
    p.edges = sorted([*edges, *((int(j), n + k, g) for k, (j, g, _, _) in enumerate(loops))])
    p.sources = np.zeros((4, 1))
    return p


def run(p, n_rows=400, source=None, set_point=0.0, faults=None, network=None):
    network = Network([p]) if network is None else network
    sources = np.zeros((n_rows, network.s))
    if source is not None:
        sources += np.reshape(source, (n_rows, -1))
    return network.run(sources, np.full((n_rows, network.c), set_point), *np.zeros((2, n_rows, network.n)), faults)


# --- dynamics


def test_first_order_lag_answers_a_step_in_closed_form():
    y, _ = run(plant(tau=(12.0,), delay=7, edges=[(0, 1, 0.8)]), source=np.ones(400))
    t = np.maximum(np.arange(400) - 7, 0)
    np.testing.assert_allclose(y[:, 0], 0.8 * (1 - np.exp(-t / 12.0)), atol=1e-12)


def test_second_order_lag_is_two_lags_in_a_row():
    x = np.random.default_rng(0).standard_normal(400)
    y, _ = run(plant(tau=(12.0,), second=5.0, edges=[(0, 1, 1.0)]), source=x)
    for tau in (12.0, 5.0):
        x = lfilter([1 - np.exp(-1 / tau)], [1, -np.exp(-1 / tau)], x)
    np.testing.assert_allclose(y[1:, 0], x[:-1], atol=1e-12)


@pytest.mark.parametrize("gain", [0.7, -1.6])
def test_a_loop_settles_at_the_set_point_whatever_is_asked(gain):
    p = plant(tau=(12.0,), delay=3, edges=[(0, 2, 0.5)], loops=[(0, gain, 1.2 / gain, 12.0)])
    y, output = run(p, set_point=1.7, source=np.where(np.arange(400) < 200, 0.0, 3.0))
    assert y[[199, 399], 0] == pytest.approx(1.7, abs=1e-4)
    assert output[399, 0] * gain + 1.5 == pytest.approx(1.7, abs=1e-4)  # steady state of the node


def test_a_loop_is_the_textbook_recursion():
    p = plant(tau=(6.0,), delay=2, loops=[(0, 1.0, 1.5, 8.0)])
    y, output = run(p, n_rows=60, set_point=1.0)
    x, integral, sent = 0.0, 0.0, [0.0, 0.0]
    for t in range(60):
        error = 1.0 - x
        assert y[t, 0] == pytest.approx(x)
        sent.append(1.5 * error + integral)
        assert output[t, 0] == pytest.approx(sent[-1])
        integral += 1.5 / 8.0 * error
        x += (1 - np.exp(-1 / 6.0)) * (sent[-3] - x)


@pytest.mark.parametrize("seed", range(12))
def test_the_gain_margin_parts_loops_that_settle_from_loops_that_do_not(seed):
    rng = np.random.default_rng(seed)
    tau, delay = rng.uniform(0.5, 20), int(rng.integers(0, 8))
    p = plant((tau,), rng.uniform(0, tau), delay, loops=[(0, 1.0, rng.uniform(0.1, 1.5), max(tau, 1.0))])
    margin, kc = gain_margin(p, 0), p.kc.copy()
    swings = []
    for factor in (0.93, 1.07):
        p.kc = kc * margin * factor
        y, _ = run(p, n_rows=1500, set_point=1.0)
        swings.append([np.ptp(y[100:300]), np.ptp(y[-100:])])
    (before, after), (first, last) = swings
    assert after < 0.5 * before
    assert last > 2 * first or last > 1e5  # by now at the limits


def test_a_saturated_controller_comes_back_at_once():
    p = plant(tau=(5.0,), edges=[(0, 2, 1.0)], loops=[(0, 1.0, 1.0, 5.0)])
    p.limits = np.array([[-1.0], [1.0]])
    y, output = run(p, source=np.where(np.arange(400) < 300, 4.0, 0.0))
    assert np.all(output[50:300] == -1.0)
    assert y[330, 0] == pytest.approx(0.0, abs=0.2)


def test_cascade_inner_loop_follows_the_outer_output():
    p = plant(tau=(2.0, 30.0), edges=[(1, 0, 1.0)], loops=[(0, 1.0, 0.8, 2.0), (1, 1.0, 3.0, 30.0)])
    p.edges = [edge for edge in p.edges if edge[:2] != (1, 3)]
    p.loop_parent, p.loop_actuator = np.array([1, -1]), np.array([1, 0])
    network = Network([p])
    set_points = np.tile([0.0, 2.0], (400, 1))
    y, output = network.run(np.zeros((400, 1)), set_points, *np.zeros((2, 400, 2)))
    assert y[-1] == pytest.approx([2.0, 2.0], abs=1e-3)
    assert output[-1, 1] == pytest.approx(y[-1, 0], abs=1e-3)


# --- valves


def positions(valve, x):
    return np.array([valve.step(np.array([value]))[0] for value in x])


def test_one_parameter_valve_jumps_to_its_input_once_it_is_far_enough():
    x = np.cumsum(np.random.default_rng(0).standard_normal(500)) * 0.3
    y = positions(He(np.array([1.0]), np.array([0.0]), np.array([0.0])), x)
    at = 0.0
    for value, position in zip(x, y, strict=True):
        at = value if abs(value - at) > 1.0 else at
        assert position == pytest.approx(at)


def test_dead_band_and_slip_jump_of_the_two_parameter_valve():
    s, j = 2.0, 0.6
    up, down = np.arange(0, 10, 0.01), np.arange(10, 0, -0.01)
    x = np.concatenate([up, down])
    y = positions(Choudhury(np.array([s]), np.array([j]), np.array([0.0])), x)
    np.testing.assert_allclose(y[100:1000], x[100:1000] - (s - j) / 2)  # moves, lagging by half the dead band
    stays = (x[1001:] > 10 - s) & (np.arange(999) >= 0)
    assert np.ptp(y[1001:][stays]) < 0.02
    np.testing.assert_allclose(y[1001:][x[1001:] < 10 - s - 0.02], x[1001:][x[1001:] < 10 - s - 0.02] + (s - j) / 2)
    assert np.abs(np.diff(y)).max() == pytest.approx(j, abs=0.05)  # the slip jump


def test_the_two_models_differ_by_one_slip_jump_at_most():
    x = 5 * np.sin(np.arange(1000) / 40)
    s, j = np.array([2.0]), np.array([0.5])
    a = positions(Choudhury(s, j, np.zeros(1)), x)
    b = positions(He((s + j) / 2, (s - j) / 2, np.zeros(1)), x)
    assert np.abs(a - b)[150:].max() < 0.5 + np.abs(np.diff(x)).max()
    moved = np.abs(np.diff(b)[150:])
    assert moved[moved > 0].min() > 0.5 - 1e-9  # this one moves in jumps only


@pytest.mark.parametrize("model", ["choudhury", "he"])
def test_stiction_makes_a_quiet_loop_cycle(model):
    p = plant(tau=(10.0,), delay=4, edges=[(0, 2, 0.3)], loops=[(0, 1.0, 1.0, 10.0)])
    network = Network([p]).twice()
    fault = Fault("stiction", 0.5, 100, loop=0, size=1.0, second=0.6, model=model)
    faults = ActingFaults(network, [fault], 1200)
    disturbance = np.sin(np.arange(1200) / 30) * (np.arange(1200) < 200)
    y, _ = network.run(np.tile(disturbance[:, None], 2), np.zeros((1200, 2)), *np.zeros((2, 1200, 2)), faults)
    healthy, faulty = y[600:].T
    assert np.ptp(healthy) < 1e-6
    assert np.ptp(faulty) > 0.1
    crossings = np.flatnonzero(np.diff(np.sign(faulty - faulty.mean())) > 0)
    assert len(crossings) > 3
    assert np.std(np.diff(crossings)) < 0.15 * np.mean(np.diff(crossings))


# --- faults


def twin_run(p, fault, n_rows=600, source=0.0):
    network = Network([p]).twice()
    sources, set_points = np.full((n_rows, network.s), source), np.zeros((n_rows, network.c))
    return network.run(sources, set_points, *np.zeros((2, n_rows, network.n)), ActingFaults(network, [fault], n_rows))


def test_a_leak_is_what_is_missing_between_two_flows():
    p = plant(tau=(3.0, 2.0), edges=[(0, 2, 1.0), (1, 0, 1.0)], pairs=[(0, 1)])
    fault = Fault("leak", 0.5, 200, node=1, size=1.3, profile=-1.3 * rises(600, 200, 1))
    y, _ = twin_run(p, fault, source=0.7)
    residual = (y[:, 0] - y[:, 1]) - (y[:, 2] - y[:, 3])  # healthy twin first
    np.testing.assert_allclose(residual[:200], 0.0, atol=1e-12)
    assert y[-1, 2] - y[-1, 3] == pytest.approx(1.3)


def test_a_loss_takes_its_share_of_the_absolute_value():
    p = plant(tau=(3.0,), edges=[(0, 1, 1.0)])
    y, _ = twin_run(p, Fault("fouling", 0.5, 100, node=0, size=0.1, profile=0.1 * rises(600, 100, 1)), source=2.0)
    assert y[-1] == pytest.approx([2.0, 0.9 * (20.0 + 2.0) - 20.0])


def test_a_stuck_valve_opens_the_loop():
    p = plant(tau=(5.0,), edges=[(0, 2, 1.0)], loops=[(0, 1.0, 1.0, 5.0)])
    p.limits = np.array([[-5.0], [5.0]])
    y, output = twin_run(p, Fault("stuck_valve", 0.5, 300, loop=0, size=0.5), source=2.0)
    assert y[-1] == pytest.approx([0.0, 0.5], abs=1e-6)  # the valve was at -2 and is held at -1.5
    assert output[-1] == pytest.approx([-2.0, -5.0], abs=1e-6)


def test_a_biased_sensor_in_a_loop_moves_the_process_and_not_its_own_reading():
    p = plant(tau=(5.0,), loops=[(0, 1.0, 1.0, 5.0)])
    b = 1.5 * rises(600, 100, 1)
    fault = Fault("bias", 0.5, 100, node=0, sensor=(np.ones(600), b, np.zeros(600)))
    reading, output = twin_run(p, fault)
    assert reading[-1] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert output[-1] == pytest.approx([0.0, -1.5], abs=1e-6)


def test_a_stuck_sensor_in_a_loop_shows_one_value_while_the_controller_runs_away():
    p = plant(tau=(5.0,), edges=[(0, 2, 1.0)], loops=[(0, 1.0, 0.05, 2.0)])
    p.limits = np.array([[-5.0], [5.0]])
    after = rises(600, 20, 1)
    reading, output = twin_run(p, Fault("stuck", 0.5, 20, node=0, sensor=(1 - after, 0 * after, after)), source=1.0)
    assert set(reading[20:, 1]) == {reading[20, 0]}
    assert reading[20, 0] > 0.5
    assert output[-1] == pytest.approx([-1.0, -5.0], abs=1e-2)


def test_detuned_controller():
    p = plant(tau=(10.0,), delay=3, edges=[(0, 2, 1.0)], loops=[(0, 1.0, 1.0, 10.0)])
    p.limits = np.array([[-3.0], [3.0]])
    margin = gain_margin(p, 0)
    y, _ = twin_run(p, Fault("oscillation", 0.5, 0, loop=0, size=1.2 * margin), source=0.5)
    assert np.ptp(y[400:, 0]) < 1e-3 < 0.5 < np.ptp(y[400:, 1])


def test_tanks_hold_what_flows_in_and_do_not_flow_out():
    p = two_tanks(np.random.default_rng(4))
    p.kc = 0 * p.kc  # manual
    first = p.n_nodes + p.n_loops
    y, _ = run(p, n_rows=8000, source=np.array([1.0, 0.0, 0.0]) * np.ones((8000, 1)))
    feed = next(g for j, i, g in p.edges if (j, i) == (0, first))
    np.testing.assert_allclose(y[-1, [0, 2, 3, 5]], feed, rtol=1e-6)  # every flow is the feed
    levels = {j: g for j, i, g in p.edges if i in (0, 3) and j in (1, 4)}
    np.testing.assert_allclose(y[-1, [1, 4]], [feed * levels[1], feed * levels[4]], rtol=1e-6)
