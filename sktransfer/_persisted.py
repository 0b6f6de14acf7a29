"""Fitted estimators on disk: primitives, numpy arrays, versions, and checksums.

``__getstate__`` writes parameters and fitted attributes; the network is written as the arrays of `backbone_` and
of the head, and built again from them on the CPU. No torch object is stored, so a file from a CUDA box loads on a
CPU box, and joblib, pickle and skops files hold the same state.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from sktransfer._state import Weights, minor_versions, running_versions
from sktransfer.backbone import Backbone
from sktransfer.exceptions import ModelFileError, ModelVersionWarning
from sktransfer.module import TransferModule

STATE_FORMAT = 1
_TRANSIENT = ("module_", "device_", "_skl_callbacks", "_parent_callback_ctx")


class ArrayState:
    """Mixin for estimators that hold a fitted `TransferModule` in ``module_``."""

    _head_in_use: Any
    backbone_: Backbone
    n_outputs_: int

    def __getstate__(self) -> dict[str, Any]:
        state = {key: value for key, value in self.__dict__.items() if key not in _TRANSIENT}
        if "module_" in self.__dict__:
            head = self.module_.head
            arrays = {key: value.detach().cpu().numpy() for key, value in head.state_dict().items()}
            state["_fitted_head"] = Weights(arrays)
        state["_saved_with"] = running_versions()
        state["_state_format"] = STATE_FORMAT
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        who = type(self).__name__
        found = state.pop("_state_format", None)
        if not isinstance(found, int) or found > STATE_FORMAT:
            raise ModelFileError(
                f"This {who} was written in state format {found!r}; this version reads up to {STATE_FORMAT}. "
                "Upgrade sktransfer."
            )
        saved_with, head = state.pop("_saved_with"), state.pop("_fitted_head", None)
        self.__dict__.update(state)
        if head is not None:
            self.module_ = self._rebuild(head)
            self.device_ = "cpu"
        running = running_versions()
        if minor_versions(saved_with) != minor_versions(running):
            warnings.warn(ModelVersionWarning(estimator_name=who, saved_with=saved_with, running=running), stacklevel=2)

    def _rebuild(self, arrays: Weights) -> TransferModule:
        backbone = self.backbone_
        with torch.device("meta"):
            network = self._head_in_use.build(backbone.n_features_out, self.n_outputs_)
        expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        if expected != {key: value.shape for key, value in arrays.items()}:
            raise ModelFileError(f"The head stored in this {type(self).__name__} does not fit its parameters.")
        tensors = {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}
        network.load_state_dict(tensors, assign=True)
        module = TransferModule(backbone._modules, network, backbone.blocks)
        return module.eval().requires_grad_(False)


def share_blocks(module: TransferModule, blocks: list[nn.Module]) -> TransferModule:
    """`module` with the blocks of a backbone in place of its own equal ones: one set of weights in memory."""
    shared = TransferModule(blocks, module.head, module.names)
    return shared.eval().requires_grad_(False)
