"""Vibration of an induction motor with a broken rotor bar or an eccentric air gap.

    line frequency, speed, slip --> twice the line frequency, pole-pass sidebands, lines of the rotor's bars

S. Nandi, H. A. Toliyat, X. Li, "Condition monitoring and fault diagnosis of electrical motors: a review", IEEE
Transactions on Energy Conversion 20(4), 2005, doi:10.1109/TEC.2005.847955.
"""

import numpy as np

from datasets.vibration.excitation import Excitation, tones

SPREAD = (0.3, 1.0)


def pole_pass(motor, rpm):
    """Return the pole-pass frequency, Hz: number of poles times what the rotor lags behind the field.

    The lag is at least 0.2 % of the line frequency: a motor that turns without load lags a little.
    """
    lag = max(motor.line - rpm * motor.poles / 120.0, 0.002 * motor.line)
    return 2.0 * lag


def broken_bar(rng, machine, run, severity):
    """Return pole-pass sidebands about one and two times the speed, twice the line frequency and the bars' lines."""
    motor = machine.motor
    step = pole_pass(motor, run.rpm)
    twice = 2.0 * motor.line
    carriers = np.array(
        [[1.0, 0.0], [2.0, 0.0], [0.0, twice], [motor.bars, 0.0], [motor.bars, twice], [motor.bars, -twice]]
    )
    weights = np.array([1.0, 0.4, 0.5, 0.5, 0.4, 0.4]) * rng.uniform(0.3, 1.0, 6)
    sides = np.array([-2.0, -1.0, 1.0, 2.0])
    order = np.repeat(carriers[:, 0], 4)
    frequency = (carriers[:, 1][:, None] + sides * step).ravel()
    size = (weights[:, None] * np.array([0.3, 1.0, 1.0, 0.3]) * rng.uniform(0.5, 1.0, (6, 4))).ravel()
    return Excitation(motion=tones(machine, run, order, frequency, size, rng.random(24)), spread=SPREAD)


def eccentricity(rng, machine, run, severity):
    """Return twice the line frequency (static) and its sidebands at the speed (dynamic), and the bars' lines."""
    motor = machine.motor
    twice, dynamic = 2.0 * motor.line, rng.uniform(0.0, 0.8)
    step = pole_pass(motor, run.rpm)
    lines = [
        (0.0, twice, 1.0),
        (1.0, twice, dynamic),
        (-1.0, twice, dynamic),
        (1.0, 0.0, 0.6 * dynamic),
        (0.0, 2.0 * twice, rng.uniform(0.05, 0.4)),
        (0.0, twice + step, rng.uniform(0.0, 0.3)),
        (0.0, twice - step, rng.uniform(0.0, 0.3)),
        (motor.bars, 0.0, rng.uniform(0.0, 0.3)),
        (motor.bars, twice, rng.uniform(0.0, 0.3)),
        (motor.bars, -twice, rng.uniform(0.0, 0.3)),
    ]
    order, frequency, size = np.array(lines).T
    return Excitation(motion=tones(machine, run, order, frequency, size, rng.random(len(lines))), spread=SPREAD)
