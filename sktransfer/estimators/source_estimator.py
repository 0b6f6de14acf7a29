"""What SourceClassifier and SourceRegressor share: a backbone with the head that its source task left behind.

::

    X --as the backbone takes it?--> [block 1] -> ... -> features -> [source head] -> outputs

Nothing is learned, so nothing needs to be fitted: what `fit` would check, each `predict` checks where there was none.
"""

from __future__ import annotations

import dataclasses
import os
from numbers import Integral
from typing import Any

import numpy as np

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.check_input import check_input
from sktransfer.backbones.persistence import load_backbone
from sktransfer.backbones.source import Source
from sktransfer.backbones.weights import Weights
from sktransfer.estimators.base import TransferEstimator
from sktransfer.inference.foreign_rows import samples_look_foreign, warn_of_foreign
from sktransfer.inference.predictor import Predictor
from sktransfer.networks.heads import LinearHead
from sktransfer.utils.callbacks import FitTask
from sktransfer.utils.parameters import Interval, Options, TorchDevice
from sktransfer.validation.windows import warn_of_unknown_fields

Rows = tuple[np.ndarray, np.ndarray]  # weight (n_outputs, n_features_out) and bias (n_outputs,) of the source head


class SourceEstimator(TransferEstimator):
    """A backbone with its source head, as an estimator that predicts without labels."""

    backbone: Any
    device: str

    _learns = False

    _parameter_constraints: dict[str, Any] = {
        "backbone": [Backbone, str, os.PathLike, None],
        "device": [str, TorchDevice()],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
    }

    def _chosen(self, backbone: Backbone, source: Source, weight: np.ndarray, bias: np.ndarray) -> Rows:
        """The rows of the source head that are used; a ValueError if it is a head of another kind."""
        raise NotImplementedError

    def _check_labels(self, y: Any, n_rows: int) -> None:
        """Compare labels with what the source head can answer."""
        raise NotImplementedError

    def _fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        with FitTask(self, X, y, 0):
            self._forget()
            self._check_parameters()
            n_rows = len(self._make_ready(X))
            if not self.fits_source_:
                warn_of_foreign(type(self).__name__, self.backbone_, n_rows, learned=False)
            if y is not None:
                self._check_labels(y, n_rows)
            return self

    def _check_parameters(self) -> None:
        self._validate_params()

    def _make_ready(self, X: Any) -> np.ndarray:
        """Set the fitted attributes for samples like `X`; returns these, checked."""
        backbone = self._opened()
        X = check_input(self, X, backbone, reset=True)
        if backbone.inputs.front_end is not None:
            warn_of_unknown_fields(self, X)
        limits, n_channels = backbone.inputs.minimum, self.n_features_in_
        if limits is not None and backbone.inputs.front_end is None and len(limits) != n_channels:
            # a network for any number of channels, trained on another number of them: their ranges say nothing of these
            inputs = dataclasses.replace(backbone.inputs, minimum=None, maximum=None)
            backbone = backbone.describe(inputs=inputs)
        arrays = self._head_arrays(backbone)
        self.backbone_, self.n_outputs_, self.device_ = backbone, len(arrays["output.bias"]), "cpu"
        self._predictor = Predictor(backbone, LinearHead(), self.n_outputs_, arrays)
        self.fits_source_ = not samples_look_foreign(self, backbone, X)
        return X

    def _opened(self) -> Backbone:
        """The backbone that the parameter names; a file is read once."""
        held = self.__dict__.get("_read")
        if held is None or held[0] is not self.backbone:
            name = type(self).__name__
            if self.backbone is None:
                raise ValueError(
                    f"{name} needs a backbone with a source head, got None. Pass one, its file, or a shipped name; "
                    "list_backbones() lists these."
                )
            opened = self.backbone if isinstance(self.backbone, Backbone) else load_backbone(self.backbone)
            held = self._read = (self.backbone, opened)
        return held[1]

    def _head(self, backbone: Backbone) -> tuple[Source, Rows]:
        """What the backbone remembers of its source, and the rows of its head that are used."""
        source = backbone.source
        if source is None or source.weight is None or source.bias is None:
            raise ValueError(
                f"{type(self).__name__}: backbone {backbone.name!r} has no source head, so it predicts nothing without "
                "labels. Pass a backbone that a fit with LinearHead left behind (backbone_), or fit its features to "
                "labelled rows with TransferClassifier or TransferRegressor."
            )
        return source, self._chosen(backbone, source, source.weight, source.bias)

    def _head_arrays(self, backbone: Backbone) -> Weights:
        source, (weight, bias) = self._head(backbone)
        parts = {
            "standardize.mean": source.feature_mean,
            "standardize.scale": source.feature_scale,
            "output.weight": weight,
            "output.bias": bias,
        }
        return Weights({key: np.ascontiguousarray(array, dtype=np.float32) for key, array in parts.items()})

    def _ready(self, X: Any) -> Any:
        """The estimator itself if it was fitted, else a copy of it that is ready for samples like `X`."""
        if "_predictor" in self.__dict__:
            return self
        self._check_parameters()
        self._opened()  # kept by this object, and handed on
        ready = object.__new__(type(self))
        ready.__dict__.update(self.__dict__)
        ready._make_ready(X)
        return ready

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = tags.target_tags.required = False
        return tags
