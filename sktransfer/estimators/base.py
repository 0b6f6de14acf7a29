"""The one path that both estimators share: check, fit, predict; and the state on disk.

::

    X, y --check--> float32 rows, encoded labels, weights; the backbone
                        |
                      fit: `training/fit.py`
                        |
                    FitResult --set_fitted--> fitted attributes, Predictor: nothing is set unless all went well
                                                 |
    X --check--> rows in chunks ------------ Predictor --> outputs, and the confidence weight of each row

On disk an estimator is primitives, numpy arrays, versions and checksums: its parameters and fitted attributes, and of
the network the arrays of `backbone_` and of the head, from which it is made ready again when it is first used. No torch
object is stored, so a file from a CUDA box loads on a CPU box, and joblib, pickle and skops files hold the same state.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.by_tag import BLOCKS, resolve_block
from sktransfer.backbones.check_input import (
    check_input,
    prepared,
    tag_dimensions,
)
from sktransfer.backbones.from_scratch import FromScratch, open_backbone
from sktransfer.backbones.persistence import content_key
from sktransfer.exceptions import ModelFileError
from sktransfer.inference.foreign_rows import look_foreign, warn_of_foreign
from sktransfer.inference.predictor import Predictor
from sktransfer.networks.heads import LinearHead, MLPHead
from sktransfer.strategies.base import Strategy
from sktransfer.training.rows import TrainingRows, as_ratios, count_batches, merge_copies
from sktransfer.utils.callbacks import CallbackSupport
from sktransfer.utils.checksums import Checksummed, seal, unseal
from sktransfer.utils.chunks import chunk_of
from sktransfer.utils.device import resolve_device
from sktransfer.utils.model_version_warning import ModelVersionWarning
from sktransfer.utils.parameters import Interval, Options, StrOptions, TorchDevice, check_callbacks
from sktransfer.utils.random import draw_seed
from sktransfer.utils.threads import capped_threads
from sktransfer.utils.versions import minor_versions, running_versions
from sktransfer.validation.quality import warn_of_quality
from sktransfer.validation.rows import check_rows, check_weights, column_names, to_float32

if TYPE_CHECKING:
    from sktransfer.networks.transfer_module import TransferModule
    from sktransfer.training.fit import FitResult
    from sktransfer.training.tasks import Classification, Regression

STATE_FORMAT = 1
_NOT_STORED = ("_predictor", "device_", "_skl_callbacks", "_parent_callback_ctx", "_read")


class TransferEstimator(Checksummed, CallbackSupport, BaseEstimator):
    """What `TransferClassifier` and `TransferRegressor` share."""

    _predictor: Predictor  # only where it is fitted
    backbone_: Backbone
    device_: str
    n_outputs_: int

    _learns = True  # from the rows of `fit`

    # In which a fit computes. Tests set float64, in which two ways to compute the same thing agree digit by digit.
    _dtype: type[np.floating] = np.float32

    _parameter_constraints: dict[str, Any] = {
        "backbone": [Backbone, FromScratch, str, os.PathLike, None],
        "block": [StrOptions(set(BLOCKS))],
        "head": [LinearHead, MLPHead, None],
        "strategy": [Strategy, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), Options(str, {"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(str, {"auto"})],
        "callbacks": [list, tuple, None],
        "device": [str, TorchDevice()],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "random_state": ["random_state", np.random.Generator],
    }

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        # imported where something is fitted, never for predict: all that trains needs torch
        from sktransfer.training.fit import fit

        self._forget()
        self._check_parameters()
        seed = draw_seed(self.random_state)
        rows, task, resolved = self._check(X, y, sample_weight, seed)
        with capped_threads(self.n_jobs):
            return self._set_fitted(fit(self, rows, task, resolved, seed))

    def _forget(self) -> None:
        """Leave nothing of an earlier fit: an interrupted fit must not look like a finished one."""
        for name in [key for key in self.__dict__ if key.endswith("_") and not key.startswith("_")]:
            delattr(self, name)
        self.__dict__.pop("_predictor", None)

    # ---- check

    def _check(
        self, X: Any, y: Any, sample_weight: Any, seed: int, resolver: Callable[..., Any] = resolve_block
    ) -> tuple[TrainingRows, Classification | Regression, tuple[Backbone, bool]]:
        """Training rows, the task that `y` sets, and the backbone with whether it is untrained.

        A search passes a `resolver` that makes each network once.
        """
        name = type(self).__name__
        if y is None:
            raise ValueError(f"{name} requires y to be passed, but the target y is None.")
        opened = open_backbone(self.backbone)
        X = check_input(self, X, opened, reset=True)
        names = column_names(self, X.shape[1])
        weight = check_weights(self, sample_weight, X)
        y, task = self._check_y(y, weight, len(X))
        warn_of_quality(name, X, names if X.ndim == 2 else [])
        backbone, untrained = resolver(self, opened, X.shape[1:], seed)
        rows = task.weigh(merge_copies(prepared(name, X, backbone, names, self._dtype), y, weight))
        rows = as_ratios(rows, weight)
        if len(rows.X) < 2:
            raise ValueError(f"{name} needs at least 2 different rows with a weight above zero; got 1 sample.")
        self.fits_source_ = untrained or not look_foreign(backbone, rows.X, self.device, self.n_jobs)
        if not self.fits_source_:
            warn_of_foreign(name, backbone, len(X), learned=False)
        return rows, task, (backbone, untrained)

    def _check_parameters(self) -> None:
        self._validate_params()
        resolve_device(self.device)
        check_callbacks(type(self).__name__, self.callbacks)

    # ---- train

    def _batch_size(self, n_rows: int) -> int:
        """``batch_size``, or the largest power of two with at least 14 batches, between 32 and 256."""
        if self.batch_size != "auto":
            return int(self.batch_size)
        return int(np.clip(2 ** int(np.log2(max(n_rows / 14, 1))), 32, 256))

    def _n_epochs(self, n_rows: int) -> int:
        """``max_epochs``, or enough of them for about a thousand steps, between 10 and 500."""
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        steps = count_batches(n_rows, self._batch_size(n_rows))
        return int(np.clip(-(-1000 // steps), 10, 500))

    # ---- predict

    def _ready(self, X: Any) -> Any:
        """The estimator that answers for `X`: this one."""
        return self

    def _set_fitted(self, result: FitResult) -> Any:
        """Set the fitted attributes; returns the estimator."""
        self.device_, self.n_outputs_ = str(result.module.device), result.n_outputs
        self.backbone_, self.history_, self.n_iter_ = result.backbone, result.history, result.n_iter
        self._predictor = Predictor(result.backbone, result.head, result.n_outputs, module=result.module)
        return self

    @property
    def module_(self) -> TransferModule:
        """The fitted network as a torch module on ``device_``."""
        if "_predictor" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} is not fitted, so it has no module_.")
        return self._predictor.module_on(self.device_)

    def _outputs(self, X: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Outputs of shape (n_samples, n_outputs), float64, and the confidence weight of each row; None: all one."""
        X, checked = self._rows(X)
        if len(X) <= chunk_of(X):
            parts: list[tuple[np.ndarray, np.ndarray | None]] = []
            self._run(X, checked, lambda rows, *found: parts.append(found))
            return parts[0]
        outputs, confidence = np.empty((len(X), self.n_outputs_)), np.ones(len(X))

        def keep(rows: slice, found: np.ndarray, weights: np.ndarray | None) -> None:
            outputs[rows] = found
            if weights is not None:
                confidence[rows] = weights

        self._run(X, checked, keep)
        return outputs, confidence

    def _rows(self, X: Any) -> tuple[np.ndarray, bool]:
        """`X` as an array, and whether its cells have been checked.

        A plain array of the columns of ``fit`` is taken as it is: scikit-learn's checks could only find fault with
        single cells, which :meth:`_run` looks at anyway, and take longer than a small network.
        """
        plain = (
            type(X) is np.ndarray
            and X.dtype in (np.float64, np.float32)
            and len(X) > 0
            and "_predictor" in self.__dict__
            and X.ndim == 2 == self.backbone_.n_dimensions
            and X.shape[1] == self.n_features_in_
            and "feature_names_in_" not in self.__dict__
        )
        if not plain:
            check_is_fitted(self)
            X = check_input(self, X, self.backbone_, reset=False)
        if not self.__dict__.get("fits_source_", True):
            warn_of_foreign(type(self).__name__, self.backbone_, len(X), learned=self._learns)
        return X, not plain

    def _run(self, X: np.ndarray, checked: bool, use: Callable[[slice, np.ndarray, np.ndarray | None], None]) -> None:
        """Call `use` with the slice, the outputs and the confidence weights (None: all one) of each chunk of rows."""
        name = type(self).__name__

        def refuse() -> None:
            if not checked:
                check_rows(self, X, reset=False)
            to_float32(name, X, column_names(self, X.shape[1]))

        self.device_ = self._predictor.outputs(name, X, self.device, self.n_jobs, refuse=refuse, use=use)

    def __sklearn_is_fitted__(self) -> bool:
        return "_predictor" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        return tag_dimensions(super().__sklearn_tags__(), self.backbone)

    # ---- on disk

    def __getstate__(self) -> dict[str, Any]:
        state = {key: value for key, value in self.__dict__.items() if key not in _NOT_STORED}
        if "_predictor" in self.__dict__:
            state["_fitted_head"], state["_head_arrays"] = self._predictor.head, self._predictor.arrays
        else:
            state["_content"] = content_key(self.backbone)
        state["_saved_with"] = running_versions()
        state["_state_format"] = STATE_FORMAT
        return seal(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        name = type(self).__name__
        state = unseal(name, state)
        found = state.pop("_state_format", None)
        if not isinstance(found, int) or found > STATE_FORMAT:
            raise ModelFileError(
                f"This {name} was written in state format {found!r}; this version reads up to {STATE_FORMAT}. "
                "Upgrade sktransfer."
            )
        state.pop("_content", None)
        if "block" in self._parameter_constraints:
            state.setdefault("block", "pooled")  # files from before there was a choice
        saved_with = state.pop("_saved_with")
        head, arrays = state.pop("_fitted_head", None), state.pop("_head_arrays", None)
        self.__dict__.update(state)
        if arrays is not None:
            self._predictor = Predictor(self.backbone_, head, self.n_outputs_, arrays)
            self.device_ = "cpu"
        running = running_versions()
        if minor_versions(saved_with) != minor_versions(running):
            warning = ModelVersionWarning(estimator_name=name, saved_with=saved_with, running=running)
            warnings.warn(warning, stacklevel=2)
