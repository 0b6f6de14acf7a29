"""BearingGeometry: from the dimensions of a rolling bearing to the orders at which its faults knock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sktransfer.utils.parameters import is_number, is_whole

_FEWEST_ROLLERS = 3
_ROUNDING = 1.01  # rollers side by side may overlap by so much: catalogues round dimensions


@dataclass(frozen=True)
class BearingGeometry:
    r"""Dimensions of a rolling bearing, and its fault orders in multiples of the shaft's speed.

    With `n` rollers of diameter `d` on a pitch circle of diameter `D`, contact angle `a`, and the outer race at rest:

    ======================  ========================================
    BPFO, outer race        ``n / 2 * (1 - d / D * cos(a))``
    BPFI, inner race        ``n / 2 * (1 + d / D * cos(a))``
    BSF, spin of a roller   ``D / (2 * d) * (1 - (d / D * cos(a))**2)``
    FTF, cage               ``1 / 2 * (1 - d / D * cos(a))``
    ======================  ========================================

    Parameters
    ----------
    n_rollers : int
        Balls or rollers in one row.
    roller_diameter, pitch_diameter : float
        In mm, or both in any other unit. The pitch circle runs through the centres of the rollers; its diameter is
        close to the mean of bore and outer diameter.
    contact_angle : float, default=0.0
        In degrees; 0 for deep-groove ball bearings and cylindrical rollers.

    Attributes
    ----------
    orders : tuple of four float
        BPFO, BPFI, BSF, FTF.

    Raises
    ------
    ValueError
        If there is no such bearing: fewer than three rollers, a diameter that is no positive number, rollers that do
        not fit on the pitch circle, or an angle outside 0 to 90 degrees.

    See Also
    --------
    Windows : Takes such an object for its field ``orders``, as ``SlidingWindows.cut`` does.

    Notes
    -----
    McFadden & Smith, J. Sound Vib. 96 (1984), doi 10.1016/0022-460X(84)90595-9; Randall & Antoni, Mech. Syst. Signal
    Process. 25 (2011), doi 10.1016/j.ymssp.2010.07.017. Rollers slip, so that measured orders lie within one or two
    percent of these. A damaged ball hits both races in one turn: look for it at twice the BSF, which some tables list
    as the ball's order.

    Examples
    --------
    A deep-groove ball bearing SKF 6205:

    >>> from sktransfer import BearingGeometry
    >>> bearing = BearingGeometry(n_rollers=9, roller_diameter=7.94, pitch_diameter=39.04)
    >>> [round(order, 3) for order in bearing.orders]
    [3.585, 5.415, 2.357, 0.398]
    """

    n_rollers: int
    roller_diameter: float
    pitch_diameter: float
    contact_angle: float = 0.0

    def __post_init__(self) -> None:
        if not is_whole(self.n_rollers) or self.n_rollers < _FEWEST_ROLLERS:
            raise ValueError(
                f"BearingGeometry: n_rollers is a whole number of at least {_FEWEST_ROLLERS}, got {self.n_rollers!r}."
            )
        for name in ("roller_diameter", "pitch_diameter"):
            value = getattr(self, name)
            if not is_number(value) or not 0 < value < math.inf:
                raise ValueError(f"BearingGeometry: {name} is a positive number, such as mm, got {value!r}.")
        angle = self.contact_angle
        if not is_number(angle) or not 0 <= angle < 90:
            raise ValueError(
                f"BearingGeometry: contact_angle is a number of degrees from 0 to below 90, got {angle!r}."
            )
        ratio = self.roller_diameter / self.pitch_diameter
        if ratio >= 1 or self.n_rollers * math.asin(ratio) > math.pi * _ROUNDING:
            raise ValueError(
                f"BearingGeometry: {self.n_rollers} rollers of diameter {self.roller_diameter:g} do not fit on a pitch "
                f"circle of diameter {self.pitch_diameter:g}. Give diameters, not radii, both in one unit."
            )

    @property
    def orders(self) -> tuple[float, float, float, float]:
        """BPFO, BPFI, BSF and FTF in multiples of the shaft's speed."""
        ratio = self.roller_diameter / self.pitch_diameter
        share = ratio * math.cos(math.radians(self.contact_angle))
        cage = (1 - share) / 2
        return self.n_rollers * cage, self.n_rollers * (1 + share) / 2, (1 - share**2) / (2 * ratio), cage

    # usable wherever four orders are: as an array, and as a sequence
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.orders, dtype=dtype)

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[float]:
        return iter(self.orders)
