"""Fitted estimators on disk: primitives, numpy arrays, versions, and checksums.

``__getstate__`` writes parameters and fitted attributes; the network is written as the arrays of `backbone_` and
of the head, and made ready again from them when it is first used. No torch object is stored, so a file from a CUDA box
loads on a CPU box, and joblib, pickle and skops files hold the same state.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.weights import Weights
from sktransfer.exceptions import ModelFileError, ModelVersionWarning
from sktransfer.inference.predictor import Predictor
from sktransfer.utils.versions import minor_versions, running_versions

if TYPE_CHECKING:
    from sktransfer.networks.transfer_module import TransferModule

STATE_FORMAT = 1
_TRANSIENT = ("_predictor", "device_", "_skl_callbacks", "_parent_callback_ctx")


class ArrayState:
    """Mixin for estimators that hold a fitted network in ``_predictor``."""

    _head_in_use: Any
    _predictor: Predictor
    backbone_: Backbone
    device_: str
    n_outputs_: int

    @property
    def module_(self) -> TransferModule:
        """The fitted network as a torch module on ``device_``."""
        if "_predictor" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} is not fitted, so it has no module_.")
        return self._predictor.module_on(self.device_)

    @module_.setter
    def module_(self, module: TransferModule) -> None:
        arrays = {key: value.detach().cpu().numpy() for key, value in module.head.state_dict().items()}
        self._predictor = Predictor(self.backbone_, self._head_in_use, Weights(arrays), self.n_outputs_, module)

    def __getstate__(self) -> dict[str, Any]:
        state = {key: value for key, value in self.__dict__.items() if key not in _TRANSIENT}
        if "_predictor" in self.__dict__:
            state["_fitted_head"] = self._predictor.arrays
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
            self._predictor = Predictor(self.backbone_, self._head_in_use, head, self.n_outputs_)
            self.device_ = "cpu"
        running = running_versions()
        if minor_versions(saved_with) != minor_versions(running):
            warnings.warn(ModelVersionWarning(estimator_name=who, saved_with=saved_with, running=running), stacklevel=2)
