r"""What a fitted estimator predicts with: its backbone and head, in numpy, or as a torch module where that is needed.

::

    arrays of backbone and head --layers known--> Program: numpy on the CPU; no torch is imported
                               \-> TransferModule on a device: CUDA, and networks that only torch knows
"""

from __future__ import annotations

import copy
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.weights import Weights
from sktransfer.exceptions import ModelFileError
from sktransfer.inference.numpy_network import NumpyNetwork
from sktransfer.inference.out_of_range import along_channels, ordinary_range
from sktransfer.networks.layers import fits
from sktransfer.validation.rows import LARGEST_INPUT

if TYPE_CHECKING:
    from sktransfer.networks.transfer_module import TransferModule


class _Blocks:
    """Blocks from the input up to some block, in numpy, and the longer sequences that begin with them."""

    def __init__(self) -> None:
        self.network: NumpyNetwork | None = None
        self.longer: WeakKeyDictionary[Weights, _Blocks] = WeakKeyDictionary()


_LOCK = RLock()
_KNOWN = _Blocks()


def blocks_in_numpy(backbone: Backbone, n_blocks: int) -> NumpyNetwork | None:
    """The first `n_blocks` blocks for numpy; None if only torch can compute them.

    Backbones that share their weights share the products, so that a hundred heads on one backbone hold them once. They
    are kept as long as the weights of all these blocks are.
    """
    if backbone._layers is None:
        return None
    parts = list(zip(backbone._layers, backbone._weights, strict=True))[:n_blocks]
    with _LOCK:  # estimators in several threads share one backbone
        known = _KNOWN
        for _, weights in parts:
            known = known.longer.setdefault(weights, _Blocks())
        if known.network is None:
            known.network = NumpyNetwork(parts)
        return known.network


class Predictor:
    """Backbone and head of one fit; both are made ready when first needed, by whichever thread comes first.

    Parameters
    ----------
    backbone : Backbone
    head : LinearHead or MLPHead
        As it was in the fit.
    arrays : Weights
        Of the head.
    n_outputs : int
    module : TransferModule, optional
        Backbone and head as they left the fit.

    Raises
    ------
    ModelFileError
        If the arrays are not those of the head.
    """

    def __init__(
        self, backbone: Backbone, head: Any, arrays: Weights, n_outputs: int, module: TransferModule | None = None
    ):
        self.backbone, self.head, self.arrays, self.n_outputs = backbone, head, arrays, n_outputs
        self._low, self._high = ordinary_range(backbone.inputs, LARGEST_INPUT)
        self._lock = RLock()
        self._module = module
        self._program: NumpyNetwork | None = None
        self._layers = None
        if backbone._layers is not None:
            layers = head.layers(backbone.n_features_out, n_outputs)
            self._layers = layers if layers is not None and fits(layers, arrays) else None
        if self._layers is None and module is None:
            self._module = self._build()  # it says what does not fit

    def is_ordinary(self, rows: np.ndarray) -> bool:
        """Whether every cell is a number within the seen range or near it, so that nothing more need be checked."""
        low, high = self._low, self._high
        if rows.ndim > 2:
            low, high = along_channels(low, rows.ndim), along_channels(high, rows.ndim)
        return bool(((rows >= low) & (rows <= high)).all())  # NaN compares false

    @property
    def program(self) -> NumpyNetwork | None:
        """The network in numpy; None if only torch can compute it."""
        if self._program is None and self._layers is not None:
            with self._lock:
                body = blocks_in_numpy(self.backbone, len(self.backbone.blocks))
                self._program = NumpyNetwork([(self._layers, self.arrays)], below=body)
        return self._program

    def module_on(self, device: str) -> TransferModule:
        """The network in torch; a new object where it moves, because another thread may be using the old one."""
        with self._lock:
            module = self._build() if self._module is None else self._module
            if str(module.device) != device:
                import torch

                from sktransfer.networks.transfer_module import TransferModule

                head = copy.deepcopy(module.head).to(torch.device(device))
                blocks = self.backbone.modules_on(torch.device(device))
                module = TransferModule(blocks, head, self.backbone.blocks).eval()
            self._module = module
            return module

    def _build(self) -> TransferModule:
        import torch

        from sktransfer.networks.transfer_module import TransferModule

        with torch.device("meta"):
            network = self.head.build(self.backbone.n_features_out, self.n_outputs)
        expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        if expected != {key: value.shape for key, value in self.arrays.items()}:
            raise ModelFileError(f"The arrays of the head in this file do not fit its parameters, {self.head!r}.")
        tensors = {key: torch.from_numpy(np.asarray(value)) for key, value in self.arrays.items()}
        network.load_state_dict(tensors, assign=True)
        module = TransferModule(self.backbone._modules, network, self.backbone.blocks)
        return module.eval().requires_grad_(False)
