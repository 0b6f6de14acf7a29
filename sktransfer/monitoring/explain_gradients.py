r"""Integrated gradients of a torch network: what each sensor adds, in one pass whatever the number of sensors.

::

    healthy reference --> steps before the network --> z0 --+
                                                            +--> z0 + a (z - z0) --> network --> evidence
    sample ------------> steps before the network --> z  --+           gradient * (z - z0), mean over a
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sktransfer.estimators.base import TransferEstimator

_STEPS = 32  # of the path
_AT_ONCE = 64  # samples


def has_gradients(last: Any) -> bool:
    """Whether an estimator is a network of this package, and takes its input without a front end."""
    ready = isinstance(last, TransferEstimator) and "_predictor" in last.__dict__
    return ready and last.backbone_.inputs.front_end is None


def integrated_gradients(last: Any, kind: str, Z: np.ndarray, Z0: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    r"""What each value adds to the evidence, of the shape of `Z`.

    :math:`(z_j - z_j^0) \int_0^1 \partial f(z^0 + a (z - z^0)) / \partial z_j \, da`, by 32 midpoints. All values of a
    sample sum to the evidence of `Z` minus that of `Z0`.

    Parameters
    ----------
    last : TransferClassifier, TransferRegressor or kin
        Fitted, without a front end.
    kind : {"classifier", "regressor"}
    Z, Z0 : ndarray of shape (n_samples, n_sensors) or (n_samples, n_sensors, window_length)
        Samples and healthy references as the network takes them.
    chosen : ndarray of shape (n_samples,)
        Class or value.

    References
    ----------
    Sundararajan, Taly and Yan (2017). Axiomatic attribution for deep networks. ICML. arXiv:1703.01365.
    """
    import torch

    module = last.module_
    place = torch.device(last.device_)
    # from the network's outputs to the unit of y
    slope = np.broadcast_to(getattr(last, "y_scale_", 1.0) if kind == "regressor" else 1.0, (last.n_outputs_,))
    found = np.empty(Z.shape)
    for start in range(0, len(Z), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        # clipped to what was seen in training, as for predict
        z, z0 = (torch.from_numpy(last._predictor.prepared(one[part], _refuse)[0]).to(place) for one in (Z, Z0))
        code = torch.from_numpy(chosen[part].astype(np.int64)).to(place)
        total = torch.zeros_like(z)
        for step in range(_STEPS):
            at = (z0 + (step + 0.5) / _STEPS * (z - z0)).requires_grad_(True)
            outputs = module(at)
            own = outputs.gather(1, code[:, None])[:, 0]
            if kind == "classifier":
                others = outputs.scatter(1, code[:, None], -torch.inf)
                own = own - torch.logsumexp(others, dim=1)
            total += torch.autograd.grad(own.sum(), at)[0]
        found[part] = ((z - z0) * total / _STEPS).double().cpu().numpy()
    return found * slope[chosen].reshape(-1, *[1] * (Z.ndim - 1))


def _refuse() -> None:
    raise ValueError("explain_sensors: a value is missing, infinite or beyond what a network can take.")
