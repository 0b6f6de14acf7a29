r"""Converters of this package's estimators for skl2onnx, and of three wrappers of scikit-learn.

::

    skl2onnx.to_onnx(pipeline, X[:1]) --each step--> its converter --> nodes     StandardScaler, LogisticRegression, ...
                                               \--> `onnx_steps.py`              BaselineScaler, TransferClassifier, ...

skl2onnx 1.20 knows no FrozenEstimator and no FixedThresholdClassifier. It converts TunedThresholdClassifierCV as if its
threshold were 0.5, and says nothing (onnx/sklearn-onnx#1226). The converters here read the threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sktransfer.io import onnx_steps as steps
from sktransfer.io.onnx_graph import Graph
from sktransfer.io.onnx_layers import NoOnnxError
from sktransfer.utils.locks import ForkableLock

_OPTIONS = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True], "nocl": [True, False]}
_LOCK = ForkableLock()


def register_onnx_converters() -> None:
    """Make ``skl2onnx.to_onnx`` know the estimators of this package.

    :func:`export_onnx` does so itself. It may be called any number of times.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    export_onnx : Converts, compares with the pipeline, and writes the file.

    Examples
    --------
    >>> import numpy as np
    >>> from skl2onnx import to_onnx
    >>> from sktransfer import BaselineScaler, register_onnx_converters
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> register_onnx_converters()
    >>> [node.op_type for node in to_onnx(BaselineScaler(compress=False).fit(X), X[:1]).graph.node][:3]
    ['Cast', 'Sub', 'Div']
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError('Writing ONNX needs skl2onnx: pip install "sktransfer[onnx]".') from error
    with _LOCK:
        for model, shapes, convert, is_classifier in _rows():
            options = _OPTIONS if is_classifier else None
            update_registered_converter(model, _alias(model), shapes, convert, overwrite=True, options=options)
        _register_parsers()


def _rows() -> list[tuple[type, Callable[..., None], Callable[..., None], bool]]:
    """Class, shapes of its outputs, converter, and whether it is a classifier."""
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

    import sktransfer as ours

    classifiers = (ours.TransferClassifier, ours.SourceClassifier, ours.SourceFreeClassifier)
    regressors = (ours.TransferRegressor, ours.SourceRegressor, ours.DomainAdaptationRegressor)
    return [
        (ours.BaselineScaler, _scaler_shapes, _convert_scaler, False),
        (ours.FeatureExtractor, _extractor_shapes, _convert_extractor, False),
        *((one, _classifier_shapes, _convert_classifier, True) for one in classifiers),
        (ours.DomainAdaptationClassifier, _classifier_shapes, _convert_classifier, True),
        *((one, _regressor_shapes, _convert_regressor, False) for one in regressors),
        (FixedThresholdClassifier, _classifier_shapes, _convert_threshold, True),
        (TunedThresholdClassifierCV, _classifier_shapes, _convert_threshold, True),
    ]


def _register_parsers() -> None:
    """What the default parsers of skl2onnx get wrong: our Pipeline, frozen estimators, a step that returns float32."""
    from skl2onnx._parse import update_registered_parser
    from sklearn.frozen import FrozenEstimator

    import sktransfer as ours

    update_registered_parser(ours.Pipeline, _parse_pipeline)
    update_registered_parser(FrozenEstimator, _parse_frozen)
    update_registered_parser(ours.FeatureExtractor, _parse_extractor)


