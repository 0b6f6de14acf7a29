r"""Fitted estimators of this package as ONNX nodes.

::

    BaselineScaler             float64: (x - centre) / scale --> whiten --> signed log --> clip
    FeatureExtractor           float32: blocks --> float64: standardised by the source
    classifiers, regressors    float32: clip to the range --> blocks --> head --> float64: softmax, lowered out of range

Each function gets the name of its input and returns the name of its output.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from sktransfer.exceptions import DataQualityWarning
from sktransfer.inference.numpy_network import folded_steps
from sktransfer.inference.out_of_range import TOLERANCE, along_channels, limits_in_range, middle_and_half_range
from sktransfer.io.onnx_graph import Graph
from sktransfer.io.onnx_layers import NoOnnxError, write_steps
from sktransfer.io.onnx_networks import write_blocks
from sktransfer.validation.unusable import LARGEST_INPUT


def flat_steps(pipeline: Any) -> list[Any]:
    """Fitted steps of a pipeline, of pipelines in it, and of what is frozen; without those that do nothing."""
    if type(pipeline).__name__ == "FrozenEstimator":
        return flat_steps(pipeline.estimator)
    if not hasattr(pipeline, "steps"):
        return [] if pipeline is None or pipeline == "passthrough" else [pipeline]
    return [inner for _, step in pipeline.steps for inner in flat_steps(step)]


def write_baseline_scaler(graph: Graph, x: str, scaler: Any, n_dimensions: int) -> str:
    """Scaled rows or windows, float64.

    Raises
    ------
    NoOnnxError
        If the scaler knows several machines and not which of them is meant.
    """
    machine = scaler._default_domain()
    if machine is None:
        raise NoOnnxError(
            f"BaselineScaler was fitted on the domains {scaler.domains_.tolist()}, and a file scores one of them. Name "
            "it by set_params(target_domain=...) of the fitted scaler, and write a file for each"
        )
    center, scale = scaler.center_[machine], scaler.scale_[machine]
    z = graph("Sub", graph.cast(x, np.float64), along_channels(center, n_dimensions))
    z = graph("Div", z, along_channels(scale, n_dimensions))
    if scaler.missing == "impute":
        z = graph("Where", graph("IsNaN", z), np.asarray(0.0), z)
    if scaler.whitening_ is not None:
        matrix = scaler.whitening_[machine]
        z = graph("MatMul", z, matrix) if n_dimensions == 2 else graph("MatMul", matrix, z)
    if scaler.compress:
        z = graph("Mul", graph("Sign", z), graph("Log", graph("Add", graph("Abs", z), np.asarray(1.0))))
    if scaler.clip is not None:
        z = graph("Clip", z, np.asarray(-float(scaler.clip)), np.asarray(float(scaler.clip)))
    return graph("Concat", z, graph("Abs", z), axis=1) if scaler.absolute else z


def write_imputer(graph: Graph, x: str, imputer: Any) -> str:
    """A SimpleImputer on numbers with a NaN for what is missing; onnxruntime imputes float32 alone.

    Raises
    ------
    NoOnnxError
        For an indicator of what was missing, and for another mark than NaN.
    """
    mark = imputer.missing_values
    if imputer.add_indicator or not (isinstance(mark, float) and np.isnan(mark)):
        raise NoOnnxError("SimpleImputer is written for NaN and without add_indicator")
    values = np.asarray(imputer.statistics_, dtype=np.float64)
    kept = np.flatnonzero(~np.isnan(values))  # columns without any value are dropped by it
    x = graph.cast(x, np.float64)
    x = x if len(kept) == len(values) else graph("Gather", x, kept.astype(np.int64), axis=1)
    return graph("Where", graph("IsNaN", x), values[kept], x)


def write_features(graph: Graph, x: str, extractor: Any, shape: Sequence[int]) -> str:
    """Features of a frozen backbone, float32, shape (n_samples, n_features_out)."""
    backbone = extractor.backbone_
    _refuse_front_end(backbone)
    found = write_blocks(graph, graph.cast(x, np.float32), backbone, extractor._stop, shape)
    if extractor.standardizes_by_source:
        source = backbone.source
        mean, scale = (np.asarray(one, dtype=np.float64) for one in (source.feature_mean, source.feature_scale))
        found = graph("Div", graph("Sub", graph.cast(found, np.float64), mean), scale)
    return graph.cast(graph("Flatten", found, axis=1), np.float32)


def ready(estimator: Any, shape: Sequence[int]) -> Any:
    """The fitted estimator; of one that needs no fit, a copy that is ready for samples of this shape."""
    if "_predictor" in estimator.__dict__:
        return estimator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)  # of zeros, which nobody asks about
        return estimator._ready(np.zeros((2, *shape)))


def write_outputs(graph: Graph, x: str, model: Any, shape: Sequence[int]) -> tuple[str, str | None]:
    """Outputs of backbone and head, float64, and the confidence weight of each row; None: all are one.

    Rows outside the range are moved to its edge, as in prediction.

    Raises
    ------
    NoOnnxError
        For a front end, a head or a network that has no ONNX nodes.
    """
    backbone, predictor = model.backbone_, model._predictor
    _refuse_front_end(backbone)
    head = predictor.head.layers(backbone.n_features_out, predictor.n_outputs)
    if head is None:
        raise NoOnnxError(f"the head {type(predictor.head).__name__} has no ONNX nodes; use LinearHead or MLPHead")
    x = graph.cast(x, np.float32)
    n_dimensions, inputs = 1 + len(shape), backbone.inputs
    confidence = None
    if inputs.minimum is not None and inputs.maximum is not None:
        middle, half = middle_and_half_range(inputs.minimum, inputs.maximum)
        away = graph("Abs", graph("Sub", graph.cast(x, np.float64), along_channels(middle, n_dimensions)))
        away = graph("Div", away, along_channels(half, n_dimensions))
        excess = graph.reduced("ReduceMax", away, *range(1, n_dimensions), keepdims=False)
        excess = graph.reshaped(excess, -1, 1)
        confidence = graph("Div", np.asarray(TOLERANCE), graph("Max", excess, np.asarray(TOLERANCE)))
    low, high = (along_channels(limit, n_dimensions) for limit in limits_in_range(inputs, LARGEST_INPUT))
    x = graph("Min", graph("Max", x, low), high)
    features = write_blocks(graph, x, backbone, len(backbone.blocks), shape)
    outputs = write_steps(graph, features, folded_steps([(head, predictor.arrays)]))
    return graph.cast(outputs, np.float64), confidence


def write_probabilities(graph: Graph, x: str, model: Any, shape: Sequence[int]) -> str:
    """Probabilities of the classes, float64, shape (n_samples, n_classes)."""
    outputs, confidence = write_outputs(graph, x, model, shape)
    probabilities = graph("Softmax", outputs, axis=1)
    return probabilities if confidence is None else _lowered(graph, probabilities, confidence, model._central())


def _lowered(graph: Graph, probabilities: str, confidence: str, central: np.ndarray) -> str:
    """`inference/out_of_range.py`, `lowered`: what is not known is shared among the classes that could be meant."""
    level: str | np.ndarray = np.full((1, 1), 1 / len(central))
    central = central[None]
    for _ in range(int(central.sum())):
        below = graph("And", graph("Less", probabilities, level), central)
        taken = graph.reduced("ReduceSum", graph("Where", below, probabilities, np.asarray(0.0)), 1, keepdims=True)
        others = graph.reduced("ReduceSum", graph.cast(graph("Not", below), np.float64), 1, keepdims=True)
        level = graph("Div", graph("Sub", np.asarray(1.0), taken), others)
    shares = graph("Where", central, graph("Min", probabilities, level), level)
    rest = graph("Mul", graph("Sub", np.asarray(1.0), confidence), shares)
    return graph("Add", graph("Mul", confidence, probabilities), rest)


def write_labels(graph: Graph, scores: str, classes: np.ndarray) -> str:
    """The class of the largest score of each row; text as text, whole numbers as int64, others as float64."""
    place = graph("ArgMax", scores, axis=1, keepdims=0)
    return graph("Gather", labels_of(classes), place, axis=0)


def labels_of(classes: Any) -> np.ndarray:
    """Classes as ONNX holds them.

    Raises
    ------
    NoOnnxError
        For classes that are neither text nor numbers.
    """
    classes = np.asarray(classes)
    if classes.dtype.kind in "UO" and all(isinstance(one, str) for one in classes.tolist()):
        return classes.astype(object)
    if classes.dtype.kind not in "biuf":
        raise NoOnnxError(f"classes that are neither text nor numbers have no ONNX type: {classes.tolist()[:5]}")
    return classes.astype(np.float64 if classes.dtype.kind == "f" else np.int64)


def write_values(graph: Graph, x: str, model: Any, shape: Sequence[int]) -> str:
    """Values in the unit of ``y``, float64, shape (n_samples, n_outputs)."""
    outputs, _ = write_outputs(graph, x, model, shape)
    if not hasattr(model, "y_scale_"):
        return outputs  # a source head answers in the unit of its labels
    return graph("Add", graph("Mul", outputs, model.y_scale_), model.y_center_)


def _refuse_front_end(backbone: Any) -> None:
    if backbone.inputs.front_end is not None:
        raise NoOnnxError(
            f"the front end {backbone.inputs.front_end!r} of backbone {backbone.name!r} computes spectra and fault "
            "orders from windows that know their speed, which a tensor does not. Score with the joblib file of the "
            "pipeline, or export a model on rows or on a backbone without a front end, such as 'process'"
        )
