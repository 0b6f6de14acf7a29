"""OnnxModel: an exported pipeline, scored with onnxruntime, numpy and pandas alone.

::

    file --> onnxruntime; manifest in its metadata (classes, columns, units, what it refuses)
    X --same columns? numbers? finite?--> float64, some thousand rows at once --> outputs --finite?--> labels

onnxruntime looks at nothing: NaN in is NaN out. The checks here are those of the library, and give its sentences.
This file imports neither torch nor scikit-learn.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from sktransfer.utils.chunks import in_chunks
from sktransfer.validation.unusable import columns_of, compare_names, refuse_unusable, unusable_column

MANIFEST = "sktransfer"  # key in the metadata of the file
FORMAT = 1
_CHUNK, _CHUNK_VALUES = 16_384, 2**20  # rows of a table, and numbers of windows, that are computed at once
_NAME = "OnnxModel"


class OnnxModel:
    """Score rows or windows with a file of :func:`sktransfer.export_onnx`.

    Parameters
    ----------
    path : str or path
        The ONNX file.
    n_jobs : int, default=1
        Threads of onnxruntime.

    Attributes
    ----------
    manifest_ : dict
        What the file says of itself: ``kind``, ``classes``, ``columns``, ``units``, ``versions``, ``weights_sha256``,
        and what was compared at export.
    classes_ : ndarray of shape (n_classes,)
        Classes in the order of the columns of ``predict_proba``, of the type that they had in ``fit``; only of a
        classifier.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names; only where the pipeline knew them.
    n_features_in_ : int
        Number of columns, or of channels.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    ValueError
        If the file is damaged, or was not written by ``export_onnx``.

    See Also
    --------
    sktransfer.export_onnx : Writes such files.

    Notes
    -----
    It needs onnxruntime and numpy. It refuses what the pipeline refuses, and gives no warnings about the data (stuck
    sensors, rows out of range): these need what a fit has seen. Probabilities of rows out of range are lowered as
    those of the pipeline.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sktransfer import BaselineScaler, OnnxModel, TransferClassifier, export_onnx, make_pipeline
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = np.where(X[:, 0] > 0, "leak", "normal")
    >>> pipeline = make_pipeline(BaselineScaler(), TransferClassifier(max_epochs=2, random_state=0)).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = OnnxModel(export_onnx(pipeline, f"{folder}/pump.onnx", X=X))
    >>> bool((model.predict(X) == pipeline.predict(X)).all())
    True
    """

    def __init__(self, path: str | os.PathLike, *, n_jobs: int = 1):
        self._set(Path(path).read_bytes(), str(path), n_jobs)

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "these bytes") -> OnnxModel:
        """The model of the content of a file; `name` stands for it in messages."""
        model = object.__new__(cls)
        model._set(content, name, 1)
        return model

    def _set(self, content: bytes, name: str, n_jobs: int) -> None:
        self._session = _session(content, name, n_jobs)
        described = self._session.get_modelmeta().custom_metadata_map.get(MANIFEST)
        if described is None:
            raise ValueError(f"{_NAME}: {name} has no manifest of sktransfer. Write it with export_onnx.")
        self.manifest_: dict[str, Any] = json.loads(described)
        if self.manifest_["format"] > FORMAT:
            raise ValueError(
                f"{_NAME}: {name} was written in format {self.manifest_['format']}; this version reads up to {FORMAT}. "
                "Upgrade sktransfer."
            )
        (given,) = self._session.get_inputs()
        self._shape = tuple(given.shape[1:])
        self.n_features_in_ = int(self._shape[0])
        if self.manifest_["classes"] is not None:
            self.classes_ = np.array(self.manifest_["classes"], dtype=self.manifest_["classes_dtype"])
        if self.manifest_["columns"] is not None:
            self.feature_names_in_ = np.array(self.manifest_["columns"], dtype=object)

    @property
    def takes_windows(self) -> bool:
        """Whether it takes windows, and not rows."""
        return len(self._shape) > 1

    def predict(self, X: Any) -> np.ndarray:
        """Class, or value, of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            In the units of ``fit``; a frame with its columns, or an array. No row is allowed.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Raises
        ------
        AttributeError
            If the pipeline has no ``predict``.
        ValueError
            If columns or channels differ from those of ``fit``, or a value is missing, infinite or too large.
        """
        self._require("predict", ("classifier", "regressor"))
        found = self._run(X, 0)
        if self.manifest_["kind"] == "regressor":
            return found if self.manifest_["is_2d"] else found.reshape(len(found))
        return found.astype(self.classes_.dtype)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class, shape (n_samples, n_classes); parameters and errors as :meth:`predict`."""
        self._require("predict_proba", ("classifier",))
        if not self.manifest_["has_probabilities"]:
            raise AttributeError(f"{_NAME}: the exported pipeline has no predict_proba.")
        return self._run(X, 1)

    def transform(self, X: Any) -> np.ndarray:
        """Transformed rows, shape (n_samples, n_features_out); parameters and errors as :meth:`predict`."""
        self._require("transform", ("transformer",))
        return self._run(X, 0)

    def _require(self, method: str, kinds: tuple[str, ...]) -> None:
        if self.manifest_["kind"] not in kinds:
            raise AttributeError(f"{_NAME}: the exported pipeline is a {self.manifest_['kind']} without {method}.")

    def _run(self, X: Any, place: int) -> np.ndarray:
        """One output of all rows, computed in parts."""
        rows = self._check(X)
        output, (given,) = self._session.get_outputs()[place], self._session.get_inputs()
        if not len(rows):
            sizes = [size for size in output.shape[1:] if isinstance(size, int)]
            return np.empty((0, *sizes), dtype=object if output.type == "tensor(string)" else np.float64)
        parts = []
        for part in in_chunks(len(rows), _CHUNK if rows.ndim == 2 else max(1, _CHUNK_VALUES // rows[0].size)):
            (found,) = self._session.run([output.name], {given.name: np.ascontiguousarray(rows[part])})
            if found.dtype.kind == "f" and not np.isfinite(found).all():
                raise ValueError(f"{_NAME}: the network returned values that are not finite for these rows.")
            parts.append(found)
        return np.concatenate(parts)

    def _check(self, X: Any) -> np.ndarray:
        """Rows or windows, float64, or an error that says what is in the way."""
        names, columns = self.manifest_["columns"], columns_of(X)
        compare_names(_NAME, names, columns, "model.feature_names_in_")
        if wrong := unusable_column(X):
            raise ValueError(f"{_NAME} {wrong}")
        array = np.asarray(X.to_numpy() if columns is not None and hasattr(X, "to_numpy") else X, dtype=np.float64)
        if array.ndim != 1 + len(self._shape):
            expected = "(n_samples, n_features)" if len(self._shape) == 1 else "(n_windows, n_channels, window_length)"
            raise ValueError(f"{_NAME} got X of shape {array.shape}, but it takes {expected}.")
        if array.shape[1] != self.n_features_in_:
            words = "features" if array.ndim == 2 else "channels"
            raise ValueError(
                f"X has {array.shape[1]} {words}, but {_NAME} is expecting {self.n_features_in_} {words} as input."
            )
        if array.shape[1:] != self._shape:
            raise ValueError(
                f"{_NAME} got windows of {array.shape[2]} samples, but it was exported for windows of "
                f"{self._shape[1]}. Cut windows of that length, or export it again with such windows as X."
            )
        if array.size:
            names = names or [f"x{j}" for j in range(array.shape[1])]
            largest, takes_nan = self.manifest_["largest"], self.manifest_["takes_nan"]
            remedy = "Drop the row or window, or mark such values as missing."
            refuse_unusable(_NAME, array, lambda: names, allow_nan=takes_nan, largest=largest, remedy=remedy)
        return array


def _session(content: bytes, name: str, n_jobs: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f'{_NAME} needs onnxruntime: pip install "sktransfer[onnx-run]".') from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_jobs, 1
    options.log_severity_level = 3  # errors; warnings of onnxruntime are about its own optimisations
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's classes of errors share no other base
        raise ValueError(f"{_NAME}: {name} cannot be read as an ONNX file: {error}") from error
