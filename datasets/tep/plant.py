"""One simulated run of the Tennessee Eastman plant in one operating mode.

    settled state of the mode (settled.json)
        -> warm-up: own set points and noise of the run, 10 h, not recorded
        -> hour 0: fault on, and stays on
        -> a row every 3 min until 12 h are over or the plant shuts itself down

The plant equations and the controller come from ``tep-studio``; set points and fixed valves of the modes
are those of N. L. Ricker, *Optimal steady-state operation of the Tennessee Eastman challenge process*,
Computers & Chemical Engineering 19(9), 1995, doi:10.1016/0098-1354(94)00043-N.
"""

import json
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from tep_studio import (
    TEP_SCHEMA,
    ControllerSetpoints,
    RickerMultiLoopController,
    TennesseeEastmanProcess,
)
from tep_studio.control.registry import RICKER_MODE1
from tep_studio.simulation.modes import mode_initial_state

SETTLED_FILE = Path(__file__).with_name("settled.json")

CONTROL_INTERVAL = 0.0025  # h (9 s); Ricker's 1.8 s gives the same closed loop at three times the cost
SAMPLE_STEPS = 20  # control intervals per row: 3 min
WARM_UP = 10.0  # h
N_DISTURBANCES = 28

# Bits of the simulator's structure flag: all outputs (0x0F), and measurement noise off (0x10).
WITH_NOISE, WITHOUT_NOISE = 0x0F, 0x1F

# Compressor recycle valve, stripper steam valve, agitator: no loop moves them, a mode fixes them.
FIXED_VALVES = [4, 8, 11]

# Half-width of the uniform offset that each run adds to its set points, so that two runs differ in more
# than noise, as two campaigns of a real plant do. Production is relative.
SET_POINT_SPREAD = {
    "reactor_level": 1.5,  # %
    "reactor_pressure": 8.0,  # kPa
    "reactor_temperature": 0.3,  # degC
    "separator_level": 3.0,  # %
    "stripper_level": 3.0,  # %
    "pct_g": 0.8,  # mol %
    "production_rate": 0.02,
}


@dataclass(frozen=True)
class Mode:
    """Operating point: set points of the controller and the three valves that it leaves alone (%)."""

    production_rate: float  # m3/h of product
    pct_g: float  # mol % of G in the product
    reactor_temperature: float  # degC
    ya: float  # mol % of A in A + C, reactor feed
    yac: float  # mol % of A + C, reactor feed
    fixed_valves: tuple

    def set_points(self):
        """Return the controller's set points; levels and pressure are the same in all modes."""
        values = {name: getattr(self, name) for name in ("production_rate", "pct_g", "reactor_temperature")}
        return ControllerSetpoints(
            reactor_level=65.0,
            reactor_pressure=2800.0,
            separator_level=50.0,
            stripper_level=50.0,
            ya=self.ya,
            yac=self.yac,
            **values,
        )


MODES = {
    1: Mode(22.89, 53.83, 122.9, 63.20, 50.96, (1.0, 1.0, 100.0)),
    2: Mode(22.73, 11.66, 124.2, 64.18, 54.25, (1.0, 1.0, 100.0)),
    # Ricker's 77.6 % recycle leaves the condenser valve fully open, and the level loop without authority.
    3: Mode(18.04, 90.09, 121.9, 62.10, 47.43, (70.0, 1.0, 100.0)),
    # Ricker's maximum is 36.04 m3/h, where the D feed valve is fully open; 5 % less leaves it room to move.
    4: Mode(34.20, 53.35, 128.2, 61.95, 58.76, (1.0, 1.0, 100.0)),
}


class Plant:
    """Plant and controller, advanced together.

    Parameters
    ----------
    settled : dict
        Where to start, as `settle` returns it: ``state`` (50 numbers), ``ratios``, ``production_index`` and
        ``separator_temperature`` (degC), the memories of the controller.
    seed : int
        Seed of the simulator's own generator (noise and random disturbances).
    noise : bool
        Whether measurements carry noise.
    """

    def __init__(self, settled, *, seed, noise=True):
        self.simulator = TennesseeEastmanProcess(ms_flag=WITH_NOISE if noise else WITHOUT_NOISE)
        state = np.array(settled["state"])
        self.measurements, _ = self.simulator.reset(initial_state=state, seed=float(seed))
        self.controller = RickerMultiLoopController(registry=_registry(settled))
        self.controller.reset(self.measurements)
        self.action = self.simulator.state[38:50].copy()
        self.diagnostics = None

    def step(self, set_points, fixed_valves, disturbances):
        """Advance one control interval; return whether the plant shut itself down."""
        self.controller.setpoints = set_points
        action, self.diagnostics = self.controller.compute_action(self.measurements, time=self.simulator.time)
        action[FIXED_VALVES] = fixed_valves
        result = self.simulator.advance(action, control_interval=CONTROL_INTERVAL, disturbances=disturbances)
        self.measurements, self.action = result.measurements, result.implemented_action
        return bool(result.shutdown_status["terminated"])

    def memory(self):
        """Return plant state and controller memories, from which a new `Plant` goes on without a bump."""
        return {
            "state": self.simulator.state.tolist(),
            "ratios": {name: float(value) for name, value in self.diagnostics.ratios.items()},
            "production_index": float(self.diagnostics.fp),
            "separator_temperature": float(self.diagnostics.setpoints["separator_temperature"]),
        }


