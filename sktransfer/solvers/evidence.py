"""How probable labels are under a head that may change a little, with the change integrated out.

::

    features, labels --> log p(labels | head W0, b0; change ~ N(0, 1 / alpha)), the best of some alphas
                         by Laplace's approximation on the side of the rows (laplace.py)

Two heads that are compared this way need no rows held out: a head that explains the labels without any change is
more probable than one that has to be changed, and a head that contradicts them is less probable than zero.
"""

from __future__ import annotations

import numpy as np

from sktransfer.solvers.laplace import LaplacePath
from sktransfer.solvers.logistic import ALPHAS
from sktransfer.solvers.row_space import RowSpace

EVIDENCE_ALPHAS = ALPHAS[::2]  # the best of whole decades: heads are told apart by nats, not by tenths of them


class LogEvidence:
    """Log evidence of labels, for any number of heads on the same rows.

    Parameters
    ----------
    features : ndarray of shape (n_samples, d)
        Standardised features, float64.
    codes : ndarray of shape (n_samples,)
        Class numbers, from 0 to ``n_classes - 1``.
    weight : ndarray of shape (n_samples,)
        Row weights, above zero; a weight of two counts as two rows.
    n_classes : int

    References
    ----------
    MacKay (1992). The evidence framework applied to classification networks. Neural Computation 4(5), 720-736.
    doi:10.1162/neco.1992.4.5.720.
    """

    def __init__(self, features: np.ndarray, codes: np.ndarray, weight: np.ndarray, n_classes: int):
        self.features, self.weight, self.onehot = features, weight, np.eye(n_classes)[codes]
        self._rows = RowSpace(features).rows

    def __call__(self, W0: np.ndarray, b0: np.ndarray) -> float:
        """Log evidence, in nats, of the head ``(W0, b0)`` of shape (n_classes, d) and (n_classes,).

        Minus infinity where it cannot be computed in float64, because features differ too much in size.
        """
        path = LaplacePath(self._rows, self.features @ W0.T + b0, self.onehot, self.weight)
        best = -np.inf
        for alpha in EVIDENCE_ALPHAS:
            try:
                found = path.log_evidence(float(alpha))
            except np.linalg.LinAlgError:
                return -np.inf
            if found < best:  # it rises, then falls
                break
            best = found
        return best
