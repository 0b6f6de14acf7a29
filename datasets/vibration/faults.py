"""The faults by name, and what each needs of a machine.

FAULTS --> (family, part of the machine, whether a slow sensor shows it, function: run of the machine -> Excitation)
"""

from dataclasses import dataclass
from typing import Any

from datasets.vibration import bearing_faults, gear_faults, motor_faults, pump_faults, rotor_faults
from datasets.vibration.excitation import Excitation


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes
    ----------
    family : str
        Group of faults.
    excite : callable or None
        ``excite(rng, machine, run, severity, **details)`` returns an `Excitation`.
    part : str or None
        Field of the machine that must be there: "teeth", "vanes" or "motor".
    low_rate : bool
        Whether a sensor of 50 to 1000 Hz can show it.
    level : float
        By how much it is stronger than a damaged race of the same severity, dB.
    """

    family: str
    excite: Any = None
    part: str | None = None
    low_rate: bool = False
    level: float = 0.0


def _bearing(name):
    def excite(rng, machine, run, severity, **details):
        damage = bearing_faults.Damage.draw(rng, name, severity, **details)
        where, areas = bearing_faults.impacts(rng, name, machine.bearing, damage, run.slip, run.span)
        return Excitation(instants=run.instants(where), areas=areas)

    return excite


FAULTS = {
    "healthy": Fault("healthy", low_rate=True),
    "inner": Fault("bearing", _bearing("inner")),
    "outer": Fault("bearing", _bearing("outer")),
    # Damage on a roller passes its shock through an oil film on either side and often misses the races: the weakest of
    # all signatures. W. A. Smith, R. B. Randall, Mechanical Systems and Signal Processing 64-65, 2015,
    # doi:10.1016/j.ymssp.2015.04.021, found the spectra of ball faults the least often diagnosable.
    "ball": Fault("bearing", _bearing("ball"), level=-12.0),
    "cage": Fault("bearing", _bearing("cage")),
    "lubrication": Fault("bearing", bearing_faults.lubrication),
    "gear_wear": Fault("gear", gear_faults.wear, part="teeth"),
    "gear_tooth": Fault("gear", gear_faults.tooth, part="teeth"),
    "unbalance": Fault("rotor", rotor_faults.unbalance, low_rate=True),
    "misalignment": Fault("rotor", rotor_faults.misalignment, low_rate=True),
    "looseness": Fault("rotor", rotor_faults.looseness, low_rate=True),
    "rub": Fault("rotor", rotor_faults.rub, low_rate=True),
    "broken_bar": Fault("motor", motor_faults.broken_bar, part="motor", low_rate=True),
    "eccentricity": Fault("motor", motor_faults.eccentricity, part="motor", low_rate=True),
    "cavitation": Fault("pump", pump_faults.cavitation, part="vanes"),
    "vane": Fault("pump", pump_faults.vane, part="vanes"),
}
