r"""From a fitted network to outputs and features: numpy or torch is decided here, and nowhere else.

::

    rows, chunk by chunk --> front end, float32 --> in range? --> network --> outputs, confidence weights
                                                                     |
              layers known, and the device is the CPU: NumpyNetwork, no torch is imported
              else: TransferModule on the device
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.weights import Weights
from sktransfer.exceptions import ModelFileError
from sktransfer.inference.numpy_network import FEW_ROWS, NumpyNetwork
from sktransfer.inference.out_of_range import along_channels, confidence_weights, limits_in_range
from sktransfer.networks.layers import fits
from sktransfer.utils.chunks import chunk_of, in_chunks
from sktransfer.utils.device import is_cpu, resolve_device
from sktransfer.utils.locks import ForkableLock
from sktransfer.utils.threads import capped_threads
from sktransfer.validation.unusable import LARGEST_INPUT

if TYPE_CHECKING:
    from sktransfer.networks.transfer_module import TransferModule

Run = Callable[[np.ndarray], np.ndarray]  # from the rows of one chunk to its outputs, or to its features


class Predictor:
    """Backbone and head of one fit; each is made ready when first needed, by whichever thread comes first.

    Parameters
    ----------
    backbone : Backbone
    head : LinearHead or MLPHead
        With its parameters as they were in the fit.
    n_outputs : int
    arrays : Weights, optional
        Of the head; None: those of `module`.
    module : TransferModule, optional
        Backbone and head as the fit left them; None: they are built from the arrays when torch is needed.

    Raises
    ------
    ModelFileError
        If the arrays are not those of the head.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: Any,
        n_outputs: int,
        arrays: Weights | None = None,
        module: TransferModule | None = None,
    ):
        if arrays is None:
            state = {} if module is None else module.head.state_dict()
            arrays = Weights({key: value.detach().cpu().numpy() for key, value in state.items()})
        self.backbone, self.head, self.arrays, self.n_outputs = backbone, head, arrays, n_outputs
        self._dtype = np.float64 if any(array.dtype == np.float64 for array in arrays.values()) else np.float32
        self._low, self._high = limits_in_range(backbone.inputs, LARGEST_INPUT)
        self._lock = ForkableLock()
        self._at_center: np.ndarray | None = None
        self._module = module
        self._network: NumpyNetwork | None = None
        layers = None if backbone.layers is None else head.layers(backbone.n_features_out, n_outputs)
        self._layers = layers if layers is not None and fits(layers, arrays) else None
        if self._layers is None and module is None:
            self._module = self._build()  # it says what does not fit

    def outputs(
        self,
        name: str,
        X: np.ndarray,
        device: Any,
        n_jobs: int | None,
        *,
        refuse: Callable[[], None],
        use: Callable[[slice, np.ndarray, np.ndarray | None], None],
    ) -> str:
        """Compute the outputs of `X` chunk by chunk.

        Each cell is converted once and compared with the training range once. That finds NaN and infinity too, so that
        `X` need not have been looked at before.

        Parameters
        ----------
        name : str
            Class of the estimator, for the error.
        X : ndarray of shape (n_samples, n_features) or (n_samples, n_channels, length)
            Numbers, as the backbone takes them.
        device : str or torch.device
        n_jobs : int or None
            Threads.
        refuse : function
            Called if a cell of a row is NaN, infinite or too large; raises the error that names it.
        use : function
            Gets of each chunk its slice, its outputs of shape (n_rows, n_outputs), float64, and the confidence weights
            of its rows; None: all are one.

        Returns
        -------
        str
            Where the network ran.

        Raises
        ------
        ValueError
            If an output is not finite.
        """
        run, used, threads = _choose(self.network, lambda used: self.module_on(used).run, device, n_jobs, len(X))
        with threads, np.errstate(all="ignore"):  # what overflows is found by comparisons
            for part in in_chunks(len(X), chunk_of(X)):
                rows, weights = self.prepared(X[part], refuse)
                use(part, self.finite(name, np.asarray(run(rows), dtype=np.float64)), weights)
        return used

    def prepared(self, X: np.ndarray, refuse: Callable[[], None]) -> tuple[np.ndarray, np.ndarray | None]:
        """Rows as the first block takes them, and their confidence weights; None: all are one."""
        rows = np.ascontiguousarray(self.backbone.prepare(X), dtype=self._dtype)
        if self.is_in_range(rows):
            return rows, None
        if X.ndim == 2 and not (np.abs(rows) <= LARGEST_INPUT).all():
            refuse()
        weights = confidence_weights(rows, self.backbone.inputs)
        low, high = self._limits(rows.ndim)
        # further out the network was never asked, and what it says there is the shape of its layers
        return np.clip(rows, low, high, dtype=rows.dtype), weights

    def _limits(self, n_dimensions: int) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest value that lowers no confidence, in a shape that goes with such samples."""
        return along_channels(self._low, n_dimensions), along_channels(self._high, n_dimensions)

    @property
    def at_center(self) -> np.ndarray | None:
        """Outputs of a row in the middle of the training range, shape (n_outputs,); None for windows or no range."""
        center = self.backbone.inputs.center
        if center is None or self.backbone.n_dimensions != 2:
            return None
        if self._at_center is None:
            with self._lock:  # where the module is: it is not moved for one row
                used = "cpu" if self._module is None else str(self._module.device)
                run = self.module_on(used).run if self.network is None else self.network.run
                self._at_center = np.asarray(run(center[None].astype(self._dtype)), dtype=np.float64)[0]
        return self._at_center

    @staticmethod
    def finite(name: str, outputs: np.ndarray) -> np.ndarray:
        """`outputs`; a ValueError if one is not finite."""
        if not np.isfinite(outputs).all():
            raise ValueError(f"{name}: the network returned values that are not finite for these rows.")
        return outputs

    def is_in_range(self, rows: np.ndarray) -> bool:
        """Whether every cell is a number that lowers no confidence: within the training range, or near it."""
        low, high = self._limits(rows.ndim)
        return bool(((rows >= low) & (rows <= high)).all())  # NaN compares false

    @property
    def network(self) -> NumpyNetwork | None:
        """The network in numpy; None if only torch can compute it."""
        if self._network is None and self._layers is not None:
            with self._lock:
                below = blocks_in_numpy(self.backbone, len(self.backbone.blocks))
                self._network = NumpyNetwork([(self._layers, self.arrays)], below=below)
        return self._network

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
        module = TransferModule(self.backbone.modules_on(torch.device("cpu")), network, self.backbone.blocks)
        return module.eval().requires_grad_(False)


def features(backbone: Backbone, X: np.ndarray, stop: int, device: Any, n_jobs: int | None, prepare: Run) -> np.ndarray:
    """Features of `X`: what the first `stop` blocks return, computed chunk by chunk.

    Parameters
    ----------
    backbone : Backbone
    X : ndarray of shape (n_samples, n_features) or (n_samples, n_channels, length)
    stop : int
        Number of blocks.
    device : str or torch.device
    n_jobs : int or None
        Threads.
    prepare : function
        From a chunk of `X` to what the first block takes, float32.

    Returns
    -------
    ndarray of shape (n_samples, ...)
        Float32; float64 where few rows were computed in numpy.
    """
    run, _, threads = _choose(
        blocks_in_numpy(backbone, stop), lambda used: _blocks_in_torch(backbone, stop, used), device, n_jobs, len(X)
    )
    with threads, np.errstate(all="ignore"):  # what is not finite is an error of the caller's
        parts = [run(prepare(X[part])) for part in in_chunks(len(X), chunk_of(X))]
    return np.concatenate(parts, dtype=parts[0].dtype, casting="same_kind")


def _choose(
    network: NumpyNetwork | None, in_torch: Callable[[str], Run], device: Any, n_jobs: int | None, n_rows: int
) -> tuple[Run, str, AbstractContextManager[None]]:
    """Numpy where it knows all layers and the device is the CPU, else torch.

    Returns the function that computes a chunk, where it does so, and a cap on the threads that it uses.
    """
    if network is not None and is_cpu(device):
        return network.run, "cpu", nullcontext() if n_rows <= FEW_ROWS else capped_threads(n_jobs)
    used = str(resolve_device(device))
    return in_torch(used), used, capped_threads(n_jobs)


def _blocks_in_torch(backbone: Backbone, stop: int, device: str) -> Run:
    import torch
    from torch import nn

    from sktransfer.networks.transfer_module import TransferModule

    blocks = backbone.modules_on(torch.device(device))
    module = TransferModule(blocks, nn.Identity(), backbone.blocks).eval()
    return lambda rows: module.run(rows, lambda x: module.features(x, stop=stop))


# ---- blocks in numpy, shared


class _Blocks:
    """Blocks from the input up to some block, in numpy, and the longer sequences that begin with them."""

    def __init__(self) -> None:
        self.network: NumpyNetwork | None = None
        self.longer: WeakKeyDictionary[Weights, _Blocks] = WeakKeyDictionary()


_SHARED = _Blocks()
_LOCK = ForkableLock()


def blocks_in_numpy(backbone: Backbone, n_blocks: int) -> NumpyNetwork | None:
    """The first `n_blocks` blocks for numpy; None if only torch can compute them.

    Backbones that share their weights share the products made from these, so that a hundred heads on one backbone hold
    them once. The products are kept as long as the weights of all these blocks are.
    """
    if backbone.layers is None:
        return None
    parts = list(zip(backbone.layers, backbone.weights, strict=True))[:n_blocks]
    with _LOCK:  # estimators in several threads share one backbone
        blocks = _SHARED
        for _, weights in parts:
            longer = blocks.longer.get(weights)
            if longer is None:
                longer = blocks.longer[weights] = _Blocks()
            blocks = longer
        if blocks.network is None:
            blocks.network = NumpyNetwork(parts)
        return blocks.network
