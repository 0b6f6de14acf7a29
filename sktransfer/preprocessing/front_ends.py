"""Front ends by name. A front end computes the input of the first block of a backbone from windows, without weights.

A file names its front end, never its code, as it names its network.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import numpy as np

from sktransfer.preprocessing.envelope_spectra import EnvelopeSpectra

_FRONT_ENDS: dict[str, Callable[[], Callable[[Any], np.ndarray]]] = {"envelope": EnvelopeSpectra}


def front_end(name: str) -> Callable[[Any], np.ndarray]:
    """Return the front end of this name.

    Parameters
    ----------
    name : str
        As in ``Inputs.front_end``.

    Returns
    -------
    callable
        Takes :class:`~sktransfer.Windows` or an array of shape (n_windows, n_channels, window_length), and returns a
        float32 array of shape (n_windows, n_channels, n_numbers).

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    if name not in _FRONT_ENDS:
        near = get_close_matches(str(name), _FRONT_ENDS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"Unknown front end {name!r}.{hint} Known are {sorted(_FRONT_ENDS)}.")
    return _FRONT_ENDS[name]()
