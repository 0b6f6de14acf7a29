"""Where the head of a fit begins, worked out once a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class HeadStart:
    """How a head begins, with ``"auto"`` resolved, and what it knows of the source.

    Parameters
    ----------
    init : {"source", "auto", "imprint", "random", "zero"}
        As in :class:`sktransfer.LinearHead`; ``"zero"``: rows of zeros, with biases that say how common classes are.
    normalize : {"source", "target", "none"}
        By whose statistics features are standardised.
    mean, scale : ndarray of shape (n_features,)
        These statistics, in the precision in which the head holds them.
    weight, bias : ndarray of shape (n_outputs, n_features) and (n_outputs,)
        The source head on standardised features; zero in rows that the source did not know.
    known : ndarray of bool of shape (n_outputs,)
        Rows that the source knew.
    used : ndarray of bool of shape (n_features,)
        Features that the head may use. The head divides the others by so large a number that they are zero.
    match : SourceMatch or None
        How the rows of the source head were found.
    """

    init: str
    normalize: str
    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    known: np.ndarray
    used: np.ndarray
    match: Any = None