def _parse_pipeline(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """One step after the other."""
    from skl2onnx._parse import _parse_sklearn

    _hand_on_options(scope, model)
    for _, step in model.steps:
        if step is not None and step != "passthrough":
            inputs = _parse_sklearn(scope, step, inputs, custom_parsers=custom_parsers)
    return inputs


def _parse_frozen(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """A frozen estimator is what it holds."""
    from skl2onnx._parse import _parse_sklearn

    _hand_on_options(scope, model)
    return _parse_sklearn(scope, model.estimator, inputs, custom_parsers=custom_parsers)


def _hand_on_options(scope: Any, model: Any) -> None:
    """Options of a pipeline are those of its last step: skl2onnx knows none of a class that has no converter."""
    if id(model) in (scope.options or {}):
        scope.add_options(id(steps.flat_steps(model)[-1]), scope.options[id(model)])


def _parse_extractor(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Features are float32 whatever comes in, and steps after it choose their operators by that."""
    from skl2onnx.common.data_types import FloatTensorType

    operator = scope.declare_local_operator(_alias(type(model)), model)
    operator.inputs = inputs
    operator.outputs.append(scope.declare_local_variable("features", FloatTensorType()))
    return operator.outputs


def _alias(model: type) -> str:
    return f"Sktransfer{model.__name__}"


# ---- shapes and types of outputs


def _shape(operator: Any) -> list[Any]:
    """Shape of a row or window that goes in; a ValueError where skl2onnx was not told."""
    shape = list(operator.inputs[0].type.shape[1:])
    if len(operator.inputs) != 1 or len(shape) not in (1, 2) or not all(isinstance(size, int) for size in shape):
        name = type(operator.raw_operator).__name__
        raise ValueError(
            f"{name} is converted with one input of known shape, (None, n_columns) or (None, n_channels, length); got "
            f"{[variable.type.shape for variable in operator.inputs]}. Pass an array as X, not a frame, which becomes "
            "one input a column."
        )
    return shape


def _n_rows(operator: Any) -> Any:
    return operator.inputs[0].type.shape[0]


def _scaler_shapes(operator: Any) -> None:
    shape = _shape(operator)
    channels = shape[0] * (2 if operator.raw_operator.absolute else 1)
    kind = type(operator.inputs[0].type)
    operator.outputs[0].set_type(kind([_n_rows(operator), channels, *shape[1:]]))


def _extractor_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType

    operator.outputs[0].set_type(FloatTensorType([_n_rows(operator), int(operator.raw_operator._n_features_out)]))


def _classifier_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

    labels = _classes(operator)
    kind = {"O": StringTensorType, "i": Int64TensorType, "f": DoubleTensorType}[labels.dtype.kind]
    operator.outputs[0].set_type(kind([_n_rows(operator)]))
    # a ZipMap, which skl2onnx puts behind a classifier unless told otherwise, takes float32 alone
    zipped = operator.scope_inst.get_options(operator.raw_operator, {"zipmap": True})["zipmap"] is True
    is_double = type(operator.inputs[0].type) is DoubleTensorType and not zipped
    of_scores = DoubleTensorType if is_double else FloatTensorType
    operator.outputs[1].set_type(of_scores([_n_rows(operator), len(labels)]))


def _classes(operator: Any) -> np.ndarray:
    model = operator.raw_operator
    nocl = operator.scope_inst.get_options(model, {"nocl": False})["nocl"]
    return np.arange(len(model.classes_)) if nocl else steps.labels_of(model.classes_)


def _regressor_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    model = steps.ready(operator.raw_operator, _shape(operator))
    kind = DoubleTensorType if type(operator.inputs[0].type) is DoubleTensorType else FloatTensorType
    operator.outputs[0].set_type(kind([_n_rows(operator), int(model.n_outputs_)]))


# ---- converters: skl2onnx calls them with scope, operator and container


def _convert_scaler(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, container)
    n_dimensions = 1 + len(_shape(operator))
    found = steps.write_baseline_scaler(graph, operator.inputs[0].full_name, operator.raw_operator, n_dimensions)
    graph.name_as(graph.cast(found, _dtype(operator.outputs[0])), operator.outputs[0].full_name)


def _dtype(variable: Any) -> type[np.floating]:
    from skl2onnx.common.data_types import DoubleTensorType

    return np.float64 if type(variable.type) is DoubleTensorType else np.float32


def imputer_shapes(operator: Any) -> None:
    """Shape of what a SimpleImputer on numbers returns."""
    statistics = np.asarray(operator.raw_operator.statistics_, dtype=np.float64)
    kind = type(operator.inputs[0].type)
    operator.outputs[0].set_type(kind([_n_rows(operator), int((~np.isnan(statistics)).sum())]))


def convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """A SimpleImputer on float64, which onnxruntime's own operator does not take.

    It is not registered: skl2onnx's own converter is right for float32 and for text.
    """
    graph = Graph(scope, container)
    found = steps.write_imputer(graph, _single_input(operator), operator.raw_operator)
    graph.name_as(graph.cast(found, _dtype(operator.outputs[0])), operator.outputs[0].full_name)


def _single_input(operator: Any) -> str:
    _shape(operator)
    return operator.inputs[0].full_name


def _convert_extractor(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, container)
    found = steps.write_features(graph, operator.inputs[0].full_name, operator.raw_operator, _shape(operator))
    graph.name_as(found, operator.outputs[0].full_name)


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph, shape = Graph(scope, container), _shape(operator)
    model = steps.ready(operator.raw_operator, shape)
    probabilities = steps.write_probabilities(graph, operator.inputs[0].full_name, model, shape)
    labels = steps.write_labels(graph, probabilities, _classes(operator))
    _name_outputs(graph, operator, labels, probabilities)


def _name_outputs(graph: Graph, operator: Any, labels: str, probabilities: str) -> None:
    graph.name_as(labels, operator.outputs[0].full_name)
    graph.name_as(graph.cast(probabilities, _dtype(operator.outputs[1])), operator.outputs[1].full_name)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, shape = Graph(scope, container), _shape(operator)
    model = steps.ready(operator.raw_operator, shape)
    values = steps.write_values(graph, operator.inputs[0].full_name, model, shape)
    graph.name_as(graph.cast(values, _dtype(operator.outputs[0])), operator.outputs[0].full_name)


def _convert_threshold(scope: Any, operator: Any, container: Any) -> None:
    """Label of the class whose probability reaches the threshold; probabilities are those of the estimator inside."""
    from skl2onnx._parse import _parse_sklearn
    from sklearn.model_selection import TunedThresholdClassifierCV

    model = operator.raw_operator
    name, inner = type(model).__name__, getattr(model, "estimator_", model.estimator)
    tuned = isinstance(model, TunedThresholdClassifierCV)
    threshold = model.best_threshold_ if tuned else model.threshold
    if model.response_method == "decision_function" or not hasattr(inner, "predict_proba"):
        raise NoOnnxError(f"{name} on decision_function has no ONNX nodes; use response_method='predict_proba'")
    positive = _positive_class(model, tuned)
    graph = Graph(scope, container)
    scope.add_options(id(steps.flat_steps(inner)[-1]), {"zipmap": False})
    probabilities = _parse_sklearn(scope, inner, operator.inputs)[1].full_name
    score = graph.part(graph.cast(probabilities, np.float64), positive, positive + 1, 1)
    reached = graph("GreaterOrEqual", score, np.asarray(0.5 if threshold == "auto" else float(threshold)))
    places = np.array([1 - positive, positive], dtype=np.int64)
    reached = graph.reshaped(graph.cast(reached, np.int64), -1)
    labels = graph("Gather", _classes(operator), graph("Gather", places, reached, axis=0), axis=0)
    _name_outputs(graph, operator, labels, probabilities)


def _positive_class(model: Any, tuned: bool) -> int:
    """Place in ``classes_`` of the class that a threshold is for, as scikit-learn chooses it."""
    label = model._curve_scorer._get_pos_label() if tuned else model.pos_label
    return 1 if label is None else int(np.flatnonzero(np.asarray(model.classes_) == label)[0])
