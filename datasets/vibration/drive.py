"""Sampling rate, speed and what is on the shaft: motor, gear and impeller that fit each other."""

from dataclasses import dataclass

import numpy as np

RATES = (5_000.0, 100_000.0)  # Hz
LOW_RATES = (50.0, 1_000.0)  # Hz, phones and cheap accelerometers
RPM = (100.0, 6_000.0)


@dataclass(frozen=True)
class Motor:
    """An induction motor: line frequency (Hz), number of poles, slip at rated load, number of rotor bars."""

    line: float
    poles: int
    slip: float
    bars: int

    def rpm(self, load):
        """Return the speed at a load, 1/min."""
        return 120.0 * self.line / self.poles * (1.0 - self.slip * load)


def log_uniform(rng, low, high):
    """Return a log-uniform number."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def drive(rng, need, low_rate, per_turn, fixed):
    """Return sampling rate, speed, gear, impeller and motor that fit each other."""
    rate = fixed.get("sampling_rate") or log_uniform(rng, *(LOW_RATES if low_rate else RATES))
    # Samples per turn between 60 and 2500 (5 and 60 at low rates), inside what machines run at.
    most, least = (60.0, 5.0) if low_rate else (2_500.0, 60.0)
    slowest, fastest = max(RPM[0], 60.0 * rate / min(most, per_turn)), min(RPM[1], 60.0 * rate / least)
    slowest = min(slowest, fastest)
    rpm = fixed.get("rpm") or log_uniform(rng, slowest, fastest)
    motor = fixed.get("motor")
    if motor is None and (need == "motor" or rng.random() < 0.4):
        motor = _motor(rng, rate, rpm, () if "rpm" in fixed else (slowest, fastest))
    if motor is not None and "rpm" not in fixed:
        rpm = motor.rpm(1.0)
    vanes = int(rng.integers(3, 10)) if need == "vanes" or rng.random() < 0.3 else 0
    teeth = 0
    if need == "teeth" or (not low_rate and rng.random() < 0.4):  # the mesh lies in the band
        teeth = int(rng.integers(12, np.clip(24.0 * rate / rpm, 14, 100)))
    return {"sampling_rate": rate, "rpm": rpm, "teeth": teeth, "vanes": vanes, "motor": motor}


def _motor(rng, rate, rpm, bounds):
    """Return a motor on the mains where its speed may be chosen, else one whose inverter makes it turn at `rpm`."""
    slip, bars = float(rng.uniform(0.01, 0.05)), int(rng.integers(18, 60))
    pairs = [poles for poles in (2, 4, 6, 8) if poles < 0.45 * 60.0 * rate / rpm] or [2]
    poles, mains = int(rng.choice(pairs)), float(rng.choice([50.0, 60.0]))
    motor = Motor(mains, poles, slip, bars)
    if rng.random() < 0.6 and bounds and bounds[0] <= motor.rpm(1.0) <= bounds[1] and 2.0 * mains < 0.45 * rate:
        return motor
    return Motor(rpm * poles / 120.0 / (1.0 - slip), poles, slip, bars)
