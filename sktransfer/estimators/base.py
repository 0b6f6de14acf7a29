"""The one path that both estimators share: check, assemble, train, remember; and predict.

::

    X, y --check--> float32 rows, encoded labels, weights
                        |
             --assemble--> --train--> --remember-->     see `_training.py`; nothing is remembered unless all went well
                                          |
    X --check--> rows in chunks --numpy, or torch--> outputs, and how far to trust them
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.check_input import (
    check_input,
    given_backbone,
    prepared,
    raw_windows,
    tag_dimensions,
)
from sktransfer.backbones.from_scratch import FromScratch
from sktransfer.estimators.persisted import ArrayState
from sktransfer.inference.numpy_network import FEW_ROWS
from sktransfer.inference.out_of_range import confidence_weights
from sktransfer.networks.heads import LinearHead, MLPHead
from sktransfer.strategies.base import Strategy
from sktransfer.training.rows import TrainingRows, count_batches, merge_copies
from sktransfer.utils.callbacks import CallbackSupport
from sktransfer.utils.chunks import chunk_of, in_chunks
from sktransfer.utils.device import is_cpu, resolve_device
from sktransfer.utils.parameters import Interval, Options, TorchDevice, check_callbacks
from sktransfer.utils.precision import number_format
from sktransfer.utils.threads import capped_threads
from sktransfer.validation import rows as _validation
from sktransfer.validation.quality import warn_of_quality

if TYPE_CHECKING:
    from sktransfer.training.tasks import Classification, Regression


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
        "device": [str, TorchDevice()],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "verbose": ["verbose"],
        "random_state": ["random_state", np.random.Generator],
    }

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        # imported where something is fitted, never for predict: all that trains needs torch
        from sktransfer.training.fit import assemble, remember, train

        self._forget()
        rows, task = self._check(X, y, sample_weight)
        with capped_threads(self.n_jobs):
            assembly = assemble(self, rows, task)
            history = train(self, assembly, rows, task)
            return remember(self, assembly, history, rows, task)

    def _forget(self) -> None:
        """Leave nothing of an earlier fit: an interrupted fit must not look like a finished one."""
        for name in [key for key in self.__dict__ if key.endswith("_") and not key.startswith("_")]:
            delattr(self, name)
        for name in ("_head_in_use", "_predictor"):
            self.__dict__.pop(name, None)

    # ---- check

    def _check(self, X: Any, y: Any, sample_weight: Any) -> tuple[TrainingRows, Classification | Regression]:
        self._check_parameters()
        who = type(self).__name__
        if y is None:
            raise ValueError(f"{who} requires y to be passed, but the target y is None.")
        backbone = given_backbone(self.backbone, X)
        X = check_input(self, X, backbone, reset=True)
        names = _validation.column_names(self, X.shape[1])
        weight = _validation.check_weights(self, sample_weight, X)
        y, task = self._check_y(y, weight, len(X))
        warn_of_quality(who, X, names)
        raw = raw_windows(X, backbone, self.strategy)
        rows = task.weigh(merge_copies(prepared(who, X, backbone, names), y, weight, raw))
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

    def _outputs(self, X: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Outputs of shape (n_samples, n_outputs), float64, and the confidence weight of each row; None: all one."""
        X, checked = self._rows(X)
        parts: list[tuple[np.ndarray, np.ndarray | None]] = []
        if len(X) <= chunk_of(X):
            self._run(X, checked, lambda rows, *found: parts.append(found))
            return parts[0]
        outputs, trust = np.empty((len(X), self.n_outputs_)), np.ones(len(X))

        def keep(rows: slice, found: np.ndarray, weights: np.ndarray | None) -> None:
            outputs[rows] = found
            if weights is not None:
                trust[rows] = weights

        self._run(X, checked, keep)
        return outputs, trust

    def _rows(self, X: Any) -> tuple[np.ndarray, bool]:
        """`X` as an array, and whether it has been checked.

        Where scikit-learn's checks could only find fault with single cells, which :meth:`_run` looks at anyway, they
        are left out: they take longer than a small network.
        """
        if (
            type(X) is np.ndarray
            and X.dtype in (np.float64, np.float32)
            and len(X) > 0
            and "_predictor" in self.__dict__
            and X.ndim == 2 == self.backbone_.n_dimensions
            and X.shape[1] == self.n_features_in_
            and "feature_names_in_" not in self.__dict__
        ):
            return X, False
        check_is_fitted(self)
        return check_input(self, X, self.backbone_, reset=False), True

    def _run(self, X: np.ndarray, checked: bool, use: Callable[[slice, np.ndarray, np.ndarray | None], Any]) -> None:
        """Call `use` with the place, outputs and confidence weights (None: all one) of each chunk of rows."""
        compute, capped = self._computer(len(X))
        is_ordinary, prepare = self._predictor.is_ordinary, self.backbone_.prepare
        with capped, np.errstate(all="ignore"):  # what overflows is found by comparisons
            for part in in_chunks(len(X), chunk_of(X)):
                chunk, trust = np.ascontiguousarray(prepare(X[part]), dtype=number_format()), None
                if not is_ordinary(chunk):
                    if X.ndim == 2:
                        if not checked:
                            _validation.check_rows(self, X, reset=False)
                            checked = True
                        names = _validation.column_names(self, X.shape[1])
                        chunk = _validation.to_float32(type(self).__name__, X[part], names)
                    trust = confidence_weights(chunk, self.backbone_.inputs)
                outputs = np.asarray(compute(chunk), dtype=np.float64)
                if not np.isfinite(outputs).all():
                    raise ValueError(
                        f"{type(self).__name__}: the network returned values that are not finite for these rows."
                    )
                use(part, outputs, trust)

    def _computer(self, n_rows: int) -> tuple[Callable[[np.ndarray], np.ndarray], AbstractContextManager[None]]:
        """What computes outputs of a chunk where the network is to run, and a cap on the threads it uses."""
        predictor = self._predictor
        program = predictor.program if number_format() is np.float32 else None
        if program is not None and is_cpu(self.device):
            self.device_ = "cpu"
            return program.run, nullcontext() if n_rows <= FEW_ROWS else capped_threads(self.n_jobs)
        self.device_ = str(resolve_device(self.device))
        return predictor.module_on(self.device_).run, capped_threads(self.n_jobs)

    def __sklearn_is_fitted__(self) -> bool:
        return "_predictor" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        return tag_dimensions(super().__sklearn_tags__(), self.backbone)
