"""The one path that both estimators share: check, assemble, train, remember; and predict.

::

    X, y --check--> float32 rows, encoded labels, weights
                        |
             --assemble--> --train--> --remember-->     see `_training.py`; nothing is remembered unless all went well
                                          |
    X --check--> rows in chunks --module_--> outputs, and how far to trust them
"""

from __future__ import annotations

import copy
import os
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sktransfer import _validation
from sktransfer._callbacks import CallbackSupport
from sktransfer._device import resolve_device
from sktransfer._parameters import Interval, Options, check_callbacks
from sktransfer._persisted import ArrayState
from sktransfer._range import confidence_weights
from sktransfer._rows import TrainingRows, canonical, count_batches
from sktransfer._tasks import Classification, Regression
from sktransfer._threads import blas_threads, torch_threads
from sktransfer._training import assemble, remember, train
from sktransfer.backbone import Backbone
from sktransfer.from_scratch import FromScratch
from sktransfer.head import LinearHead, MLPHead
from sktransfer.module import TransferModule, in_chunks
from sktransfer.strategy import Strategy


class TransferEstimator(ArrayState, CallbackSupport, BaseEstimator):
    """What `TransferClassifier` and `TransferRegressor` share."""

    _parameter_constraints: dict[str, Any] = {
        "backbone": [Backbone, FromScratch, str, os.PathLike, None],
        "head": [LinearHead, MLPHead, None],
        "strategy": [Strategy, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), Options(str, {"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(str, {"auto"})],
        "callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "verbose": ["verbose"],
        "random_state": ["random_state", np.random.Generator],
    }

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        self._forget()
        rows, task = self._check(X, y, sample_weight)
        with torch_threads(self.n_jobs), blas_threads(self.n_jobs):
            assembly = assemble(self, rows, task)
            history = train(self, assembly, rows, task)
            return remember(self, assembly, history, rows, task)

    def _forget(self) -> None:
        """Leave nothing of an earlier fit: an interrupted fit must not look like a finished one."""
        for name in [key for key in self.__dict__ if key.endswith("_") and not key.startswith("_")]:
            delattr(self, name)
        self.__dict__.pop("_head_in_use", None)

    # ---- check

    def _check(self, X: Any, y: Any, sample_weight: Any) -> tuple[TrainingRows, Classification | Regression]:
        self._check_parameters()
        who = type(self).__name__
        if y is None:
            raise ValueError(f"{who} requires y to be passed, but the target y is None.")
        X = _validation.check_rows(self, X, reset=True)
        names = _validation.column_names(self, X.shape[1])
        weight = _validation.check_weights(self, sample_weight, X)
        y, task = self._check_y(y, weight, len(X))
        _validation.warn_of_quality(who, X, names)
        rows = task.weigh(canonical(_validation.to_float32(who, X, names), y, weight))
        if len(rows.X) < 2:
            raise ValueError(f"{who} needs at least 2 different rows with a weight above zero; got 1 sample.")
        return rows, task

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

    def _outputs(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Outputs of shape (n_samples, n_outputs), float64, and the confidence weight of each row."""
        check_is_fitted(self)
        X = _validation.check_rows(self, X, reset=False)
        who, names = type(self).__name__, _validation.column_names(self, X.shape[1])
        device = resolve_device(self.device)
        module = self._module_on(device)
        outputs, trust = np.empty((len(X), self.n_outputs_)), np.empty(len(X))
        with torch_threads(self.n_jobs):
            for part in in_chunks(len(X)):
                chunk = _validation.to_float32(who, X[part], names)
                outputs[part] = module.run(chunk)
                trust[part] = confidence_weights(chunk, self.backbone_.inputs)
        if not np.isfinite(outputs).all():
            raise ValueError(f"{who}: the network returned values that are not finite for these rows.")
        return outputs, trust

    def _module_on(self, device: torch.device) -> TransferModule:
        if str(device) != self.device_:
            # a new module: another thread may be predicting with the old one
            head = copy.deepcopy(self.module_.head).to(device)
            self.module_ = TransferModule(self.backbone_.modules_on(device), head, self.backbone_.blocks).eval()
            self.device_ = str(device)
        return self.module_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")
