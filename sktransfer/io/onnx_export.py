r"""export_onnx: a fitted pipeline as one ONNX file, compared with the pipeline before it is written.

::

    pipeline --skl2onnx, `onnx_converters.py`--> graph, float64 in --+
    X, edge rows --> pipeline, graph --> equal? --------------------+--> manifest --> file: written whole, or not at all
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.impute import SimpleImputer
from sklearn.utils.validation import check_is_fitted

from sktransfer.exceptions import ModelFileError
from sktransfer.io.onnx_converters import convert_imputer, imputer_shapes, register_onnx_converters
from sktransfer.io.onnx_graph import LEAST_OPSET
from sktransfer.io.onnx_layers import NoOnnxError
from sktransfer.io.onnx_model import FORMAT, MANIFEST, OnnxModel
from sktransfer.io.onnx_parity import compare, edge_rows
from sktransfer.io.onnx_steps import flat_steps
from sktransfer.utils.files import write_atomically
from sktransfer.utils.versions import running_versions
from sktransfer.validation.rows import names_seen
from sktransfer.validation.unusable import LARGEST_INPUT

_NAME = "export_onnx"


def export_onnx(pipeline: Any, path: str | os.PathLike, *, X: Any = None, target_opset: int | None = None) -> Path:
    """Write a fitted pipeline as one ONNX file that scores without torch and scikit-learn.

    The graph takes float64 of shape (n_rows, n_columns), or windows, any number of rows at once. Its first output is
    the label, the value or the transformed row; the second one of a classifier holds the probabilities.

    Parameters
    ----------
    pipeline : fitted estimator or Pipeline
        Of :class:`BaselineScaler`, :class:`FeatureExtractor`, :class:`TransferClassifier`,
        :class:`TransferRegressor`, the other classifiers and regressors of this package with one network, and of all
        that skl2onnx converts.
    path : str or path
        Of the file, such as ``"pump.onnx"``. What is there is replaced, when all is well.
    X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length), optional
        Rows on which the graph must answer as the pipeline does: some hundred of every class. None: only rows that are
        made from what the steps know. Windows are needed for a pipeline of windows, and the file takes windows of
        their length.
    target_opset : int, optional
        Version of the ONNX operators, 18 or later; None: the newest that skl2onnx knows.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ImportError
        If onnx, skl2onnx or onnxruntime are not installed.
    ValueError
        If a step cannot be converted (it is named), a scaler of several machines is not told which of them is meant
        (``target_domain``), or the graph answers otherwise than the pipeline; the error then says the
        largest difference. Nothing is written.
    NotFittedError
        If the pipeline is not fitted.

    See Also
    --------
    OnnxModel : Scores with the file, and checks what goes in and comes out.
    register_onnx_converters : For ``skl2onnx.to_onnx`` without comparison and manifest.

    Notes
    -----
    Compared are the rows of `X`, rows within range, far out of range, at an offset of 1e7 and with NaN; of those that
    are made, the ones that the pipeline refuses are left out. Labels must be equal, probabilities equal to 1e-5, values
    equal to 1e-5 of their size. Of two classes that are equally probable to 1e-5 either is right on made rows.

    Centre and scale are computed in float64, networks in float32, as in the pipeline. The metadata of the file holds
    under ``"sktransfer"``, as JSON, versions, classes, columns, units, the SHA-256 of the weights and the differences
    found.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sktransfer import BaselineScaler, OnnxModel, TransferRegressor, export_onnx, make_pipeline
    >>> X = np.random.default_rng(0).normal(1e5, size=(200, 3))
    >>> wear = X[:, 0] - X[:, 1]
    >>> pipeline = make_pipeline(BaselineScaler(), TransferRegressor(max_epochs=2, random_state=0)).fit(X, wear)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = OnnxModel(export_onnx(pipeline, f"{folder}/wear.onnx", X=X))
    >>> bool(np.allclose(model.predict(X), pipeline.predict(X), atol=1e-4))
    True
    """
    register_onnx_converters()
    check_is_fitted(pipeline)
    array = None if X is None else _as_array(X)
    shape = _shape(pipeline, array)
    content = _converted(pipeline, shape, target_opset)
    manifest = _manifest(pipeline, content)
    model = OnnxModel.from_bytes(_with_manifest(content, manifest), _NAME)
    found = compare(pipeline, model, _groups(pipeline, shape, X, array))
    manifest |= {"takes_nan": found["takes_nan"], "compared": found["compared"]}
    return write_atomically(Path(path), _with_manifest(content, manifest), check=_check)


def _as_array(X: Any) -> np.ndarray:
    return np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X, dtype=np.float64)


def _shape(pipeline: Any, array: np.ndarray | None) -> tuple[int, ...]:
    """Of one row or window."""
    if array is not None:
        return array.shape[1:]
    n_columns = getattr(flat_steps(pipeline)[0], "n_features_in_", None)
    dimensions = [getattr(getattr(step, "backbone_", None), "n_dimensions", 2) for step in flat_steps(pipeline)]
    if n_columns is None or max(dimensions) > 2:
        raise ValueError(f"{_NAME}: this pipeline takes windows, or does not say how many columns; pass some as X.")
    return (int(n_columns),)


def _groups(
    pipeline: Any, shape: tuple[int, ...], X: Any, array: np.ndarray | None
) -> Iterator[tuple[str, Any, np.ndarray]]:
    if array is not None:
        yield "X", X, array
    names = getattr(flat_steps(pipeline)[0], "feature_names_in_", None)
    for name, rows in edge_rows(pipeline, shape, array):
        given: Any = rows
        if names is not None and rows.ndim == 2:
            import pandas as pd

            given = pd.DataFrame(rows, columns=list(names))
        yield name, given, rows


# ---- the graph


def _converted(pipeline: Any, shape: tuple[int, ...], target_opset: int | None) -> bytes:
    from skl2onnx import __max_supported_opset__, convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType

    if target_opset is not None and target_opset < LEAST_OPSET:
        raise ValueError(f"{_NAME}: target_opset is {LEAST_OPSET} or later, got {target_opset}.")
    _refuse_unknown(pipeline)
    opset = target_opset or __max_supported_opset__
    options: Any = {id(pipeline): {"zipmap": False}} if is_classifier(pipeline) else None
    try:
        graph = convert_sklearn(
            pipeline,
            name="pipeline",
            initial_types=[("X", DoubleTensorType([None, *shape]))],
            target_opset={"": opset, "ai.onnx.ml": 3},
            options=options,
            custom_conversion_functions={SimpleImputer: convert_imputer},
            custom_shape_calculators={SimpleImputer: imputer_shapes},
        )
    except NoOnnxError as error:
        raise ValueError(f"{_NAME}: {error}.") from error
    except ValueError:
        raise
    except Exception as error:  # skl2onnx's classes of errors share no other base
        raise ValueError(
            f"{_NAME}: skl2onnx cannot convert this pipeline ({type(error).__name__}: {error}). Name columns by their "
            "numbers in a ColumnTransformer, replace the step, or keep the pipeline as a joblib file."
        ) from error
    return graph.SerializeToString()


def _refuse_unknown(pipeline: Any) -> None:
    """Raise a ValueError that names the steps for which there is no converter."""
    from skl2onnx._parse import sklearn_parsers_map
    from skl2onnx._supported_operators import sklearn_operator_name_map

    known = {*sklearn_parsers_map, *sklearn_operator_name_map}
    unknown = [type(step).__name__ for step in flat_steps(pipeline) if type(step) not in known]
    if unknown:
        raise ValueError(
            f"{_NAME}: there is no ONNX converter for {', '.join(unknown)}. Replace the step by one that has one, do "
            "its work before the file is scored, register a converter with skl2onnx.update_registered_converter, or "
            "keep the pipeline as a joblib file."
        )


# ---- the manifest


def _manifest(pipeline: Any, content: bytes) -> dict[str, Any]:
    steps = flat_steps(pipeline)
    backbone = next((step.backbone_ for step in reversed(steps) if hasattr(step, "backbone_")), None)
    names = names_seen(steps[0])
    kind = "classifier" if is_classifier(pipeline) else "regressor" if is_regressor(pipeline) else "transformer"
    classes = np.asarray(pipeline.classes_) if kind == "classifier" else None
    last = steps[-1]
    scales = hasattr(steps[0], "healthy_baseline") or not hasattr(steps[0], "backbone_")
    return {
        "format": FORMAT,
        "kind": kind,
        "steps": [type(step).__name__ for step in steps],
        "classes": None if classes is None else classes.tolist(),
        "classes_dtype": None if classes is None else classes.dtype.str,
        "has_probabilities": kind == "classifier" and hasattr(pipeline, "predict_proba"),
        "is_2d": bool(getattr(last, "y_was_2d_", getattr(last, "n_outputs_", 1) > 1)),
        "columns": names,
        "units": None if backbone is None or backbone.inputs.units is None else list(backbone.inputs.units),
        "takes_nan": True,  # while it is compared
        "largest": sys.float_info.max if scales else LARGEST_INPUT,
        "weights_sha256": _weights_sha256(content),
        "versions": {**running_versions(), **{name: version(name) for name in ("onnx", "skl2onnx", "onnxruntime")}},
    }


def _weights_sha256(content: bytes) -> str:
    """Of all constants of the graph, in the order in which they stand."""
    import onnx

    digest = hashlib.sha256()
    for tensor in onnx.load_from_string(content).graph.initializer:
        digest.update(tensor.SerializeToString(deterministic=True))
    return digest.hexdigest()


def _with_manifest(content: bytes, manifest: dict[str, Any]) -> bytes:
    import onnx

    graph = onnx.load_from_string(content)
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {MANIFEST: json.dumps(manifest)})
    graph.producer_name, graph.producer_version = "sktransfer", manifest["versions"]["sktransfer"]
    return graph.SerializeToString()


def _check(content: bytes) -> None:
    """What was read back from the disk is what was compared."""
    model = OnnxModel.from_bytes(content, "the file just written")
    if model.manifest_["weights_sha256"] != _weights_sha256(content):
        raise ModelFileError(f"{_NAME}: what was read back from the disk is not what was written.")
