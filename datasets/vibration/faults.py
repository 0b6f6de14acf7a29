"""The faults by name, and what each needs of a machine.

FAULTS --> (family, part of the machine, whether a slow sensor shows it, function: run of the machine -> Excitation)
"""

from dataclasses import dataclass
from typing import Any

from datasets.vibration import bearing_faults
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
    """

    family: str
    excite: Any = None
    part: str | None = None
    low_rate: bool = False


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
    "ball": Fault("bearing", _bearing("ball")),
    "cage": Fault("bearing", _bearing("cage")),
}