def _registry(settled):
    """Return the controller's loop table with every loop's first output taken from `settled`."""
    table, ratios, valves = RICKER_MODE1, settled["ratios"], settled["state"][38:50]
    valve_index = partial(TEP_SCHEMA.index, "manipulated_variables")
    first = {
        "reactor_level": settled["separator_temperature"],
        "reactor_pressure": ratios["r5"],
        "separator_level": ratios["r6"],
        "stripper_level": ratios["r7"],
        "reactor_temperature": valves[9],
        "separator_temperature": valves[10],
    }
    loops = {name: replace(getattr(table, name), x0=x0) for name, x0 in first.items()}
    loops["feed_loops"] = tuple(replace(loop, x0=valves[valve_index(loop.mv)]) for loop in table.feed_loops)
    # The stock limit of +-30 on the production index stops short of mode 4, and the stock rate limit
    # would start every run with a drift from the first, noisy, measurement to the set point.
    index = settled["production_index"]
    loops["production"] = replace(table.production, x0=index - table.nominal.fp_base, hi=80.0, lo=-80.0)
    unlimited = {"production_sp_rate_limit": np.inf, "pct_g_sp_rate_limit": np.inf}
    return replace(table, nominal=replace(table.nominal, ratios=ratios, **unlimited), **loops)


def _start(mode):
    """Return a place to start settling from: the base case, or for mode 3 the bundled 90/10 state."""
    if mode != 3:
        nominal, simulator = RICKER_MODE1.nominal, TennesseeEastmanProcess()
        simulator.reset()
        return {
            "state": simulator.state.tolist(),
            "ratios": dict(nominal.ratios),
            "production_index": nominal.fp_base,
            "separator_temperature": nominal.sep_temp_sp0,
        }
    state = mode_initial_state("mode3")
    simulator = TennesseeEastmanProcess(ms_flag=WITHOUT_NOISE)
    flows, _ = simulator.reset(initial_state=state)
    index = 78.2  # D feed over its ratio at 90 % G
    sources = {"r1": 0, "r2": 1, "r3": 2, "r4": 3, "r5": 9, "r6": 13, "r7": 16}
    return {
        "state": state.tolist(),
        "ratios": {name: float(flows[column]) / index for name, column in sources.items()},
        "production_index": index,
        "separator_temperature": float(flows[10]),
    }


def settle(mode, *, ramp=30.0, hours=200.0):
    """Steer the noise-free plant to the steady state of a mode.

    Parameters
    ----------
    mode : int
        Key of `MODES`.
    ramp : float
        Time over which set points and fixed valves move there, h. Faster ramps trip the pressure limit.
    hours : float
        Total time, h.

    Returns
    -------
    dict
        As `Plant` takes it.

    Raises
    ------
    RuntimeError
        If the plant shuts itself down on the way.
    """
    plant = Plant(_start(mode), seed=1, noise=False)
    old = np.array(astuple(plant.controller.setpoints))
    new = np.array(astuple(MODES[mode].set_points()))
    old_valves, new_valves = plant.action[FIXED_VALVES], np.array(MODES[mode].fixed_valves)
    for step in range(round(hours / CONTROL_INTERVAL)):
        share = min(1.0, step * CONTROL_INTERVAL / ramp)
        set_points = ControllerSetpoints(*(old + share * (new - old)))
        valves = old_valves + share * (new_valves - old_valves)
        if plant.step(set_points, valves, np.zeros(N_DISTURBANCES)):
            hour = plant.simulator.time
            raise RuntimeError(f"settle: the plant shut down at hour {hour:.1f} on its way to mode {mode}.")
    return plant.memory()


def settled(mode):
    """Return the stored steady state of a mode."""
    return json.loads(SETTLED_FILE.read_text(encoding="utf-8"))[str(mode)]


def run_generator(seed, mode, fault, run):
    """Return the generator of one run; it depends on these four numbers and on nothing else."""
    return np.random.default_rng(np.random.SeedSequence([seed, mode, fault, run]))


def simulate(mode, fault, rng, *, hours=12.0):
    """Simulate one run.

    Parameters
    ----------
    mode : int
        Key of `MODES`.
    fault : int
        Number of the disturbance (IDV) that is on from hour 0; 0 for none.
    rng : numpy.random.Generator
        From `run_generator`. Draws the set-point offsets and the simulator's seed.
    hours : float
        Length of the record, h.

    Returns
    -------
    hour : ndarray of shape (n_rows,)
        Time since the start of the record, h; the first row is 0.05.
    values : ndarray of shape (n_rows, 53)
        Measurements and valve positions, in the order of `INPUT_NAMES`.
    shutdown : float or None
        Hour at which the plant shut itself down, which ends the record.
    """
    base = MODES[mode].set_points()
    offsets = {name: rng.uniform(-half, half) for name, half in SET_POINT_SPREAD.items()}
    offsets["production_rate"] *= base.production_rate
    set_points = replace(base, **{name: getattr(base, name) + by for name, by in offsets.items()})
    # The simulator's generator is multiplicative, modulo 2**32: even seeds would shorten its period.
    plant = Plant(settled(mode), seed=2 * int(rng.integers(2**31)) + 1)
    valves, idv, rows = np.array(MODES[mode].fixed_valves), np.zeros(N_DISTURBANCES), []
    for _ in range(round(WARM_UP / CONTROL_INTERVAL)):
        if plant.step(set_points, valves, idv):
            raise RuntimeError(f"simulate: mode {mode} shut down during its warm-up, without a fault.")
    if fault:
        idv[fault - 1] = 1.0
    shutdown = None
    for step in range(1, round(hours / CONTROL_INTERVAL) + 1):
        if plant.step(set_points, valves, idv):
            shutdown = step * CONTROL_INTERVAL
            break
        if step % SAMPLE_STEPS == 0:
            rows.append(np.r_[plant.measurements, plant.action])
    hour = np.arange(1, len(rows) + 1) * SAMPLE_STEPS * CONTROL_INTERVAL
    return hour, np.array(rows).reshape(-1, 53), shutdown
